package upstreamtest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// got is an HTTP answer as it arrived; a body that ended early has err.
type got struct {
	status int
	body   string
	err    bool
}

// post sends a modern message with the headers that belong to it, changed by headers ("" deletes).
func post(t *testing.T, url, body string, headers map[string]string) got {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	m, _ := parse([]byte(body))
	h := map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": ModernVersion, "Mcp-Method": m.method,
	}
	if m.method == "tools/call" {
		h["Mcp-Name"] = m.target()
	}
	maps.Copy(h, headers)
	for k, v := range h {
		if v != "" {
			r.Header.Set(k, v)
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return got{err: true}
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return got{resp.StatusCode, string(b), err != nil}
}

func call(name, args string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + name + `","arguments":` + args + `,` + modernMeta + `}}`
}

func TestFaultsOverHTTP(t *testing.T) {
	const whole = `{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[{"type":"text","text":"{}"}],"structuredContent":{}}}`
	for _, c := range []struct {
		name string
		act  Act
		want got
	}{
		{"none", Act{}, got{200, whole, false}},
		{"drop", Act{Fault: Drop}, got{0, "", true}},
		{"cut body", Act{Fault: CutBody}, got{200, whole[:len(whole)/2], true}},
		{"cut events", Act{Fault: CutBody, Events: true}, got{200, "event: message\ndata: " + whole[:50], true}},
		{"truncate", Act{Fault: Truncate}, got{200, whole[:len(whole)/2], false}},
		{"end early", Act{Fault: EndEarly}, got{200, "", false}},
		{"wrong id", Act{Fault: WrongID}, got{200, strings.Replace(whole, "7", "987654321", 1), false}},
		{"no id", Act{Fault: NoID}, got{200, strings.Replace(whole, "7", "null", 1), false}},
		{"twice", Act{Fault: Twice}, got{200, whole + whole, false}},
		{"empty", Act{Fault: Empty}, got{200, "", false}},
		{"html", Act{Fault: HTML}, got{500, "<html><body><h1>500 Internal Server Error</h1></body></html>", false}},
		{"crash", Act{Fault: Crash}, got{0, "", true}},
		{"events", Act{Events: true}, got{200, "event: message\ndata: " + whole + "\n\n", false}},
		{"raw result", Act{Result: `{ "a" : 1e400 }`}, got{200, `{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","a" : 1e400 }}`, false}},
		{"verbatim", Act{Result: `{ "a" : 1e400 }`, Verbatim: true}, got{200, `{"jsonrpc":"2.0","id":7,"result":{ "a" : 1e400 }}`, false}},
		{"raw error", Act{Error: `{"code":1,"message":"x","data":-0}`}, got{200, `{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"x","data":-0}}`, false}},
		{"raw message", Act{Message: `{"id":«ID»}`}, got{200, `{"id":7}`, false}},
		{"status and body", Act{Status: 418, Body: "tea", Type: "text/plain"}, got{418, "tea", false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.act.On = "echo"
			s := New(t, Config{Script: []Act{c.act}})
			if diff := cmp.Diff(c.want, post(t, s.URL, call("echo", "{}"), nil), cmp.AllowUnexported(got{})); diff != "" && c.name != "cut events" {
				t.Errorf("answer (-want +got):\n%s", diff)
			} else if c.name == "cut events" && diff == "" {
				t.Error("the event was whole")
			}
			outcome := "answered"
			if c.act.Fault != "" {
				outcome = "broken"
			}
			Eventually(t, func() bool {
				e := s.Ledger().Calls("tools/call")
				return len(e) == 1 && e[0].Outcome == outcome
			}, "one call, %s, in the ledger", outcome)
		})
	}
}

func TestModernChecks(t *testing.T) {
	tool := Raw(`{"name":"echo","inputSchema":{"type":"object","properties":{"r":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"Count"}}}}`)
	withArgs := call("echo", `{"r":"eü","n":10}`)
	good := map[string]string{"Mcp-Param-Region": "=?base64?ZcO8?=", "Mcp-Param-Count": "10.0"}
	for _, c := range []struct {
		name, body string
		headers    map[string]string
		status     int
		code       int
	}{
		{"good", withArgs, good, 200, 0},
		{"no parameter header", withArgs, map[string]string{"Mcp-Param-Region": "=?base64?ZcO8?="}, 400, -32020},
		{"other parameter", withArgs, map[string]string{"Mcp-Param-Region": "us", "Mcp-Param-Count": "10"}, 400, -32020},
		{"parameter without argument", call("echo", `{"n":null}`), map[string]string{"Mcp-Param-Count": "1"}, 400, -32020},
		{"no name header", call("echo", "{}"), map[string]string{"Mcp-Name": ""}, 400, -32020},
		{"other name", call("echo", "{}"), map[string]string{"Mcp-Name": "secret"}, 400, -32020},
		{"other method", call("echo", "{}"), map[string]string{"Mcp-Method": "tools/list"}, 400, -32020},
		{"other version", call("echo", "{}"), map[string]string{"Mcp-Protocol-Version": LegacyVersion}, 400, -32020},
		{"unknown version", strings.Replace(call("echo", "{}"), "2026-07-28", "2099-01-01", 1), map[string]string{"Mcp-Protocol-Version": "2099-01-01"}, 400, -32022},
		{"no capabilities", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`, nil, 400, -32602},
		{"no _meta", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, nil, 400, -32602},
		{"unknown method", `{"jsonrpc":"2.0","id":1,"method":"x/y","params":{` + modernMeta + `}}`, nil, 404, -32601},
		{"legacy method", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{` + modernMeta + `}}`, nil, 404, -32601},
		{"unknown tool", call("none", "{}"), nil, 200, -32602},
		{"batch", `[` + call("echo", "{}") + `]`, map[string]string{"Mcp-Method": "tools/call", "Mcp-Name": "echo"}, 400, -32600},
		{"garbage", `{"jsonrpc":`, nil, 400, -32700},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(t, Config{Era: Modern, Tools: []Raw{tool}})
			g := post(t, s.URL, c.body, c.headers)
			var answer struct{ Error struct{ Code int } }
			if err := json.Unmarshal([]byte(g.body), &answer); err != nil {
				t.Fatalf("%v: %s", err, g.body)
			}
			if g.status != c.status || answer.Error.Code != c.code {
				t.Errorf("status %d, code %d, want %d, %d: %s", g.status, answer.Error.Code, c.status, c.code, g.body)
			}
			if breached := len(s.Ledger().Breaches()) > 0; breached != (g.status == 400 || c.name == "legacy method") {
				t.Errorf("breaches: %q", s.Ledger().Breaches())
			}
		})
	}
}

// TestFaultsOnStdio drives a child by hand: every line in, every line out.
func TestFaultsOnStdio(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else each child takes a second to exit under -race
	const whole = `{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[{"type":"text","text":"{}"}],"structuredContent":{}}}`
	for _, c := range []struct {
		name string
		act  Act
		want string
	}{
		{"none", Act{}, whole + "\n"},
		{"junk", Act{Junk: []Raw{"hello", ""}}, "hello\n\n" + whole + "\n"},
		{"drop", Act{Fault: Drop}, ""},
		{"cut", Act{Fault: CutBody}, whole[:len(whole)/2]},
		{"truncate", Act{Fault: Truncate}, whole[:len(whole)/2] + "\n"},
		{"end early", Act{Fault: EndEarly}, ""},
		{"twice", Act{Fault: Twice}, whole + "\n" + whole + "\n"},
		{"crash", Act{Fault: Crash}, ""},
		{"empty", Act{Fault: Empty}, "\n"},
		{"not UTF-8", Act{Body: "\xff\xfe"}, "\xff\xfe\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.act.On = "tools/call echo"
			s := Stdio(t, Config{Script: []Act{c.act}, Greeting: []Raw{"starting up"}})
			cmd := exec.CommandContext(t.Context(), s.Command, s.Args...)
			cmd.Stdin = strings.NewReader(call("echo", "{}") + "\n")
			var out bytes.Buffer
			cmd.Stdout = &out
			if err := cmd.Run(); (err != nil) != (c.act.Fault == Crash) {
				t.Errorf("exit: %v", err)
			}
			if diff := cmp.Diff("starting up\n"+c.want, out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if n := s.Ledger().Count("tools/call"); n != 1 {
				t.Errorf("%d calls in the ledger", n)
			}
		})
	}
}

func TestNthAndCommands(t *testing.T) {
	s := New(t, Config{Script: []Act{{On: "echo", Nth: 2, Result: `{"second":true}`}}})
	for i, want := range []bool{false, true, false} {
		if g := post(t, s.URL, call("echo", "{}"), nil); strings.Contains(g.body, "second") != want {
			t.Errorf("call %d: %s", i+1, g.body)
		}
	}
	s.Refuse()
	if g := post(t, s.URL, call("echo", "{}"), nil); !g.err {
		t.Errorf("refused, yet answered %+v", g)
	}
	s.Accept()
	s.Script(Act{On: "echo", Fault: Hang})
	ended := make(chan got)
	go func() { ended <- post(t, s.URL, call("echo", `{"n":1}`), nil) }()
	e := s.Ledger().Wait(t, "tools/call", 4)[3]
	if e.Outcome != "" || e.Params == "" || e.Header.Get("Mcp-Name") != "echo" {
		t.Errorf("open call: %+v", e)
	}
	s.Refuse()
	if g := <-ended; !g.err {
		t.Errorf("hung, yet answered %+v", g)
	}
	Eventually(t, func() bool { return s.Ledger().Calls("tools/call")[3].Outcome == "canceled" }, "canceled in the ledger")
}

func TestForgottenSessionGets404(t *testing.T) {
	s := New(t, Config{Era: Legacy})
	session, _ := connectGoSDK(t, s)
	callGoSDK(t, session, "echo", nil, `{"n":9007199254740993}`)
	s.ForgetSessions()
	id := s.Ledger().Calls("tools/call")[0].Session
	g := post(t, s.URL, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, map[string]string{"Mcp-Session-Id": id, "Mcp-Protocol-Version": LegacyVersion})
	if g.status != 404 {
		t.Errorf("answer %+v", g)
	}
}

func TestRawSurvivesItsForms(t *testing.T) {
	for _, r := range []Raw{`{"a": 1e400}`, "", "\xff", "base64:x", `"s"`, "a\n<b>\u2028"} {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Raw
		if err := json.Unmarshal(b, &back); err != nil || back != r {
			t.Errorf("%q became %q by %s, %v", r, back, b, err)
		}
	}
}
