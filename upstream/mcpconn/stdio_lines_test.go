package mcpconn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog/rawjson"
)

// pieces returns a stream in pieces whose lengths cuts names, over and over.
type pieces struct {
	data, cuts []byte
	i          int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := len(b)
	if len(p.cuts) > 0 {
		n = int(p.cuts[p.i%len(p.cuts)])%64 + 1
		p.i++
	}
	n = copy(b, p.data[:min(n, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

// split is what lines does, in one go: "<line>" or "! <size>" for one that is too long.
func split(data []byte, limit int) []string {
	var all []string
	parts := bytes.Split(data, []byte{'\n'})
	for i, p := range parts {
		if i == len(parts)-1 && len(p) == 0 {
			break
		}
		if len(p) > limit {
			all = append(all, fmt.Sprintf("! %d", len(p)))
			continue
		}
		if i < len(parts)-1 {
			p = bytes.TrimSuffix(p, []byte{'\r'})
		}
		all = append(all, string(p))
	}
	return all
}

func readAll(t testing.TB, l *lines) []string {
	t.Helper()
	var all []string
	for {
		line, err := l.next()
		var long *longLineError
		switch {
		case errors.As(err, &long):
			all = append(all, fmt.Sprintf("! %d", long.size))
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		default:
			all = append(all, string(line))
		}
	}
}

func TestR22_LinesSplitAnywhereStayWhole(t *testing.T) {
	long := strings.Repeat("é", 300)
	data := []byte("{\"a\":1}\n\r\n\n" + long + "\r\nx" + long + "\n" + strings.Repeat("y", 5000) + "\n" + long + long)
	want := split(data, 700)
	for cut := 1; cut <= 64; cut++ {
		if d := cmp.Diff(want, readAll(t, newLines(&pieces{data: data, cuts: []byte{byte(cut - 1)}}, 700))); d != "" {
			t.Fatalf("in pieces of %d: %s", cut, d)
		}
	}
}

func FuzzR22_Lines(f *testing.F) {
	f.Add([]byte("a\nbb\r\n\nccc"), []byte{1}, 2)
	f.Add([]byte(strings.Repeat("x", 200)+"\n"), []byte{0, 63}, 100)
	f.Add([]byte("\r\r\n"), []byte{}, 1)
	f.Fuzz(func(t *testing.T, data, cuts []byte, limit int) {
		limit = 1 + (limit&0x7fffffff)%256
		if got, want := readAll(t, newLines(&pieces{data: data, cuts: cuts}, int64(limit))), split(data, limit); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestLinesGiveHugeBuffersBack(t *testing.T) {
	data := strings.Repeat("x", 8<<20) + "\n" + strings.Repeat("y\n", lineBuffer)
	l := newLines(strings.NewReader(data), 16<<20)
	for {
		if _, err := l.next(); err != nil {
			break
		}
	}
	if len(l.buf) > keptBuffer {
		t.Errorf("a buffer of %d bytes is kept", len(l.buf))
	}
}

func TestAnswerOfBrokenMessage(t *testing.T) {
	tests := []struct {
		line string
		id   int64
		ok   bool
	}{
		{`{"jsonrpc":"2.0","id":7,"result":{"a":[1,2`, 7, true},
		{`{"id": 7 , "error" : {"code`, 7, true},
		{`{"result":{"a":"x`, 0, false}, // its end is not there
		{`{"result":{"a":{},"a":1},"jsonrpc":"2.0","id":7}`, 7, true},
		{`{"jsonrpc":"2.0","id":7,"result":{},"result":{}}`, 7, true},
		{`{"jsonrpc":"2.0","id":"7","result":{"a`, 0, false},
		{`{"jsonrpc":"2.0","id":7,"method":"roots/list","params":{"result`, 0, false},
		{`{"id":7,"result":{},"method":"x"}`, 0, false},
		{`{"level":"info","id":7}`, 0, false},
		{`{"jsonrpc":"2.0","id":7,"par`, 0, false},
		{`GET / HTTP/1.1`, 0, false},
		{``, 0, false},
	}
	for _, tt := range tests {
		id, state := answerHead([]byte(tt.line))
		ok := state == headKnown
		if state == headOpen {
			id, ok = answerTail([]byte(tt.line))
		}
		if id != tt.id || ok != tt.ok {
			t.Errorf("%s: %d %v, want %d %v", tt.line, id, ok, tt.id, tt.ok)
		}
	}
	tails := []struct {
		tail string
		id   int64
		ok   bool
	}{
		{`xxx"},"jsonrpc":"2.0","id":12}`, 12, true},
		{`xxx"} , "id" : 12 , "jsonrpc" : "2.0" } `, 12, true},
		{`xxx","id":12}}`, 0, false},
		{`"id":12}`, 0, false}, // of a string, perhaps
		{`,"id":"12"}`, 0, false},
		{`,"id":1234567890123456789}`, 0, false},
	}
	for _, tt := range tails {
		if id, ok := answerTail([]byte(tt.tail)); id != tt.id || ok != tt.ok {
			t.Errorf("%s: %d %v", tt.tail, id, ok)
		}
	}
}

func FuzzAnswerOfBrokenMessage(f *testing.F) {
	f.Add([]byte(`{"result":{"a":"x"},"jsonrpc":"2.0","id":123}`), 42)
	f.Add([]byte(`{"jsonrpc":"2.0","id":123,"error":{"code":1,"message":",\"id\":5}"}}`), 40)
	f.Add([]byte(`{"jsonrpc":"2.0","error":{"code":1,"message":"","id":5},"id":123}`), 60)
	f.Fuzz(func(t *testing.T, line []byte, cut int) {
		var m rawjson.Message
		answerHead(line)
		if rawjson.Scan(&m, line) != nil {
			return
		}
		want, ours := parseID(m.ID.Of(line))
		ours = ours && (m.Kind == rawjson.Result || m.Kind == rawjson.Error)
		cut = int(uint(cut) % uint(len(line)+1))
		id, state := answerHead(line[:cut])
		if state == headKnown && (!ours || id != want) {
			t.Fatalf("%q cut at %d: id %d", line, cut, id)
		}
		if id, ok := answerTail(line[max(0, len(line)-lineTail):]); ok && state == headOpen && (!ours || id != want) {
			t.Fatalf("%q: id %d at the end", line, id)
		}
	})
}

func FuzzAppendRequest(f *testing.F) {
	f.Add("tools/call", []byte("{\n \"a\": 1 }"))
	f.Add("a\"\n", []byte(`{"s":"\u2028"}`))
	f.Fuzz(func(t *testing.T, method string, params []byte) {
		line := appendRequest(nil, &request{method: method, id: 1, params: params})
		if i := bytes.IndexAny(line, "\r\n"); i != len(line)-1 {
			t.Fatalf("%q breaks at %d", line, i)
		}
		if rawjson.Valid(params) != nil || len(params) == 0 {
			return
		}
		if err := rawjson.Valid(line); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	})
}
