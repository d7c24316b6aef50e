// Package config is Kafka's configuration: the table of keys, the values a node is
// started with, the dynamic values laid over them, and the effective configuration
// of a topic's logs that comes out of it. It knows nothing of metadata records or
// requests. Start at Key, then Parse and Broker.
package config

import (
	"cmp"
	"slices"
)

// Type is the type of a value, numbered as in DescribeConfigs responses.
type Type int8

// The types of values.
const (
	Boolean  Type = 1
	String   Type = 2
	Int      Type = 3
	Short    Type = 4
	Long     Type = 5
	Double   Type = 6
	List     Type = 7
	Class    Type = 8
	Password Type = 9
)

// String returns the type's name in Kafka's documentation.
func (t Type) String() string {
	names := [...]string{
		"unknown", "boolean", "string", "int", "short", "long", "double", "list", "class",
		"password",
	}
	if t < 0 || int(t) >= len(names) {
		return names[0]
	}
	return names[t]
}

// Scope says where a key may be set.
type Scope uint8

// The scopes. A key of the same name for topics and brokers has both.
const (
	BrokerScope Scope = 1 << iota
	TopicScope
)

// UpdateMode says how a broker key may change while the broker runs (KIP-226).
type UpdateMode uint8

// The update modes.
const (
	ReadOnly    UpdateMode = iota // only with a restart
	PerBroker                     // for one broker
	ClusterWide                   // for one broker or for all
)

// Source says where a value comes from, numbered as in DescribeConfigs responses.
type Source int8

// The sources, the strongest first.
const (
	DynamicTopic         Source = 1
	DynamicBroker        Source = 2
	DynamicDefaultBroker Source = 3
	StaticBroker         Source = 4
	Default              Source = 5
)

// Synonym names a broker key that stands in for a topic key. The broker's value
// times Millis is the topic's value; a Millis of zero means no conversion.
type Synonym struct {
	Name   string
	Millis int64
}

// Key describes one configuration key.
type Key struct {
	Name     string
	Default  string // meaningless with Null
	Doc      string
	Valid    Valid
	Synonyms []Synonym // of a topic key, the strongest first
	Type     Type
	Scope    Scope
	Update   UpdateMode
	Null     bool // there is no default
	Inert    bool // accepted and shown, without effect on this broker
	Internal bool // not shown
	// SmallMin replaces Valid.Min under SmallLimits; zero means no replacement.
	SmallMin int64
}

// Sensitive reports whether the key's value must never be shown.
func (k *Key) Sensitive() bool { return k.Type == Password }

// Entry is one name with its value.
type Entry struct{ Name, Value string }

func compareEntry(e Entry, name string) int { return cmp.Compare(e.Name, name) }

// Find returns the value of a name in entries sorted by name.
func Find(entries []Entry, name string) (string, bool) {
	i, ok := slices.BinarySearchFunc(entries, name, compareEntry)
	if !ok {
		return "", false
	}
	return entries[i].Value, true
}

// With returns entries, which are sorted by name, with one value replaced or added.
// The argument is left as it was.
func With(entries []Entry, name, value string) []Entry {
	i, ok := slices.BinarySearchFunc(entries, name, compareEntry)
	if ok {
		entries = slices.Clone(entries)
		entries[i].Value = value
		return entries
	}
	return slices.Insert(slices.Clip(entries), i, Entry{Name: name, Value: value})
}

// Without returns entries, which are sorted by name, without one name. The
// argument is left as it was.
func Without(entries []Entry, name string) []Entry {
	i, ok := slices.BinarySearchFunc(entries, name, compareEntry)
	if !ok {
		return entries
	}
	return slices.Concat(entries[:i:i], entries[i+1:])
}

// Keys returns all keys sorted by name. The slice is shared and must not be
// changed. A name that is both a topic's and a broker's stands in it once.
func Keys() []Key { return table }

// Lookup returns the key of a name.
func Lookup(name string) (*Key, bool) {
	i, ok := slices.BinarySearchFunc(table, name, func(k Key, name string) int {
		return cmp.Compare(k.Name, name)
	})
	if !ok {
		return nil, false
	}
	return &table[i], true
}

func lookupIn(scope Scope, name string) (*Key, bool) {
	k, ok := Lookup(name)
	if !ok || k.Scope&scope == 0 {
		return nil, false
	}
	return k, true
}

// table holds every key, sorted by name.
var table = sortedTable(topicKeys, logKeys, brokerKeys, groupKeys, inertKeys, securityKeys)

func sortedTable(parts ...[]Key) []Key {
	all := slices.Concat(parts...)
	slices.SortFunc(all, func(a, b Key) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
