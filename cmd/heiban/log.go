package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/compress"
)

func logCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "log",
		Short:   "Look at log files",
		Example: "  heiban log dump heiban-data/news-0/00000000000000000000.log --records",
	}
	group(cmd)
	cmd.AddCommand(logDump())
	return cmd
}

func logDump() *cobra.Command {
	var d dump
	cmd := &cobra.Command{
		Use:     "dump FILE...",
		Short:   "Print the batches of segment files, and whether they are sound",
		Example: "  heiban log dump heiban-data/news-0/00000000000000000000.log --json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			out := bufio.NewWriter(cmd.OutOrStdout())
			defer out.Flush()
			d.out = out
			for _, name := range files {
				if err := d.file(name); err != nil {
					return err
				}
			}
			if d.broken {
				return errFailed
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&d.records, "records", false, "print the records too")
	cmd.Flags().BoolVar(&d.asJSON, "json", false, "print one JSON object per batch")
	return cmd
}

type dump struct {
	out     io.Writer
	records bool
	asJSON  bool
	broken  bool // a batch is not sound
}

// dumpedBatch is one batch as it is printed, with the field names of Kafka's protocol.
type dumpedBatch struct {
	Position             int64          `json:"position"`
	BaseOffset           int64          `json:"baseOffset"`
	LastOffset           int64          `json:"lastOffset"`
	Count                int32          `json:"count"`
	Size                 int32          `json:"size"`
	PartitionLeaderEpoch int32          `json:"partitionLeaderEpoch"`
	MaxTimestamp         int64          `json:"maxTimestamp"`
	Compression          string         `json:"compression"`
	ProducerID           int64          `json:"producerId"`
	ProducerEpoch        int16          `json:"producerEpoch"`
	BaseSequence         int32          `json:"baseSequence"`
	IsTransactional      bool           `json:"isTransactional"`
	IsControl            bool           `json:"isControl"`
	IsValid              bool           `json:"isvalid"`
	Records              []dumpedRecord `json:"records,omitempty"`
}

type dumpedRecord struct {
	Offset    int64   `json:"offset"`
	Timestamp int64   `json:"timestamp"`
	Key       *string `json:"key"`
	Value     *string `json:"value"`
}

// file prints one segment up to its end or to what is no whole batch, such as the torn
// end that a broker leaves when the power fails.
func (d *dump) file(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	if !d.asJSON {
		fmt.Fprintf(d.out, "Dumping %s\n", name)
	}
	for pos := int64(0); ; {
		data, h, err := nextBatch(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			d.broken = true
			fmt.Fprintf(d.out, "%s: at position %d: %v\n", name, pos, err)
			return nil
		}
		if err := d.batch(pos, data, &h); err != nil {
			return fmt.Errorf("%s at position %d: %w", name, pos, err)
		}
		pos += int64(len(data))
	}
}

// nextBatch reads one whole batch.
func nextBatch(in *bufio.Reader) ([]byte, batch.Header, error) {
	var h batch.Header
	head, err := in.Peek(batch.HeaderSize)
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return nil, h, io.EOF
	}
	if err != nil {
		return nil, h, fmt.Errorf("%d bytes are no batch", len(head))
	}
	if err := batch.Parse(head, &h); err != nil {
		return nil, h, err
	}
	const bytesMax = 1 << 30
	if h.Size > bytesMax {
		return nil, h, fmt.Errorf("a batch of %d bytes is too large", h.Size)
	}
	data := make([]byte, h.Size)
	if n, err := io.ReadFull(in, data); err != nil {
		return nil, h, fmt.Errorf("the batch of %d bytes ends after %d", h.Size, n)
	}
	return data, h, nil
}

func (d *dump) batch(pos int64, data []byte, h *batch.Header) error {
	b := dumpedBatch{
		Position: pos, BaseOffset: h.BaseOffset, LastOffset: h.LastOffset(), Count: h.RecordCount,
		Size: h.Size, PartitionLeaderEpoch: h.PartitionLeaderEpoch, MaxTimestamp: h.MaxTimestamp,
		Compression: h.Codec().String(), ProducerID: h.ProducerID, ProducerEpoch: h.ProducerEpoch,
		BaseSequence: h.BaseSequence, IsTransactional: h.IsTransactional(),
		IsControl: h.IsControl(), IsValid: batch.ValidCRC(data, h),
	}
	d.broken = d.broken || !b.IsValid
	if d.records && b.IsValid {
		if err := b.readRecords(data, h); err != nil {
			return err
		}
	}
	if d.asJSON {
		return json.NewEncoder(d.out).Encode(b)
	}
	fmt.Fprintf(d.out, "baseOffset: %d lastOffset: %d count: %d baseSequence: %d producerId: %d "+
		"producerEpoch: %d partitionLeaderEpoch: %d isTransactional: %t isControl: %t "+
		"position: %d maxTimestamp: %d size: %d compresscodec: %s isvalid: %t\n",
		b.BaseOffset, b.LastOffset, b.Count, b.BaseSequence, b.ProducerID, b.ProducerEpoch,
		b.PartitionLeaderEpoch, b.IsTransactional, b.IsControl, b.Position, b.MaxTimestamp, b.Size,
		b.Compression, b.IsValid)
	for _, r := range b.Records {
		fmt.Fprintf(d.out, "| offset: %d timestamp: %d key: %s payload: %s\n",
			r.Offset, r.Timestamp, orNull(r.Key), orNull(r.Value))
	}
	return nil
}

func (b *dumpedBatch) readRecords(data []byte, h *batch.Header) error {
	const expandedMax = 1 << 30
	reader := batch.Reader{Codec: new(compress.Codec), BytesMax: expandedMax}
	records, err := reader.Records(data, h)
	if err != nil {
		return err
	}
	var r batch.Record
	for records.Next(&r) {
		b.Records = append(b.Records, dumpedRecord{
			Offset: h.Offset(&r), Timestamp: h.Timestamp(&r),
			Key: text(r.Key), Value: text(r.Value),
		})
	}
	return records.Err()
}

// text is a key or value as a string; nil is null.
func text(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

func orNull(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}
