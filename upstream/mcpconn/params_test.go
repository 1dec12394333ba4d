package mcpconn

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// jsonObject is a JSON object with the bytes of its values.
type jsonObject map[string]json.RawMessage

func objectOf(t *testing.T, raw []byte) jsonObject {
	t.Helper()
	var o jsonObject
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return o
}

// withoutHop removes what belongs to a hop from params, as the specification words it, and the _meta that it leaves empty.
func withoutHop(t *testing.T, params jsonObject) {
	t.Helper()
	raw, ok := params["_meta"]
	if !ok {
		return
	}
	meta := objectOf(t, raw)
	before := len(meta)
	for k := range meta {
		if perHop([]byte(k)) {
			delete(meta, k)
		}
	}
	if len(meta) == 0 && before > 0 {
		delete(params, "_meta")
		return
	}
	params["_meta"] = json.RawMessage(compacted(t, meta))
}

func compacted(t *testing.T, o jsonObject) string {
	t.Helper()
	b, err := json.Marshal(o) // sorts the keys and compacts the values
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// FuzzParams composes the params of any request the scanner accepts, for both eras, and compares with a slow way to do the same.
func FuzzParams(f *testing.F) {
	f.Add(`{"name":"a","arguments":{"x":1e400}}`, true)
	f.Add(`{ "_meta" : { "progressToken" : 7 , "k":1 } , "name" : "x" }`, false)
	f.Add(`{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"x"}}`, false)
	f.Add(`{"\u005fmeta":{"io.modelcontextprotocol\/logLevel":"info"} , "name":"a"}`, false)
	f.Add(`{"_meta":{}}`, true)
	f.Fuzz(func(t *testing.T, params string, modern bool) {
		var m rawjson.Message
		if rawjson.Scan(&m, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+params+`}`)) != nil || m.Params.Absent() {
			return
		}
		c := newConn(&Config{Name: "up", Client: Implementation{"weir", "1"}}, &buffers{})
		defer c.cancel()
		era := catalog.Legacy
		if modern {
			era = catalog.Modern
		}
		c.use(nil, era, "2026-07-28")
		call := &catalog.Call{Method: "tools/call", Target: "tärget", Message: &m, Notify: func(catalog.Notification) {}, Client: &catalog.Client{Capabilities: []byte(`{"roots":{}}`)}}
		sent := string(m.Data)
		got := c.appendParams(nil, call, 42)
		if sent != string(m.Data) {
			t.Fatal("the caller's message was changed")
		}
		var out rawjson.Message
		if err := rawjson.Scan(&out, append(append(begin(nil, 42, "tools/call"), got...), '}')); err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		want, have := objectOf(t, m.Params.Of(m.Data)), objectOf(t, got)
		if _, ok := want["name"]; ok {
			want["name"] = json.RawMessage(`"tärget"`)
		}
		hop := out.Meta
		if token := string(hop.ProgressToken.Of(out.Data)); token != "" && token != "42" || (token == "") != m.Meta.ProgressToken.Absent() {
			t.Errorf("progress token %s in %s", token, got)
		}
		if modern && (string(hop.ProtocolVersion.Of(out.Data)) != `"2026-07-28"` || string(hop.ClientCapabilities.Of(out.Data)) != `{}`) || !modern && !hop.ProtocolVersion.Absent() {
			t.Errorf("this hop's members are wrong in %s", got)
		}
		withoutHop(t, want)
		withoutHop(t, have)
		if modern && string(want["_meta"]) == "{}" {
			delete(want, "_meta") // it was filled, and is empty again without this hop's members
		}
		if d := cmp.Diff(compacted(t, want), compacted(t, have)); d != "" {
			t.Errorf("from %s\n%s", params, d)
		}
	})
}

// FuzzStrip takes the server's name out of any result the scanner accepts: the message stays one, its spans stay right, nothing else changes.
func FuzzStrip(f *testing.F) {
	f.Add(`{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"a","version":"1"}},"content":[]}`)
	f.Add(`{"a":1 , "_meta" : {"b":2, "io.modelcontextprotocol/serverInfo" : {} } }`)
	f.Add(`{"_meta":{"io.modelcontextprotocol\/serverInfo":{},"c":{}},"resultType":"complete"}`)
	f.Fuzz(func(t *testing.T, result string) {
		data := `{"jsonrpc":"2.0","result":` + result + `,"id":7}`
		var m, again rawjson.Message
		if rawjson.Scan(&m, []byte(data)) != nil {
			return
		}
		had := !m.Meta.ServerInfo.Absent()
		stripServerInfo(&m)
		if !had {
			if string(m.Data) != data {
				t.Errorf("changed without need: %s", m.Data)
			}
			return
		}
		if err := rawjson.Scan(&again, m.Data); err != nil {
			t.Fatalf("%v in %s", err, m.Data)
		}
		if d := cmp.Diff(again, m); d != "" {
			t.Errorf("spans of %s: %s", m.Data, d)
		}
		want := objectOf(t, []byte(result))
		meta := objectOf(t, want["_meta"])
		delete(meta, "io.modelcontextprotocol/serverInfo")
		if delete(want, "_meta"); len(meta) > 0 {
			want["_meta"] = json.RawMessage(compacted(t, meta))
		}
		have := objectOf(t, m.Result.Of(m.Data))
		if meta := have["_meta"]; meta != nil {
			have["_meta"] = json.RawMessage(compacted(t, objectOf(t, meta)))
		}
		if d := cmp.Diff(compacted(t, want), compacted(t, have)); d != "" {
			t.Errorf("from %s\n%s", result, d)
		}
	})
}
