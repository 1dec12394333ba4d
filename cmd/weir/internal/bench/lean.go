package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// lean is the cheapest server that answers what the load and a gateway ask. It searches the bytes it needs and trusts the rest.
type lean struct {
	lists   map[bool][]byte // whether modern → the result of tools/list, rendered once
	buffers sync.Pool
}

// newLean offers echo and events or, with n, echo among n tools.
func newLean(n int) *lean {
	tools := []string{
		`{"name":"` + echoTool + `","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}`,
		`{"name":"` + eventsTool + `","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}`,
	}
	if n > 0 {
		tools = append(tools[:1], Tools(n-1)...)
	}
	list := `"tools":[` + strings.Join(tools, ",") + `]}`
	l := &lean{lists: map[bool][]byte{
		false: []byte(`{` + list),
		true:  []byte(`{"resultType":"complete","ttlMs":60000,"cacheScope":"public",` + list),
	}}
	l.buffers.New = func() any { return new(leanBuffer) }
	return l
}

// after returns the raw JSON scalar behind the first occurrence of key, which must not stand in a string before.
func after(b []byte, key string) []byte {
	i := bytes.Index(b, []byte(key))
	if i < 0 {
		return nil
	}
	v := bytes.TrimLeft(b[i+len(key):], " ")
	if len(v) > 0 && v[0] == '"' {
		if end := bytes.IndexByte(v[1:], '"'); end >= 0 {
			return v[:end+2]
		}
		return nil
	}
	if end := bytes.IndexAny(v, ",} \r\n"); end >= 0 {
		return v[:end]
	}
	return v
}

const leanCapabilities = `"capabilities":{"tools":{}}`

// answer appends the response to one request; events are the notifications that come before it. A nil response is that to a notification.
func (l *lean) answer(dst, body []byte) (response []byte, events [][]byte) {
	id := after(body, `"id":`)
	method := string(after(body, `"method":`))
	modern := bytes.Contains(body, []byte(`"io.modelcontextprotocol/protocolVersion"`))
	if id == nil || strings.HasPrefix(method, `"notifications/`) {
		return nil, nil
	}
	dst = append(append(append(dst, `{"jsonrpc":"2.0","id":`...), id...), `,"result":`...)
	switch method {
	case `"tools/call"`:
		if bytes.Contains(body, []byte(`"name":"`+eventsTool+`"`)) {
			events = progressEvents(after(body, `"progressToken":`))
		}
		dst = append(dst, '{')
		if modern {
			dst = append(dst, `"resultType":"complete",`...)
		}
		dst = append(append(dst, `"content":[{"type":"text","text":`...), after(body, `"text":`)...)
		dst = append(dst, `}]}`...)
	case `"tools/list"`:
		dst = append(dst, l.lists[modern]...)
	case `"initialize"`:
		dst = append(dst, `{"protocolVersion":"2025-11-25",`+leanCapabilities+`,"serverInfo":{"name":"lean","version":"1"}}`...)
	case `"server/discover"`:
		dst = append(dst, `{"resultType":"complete","supportedVersions":["2026-07-28"],`+leanCapabilities+`,"ttlMs":60000,"cacheScope":"public"}`...)
	case `"ping"`:
		dst = append(dst, `{}`...)
	default:
		dst = dst[:len(dst)-len(`"result":`)]
		dst = append(dst, `"error":{"code":-32601,"message":"method not found"}`...)
	}
	return append(dst, '}'), events
}

// eventCount is the number of notifications that the tool events sends.
const eventCount = 5

func progressEvents(token []byte) [][]byte {
	if token == nil {
		return nil
	}
	all := make([][]byte, eventCount)
	for i := range all {
		all[i] = fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d,"total":%d}}`, token, i+1, eventCount)
	}
	return all
}

// leanBuffer holds one request and its answer.
type leanBuffer struct{ in, out []byte }

// ServeHTTP answers Streamable HTTP of both eras.
func (l *lean) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		if r.Method != http.MethodDelete {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
		return
	}
	buf, _ := l.buffers.Get().(*leanBuffer)
	defer l.buffers.Put(buf)
	var err error
	if buf.in, err = readAll(buf.in[:0], r.Body, r.ContentLength); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var events [][]byte
	buf.out, events = l.answer(buf.out[:0], buf.in)
	h := w.Header()
	switch {
	case len(buf.out) == 0:
		w.WriteHeader(http.StatusAccepted)
		return
	case bytes.Contains(buf.in, []byte(`"method":"initialize"`)):
		h["Mcp-Session-Id"] = []string{"lean"}
	}
	if events == nil {
		h["Content-Type"] = []string{"application/json"}
		h["Content-Length"] = []string{strconv.Itoa(len(buf.out))}
		if bytes.Contains(buf.out[:min(64, len(buf.out))], []byte(`"code":-32601`)) && r.Header.Get("Mcp-Method") != "" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write(buf.out) // a client that left is no fault
		return
	}
	h["Content-Type"] = []string{"text/event-stream"}
	for _, e := range append(events, buf.out) {
		_, _ = fmt.Fprintf(w, "event: message\ndata: %s\n\n", e)
		_ = http.NewResponseController(w).Flush()
	}
}

// readAll reads r into dst, which grows at once to the announced size.
func readAll(dst []byte, r io.Reader, size int64) ([]byte, error) {
	if n := int(size); n > cap(dst) {
		dst = make([]byte, 0, n)
	}
	for {
		if len(dst) == cap(dst) {
			if int64(len(dst)) == size {
				return dst, nil
			}
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// serveLines answers one message a line until in ends.
func (l *lean) serveLines(in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, 256<<10)
	var line, answer []byte
	for {
		line = line[:0]
		for {
			part, err := r.ReadSlice('\n')
			line = append(line, part...)
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			break
		}
		var events [][]byte
		answer, events = l.answer(answer[:0], line)
		for _, e := range events {
			if _, err := out.Write(append(e, '\n')); err != nil {
				return err
			}
		}
		if len(answer) == 0 {
			continue
		}
		answer = append(answer, '\n')
		if _, err := out.Write(answer); err != nil {
			return err
		}
	}
}
