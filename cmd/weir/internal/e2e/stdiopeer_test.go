package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

// stdioPeer is the client of one `weir stdio`.
type stdioPeer struct {
	*child
	person
	era    era
	lastID atomic.Int64

	writing sync.Mutex
	stdin   io.WriteCloser

	mu    sync.Mutex
	calls map[string]*openCall // by id, and by progress token behind a "t"
	stray []message
	fault error
}

// dialStdio starts `weir stdio` with config.
func dialStdio(t testing.TB, config object, e era) *stdioPeer {
	t.Helper()
	return dialStdioAs(t, config, e, person{})
}

func dialStdioAs(t testing.TB, config object, e era, who person) *stdioPeer {
	t.Helper()
	return newStdioPeer(t, exec.Command(weirBinary, "stdio", configFile(t, config)), e, who)
}

// newStdioPeer starts a server over stdio and says hello to it.
func newStdioPeer(t testing.TB, cmd *exec.Cmd, e era, who person) *stdioPeer {
	t.Helper()
	in, err := cmd.StdinPipe()
	must(t, err)
	pr, pw := io.Pipe()
	cmd.Stdout = pw
	p := &stdioPeer{person: who, era: e, stdin: in, calls: map[string]*openCall{}, child: start(t, cmd)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(pr)
	}()
	t.Cleanup(func() {
		_ = in.Close()
		if !p.waitEnd(15 * time.Second) {
			t.Errorf("weir stdio still runs 15 s after its input was closed")
		}
		_ = pw.Close()
		<-read
	})
	if e == legacy {
		events, err := p.call("initialize", initializeParams(who.can))
		must(t, err)
		if events[0].Error != nil {
			t.Fatalf("initialize: %s", events[0].Error)
		}
		must(t, p.write([]byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)))
	}
	return p
}

func (p *stdioPeer) write(line []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	_, err := p.stdin.Write(append(line, '\n'))
	return err
}

func (p *stdioPeer) call(method string, params object) ([]message, error) {
	c := p.open(method, params)
	select {
	case <-c.done:
	case <-p.ended:
		return nil, fmt.Errorf("%s: weir ended", method)
	case <-time.After(callTimeout):
		return nil, fmt.Errorf("%s: no answer in %s", method, callTimeout)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault != nil {
		return c.events, p.fault
	}
	return c.events, c.err
}

// open sends a request. What comes for it after its cancellation is stray.
func (p *stdioPeer) open(method string, params object) *openCall {
	id := p.lastID.Add(1)
	c := &openCall{done: make(chan struct{})}
	c.cancel = func() {
		p.mu.Lock()
		p.close(c, nil)
		p.mu.Unlock()
		_ = p.write(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, id)) // weir is gone then
	}
	keys := []string{fmt.Sprint(id)}
	if meta, ok := params["_meta"].(object); ok && meta["progressToken"] != nil {
		token, _ := json.Marshal(meta["progressToken"])
		keys = append(keys, "t"+string(token))
	}
	p.mu.Lock()
	for _, key := range keys {
		p.calls[key] = c
	}
	p.mu.Unlock()
	line, err := p.era.request(id, method, params, p.can)
	if err == nil {
		err = p.write(line)
	}
	if err != nil {
		p.mu.Lock()
		p.close(c, err)
		p.mu.Unlock()
	}
	return c
}

// close ends a call unless it has ended. p.mu is held.
func (p *stdioPeer) close(c *openCall, err error) {
	open := false
	for key, other := range p.calls {
		if other == c {
			open = true
			delete(p.calls, key)
		}
	}
	if open {
		c.err = err
		close(c.done)
	}
}

// listen has nothing to do for a legacy client: everything comes on the one pipe.
func (p *stdioPeer) listen(t testing.TB, filter object) (stop func()) {
	t.Helper()
	if p.era == legacy {
		return func() {}
	}
	before := len(p.strays())
	c := p.open("subscriptions/listen", object{"notifications": filter})
	upstreamtest.Eventually(t, func() bool { return len(p.strays()) > before }, "no acknowledgement of subscriptions/listen")
	return c.cancel
}

// read takes the lines that weir writes apart.
func (p *stdioPeer) read(r io.Reader) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var m message
		err = json.Unmarshal(line, &m)
		p.mu.Lock()
		if err != nil {
			p.fault = fmt.Errorf("a line on standard output: %w: %q", err, tail(string(line), 200))
		} else {
			p.take(m)
		}
		p.mu.Unlock()
		if m.Method != "" && m.ID != nil && p.answers != nil {
			_ = p.write(p.answer(m)) // weir is gone then
		}
	}
}

// take gives a message to the call it belongs to. A notification that comes after the answer finds the call closed and is stray.
func (p *stdioPeer) take(m message) {
	c := p.addressee(m)
	if c == nil {
		p.stray = append(p.stray, m)
		return
	}
	c.events = append(c.events, m)
	if m.Method == "" {
		p.close(c, nil)
	}
}

// addressee is the call that a message is about. What is about a call without naming it is about the only one that is open.
func (p *stdioPeer) addressee(m message) *openCall {
	switch {
	case m.Method == "":
		return p.calls[string(m.ID)]
	case m.Method == "notifications/progress":
		var params struct {
			ProgressToken json.RawMessage `json:"progressToken"`
		}
		_ = json.Unmarshal(m.Params, &params) // without a token it belongs to no call
		return p.calls["t"+string(params.ProgressToken)]
	case m.ID == nil && m.Method != "notifications/message":
		return nil
	}
	var only *openCall
	for _, c := range p.calls {
		if only != nil && only != c {
			return nil
		}
		only = c
	}
	return only
}

// strays returns what belonged to no call.
func (p *stdioPeer) strays() []message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]message(nil), p.stray...)
}
