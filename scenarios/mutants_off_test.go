//go:build !mutants

package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHuntNeedsMutants(t *testing.T) {
	_, err := HuntMutants(MutantOptions{}, nil)
	require.ErrorIs(t, err, errNoMutants)
}
