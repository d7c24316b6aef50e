package controller

import (
	"slices"

	"github.com/heiban/heiban/core/metadata"
)

// upheaval is what happens to a broker that concerns the partitions of many topics.
type upheaval struct {
	dirs    []metadata.ID // the log directories that the broker has from now on
	broker  int32
	leaves  bool // it is in sync nowhere any more, and may not lead
	lost    bool // it may have lost what it had
	returns bool // it may lead again
}

// follow returns the changes of all partitions that an upheaval leads to. A replica
// whose directory is gone counts as lost, whatever becomes of its broker.
func (c *Controller) follow(u *upheaval) []metadata.Record {
	alive := &liveness{
		image: c.image, broker: u.broker, gone: u.leaves, back: u.returns, dirs: u.dirs,
	}
	var records []metadata.Record
	for t := range c.image.Topics() {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			inSync := slices.Contains(p.ISR, u.broker)
			holds := inSync || slices.Contains(p.ELR, u.broker)
			lost := holds && (u.lost || !isOnline(u.dirs, directoryOf(p, u.broker)))
			leaves := inSync && u.leaves
			if !lost && !leaves && (!u.returns || p.Leader != noLeader) {
				continue
			}
			ch := c.changeOf(t, int32(i), alive)
			if inSync && (lost || leaves) {
				ch.next.ISR = without(p.ISR, u.broker)
			}
			if lost {
				ch.lost = u.broker
			}
			if r := ch.build(); r != nil {
				records = append(records, r)
			}
		}
	}
	return records
}

// fence returns the records that take a broker out: whoever can takes over what it
// leads.
func (c *Controller) fence(b *metadata.Broker, dirs []metadata.ID) []metadata.Record {
	records := c.follow(&upheaval{broker: b.ID, dirs: dirs, leaves: true})
	return append(records, &metadata.BrokerRegistrationChangeRecord{
		BrokerID: b.ID, BrokerEpoch: b.Epoch, Fenced: 1, LogDirs: newDirs(b, dirs),
	})
}

// newDirs returns what a record says of a broker's directories: nothing if they are
// the same, or none.
func newDirs(b *metadata.Broker, dirs []metadata.ID) []metadata.ID {
	return different(b.LogDirs, dirs)
}

// leads reports whether a broker leads any partition.
func (c *Controller) leads(id int32) bool {
	for t := range c.image.Topics() {
		for i := range t.Partitions {
			if t.Partitions[i].Leader == id {
				return true
			}
		}
	}
	return false
}
