package core

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// Prepare does the part of a Produce that grows with bytes: it validates every batch
// and, where the topic's configuration asks for it, stamps or recompresses it. A
// driver calls it before it steps the request, outside of its lock. The result goes
// into the fields of req that Prepare owns.
//
// The configuration is the image's at this moment: a change that commits between
// Prepare and Step counts as made after the produce. A topic the image does not hold
// is left to Step.
func Prepare(img *metadata.Image, codec batch.Codec, now clock.Wall, req *wire.ProduceRequest) {
	const (
		topicIDsFrom = 13
		zstdFrom     = 7
	)
	for i := range req.Partitions {
		part := &req.Partitions[i]
		var t *metadata.Topic
		if req.Version >= topicIDsFrom {
			t = img.TopicByID(part.TopicID)
		} else {
			t = img.Topic(part.Topic)
		}
		part.Batch, part.Err, part.ErrorMessage = batch.Header{}, errcode.None, ""
		part.RecordErrors = part.RecordErrors[:0]
		if t == nil {
			continue
		}
		rules := rulesOf(t.Config)
		rules.AllowZstd = req.Version >= zstdFrom
		// No request could carry more if it were not compressed.
		rules.DecompressedBytesMax = int(img.Config().SocketRequestMaxBytes)
		checked := batch.Check(part.Records, &rules, now, codec)
		part.Batch, part.Records = checked.Header, checked.Data
		part.Err, part.ErrorMessage = checked.Err, checked.Message
		for _, e := range checked.RecordErrors {
			part.RecordErrors = append(part.RecordErrors,
				wire.RecordError{Index: e.Index, Message: e.Message})
		}
	}
}

// decompressedBytesMax is how large the records of one batch may be once they are
// expanded, where the topic's configuration asks to look into them. Kafka has no limit.
const decompressedBytesMax = 128 << 20

// rulesOf returns what a topic's configuration asks of a producer's batch.
func rulesOf(cfg *log.Config) batch.Rules {
	return batch.Rules{
		MaxMessageBytes:          cfg.MaxMessageBytes,
		DecompressedBytesMax:     decompressedBytesMax,
		TimestampType:            cfg.TimestampType,
		TimestampBeforeMaxMillis: cfg.TimestampBeforeMaxMillis,
		TimestampAfterMaxMillis:  cfg.TimestampAfterMaxMillis,
		Compacted:                cfg.CleanupCompact,
		KeepCompression:          cfg.KeepCompression,
		Compression:              cfg.Compression,
		CompressionLevel:         cfg.CompressionLevel,
	}
}

// PrepareAnswer does the part of an answer from another node that grows with bytes: it
// finds and checks the batches of a Fetch. A driver calls it before it steps the answer,
// outside of its lock.
func PrepareAnswer(resp wire.Response) {
	fetched, ok := resp.(*wire.FetchResponse)
	if !ok {
		return
	}
	for i := range fetched.Partitions {
		part := &fetched.Partitions[i]
		if part.Prepared == nil {
			part.Prepared = &wire.PreparedRecords{}
		}
		part.Prepared.Err = part.Prepared.Batches.Parse(part.Records)
	}
}
