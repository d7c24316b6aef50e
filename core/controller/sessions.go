package controller

import (
	"cmp"
	"math"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/metadata"
)

// session is what the active controller knows of a broker from its heartbeats. It
// stands in no record, and a new controller begins without: all brokers that are not
// fenced then have a whole session to make themselves heard. Only of the broker on the
// node that led before it is known for how long it may have been silent.
type session struct {
	lastContact    clock.Instant
	epoch          int64 // the broker's life that the session is of
	metadataOffset int64 // how far the broker is in the metadata log, -1 if not known
	shutdownOffset int64 // how far all others must be before it may stop, -1 if not known
	id             int32
	given          bool // by a new controller, which has not heard of the broker
}

// startSessions gives every broker that is not fenced a session, of which at least half
// is left.
func (c *Controller) startSessions() {
	now := c.options.Now
	half := c.image.Config().BrokerSessionTimeout / 2
	for _, b := range c.image.Brokers() {
		if b.Fenced {
			continue
		}
		heard := now
		if b.ID == c.options.Before && c.options.BeforeHeard > 0 {
			heard = min(now, max(c.options.BeforeHeard, now.Add(-half)))
		}
		s := c.contact(b.ID, b.Epoch, heard, -1)
		s.given = true
		if b.InControlledShutdown {
			s.shutdownOffset = c.image.Offset() // it was not later
		}
	}
}

// contact notes that a broker was heard of.
func (c *Controller) contact(
	id int32, epoch int64, now clock.Instant, metadataOffset int64,
) *session {
	i, ok := slices.BinarySearchFunc(c.sessions, id, bySessionID)
	if !ok {
		c.sessions = slices.Insert(c.sessions, i, session{id: id, shutdownOffset: -1})
	}
	s := &c.sessions[i]
	if s.epoch != epoch {
		*s = session{id: id, shutdownOffset: -1}
	}
	s.epoch, s.lastContact, s.metadataOffset, s.given = epoch, now, metadataOffset, false
	return s
}

func bySessionID(s session, id int32) int { return cmp.Compare(s.id, id) }

// sessionOf returns the session of a broker's present life, nil if it has none.
func (c *Controller) sessionOf(b *metadata.Broker) *session {
	i, ok := slices.BinarySearchFunc(c.sessions, b.ID, bySessionID)
	if !ok || c.sessions[i].epoch != b.Epoch {
		return nil
	}
	return &c.sessions[i]
}

// expiry returns when a session ends unless the broker is heard of: at this instant it
// is over.
func (c *Controller) expiry(s *session) clock.Instant {
	return s.lastContact.Add(c.image.Config().BrokerSessionTimeout)
}

// live reports whether a broker that is not fenced has a session.
func (c *Controller) live(b *metadata.Broker, now clock.Instant) bool {
	s := c.sessionOf(b)
	return s != nil && !b.Fenced && now < c.expiry(s)
}

// heard reports whether a live broker was heard of by this very controller. Those that are
// alive look for a new one at once. Where all were killed nobody has to wait for the end
// of a session that belongs to its own former life.
func (c *Controller) heard(b *metadata.Broker, now clock.Instant) bool {
	return c.live(b, now) && !c.sessionOf(b).given
}

// stalest returns the broker that is not fenced and whose session ends first, and when
// it ends; nil and clock.Never if there is none.
func (c *Controller) stalest() (*metadata.Broker, clock.Instant) {
	var first *metadata.Broker
	end := clock.Never
	for i := range c.sessions {
		s := &c.sessions[i]
		b := c.image.Broker(s.id)
		if b == nil || b.Fenced || b.Epoch != s.epoch {
			continue
		}
		if at := c.expiry(s); at < end {
			first, end = b, at
		}
	}
	return first, end
}

// lowestActiveOffset returns how far all active brokers are in the metadata log.
func (c *Controller) lowestActiveOffset() int64 {
	lowest := int64(math.MaxInt64)
	for _, b := range c.image.Brokers() {
		if !b.Active() {
			continue
		}
		s := c.sessionOf(b)
		if s == nil {
			return -1
		}
		lowest = min(lowest, s.metadataOffset)
	}
	return lowest
}
