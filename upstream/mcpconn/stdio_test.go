package mcpconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// failureOf is what tests compare of a *catalog.Error.
type failureOf struct {
	Code      catalog.Code
	Msg, Hint string
	Execution catalog.Execution
}

func failed(t testing.TB, err error) failureOf {
	t.Helper()
	var e *catalog.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %v", err)
	}
	return failureOf{e.Code, e.Msg, e.Hint, e.Execution}
}

// collect returns an onMessage that keeps what it gets.
func collect(to *[]string) func(*request) {
	return func(r *request) {
		r.onMessage = func(m *rawjson.Message) { *to = append(*to, string(m.Data)) }
	}
}

func inSession(name string) func(*request) {
	return func(r *request) { r.session, r.askable = name, true }
}

func TestStdioRoundTrip(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "serve")
	if got := c.must(t, "ok", `{"a":1}`); got != `{"ok":true}` {
		t.Errorf("result %s", got)
	}
	if err := c.notify(t.Context(), "notifications/initialized", nil); err != nil {
		t.Error(err)
	}
	if err := c.reply(t.Context(), []byte(`"q"`), []byte("\"result\" : {\n}")); err != nil {
		t.Error(err)
	}
	want := []string{
		`{"jsonrpc":"2.0","id":1,"method":"ok","params":{"a":1}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":"q","result":{}}`,
		`{"jsonrpc":"2.0","id":2,"method":"seen"}`,
	}
	if d := cmp.Diff(want, c.seen(t)); d != "" {
		t.Error(d)
	}
}

func TestTrap4_2_4_PrettyPrintedParamsStayOneLine(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "serve")
	inject := "{\n \"a\" : [ 1 ,\r\n\t2 ],\n \"s\" : \"two  words\\n\"\n}\n"
	c.must(t, "ok", inject)
	c.must(t, "ok", "{\"s\":\"raw\nbreak\r{\\\"id\\\":1}\"}") // not JSON; no scanner would let it come so far
	want := []string{
		`{"jsonrpc":"2.0","id":1,"method":"ok","params":{"a":[1,2],"s":"two  words\n"}}`,
		`{"jsonrpc":"2.0","id":2,"method":"ok","params":{"s":"raw\nbreak\r{\"id\":1}"}}`,
		`{"jsonrpc":"2.0","id":3,"method":"seen"}`,
	}
	if d := cmp.Diff(want, c.seen(t)); d != "" {
		t.Error(d)
	}
}

func TestTrap4_2_5_ManyLargeCallsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "echo")
	params := `{"text":"` + strings.Repeat("x", 16<<10) + `"}`
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 20 {
				if got := c.must(t, "echo", params); got != params {
					t.Errorf("%d bytes came back", len(got))
				}
			}
		})
	}
	wg.Wait()
}

func TestTrap5_13_MessagesMayUseTheConnection(t *testing.T) {
	t.Parallel()
	var c *rawConn
	asked := make(chan string, 1)
	c = newRaw(t, "serve", func(o *stdioOptions) {
		o.unsolicited = func(*rawjson.Message) {
			select {
			case asked <- c.must(t, "ok", ""):
			default:
			}
		}
	})
	inner := 0
	c.must(t, "progress", `{"n":3}`, func(r *request) {
		r.onMessage = func(*rawjson.Message) {
			c.must(t, "ok", "")
			inner++
		}
	})
	if inner != 3 {
		t.Errorf("%d requests from within notifications", inner)
	}
	c.must(t, "changed", `{"n":1}`)
	if got := <-asked; got != `{"ok":true}` {
		t.Errorf("request from within a list change: %s", got)
	}
}

func TestStdioNotificationsComeInOrderBeforeTheResult(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "serve")
	for range 10 {
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				var got []string
				id := int64(0)
				c.must(t, "progress", `{"n":5}`, collect(&got), func(r *request) { id = r.id })
				var want []string
				for i := range 5 {
					want = append(want, fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%d,"progress":%d}}`, id, i+1))
				}
				if !slices.Equal(got, want) {
					t.Errorf("request %d got %q", id, got)
				}
			})
		}
		wg.Wait()
	}
	eventually(t, "the late progress to be counted", func() bool { return c.Stats().Unmatched == 2000 })
}

func TestStdioLogMessagesGoOncePerSession(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "serve")
	ctx, cancel := context.WithCancel(t.Context())
	got := map[string]*[]string{}
	var wg sync.WaitGroup
	park := func(name, of string) {
		got[name] = new([]string)
		wg.Go(func() {
			_, err := c.call(ctx, "silent", "", collect(got[name]), inSession(of))
			if f := failed(t, err); f.Code != catalog.Canceled || f.Execution != catalog.Unknown {
				t.Errorf("%s: %+v", name, f)
			}
		})
		eventually(t, "the request to be open", func() bool {
			c.stdio.mu.Lock()
			defer c.stdio.mu.Unlock()
			return len(c.open) == len(got)
		})
	}
	park("a, oldest", "a")
	park("a, younger", "a")
	park("b", "b")
	c.must(t, "log", `{"n":2}`) // itself takes none
	// The messages were queued before the answer to "log"; they are taken before the next one is.
	eventually(t, "the messages to be taken", func() bool {
		c.stdio.mu.Lock()
		defer c.stdio.mu.Unlock()
		return c.held == 0
	})
	cancel()
	wg.Wait()
	two := []string{
		`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":0}}`,
		`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}`,
	}
	if d := cmp.Diff(map[string]*[]string{"a, oldest": &two, "a, younger": new([]string), "b": &two}, got); d != "" {
		t.Error(d)
	}
	if h := c.heard(); len(h) > 0 {
		t.Errorf("unsolicited: %q", h)
	}
	c.must(t, "log", `{"n":2}`)
	eventually(t, "messages that no request takes", func() bool { return slices.Equal(c.heard(), two) })
}

func TestStdioListChangesNeverGoToRequests(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "serve")
	var got []string
	c.must(t, "changed", `{"n":1}`, collect(&got))
	eventually(t, "the list change", func() bool { return len(c.heard()) == 1 })
	if len(got) > 0 {
		t.Errorf("the request got %q", got)
	}
}

func TestStdioListChangesAreCoalesced(t *testing.T) {
	t.Parallel()
	var c *rawConn
	block := make(chan struct{})
	calls := make(chan struct{}, 10)
	c = newRaw(t, "serve", func(o *stdioOptions) {
		o.unsolicited = func(*rawjson.Message) {
			calls <- struct{}{}
			<-block
		}
	})
	c.must(t, "changed", `{"n":1}`)
	<-calls
	c.must(t, "changed", `{"n":5000}`)
	close(block)
	<-calls // one for those that came while the first was handled
	c.must(t, "ok", "")
	if len(calls) > 0 || c.Stats().Dropped > 0 {
		t.Errorf("%d more calls, %+v", len(calls), c.Stats())
	}
}

func TestStdioServerRequests(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "serve")
	if got := c.must(t, "ping", ""); got != `{"reply":{"jsonrpc":"2.0","id":"s1","result":{}}}` {
		t.Errorf("ping: %s", got)
	}
	var asked []string
	got := c.must(t, "roots/list", "", func(r *request) {
		r.askable = true
		r.onMessage = func(m *rawjson.Message) {
			asked = append(asked, string(m.Data))
			if err := c.reply(t.Context(), m.ID.Of(m.Data), []byte(`"result":{"roots":[]}`)); err != nil {
				t.Error(err)
			}
		}
	})
	if want := `{"reply":{"jsonrpc":"2.0","id":"s2","result":{"roots":[]}}}`; got != want || len(asked) != 1 {
		t.Errorf("%s after %q", got, asked)
	}
}

func TestStdioServerRequestsOfUnclearOwner(t *testing.T) {
	t.Parallel()
	var c *rawConn
	c = newRaw(t, "serve", func(o *stdioOptions) {
		o.unsolicited = func(m *rawjson.Message) {
			if err := c.reply(t.Context(), m.ID.Of(m.Data), errorMember(-32601, "no")); err != nil {
				t.Error(err)
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	var other, mine []string
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = c.call(ctx, "silent", "", collect(&other), inSession("a")) })
	eventually(t, "the request to be open", func() bool {
		c.stdio.mu.Lock()
		defer c.stdio.mu.Unlock()
		return len(c.open) == 1
	})
	got := c.must(t, "roots/list", "", collect(&mine), inSession("b"))
	cancel()
	wg.Wait()
	if !strings.Contains(got, `"error":{"code":-32601`) || len(mine)+len(other) > 0 {
		t.Errorf("%s; requests got %q and %q", got, mine, other)
	}
}

// TestT27_StdioQuestionsStayWithTheirOwner: while calls of two people are open on one child, nobody is asked what may be the other's question. Alone, who can
// be asked goes before who only refuses.
func TestT27_StdioQuestionsStayWithTheirOwner(t *testing.T) {
	away, here := func() bool { return true }, func() bool { return false }
	for _, tt := range []struct {
		name string
		open []request
		want int // index of who is asked, -1 for nobody
	}{
		{"one who can be asked", []request{{owner: "a"}, {owner: "a", session: "1", askable: true, refuses: true}}, 1},
		{"another's call is open", []request{{owner: "a", session: "1", askable: true, refuses: true}, {owner: "b"}}, -1},
		{"two sessions", []request{{session: "1", askable: true}, {session: "2", askable: true}}, -1},
		{"one of them is away", []request{{session: "1", askable: true, parked: away}, {session: "2", askable: true, parked: here}}, 1},
		{"both are away", []request{{session: "1", askable: true, parked: away}, {session: "2", askable: true, parked: away}}, -1},
		{"another's is away", []request{{owner: "a", session: "1", askable: true, parked: away}, {owner: "b", session: "2", askable: true}}, -1},
		{"only who refuses", []request{{owner: "a"}, {owner: "a", refuses: true}, {owner: "a", refuses: true}}, 1},
		{"who can goes first", []request{{refuses: true}, {askable: true, refuses: true}}, 1},
		{"nobody", []request{{owner: "a"}}, -1},
	} {
		var all []*pending
		for i := range tt.open {
			tt.open[i].id = int64(i)
			all = append(all, &pending{request: &tt.open[i]})
		}
		got := -1
		if one, ok := asked(all); ok {
			got = int(one.id)
		}
		if got != tt.want {
			t.Errorf("%s: %d was asked, want %d", tt.name, got, tt.want)
		}
	}
}

func TestStdioCancel(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "serve")
	id := int64(0)
	giveUp := func(method string, cause error) failureOf {
		t.Helper()
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		result := make(chan error, 1)
		go func() {
			_, err := c.call(ctx, method, "")
			result <- err
		}()
		id++
		eventually(t, "the request to be written", func() bool { // before, nothing would be said of it to the server
			c.stdio.mu.Lock()
			defer c.stdio.mu.Unlock()
			return c.open[id] != nil && c.open[id].written
		})
		cancel(cause)
		return failed(t, <-result)
	}
	if d := cmp.Diff(failureOf{Code: catalog.Canceled, Msg: "up: the call was canceled"}, giveUp("silent", errors.New("went away"))); d != "" {
		t.Error(d)
	}
	for _, method := range []string{"silent", "initialize"} {
		if f := giveUp(method, context.DeadlineExceeded); f.Code != catalog.Timeout || f.Execution != catalog.Unknown {
			t.Errorf("%s: %+v", method, f)
		}
	}
	want := []string{
		`{"jsonrpc":"2.0","id":1,"method":"silent"}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"the caller gave up"}}`,
		`{"jsonrpc":"2.0","id":2,"method":"silent"}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2,"reason":"the caller gave up"}}`,
		`{"jsonrpc":"2.0","id":3,"method":"initialize"}`,
		`{"jsonrpc":"2.0","id":4,"method":"seen"}`,
	}
	if d := cmp.Diff(want, c.seen(t)); d != "" {
		t.Error(d)
	}
}

func TestStdioChildThatDoesNotRead(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "deaf")
	big := `{"text":"` + strings.Repeat("x", 300<<10) + `"}`
	type outcome struct {
		failureOf
		took time.Duration
	}
	results := make(chan outcome, 8)
	for range cap(results) {
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := c.call(ctx, "ok", big)
			results <- outcome{failed(t, err), time.Since(began)}
		}()
	}
	sure := 0
	for range cap(results) {
		r := <-results
		if r.Code != catalog.Timeout || r.took > 5*time.Second {
			t.Errorf("%+v", r)
		}
		if r.Execution == catalog.NotExecuted {
			sure++
		}
	}
	if sure < cap(results)-1 {
		t.Errorf("%d of %d requests were provably not sent", sure, cap(results))
	}
}

func TestStdioJunk(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "mark")
	c.must(t, "junk", `{"n":50}`)
	c.must(t, "batch", "")
	c.must(t, "unknown ids", "")
	want := StdioStats{Junk: 53, LastJunk: `{"jsonrpc":"2.0"}`, Unmatched: 3}
	if d := cmp.Diff(want, c.Stats()); d != "" {
		t.Error(d)
	}
	if h := c.heard(); len(h) != 1 {
		t.Errorf("the line behind the byte order mark: %q", h)
	}
	_, err := c.call(t.Context(), "invalid", "")
	if d := cmp.Diff(failureOf{Code: catalog.Unavailable, Msg: "up: the answer is not a valid message", Execution: catalog.Executed}, failed(t, err)); d != "" {
		t.Error(d)
	}
}

func TestStdioJunkShowsNoSecrets(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "serve")
	c.line(new(rawjson.Message), []byte("DEBUG \x1b[31mtoken=hunter22\x1b[0m [ not JSON"))
	if got := c.Stats().LastJunk; got != "DEBUG token=*** [ not JSON" {
		t.Errorf("%q", got)
	}
}

func TestStdioLongLines(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "serve", func(o *stdioOptions) { o.maxMessage = 100 << 10 })
	for i, form := range []string{"id first", "id last", "id before the end"} {
		_, err := c.call(t.Context(), "big", fmt.Sprintf(`{"n":%d,"form":%q}`, 500<<10, form))
		got := failed(t, err)
		if got.Code != catalog.TooLarge || got.Execution != catalog.Executed || got.Hint != "raise maxMessage of up" || !strings.HasSuffix(got.Msg, "over the limit of 102400") {
			t.Errorf("%s: %+v", form, got)
		}
		if n := c.Stats().TooLong; n != int64(i+1) {
			t.Errorf("%d lines counted", n)
		}
	}
	c.must(t, "big", fmt.Sprintf(`{"n":%d,"form":"of another"}`, 500<<10))
	if got := c.must(t, "big", fmt.Sprintf(`{"n":%d}`, 99<<10)); len(got) < 99<<10 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestStdioSlowCaller(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "serve", func(o *stdioOptions) { o.maxHeld = 20 << 10 })
	proceed := make(chan struct{})
	_, err := c.call(t.Context(), "progress", `{"n":1000}`, func(r *request) {
		r.onMessage = func(*rawjson.Message) {
			select {
			case <-proceed:
			default:
				c.must(t, "ok", "") // others are not held up
				eventually(t, "the request to be given up", func() bool {
					c.stdio.mu.Lock()
					defer c.stdio.mu.Unlock()
					return c.open[1] == nil
				})
				close(proceed)
			}
		}
	})
	if f := failed(t, err); f.Code != catalog.TooLarge || f.Execution != catalog.Unknown {
		t.Errorf("%+v", f)
	}
	if !slices.Contains(c.seen(t), `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"too many notifications"}}`) {
		t.Error("the server was not told")
	}
	c.stdio.mu.Lock()
	defer c.stdio.mu.Unlock()
	if c.held != 0 {
		t.Errorf("%d bytes are still held", c.held)
	}
}
