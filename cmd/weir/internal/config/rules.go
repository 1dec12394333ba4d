package config

import (
	"cmp"
	"fmt"
	"math"
	"net"
	"net/textproto"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/translate"
	"weir/upstream"
	"weir/upstream/mcpconn"
	"weir/upstream/process"
)

// upstreams decodes mcpServers in order.
func (r *reader) upstreams(n *node, out *Upstreams, path string) {
	if n.kind != object {
		r.mismatch(n, path, "a mapping of names to servers")
		return
	}
	r.duplicates(n, path)
	for i, m := range n.members {
		if fault := nameFault(m.key.text); fault != "" {
			r.problem(m.key.at, "%s: the name %q %s", path, m.key.text, fault)
		}
		if n.member(m.key.text) != &n.members[i] {
			continue
		}
		u := Upstream{Name: m.key.text}
		r.structure(m.value, reflect.ValueOf(&u.Spec).Elem(), join(path, m.key.text))
		*out = append(*out, u)
	}
}

// rules checks what the form alone cannot say.
func (r *reader) rules(root *node, file *File) {
	servers := root.get("mcpServers")
	if servers == nil || servers.kind == null || servers.kind == object && len(servers.members) == 0 {
		r.warn(span{0, 0}, "no upstreams; add one under mcpServers")
	} else {
		r.checkUpstreams(servers, "mcpServers", file)
	}
	r.positive(root, file)
	r.checkAuth(root, file)
	r.checkTLS(root, file)
	r.virtuals(root, file)
	r.guards(root, file)
	r.exports(root, file)
	r.telemetry(root, file)
	if n := root.get("listen"); n != nil && n.kind == text {
		if listen, err := r.expand.Expand(n.text); err == nil && !isAddress(listen) {
			r.mismatch(n, "listen", "host:port")
		}
	}
	if n := root.get("path"); n != nil && n.kind == text && (!strings.HasPrefix(n.text, "/") || strings.ContainsAny(n.text, "?# ")) {
		r.mismatch(n, "path", "a path that starts with /")
	} else if n != nil && slices.Contains(reserved(), n.text) {
		r.problem(n.at, "path: %s is where weir answers something else than MCP", n.text)
	}
	if n := root.get("allowedOrigins"); n != nil {
		for i, o := range n.items {
			if u, err := url.Parse(o.text); o.kind == text && (err != nil || u.Host == "" || u.Scheme == "" || u.Path != "") {
				r.mismatch(o, fmt.Sprintf("allowedOrigins[%d]", i), "an origin such as https://example.com")
			}
		}
	}
}

// positive reports bounds of the listener that are zero, which would let nothing through.
func (r *reader) positive(root *node, file *File) {
	v := reflect.ValueOf(file.Server)
	for _, f := range fieldsOf(v.Type()) {
		n := root.get(f.key)
		if n != nil && n.kind != null && f.key != "listTTL" && v.FieldByIndex(f.index).CanInt() && v.FieldByIndex(f.index).Int() == 0 {
			r.problem(n.at, "%s: must be more than 0", f.key)
		}
	}
}

// isAddress reports whether s is a host and a port.
func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}

// checkUpstreams checks each server, and what they share.
func (r *reader) checkUpstreams(servers *node, path string, file *File) {
	if servers.kind != object {
		return
	}
	aliases := make(map[string]string)
	for _, u := range file.MCPServers {
		m := servers.member(u.Name)
		if m == nil || m.value.kind != object {
			continue
		}
		at := join(path, u.Name)
		if strings.EqualFold(u.Name, "weir") {
			r.problem(m.key.at, "%s: the name is kept for the gateway's own tools", at)
		}
		r.checkUpstream(*m, u.Spec, at)
		r.checkAliases(m.value.get("alias"), at, aliases)
	}
}

// checkUpstream checks one server: command, url or the description of an API, and what goes with each.
func (r *reader) checkUpstream(m member, s upstream.Spec, path string) {
	n := m.value
	var ways []*member
	for _, key := range append([]string{"command", "url", "endpoints"}, apiKinds()...) {
		if way := n.member(key); way != nil {
			ways = append(ways, way)
		}
	}
	if len(ways) == 0 {
		others := append([]string{"url"}, apiKinds()...)
		last := len(others) - 1
		want := "needs command (a program to start), " + strings.Join(others[:last], ", ") + " or " + others[last]
		slip := misspelt(n)
		switch {
		case slip == nil:
			r.problem(m.key.at, "%s: %s", path, want)
		case r.client: // where an unknown key alone is only a warning
			r.problem(slip.at, "%s: %s, has %q", path, want, slip.text)
		}
		return
	}
	if len(ways) > 1 {
		r.problem(ways[1].key.at, "%s: has both %s and %s; keep one", path, ways[0].key.text, ways[1].key.text)
		return
	}
	switch way := ways[0]; way.key.text {
	case "command":
		r.checkCommand(n, s, path)
	case "url":
		r.checkURL(n, way.value, s, path)
	case "endpoints":
		r.checkEndpoints(n, way.value, s, path)
	default:
		r.checkAPI(n, way, s, path)
	}
	r.checkTools(n, ways[0].key.text, path)
	if balance := n.member("balance"); balance != nil && len(s.Endpoints) == 0 {
		r.problem(balance.key.at, "%s.balance does nothing without endpoints", path)
	}
	if queue := n.member("queue"); queue != nil && s.Queue != nil && s.Concurrency == 0 {
		r.problem(queue.key.at, "%s.queue does nothing without concurrency; add that", path)
	}
	for _, key := range []string{"include", "exclude"} {
		if list := n.get(key); list != nil {
			for i, g := range list.items {
				if g.kind == text && g.text == "" {
					r.problem(g.at, "%s.%s[%d]: an empty pattern matches nothing", path, key, i)
				}
			}
		}
	}
}

// misspelt returns a key of n that is a slip of one that says how the server is reached.
func misspelt(n *node) *node {
	for _, m := range n.members {
		if near := Nearest(m.key.text, keysOf(reflect.TypeFor[upstream.Spec]())); near != m.key.text && (near == "command" || near == "url" || slices.Contains(apiKinds(), near)) {
			return m.key
		}
	}
	return nil
}

// checkTools reports what cannot be said of the tools of a server, or of an API.
func (r *reader) checkTools(n *node, way, path string) {
	calls := []string{"timeout", "idleTimeout", "idempotent", "hedge"}
	nothing := calls[1:] // an API is silent until it answers, and its calls are never repeated
	if way == "command" || way == "url" || way == "endpoints" {
		nothing = slices.DeleteFunc(keysOf(reflect.TypeFor[translate.Tool]()), func(k string) bool { return slices.Contains(calls, k) })
	} else {
		r.misplaced(n, path, way, nothing...)
	}
	tools := n.get("tools")
	if tools == nil || tools.kind != object {
		return
	}
	var hedge *node
	repeatable := false
	for _, m := range tools.members {
		if m.key.text == "" {
			r.problem(m.key.at, "%s.tools: an empty pattern matches nothing", path)
		}
		if m.value.kind == object {
			r.misplaced(m.value, path+".tools."+m.key.text, way, nothing...)
			hedge = cmp.Or(hedge, m.value.get("hedge"))
			if v := m.value.get("idempotent"); v != nil && v.text == "true" {
				repeatable = true
			}
		}
	}
	if hedge != nil && !repeatable {
		r.problem(hedge.at, "%s.tools: hedge does nothing where no tool is idempotent: true; a call that may have effects is never sent twice", path)
	}
}

// secretReference is a ${…} that stands for a secret, as far as its name tells.
var secretReference = regexp.MustCompile(`(?i)\$\{(?:file:|command:|[^}]*(?:token|secret|passw|api_?key|credential))`)

func (r *reader) checkCommand(n *node, s upstream.Spec, path string) {
	if c := n.get("command"); c.kind == text && strings.TrimSpace(c.text) == "" {
		r.problem(c.at, "%s.command: is empty", path)
	}
	if s.Type == "http" || s.Type == "sse" {
		r.problem(n.get("type").at, "%s.type: %s goes with url, not with command", path, s.Type)
	}
	r.misplaced(n, path, "command", append(apiKeys(), "headers", "credentials", "tls")...)
	r.checkSandbox(n.member("sandbox"), &s.Sandbox, path+".sandbox")
	if args := n.get("args"); args != nil {
		for i, a := range args.items {
			if a.kind == text && secretReference.MatchString(a.text) {
				r.warn(a.at, "%s.args[%d]: every user of this machine can read arguments; secrets belong into env", path, i)
			}
		}
	}
	if env := n.get("env"); env != nil && env.kind == object {
		for _, m := range env.members {
			if m.key.text == "" || strings.ContainsAny(m.key.text, "=\x00") {
				r.problem(m.key.at, "%s.env: %q cannot name a variable", path, m.key.text)
			}
		}
	}
}

// childKeys are the keys that mean something only for a server that weir starts.
func childKeys() []string {
	return []string{"args", "env", "envFile", "cwd", "lazy", "idleStop", "sandbox"}
}

// checkSandbox reports bounds that bound nothing, that are none, and that this machine cannot set.
func (r *reader) checkSandbox(m *member, box *process.Sandbox, path string) {
	switch {
	case m == nil || m.value.kind != object:
		return
	case !box.On() && r.client:
		r.warn(m.key.at, "%s: bounds nothing that weir knows of", path)
	case !box.On():
		r.problem(m.key.at, "%s: bounds nothing; give read, write, connect, listen or a limit, or remove it", path)
	}
	for key, ports := range map[string][]int{"connect": box.Connect, "listen": box.Listen} {
		for i, port := range ports {
			if port > math.MaxUint16 || port == 0 && key == "connect" {
				r.mismatch(m.value.get(key).items[i], fmt.Sprintf("%s.%s[%d]", path, key, i), "a port")
			}
		}
	}
	if cpu := m.value.get("cpu"); cpu != nil && box.CPU > 0 && box.CPU < time.Second {
		r.mismatch(cpu, path+".cpu", "at least 1s")
	}
	if r.lacks == nil {
		return
	}
	switch lack := r.lacks(*box); {
	case lack == "":
	case box.Optional:
		r.warn(m.key.at, "%s: %s; the server is started without what is missing", path, lack)
	default:
		r.problem(m.key.at, "%s: %s; with optional: true the server is started without", path, lack)
	}
}

func (r *reader) checkURL(n, target *node, s upstream.Spec, path string) {
	if target.kind == text {
		if fault := r.urlFault(target.text); fault != "" {
			r.problem(target.at, "%s.url: %s", path, fault)
		}
	}
	r.checkHTTP(n, "url", s, path)
}

// checkHTTP checks what goes with a server that is reached over HTTP, as a key says.
func (r *reader) checkHTTP(n *node, way string, s upstream.Spec, path string) {
	if s.Type == "stdio" {
		r.problem(n.get("type").at, "%s.type: stdio goes with command, not with %s", path, way)
	}
	r.misplaced(n, path, way, append(apiKeys(), childKeys()...)...)
	r.checkHeaders(n.get("headers"), path)
	r.checkServerCredentials(n, s, path)
	r.checkClientTLS(n, s, path)
}

// maxEndpoints bounds the endpoints of one upstream.
const maxEndpoints = 64

// checkEndpoints checks a server that has several addresses.
func (r *reader) checkEndpoints(n, all *node, s upstream.Spec, path string) {
	if all.kind == list && (len(all.items) == 0 || len(all.items) > maxEndpoints) {
		r.problem(all.at, "%s.endpoints: want 1 to %d of them, got %d", path, maxEndpoints, len(all.items))
	}
	for i, e := range all.items {
		if e.kind != object {
			continue
		}
		at := fmt.Sprintf("%s.endpoints[%d]", path, i)
		switch u := e.get("url"); {
		case u == nil:
			r.problem(e.at, "%s: has no url", at)
		case u.kind == text:
			if fault := r.urlFault(u.text); fault != "" {
				r.problem(u.at, "%s.url: %s", at, fault)
			}
		}
	}
	r.checkHTTP(n, "endpoints", s, path)
}

// checkHeaders reports headers that cannot be sent.
func (r *reader) checkHeaders(headers *node, path string) {
	if headers == nil || headers.kind != object {
		return
	}
	for _, m := range headers.members {
		switch {
		case !isToken(m.key.text):
			r.problem(m.key.at, "%s.headers: %q cannot name a header", path, m.key.text)
		case mcpconn.ReservedHeader(textproto.CanonicalMIMEHeaderKey(m.key.text)):
			r.problem(m.key.at, "%s.headers.%s: is set by weir itself", path, m.key.text)
		}
		if strings.ContainsAny(m.value.text, "\r\n\x00") {
			r.problem(m.value.at, "%s.headers.%s: a header is one line", path, m.key.text)
		}
	}
}

// misplaced reports keys that do not go with the way a server is reached.
func (r *reader) misplaced(n *node, path, with string, keys ...string) {
	for _, key := range keys {
		m := n.member(key)
		switch {
		case m == nil || m.value.kind == null:
		case r.client:
			r.warn(m.key.at, "%s.%s does nothing beside %s", path, key, with)
		default:
			r.problem(m.key.at, "%s.%s does nothing beside %s; remove it", path, key, with)
		}
	}
}

// urlFault says what is wrong with a URL, once its references are resolved; the text never holds any of it.
func (r *reader) urlFault(raw string) string {
	full, err := r.expand.Expand(raw)
	if err != nil {
		return "" // reported with the reference
	}
	u, err := url.Parse(full)
	switch {
	case err != nil:
		return "not a URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return "want a URL that starts with http:// or https://"
	case u.Host == "":
		return "the URL names no host"
	case u.User != nil:
		return "a name or password in the URL ends up in logs; put it into headers"
	case u.Fragment != "":
		return "a URL to call has no #fragment"
	}
	return ""
}

// isToken reports whether s can name a header (RFC 9110, 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// checkAliases reports public names that no client would take, and those that two entries want. seen maps a name to where it was given.
func (r *reader) checkAliases(n *node, path string, seen map[string]string) {
	if n == nil || n.kind != object {
		return
	}
	for _, m := range n.members {
		name, at := m.value.text, path+".alias."+m.key.text
		switch {
		case m.value.kind != text:
		case len(name) > 50 || name == "" || strings.ContainsFunc(name, func(c rune) bool { return !isNameChar(c) || c == '.' }):
			r.problem(m.value.at, "%s: want up to 50 letters, digits, _ and -, got %q", at, name)
		case seen[name] != "":
			r.problem(m.value.at, "%s: the name %q is already given to %s", at, name, seen[name])
		default:
			seen[name] = at
		}
	}
}
