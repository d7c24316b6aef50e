//go:build mutants

package controller

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/mutant"
	"github.com/heiban/heiban/internal/repeatable"
)

// recorder is a test that is meant to fail.
type recorder struct {
	testing.TB
	failed bool
}

type failedNow struct{}

func (r *recorder) Failed() bool          { return r.failed }
func (r *recorder) Fail()                 { r.failed = true }
func (r *recorder) Error(...any)          { r.failed = true }
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Log(...any)            {}
func (r *recorder) Logf(string, ...any)   {}
func (r *recorder) FailNow()              { r.failed = true; panic(failedNow{}) }
func (r *recorder) Fatal(...any)          { r.FailNow() }
func (r *recorder) Fatalf(string, ...any) { r.FailNow() }

// check runs the model with a mutant.
func (r *recorder) check(set mutant.Set) {
	defer func() {
		if p := recover(); p != nil && p != (failedNow{}) {
			panic(p)
		}
	}()
	rapid.Check(r, func(t *rapid.T) { t.Repeat(newModel(t, set).actions()) })
}

// The model notices each of the controller's own mutants.
func TestModelKillsMutants(t *testing.T) {
	require.NoError(t, flag.Set("rapid.nofailfile", "true"))
	require.NoError(t, flag.Set("rapid.shrinktime", "0s"))
	for _, id := range []mutant.ID{
		mutant.I4InactiveInSync, mutant.I7IgnorePartitionEpoch, mutant.I11ElectAnyLive,
		mutant.E1UncleanStaysEligible, mutant.E2KeepEligible,
	} {
		t.Run(id.String(), func(t *testing.T) {
			set := mutant.New(id)
			r := &recorder{TB: t}
			for range 20 {
				if r.check(set); r.failed {
					break
				}
				repeatable.Next(t)
			}
			require.Positive(t, set.Hits(), "the mutant's line ran")
			require.True(t, r.failed, "the mutant was noticed")
		})
	}
}
