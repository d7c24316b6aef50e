package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRotInTailSparesWhatRecoveryNeedNotRead: the segment before the last one may be
// below the recovery point, even if the last one is empty.
func TestRotInTailSparesWhatRecoveryNeedNotRead(t *testing.T) {
	d := newDisk(5)
	require.NoError(t, d.makeDir("/data/t-0"))
	d.order(t, "/data/t-0/00000000000000000000.log", string(make([]byte, 1000)), 0)
	_, err := d.create("/data/t-0/00000000000000000009.log")
	require.NoError(t, err)
	_, rotten := d.rotTail()
	require.False(t, rotten)
	d.order(t, "/data/t-0/00000000000000000009.log", "x", 0)
	m, rotten := d.rotTail()
	require.True(t, rotten)
	require.Equal(t, "/data/t-0/00000000000000000009.log", m.Path)
}
