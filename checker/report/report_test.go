package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/checker/kafka"
)

// history has a lost write of a key, sends of every outcome and a disturbance.
func history(key kafka.Key, sends int) *kafka.History {
	r := kafka.NewRecorder(kafka.Strict())
	now := int64(0)
	do := func(e kafka.Event, done kafka.Event) {
		now += 1_000_000
		e.Nanos = now
		id := r.Invoke(e)
		now += 2_000_000
		done.Nanos, done.F, done.Process = now, e.F, e.Process
		r.Complete(id, done)
	}
	read := kafka.Polled{Key: key}
	for i := range int64(sends) {
		send := kafka.Event{F: kafka.Send, Mops: []kafka.Mop{kafka.SendOf(key, i)}}
		outcome := kafka.Event{Type: kafka.OK, Mops: []kafka.Mop{
			{Key: key, Send: kafka.Record{Offset: i, Value: i}},
		}}
		switch i % 10 {
		case 7:
			outcome = kafka.Event{Type: kafka.Info, Error: "timed out"}
		case 8:
			outcome = kafka.Event{Type: kafka.Fail}
		default:
			if i != 1 {
				read.Records = append(read.Records, kafka.Record{Offset: i, Value: i})
			}
		}
		do(send, outcome)
	}
	do(kafka.Event{F: kafka.Nemesis, Process: -1, Error: "kill <one>"},
		kafka.Event{Type: kafka.Info, Error: "kill <one>"})
	do(kafka.Event{F: kafka.Poll, Process: 1, Mops: []kafka.Mop{{}}},
		kafka.Event{Type: kafka.OK, Mops: []kafka.Mop{{Polled: []kafka.Polled{read}}}})
	r.Invoke(kafka.Event{F: kafka.Poll, Process: 2, Mops: []kafka.Mop{{}}})
	do(kafka.Event{F: kafka.Final, Process: 1, Keys: []kafka.Key{key}}, kafka.Event{Type: kafka.OK})
	return &r.History
}

func written(t *testing.T, h *kafka.History) string {
	t.Helper()
	var page strings.Builder
	require.NoError(t, Write(&page, "a <title>", h.Config, kafka.Analyze(h)))
	return page.String()
}

// checkTags makes sure that every picture is closed as it was opened.
func checkTags(t *testing.T, page string) {
	t.Helper()
	for _, part := range strings.Split(page, "<svg")[1:] {
		picture, _, closed := strings.Cut("<svg"+part, "</svg>")
		require.True(t, closed)
		decoder := xml.NewDecoder(strings.NewReader(picture + "</svg>"))
		for {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
	}
}

func TestPage(t *testing.T) {
	page := written(t, history("news-0", 50))
	for _, want := range []string{
		"a &lt;title&gt;", `class="verdict invalid"`, "lost-write: 1", "unseen: 1", "acks=all",
		"value 1 of news-0 was acknowledged", "[3,4] process 0 send news-0:1@1 ok",
		`class="ok witness"`, "kill &lt;one&gt;", `<circle class="info"`, `<polyline class="polled"`,
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "ZgotmplZ", "what the template takes for unsafe")
	require.NotContains(t, page, "NaN")
	require.NotContains(t, page, "http", "a page is complete by itself")
	checkTags(t, page)
}

// TestPageIsBounded: a long history makes no endless page.
func TestPageIsBounded(t *testing.T) {
	page := written(t, history("news-0", 50_000))
	require.Less(t, len(page), 2<<20)
	checkTags(t, page)
}

func TestPageOfNothing(t *testing.T) {
	page := written(t, &kafka.History{})
	require.Contains(t, page, `class="verdict unknown"`)
	require.Contains(t, page, "None.")
	checkTags(t, page)
}

// TestPageEscapes: names come from clusters that we do not know.
func TestPageEscapes(t *testing.T) {
	page := written(t, history("<script>", 50))
	require.NotContains(t, page, "<script>")
	checkTags(t, page)
}
