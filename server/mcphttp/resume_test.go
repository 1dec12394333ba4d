package mcphttp

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/policy"
	"weir/server"
	"weir/server/authn"
)

// sse is one event as it arrived.
type sse struct{ id, data, retry string }

// reading is one connection that carries an event stream.
type reading struct {
	t      *testing.T
	status int
	lines  *bufio.Scanner
	cut    func() // breaks the connection
}

// stream opens a connection of its own.
func (f *fixture) stream(method, body string, header ...string) *reading {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
	r, err := http.NewRequestWithContext(ctx, method, f.url, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	if method == "POST" {
		r.Header.Set("Accept", "application/json, text/event-stream")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		cancel()
		f.t.Fatal(err)
	}
	c := &reading{t: f.t, status: resp.StatusCode, lines: bufio.NewScanner(resp.Body), cut: func() { cancel(); _ = resp.Body.Close() }}
	f.t.Cleanup(c.cut)
	return c
}

// next reads one event; false at the end of the stream.
func (c *reading) next() (e sse, ok bool) {
	for c.lines.Scan() {
		key, value, _ := strings.Cut(c.lines.Text(), ": ")
		switch key {
		case "id":
			e.id = value
		case "retry":
			e.retry = value
		case "data":
			e.data, ok = value, true
		case "":
			if ok || e.id != "" {
				return e, true
			}
		}
	}
	return sse{}, false
}

// must reads one event.
func (c *reading) must() sse {
	c.t.Helper()
	e, ok := c.next()
	if !ok {
		c.t.Fatal("the stream ended")
	}
	return e
}

// progress is what a talking call sends as its n-th notification.
func progress(n int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":%d}}`, n)
}

const (
	callEcho   = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"up__echo"}}`
	echoAnswer = `{"jsonrpc":"2.0","id":7,"result":{"content":[]}}`
)

// talking is an upstream whose calls send a notification for each number on say, and answer when it is closed.
func talking(t *testing.T, say <-chan int) upstreamFunc {
	return func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
		for {
			select {
			case <-ctx.Done():
				return nil, &catalog.Error{Code: catalog.Canceled, Msg: "cancelled"}
			case n, more := <-say:
				if !more {
					return result(t, catalog.Legacy, `{"content":[]}`), nil
				}
				c.Notify(catalog.Notification{Method: "notifications/progress", Params: fmt.Appendf(nil, `{"progress":%d}`, n)})
			}
		}
	}
}

// TestResumeCall: a client whose connection broke gets what it missed, once, whether the call is over by then or not.
func TestResumeCall(t *testing.T) {
	for _, version := range []string{"2025-11-25", "2025-06-18", "2025-03-26"} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, answered late %t", version, late), func(t *testing.T) {
				say := make(chan int)
				f := start(t, talking(t, say), nil)
				s := f.session(version)
				go func() { say <- 1 }()
				c := f.stream("POST", callEcho, s...)
				first := c.must()
				if primed := version == "2025-11-25"; primed {
					if first.id == "" || first.data != "" || first.retry == "" {
						t.Errorf("the stream opens with %+v", first)
					}
					first = c.must()
				}
				if first.id == "" || first.data != progress(1) {
					t.Fatalf("first event: %+v", first)
				}
				c.cut()
				say <- 2
				say <- 3
				if !late {
					close(say)
				}
				c = f.stream("GET", "", append(s, "Last-Event-Id", first.id)...)
				if late {
					go close(say)
				}
				var got []string
				for e, ok := c.next(); ok; e, ok = c.next() {
					got = append(got, e.data)
				}
				if diff := cmp.Diff([]string{progress(2), progress(3), echoAnswer}, got); diff != "" {
					t.Error(diff)
				}
				again := f.stream("GET", "", append(s, "Last-Event-Id", first.id)...) // even later
				if e := again.must(); e.data != progress(2) {
					t.Errorf("read again: %+v", e)
				}
			})
		}
	}
}

// TestResumeAgainAndAgain cuts the connection after every few events while the upstream talks on.
func TestResumeAgainAndAgain(t *testing.T) {
	const events = 400
	say := make(chan int)
	f := start(t, talking(t, say), nil)
	s := f.session("2025-11-25")
	go func() {
		for n := range events {
			say <- n
		}
		close(say)
	}()
	c, last := f.stream("POST", callEcho, s...), ""
	var got []string
	for i := 0; len(got) <= events; i++ {
		e, ok := c.next()
		if ok {
			last = e.id
			if e.data != "" {
				got = append(got, e.data)
			}
		}
		if !ok || i%7 == 6 {
			c.cut()
			c = f.stream("GET", "", append(s, "Last-Event-Id", last)...)
			if c.status != http.StatusOK {
				t.Fatalf("after %s: %d", last, c.status)
			}
		}
	}
	want := make([]string, 0, events+1)
	for n := range events {
		want = append(want, progress(n))
	}
	if diff := cmp.Diff(append(want, echoAnswer), got); diff != "" {
		t.Error(diff)
	}
}

// TestResumeAnswersQuestion: what an upstream asks while the connection is down is asked when the client is back.
func TestResumeAnswersQuestion(t *testing.T) {
	asking := make(chan struct{})
	f := start(t, func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
		c.Notify(catalog.Notification{Method: "notifications/progress", Params: []byte(`{"progress":1}`)})
		<-asking
		answer, err := c.Ask(ctx, catalog.Request{Method: "roots/list"})
		if err != nil {
			return nil, err
		}
		return result(t, catalog.Legacy, `{"content":[],"said":`+string(answer)+`}`), nil
	}, nil)
	got, h := f.do("POST", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"t","version":"1"}}}`)
	if got.Status != http.StatusOK {
		t.Fatal(got)
	}
	s := []string{"Mcp-Session-Id", h.Get("Mcp-Session-Id")}
	c := f.stream("POST", callEcho, s...)
	primed := c.must()
	c.cut()
	close(asking)
	c = f.stream("GET", "", append(s, "Last-Event-Id", primed.id)...)
	if e := c.must(); e.data != progress(1) {
		t.Fatalf("missed: %+v", e)
	}
	if e := c.must(); !strings.Contains(e.data, `"id":"weir-1","method":"roots/list"`) {
		t.Fatalf("question: %+v", e)
	}
	f.do("POST", `{"jsonrpc":"2.0","id":"weir-1","result":{"roots":[]}}`, s...)
	if e := c.must(); e.data != `{"jsonrpc":"2.0","id":7,"result":{"content":[],"said":{"roots":[]}}}` {
		t.Errorf("answer: %+v", e)
	}
}

// TestResumeIsScoped: an event id is worth nothing to another session, to another principal, or after the session.
func TestResumeIsScoped(t *testing.T) {
	say := make(chan int, 1)
	f := start(t, talking(t, say), nil)
	f.end.identify = func(r *http.Request) (authn.Caller, error) {
		if who := r.Header.Get("X-Test-User"); who != "" {
			p, err := policy.Verified(policy.Identity{Subject: who})
			return authn.Caller{Principal: p}, err
		}
		return authn.Caller{Principal: policy.LocalUser()}, nil
	}
	mine, other := f.session("2025-11-25"), f.session("2025-11-25")
	say <- 1
	c := f.stream("POST", callEcho, mine...)
	primed := c.must()
	if got, want := c.must().data, progress(1); got != want {
		t.Fatal(got)
	}
	c.cut()
	id := []string{"Last-Event-Id", primed.id}
	number, _, _ := strings.Cut(primed.id, "-")
	for _, tc := range []struct {
		name   string
		status int
		header []string
	}{
		{"another session", 400, append(id, other...)},
		{"another principal", 404, append(append(id, mine...), "X-Test-User", "x")},
		{"a number never sent", 400, append([]string{"Last-Event-Id", number + "-9"}, mine...)},
		{"a stream that never was", 400, append([]string{"Last-Event-Id", "999-1"}, mine...)},
		{"garbage", 400, append([]string{"Last-Event-Id", "é"}, mine...)},
		{"a number too large", 400, append([]string{"Last-Event-Id", number + "-99999999999999999999"}, mine...)},
	} {
		got, _ := f.do("GET", "", append(tc.header, "Accept", "text/event-stream")...)
		if got.Status != tc.status || got.Type != "application/json" || strings.Contains(got.Body, "progress") {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
	f.do("DELETE", "", mine...)
	if got, _ := f.do("GET", "", append(id, append(mine, "Accept", "text/event-stream")...)...); got.Status != http.StatusNotFound {
		t.Errorf("after the session: %+v", got)
	}
}

// TestResumeExpired: a gap is never passed over in silence.
func TestResumeExpired(t *testing.T) {
	say := make(chan int)
	f := start(t, talking(t, say), nil)
	f.end.replay.limits.events = 2
	s := f.session("2025-11-25")
	go func() { say <- 1 }()
	c := f.stream("POST", callEcho, s...)
	primed := c.must()
	c.cut()
	say <- 2
	say <- 3
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		again := f.stream("GET", "", append(s, "Last-Event-Id", primed.id)...)
		if again.status == http.StatusBadRequest && again.lines.Scan() && strings.Contains(again.lines.Text(), "not kept") {
			break
		}
		again.cut() // it was not gone yet
		if time.Now().After(deadline) {
			t.Fatalf("asked for what is gone: %d %s", again.status, again.lines.Text())
		}
	}
	number, _, _ := strings.Cut(primed.id, "-")
	c = f.stream("GET", "", append(s, "Last-Event-Id", number+"-1")...)
	for _, want := range []string{progress(2), progress(3)} {
		if e := c.must(); e.data != want {
			t.Errorf("kept: %+v, want %s", e, want)
		}
	}
	close(say)
}

// changed waits until the client hears that a list changed.
func (c *reading) changed(what string) sse {
	c.t.Helper()
	e := c.must()
	if want := `{"jsonrpc":"2.0","method":"notifications/` + what + `/list_changed"}`; e.data != want {
		c.t.Fatalf("got %+v, want %s", e, want)
	}
	return e
}

// TestResumeStandalone: the stream that belongs to no request goes on too, and what nobody read goes to a new one.
func TestResumeStandalone(t *testing.T) {
	f := start(t, echo(t), nil)
	s := f.session("2025-11-25")
	version := 0
	publish := func(tools ...string) {
		version++
		src := source(tools...)
		src.Prompts = [][]byte{[]byte(`{"name":"p` + strconv.Itoa(version) + `"}`)}
		f.catalog.Publish(catalog.Build([]*catalog.Source{src}, catalog.Options{Naming: catalog.Prefix}))
	}
	gone := func() { // the server has noticed that nobody reads
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if _, read := f.end.replay.others(&stream{session: f.end.sessions.All()[0]}); !read {
				return
			}
		}
		t.Fatal("the stream still counts as read")
	}
	c := f.stream("GET", "", s...)
	primed := c.must()
	if primed.id == "" || primed.data != "" {
		t.Fatalf("the stream opens with %+v", primed)
	}
	publish("echo", "other")
	c.changed("prompts")
	c.cut()
	gone()
	publish("echo", "other")
	publish("echo", "other")
	c = f.stream("GET", "", append(s, "Last-Event-Id", primed.id)...)
	c.changed("prompts")
	second := c.changed("prompts") // the two changes in one
	c.cut()
	gone()
	publish("new")
	c = f.stream("GET", "", s...) // a client that does not know of event ids
	if e := c.must(); e.data != "" {
		t.Fatalf("the new stream opens with %+v", e)
	}
	if a, b := c.must().data, c.must().data; a == b || !strings.Contains(a+b, "tools/list_changed") || !strings.Contains(a+b, "prompts/list_changed") {
		t.Errorf("what nobody read: %s and %s", a, b)
	}
	old := f.stream("GET", "", append(s, "Last-Event-Id", second.id)...) // the one of before once more: it is the newest now
	publish("newer")
	if a, b := old.must().data, old.must().data; a == b {
		t.Errorf("on the stream that was taken up: %s twice", a)
	}
	f.end.Drain()
	if e, ok := c.next(); ok {
		t.Errorf("on two streams: %+v", e)
	}
}

// TestReplayIsBounded in events and bytes of a stream and in bytes of all, and forgets what ended.
func TestReplayIsBounded(t *testing.T) {
	r := newReplay(limits{events: 3, bytes: 10_000, inAll: 20_000, after: time.Minute})
	session := server.NewSession(policy.LocalUser(), catalog.Client{Version: "2025-11-25"})
	a := r.open(session, nil)
	for range 5 {
		a.send([]byte("x"))
	}
	if len(a.kept) != 3 || a.kept[0].seq != 3 {
		t.Errorf("kept %d events", len(a.kept))
	}
	a.send(make([]byte, 20_000))
	if len(a.kept) != 0 || r.bytes != 0 {
		t.Errorf("a large event left %d events, %d bytes", len(a.kept), r.bytes)
	}
	a.send([]byte("x"))
	for range 10 {
		r.open(session, nil).send(make([]byte, 8000))
	}
	if len(a.kept) != 0 || r.events.Len() != 2 || r.bytes > 20_000 {
		t.Errorf("in all %d events, %d bytes", r.events.Len(), r.bytes)
	}
	a.end()
	r.sweep(time.Now())
	if got, _ := r.find(session, "1-1"); got != a {
		t.Error("a stream that ended is forgotten at once")
	}
	r.sweep(time.Now().Add(2 * time.Minute))
	if len(r.streams) != 10 {
		t.Errorf("%d streams, want those that run", len(r.streams))
	}
	session.End()
	r.sweep(time.Now())
	if len(r.streams)+r.events.Len()+r.bytes != 0 {
		t.Errorf("after the session: %d streams, %d events, %d bytes", len(r.streams), r.events.Len(), r.bytes)
	}
}

// TestPlainAnswersAreNotKept: a call that is answered as JSON costs no stream, and a client without a session gets no ids.
func TestPlainAnswersAreNotKept(t *testing.T) {
	say := make(chan int, 1)
	close(say)
	f := start(t, talking(t, say), nil)
	if got, _ := f.do("POST", callEcho, f.session("2025-11-25")...); got.Type != "application/json" || got.Body != echoAnswer {
		t.Errorf("got %+v", got)
	}
	if n := f.end.replay.next; n != 0 {
		t.Errorf("%d streams", n)
	}
	f = start(t, func(_ context.Context, c *catalog.Call) (*catalog.Answer, error) {
		c.Notify(catalog.Notification{Method: "notifications/progress"})
		return result(t, catalog.Legacy, `{}`), nil
	}, nil)
	if got, _ := f.do("POST", callEcho); got.Type != "text/event-stream" || strings.Contains(got.Body, "id: ") {
		t.Errorf("got %+v", got)
	}
}

// TestCancelledStreamsEnd: also those of a batch whose every request was cancelled.
func TestCancelledStreamsEnd(t *testing.T) {
	say := make(chan int, 1)
	f := start(t, talking(t, say), nil)
	s := f.session("2025-03-26")
	for _, body := range []string{callEcho, "[" + callEcho + "]"} {
		say <- 1
		c := f.stream("POST", body, s...)
		if e := c.must(); e.data != progress(1) {
			t.Fatalf("%+v", e)
		}
		f.do("POST", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`, s...)
		if e, ok := c.next(); ok {
			t.Errorf("after the cancellation: %+v", e)
		}
	}
	f.end.replay.sweep(time.Now().Add(time.Hour))
	f.end.replay.mu.Lock()
	defer f.end.replay.mu.Unlock()
	if n := len(f.end.replay.streams); n != 0 {
		t.Errorf("%d streams are kept as if they ran", n)
	}
}

// FuzzEventID: an id finds the stream it names, of its own session, and nothing else.
func FuzzEventID(f *testing.F) {
	r := newReplay(defaultLimits())
	mine, other := server.NewSession(policy.LocalUser(), catalog.Client{}), server.NewSession(policy.LocalUser(), catalog.Client{})
	st := r.open(mine, nil)
	for _, id := range []string{"1-0", "1-7", "2-1", "", "-", "1", "1-", "01-1", "+1-1", "1--1", "1-1-1", "18446744073709551616-1", "0x1-1", " 1-1"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if got, _ := r.find(other, id); got != nil {
			t.Errorf("%q finds another session's stream", id)
		}
		got, seq := r.find(mine, id)
		if got == nil {
			return
		}
		if back := strings.TrimSuffix(strings.TrimPrefix(string(st.appendID(nil, seq)), "id: "), "\n"); got != st || strings.TrimLeft(id, "0") != back && !strings.Contains(id, "0") {
			t.Errorf("%q finds event %s", id, back)
		}
	})
}
