package mcpconn

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"weir/catalog"
)

// lean is a modern server that does as little as possible.
func lean(b *testing.B) string {
	b.Helper()
	return httpServer(b, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s := string(body)
		w.Header()["Content-Type"] = []string{"application/json"}
		if strings.Contains(s, "server/discover") {
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"public"}}`)
			return
		}
		_, id, _ := strings.Cut(s, `"id":`)
		id, _, _ = strings.Cut(id, ",")
		_, text, _ := strings.Cut(s, `"text":"`)
		text, _, _ = strings.Cut(text, `"`)
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","content":[{"type":"text","text":"%s"}],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"lean","version":"1"}}}}`, id, text)
	}).URL
}

// BenchmarkCallModernHTTP measures one call, the fake server and both sides of the socket included.
func BenchmarkCallModernHTTP(b *testing.B) {
	for _, size := range []int{64, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := dial(b, config(lean(b)))
			call := modernCaller().call(b, "tools/call", "echo", `{"progressToken":1}`, `,"arguments":{"text":"`+strings.Repeat("x", size)+`"}`)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				a, err := c.Call(b.Context(), call)
				if err != nil {
					b.Fatal(err)
				}
				a.Release()
			}
		})
	}
}

// BenchmarkParams measures the rewriting of params alone.
func BenchmarkParams(b *testing.B) {
	for _, size := range []int{64, 4 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := newConn(&Config{Name: "up", Client: Implementation{"weir", "1"}}, &buffers{})
			defer c.cancel()
			c.use(nil, catalog.Modern, "2026-07-28")
			call := modernCaller().call(b, "tools/call", "echo", `{"progressToken":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`, `,"arguments":{"text":"`+strings.Repeat("x", size)+`"}`)
			dst := make([]byte, 0, 8<<10)
			b.ReportAllocs()
			for b.Loop() {
				dst = c.appendParams(dst[:0], call, 42)
			}
		})
	}
}
