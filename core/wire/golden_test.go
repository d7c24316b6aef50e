package wire

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestRequestsOfRealClients parses what real clients sent, and prints it.
func TestRequestsOfRealClients(t *testing.T) {
	datadriven.Walk(t, "testdata/clients", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			require.Equal(t, "request", d.Cmd)
			frame, err := hex.DecodeString(strings.ReplaceAll(d.Input, "\n", ""))
			require.NoError(t, err)
			return describe(t, frame)
		})
	})
}

func describe(t *testing.T, frame []byte) string {
	var h Header
	body, err := ParseHeader(frame, &h)
	require.NoError(t, err)
	r, err := Parse(&h, body)
	require.NoError(t, err)
	var b strings.Builder
	fmt.Fprintf(&b, "%s v%d correlationId=%d clientId=%q\n",
		kmsg.NameForKey(h.Key), h.Version, h.CorrelationID, h.ClientID)
	switch r := r.(type) {
	case *ProduceRequest:
		describeProduce(&b, r)
	case *FetchRequest:
		describeFetch(&b, r)
	default:
		if Supported(h.Key, h.Version) {
			require.Equal(t, body, r.(kmsg.Request).AppendTo([]byte{}))
		}
		text, err := json.Marshal(r)
		require.NoError(t, err)
		b.WriteString(strings.ReplaceAll(string(text), `,"UnknownTags":{}`, "") + "\n")
	}
	return b.String()
}

func describeProduce(b *strings.Builder, r *ProduceRequest) {
	fmt.Fprintf(b, "transactionalId=%q,%t acks=%d timeoutMs=%d\n",
		r.TransactionalID, r.HasTransactionalID, r.Acks, r.TimeoutMillis)
	for _, p := range r.Partitions {
		fmt.Fprintf(b, "  topic=%q topicId=%x run=%d partition=%d records=%d bytes, magic %d\n",
			p.Topic, p.TopicID, p.TopicRun, p.Partition, len(p.Records), p.Records[16])
	}
}

func describeFetch(b *strings.Builder, r *FetchRequest) {
	fmt.Fprintf(b, "replica=%d epoch=%d maxWaitMs=%d minBytes=%d maxBytes=%d isolation=%d",
		r.ReplicaID, r.ReplicaEpoch, r.MaxWaitMillis, r.MinBytes, r.MaxBytes, r.IsolationLevel)
	fmt.Fprintf(b, " session=%d,%d rack=%q\n", r.SessionID, r.SessionEpoch, r.Rack)
	for _, p := range r.Partitions {
		fmt.Fprintf(b, "  topic=%q topicId=%x run=%d partition=%d fetchOffset=%d maxBytes=%d\n",
			p.Topic, p.TopicID, p.TopicRun, p.Partition, p.FetchOffset, p.MaxBytes)
		fmt.Fprintf(b, "    leaderEpoch=%d lastFetchedEpoch=%d logStart=%d highWatermark=%d\n",
			p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.LogStartOffset, p.HighWatermark)
	}
	for _, p := range r.Forgotten {
		fmt.Fprintf(b, "  forget topic=%q topicId=%x partition=%d\n",
			p.Topic, p.TopicID, p.Partition)
	}
}
