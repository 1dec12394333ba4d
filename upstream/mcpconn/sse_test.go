package mcpconn

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type sentEvent struct{ Name, Data, LastID string }

// chunks reads s in pieces of the given sizes, over and over.
type chunks struct {
	s     []byte
	sizes []byte
	n     int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.s) == 0 {
		return 0, io.EOF
	}
	size := 1
	if len(c.sizes) > 0 {
		size += int(c.sizes[c.n%len(c.sizes)])
		c.n++
	}
	n := copy(p, c.s[:min(size, len(c.s))])
	c.s = c.s[n:]
	return n, nil
}

func readEvents(t testing.TB, r io.Reader, limit int64) ([]sentEvent, time.Duration, error) {
	t.Helper()
	var pool buffers
	buf := pool.get()
	buf.b = make([]byte, 0, 16) // so that growing and making room are always part of the test
	es := newEvents(r, buf, limit)
	var got []sentEvent
	for range 1 << 20 {
		data, err := es.next()
		if err != nil {
			return got, es.retry, err
		}
		got = append(got, sentEvent{string(es.name), string(data), string(es.lastID)})
	}
	t.Fatal("the stream does not end")
	return nil, 0, nil
}

// referenceEvents reads a whole stream the way the standard words it: lines first, then fields.
func referenceEvents(s string) []sentEvent {
	s = strings.TrimPrefix(s, "\xef\xbb\xbf")
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	lines := strings.Split(s, "\n")
	lines = lines[:len(lines)-1] // the last one has no end
	var (
		out              []sentEvent
		data             []string
		name, id, lastID string
	)
	for _, line := range lines {
		if line == "" {
			lastID = id
			if data != nil {
				out = append(out, sentEvent{name, strings.Join(data, "\n"), lastID})
			}
			data, name = nil, ""
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "data":
			data = append(data, value)
		case "event":
			name = value
		case "id":
			if !strings.Contains(value, "\x00") && len(value) <= maxEventID {
				id = value
			}
		}
	}
	return out
}

func TestEvents(t *testing.T) {
	tests := []struct {
		name, in string
		want     []sentEvent
	}{
		{"one", "data: a\n\n", []sentEvent{{"", "a", ""}}},
		{"no space", "data:a\n\n", []sentEvent{{"", "a", ""}}},
		{"two spaces", "data:  a\n\n", []sentEvent{{"", " a", ""}}},
		{"CRLF", "event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n", []sentEvent{{"x", "a", ""}, {"", "b", ""}}},
		{"CR", "data: a\r\rdata: b\r\r", []sentEvent{{"", "a", ""}, {"", "b", ""}}},
		{"byte order mark", "\xef\xbb\xbfdata: a\n\n", []sentEvent{{"", "a", ""}}},
		{"mark inside", "data: \xef\xbb\xbfa\n\n", []sentEvent{{"", "\xef\xbb\xbfa", ""}}},
		{"comments", ": ping\n\n:\ndata: a\n: more\n\n", []sentEvent{{"", "a", ""}}},
		{"lines joined", "data: {\ndata: \"a\":1\ndata\ndata:}\n\n", []sentEvent{{"", "{\n\"a\":1\n\n}", ""}}},
		{"lines between others", "data: 1\nid: 5\ndata: 2\nevent: e\ndata: 3\n\n", []sentEvent{{"e", "1\n2\n3", "5"}}},
		{"empty data is an event", "id: 0\ndata:\n\n", []sentEvent{{"", "", "0"}}},
		{"no data is none", "event: x\nid: 7\n\ndata: a\n\n", []sentEvent{{"", "a", "7"}}},
		{"id stays, is reset by an empty one", "id: 1\ndata: a\n\ndata: b\n\nid:\ndata: c\n\n", []sentEvent{{"", "a", "1"}, {"", "b", "1"}, {"", "c", ""}}},
		{"id with NUL ignored", "id: 1\x002\ndata: a\n\n", []sentEvent{{"", "a", ""}}},
		{"unknown field", "foo: bar\ndata: a\ndatax: b\n\n", []sentEvent{{"", "a", ""}}},
		{"cut off", "data: a\n\ndata: b\n", []sentEvent{{"", "a", ""}}},
		{"cut in the line", "data: a\n\ndata: b", []sentEvent{{"", "a", ""}}},
		{"empty", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for size := range 8 {
				got, _, err := readEvents(t, &chunks{s: []byte(tt.in), sizes: []byte{byte(size)}}, 1<<20)
				if !errors.Is(err, io.EOF) {
					t.Fatalf("chunks of %d: ends with %v", size+1, err)
				}
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Errorf("chunks of %d: (-want +got)\n%s", size+1, d)
				}
				if d := cmp.Diff(tt.want, referenceEvents(tt.in)); d != "" {
					t.Errorf("the reference differs: %s", d)
				}
			}
		})
	}
}

func TestEventsRetry(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"retry: 250\n\n":           250 * time.Millisecond,
		"retry: 1\nretry: x\n\n":   time.Millisecond,
		"retry: -1\n\n":            0,
		"retry: 99999999999\n\n":   maxRetry,
		"retry: 9999999999999\n\n": 0,
	} {
		if _, got, _ := readEvents(t, strings.NewReader(in), 100); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

func TestTrap5_4_EventSize(t *testing.T) {
	const limit = 100
	long := strings.Repeat("x", 200)
	for name, in := range map[string]string{
		"a line":             "data: " + long + "\n\n",
		"a line without end": "data: " + long,
		"many lines":         strings.Repeat("data: xxxxxxxxxx\n", 20) + "\n",
		"another field":      "foo: " + long + "\n\n",
		"a comment":          ":" + long + "\n\n",
	} {
		for _, size := range []byte{0, 6, 255} {
			if _, _, err := readEvents(t, &chunks{s: []byte(in), sizes: []byte{size}}, limit); !errors.Is(err, errEventTooLarge) {
				t.Errorf("%s, chunks of %d: %v", name, size+1, err)
			}
		}
	}
	many := strings.Repeat("data: 1234567890\n\n", 100)
	if got, _, err := readEvents(t, strings.NewReader(many), limit); !errors.Is(err, io.EOF) || len(got) != 100 {
		t.Errorf("many small events: %d, %v", len(got), err)
	}
}

func TestEventsReuseTheirBuffer(t *testing.T) {
	var pool buffers
	es := newEvents(strings.NewReader(strings.Repeat("data: "+strings.Repeat("x", 1000)+"\n\n", 1000)), pool.get(), 1<<20)
	n := 0
	for ; ; n++ {
		if _, err := es.next(); err != nil {
			break
		}
	}
	if n != 1000 || cap(es.buf.b) > 2*smallBuffer {
		t.Errorf("%d events of 1 KB in a buffer of %d", n, cap(es.buf.b))
	}
}

func FuzzR22_EventChunks(f *testing.F) {
	f.Add("data: a\r\n\r\n", []byte{0})
	f.Add("\xef\xbb\xbfid: 1\revent: x\rdata: a\rdata: b\r\r", []byte{1, 2})
	f.Add(": c\n\ndata:{\ndata:}\n\n", []byte{3})
	f.Fuzz(func(t *testing.T, in string, sizes []byte) {
		got, _, err := readEvents(t, &chunks{s: []byte(in), sizes: sizes}, 1<<30)
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if d := cmp.Diff(referenceEvents(in), got); d != "" {
			t.Fatalf("(-reference +got)\n%s", d)
		}
	})
}

func TestR22_EventsSplitAnywhere(t *testing.T) {
	in := []byte("\xef\xbb\xbf: hi\r\nid: 1\r\nevent: message\r\ndata: {\"a\":\r\ndata: \"\u00e9\"}\r\n\r\nretry: 5\rdata: b\r\rdata: c\n\n")
	want := referenceEvents(string(in))
	if len(want) != 3 {
		t.Fatal(want)
	}
	for i := 1; i < len(in); i++ {
		r := io.MultiReader(bytes.NewReader(in[:i]), bytes.NewReader(in[i:]))
		got, _, err := readEvents(t, r, 1<<20)
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("split at %d: %s", i, d)
		}
	}
}
