package mcpconn

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/upstream/upstreamtest"
)

func TestModernHandshake(t *testing.T) {
	up := serve(t, upstreamtest.Config{Instructions: "Be kind."})
	c := dial(t, config(up.URL))
	if c.Era() != catalog.Modern || c.Version() != "2026-07-28" {
		t.Errorf("era %v, version %s", c.Era(), c.Version())
	}
	if d := cmp.Diff(Eras{Legacy: true, Modern: true}, c.Eras()); d != "" {
		t.Errorf("eras: %s", d)
	}
	if got := string(c.ServerInfo()); !strings.Contains(got, `"fake"`) {
		t.Errorf("server info %s", got)
	}
	src, faults, err := c.List(t.Context())
	if err != nil || faults != nil {
		t.Fatal(err, faults)
	}
	if len(src.Tools) != 1 || src.Instructions != "Be kind." || !strings.Contains(string(src.Capabilities), "tools") {
		t.Errorf("source %+v", src)
	}
	if b := up.Ledger().Breaches(); b != nil {
		t.Error(b)
	}
}

func TestModernCallParams(t *testing.T) {
	up := serve(t, upstreamtest.Config{
		Era:       upstreamtest.Modern,
		Tools:     []upstreamtest.Raw{`{"name":"echo","inputSchema":{"type":"object"}}`},
		Prompts:   []upstreamtest.Raw{`{"name":"echo"}`},
		Resources: []upstreamtest.Raw{`{"name":"r","uri":"file:///ü"}`},
	})
	c := dial(t, config(up.URL))
	const hop = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"weir","version":"test"},"io.modelcontextprotocol/clientCapabilities":`
	modern := &caller{era: catalog.Modern, caps: `{"elicitation":{},"x":1e400}`, level: "info"}
	legacy := &caller{era: catalog.Legacy, caps: `{"roots":{"listChanged":true},"elicitation":{},"sampling":{},"experimental":{"a":9007199254740993}}`}
	tests := []struct {
		name string
		call *catalog.Call
		want string
	}{
		{
			"nothing of its own", modern.call(t, "tools/call", "echo", "", `,"arguments":{"n":9007199254740993, "s":"\u00e9é"}`),
			`{"name":"echo","arguments":{"n":9007199254740993, "s":"\u00e9é"},"_meta":{` + hop + `{"elicitation":{},"x":1e400},"io.modelcontextprotocol/logLevel":"info"}}`,
		},
		{
			"hop members replaced, others kept", modern.call(t, "tools/call", "echo",
				`{"io.modelcontextprotocol/protocolVersion":"2026-07-28", "traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{},"progressToken":"tok","com.example/x":[1, 2],"io.modelcontextprotocol/logLevel":"debug"}`, ""),
			`{"name":"echo","_meta":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","com.example/x":[1, 2],` + hop + `{"elicitation":{},"x":1e400},"io.modelcontextprotocol/logLevel":"info","progressToken":«ID»}}`,
		},
		{
			"retry of input_required", modern.call(t, "tools/call", "echo", "", `,"inputResponses":{"q":{"action":"accept"}},"requestState":"\u0041b=="`),
			`{"name":"echo","inputResponses":{"q":{"action":"accept"}},"requestState":"\u0041b==","_meta":{` + hop + `{"elicitation":{},"x":1e400},"io.modelcontextprotocol/logLevel":"info"}}`,
		},
		{
			"a legacy caller's capabilities without those that ask", legacy.call(t, "prompts/get", "echo", "", `,"odd":null`),
			`{"name":"echo","odd":null,"_meta":{` + hop + `{"experimental":{"a":9007199254740993}}}}`,
		},
		{
			"meta first", legacy.raw(t, "tools/call", "echo", catalog.Tool, `{ "_meta" : { "progressToken" : 7 , "k":1 } , "name" : "x__echo" }`),
			`{ "_meta" : {"k":1,` + hop + `{"experimental":{"a":9007199254740993}},"progressToken":«ID»} , "name" : "echo" }`,
		},
		{
			"resource", legacy.call(t, "resources/read", "file:///ü", "", ""),
			`{"uri":"file:///ü","_meta":{` + hop + `{"experimental":{"a":9007199254740993}}}}`,
		},
		{
			"completion of a prompt", legacy.raw(t, "completion/complete", "echo", catalog.Prompt, `{"ref":{"type":"ref/prompt","name":"x__echo"},"argument":{"name":"a","value":"v"},"context":{"arguments":{}}}`),
			`{"ref":{"type":"ref/prompt","name":"echo"},"argument":{"name":"a","value":"v"},"context":{"arguments":{}},"_meta":{` + hop + `{"experimental":{"a":9007199254740993}}}}`,
		},
		{
			"completion of a template", legacy.raw(t, "completion/complete", "file:///{p}", catalog.Template, `{"ref":{"type":"ref/resource","uri":"x:///{p}"},"argument":{"name":"a","value":"v"}}`),
			`{"ref":{"type":"ref/resource","uri":"file:///{p}"},"argument":{"name":"a","value":"v"},"_meta":{` + hop + `{"experimental":{"a":9007199254740993}}}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := c.Call(t.Context(), tt.call)
			if err != nil {
				t.Fatal(err)
			}
			a.Release()
			calls := up.Ledger().Calls(tt.call.Method)
			last := calls[len(calls)-1]
			want := strings.ReplaceAll(tt.want, "«ID»", string(last.ID))
			if d := cmp.Diff(want, string(last.Params)); d != "" {
				t.Errorf("params (-want +got)\n%s", d)
			}
		})
	}
	if b := up.Ledger().Breaches(); b != nil {
		t.Error(b)
	}
}

func TestModernHeaders(t *testing.T) {
	tool := upstreamtest.Raw(`{"name":"näme","inputSchema":{"type":"object","properties":{
		"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"},
		"deep":{"type":"object","properties":{"flag":{"type":"boolean","x-mcp-header":"Flag"}}}}}}`)
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Modern, Tools: []upstreamtest.Raw{tool}})
	c := dial(t, config(up.URL, func(c *Config) {
		c.Headers = [][2]string{{"authorization", "Bearer s3cret"}, {"X-A", "1"}, {"X-A", "2"}}
	}))
	entry := catalog.Build([]*catalog.Source{{Upstream: "up", Tools: [][]byte{[]byte(tool)}}}, catalog.Options{}).Entries()[0]
	call := modernCaller().call(t, "tools/call", "näme", "", `,"arguments":{"region":" ö","n":5,"deep":{"flag":true}}`)
	call.Entry = entry
	result(t, c, call)
	call = modernCaller().call(t, "tools/call", "näme", "", `,"arguments":{"region":null}`)
	call.Entry = entry
	result(t, c, call)

	calls := up.Ledger().Calls("tools/call")
	h := calls[0].Header
	want := http.Header{
		"Accept": {"application/json, text/event-stream"}, "Content-Type": {"application/json"}, "Mcp-Protocol-Version": {"2026-07-28"},
		"Mcp-Method": {"tools/call"}, "Mcp-Name": {"=?base64?bsOkbWU=?="}, "Mcp-Param-Region": {"=?base64?IMO2?="}, "Mcp-Param-N": {"5"}, "Mcp-Param-Flag": {"true"},
		"Authorization": {"Bearer s3cret"}, "X-A": {"1", "2"}, "User-Agent": {"weir/test"}, "Content-Length": h["Content-Length"],
	}
	if d := cmp.Diff(want, h); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	for k := range calls[1].Header {
		if strings.HasPrefix(k, "Mcp-Param") {
			t.Errorf("%s for a null argument", k)
		}
	}
	if b := up.Ledger().Breaches(); b != nil {
		t.Error(b)
	}
}

func TestResultsPassByteForByte(t *testing.T) {
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Modern})
	c := dial(t, config(up.URL))
	tests := []struct{ sent, want string }{
		{`{"resultType":"complete","content":[{"type":"weird","n":9007199254740993}], "x" : 1e400}`, ""},
		{`{"content":[],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"a","version":"1"}}}`, `{"content":[]}`},
		{`{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"a","version":"1"}},"content":[]}`, `{"content":[]}`},
		{`{"_meta" : { "a":1 , "io.modelcontextprotocol/serverInfo" : {"name":"a","version":"1"} } , "content":[]}`, `{"_meta" : { "a":1  } , "content":[]}`},
		{`{"_meta":{"io.modelcontextprotocol\/serverInfo":{"name":"a","version":"1"}, "b":2},"content":[]}`, `{"_meta":{ "b":2},"content":[]}`},
		{`{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"a","version":"1"}}}`, `{}`},
		{`{"_meta":{}, "content":[]}`, ""},
		{`[1,2]`, ""},
		{`{"resultType":"task","taskId":"t"}`, ""},
	}
	for _, tt := range tests {
		for _, events := range []bool{false, true} {
			up.Script(upstreamtest.Act{On: "tools/call", Result: upstreamtest.Raw(tt.sent), Verbatim: true, Events: events})
			want := tt.want
			if want == "" {
				want = tt.sent
			}
			if got := result(t, c, modernCaller().call(t, "tools/call", "echo", "", "")); got != want {
				t.Errorf("events %v: sent %s\n got %s\nwant %s", events, tt.sent, got, want)
			}
		}
	}
}

// An error of the server is an answer, whatever the HTTP status.
func TestTrap5_6_ErrorsInHTTPStatusesAreRelayed(t *testing.T) {
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Modern})
	c := dial(t, config(up.URL))
	for _, status := range []int{200, 400, 404, 500} {
		const body = `{"code":-32601, "message":"no ünknown", "data":{"big":9007199254740993}}`
		up.Script(upstreamtest.Act{On: "tools/call", Error: body, Status: status})
		a, err := c.Call(t.Context(), modernCaller().call(t, "tools/call", "echo", "", ""))
		if err != nil {
			t.Errorf("status %d: %v", status, err)
			continue
		}
		if got := string(a.Message.Error.Of(a.Message.Data)); got != body {
			t.Errorf("status %d: got %s", status, got)
		}
		a.Release()
	}
	if n := up.Ledger().Count("tools/call"); n != 4 {
		t.Errorf("%d requests for 4 calls", n)
	}
}

func TestTrap5_5_InputRequiredIsRelayed(t *testing.T) {
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Modern, Script: []upstreamtest.Act{{
		On: "tools/call", State: "s=ä", Ask: []upstreamtest.Ask{{Method: "elicitation/create", Params: `{"message":"who?","requestedSchema":{"type":"object"}}`}},
	}}})
	c := dial(t, config(up.URL))
	who := &caller{era: catalog.Modern, caps: `{"elicitation":{}}`}
	got := result(t, c, who.call(t, "tools/call", "echo", "", ""))
	if !strings.Contains(got, `"resultType":"input_required"`) || !strings.Contains(got, `"requestState":"s=ä"`) {
		t.Fatalf("first round: %s", got)
	}
	got = result(t, c, who.call(t, "tools/call", "echo", "", `,"inputResponses":{"q0":{"action":"accept","content":{}}},"requestState":"s=ä"`))
	if strings.Contains(got, "input_required") {
		t.Errorf("second round: %s", got)
	}
	if b := up.Ledger().Breaches(); b != nil {
		t.Error(b)
	}

	// A caller that does not know input_required must not get it.
	up.Script(upstreamtest.Act{On: "tools/call", Result: `{"resultType":"input_required","requestState":"x"}`})
	_, err := c.Call(t.Context(), (&caller{era: catalog.Legacy}).call(t, "tools/call", "echo", "", ""))
	wantError(t, err, catalog.Unavailable, catalog.NotExecuted, "up/echo: the server needs an answer from the user")
}

// wantError checks the facts of an error.
func wantError(t *testing.T, err error, code catalog.Code, x catalog.Execution, begin string) {
	t.Helper()
	e, ok := err.(*catalog.Error) //nolint:errorlint // the contract is this very type
	if !ok {
		t.Errorf("error %T %v", err, err)
		return
	}
	if e.Code != code || e.Execution != x || !strings.HasPrefix(e.Msg, begin) {
		t.Errorf("got %s, %s: %s\nwant %s, %s: %s…", e.Code, e.Execution, e.Msg, code, x, begin)
	}
}

func TestModernHeaderMismatchIsRepaired(t *testing.T) {
	old := upstreamtest.Raw(`{"name":"sql","inputSchema":{"type":"object","properties":{"region":{"type":"string"}}}}`)
	now := upstreamtest.Raw(`{"name":"sql","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}`)
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Modern, Tools: []upstreamtest.Raw{old}})
	var changes atomic.Int32
	c := dial(t, config(up.URL, func(c *Config) { c.Changed = func() { changes.Add(1) } }))
	entry := func(raw upstreamtest.Raw) *catalog.Entry {
		return catalog.Build([]*catalog.Source{{Upstream: "up", Tools: [][]byte{[]byte(raw)}}}, catalog.Options{}).Entries()[0]
	}
	up.Change(upstreamtest.Content{Tools: []upstreamtest.Raw{now}})
	call := modernCaller().call(t, "tools/call", "sql", "", `,"arguments":{"region":"eu"}`)
	call.Entry = entry(old)
	result(t, c, call)
	if n := up.Ledger().Count("tools/call"); n != 2 {
		t.Errorf("%d requests, want the refused one and its repetition", n)
	}
	if changes.Load() == 0 {
		t.Error("nobody was told that the list changed")
	}

	up.Script(upstreamtest.Act{On: "tools/call", Error: `{"code":-32020,"message":"no"}`})
	a, err := c.Call(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	if got := string(a.Message.Error.Of(a.Message.Data)); got != `{"code":-32603,"message":"no"}` {
		t.Errorf("refused twice: %s", got)
	}
	if n := up.Ledger().Count("tools/call"); n != 4 {
		t.Errorf("%d requests, want two more", n)
	}
}

func TestModernNotifications(t *testing.T) {
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Modern, Script: []upstreamtest.Act{{On: "tools/call", Progress: 3, Logs: 2, Before: []upstreamtest.Raw{
		`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"debug","data":1}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"somebody else","progress":1}}`,
	}}}})
	c := dial(t, config(up.URL))
	progress := func(token string) (list []string) {
		for i := range 3 {
			list = append(list, fmt.Sprintf(`notifications/progress {"progressToken":%s,"progress":%d,"total":3,"message":"step %d"}`, token, i+1, i+1))
		}
		return list
	}
	logs := []string{
		`notifications/message {"level":"info","logger":"fake","data":{"n":1}}`,
		`notifications/message {"level":"info","logger":"fake","data":{"n":2}}`,
	}
	tests := []struct {
		name, meta, level string
		want              []string
	}{
		{"none wanted", "", "", nil},
		{"string token", `{"progressToken":"t\u00f6k"}`, "", progress(`"t\u00f6k"`)},
		{"big token and logs", `{"progressToken":9007199254740993}`, "info", append(progress("9007199254740993"), logs...)},
		{"high level", "", "error", nil},
		{"debug", "", "debug", append(logs[:2:2], `notifications/message {"level":"debug","data":1}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			who := &caller{era: catalog.Modern, level: tt.level}
			result(t, c, who.call(t, "tools/call", "echo", tt.meta, ""))
			if d := cmp.Diff(tt.want, who.seen); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// TestModernRefusesOnce: a server that refuses the version which it says it supports is asked once more with it, and no oftener.
func TestModernRefusesOnce(t *testing.T) {
	refusal := upstreamtest.Act{
		On: "server/discover", Nth: 1, Status: 400,
		Error: `{"code":-32022,"message":"unsupported","data":{"supported":["2026-07-28"],"requested":"2026-07-28"}}`,
	}
	up := serve(t, upstreamtest.Config{Era: upstreamtest.Modern, Script: []upstreamtest.Act{refusal}})
	if c := dial(t, config(up.URL)); c.Version() != "2026-07-28" {
		t.Errorf("speaks %s", c.Version())
	}
	refusal.Nth = 0
	up = serve(t, upstreamtest.Config{Era: upstreamtest.Modern, Script: []upstreamtest.Act{refusal}})
	_, err := Dial(t.Context(), config(up.URL))
	wantError(t, err, catalog.Unavailable, catalog.NotExecuted, "up: server/discover is refused (error -32022)")
	if n := up.Ledger().Count("server/discover"); n != 2 {
		t.Errorf("asked %d times", n)
	}
}
