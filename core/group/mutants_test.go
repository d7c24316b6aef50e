//go:build mutants

package group

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
	rapid.Check(r, func(t *rapid.T) { runModel(t, set) })
}

// The model notices each of the mutants.
func TestModelKillsMutants(t *testing.T) {
	require.NoError(t, flag.Set("rapid.nofailfile", "true"))
	require.NoError(t, flag.Set("rapid.shrinktime", "0s"))
	require.NoError(t, flag.Set("rapid.steps", "80"))
	for _, id := range []mutant.ID{
		mutant.G4CommitOfAnyone, mutant.G5ExpireInRebalance, mutant.G7StaticNotFenced,
		mutant.G8RevokingIsFree, mutant.G9SyncOfAnyone,
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
			require.Positive(t, set.Hits(), "the mutant's line runs")
			require.True(t, r.failed, "%s is noticed", id)
		})
	}
}
