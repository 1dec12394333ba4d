package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// callTimeout bounds one call; the slowest honest one takes milliseconds.
const callTimeout = 20 * time.Second

// load sends the requests of one case to one endpoint, each worker over a connection of its own that it keeps.
type load struct {
	workers []*worker
}

// tally is what became of the requests of one slice.
type tally struct {
	calls     int // answered and right
	truncated int
	errors    int // all that was not right, truncated ones too
	firstErr  error
	wall      time.Duration
	latency   []time.Duration
}

// newLoad connects c.Concurrency workers to endpoint; session is the legacy session's id, token what it signs in with; both may be empty.
func newLoad(c Case, endpoint, tool, session, token string) (*load, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	l := &load{}
	for i := range c.Concurrency {
		w := newWorker(c, u, tool, session, token, i)
		if err := w.dial(); err != nil {
			l.close()
			return nil, err
		}
		l.workers = append(l.workers, w)
	}
	return l, nil
}

func (l *load) close() {
	for _, w := range l.workers {
		if w.conn != nil {
			_ = w.conn.Close()
		}
	}
}

// run makes calls for d, or until there were n when n is not 0. It returns when all are answered.
func (l *load) run(d time.Duration, n int) tally {
	tallies := make([]tally, len(l.workers))
	var left atomic.Int64
	left.Store(int64(n))
	start := time.Now()
	var wg sync.WaitGroup
	for i, w := range l.workers {
		wg.Go(func() {
			for (n == 0 || left.Add(-1) >= 0) && (d == 0 || time.Since(start) < d) {
				w.once(&tallies[i])
				if tallies[i].errors > 100 {
					return
				}
			}
		})
	}
	wg.Wait()
	all := tally{wall: time.Since(start)}
	for _, t := range tallies {
		all.calls += t.calls
		all.truncated += t.truncated
		all.errors += t.errors
		all.latency = append(all.latency, t.latency...)
		if all.firstErr == nil {
			all.firstErr = t.firstErr
		}
	}
	return all
}

// worker is one connection and the request that it sends over and over with a new id and a new payload.
type worker struct {
	addr    string
	conn    net.Conn
	in      *bufio.Reader
	buf     []byte
	request []byte
	marks   []int // offsets in request of the ten digits that change: id, payload, token
	id      int
	expectation
}

// firstID is the smallest number with ten digits.
const firstID = 1_000_000_000

func newWorker(c Case, u *url.URL, tool, session, token string, n int) *worker {
	w := &worker{addr: u.Host, id: firstID + n*50_000_000}
	digits := strconv.Itoa(w.id)
	method, params := "tools/call", ""
	var meta string
	if c.Era == Modern {
		meta = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}`
	}
	switch c.Kind {
	case List:
		method = "tools/list"
		w.tools, w.first = c.Size, new([]byte)
	default:
		filler := bytes.Repeat([]byte("abcdefghijklmnopqrstuvwxyz012345"), c.Size/32+1)[:c.Size]
		copy(filler, digits)
		w.payload = filler
		params = `"name":"` + tool + `","arguments":{"text":"` + string(filler) + `"}`
	}
	if c.Kind == Events {
		w.events = true
		meta += `,"progressToken":` + digits
	}
	if meta != "" {
		if params != "" {
			params += ","
		}
		params += `"_meta":{` + string(bytes.TrimPrefix([]byte(meta), []byte(","))) + `}`
	}
	body := `{"jsonrpc":"2.0","id":` + digits + `,"method":"` + method + `","params":{` + params + `}}`
	w.request = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n", u.Path, u.Host)
	if c.Era == Modern {
		w.request = append(w.request, "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: "+method+"\r\n"...)
		if c.Kind != List {
			w.request = append(w.request, "Mcp-Name: "+tool+"\r\n"...)
		}
	} else {
		w.request = append(w.request, "Mcp-Protocol-Version: 2025-11-25\r\n"...)
		if session != "" {
			w.request = append(w.request, "Mcp-Session-Id: "+session+"\r\n"...)
		}
	}
	if token != "" {
		w.request = append(w.request, "Authorization: Bearer "+token+"\r\n"...)
	}
	w.request = fmt.Appendf(w.request, "Content-Length: %d\r\n\r\n%s", len(body), body)
	for at := 0; ; {
		i := bytes.Index(w.request[at:], []byte(digits))
		if i < 0 {
			return w
		}
		at += i
		w.marks = append(w.marks, at)
		at += len(digits)
	}
}

func (w *worker) dial() error {
	dialer := net.Dialer{Timeout: callTimeout}
	conn, err := dialer.Dial("tcp", w.addr)
	if err != nil {
		return err
	}
	w.conn, w.in = conn, bufio.NewReaderSize(conn, 64<<10)
	return nil
}

// once makes one call and counts it.
func (w *worker) once(t *tally) {
	w.id++
	digits := strconv.AppendInt(make([]byte, 0, 10), int64(w.id), 10)
	for _, at := range w.marks {
		copy(w.request[at:], digits)
	}
	copy(w.payload, digits)
	w.expectation.id = digits
	start := time.Now()
	p, err := w.exchange()
	took := time.Since(start)
	if err == nil {
		err = w.check(p)
	}
	if err == nil {
		t.calls++
		t.latency = append(t.latency, took)
		return
	}
	t.errors++
	if errors.Is(err, errTruncated) {
		t.truncated++
	}
	if t.firstErr == nil {
		t.firstErr = err
	}
	_ = w.conn.Close() // what is still on its way belongs to nobody
	if err := w.dial(); err != nil {
		t.errors += 1000
	}
}

func (w *worker) exchange() (reply, error) {
	if err := w.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return reply{}, err
	}
	if _, err := w.conn.Write(w.request); err != nil {
		return reply{}, err
	}
	p, err := readReply(w.in, w.buf)
	if cap(p.body) > cap(w.buf) {
		w.buf = p.body
	}
	return p, err
}

// percentile returns the q-th of sorted latencies.
func percentile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// median of values; it sorts them.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	mid := len(values) / 2
	if len(values)%2 == 1 {
		return values[mid]
	}
	return (values[mid-1] + values[mid]) / 2
}
