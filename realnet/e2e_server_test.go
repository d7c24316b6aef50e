package realnet

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestMetricsAreServed(t *testing.T) {
	n := startNode(t, t.TempDir())
	n.shutdown()
	n.metricsAddress = "127.0.0.1:0"
	n.start()
	n.createTopic("t", 3)
	c := n.client(kgo.DefaultProduceTopic("t"))
	for range 7 {
		require.NoError(t, c.ProduceSync(testContext(t), kgo.StringRecord("x")).FirstErr())
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + n.MetricsAddr() + "/metrics")
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	for _, want := range []string{
		"kafka_server_brokertopicmetrics_messagesin_total 7\n",
		"kafka_server_brokertopicmetrics_totalproducerequests_total 7\n",
		"kafka_server_replicamanager_partitioncount 3\n",
		`kafka_network_requestmetrics_requests_total{request="Produce"} 7` + "\n",
		"heiban_topics_created_total 1\n",
	} {
		require.Contains(t, string(text), want)
	}
}

func TestAShutdownThatTakesTooLongIsCutShort(t *testing.T) {
	n := startNode(t, t.TempDir())
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(fmt.Errorf("enough"))
	err := n.Shutdown(ctx)
	if err != nil { // unless it was faster
		require.ErrorContains(t, err, "enough")
	}
	select {
	case <-n.Done():
	default:
		require.Fail(t, "the node still runs")
	}
	n.start()
}

func TestCloseMayBeCalledTwice(t *testing.T) {
	n := startNode(t, t.TempDir())
	n.Close()
	n.Close()
	require.NoError(t, n.Err())
}
