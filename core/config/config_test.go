package config

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/log"
	_ "github.com/heiban/heiban/internal/repeatable"
)

func parse(t *testing.T, props map[string]string) *Broker {
	t.Helper()
	b, _, err := Parse(props)
	require.NoError(t, err)
	return b
}

func TestTable(t *testing.T) {
	keys := Keys()
	require.Greater(t, len(keys), 300)
	for i := range keys {
		k := &keys[i]
		if i > 0 {
			require.Less(t, keys[i-1].Name, k.Name, "sorted, and each name once")
		}
		require.NotEmpty(t, k.Doc, k.Name)
		require.Equal(t, byte('.'), k.Doc[len(k.Doc)-1], k.Name)
		require.NotZero(t, k.Scope, k.Name)
		require.NotEqual(t, "unknown", k.Type.String(), k.Name)
		if !k.Null {
			require.NoError(t, k.check(k.Default, false), k.Name)
		}
		for _, s := range k.Synonyms {
			require.NotZero(t, k.Scope&TopicScope, k.Name)
			stand, ok := lookupIn(BrokerScope, s.Name)
			require.True(t, ok, s.Name)
			require.Equal(t, k.Inert, stand.Inert, "%s and %s", k.Name, s.Name)
		}
		found, ok := Lookup(k.Name)
		require.True(t, ok)
		require.Same(t, k, found)
	}
	_, ok := Lookup("no.such.key")
	require.False(t, ok)
}

func TestTopicDefaultsAgreeWithBrokerDefaults(t *testing.T) {
	b := parse(t, nil)
	for i := range topicKeys {
		k := &topicKeys[i]
		value, source, ok := b.TopicValue(k, nil)
		require.Equal(t, !k.Null, ok, k.Name)
		require.Equal(t, Default, source, k.Name)
		require.Equal(t, k.Default, value, k.Name)
	}
}

func TestDefaults(t *testing.T) {
	b := parse(t, nil)
	require.Equal(t, int32(1), b.NodeID)
	require.Equal(t, []string{"broker", "controller"}, b.ProcessRoles)
	require.Equal(t, []string{"/tmp/kafka-logs"}, b.LogDirs)
	require.Equal(t, "/tmp/kafka-logs", b.MetadataLogDir)
	require.Equal(t, []Endpoint{{Name: "PLAINTEXT", Port: 9092}}, b.Listeners)
	require.Equal(t, []Endpoint{{Name: "PLAINTEXT", Host: "localhost", Port: 9092}},
		b.AdvertisedListeners)
	require.Equal(t, 30*clock.Second, b.RequestTimeout)
	require.Equal(t, 7*24*clock.Hour, b.OffsetsRetention)
	require.Equal(t, clock.Duration(math.MaxInt64), b.LogFlushSchedulerInterval)
	require.Equal(t, int64(86_400_000), b.LogSettings().ProducerExpirationMillis)
	require.Equal(t, int64(600_000), b.LogSettings().ProducerCheckMillis)
	require.Equal(t, int64(300_000), b.LogSettings().RetentionCheckMillis)
	require.Equal(t, int64(15_000), b.LogSettings().CleanerBackoffMillis)
	require.Equal(t, int32(900_000), b.LogCleanerIOBufferLoadPPM)

	c, err := b.Topic(nil)
	require.NoError(t, err)
	require.Equal(t, &log.Config{
		SegmentBytes: 1 << 30, SegmentMillis: 604_800_000, SegmentIndexBytes: 10 << 20,
		IndexIntervalBytes: 4096, RetentionBytes: -1, RetentionMillis: 604_800_000,
		FileDeleteDelayMillis: 60_000, DeleteRetentionMillis: 86_400_000,
		MaxCompactionLagMillis: math.MaxInt64, FlushMessages: math.MaxInt64,
		FlushMillis: math.MaxInt64, TimestampBeforeMaxMillis: math.MaxInt64,
		TimestampAfterMaxMillis: 3_600_000, MaxMessageBytes: 1_048_588, MinInsyncReplicas: 1,
		MinCleanableDirtyPPM: 500_000, KeepCompression: true, CleanupDelete: true,
	}, c)
	again, _ := b.Topic(nil)
	require.Same(t, c, again, "topics without overrides share one configuration")
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"num.partitions", "0", `invalid value "0" for configuration num.partitions: ` +
			`expected a number, at least 1`},
		{"num.partitions", "many", `invalid value "many" for configuration num.partitions: ` +
			`expected a number of type int`},
		{"num.io.threads", "3000000000", `invalid value "3000000000" for configuration ` +
			`num.io.threads: expected a number of type int`},
		{"delete.topic.enable", "yes", `invalid value "yes" for configuration ` +
			`delete.topic.enable: expected true or false`},
		{"log.cleanup.policy", "compact,burn", `invalid value "compact,burn" for configuration ` +
			`log.cleanup.policy: expected elements that are each one of compact, delete`},
		{"log.cleaner.min.cleanable.ratio", "1.5", `invalid value "1.5" for configuration ` +
			`log.cleaner.min.cleanable.ratio: expected a number, from 0 to 1`},
		{"compression.gzip.level", "0", `invalid value "0" for configuration ` +
			`compression.gzip.level: expected a number, from -1 to 9, but not 0`},
		{"compression.type", "zip", `invalid value "zip" for configuration compression.type: ` +
			`expected one of uncompressed, zstd, lz4, snappy, gzip, producer`},
		{"log.segment.bytes", "4096", `invalid value "4096" for configuration ` +
			`log.segment.bytes: expected a number, at least 1048576`},
		{"listeners", "PLAINTEXT:9092", `listeners: listener "PLAINTEXT:9092" is not of the ` +
			`form NAME://host:port`},
		{"listeners", "OTHER://:9092", `listeners: listener OTHER has no protocol in ` +
			`listener.security.protocol.map`},
		{"listeners", "PLAINTEXT://0.0.0.0:9092", `advertised.listeners: 0.0.0.0 cannot be ` +
			`reached by clients`},
		{"listeners", "PLAINTEXT://:1,PLAINTEXT://:2", `listeners: listener PLAINTEXT is named ` +
			`twice`},
		{"listener.security.protocol.map", "A", `listener.security.protocol.map: "A" is not of ` +
			`the form key:value`},
		{"group.min.session.timeout.ms", "2000000", `group.min.session.timeout.ms is above ` +
			`group.max.session.timeout.ms`},
		{"log.dirs", " ", `log.dirs names no directory`},
	} {
		_, _, err := Parse(map[string]string{c.name: c.value})
		require.EqualError(t, err, c.want)
	}
	var refused *ValueError
	_, _, err := Parse(map[string]string{"num.partitions": "-3"})
	require.True(t, errors.As(err, &refused))
	require.Equal(t, "num.partitions", refused.Name)
	_, _, err = Parse(map[string]string{"broker.id": "1", "node.id": "2"})
	require.EqualError(t, err, "broker.id 1 differs from node.id 2")
}

func TestParseWarnings(t *testing.T) {
	b, warnings, err := Parse(map[string]string{
		"zookeeper.connect": "here", "num.io.threads": "4", "broker.id": "7",
	})
	require.NoError(t, err)
	require.Equal(t, []Warning{
		{Name: "num.io.threads", Text: "without effect here"},
		{Name: "zookeeper.connect", Text: "unknown, and ignored"},
	}, warnings)
	require.Equal(t, int32(7), b.NodeID)
	value, source, ok := b.Get("zookeeper.connect")
	require.True(t, ok)
	require.Equal(t, "here", value)
	require.Equal(t, StaticBroker, source)
}

func TestListeners(t *testing.T) {
	b := parse(t, map[string]string{
		"listeners":                      "in://[::1]:9092, OUT://h:1,CONTROLLER://:9093",
		"listener.security.protocol.map": "IN:PLAINTEXT,OUT:SASL_SSL,CONTROLLER:SSL",
		"controller.listener.names":      "CONTROLLER",
	})
	require.Equal(t, []Endpoint{
		{Name: "IN", Host: "::1", Port: 9092},
		{Name: "OUT", Host: "h", Port: 1, Protocol: SASLSSL},
	}, b.AdvertisedListeners)
	require.Len(t, b.Listeners, 3)
	require.Equal(t, "IN://[::1]:9092", b.Listeners[0].String())
	for p := Plaintext; p <= SASLSSL; p++ {
		back, ok := protocolOf(p.String())
		require.True(t, ok)
		require.Equal(t, p, back)
	}
	for _, text := range []string{"A://h:70000", "A://::1:5", "://h:1", "A://h"} {
		_, err := parseEndpoint(text)
		require.Error(t, err, text)
	}
}

func TestQuorumVoters(t *testing.T) {
	b := parse(t, map[string]string{
		"controller.quorum.voters": "2@node-2:9093, 1@[::1]:9093,30@10.0.0.1:1",
	})
	require.Equal(t, []Voter{
		{ID: 1, Host: "::1", Port: 9093},
		{ID: 2, Host: "node-2", Port: 9093},
		{ID: 30, Host: "10.0.0.1", Port: 1},
	}, b.QuorumVoters)
	require.Empty(t, parse(t, nil).QuorumVoters)
	for _, value := range []string{"node:1", "x@node:1", "-1@node:1", "1@node", "1@:1", "1@a:1,1@b:2"} {
		_, _, err := Parse(map[string]string{"controller.quorum.voters": value})
		require.ErrorContains(t, err, "controller.quorum.voters: ", value)
	}
}

// Brokers talk to each other on the listener that is named, or else on the one named
// after the protocol between brokers.
func TestInterBrokerListener(t *testing.T) {
	require.Equal(t, "PLAINTEXT", parse(t, nil).InterBrokerListenerName)
	b := parse(t, map[string]string{"inter.broker.listener.name": "internal"})
	require.Equal(t, "INTERNAL", b.InterBrokerListenerName)
}

// The names of controller listeners stand for PLAINTEXT unless somebody thought of
// protection.
func TestControllerListenerProtocol(t *testing.T) {
	b := parse(t, map[string]string{
		"listeners":                 "PLAINTEXT://h:9092,Controller://h:9093",
		"controller.listener.names": "CONTROLLER",
	})
	require.Equal(t, []Endpoint{
		{Name: "PLAINTEXT", Host: "h", Port: 9092}, {Name: "CONTROLLER", Host: "h", Port: 9093},
	}, b.Listeners)
	for _, props := range []map[string]string{
		{"listeners": "SSL://h:9092,CONTROLLER://h:9093"},
		{"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT"},
	} {
		props["controller.listener.names"] = "CONTROLLER"
		if props["listeners"] == "" {
			props["listeners"] = "PLAINTEXT://h:9092,CONTROLLER://h:9093"
		}
		_, _, err := Parse(props)
		require.EqualError(t, err, "listeners: listener CONTROLLER has no protocol in "+
			"listener.security.protocol.map")
	}
	b = parse(t, map[string]string{
		"listeners": "IN://h:1", "listener.security.protocol.map": "in:SSL",
	})
	require.Equal(t, SSL, b.Listeners[0].Protocol)
}

// What is nearer to the topic wins, and within one layer the finer unit.
func TestPrecedence(t *testing.T) {
	retention := func(static map[string]string, node, cluster, topic []Entry) int64 {
		b, err := parse(t, static).WithDynamic(node, cluster)
		require.NoError(t, err)
		c, err := b.Topic(topic)
		require.NoError(t, err)
		return c.RetentionMillis
	}
	one := func(value string) []Entry { return []Entry{{"log.retention.ms", value}} }
	hours := map[string]string{"log.retention.hours": "2"}
	minutes := map[string]string{"log.retention.hours": "2", "log.retention.minutes": "3"}
	millis := map[string]string{"log.retention.minutes": "3", "log.retention.ms": "4"}
	require.Equal(t, int64(604_800_000), retention(nil, nil, nil, nil))
	require.Equal(t, int64(7_200_000), retention(hours, nil, nil, nil))
	require.Equal(t, int64(180_000), retention(minutes, nil, nil, nil))
	require.Equal(t, int64(4), retention(millis, nil, nil, nil))
	require.Equal(t, int64(5), retention(millis, nil, one("5"), nil))
	require.Equal(t, int64(6), retention(millis, one("6"), one("5"), nil))
	require.Equal(t, int64(7),
		retention(millis, one("6"), one("5"), []Entry{{"retention.ms", "7"}}))
	require.Equal(t, int64(-1),
		retention(map[string]string{"log.retention.hours": "-1"}, nil, nil, nil))
}

func TestTopicValues(t *testing.T) {
	b := parse(t, nil)
	for _, c := range []struct {
		name, value string
		want        func(*log.Config)
	}{
		{"cleanup.policy", "compact", func(c *log.Config) {
			c.CleanupCompact, c.CleanupDelete = true, false
		}},
		{"cleanup.policy", "compact, delete", func(c *log.Config) { c.CleanupCompact = true }},
		{"cleanup.policy", "", func(c *log.Config) { c.CleanupDelete = false }},
		{"compression.type", "zstd", func(c *log.Config) {
			c.KeepCompression, c.Compression, c.CompressionLevel = false, batch.Zstd, 3
		}},
		{"compression.type", "snappy", func(c *log.Config) {
			c.KeepCompression, c.Compression = false, batch.Snappy
		}},
		{"compression.type", "uncompressed", func(c *log.Config) { c.KeepCompression = false }},
		{"message.timestamp.type", "LogAppendTime", func(c *log.Config) {
			c.TimestampType = batch.LogAppendTime
		}},
		{"heiban.durability", "page-cache", func(c *log.Config) { c.Durability = log.PageCache }},
		{"min.cleanable.dirty.ratio", "0.123456", func(c *log.Config) {
			c.MinCleanableDirtyPPM = 123_456
		}},
		{"internal.segment.bytes", "100", func(c *log.Config) { c.SegmentBytes = 100 }},
		{"preallocate", "TRUE", func(c *log.Config) { c.Preallocate = true }},
		{"unclean.leader.election.enable", "true", func(c *log.Config) {
			c.UncleanLeaderElection = true
		}},
		{"min.insync.replicas", " 2 ", func(c *log.Config) { c.MinInsyncReplicas = 2 }},
		{"remote.log.copy.disable", "true", func(*log.Config) {}},
	} {
		want := *b.topic.shared
		c.want(&want)
		require.NoError(t, b.ValidateTopic(c.name, c.value))
		got, err := b.Topic([]Entry{{c.name, c.value}})
		require.NoError(t, err)
		require.Equal(t, want, *got, "%s=%s", c.name, c.value)
	}
	c, err := b.Topic([]Entry{{"compression.gzip.level", "5"}, {"compression.type", "gzip"}})
	require.NoError(t, err)
	require.Equal(t, 5, c.CompressionLevel)
	c, err = b.Topic([]Entry{{"internal.segment.bytes", "99"}, {"segment.bytes", "2000000"}})
	require.NoError(t, err)
	require.Equal(t, int64(99), c.SegmentBytes)
}

func TestTopicLeavesOutWhatDoesNotFit(t *testing.T) {
	b := parse(t, nil)
	c, err := b.Topic([]Entry{{"no.such", "1"}, {"retention.ms", "5"}, {"segment.bytes", "x"}})
	require.EqualError(t, err, "unknown topic configuration no.such")
	require.Equal(t, int64(5), c.RetentionMillis)
	require.Equal(t, int64(1<<30), c.SegmentBytes)
	require.EqualError(t, b.ValidateTopicEntries([]Entry{
		{"cleanup.policy", "compact"},
		{"max.compaction.lag.ms", "5"},
		{"min.compaction.lag.ms", "6"},
	}), "min.compaction.lag.ms 6 is above max.compaction.lag.ms 5")
	require.ErrorContains(t,
		b.ValidateTopicEntries([]Entry{{"remote.storage.enable", "true"}}), "tiered storage")
	require.NoError(t, b.ValidateTopicEntries([]Entry{{"remote.storage.enable", "false"}}))
	require.Error(t, b.ValidateTopic("num.partitions", "3"), "a broker's key is no topic's")
}

func TestSmallLimits(t *testing.T) {
	require.Error(t, parse(t, nil).ValidateTopic("segment.bytes", "4096"))
	b := parse(t, map[string]string{
		"heiban.internal.small.limits": "true", "log.segment.bytes": "4096",
	})
	require.NoError(t, b.ValidateTopic("segment.bytes", "4096"))
	c, err := b.Topic(nil)
	require.NoError(t, err)
	require.Equal(t, int64(4096), c.SegmentBytes)
}

func TestWithDynamic(t *testing.T) {
	b := parse(t, map[string]string{"message.max.bytes": "1000"})
	next, err := b.WithDynamic(nil, []Entry{{"message.max.bytes", "2000"}})
	require.NoError(t, err)
	require.Equal(t, int32(2000), next.MessageMaxBytes)
	require.Equal(t, int32(1000), b.MessageMaxBytes)
	next, err = next.WithDynamic([]Entry{{"message.max.bytes", "x"}, {"num.partitions", "4"}}, nil)
	require.ErrorContains(t, err, "message.max.bytes")
	require.Equal(t, int32(1000), next.MessageMaxBytes)
	require.Equal(t, int32(4), next.NumPartitions)

	valid := func(name, value string, perBroker bool) error {
		return b.ValidateDynamic([]Entry{{name, value}}, perBroker)
	}
	require.NoError(t, valid("message.max.bytes", "5", false))
	require.NoError(t, valid("message.max.bytes", "5", true))
	require.NoError(t, valid("some.plugin.key", "5", true))
	require.EqualError(t, valid("num.partitions", "5", true),
		"cannot change while the broker runs: num.partitions")
	require.EqualError(t, valid("listeners", "PLAINTEXT://:1", false),
		"cannot be set for all brokers at once: listeners")
	require.ErrorContains(t, valid("log.retention.bytes", "x", false), "log.retention.bytes")
}

func TestDescribe(t *testing.T) {
	b := parse(t, map[string]string{
		"log.retention.hours": "1", "ssl.key.password": "secret", "my.plugin": "x",
	})
	b, err := b.WithDynamic(nil, []Entry{{"log.retention.ms", "9"}})
	require.NoError(t, err)

	all := b.DescribeTopic(nil, nil)
	require.True(t, slices.IsSortedFunc(all, func(x, y Description) int {
		return compareNames(x.Name, y.Name)
	}))
	require.Len(t, all, len(topicKeys)-1, "all but the internal one")
	got := b.DescribeTopic([]Entry{{"retention.ms", "8"}}, []string{"retention.ms", "node.id"})
	require.Len(t, got, 1)
	require.Equal(t, "8", got[0].Value)
	require.Equal(t, DynamicTopic, got[0].Source)
	require.Equal(t, Long, got[0].Type)
	require.False(t, got[0].ReadOnly)
	require.Equal(t, []SynonymValue{
		{Name: "retention.ms", Value: "8", Source: DynamicTopic},
		{Name: "log.retention.ms", Value: "9", Source: DynamicDefaultBroker},
		{Name: "log.retention.hours", Value: "1", Source: StaticBroker},
		{Name: "log.retention.hours", Value: "168", Source: Default},
	}, got[0].Synonyms)

	got = b.DescribeBroker([]string{"ssl.key.password", "node.id", "my.plugin"})
	require.Len(t, got, 3)
	require.Equal(t, "my.plugin", got[0].Name)
	require.True(t, got[0].Null && got[0].Sensitive && got[0].ReadOnly)
	require.Equal(t, "1", got[1].Value)
	require.True(t, got[1].ReadOnly)
	require.Equal(t, Default, got[1].Source)
	require.True(t, got[2].Null && got[2].Sensitive)
	require.Equal(t, []SynonymValue{
		{Name: "ssl.key.password", Source: StaticBroker, Null: true},
	}, got[2].Synonyms)
	for _, d := range b.DescribeBroker(nil) {
		require.NotEqual(t, "secret", d.Value)
	}

	got = b.DescribeDefault(nil)
	require.Len(t, got, 1)
	require.Equal(t, "log.retention.ms", got[0].Name)
	require.Equal(t, DynamicDefaultBroker, got[0].Source)
	require.Empty(t, b.DescribeDefault([]string{"node.id"}))
}

func TestLists(t *testing.T) {
	require.Equal(t, "a,b,c", AppendList("a,b", "b,c"))
	require.Equal(t, "a", AppendList("", "a"))
	require.Equal(t, "b", SubtractList("a, b", "a,x"))
	require.Equal(t, "", SubtractList("a", "a"))
	require.True(t, IsList(TopicScope, "cleanup.policy"))
	require.False(t, IsList(TopicScope, "retention.ms"))
	require.False(t, IsList(TopicScope, "log.cleanup.policy"))
	require.Equal(t, "delete", DefaultOf("cleanup.policy"))
	require.Equal(t, "", DefaultOf("log.retention.ms"))
}

// Entries behave as a map, and With and Without leave their argument as it was.
func TestEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []Entry
		model := map[string]string{}
		names := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			before := slices.Clone(entries)
			old := entries
			name := names.Draw(t, "name")
			if rapid.Bool().Draw(t, "set") {
				value := rapid.String().Draw(t, "value")
				entries = With(entries, name, value)
				model[name] = value
			} else {
				entries = Without(entries, name)
				delete(model, name)
			}
			require.True(t, slices.Equal(before, old))
			require.Len(t, entries, len(model))
			for i, e := range entries {
				require.True(t, i == 0 || entries[i-1].Name < e.Name)
				require.Equal(t, model[e.Name], e.Value)
				value, ok := Find(entries, e.Name)
				require.True(t, ok && value == e.Value)
			}
		}
	})
}

// No value makes a check panic, and a value that passes is taken over.
func FuzzTopicValue(f *testing.F) {
	f.Add("retention.ms", "5")
	f.Add("cleanup.policy", ",,compact")
	f.Add("min.cleanable.dirty.ratio", "NaN")
	b, _, err := Parse(nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, name, value string) {
		c, err := b.Topic([]Entry{{name, value}})
		require.NotNil(t, c)
		require.Equal(t, b.ValidateTopic(name, value) == nil, err == nil)
	})
}
