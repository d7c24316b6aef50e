//go:build !race

package realnet

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The way of a Produce through sockets, driver and disk allocates nothing. What is
// left is the core's.
func TestAProduceAllocatesNothingHere(t *testing.T) {
	n := startNode(t, t.TempDir())
	n.createTopic("t", 1)
	c := dial(t, n.Addr())
	require.NoError(t, c.SetDeadline(time.Time{}))
	answer := make([]byte, 512)
	frame := c.frame(produceRequest(0, 1, batchOf(1<<10)), "")
	produce := func() {
		_, err := c.Write(frame)
		if err == nil {
			_, err = io.ReadFull(c, answer[:4])
		}
		if err == nil {
			_, err = io.ReadFull(c, answer[4:4+int(answer[3])])
		}
		if err != nil {
			t.Error(err)
		}
	}
	const ofTheCore = 1 // the rules in Prepare
	require.LessOrEqual(t, testing.AllocsPerRun(2000, produce), float64(ofTheCore))
}
