package mcpconn

import (
	"testing"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// TestTraceOnItsWay: weir's own span goes upstream in place of the caller's, without one the caller's is handed on; the caller's baggage is not.
func TestTraceOnItsWay(t *testing.T) {
	for _, tt := range []struct{ name, meta, parent, state, want string }{
		{"replaced", `,"_meta":{"traceparent":"theirs","baggage":"b","k":1,"tracestate":"s"}`, "ours", "v=1", `{"name":"x","_meta":{"k":1,"traceparent":"ours","tracestate":"v=1"}}`},
		{"added", ``, "ours", "", `{"name":"x","_meta":{"traceparent":"ours"}}`},
		{"added to an empty one", `,"_meta":{}`, "ours", "", `{"name":"x","_meta":{"traceparent":"ours"}}`},
		{"handed on", `,"_meta":{"traceparent":"theirs","baggage":"b"}`, "", "", `{"name":"x","_meta":{"traceparent":"theirs"}}`},
	} {
		var m rawjson.Message
		if err := rawjson.Scan(&m, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"`+tt.meta+`}}`)); err != nil {
			t.Fatal(err)
		}
		c := newConn(&Config{Name: "up"}, &buffers{})
		defer c.cancel()
		c.use(nil, catalog.Legacy, "2025-11-25")
		call := &catalog.Call{Method: "tools/call", Target: "x", Message: &m, Client: &catalog.Client{Capabilities: []byte(`{}`)}, Traceparent: tt.parent, Tracestate: tt.state}
		if got := string(c.appendParams(nil, call, 1)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
