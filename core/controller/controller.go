// Package controller decides about a cluster's metadata: which topics there are,
// where their replicas stand, who leads them, and how everything is configured. It
// also answers requests that only read metadata. It knows nothing of logs, of
// connections, or of how records are agreed on. Start at Controller.
//
// A change of metadata has two halves. A decision returns records and a response,
// and changes nothing. Then:
//
//  1. In the same step the caller appends the records to the metadata log, as one
//     batch, and has the controller Replay them. From here on, decisions see them,
//     although they may yet be lost in a crash.
//  2. When the batch is committed, the caller applies the same records to the image
//     that it publishes, and sends the response.
//
// Nothing that is not committed reaches a client or another node, and records
// commit in the order of decisions. So the published image at any time equals the
// controller's at an earlier one, and a crash takes back only what nobody has seen.
// Replay is never undone: a controller that cannot commit is not the active one any
// more, and is dropped with its image.
//
// Beside the metadata a controller keeps sessions of brokers: when each was heard of.
// They are in no record, and alone change without one.
package controller

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/mutant"
)

// recordsMax is how many records one request may come to.
const recordsMax = 10_000 // kafka: QuorumController.MAX_RECORDS_PER_USER_OP

// Options is what a controller knows beside the metadata.
type Options struct {
	ClusterID string
	// Features are the ranges of levels that this software supports as a controller.
	Features []metadata.BrokerFeature
	Mutants  mutant.Set
	// Now is when the controller becomes the active one. Sessions of brokers and
	// intervals begin at it.
	Now clock.Instant
	// Before is the node that led before, and BeforeHeard when the quorum last heard of
	// it, or zero if that is not known. Its broker was alive then.
	Before      int32
	BeforeHeard clock.Instant
}

// Controller decides on top of an image that may be ahead of the published one. It is
// the active one as long as it is used: whoever becomes active makes a new one, from
// what is committed.
type Controller struct {
	image    *metadata.Image
	options  Options
	sessions []session // by broker

	nextBalance clock.Instant // of leaders
	nextUnclean clock.Instant // election
}

// New returns a controller for a cluster as it is at image. The next record must have
// the offset that follows the image's.
func New(image *metadata.Image, o Options) *Controller {
	c := &Controller{image: image, options: o}
	c.startSessions()
	c.nextBalance = o.Now.Add(image.Config().LeaderImbalanceCheckInterval)
	c.nextUnclean = o.Now.Add(image.Config().UncleanLeaderElectionCheckInterval)
	return c
}

// Image returns the image that decisions see.
func (c *Controller) Image() *metadata.Image { return c.image }

// Replay folds the records of a decision into the image that decisions see.
func (c *Controller) Replay(records []metadata.Record) {
	c.image, _ = c.image.Apply(records)
}

// Skip notes that n offsets of the metadata log are taken by what is no metadata.
func (c *Controller) Skip(n int64) { c.image = c.image.At(c.image.Offset() + n) }

// Result is a decision: the records that carry it out, all or none, and the answer to
// send once they are committed. An answer without records still speaks of what was
// decided before, and waits until that is committed.
type Result[R any] struct {
	Records  []metadata.Record
	Response R
}

// Source is where a decision draws new ids from.
type Source func() metadata.ID

// failure is a client's mistake: an error code and a sentence.
type failure struct {
	text string
	code errcode.Code
}

func fail(code errcode.Code, text string) *failure { return &failure{text: text, code: code} }

// codes returns how a failure stands in a response; nil is success.
func (f *failure) codes() (int16, *string) {
	if f == nil {
		return int16(errcode.None), nil
	}
	if f.text == "" {
		return int16(f.code), nil
	}
	return int16(f.code), &f.text
}

// internal reports whether a topic belongs to the cluster and not to its users.
func internal(topic string) bool {
	switch topic {
	case "__consumer_offsets", "__transaction_state", "__share_group_state":
		return true
	}
	return false
}

// metadataTopic is the metadata log, which is not a topic like others.
const metadataTopic = "__cluster_metadata"

// nameMax is how long a topic's name may be, so that its directory has room for
// a partition's number and a deletion's suffix.
const nameMax = 249

// checkName returns a failure unless name may be a topic's.
func checkName(name string) *failure {
	bad := func(text string) *failure { return fail(errcode.InvalidTopicException, text) }
	switch {
	case name == "":
		return bad("the topic name is empty")
	case name == "." || name == "..":
		return bad("the topic name cannot be . or ..")
	case len(name) > nameMax:
		return bad("the topic name is longer than 249 characters")
	}
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '.' && c != '_' && c != '-' {
			return bad("the topic name holds other characters than letters, digits, '.', '_' and '-'")
		}
	}
	return nil
}
