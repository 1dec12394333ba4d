package upstreamtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// The keys of params._meta that the modern era defines (spec 2026-07-28, basic/index#meta).
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaInfo         = "io.modelcontextprotocol/clientInfo"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaLogLevel     = "io.modelcontextprotocol/logLevel"
	metaServerInfo   = "io.modelcontextprotocol/serverInfo"
	metaSubscription = "io.modelcontextprotocol/subscriptionId"
)

// normal is what a well-behaved server answers.
func (x *exchange) normal(act *Act, answers []json.RawMessage) ([]byte, *rpcError) {
	switch x.method {
	case "server/discover":
		if x.era == Modern {
			return x.hints(x.discover()), nil
		}
	case "initialize":
		if x.era == Legacy {
			return x.initialize()
		}
	case "ping":
		if x.era == Legacy {
			return []byte("{}"), nil
		}
	case "resources/subscribe", "resources/unsubscribe":
		if x.era == Legacy {
			x.peer.mu.Lock()
			x.peer.watched[x.params.text("uri")] = x.method == "resources/subscribe"
			x.peer.mu.Unlock()
			return []byte("{}"), nil
		}
	case "logging/setLevel":
		if x.era == Legacy {
			x.peer.mu.Lock()
			x.peer.level = x.params.text("level")
			x.peer.mu.Unlock()
			return []byte("{}"), nil
		}
	case "tools/list", "prompts/list", "resources/list", "resources/templates/list":
		return x.list()
	case "tools/call":
		return x.call(act, answers)
	case "prompts/get":
		return x.prompt()
	case "resources/read":
		return x.read()
	case "completion/complete":
		arg := x.params.object("argument")
		v := quote(arg.text("value") + "-completed")
		return fmt.Appendf(nil, `{"completion":{"values":[%s],"total":1,"hasMore":false}}`, v), nil
	}
	return nil, rpcErrorf(-32601, "method not found: %s", x.method)
}

// hints adds the cache hints that modern results of some methods must have.
func (x *exchange) hints(result []byte) []byte {
	if x.era != Modern {
		return result
	}
	return prepend(result, `"ttlMs":0,"cacheScope":"private"`)
}

func (x *exchange) info() string {
	return fmt.Sprintf(`{"name":%s,"version":"1.0.0"}`, quote(x.cfg.Name))
}

func (x *exchange) discover() []byte {
	b := fmt.Sprintf(`{"supportedVersions":%s,"capabilities":%s`, x.versions(), x.capabilities())
	if x.cfg.Instructions != "" {
		b += `,"instructions":` + string(quote(x.cfg.Instructions))
	}
	return []byte(b + `,"_meta":{"` + metaServerInfo + `":` + x.info() + `}}`)
}

func (x *exchange) initialize() ([]byte, *rpcError) {
	version := x.params.text("protocolVersion")
	if x.params.object("capabilities") == nil || x.params.object("clientInfo") == nil || version == "" {
		x.breach(x.seq, "initialize lacks protocolVersion, capabilities or clientInfo")
		return nil, rpcErrorf(-32602, "initialize lacks protocolVersion, capabilities or clientInfo")
	}
	if era, ok := x.speaks(version); !ok || era != Legacy {
		version = x.cfg.LegacyVersions[0]
	}
	p := x.peer
	p.mu.Lock()
	p.version, p.caps = version, x.params.object("capabilities")
	p.mu.Unlock()
	b := fmt.Sprintf(`{"protocolVersion":%s,"capabilities":%s,"serverInfo":%s`, quote(version), x.capabilities(), x.info())
	if x.cfg.Instructions != "" {
		b += `,"instructions":` + string(quote(x.cfg.Instructions))
	}
	return []byte(b + "}"), nil
}

func (x *exchange) capabilities() string {
	if x.cfg.Capabilities != "" {
		return string(x.cfg.Capabilities)
	}
	x.mu.Lock()
	c := x.content
	x.mu.Unlock()
	caps := []string{`"logging":{}`}
	if c.Tools != nil {
		caps = append(caps, `"tools":{"listChanged":true}`)
	}
	if c.Prompts != nil {
		caps = append(caps, `"prompts":{"listChanged":true}`)
	}
	if c.Resources != nil || c.Templates != nil {
		caps = append(caps, `"resources":{"listChanged":true,"subscribe":true}`)
	}
	if c.Prompts != nil || c.Templates != nil {
		caps = append(caps, `"completions":{}`)
	}
	return "{" + strings.Join(caps, ",") + "}"
}

// list answers one page. The cursor is the position, "at-" in front to make it no number.
func (x *exchange) list() ([]byte, *rpcError) {
	x.mu.Lock()
	items, key := x.content.Tools, "tools"
	switch x.method {
	case "prompts/list":
		items, key = x.content.Prompts, "prompts"
	case "resources/list":
		items, key = x.content.Resources, "resources"
	case "resources/templates/list":
		items, key = x.content.Templates, "resourceTemplates"
	}
	x.mu.Unlock()
	from := 0
	if _, given := x.params["cursor"]; given {
		digits, ok := strings.CutPrefix(x.params.text("cursor"), "at-")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || n < 0 || n > len(items) {
			return nil, rpcErrorf(-32602, "no such cursor")
		}
		from = n
	}
	next, end := "", len(items)
	if x.cfg.PageSize > 0 && from+x.cfg.PageSize < end {
		end = from + x.cfg.PageSize
		next = fmt.Sprintf(`,"nextCursor":"at-%d"`, end)
	}
	return x.hints([]byte(`{"` + key + `":` + list(items[from:end]) + next + `}`)), nil
}

// find returns the listed item whose member key is value, nil when there is none.
func (x *exchange) find(items func(Content) []Raw, key, value string) members {
	x.mu.Lock()
	all := items(x.content)
	x.mu.Unlock()
	for _, it := range all {
		var o members
		if json.Unmarshal([]byte(it), &o) == nil && o.text(key) == value {
			return o
		}
	}
	return nil
}

// call answers with the arguments exactly as they came, once as text and once as structured content.
func (x *exchange) call(act *Act, answers []json.RawMessage) ([]byte, *rpcError) {
	if x.find(func(c Content) []Raw { return c.Tools }, "name", x.params.text("name")) == nil {
		return nil, rpcErrorf(-32602, "unknown tool: %s", x.params.text("name"))
	}
	got := x.params["arguments"]
	if got == nil {
		got = json.RawMessage("{}")
	}
	if answers != nil {
		got = append(json.RawMessage(`{"answers":[`), joined(answers)...)
		got = append(got, "]}"...)
	}
	b := append([]byte(`{"content":[{"type":"text","text":`), quote(string(got)+strings.Repeat("x", act.Pad))...)
	b = append(append(b, `}],"structuredContent":`...), got...)
	return append(b, '}'), nil
}

func joined(raws []json.RawMessage) []byte {
	var b []byte
	for i, r := range raws {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r...)
	}
	return b
}

func (x *exchange) prompt() ([]byte, *rpcError) {
	if x.find(func(c Content) []Raw { return c.Prompts }, "name", x.params.text("name")) == nil {
		return nil, rpcErrorf(-32602, "unknown prompt: %s", x.params.text("name"))
	}
	args := quote(string(x.params["arguments"]))
	return fmt.Appendf(nil, `{"messages":[{"role":"user","content":{"type":"text","text":%s}}]}`, args), nil
}

func (x *exchange) read() ([]byte, *rpcError) {
	uri := x.params.text("uri")
	known := x.find(func(c Content) []Raw { return c.Resources }, "uri", uri) != nil
	x.mu.Lock()
	for _, t := range x.content.Templates {
		var o members
		_ = json.Unmarshal([]byte(t), &o) // an odd item matches nothing
		if fixed, _, ok := strings.Cut(o.text("uriTemplate"), "{"); ok && strings.HasPrefix(uri, fixed) {
			known = true
		}
	}
	x.mu.Unlock()
	if !known {
		code := -32602
		if x.era == Legacy {
			code = -32002
		}
		return nil, &rpcError{code: code, text: "resource not found", data: `{"uri":` + string(quote(uri)) + `}`}
	}
	b := fmt.Appendf(nil, `{"contents":[{"uri":%s,"mimeType":"text/plain","text":"read"}]}`, quote(uri))
	return x.hints(b), nil
}

// listen holds a subscription open (spec 2026-07-28, basic/patterns/subscriptions).
func (x *exchange) listen(ctx context.Context, act *Act) string {
	if x.era != Modern {
		x.channel.answer(x.finish(act, nil, rpcErrorf(-32601, "method not found: %s", x.method)))
		return "answered"
	}
	tag := `"` + metaSubscription + `":` + string(x.id)
	l := &listen{to: x.channel, id: x.id, filter: x.params.object("notifications")}
	filter := x.params["notifications"]
	if l.filter == nil {
		x.channel.answer(x.finish(act, nil, rpcErrorf(-32602, "notifications is missing")))
		return "answered"
	}
	ack := append([]byte(`{"notifications":`), filter...)
	x.mu.Lock() // who has the acknowledgement hears of every change from then on
	err := x.channel.send(notification("notifications/subscriptions/acknowledged", withMeta(append(ack, '}'), tag)))
	x.listens[l] = true
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		delete(x.listens, l)
		x.mu.Unlock()
	}()
	if err != nil {
		return "canceled"
	}
	<-ctx.Done()
	if x.ctx.Err() != nil { // the server ends the subscription itself
		x.channel.answer(x.finish(act, []byte(`{"resultType":"complete","_meta":{`+tag+`}}`), nil))
		return "answered"
	}
	return "canceled"
}
