package core

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
)

// readMetadata is the job that reads the whole metadata log. Kafka drops the beginning
// of a log that has grown long; what stood there is in a snapshot (KIP-630).
type readMetadata struct {
	slice log.Slice
	dir   string
	from  int64
	to    int64
}

// Run returns the records as []metadata.Record, oldest first.
func (j *readMetadata) Run(d *log.Devices) (log.Result, error) {
	var r metadataReader
	if j.from > 0 {
		name, end, err := newestSnapshot(d.Files, j.dir, j.from, j.to)
		if err != nil {
			return nil, err
		}
		data, err := readWhole(d.Files, path.Join(j.dir, name))
		if err != nil {
			return nil, fmt.Errorf("read metadata snapshot %s: %w", name, err)
		}
		if err := r.read(data, d.Codec); err != nil {
			return nil, fmt.Errorf("metadata snapshot %s: %w", name, err)
		}
		r.above = end
	}
	data, err := log.ReadAll(d, &j.slice)
	if err != nil {
		return nil, fmt.Errorf("read the metadata log: %w", err)
	}
	if err := r.read(data, d.Codec); err != nil {
		return nil, fmt.Errorf("metadata log: %w", err)
	}
	return r.records, nil
}

// newestSnapshot finds the last snapshot from which a log of the offsets from to to goes
// on. end is the first offset that it does not hold.
func newestSnapshot(
	files log.Files, dir string, from, to int64,
) (name string, end int64, err error) {
	entries, err := files.List(dir)
	if err != nil {
		return "", 0, fmt.Errorf("list %s: %w", dir, err)
	}
	for i := len(entries) - 1; i >= 0; i-- { // sorted: the newest comes first
		end, ok := snapshotEnd(entries[i].Name)
		if ok && from <= end && end <= to {
			return entries[i].Name, end, nil
		}
	}
	return "", 0, fmt.Errorf("the metadata log in %s begins at %d, and no snapshot ends there or "+
		"above: restore its .checkpoint files", dir, from)
}

// snapshotEnd reads the name of a snapshot: its end offset, a dash and the epoch of the
// offset before, with 20 and 10 digits.
func snapshotEnd(name string) (int64, bool) {
	const offsetDigits, epochDigits = 20, 10
	digits, ok := strings.CutSuffix(name, ".checkpoint")
	if !ok || len(digits) != offsetDigits+1+epochDigits || digits[offsetDigits] != '-' {
		return 0, false
	}
	end, err := strconv.ParseInt(digits[:offsetDigits], 10, 64)
	return end, err == nil && end >= 0
}

func readWhole(files log.Files, name string) (data []byte, err error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	data = make([]byte, size)
	if n, err := f.ReadAt(data, 0); n < len(data) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return data, nil
}

// metadataReader collects records.
type metadataReader struct {
	records []metadata.Record
	above   int64 // batches that end here or below are left out
}

func (r *metadataReader) read(data []byte, codec batch.Codec) error {
	reader := batch.Reader{Codec: codec}
	for len(data) > 0 {
		var h batch.Header
		if err := batch.Parse(data, &h); err != nil {
			return err
		}
		one := data[:h.Size]
		data = data[h.Size:]
		if !batch.ValidCRC(one, &h) {
			return fmt.Errorf("batch at offset %d: wrong checksum", h.BaseOffset)
		}
		if h.IsControl() || h.NextOffset() <= r.above {
			continue
		}
		all, err := reader.Records(one, &h)
		if err == nil {
			err = r.decode(&all)
		}
		if err != nil {
			return fmt.Errorf("batch at offset %d: %w", h.BaseOffset, err)
		}
	}
	return nil
}

func (r *metadataReader) decode(all *batch.Records) error {
	var one batch.Record
	for all.Next(&one) {
		record, err := metadata.DecodeRecord(one.Value)
		if errors.Is(err, metadata.ErrNotKept) {
			continue
		}
		if err != nil {
			return err
		}
		if f, ok := record.(*metadata.FeatureLevelRecord); ok && f.Name == metadata.MetadataVersion &&
			f.FeatureLevel > metadata.MetadataVersionMax {
			return fmt.Errorf("%w: the log is of %s %d, and this software knows it up to %d",
				metadata.ErrUnsupported, f.Name, f.FeatureLevel, metadata.MetadataVersionMax)
		}
		r.records = append(r.records, record)
	}
	return all.Err()
}
