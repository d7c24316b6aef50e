package core

import (
	"errors"
	"fmt"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/quorum"
)

// metadataReader reads batches of metadata records. Memory of compressed batches is
// reused: what it returns is valid until the next call, but for the records, which own
// theirs.
type metadataReader struct {
	codec  batch.Codec
	blocks *batch.Reader
}

func (r *metadataReader) reader() *batch.Reader {
	if r.blocks == nil {
		r.blocks = &batch.Reader{Codec: r.codec, BytesMax: 1 << 30}
	}
	return r.blocks
}

// batch returns the first of the batches in data, which must be whole.
func (r *metadataReader) batch(data []byte) ([]byte, batch.Header, error) {
	var h batch.Header
	if err := batch.Parse(data, &h); err != nil {
		return nil, h, err
	}
	if !batch.ValidCRC(data, &h) {
		return nil, h, fmt.Errorf("batch at offset %d: wrong checksum", h.BaseOffset)
	}
	return data[:h.Size], h, nil
}

// records decodes the metadata records of a batch; a control batch has none. Those of
// a type that is not kept are left out.
func (r *metadataReader) records(one []byte, h *batch.Header) ([]metadata.Record, error) {
	if h.IsControl() {
		return nil, nil
	}
	all, err := r.reader().Records(one, h)
	if err != nil {
		return nil, fmt.Errorf("batch at offset %d: %w", h.BaseOffset, err)
	}
	records := make([]metadata.Record, 0, max(0, min(h.RecordCount, h.Size)))
	var v batch.Record
	for all.Next(&v) {
		record, err := metadata.DecodeRecord(v.Value)
		if errors.Is(err, metadata.ErrNotKept) {
			continue
		}
		if err == nil {
			err = checkVersion(record)
		}
		if err != nil {
			return nil, fmt.Errorf("batch at offset %d: %w", h.BaseOffset, err)
		}
		records = append(records, record)
	}
	if err := all.Err(); err != nil {
		return nil, fmt.Errorf("batch at offset %d: %w", h.BaseOffset, err)
	}
	return records, nil
}

// entry decodes the records of an entry of the quorum's log.
func (r *metadataReader) entry(entry *quorum.Entry) ([]metadata.Record, error) {
	one, h, err := r.batch(entry.Data)
	if err != nil {
		return nil, err
	}
	return r.records(one, &h)
}

// checkVersion refuses a log whose metadata version is not known: it may hold what this
// software would misread.
func checkVersion(record metadata.Record) error {
	f, ok := record.(*metadata.FeatureLevelRecord)
	if ok && f.Name == metadata.MetadataVersion && f.FeatureLevel > metadata.MetadataVersionMax {
		return fmt.Errorf("%w: the log is of %s %d, and this software knows it up to %d",
			metadata.ErrUnsupported, f.Name, f.FeatureLevel, metadata.MetadataVersionMax)
	}
	return nil
}
