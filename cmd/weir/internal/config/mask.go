package config

import (
	"regexp"
	"slices"
	"strings"
)

// shown are the keys whose values may be quoted in messages and excerpts. Values of all others can hold secrets.
const shown = " command cwd type transport transportType era include exclude includeTools excludeTools alias timeout idleTimeout idempotent hedge startTimeout maxMessage required disabled lazy idleStop memory fileSize cpu" +
	" listen path allowedHosts allowedOrigins maxBody maxHeader writeTimeout sessionIdle drainTimeout drainDelay maxConnections listTTL insecureNoAuth" +
	" oidc issuer audience resource scopes clockSkew algorithms tokenType acceptIDTokens requiredGroups owner groups roles expires" +
	" naming pageSize log level format id " +
	"overlays references mode budget pinned refresh schemaBytes maxText maxPages arrays descriptors protos importPaths metadata trailers maxMessages bidi connections keepalive authority operations generate mutations subscriptions events depth persisted get enabled aliases cost tools name description rename path fields maxBytes media "

// meant is the key that key is, or is a slip of; key itself when it is like none.
func meant(key string) string {
	if near := Nearest(key, append(strings.Fields(shown), "args", "env", "headers", "url", "openapi", "grpc", "replicas", "graphql", "schema", "subscriptionUrl", "server", "envFile", "credentials")); near != "" {
		return near
	}
	return key
}

// isShown reports whether the values of key may be quoted. A misspelt key is judged by the one that is meant.
func isShown(key string) bool { return strings.Contains(shown, " "+meant(key)+" ") }

// masker collects the spans of values that must not be quoted.
type masker struct {
	src   *source
	spans []span
}

// walk visits the value of key. below is what the keys above say about everything beneath them: env, headers, alias, policy, or nothing.
func (m *masker) walk(n *node, key, below string) {
	switch {
	case n.kind == object:
		for _, c := range n.members {
			b := below
			if isServers := key == "mcpServers" || key == "servers"; isServers {
				b = "" // the names of servers mean nothing
			} else if near := meant(c.key.text); b == "" && c.value.kind == object && (near == "env" || near == "headers" || near == "alias" || near == "credentials") {
				b = near
			} else if key == "" && c.key.text == "policy" {
				b = "policy" // nothing in it is a secret
			}
			m.walk(c.value, c.key.text, b)
		}
	case n.kind == list:
		for _, i := range n.items {
			m.walk(i, key, below)
		}
	case n.kind != text || below == "alias" || below == "policy" || below == "" && isShown(key):
	case below == "" && slices.Contains([]string{"url", "openapi", "grpc", "replicas", "graphql", "schema", "subscriptionUrl", "server"}, meant(key)) && !strings.ContainsAny(n.text, "?@$"):
	default:
		m.hide(n.at)
	}
}

// reference is a ${…} without default, whose text is no secret.
var reference = regexp.MustCompile(`\$\{(?:[^{}:]|:[^{}-])*\}`)

// hide masks a scalar but for its quotes and its references.
func (m *masker) hide(at span) {
	raw := m.src.data[at.start:at.end]
	if len(raw) >= 2 && (raw[0] == '"' || raw[0] == '\'') && raw[len(raw)-1] == raw[0] {
		at = span{at.start + 1, at.end - 1}
		raw = raw[1 : len(raw)-1]
	}
	from := 0
	for _, r := range reference.FindAllIndex(raw, -1) {
		m.spans = append(m.spans, span{at.start + from, at.start + r[0]})
		from = r[1]
	}
	m.spans = append(m.spans, span{at.start + from, at.end})
}

// secretLine and secretRun find what may be a secret in text that could not be parsed: everything after the separator on a line whose key sounds like one, and
// every long run of letters and digits mixed.
var (
	secretLine = regexp.MustCompile(`(?im)(?:auth|token|secret|key|pass|cookie|bearer|basic|cred)[^\n:=]*[:= ]+([^\n]+)`)
	secretRun  = regexp.MustCompile(`([A-Za-z0-9_+/=-]*(?:[A-Za-z][0-9]|[0-9][A-Za-z])[A-Za-z0-9_+/=-]{14,})`)
)

// maskUnparsed masks them.
func (s *source) maskUnparsed() {
	for _, pattern := range []*regexp.Regexp{secretLine, secretRun} {
		for _, m := range pattern.FindAllSubmatchIndex(s.data, -1) {
			s.masks = append(s.masks, span{m[2], m[3]})
		}
	}
}

// maskValues masks the values under root that can hold secrets.
func (s *source) maskValues(root *node) {
	m := &masker{src: s}
	m.walk(root, "", "")
	s.masks = append(s.masks, m.spans...)
}
