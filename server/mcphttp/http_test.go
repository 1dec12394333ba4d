package mcphttp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/server"
	"weir/server/authn"
)

// dial opens a connection of its own to the server.
func (f *fixture) dial() net.Conn {
	f.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = c.Close() })
	return c
}

// exchange sends a request on a connection of its own and returns the answer.
func (f *fixture) exchange(raw string) (status int, body string, err error) {
	f.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(c, raw) // who refuses a request need not read it
	}()
	defer func() { _ = c.Close(); <-sent }()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), errors.Join(err, resp.Body.Close())
}

// raw is a legacy call of a client without a session, with more header lines.
func raw(header, body string) string {
	return "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + header + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

const legacyCall = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo"}}`

// The bounds of header and body are exact: what has so many bytes is answered, and one byte more is refused.
func TestR23_Bounds(t *testing.T) {
	const head, body = 16 << 10, 8 << 10
	f := start(t, echo(t), func(s *server.Spec) { s.MaxHeader, s.MaxBody = head, body })
	padded := func(n int) string {
		empty, _, _ := strings.Cut(raw("X-Pad: \r\n", legacyCall), legacyCall)
		return raw("X-Pad: "+strings.Repeat("x", n-len(empty))+"\r\n", legacyCall)
	}
	long := func(n int) string {
		const empty = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo","arguments":{"a":""}}}`
		return strings.Replace(empty, `"a":""`, `"a":"`+strings.Repeat("x", n-len(empty))+`"`, 1)
	}
	chunked := func(n int) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", n, long(n))
	}
	for name, tt := range map[string]struct {
		raw  string
		want int
	}{
		"a header of as much as may be":                {padded(head), 200},
		"a header of one byte more":                    {padded(head + 1), 431},
		"a header of far more":                         {padded(50 * head), 431},
		"a header without an end":                      {"POST / HTTP/1.1\r\nHost: localhost\r\nX-Pad: " + strings.Repeat("x", 4*head), 431},
		"many small headers":                           {raw(strings.Repeat("A: b\r\n", head/6), legacyCall), 431},
		"a long path":                                  {"GET /" + strings.Repeat("x", 2*head) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 431},
		"a body of as much as may be":                  {raw("", long(body)), 200},
		"a body of one byte more":                      {raw("", long(body+1)), 413},
		"a body that says it is far more":              {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{", 413},
		"a body of as much as may be, of no size said": {chunked(body), 200},
		"a body of one byte more, of no size said":     {chunked(body + 1), 413},
	} {
		t.Run(name, func(t *testing.T) {
			if status, text, err := f.exchange(tt.raw); status != tt.want || err != nil {
				t.Errorf("%d %.100s %v, want %d", status, text, err, tt.want)
			}
		})
	}
	if status, _, err := f.exchange(raw("", legacyCall)); status != 200 {
		t.Errorf("afterwards: %d %v", status, err)
	}
}

// deadlines is a ResponseWriter that notes the deadlines it gets.
type deadlines struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.until = t
	return nil
}

// However writes follow each other, one is given at least the limit and at most half as much again; by default that is 15 s.
func TestR22_WriteDeadlines(t *testing.T) {
	if most := server.Default().WriteTimeout * 3 / 2; most > 15*time.Second {
		t.Errorf("a client that does not read is waited for up to %v", most)
	}
	synctest.Test(t, func(t *testing.T) {
		const limit = 10 * time.Second
		d, c := &deadlines{ResponseRecorder: httptest.NewRecorder()}, new(conn)
		for _, pause := range []time.Duration{0, time.Millisecond, 4 * time.Second, 2 * time.Second, 5 * time.Second, time.Hour} {
			time.Sleep(pause)
			c.allow(d, limit)
			if left := time.Until(d.until); left < limit || left > limit*3/2 {
				t.Errorf("after %v a write has %v", pause, left)
			}
		}
	})
}

// A client that takes nothing of what its call says is closed, and weir keeps nothing of it.
func TestR22_SlowReader(t *testing.T) {
	const event = 64 << 10
	blocked := make(chan time.Time, 1)
	ended := make(chan struct{})
	var sent int
	f := start(t, func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
		defer close(ended)
		text := []byte(`{"progress":1,"message":"` + strings.Repeat("x", event) + `"}`)
		for ctx.Err() == nil {
			began := time.Now()
			c.Notify(catalog.Notification{Method: "notifications/progress", Params: text})
			if sent++; time.Since(began) > 100*time.Millisecond && len(blocked) == 0 {
				blocked <- began
			}
		}
		return nil, context.Cause(ctx)
	}, func(s *server.Spec) { s.WriteTimeout = time.Second })
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	body, header := modernCall("1", "up__echo", "")
	var lines strings.Builder
	for i := 0; i < len(header); i += 2 {
		_, _ = fmt.Fprintf(&lines, "%s: %s\r\n", header[i], header[i+1]) // into memory
	}
	if _, err := io.WriteString(f.dial(), raw(lines.String()+"Accept: application/json, text/event-stream\r\n", body)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the call still goes on")
	}
	took := time.Since(<-blocked)
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("closed %v after it stopped reading, with a limit of 1 s; %d events of 64 KiB were taken, the heap is %d KiB more", took, sent, grown>>10)
	if took < time.Second || took > 10*time.Second || grown > 8<<20 {
		t.Errorf("closed after %v, heap +%d bytes", took, grown)
	}
}

// A client that reads a large answer slowly but steadily gets all of it, however long that takes.
func TestSlowButSteadyReader(t *testing.T) {
	const size = 24 << 20 // far more than the kernel takes
	f := start(t, func(context.Context, *catalog.Call) (*catalog.Answer, error) {
		return result(t, catalog.Modern, `{"content":[],"x":"`+strings.Repeat("x", size)+`"}`), nil
	}, func(s *server.Spec) { s.WriteTimeout = 300 * time.Millisecond })
	c := f.dial()
	if _, err := io.WriteString(c, raw("Connection: close\r\n", legacyCall)); err != nil {
		t.Fatal(err)
	}
	began, n := time.Now(), 0
	b := make([]byte, 64<<10)
	for {
		k, err := c.Read(b)
		if n += k; err != nil {
			break
		}
		time.Sleep(4 * time.Millisecond)
	}
	if n < size || time.Since(began) < 500*time.Millisecond {
		t.Errorf("%d bytes in %v", n, time.Since(began))
	}
}

// Clients that hold connections, and those that send their request without end, do not keep others out: the connections stay within the bound, and every
// request of a client that sends one is answered.
func TestR24_SlowClientsMakeRoom(t *testing.T) {
	const most, slow = 20, 200
	f := start(t, echo(t), func(s *server.Spec) { s.MaxConnections = most })
	held := make([]net.Conn, 0, slow)
	for i := range slow {
		c := f.dial()
		held = append(held, c)
		begin := []string{"", "POST / HTTP/1.1\r\nHost: localhost\r\nX-A", raw("", legacyCall)[:len(raw("", legacyCall))-10]}[i%3]
		if _, err := io.WriteString(c, begin); err != nil {
			t.Fatal(err)
		}
		if i%10 != 0 {
			continue
		}
		if status, text, err := f.exchange(raw("", legacyCall)); status != 200 || err != nil {
			t.Fatalf("with %d slow clients: %d %s %v", i+1, status, text, err)
		}
		if n := f.server.conns.count(); n > most {
			t.Fatalf("%d connections are open", n)
		}
	}
	closed := make(map[net.Conn]bool)
	deadline := time.Now().Add(10 * time.Second)
	for len(closed) < slow-most && time.Now().Before(deadline) {
		for _, c := range held { // on a busy machine a deadline may be over before the read begins, and then says nothing
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); err != nil && !isTimeout(err) {
				closed[c] = true
			}
		}
	}
	if len(closed) < slow-most {
		t.Errorf("%d of %d slow clients were closed, %d may be open", len(closed), slow, most)
	}
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// Connections whose requests are being answered are not closed for others; when there are only such, a new one is.
func TestR34_BusyConnectionsStay(t *testing.T) {
	const most = 8
	entered, leave := make(chan struct{}, most), make(chan struct{})
	f := start(t, func(context.Context, *catalog.Call) (*catalog.Answer, error) {
		entered <- struct{}{}
		<-leave
		return result(t, catalog.Modern, `{"content":[]}`), nil
	}, func(s *server.Spec) { s.MaxConnections = most })
	var calls sync.WaitGroup
	for range most {
		calls.Go(func() {
			if status, text, err := f.exchange(raw("", legacyCall)); status != 200 || err != nil {
				t.Errorf("%d %s %v", status, text, err)
			}
		})
	}
	for range most {
		<-entered
	}
	if status, _, err := f.exchange(raw("", legacyCall)); err == nil {
		t.Errorf("one too many got %d", status)
	}
	if n := f.server.conns.count(); n != most {
		t.Errorf("%d connections", n)
	}
	close(leave)
	calls.Wait()
	if status, _, err := f.exchange(raw("", `{"jsonrpc":"2.0","id":1,"method":"ping"}`)); status != 200 {
		t.Errorf("afterwards: %d %v", status, err)
	}
}

// A server that stops takes requests as long as it is told to, ends the streams with their result, waits for calls, gives up what is left with an answer that
// says so, and says that all this went well.
func TestR26_Drain(t *testing.T) {
	entered := make(chan string, 2)
	quick := make(chan struct{})
	f := start(t, func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
		name := c.Target
		entered <- name
		if name == "echo" {
			<-quick
			return result(t, catalog.Modern, `{"content":[]}`), nil
		}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}, func(s *server.Spec) { s.DrainDelay, s.DrainTimeout = time.Second, time.Second })
	type reply struct {
		of, text string
		status   int
	}
	replies := make(chan reply, 4)
	send := func(of, request string) {
		go func() {
			status, text, err := f.exchange(request)
			if err != nil {
				t.Errorf("%s: %v", of, err)
			}
			replies <- reply{of, text, status}
		}()
	}
	listen := `{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + meta + `}}`
	send("listen", raw("Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n", listen))
	stuck, _ := modernCall(`"m"`, "up__other", "")
	send("modern stuck", raw("Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: up__other\r\n", stuck))
	send("legacy stuck", raw("", strings.Replace(legacyCall, "up__echo", "up__other", 1)))
	send("quick", raw("", legacyCall))
	for range 3 {
		<-entered
	}
	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- f.stop() }()
	time.Sleep(50 * time.Millisecond)
	if status, _, err := f.exchange(raw("", `{"jsonrpc":"2.0","id":1,"method":"ping"}`)); status != 200 {
		t.Errorf("in the delay: %d %v", status, err)
	}
	got := map[string]reply{}
	first := <-replies
	got[first.of] = first
	if first.of != "listen" {
		t.Errorf("%s ended first", first.of)
	}
	close(quick)
	for len(got) < 4 {
		r := <-replies
		got[r.of] = r
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	t.Logf("stopped after %v, of which 2 s were given", time.Since(began))
	for of, want := range map[string]string{
		"listen": `"resultType":"complete"`, "quick": `"content":[]`, "modern stuck": "weir is stopping", "legacy stuck": "weir is stopping",
	} {
		if r := got[of]; r.status != 200 || !strings.Contains(r.text, want) {
			t.Errorf("%s: %d %s", of, r.status, r.text)
		}
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://")); err == nil {
		t.Error("somebody still listens")
	}
}

// A panic outside of the line ends its request with 500; within an answer that has begun it ends the answer. The process goes on.
func TestR28_PanicAtTheEdge(t *testing.T) {
	f := start(t, echo(t), nil)
	log := new(strings.Builder)
	f.end.log = slog.New(slog.NewTextHandler(log, nil))
	good := f.end.identify
	f.end.identify = func(*http.Request) (authn.Caller, error) { return good(nil) }
	for name, broken := range map[string]func(*exchange){
		"before the answer": func(*exchange) { panic("boom") },
		"with the lock":     func(x *exchange) { x.mu.Lock(); panic("boom") },
		"in the answer":     func(x *exchange) { x.begin(); panic("boom") },
	} {
		w := httptest.NewRecorder()
		x := &exchange{endpoint: f.end, w: w, r: httptest.NewRequest(http.MethodPost, "/", nil), conn: new(conn)}
		func() {
			defer x.rescue()
			broken(x)
		}()
		if name == "before the answer" && (w.Code != 500 || !strings.Contains(w.Body.String(), "-32603") || !strings.Contains(w.Body.String(), "fault ")) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if n := strings.Count(log.String(), "boom"); n != 3 {
		t.Errorf("%d are logged: %s", n, log)
	}
	f.end.identify = func(*http.Request) (authn.Caller, error) { panic("boom") }
	if status, text, err := f.exchange(raw("", legacyCall)); status != 500 || err != nil {
		t.Errorf("%d %s %v", status, text, err)
	}
	f.end.identify = good
	if status, text, err := f.exchange(raw("", legacyCall)); status != 200 || err != nil {
		t.Errorf("afterwards: %d %s %v", status, text, err)
	}
}

// Large bodies are refused before they are read when they could not be answered within the memory; small requests are not.
func TestR33_LargeBodiesAreNotRead(t *testing.T) {
	f := start(t, echo(t), nil)
	limit := debug.SetMemoryLimit(1 << 20)
	f.end.memory = server.NewMemory()
	debug.SetMemoryLimit(limit)
	resp, err := http.Post(f.url, "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"`+strings.Repeat("x", 1<<20)+`"}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	var m rawjson.Message
	if scan := rawjson.Scan(&m, b); scan != nil || err != nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(b), "-32014") {
		t.Errorf("%d %v %s %v", resp.StatusCode, resp.Header, b, errors.Join(scan, err))
	}
	http.DefaultClient.CloseIdleConnections()
	if status, text, err := f.exchange(raw("", `{"jsonrpc":"2.0","id":1,"method":"ping"}`)); status != 200 {
		t.Errorf("a small one: %d %s %v", status, text, err)
	}
}
