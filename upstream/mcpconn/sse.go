package mcpconn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"weir/catalog/room"
)

// errEventTooLarge says that one event, or one line, of a stream is over the limit.
var errEventTooLarge = errors.New("event too large")

const (
	maxEventID = 4 << 10     // longer ids are not remembered: they have to fit in a header
	maxRetry   = time.Minute // the longest wait before a reconnection that a server can ask for
)

// events reads a server-sent event stream (WHATWG HTML, section 9.2.6) from src into one buffer. An event's data is a slice of that
// buffer whenever it came on one line, which for JSON-RPC is always the case.
type events struct {
	src   io.Reader
	buf   *buffer
	limit int // of the bytes that one event may hold at a time

	// buf.b is everything read; data[start:end) are the data of the event so far, line is the start of the line being read and seen
	// how far its end was looked for.
	start, end, line, seen int

	begun   bool // the first bytes were looked at for a byte order mark
	skipLF  bool // the last line ended with CR: an LF next belongs to it
	hasData bool
	name    []byte // of the event being read; empty means message
	id      []byte // of the event being read, if hasID
	hasID   bool

	lastID []byte        // the last event id that was dispatched
	retry  time.Duration // the last retry field, 0 when there was none
}

func newEvents(src io.Reader, buf *buffer, limit int64) *events {
	return &events{src: src, buf: buf, limit: int(min(limit, 1<<40))}
}

// next returns the data of the next event that has any data field, valid until the following call; es.name tells its type. The error at
// the end of the stream is io.EOF; an event that the end cuts off is discarded, as the format demands.
func (es *events) next() ([]byte, error) {
	es.reset()
	for {
		lo, hi, ok, err := es.nextLine()
		if err != nil {
			return nil, err
		}
		if !ok {
			if err := es.more(); err != nil {
				return nil, err
			}
			continue
		}
		if lo < hi {
			es.field(lo, hi)
			continue
		}
		if es.hasID {
			es.lastID = append(es.lastID[:0], es.id...)
		}
		if es.hasData {
			return es.buf.b[es.start:es.end:es.end], nil
		}
		es.reset()
	}
}

// reset begins an event at the line that is read next.
func (es *events) reset() {
	es.start, es.end, es.hasData = es.line, es.line, false
	es.name, es.hasID = es.name[:0], false
}

// nextLine returns the bounds of the next line without its end, or false when more bytes are needed.
func (es *events) nextLine() (lo, hi int, ok bool, err error) {
	b := es.buf.b
	if !es.begun && !es.begin() {
		return 0, 0, false, nil
	}
	if es.skipLF {
		if es.line == len(b) {
			return 0, 0, false, nil
		}
		es.skipLF = false
		if b[es.line] == '\n' {
			es.line++
			es.seen = es.line
		}
	}
	i := lineEnd(b[es.seen:])
	if i < 0 {
		es.seen = len(b)
		if es.end-es.start+len(b)-es.line > es.limit {
			return 0, 0, false, errEventTooLarge
		}
		return 0, 0, false, nil
	}
	lo, hi = es.line, es.seen+i
	es.skipLF = b[hi] == '\r'
	es.line, es.seen = hi+1, hi+1
	if es.end-es.start+hi-lo > es.limit {
		return 0, 0, false, errEventTooLarge
	}
	return lo, hi, true, nil
}

// begin skips a byte order mark. It reports false when too little is there to tell.
func (es *events) begin() bool {
	const bom = "\xef\xbb\xbf"
	b := es.buf.b
	if len(b) < len(bom) && string(b) == bom[:len(b)] {
		return false
	}
	es.begun = true
	if len(b) >= len(bom) && string(b[:len(bom)]) == bom {
		es.line, es.seen = len(bom), len(bom)
		es.reset()
	}
	return true
}

// lineEnd returns the index of the first CR or LF in b, -1 when there is none. It looks at a window at a time, so that a buffer full of
// lines that end with one kind is not searched to its end for the other kind, line after line.
func lineEnd(b []byte) int {
	const window = 1 << 10
	for from := 0; from < len(b); from += window {
		w := b[from:min(from+window, len(b))]
		lf := bytes.IndexByte(w, '\n')
		if lf >= 0 {
			w = w[:lf]
		}
		if cr := bytes.IndexByte(w, '\r'); cr >= 0 {
			return from + cr
		}
		if lf >= 0 {
			return from + lf
		}
	}
	return -1
}

// field takes the line at lo, which is not empty and ends before hi.
func (es *events) field(lo, hi int) {
	line := es.buf.b[lo:hi]
	key, value, _ := bytes.Cut(line, []byte(":"))
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	switch string(key) {
	case "data":
		es.addData(hi-len(value), hi)
	case "event":
		es.name = append(es.name[:0], value...)
	case "id":
		if bytes.IndexByte(value, 0) < 0 && len(value) <= maxEventID {
			es.id, es.hasID = append(es.id[:0], value...), true
		}
	case "retry":
		if ms, ok := digits(value); ok {
			es.retry = min(time.Duration(ms)*time.Millisecond, maxRetry)
		}
	}
}

// addData adds the value of one data line. It lies behind the data so far, with room for the line feed between them: the line began with
// "data", so moving it forward never overwrites what is still to be read.
func (es *events) addData(lo, hi int) {
	if !es.hasData {
		es.start, es.end, es.hasData = lo, hi, true
		return
	}
	b := es.buf.b
	b[es.end] = '\n'
	es.end += 1 + copy(b[es.end+1:], b[lo:hi])
}

// digits reads an unsigned decimal number that fits a duration in milliseconds.
func digits(s []byte) (n int64, ok bool) {
	if len(s) == 0 || len(s) > 12 {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// more reads more bytes. Room is made by dropping what is behind the reader before the buffer grows.
func (es *events) more() error {
	b := es.buf.b
	if len(b) == cap(b) {
		if waste := es.line - (es.end - es.start); waste >= len(b)/2 {
			n := copy(b, b[es.start:es.end])
			m := copy(b[n:], b[es.line:])
			es.seen -= es.line - n
			es.start, es.end, es.line = 0, n, n
			b = b[:n+m]
		} else {
			most := int64(es.limit) + ioBuffer // an event and what was read behind it
			if err := es.buf.afford(context.Background(), next(b, most), room.Wait); err != nil {
				return err
			}
			b = grown(b, most)
		}
		es.buf.b = b
	}
	n, err := es.src.Read(b[len(b):cap(b)])
	es.buf.b = b[:len(b)+n]
	if n > 0 {
		return nil // an error comes again
	}
	if err == nil {
		return nil
	}
	return err
}
