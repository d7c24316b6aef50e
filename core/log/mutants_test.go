//go:build mutants

package log

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

// check runs a model with a mutant.
func (r *recorder) check(set mutant.Set, model func(*rapid.T, mutant.Set)) {
	defer func() {
		if p := recover(); p != nil && p != (failedNow{}) {
			panic(p)
		}
	}()
	rapid.Check(r, func(t *rapid.T) { model(t, set) })
}

// The models notice each of the log's own mutants.
func TestModelKillsMutants(t *testing.T) {
	for _, id := range []mutant.ID{
		mutant.D1KeepTornTail, mutant.D2RecoveryPointBeforeSync, mutant.D7NoDirectorySync,
	} {
		t.Run(id.String(), func(t *testing.T) {
			kill(t, id, func(t *rapid.T, set mutant.Set) {
				t.Repeat(rapid.StateMachineActions(newLogMachine(t, set)))
			})
		})
	}
	for _, id := range []mutant.ID{
		mutant.T15KeepEpochs, mutant.T16KeepProducers, mutant.T17NoTruncationMark,
	} {
		t.Run(id.String(), func(t *testing.T) {
			kill(t, id, func(t *rapid.T, set mutant.Set) {
				t.Repeat(rapid.StateMachineActions(newReplicaMachine(t, set)))
			})
		})
	}
}

func kill(t *testing.T, id mutant.ID, model func(*rapid.T, mutant.Set)) {
	require.NoError(t, flag.Set("rapid.nofailfile", "true"))
	require.NoError(t, flag.Set("rapid.shrinktime", "0s"))
	set := mutant.New(id)
	r := &recorder{TB: t}
	for range 50 {
		if r.check(set, model); r.failed {
			break
		}
		repeatable.Next(t)
	}
	require.Positive(t, set.Hits(), "the mutant's line ran")
	require.True(t, r.failed, "the mutant was noticed")
}
