package mcpconn

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/catalog/rawjson"
	"weir/upstream/process"
)

// childVar makes the test binary a server that speaks raw lines; its value says how it behaves.
const childVar = "WEIR_TEST_STDIO"

// runRawChild is called first in TestMain.
func runRawChild() {
	if mode := os.Getenv(childVar); mode != "" {
		c := &rawChild{in: bufio.NewReaderSize(os.Stdin, 1<<20)}
		os.Exit(c.run(mode))
	}
}

// rawChild answers each request as its method says. It knows what weir's lines look like, so that it costs benchmarks little.
type rawChild struct {
	in  *bufio.Reader
	wg  sync.WaitGroup
	mu  sync.Mutex // of stdout and what follows
	got []string   // every line received
	out []byte
}

func (c *rawChild) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Printf(format+"\n", args...)
}

func (c *rawChild) run(mode string) int {
	switch mode {
	case "deaf": // never reads
		fmt.Println(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
		time.Sleep(time.Hour)
	case "dies":
		fmt.Println("Starting the server …")
		fmt.Fprintln(os.Stderr, "Error: JIRA_URL is required")
		return 1
	case "mark": // a byte order mark, CR LF, and a banner
		fmt.Print("\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\r\nListening on stdio\r\n\r\n")
	}
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			c.wg.Wait()
			return 0
		}
		if mode == "echo" {
			c.echo(line)
			continue
		}
		text := string(line)
		c.mu.Lock()
		c.got = append(c.got, strings.TrimSuffix(text, "\n"))
		c.mu.Unlock()
		var m struct {
			ID     json.RawMessage
			Method string
			Params map[string]any
		}
		if err := json.Unmarshal(line, &m); err != nil {
			c.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":%q}}`, err)
			continue
		}
		if m.ID != nil && m.Method != "" {
			c.wg.Go(func() { c.serve(string(m.ID), m.Method, m.Params) })
		}
	}
}

// echo answers with the params.
func (c *rawChild) echo(line []byte) {
	const before = `{"jsonrpc":"2.0","id":`
	id, rest, _ := bytes.Cut(line[len(before):], []byte{','})
	_, params, _ := bytes.Cut(rest, []byte(`"params":`))
	c.out = append(append(append(c.out[:0], before...), id...), `,"result":`...)
	c.out = append(c.out, params...) // with the closing brace and the line feed
	_, _ = os.Stdout.Write(c.out)
}

func (c *rawChild) serve(id, method string, p map[string]any) {
	n, _ := p["n"].(float64)
	answer := func(result string) { c.answer(id, result) }
	switch method {
	case "ok":
		answer(`{"ok":true}`)
	case "seen": // all lines so far
		c.mu.Lock()
		all, _ := json.Marshal(c.got)
		c.mu.Unlock()
		answer(`{"seen":` + string(all) + `}`)
	case "progress":
		for i := range int(n) {
			c.say(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d}}`, id, i+1)
		}
		answer(`{}`)
		c.say(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d}}`, id, -1)
	case "log":
		for i := range int(n) {
			c.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":%d}}`, i)
		}
		answer(`{}`)
	case "changed":
		for range int(n) {
			c.say(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
		}
		answer(`{}`)
	default:
		if !c.misbehave(id, method, p) {
			c.ask(id, method)
		}
	}
}

// ask sends a request to the client and answers with the reply.
func (c *rawChild) ask(id, method string) {
	c.say(`{"jsonrpc":"2.0","id":"s%s","method":%q,"params":{}}`, id, method)
	want := fmt.Sprintf(`{"jsonrpc":"2.0","id":"s%s",`, id)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		c.mu.Lock()
		for _, l := range c.got {
			if strings.HasPrefix(l, want) {
				c.mu.Unlock()
				c.answer(id, `{"reply":`+l+`}`)
				return
			}
		}
		c.mu.Unlock()
	}
}

func (c *rawChild) answer(id, result string) {
	c.say(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
}

// misbehave does what a server should not; false means that method is nothing of the kind.
func (c *rawChild) misbehave(id, method string, p map[string]any) bool {
	n, _ := p["n"].(float64)
	answer := func(result string) { c.answer(id, result) }
	switch method {
	case "junk":
		for range int(n) {
			c.say("DEBUG \x1b[31mtoken=hunter22\x1b[0m [ not JSON")
		}
		c.say(`[1,2`)
		c.say(`{"jsonrpc":"2.0"}`)
		answer(`{}`)
	case "invalid": // an answer with the same key twice
		c.say(`{"jsonrpc":"2.0","id":%s,"result":{},"result":{}}`, id)
	case "batch":
		c.say(`[{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}},{"jsonrpc":"2.0","id":%s,"result":{}}]`, id, id)
	case "big":
		text := strings.Repeat("x", int(n))
		switch p["form"] {
		case "id last":
			c.say(`{"result":{"text":"%s"},"jsonrpc":"2.0","id":%s}`, text, id)
		case "id before the end":
			c.say(`{"result":{"text":"%s"},"id":%s,"jsonrpc":"2.0"}`, text, id)
		case "of another":
			c.say(`{"jsonrpc":"2.0","id":%s,"method":"sampling/createMessage","params":{"text":"%s"}}`, id, text)
			answer(`{}`)
		default:
			answer(`{"text":"` + text + `"}`)
		}
	case "endless": // an answer of n bytes, which is never in memory as a whole
		c.mu.Lock()
		defer c.mu.Unlock()
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"text":"`, id)
		piece := bytes.Repeat([]byte("x"), 64<<10)
		for left := int(n); left > 0; left -= len(piece) {
			_, _ = os.Stdout.Write(piece)
		}
		fmt.Println(`"}}`)
	case "unknown ids":
		c.say(`{"jsonrpc":"2.0","id":"%s","result":{}}`, id)
		c.say(`{"jsonrpc":"2.0","id":999999,"result":{}}`)
		answer(`{}`)
	case "crash":
		fmt.Fprintln(os.Stderr, "panic: out of cheese")
		os.Exit(3)
	case "mute":
		_ = os.Stdout.Close()
		time.Sleep(time.Hour)
	case "unhear":
		_ = os.Stdin.Close()
		answer(`{}`)
		time.Sleep(time.Hour)
	case "silent", "initialize":
	default:
		return false
	}
	return true
}

// rawConn is a transport to a raw child with what it said out of turn.
type rawConn struct {
	*stdio
	p   *process.Process
	ids chan int64

	mu          sync.Mutex
	unsolicited []string
}

// newRaw starts a raw child and connects to it; both end with the test.
func newRaw(t testing.TB, mode string, edit ...func(*stdioOptions)) *rawConn {
	t.Helper()
	s := process.New(process.Options{StdinGrace: 2 * time.Second, TermGrace: time.Second})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Start(process.Spec{
		Name: "up", Command: self, Secrets: []string{"hunter22"},
		Env: process.Environ(os.Environ(), map[string]string{childVar: mode, "GORACE": "atexit_sleep_ms=0"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &rawConn{p: p, ids: make(chan int64, 1)}
	c.ids <- 1
	o := stdioOptions{name: "up", log: slog.New(slog.DiscardHandler), unsolicited: func(m *rawjson.Message) {
		c.mu.Lock()
		c.unsolicited = append(c.unsolicited, string(m.Data))
		c.mu.Unlock()
	}}
	for _, f := range edit {
		f(&o)
	}
	c.stdio = newStdio(p, o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := c.close(ctx); err != nil {
			t.Error(err)
		}
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *rawConn) id() int64 {
	id := <-c.ids
	c.ids <- id + 1
	return id
}

// call sends a request and returns the raw result.
func (c *rawConn) call(ctx context.Context, method, params string, edit ...func(*request)) (string, error) {
	r := &request{method: method, id: c.id()}
	if params != "" {
		r.params = []byte(params)
	}
	for _, f := range edit {
		f(r)
	}
	resp, err := c.roundTrip(ctx, r)
	if err != nil {
		return "", err
	}
	defer resp.release()
	return string(resp.message.Result.Of(resp.message.Data)), nil
}

// must is call for requests that have to succeed.
func (c *rawConn) must(t testing.TB, method, params string, edit ...func(*request)) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	result, err := c.call(ctx, method, params, edit...)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return result
}

// seen returns the lines that the child has received.
func (c *rawConn) seen(t testing.TB) []string {
	t.Helper()
	var all struct{ Seen []string }
	if err := json.Unmarshal([]byte(c.must(t, "seen", "")), &all); err != nil {
		t.Fatal(err)
	}
	return all.Seen
}

func (c *rawConn) heard() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.unsolicited...)
}

// eventually polls until ok or fails the test.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
