package mcpconn

import (
	"net/http"
	"strings"
)

const (
	// minSent is the length from which on a value that was sent is looked for; shorter ones are words.
	minSent = 6
	// mostText is how much of a text without an answer is looked at, and keptText how much is kept, in bytes.
	mostText, keptText = 4 << 10, 512
)

// withoutSent returns the begin of a text that answers sent, without the values of the headers and the query that went along: servers repeat what they
// refuse, and among it are credentials.
func withoutSent(sent *http.Request, text []byte) string {
	begin := string(text[:min(len(text), mostText)])
	if sent == nil {
		return begin[:min(len(begin), keptText)]
	}
	var pairs []string
	add := func(values []string) {
		for _, v := range values {
			if len(v) >= minSent {
				pairs = append(pairs, v, "***")
			}
			if _, token, ok := strings.Cut(v, " "); ok && len(token) >= minSent {
				pairs = append(pairs, token, "***")
			}
		}
	}
	for name, values := range sent.Header {
		if name != "Accept" && name != "Content-Type" {
			add(values)
		}
	}
	for _, values := range sent.URL.Query() {
		add(values)
	}
	add([]string{sent.URL.RawQuery})
	clean := strings.NewReplacer(pairs...).Replace(begin)
	return clean[:min(len(clean), keptText)]
}
