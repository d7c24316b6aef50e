package log

import "github.com/heiban/heiban/clock"

// Deadline is when the log next wants Tick: flush.ms, retention, compaction,
// delayed deletion, expiry of producers, and at once if something found at start is
// not known to be durable.
func (l *Log) Deadline() clock.Instant {
	if l.closing {
		return clock.Never
	}
	at := min(l.retentionDue(), l.cleanDue())
	if len(l.producers.byID) > 0 {
		at = min(at, l.expireAt)
	}
	if len(l.doomed) > 0 {
		at = min(at, l.doomed[0].at)
	}
	if l.syncing == nil && l.mayFlush() {
		at = min(at, l.flushAt())
	}
	if l.syncDue() {
		at = 0
	}
	return at
}

// retentionDue is when to look at retention next. A log that keeps everything for
// ever is left alone.
func (l *Log) retentionDue() clock.Instant {
	limited := l.cfg.RetentionBytes >= 0 || l.cfg.RetentionMillis >= 0
	if l.cfg.CleanupDelete && limited {
		return l.retentionAt
	}
	return clock.Never
}

// mayFlush says that flush.ms could ask for a sync.
func (l *Log) mayFlush() bool {
	return l.cfg.FlushMillis >= 0 && l.written.offset > max(l.durable, l.flushTo)
}

// syncDue says that a sync is wanted and could be ordered now.
func (l *Log) syncDue() bool {
	if l.syncing != nil || l.cut != nil {
		return false
	}
	wanted := l.flushTo
	if l.cfg.Durability == Fsync {
		wanted = l.written.offset
	}
	return l.durable < wanted && l.syncable() != nil
}

// Tick does what time asks for.
func (l *Log) Tick(now clock.Time, o *Orders) {
	if l.closing {
		return
	}
	l.maybeFlush(now)
	l.maybeSync(o)
	if l.retentionDue() <= now.Mono {
		l.retentionAt = now.Mono.Add(millisOr(l.set.RetentionCheckMillis, retentionCheckMillis))
		l.retain(now, o)
	}
	if l.cleanDue() <= now.Mono {
		l.cleanAt = now.Mono.Add(millisOr(l.set.CleanerBackoffMillis, cleanerBackoffMillis))
		l.maybeCompact(now, o)
	}
	if l.expireAt <= now.Mono {
		l.expireAt = now.Mono.Add(millisOr(l.set.ProducerCheckMillis, producerCheckMillis))
		l.producers.expire(now.Wall)
	}
	l.removeDoomed(now, o)
	l.check()
}
