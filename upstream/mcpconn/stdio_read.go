package mcpconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"

	"weir/catalog"
	"weir/catalog/rawjson"
)

const (
	// lineBuffer is what the buffer grows to when the child writes much; until then it is a smallBuffer.
	lineBuffer = 64 << 10
	// keptBuffer is the largest line buffer that is kept after the line that needed it.
	keptBuffer = 1 << 20
	// lineTail is how much of the end of a line that is too long is looked at for its id.
	lineTail = 128
)

// lines splits a stream into lines of bounded length, in one buffer.
type lines struct {
	src   io.Reader
	limit int

	buf              []byte
	start, end, seen int   // buf[start:end] is unread, and holds no line feed before seen
	err              error // of src, kept until all lines before it were returned
}

func newLines(src io.Reader, limit int64) *lines {
	return &lines{src: src, limit: int(min(limit, 1<<40)), buf: make([]byte, min(smallBuffer, limit+1))}
}

// longLineError is a line over the limit, of which only the ends were kept for a moment.
type longLineError struct {
	size     int64
	id       int64
	response bool // id is that of the request it answers
}

func (*longLineError) Error() string { return "line too long" }

// next returns the next line without its end (LF or CR LF), valid until the following call. The last line need not have an end. The error
// is a *longLineError, after which one can go on, or that of the stream.
func (l *lines) next() ([]byte, error) {
	for {
		if i := bytes.IndexByte(l.buf[l.seen:l.end], '\n'); i >= 0 {
			line := l.buf[l.start : l.seen+i]
			l.start = l.seen + i + 1
			l.seen = l.start
			if len(line) > l.limit {
				return nil, l.tooLong(line, line, int64(len(line)))
			}
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		}
		l.seen = l.end
		switch {
		case l.end-l.start > l.limit:
			return nil, l.skip()
		case l.err != nil && l.end > l.start:
			line := l.buf[l.start:l.end]
			l.start = l.end
			return line, nil
		case l.err != nil:
			return nil, l.err
		}
		l.more()
	}
}

// more reads once, into a buffer that has room.
func (l *lines) more() {
	if l.start == l.end && len(l.buf) > keptBuffer {
		l.buf, l.start, l.end = make([]byte, min(smallBuffer, l.limit+1)), 0, 0
	}
	into := l.buf
	if l.end == len(l.buf) && (l.start == 0 || len(l.buf) < lineBuffer) {
		into = make([]byte, doubled(int64(len(l.buf)), int64(l.limit)))
	}
	if l.start == l.end || l.end == len(l.buf) {
		l.end = copy(into, l.buf[l.start:l.end])
		l.buf, l.start = into, 0
	}
	l.seen = l.end
	n, err := l.src.Read(l.buf[l.end:])
	l.end += n
	l.err = err
}

// skip reads to the end of a line that is too long and keeps nothing of it but its last bytes.
func (l *lines) skip() error {
	head := l.buf[l.start:l.end]
	answer, complete := answerHead(head)
	size := int64(0)
	var tail []byte
	for {
		part := l.buf[l.start:l.end]
		i := bytes.IndexByte(part, '\n')
		if i >= 0 {
			part = part[:i]
		}
		size += int64(len(part))
		tail = append(tail, part[max(0, len(part)-lineTail):]...)
		tail = tail[max(0, len(tail)-lineTail):]
		l.start += len(part)
		if i >= 0 {
			l.start++
		}
		l.seen = l.start
		if i >= 0 || l.err != nil {
			return longAnswer(answer, complete, tail, size)
		}
		l.more()
	}
}

func (l *lines) tooLong(head, tail []byte, size int64) error {
	answer, complete := answerHead(head)
	return longAnswer(answer, complete, tail[max(0, len(tail)-lineTail):], size)
}

func longAnswer(id int64, state headState, tail []byte, size int64) error {
	l := &longLineError{size: size, id: id, response: state == headKnown}
	if state == headOpen {
		l.id, l.response = answerTail(tail)
	}
	return l
}

// headState is what the beginning of a message tells.
type headState uint8

const (
	headOther headState = iota // no response to a request of ours
	headKnown                  // a response, and its id
	headOpen                   // a response whose id comes later
)

// answerHead looks for the id in the beginning of a message that is cut off or broken. A message with a method is no response, and a
// response is one only when the member that could not be read to its end is its result or error, or comes after them.
func answerHead(head []byte) (id int64, state headState) {
	if text := bytes.TrimLeft(head, " \t"); len(text) == 0 || text[0] != '{' {
		return 0, headOther
	}
	seen := 0
	found := false
	_ = rawjson.Members(head, func(key []byte, member, value rawjson.Span) bool {
		seen = member.End
		switch string(key) {
		case "method":
			state, found = headOther, false
			seen = -1
			return false
		case "id":
			n, ok := parseID(value.Of(head))
			id, found = n, ok && value.End < len(head) // else there may be more digits
		case "result", "error":
			state = headOpen
		}
		return true
	})
	if seen < 0 {
		return 0, headOther
	}
	if state != headOpen {
		cut := regexp.MustCompile(`^\s*[{,]\s*"(result|error)"\s*:`)
		if !cut.Match(head[seen:min(len(head), seen+lineTail)]) {
			return 0, headOther
		}
		state = headOpen
	}
	if found {
		return id, headKnown
	}
	return 0, state
}

// answerTail looks for the id at the end of a response: there only the outermost object can end.
func answerTail(tail []byte) (id int64, ok bool) {
	last := regexp.MustCompile(`[,{]\s*"id"\s*:\s*([0-9]{1,18})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$`)
	m := last.FindSubmatch(tail)
	if m == nil {
		return 0, false
	}
	return parseID(m[1])
}

// parseID reads an id that weir could have minted.
func parseID(raw []byte) (int64, bool) {
	if len(raw) == 0 || len(raw) > 18 {
		return 0, false
	}
	n := int64(0)
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// read is the reader: the only one who reads the child's stdout, until it ends. It waits for nobody.
func (t *stdio) read() {
	defer func() { _ = t.p.Stdout.Close() }()
	defer t.lose()
	t.guarded(t.readAll)
}

// readAll takes the lines until there are no more.
func (t *stdio) readAll() {
	in := newLines(t.p.Stdout, t.o.maxMessage)
	var m rawjson.Message
	for first := true; ; {
		line, err := in.next()
		if err != nil {
			var long *longLineError
			if !errors.As(err, &long) {
				return
			}
			t.tooLong(long)
			continue
		}
		if first {
			first = false
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		t.line(&m, line)
	}
}

// line takes one line: a message, several of them in an array (spec 2025-03-26, basic#batching), white space, or junk.
func (t *stdio) line(m *rawjson.Message, line []byte) {
	err := rawjson.Scan(m, line)
	if err == nil {
		t.take(m)
		return
	}
	text := bytes.TrimLeft(line, " \t")
	if len(text) == 0 {
		return
	}
	if text[0] == '[' {
		var bad error
		fault := rawjson.Elements(text, func(s rawjson.Span) bool {
			if err := rawjson.Scan(m, s.Of(text)); err != nil {
				bad = err
			} else {
				t.take(m)
			}
			return true
		})
		if fault == nil && bad == nil {
			return
		}
	}
	t.junk(line, err)
}

// junk counts a line that is no message. When it was meant to be the response to a request, that request fails now and not when its time is up.
func (t *stdio) junk(line []byte, err error) {
	text := t.p.Printable(line)
	t.mu.Lock()
	t.stats.Junk++
	t.stats.LastJunk = text
	first := t.stats.Junk == 1
	t.mu.Unlock()
	level := slog.LevelDebug
	if first {
		level = slog.LevelWarn
	}
	t.o.log.LogAttrs(context.Background(), level, "a line on stdout is no message", slog.String("upstream", t.o.name), slog.String("line", text), slog.Any("error", err))

	id, state := answerHead(line)
	if state == headOpen {
		id, _ = answerTail(line[max(0, len(line)-lineTail):])
	}
	if state != headOther {
		t.fail(id, &catalog.Error{Code: catalog.Unavailable, Msg: t.o.name + ": the answer is not a valid message", Execution: catalog.Executed, Err: err})
	}
}

// tooLong counts a line over the limit and fails the request whose response it was.
func (t *stdio) tooLong(l *longLineError) {
	t.mu.Lock()
	t.stats.TooLong++
	t.mu.Unlock()
	t.o.log.Warn("a line on stdout is too long", slog.String("upstream", t.o.name), slog.Int64("size", l.size), slog.Int64("limit", t.o.maxMessage))
	if l.response {
		t.fail(l.id, &catalog.Error{
			Code: catalog.TooLarge, Msg: fmt.Sprintf("%s: an answer of %d bytes is over the limit of %d", t.o.name, l.size, t.o.maxMessage),
			Hint: "raise maxMessage of " + t.o.name, Execution: catalog.Executed,
		})
	}
}

// fail ends the open request with that id.
func (t *stdio) fail(id int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := t.open[id]; w != nil {
		w.err = err
		delete(t.open, id)
		w.nudge()
	}
}
