package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lineBytesMax is the longest line that produce takes as one record.
const lineBytesMax = 64 << 20

type produceFlags struct {
	connection
	acks        string
	separator   string
	compression string
	partition   int32
	idempotent  bool
}

func produceCommand() *cobra.Command {
	var f produceFlags
	cmd := &cobra.Command{
		Use:     "produce TOPIC",
		Short:   "Send each line of standard input as a record",
		Example: "  printf 'k1:first\\nk2:second\\n' | heiban produce news --key-separator :",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), args[0], cmd.InOrStdin(), cmd.ErrOrStderr())
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&f.acks, "acks", "all", "0, 1 or all")
	cmd.Flags().StringVar(&f.separator, "key-separator", "",
		"what parts key and value; without it there is no key")
	cmd.Flags().StringVar(&f.compression, "compression", "none", "none, gzip, snappy, lz4 or zstd")
	cmd.Flags().Int32Var(&f.partition, "partition", -1, "send to this partition only")
	cmd.Flags().BoolVar(&f.idempotent, "idempotent", true, "deduplicate retries (acks=all only)")
	return cmd
}

func (f *produceFlags) options() ([]kgo.Opt, error) {
	acks, ok := map[string]kgo.Acks{
		"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks(), "-1": kgo.AllISRAcks(),
	}[f.acks]
	if !ok {
		return nil, wrongUse("--acks %q: want 0, 1 or all", f.acks)
	}
	codec, ok := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(),
		"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[f.compression]
	if !ok {
		return nil, wrongUse("--compression %q: want none, gzip, snappy, lz4 or zstd",
			f.compression)
	}
	options := []kgo.Opt{
		kgo.RequiredAcks(acks), kgo.ProducerBatchCompression(codec), kgo.AllowAutoTopicCreation(),
		kgo.ProducerBatchMaxBytes(1 << 20), kgo.RecordDeliveryTimeout(f.timeout),
	}
	if !f.idempotent || acks != kgo.AllISRAcks() {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	if f.partition >= 0 {
		options = append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return options, nil
}

func (f *produceFlags) run(
	ctx context.Context, topic string, in io.Reader, errOut io.Writer,
) error {
	options, err := f.options()
	if err != nil {
		return err
	}
	client, err := f.client(options...)
	if err != nil {
		return err
	}
	defer client.Close()

	var (
		mu     sync.Mutex
		first  error
		failed int
	)
	done := func(_ *kgo.Record, err error) {
		if err == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		failed++
		if first == nil {
			first = err
		}
	}
	lines := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		client.Produce(ctx, f.record(topic, line), done)
	}
	if err := client.Flush(ctx); err != nil {
		return fmt.Errorf("wait for acknowledgements: %w", err)
	}
	if first != nil {
		fmt.Fprintf(errOut, "%d records were not acknowledged\n", failed)
		return fmt.Errorf("produce to %s: %w", topic, first)
	}
	return nil
}

// record makes a record of a line.
func (f *produceFlags) record(topic, line string) *kgo.Record {
	r := &kgo.Record{Topic: topic, Partition: max(f.partition, 0)}
	if f.separator != "" {
		if key, value, ok := strings.Cut(line, f.separator); ok {
			r.Key, r.Value = []byte(key), []byte(value)
			return r
		}
	}
	r.Value = []byte(line)
	return r
}

// readLine returns the next line without its end. Only an empty rest is io.EOF.
func readLine(in *bufio.Reader) (string, error) {
	var line strings.Builder
	for {
		part, err := in.ReadSlice('\n')
		line.Write(part)
		switch {
		case line.Len() > lineBytesMax:
			return "", fmt.Errorf("a line is longer than %d bytes", lineBytesMax)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && line.Len() > 0, err == nil:
			return strings.TrimSuffix(strings.TrimSuffix(line.String(), "\n"), "\r"), nil
		default:
			return "", err
		}
	}
}
