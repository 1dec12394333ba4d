package upstreamtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Content is what a server lists. In a change, nil leaves a list as it is.
type Content struct {
	Tools     []Raw `json:"tools"`
	Prompts   []Raw `json:"prompts"`
	Resources []Raw `json:"resources"`
	Templates []Raw `json:"templates"`
}

// engine is the part of a server that all transports share: what it offers, what its script says, and who is connected.
type engine struct {
	cfg    Config
	ledger *Ledger
	ctx    context.Context //nolint:containedctx // it is the life of the server, and ends when that closes
	stop   context.CancelFunc
	wg     sync.WaitGroup // requests that are played beside their reader
	// crash ends the server at once, forget drops its sessions; both belong to the transport.
	crash, forget func()

	mu      sync.Mutex
	content Content
	script  []Act
	hits    []int // per act of script: how many requests matched its On
	peers   map[*peer]bool
	listens map[*listen]bool
}

// peer is what a server knows about the other side of a connection: a legacy session, a child's pipes, or one stateless HTTP request.
type peer struct {
	session string // Mcp-Session-Id, "" when there is none
	conn    string

	mu      sync.Mutex
	version string  // negotiated by initialize; "" before
	caps    members // from initialize
	level   string  // from logging/setLevel
	open    map[string]context.CancelFunc
	tokens  map[string]bool // progress tokens in use
	watched map[string]bool // URIs from resources/subscribe
	nextAsk int
	asks    map[string]chan message
	stream  sender // where messages go that belong to no request; nil when there is none
}

// sender writes one whole message.
type sender interface{ send(msg []byte) error }

// channel is the way back for one request.
type channel interface {
	sender
	// answer writes the answer, or the fault in its place.
	answer(answer)
}

// answer is how one request ends.
type answer struct {
	status int
	body   []byte
	act    *Act // never nil
}

// exchange is one request being answered.
type exchange struct {
	*engine
	peer    *peer
	channel channel
	message
	era Era
	seq int
	// settle ends the request with an outcome; the first one counts.
	settle func(outcome string)
}

// listen is one open subscriptions/listen.
type listen struct {
	to     sender
	id     json.RawMessage
	filter members
}

func newEngine(cfg Config, l *Ledger) *engine {
	if cfg.Name == "" {
		cfg.Name = "fake"
	}
	if cfg.ModernVersions == nil {
		cfg.ModernVersions = []string{ModernVersion}
	}
	if cfg.LegacyVersions == nil {
		cfg.LegacyVersions = []string{LegacyVersion, "2025-06-18", "2025-03-26", SSEVersion}
	}
	if cfg.Tools == nil && cfg.Prompts == nil && cfg.Resources == nil && cfg.Templates == nil {
		cfg.Tools = []Raw{`{"name":"echo","description":"Answers with its arguments.","inputSchema":{"type":"object"}}`}
	}
	e := &engine{
		cfg: cfg, ledger: l, peers: map[*peer]bool{}, listens: map[*listen]bool{},
		content: Content{cfg.Tools, cfg.Prompts, cfg.Resources, cfg.Templates},
	}
	e.setScript(cfg.Script)
	e.ctx, e.stop = context.WithCancel(context.Background())
	return e
}

func newPeer(session, conn string) *peer {
	return &peer{
		session: session, conn: conn, open: map[string]context.CancelFunc{},
		tokens: map[string]bool{}, watched: map[string]bool{}, asks: map[string]chan message{},
	}
}

func (e *engine) setScript(acts []Act) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.script, e.hits = acts, make([]int, len(acts))
}

// match returns the act for m, an empty one when none is scripted. It counts.
func (e *engine) match(m *message) (act *Act, scripted bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	target := m.target()
	for i := range e.script {
		a := &e.script[i]
		if a.On != m.method && (target == "" || a.On != target && a.On != m.method+" "+target) {
			continue
		}
		e.hits[i]++
		if act == nil && (a.Nth == 0 || a.Nth == e.hits[i]) {
			act = a
		}
	}
	if act == nil {
		return &Act{}, false
	}
	return act, true
}

// breach notes that entry seq breaks the specification.
func (e *engine) breach(seq int, format string, args ...any) {
	e.ledger.set(seq, func(en *Entry) { en.Breach = strings.TrimPrefix(en.Breach+"; "+fmt.Sprintf(format, args...), "; ") })
}

// speaks says whether the server accepts version, and in which era.
func (e *engine) speaks(version string) (era Era, ok bool) {
	for _, v := range e.cfg.ModernVersions {
		if v == version && e.cfg.Era != Legacy {
			return Modern, true
		}
	}
	for _, v := range e.cfg.LegacyVersions {
		if v == version && e.cfg.Era != Modern {
			return Legacy, true
		}
	}
	return Both, false
}

// versions lists what the server accepts as a raw array.
func (e *engine) versions() string {
	var all []string
	if e.cfg.Era != Legacy {
		all = append(all, e.cfg.ModernVersions...)
	}
	if e.cfg.Era != Modern {
		all = append(all, e.cfg.LegacyVersions...)
	}
	b, _ := json.Marshal(all) // strings always encode
	return string(b)
}

// eraOf says by which rules m is to be read.
func (e *engine) eraOf(m *message, headerVersion string) Era {
	if e.cfg.Era != Both {
		return e.cfg.Era
	}
	if _, ok := m.params.object("_meta")[metaVersion]; ok || m.method == "server/discover" {
		return Modern
	}
	if era, _ := e.speaks(headerVersion); era == Modern {
		return Modern
	}
	return Legacy
}

// entry is the ledger's view of a message.
func entry(p *peer, m *message, era Era) Entry {
	return Entry{
		Conn: p.conn, Session: p.session, Era: era, Body: Raw(m.raw), Method: m.method, ID: Raw(m.id), Name: m.target(), Params: Raw(m.rawParams),
	}
}

// note takes a notification or a response from the client.
func (e *engine) note(p *peer, m *message, seq int) {
	switch m.method {
	case "":
		p.mu.Lock()
		to := p.asks[string(m.id)]
		delete(p.asks, string(m.id))
		p.mu.Unlock()
		if to == nil {
			e.breach(seq, "response to no request")
			return
		}
		to <- *m
	case "notifications/cancelled":
		p.mu.Lock()
		cancel := p.open[string(m.params["requestId"])]
		p.mu.Unlock()
		if cancel == nil {
			e.ledger.set(seq, func(en *Entry) { en.Outcome = "no such request" })
			return
		}
		cancel()
	}
}

// ask sends a request to the client and waits for its answer, which is a raw result or error object.
func (x *exchange) ask(ctx context.Context, a Ask) ([]byte, error) {
	p := x.peer
	reply := make(chan message, 1)
	p.mu.Lock()
	p.nextAsk++
	id := strconv.Itoa(p.nextAsk)
	p.asks[id] = reply
	var to sender = x.channel
	if a.OnGet {
		to = p.stream
	}
	p.mu.Unlock()
	if to == nil {
		return nil, fmt.Errorf("no GET stream to ask on")
	}
	msg := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"method":%s`, id, quote(a.Method))
	if a.Params != "" {
		msg = append(append(msg, `,"params":`...), x.filled(a.Params)...)
	}
	if err := to.send(append(msg, '}')); err != nil {
		return nil, err
	}
	select {
	case m := <-reply:
		if m.errObj != nil {
			return m.errObj, nil
		}
		return m.result, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// change replaces lists and tells every client that listens.
func (e *engine) change(c Content) {
	e.mu.Lock()
	var kinds []string
	swap := func(to *[]Raw, items []Raw, kind string) {
		if items != nil {
			*to, kinds = items, append(kinds, kind)
		}
	}
	swap(&e.content.Tools, c.Tools, "tools")
	swap(&e.content.Prompts, c.Prompts, "prompts")
	swap(&e.content.Resources, c.Resources, "resources")
	if c.Templates != nil {
		e.content.Templates = c.Templates
		if c.Resources == nil {
			kinds = append(kinds, "resources")
		}
	}
	e.mu.Unlock()
	for _, kind := range kinds {
		e.announce("notifications/"+kind+"/list_changed", nil, func(*peer) bool { return true },
			func(filter members) bool { return string(filter[kind+"ListChanged"]) == "true" })
	}
}

// updated tells every client that subscribed to uri that the resource changed.
func (e *engine) updated(uri string) {
	e.announce("notifications/resources/updated", append(append([]byte(`{"uri":`), quote(uri)...), '}'),
		func(p *peer) bool { return p.watched[uri] },
		func(filter members) bool {
			var uris []string
			return json.Unmarshal(filter["resourceSubscriptions"], &uris) == nil && slices.Contains(uris, uri)
		})
}

// announce sends a notification on every legacy stream and every listen stream that wants it.
func (e *engine) announce(method string, params []byte, peerWants func(*peer) bool, listenWants func(filter members) bool) {
	e.mu.Lock()
	var to []sender
	for p := range e.peers {
		p.mu.Lock()
		if p.stream != nil && p.version != "" && peerWants(p) {
			to = append(to, p.stream)
		}
		p.mu.Unlock()
	}
	var ls []*listen
	for l := range e.listens {
		if listenWants(l.filter) {
			ls = append(ls, l)
		}
	}
	e.mu.Unlock()
	for _, s := range to {
		_ = s.send(notification(method, params)) // a client that left is no fault
	}
	for _, l := range ls {
		_ = l.to.send(notification(method, withMeta(params, `"`+metaSubscription+`":`+string(l.id))))
	}
}

// notify sends a whole message as it is on every open stream.
func (e *engine) notify(msg Raw) {
	e.mu.Lock()
	var to []sender
	for p := range e.peers {
		p.mu.Lock()
		if p.stream != nil {
			to = append(to, p.stream)
		}
		p.mu.Unlock()
	}
	e.mu.Unlock()
	for _, s := range to {
		_ = s.send([]byte(msg))
	}
}

// withMeta puts a member into params._meta.
func withMeta(params []byte, member string) []byte {
	if params == nil {
		params = []byte("{}")
	}
	return prepend(params, `"_meta":{`+member+`}`)
}
