package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
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

// fullPeer is a peer that uses all of the protocol.
type fullPeer interface {
	peer
	// open sends a request and returns at once.
	open(method string, params object) *openCall
	// listen opens what the era and the transport have for messages that belong to no request; a modern one asks for what filter says.
	listen(t testing.TB, filter object) (stop func())
	// strays returns what belonged to no request, or came when its request was over.
	strays() []message
}

// person is who stands behind a peer: what its client says that it can, and what it answers to a server's request.
type person struct {
	can     object
	answers func(message) object
}

// openCall is a request on its way. events and err are there when done is closed.
type openCall struct {
	// cancel takes the request back as the era and the transport do it.
	cancel func()
	done   chan struct{}
	events []message
	err    error
}

func (c *openCall) wait() ([]message, error) {
	<-c.done
	return c.events, c.err
}

// callTimeout bounds one call of a peer.
const callTimeout = 30 * time.Second

var clientInfo = object{"name": "e2e", "version": "1"}

// request makes a request of an era. params is not changed.
func (e era) request(id int64, method string, params, can object) ([]byte, error) {
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
		if can == nil {
			can = object{}
		}
		meta["io.modelcontextprotocol/protocolVersion"] = e.version()
		meta["io.modelcontextprotocol/clientInfo"] = clientInfo
		meta["io.modelcontextprotocol/clientCapabilities"] = can
		params["_meta"] = meta
	}
	return json.Marshal(object{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

func initializeParams(can object) object {
	if can == nil {
		can = object{}
	}
	return object{"protocolVersion": legacy.version(), "clientInfo": clientInfo, "capabilities": can}
}

// answer is the response to a server's request.
func (p person) answer(m message) []byte {
	b, err := json.Marshal(object{"jsonrpc": "2.0", "id": m.ID, "result": p.answers(m)})
	if err != nil {
		return nil
	}
	return b
}

// httpPeer speaks Streamable HTTP.
type httpPeer struct {
	person
	url     string
	era     era
	header  http.Header // of every request, besides those of the protocol
	client  *http.Client
	session string
	lastID  atomic.Int64

	mu    sync.Mutex
	stray []message
}

// dialHTTP connects to a gateway; a legacy peer has a session then.
func dialHTTP(t testing.TB, url string, e era) *httpPeer {
	t.Helper()
	return dialHTTPAs(t, url, e, person{}, nil)
}

func dialHTTPAs(t testing.TB, url string, e era, who person, header http.Header) *httpPeer {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	p := &httpPeer{person: who, url: url, era: e, header: header, client: &http.Client{Transport: transport}}
	if e == modern {
		return p
	}
	body, err := e.request(p.lastID.Add(1), "initialize", initializeParams(who.can), nil)
	must(t, err)
	resp, err := p.post(t.Context(), "initialize", nil, body)
	must(t, err)
	events, err := readAnswer(resp, nil)
	must(t, err)
	if answer := events[len(events)-1]; answer.Error != nil {
		t.Fatalf("initialize: %s", answer.Error)
	}
	p.session = resp.Header.Get("Mcp-Session-Id")
	must(t, p.deposit(t.Context(), []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)))
	return p
}

func (p *httpPeer) post(ctx context.Context, method string, params object, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, p.header)
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

// deposit posts a message that has no answer.
func (p *httpPeer) deposit(ctx context.Context, body []byte) error {
	resp, err := p.post(ctx, "", nil, body)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%s: status %s", body, resp.Status)
	}
	return nil
}

func (p *httpPeer) call(method string, params object) ([]message, error) {
	return p.open(method, params).wait()
}

func (p *httpPeer) open(method string, params object) *openCall {
	ctx, stop := context.WithTimeout(context.Background(), callTimeout)
	id := p.lastID.Add(1)
	c := &openCall{done: make(chan struct{}), cancel: stop}
	if p.era == legacy { // to close the connection says nothing
		c.cancel = func() {
			body := fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, id)
			if err := p.deposit(ctx, body); err != nil {
				stop()
			}
		}
	}
	go func() {
		defer close(c.done)
		defer stop()
		body, err := p.era.request(id, method, params, p.can)
		if err != nil {
			c.err = err
			return
		}
		resp, err := p.post(ctx, method, params, body)
		if err != nil {
			c.err = err
			return
		}
		c.events, c.err = readAnswer(resp, func(m message) {
			if m.Method != "" && m.ID != nil && p.answers != nil {
				_ = p.deposit(ctx, p.answer(m)) // the call fails then
			}
		})
	}()
	return c
}

func (p *httpPeer) listen(t testing.TB, filter object) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := p.stream(ctx, filter)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("a stream to listen on: %s", resp.Status)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = resp.Body.Close() }()
		_, _ = readEvents(resp.Body, func(m message) { // until it is closed
			p.mu.Lock()
			defer p.mu.Unlock()
			p.stray = append(p.stray, m)
		})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	t.Cleanup(stop)
	return stop
}

// stream opens the session's GET stream, or a modern listen stream.
func (p *httpPeer) stream(ctx context.Context, filter object) (*http.Response, error) {
	if p.era == modern {
		const method = "subscriptions/listen"
		body, err := p.era.request(p.lastID.Add(1), method, object{"notifications": filter}, p.can)
		if err != nil {
			return nil, err
		}
		return p.post(ctx, method, nil, body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, p.header)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Mcp-Protocol-Version", p.era.version())
	req.Header.Set("Mcp-Session-Id", p.session)
	return p.client.Do(req)
}

func (p *httpPeer) strays() []message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]message(nil), p.stray...)
}

// readAnswer reads a whole HTTP answer, JSON or event stream, to its end; see, if there is one, gets each message at once.
func readAnswer(resp *http.Response, see func(message)) ([]message, error) {
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
		if events, err = readEvents(resp.Body, see); err != nil {
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
func readEvents(r io.Reader, see func(message)) ([]message, error) {
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
			if see != nil {
				see(m)
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
