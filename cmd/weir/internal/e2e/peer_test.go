package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// era is which family of revisions a client speaks.
type era string

const (
	legacy era = "legacy"
	modern era = "modern"
)

// version is the newest revision of the era.
func (e era) version() string {
	if e == modern {
		return "2026-07-28"
	}
	return "2025-11-25"
}

// message is one JSON-RPC message, as far as these tests look at it.
type message struct {
	ID     json.RawMessage `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`
}

// peer is a client that hides nothing: call returns all that came for one request in the order it came, the answer and whatever came
// after it too. It is safe for concurrent use.
type peer interface {
	call(method string, params object) ([]message, error)
}

// callTimeout bounds one call of a peer.
const callTimeout = 30 * time.Second

var clientInfo = object{"name": "e2e", "version": "1"}

// request makes a request of an era. params is not changed.
func (e era) request(id int64, method string, params object) ([]byte, error) {
	params = maps.Clone(params)
	if params == nil {
		params = object{}
	}
	if e == modern {
		meta, _ := params["_meta"].(object)
		meta = maps.Clone(meta)
		if meta == nil {
			meta = object{}
		}
		meta["io.modelcontextprotocol/protocolVersion"] = e.version()
		meta["io.modelcontextprotocol/clientInfo"] = clientInfo
		meta["io.modelcontextprotocol/clientCapabilities"] = object{}
		params["_meta"] = meta
	}
	return json.Marshal(object{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

func initializeParams(capabilities object) object {
	return object{"protocolVersion": legacy.version(), "clientInfo": clientInfo, "capabilities": capabilities}
}

// httpPeer speaks Streamable HTTP.
type httpPeer struct {
	url     string
	era     era
	client  *http.Client
	session string
	lastID  atomic.Int64
}

// dialHTTP connects to a gateway; a legacy peer has a session then.
func dialHTTP(t testing.TB, url string, e era) *httpPeer {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	p := &httpPeer{url: url, era: e, client: &http.Client{Transport: transport, Timeout: callTimeout}}
	if e == modern {
		return p
	}
	body, err := e.request(p.lastID.Add(1), "initialize", initializeParams(object{}))
	must(t, err)
	resp, err := p.post("initialize", nil, body)
	must(t, err)
	events, err := readAnswer(resp)
	must(t, err)
	if answer := events[len(events)-1]; answer.Error != nil {
		t.Fatalf("initialize: %s", answer.Error)
	}
	p.session = resp.Header.Get("Mcp-Session-Id")
	resp, err = p.post("", nil, []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`))
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("notifications/initialized: status %s", resp.Status)
	}
	return p
}

func (p *httpPeer) post(method string, params object, body []byte) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if method != "initialize" {
		req.Header.Set("Mcp-Protocol-Version", p.era.version())
	}
	if p.session != "" {
		req.Header.Set("Mcp-Session-Id", p.session)
	}
	if p.era == modern {
		req.Header.Set("Mcp-Method", method)
		for _, key := range []string{"name", "uri"} {
			if name, ok := params[key].(string); ok {
				req.Header.Set("Mcp-Name", name)
			}
		}
	}
	return p.client.Do(req)
}

func (p *httpPeer) call(method string, params object) ([]message, error) {
	body, err := p.era.request(p.lastID.Add(1), method, params)
	if err != nil {
		return nil, err
	}
	resp, err := p.post(method, params, body)
	if err != nil {
		return nil, err
	}
	return readAnswer(resp)
}

// readAnswer reads a whole HTTP answer, JSON or event stream, to its end.
func readAnswer(resp *http.Response) ([]message, error) {
	defer func() { _ = resp.Body.Close() }()
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var events []message
	switch kind {
	case "application/json":
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		events = make([]message, 1)
		if err := json.Unmarshal(b, &events[0]); err != nil {
			return nil, fmt.Errorf("%s: %w: %q", resp.Status, err, tail(string(b), 200))
		}
	case "text/event-stream":
		var err error
		if events, err = readEvents(resp.Body); err != nil {
			return events, err
		}
	default:
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return nil, fmt.Errorf("status %s, content type %q: %q", resp.Status, kind, b)
	}
	if len(events) == 0 {
		return nil, errors.New("an answer without a message")
	}
	return events, nil
}

// readEvents reads the messages of an event stream. Events without data are no messages.
func readEvents(r io.Reader) ([]message, error) {
	var events []message
	var data strings.Builder
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if text, ok := strings.CutPrefix(line, "data:"); ok {
			data.WriteString(strings.TrimPrefix(text, " "))
		}
		if line == "" && data.Len() > 0 {
			var m message
			if err := json.Unmarshal([]byte(data.String()), &m); err != nil {
				return events, fmt.Errorf("an event: %w: %q", err, tail(data.String(), 200))
			}
			events = append(events, m)
			data.Reset()
		}
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
	}
}

// stdioPeer is the client of one `weir stdio`.
type stdioPeer struct {
	*child
	era    era
	lastID atomic.Int64

	writing sync.Mutex
	stdin   io.WriteCloser

	mu    sync.Mutex
	calls map[string]*stdioCall // by id, and by progress token behind a "t"
	// stray is what belongs to no open call: it came after its answer, or for nobody.
	stray []message
	fault error
}

type stdioCall struct {
	events []message
	done   chan struct{}
}

// dialStdio starts `weir stdio` with config.
func dialStdio(t testing.TB, config object, e era) *stdioPeer {
	t.Helper()
	return newStdioPeer(t, exec.Command(weirBinary, "stdio", configFile(t, config)), e, object{})
}

// newStdioPeer starts a server over stdio and says hello to it: a legacy one hears of capabilities then.
func newStdioPeer(t testing.TB, cmd *exec.Cmd, e era, capabilities object) *stdioPeer {
	t.Helper()
	in, err := cmd.StdinPipe()
	must(t, err)
	pr, pw := io.Pipe()
	cmd.Stdout = pw
	p := &stdioPeer{era: e, stdin: in, calls: map[string]*stdioCall{}, child: start(t, cmd)}
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
		events, err := p.call("initialize", initializeParams(capabilities))
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
	id := p.lastID.Add(1)
	line, err := p.era.request(id, method, params)
	if err != nil {
		return nil, err
	}
	c := &stdioCall{done: make(chan struct{})}
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
	if err := p.write(line); err != nil {
		return nil, err
	}
	select {
	case <-c.done:
	case <-p.ended:
		return nil, fmt.Errorf("%s: weir ended", method)
	case <-time.After(callTimeout):
		return nil, fmt.Errorf("%s: no answer in %s", method, callTimeout)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		delete(p.calls, key)
	}
	return c.events, p.fault
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
	}
}

// take gives a message to the call it belongs to. A notification that comes after the answer finds the call closed and is stray.
func (p *stdioPeer) take(m message) {
	key := string(m.ID)
	if m.Method != "" {
		var params struct {
			ProgressToken json.RawMessage `json:"progressToken"`
		}
		_ = json.Unmarshal(m.Params, &params) // a notification without a token belongs to no call
		key = "t" + string(params.ProgressToken)
	}
	c := p.calls[key]
	switch {
	case c == nil:
		p.stray = append(p.stray, m)
		return
	case m.Method == "":
		defer close(c.done)
		for k, other := range p.calls {
			if other == c {
				delete(p.calls, k)
			}
		}
	}
	c.events = append(c.events, m)
}

// strays returns what belonged to no call.
func (p *stdioPeer) strays() []message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]message(nil), p.stray...)
}
