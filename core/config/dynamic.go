package config

import (
	"cmp"
	"fmt"
	"strings"
)

func compareNames(x, y string) int { return cmp.Compare(x, y) }

// ValidateDynamic returns an error unless entries, which are sorted by name, may be
// the dynamic values of one broker, or with perBroker false of all brokers
// (KIP-226). Names that are not in the table are allowed. Keys that only change with
// a restart are refused, and for all brokers those that differ between brokers.
func (b *Broker) ValidateDynamic(entries []Entry, perBroker bool) error {
	var readOnly, single []string
	for _, e := range entries {
		k, ok := lookupIn(BrokerScope, e.Name)
		switch {
		case !ok:
		case k.Update == ReadOnly:
			readOnly = append(readOnly, e.Name)
		case k.Update == PerBroker && !perBroker:
			single = append(single, e.Name)
		}
	}
	if len(readOnly) > 0 {
		return fmt.Errorf("cannot change while the broker runs: %s", strings.Join(readOnly, ", "))
	}
	if len(single) > 0 {
		return fmt.Errorf("cannot be set for all brokers at once: %s", strings.Join(single, ", "))
	}
	node, cluster := b.node, entries
	if perBroker {
		node, cluster = entries, b.cluster
	}
	_, err := b.WithDynamic(node, cluster)
	return err
}

// IsList reports whether a key of a scope has a list as its value, so that the
// operations APPEND and SUBTRACT apply to it.
func IsList(scope Scope, name string) bool {
	k, ok := lookupIn(scope, name)
	return ok && k.Type == List
}

// DefaultOf returns the default of a key, empty if it has none.
func DefaultOf(name string) string {
	if k, ok := Lookup(name); ok && !k.Null {
		return k.Default
	}
	return ""
}
