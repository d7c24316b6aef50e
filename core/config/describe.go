package config

import "slices"

// Description is one entry of a DescribeConfigs response.
type Description struct {
	Name      string
	Value     string
	Doc       string
	Synonyms  []SynonymValue // all values set for the key, the strongest first
	Source    Source
	Type      Type // 0 for names that are not in the table
	Null      bool // there is no value, or it is secret
	ReadOnly  bool
	Sensitive bool
}

// SynonymValue is a value that is set for a key, or for one that stands in for it.
type SynonymValue struct {
	Name   string
	Value  string
	Source Source
	Null   bool // it is secret
}

// DescribeTopic describes the configuration of a topic with overrides sorted by
// name: the keys of names, or with no names all keys. Names that no topic has are
// left out. Entries are in the order of names.
func (b *Broker) DescribeTopic(overrides []Entry, names []string) []Description {
	var out []Description
	for i := range table {
		k := &table[i]
		if k.Scope&TopicScope == 0 || !wanted(k.Name, names) {
			continue
		}
		if _, set := Find(overrides, k.Name); k.Internal && !set {
			continue
		}
		out = append(out, b.describeTopicKey(k, overrides))
	}
	return out
}

func (b *Broker) describeTopicKey(k *Key, overrides []Entry) Description {
	d := k.describe()
	d.ReadOnly = false
	value, source, ok := b.TopicValue(k, overrides)
	d.setValue(value, source, ok)
	if v, ok := Find(overrides, k.Name); ok {
		d.add(k.Name, v, DynamicTopic)
	}
	names := make([]string, len(k.Synonyms))
	for i, s := range k.Synonyms {
		names[i] = s.Name
	}
	b.addBrokerSynonyms(&d, names)
	return d
}

// DescribeBroker describes the configuration of the node: the keys of names, or
// with no names all keys that it has. Entries are in the order of names.
func (b *Broker) DescribeBroker(names []string) []Description {
	var out []Description
	for i := range table {
		k := &table[i]
		if k.Scope&BrokerScope == 0 || !wanted(k.Name, names) {
			continue
		}
		if _, source, _ := b.Get(k.Name); k.Internal && source == Default {
			continue
		}
		d := k.describe()
		family := families(k.Name)
		d.setValue(b.Get(k.Name))
		b.addBrokerSynonyms(&d, family)
		out = append(out, d)
	}
	for _, name := range b.unknownNames() {
		if !wanted(name, names) {
			continue
		}
		// What is not in the table may be a secret of some plug-in.
		d := Description{Name: name, Null: true, Sensitive: true}
		_, d.Source, _ = b.Get(name)
		d.ReadOnly = d.Source == StaticBroker
		b.addBrokerSynonyms(&d, []string{name})
		out = append(out, d)
	}
	slices.SortFunc(out, func(x, y Description) int { return compareNames(x.Name, y.Name) })
	return out
}

// DescribeDefault describes the dynamic values of all brokers, those of names or
// with no names all that are set.
func (b *Broker) DescribeDefault(names []string) []Description {
	var out []Description
	for _, e := range b.cluster {
		if !wanted(e.Name, names) {
			continue
		}
		// What is not in the table may be a secret of some plug-in.
		d := Description{Name: e.Name, Sensitive: true, Null: true}
		if k, ok := lookupIn(BrokerScope, e.Name); ok {
			d = k.describe()
		}
		d.ReadOnly = false
		d.setValue(e.Value, DynamicDefaultBroker, true)
		d.add(e.Name, e.Value, DynamicDefaultBroker)
		out = append(out, d)
	}
	return out
}

func wanted(name string, names []string) bool {
	return len(names) == 0 || slices.Contains(names, name)
}

func (k *Key) describe() Description {
	return Description{
		Name: k.Name, Doc: k.Doc, Type: k.Type, Sensitive: k.Sensitive(),
		ReadOnly: k.Update == ReadOnly, Null: true, Source: Default,
	}
}

func (d *Description) setValue(value string, source Source, ok bool) {
	d.Source = source
	if ok && !d.Sensitive {
		d.Value, d.Null = value, false
	}
}

func (d *Description) add(name, value string, source Source) {
	s := SynonymValue{Name: name, Value: value, Source: source}
	if d.Sensitive {
		s.Value, s.Null = "", true
	}
	d.Synonyms = append(d.Synonyms, s)
}

// addBrokerSynonyms adds what is set for broker keys, layer by layer, and at last
// the defaults.
func (b *Broker) addBrokerSynonyms(d *Description, names []string) {
	for _, layer := range b.layers() {
		for _, name := range names {
			if v, ok := Find(layer.entries, name); ok {
				d.add(name, v, layer.source)
			}
		}
	}
	for _, name := range names {
		if k, ok := Lookup(name); ok && !k.Null {
			d.add(name, k.Default, Default)
		}
	}
}

// families returns the broker keys that stand in for each other, from name on: the
// same value in other units, or under an older name.
func families(name string) []string {
	for _, family := range [...][]string{
		{"log.retention.ms", "log.retention.minutes", "log.retention.hours"},
		{"log.roll.ms", "log.roll.hours"},
		{"log.roll.jitter.ms", "log.roll.jitter.hours"},
		{"log.flush.interval.ms", "log.flush.scheduler.interval.ms"},
		{"log.dirs", "log.dir"},
		{"node.id", "broker.id"},
	} {
		if i := slices.Index(family, name); i >= 0 {
			return family[i:]
		}
	}
	return []string{name}
}

// unknownNames returns the names with a value that are not in the table, sorted.
func (b *Broker) unknownNames() []string {
	var names []string
	for _, layer := range b.layers() {
		for _, e := range layer.entries {
			if _, ok := lookupIn(BrokerScope, e.Name); !ok {
				names = append(names, e.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
