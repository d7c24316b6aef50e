package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/mutant"
)

const (
	scanBytes = 1 << 17 // read at once where every byte counts: half a second-level cache
	walkBytes = 1 << 14 // read at once where only headers do
)

// scanner reads segments from their files in recovery.
type scanner struct {
	fs          Files
	set         *Settings
	cfg         *Config
	buf         []byte
	producers   *producers
	producersAt int64 // the offset up to which producers are known
	allEpochs   bool  // there is no checkpoint: look at every batch
	epochsFound bool  // batches had epochs that the checkpoint had not
}

// openSegment is a log file being read.
type openSegment struct {
	f    File
	path string
	size int64
	buf  []byte
	at   int64 // position of buf[0]
	have int
}

// open opens a log file, to be read n bytes at a time.
func (sc *scanner) open(path string, n int) (*openSegment, error) {
	f, err := sc.fs.Open(path)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if most := sc.set.CleanerIOBufferBytes; most > 0 {
		n = max(min(n, most), 1024)
	}
	if len(sc.buf) < n {
		sc.buf = make([]byte, n)
	}
	return &openSegment{f: f, path: path, size: size, buf: sc.buf[:n]}, nil
}

// peek returns the bytes at pos that are at hand: at least one, and at least n
// unless the file ends or the buffer is smaller.
func (s *openSegment) peek(pos int64, n int) ([]byte, error) {
	if pos >= s.at && pos < s.at+int64(s.have) {
		p := s.buf[pos-s.at : s.have]
		if len(p) >= n || s.at+int64(s.have) == s.size {
			return p, nil
		}
	}
	p := s.buf[:min(int64(len(s.buf)), s.size-pos)]
	got, err := s.f.ReadAt(p, pos)
	s.at, s.have = pos, got
	if got < len(p) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read %s at %d: %w", s.path, pos, err)
	}
	return p, nil
}

// crc computes the CRC of the bytes from pos to end.
func (s *openSegment) crc(pos, end int64) (uint32, error) {
	sum := uint32(0)
	for pos < end {
		p, err := s.peek(pos, 1)
		if err != nil {
			return 0, err
		}
		p = p[:min(int64(len(p)), end-pos)]
		sum = crc32.Update(sum, castagnoli, p)
		pos += int64(len(p))
	}
	return sum, nil
}

// errOldFormat says that a segment is from before Kafka 0.11.
var errOldFormat = errors.New("message formats older than v2 are not supported")

// header reads the header at pos. A header that cannot be is a reason to stop, not
// an error.
func (s *openSegment) header(pos int64, h *batch.Header) (reason string, err error) {
	p, err := s.peek(pos, batch.HeaderSize)
	if err != nil {
		return "", err
	}
	if invalid := batch.Parse(p, h); invalid != nil {
		if errors.Is(invalid, batch.ErrMagic) {
			err = s.checkFormat(pos, p)
		}
		return invalid.Error(), err
	}
	switch {
	case pos+int64(h.Size) > s.size:
		return "the batch is cut off", nil
	case h.LastOffsetDelta < 0:
		return "the batch's last offset is below its first", nil
	}
	return "", nil
}

// checkFormat returns an error if a whole message of magic 0 or 1 with the right CRC
// starts at p. To cut it off as torn would be a mistake.
func (s *openSegment) checkFormat(pos int64, p []byte) error {
	length := int64(binary.BigEndian.Uint32(p[8:]))
	end := pos + 12 + length
	if p[16] > 1 || end > s.size || length > math.MaxInt32 {
		return nil
	}
	message := make([]byte, length)
	if n, err := s.f.ReadAt(message, pos+12); int64(n) < length {
		return fmt.Errorf("read %s at %d: %w", s.path, pos+12, err)
	}
	if crc32.ChecksumIEEE(message[4:]) != binary.BigEndian.Uint32(message) {
		return nil
	}
	return fmt.Errorf("%s at %d: %w", s.path, pos, errOldFormat)
}

// endOf returns the end offset of the segment in a file that is known to be whole.
func (sc *scanner) endOf(path string, base int64) (int64, error) {
	s, err := sc.open(path, walkBytes)
	if err != nil {
		return 0, err
	}
	defer s.f.Close()
	end := base
	var h batch.Header
	for pos := int64(0); pos < s.size; pos += int64(h.Size) {
		reason, err := s.header(pos, &h)
		if err == nil && reason != "" {
			err = fmt.Errorf("%s at %d: %s", path, pos, reason)
		}
		if err != nil {
			return 0, err
		}
		end = h.NextOffset()
	}
	return end, nil
}

// scan is what to do on the way through a segment.
type scan struct {
	verify bool        // check the CRCs
	epochs *epochCache // takes in the epochs that are new to it
	until  int64       // stop before the first batch that ends here or above
}

// segment reads a segment into seg: its size, end, index and transaction index. The
// producers are those at its base, and then at its end. It stops before the first
// batch that is not valid and says why.
func (sc *scanner) segment(path string, seg *segment, todo scan) (reason string, err error) {
	s, err := sc.open(path, scanBytes)
	if err != nil {
		return "", err
	}
	defer s.f.Close()
	var h batch.Header
	for seg.size < s.size {
		reason, err = s.header(seg.size, &h)
		if err == nil && reason == "" {
			reason, err = sc.validate(s, seg, &h, todo)
		}
		if reason != "" || err != nil {
			return reason, err
		}
		if h.LastOffset() >= todo.until {
			return "", nil
		}
		if err := sc.take(s, seg, &h, todo); err != nil {
			return "", err
		}
		seg.append(h.LastOffset(), h.MaxTimestamp, int64(h.Size), sc.set.IndexEntriesMax)
	}
	return "", nil
}

// validate says what is wrong with the batch after the ones that seg has.
func (sc *scanner) validate(
	s *openSegment, seg *segment, h *batch.Header, todo scan,
) (reason string, err error) {
	if h.BaseOffset < seg.end {
		return fmt.Sprintf("offset %d after %d", h.BaseOffset, seg.end-1), nil
	}
	if h.LastOffset()-seg.base > math.MaxInt32 {
		return fmt.Sprintf("offset %d does not fit the segment", h.LastOffset()), nil
	}
	if !todo.verify {
		return "", nil
	}
	sum, err := s.crc(seg.size+21, seg.size+int64(h.Size))
	if err != nil || sum == h.CRC || sc.set.Mutants.On(mutant.D1KeepTornTail) {
		return "", err
	}
	return fmt.Sprintf("CRC %08x, want %08x", sum, h.CRC), nil
}

// take notes the epoch and the producer of a batch.
func (sc *scanner) take(s *openSegment, seg *segment, h *batch.Header, todo scan) error {
	epoch := h.PartitionLeaderEpoch
	if epoch >= 0 && epoch < todo.epochs.epochOf(h.BaseOffset) {
		// The checkpoint is from before an epoch was dropped that had written nothing.
		todo.epochs.truncateEnd(h.BaseOffset)
		sc.epochsFound = true
	}
	if epoch > todo.epochs.latest() {
		todo.epochs.assign(epoch, h.BaseOffset)
		sc.epochsFound = true
	}
	return sc.applyBatch(s, seg, h, seg.size)
}

// applyBatch replays a batch at pos to the producers.
func (sc *scanner) applyBatch(s *openSegment, seg *segment, h *batch.Header, pos int64) error {
	sc.producersAt = h.NextOffset()
	if !h.IsControl() {
		sc.producers.apply(h, h.BaseOffset)
		return nil
	}
	data := make([]byte, h.Size) // control batches are small
	if n, err := s.f.ReadAt(data, pos); n < len(data) {
		return fmt.Errorf("read %s at %d: %w", s.path, pos, err)
	}
	m, ok, err := batch.ParseMarker(data, h)
	if err != nil {
		return fmt.Errorf("%s at %d: %w", s.path, pos, err)
	}
	if !ok {
		return nil
	}
	if aborted, is := sc.producers.applyMarker(&m, h.BaseOffset); is && seg.state == active {
		seg.aborted = append(seg.aborted, aborted)
	}
	return nil
}

// replay brings the producers up to the end of a segment that was not scanned.
func (sc *scanner) replay(path string, seg *segment) error {
	s, err := sc.open(path, walkBytes)
	if err != nil {
		return err
	}
	defer s.f.Close()
	var h batch.Header
	for pos := int64(0); pos < seg.size; pos += int64(h.Size) {
		reason, err := s.header(pos, &h)
		if err == nil && reason != "" {
			err = fmt.Errorf("%s at %d: %s", path, pos, reason)
		}
		if err != nil {
			return err
		}
		if h.BaseOffset < sc.producersAt {
			continue
		}
		if err := sc.applyBatch(s, seg, &h, pos); err != nil {
			return err
		}
	}
	sc.producersAt = max(sc.producersAt, seg.end)
	return nil
}
