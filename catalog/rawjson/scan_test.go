package rawjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const fullRequest = ` {"jsonrpc":"2.0","id":9007199254740993,"method":"tools\/call",
 "params":{"name":"ec\u0068o","arguments":{"a":[1,{"b":"c"}]},"requestState":"s","inputResponses":{},"_meta":{"progressToken":7,"io.modelcontextprotocol/protocolVersion":"2026-07-28",
 "io.modelcontextprotocol/clientInfo":{"name":"c"},"io.modelcontextprotocol/clientCapabilities":{},
 "io.modelcontextprotocol/logLevel":"debug","traceparent":"00-x","tracestate":"a=b","baggage":"k=v","vendor/x":1e400}}} `

func scanned(t *testing.T, text string) *Message {
	t.Helper()
	m := new(Message)
	if err := Scan(m, []byte(text)); err != nil {
		t.Fatalf("Scan(%s): %v", text, err)
	}
	return m
}

// text is what a span covers, "" when absent.
func (m *Message) text(s Span) string { return string(s.Of(m.Data)) }

func TestScanRecordsSpans(t *testing.T) {
	m := scanned(t, fullRequest)
	got := map[string]string{
		"id": m.text(m.ID), "method": m.text(m.Method), "name": m.text(m.Name), "arguments": m.text(m.Arguments),
		"state": m.text(m.RequestState), "responses": m.text(m.InputResponses), "uri": m.text(m.URI),
		"token": m.text(m.Meta.ProgressToken), "version": m.text(m.Meta.ProtocolVersion),
		"client": m.text(m.Meta.ClientInfo), "caps": m.text(m.Meta.ClientCapabilities), "log": m.text(m.Meta.LogLevel),
		"parent": m.text(m.Meta.Traceparent), "state2": m.text(m.Meta.Tracestate), "baggage": m.text(m.Meta.Baggage),
	}
	want := map[string]string{
		"id": "9007199254740993", "method": `"tools\/call"`, "name": `"ec\u0068o"`, "arguments": `{"a":[1,{"b":"c"}]}`,
		"state": `"s"`, "responses": "{}", "uri": "",
		"token": "7", "version": `"2026-07-28"`, "client": `{"name":"c"}`, "caps": "{}", "log": `"debug"`,
		"parent": `"00-x"`, "state2": `"a=b"`, "baggage": `"k=v"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if m.Kind != Request || m.MethodName() != "tools/call" {
		t.Errorf("kind %d, method %q", m.Kind, m.MethodName())
	}
	if !strings.HasPrefix(m.text(m.Params), `{"name"`) || !strings.HasSuffix(m.text(m.Params), `1e400}}`) {
		t.Errorf("params %s", m.text(m.Params))
	}
}

func TestScanKinds(t *testing.T) {
	for _, tt := range []struct {
		text string
		kind Kind
		id   string
	}{
		{`{"jsonrpc":"2.0","id":1,"method":"ping"}`, Request, "1"},
		{`{"id":"a","method":"","jsonrpc":"2.0"}`, Request, `"a"`},
		{`{"jsonrpc":"2.0","id":-0,"method":"ping","extra":[]}`, Request, "-0"},
		{`{"jsonrpc":"2.0","method":"x","params":{}}`, Notification, ""},
		{`{"jsonrpc":"2.0","id":1,"result":{}}`, Result, "1"},
		{`{"jsonrpc":"2.0","id":1,"result":null}`, Result, "1"},
		{`{"jsonrpc":"2.0","id":1,"result":{"_meta":7,"resultType":{}}}`, Result, "1"},
		{`{"jsonrpc":"2.0","id":1,"result":{"_meta":{"progressToken":{}}}}`, Result, "1"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"m"}}`, Error, "1"},
		{`{"jsonrpc":"2.0","id":null,"error":{}}`, Error, ""},
		{`{"jsonrpc":"2.0","error":{}}`, Error, ""},
		{`{"jsonrpc":"2.0","method":"x","params":{"_meta":{"baggage":{},"traceparent":1,"Foo":1,"foo":2}}}`, Notification, ""},
		{`{"jsonrpc":"2.0","method":"x","params":{"arguments":{"a":1,"a":2,"A":3}}}`, Notification, ""},
	} {
		m := scanned(t, tt.text)
		if m.Kind != tt.kind || m.text(m.ID) != tt.id {
			t.Errorf("Scan(%s): kind %d id %s, want %d %s", tt.text, m.Kind, m.text(m.ID), tt.kind, tt.id)
		}
	}
}

// in puts members into a request's params.
func in(params string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + params + `}}`
}

func meta(members string) string { return in(`"_meta":{` + members + `}`) }

// refusal is a message and a part of the reason for which Scan refuses it.
type refusal struct{ text, reason string }

func checkRefusals(t *testing.T, code int, refusals []refusal) {
	t.Helper()
	for _, tt := range refusals {
		m := Message{Kind: Error}
		err := Scan(&m, []byte(tt.text))
		var se *SyntaxError
		if !errors.As(err, &se) {
			t.Errorf("Scan(%q) = %v, want a *SyntaxError", tt.text, err)
			continue
		}
		if se.Code != code || !strings.Contains(se.Reason, tt.reason) {
			t.Errorf("Scan(%q) = %d %s, want %d …%s…", tt.text, se.Code, se.Reason, code, tt.reason)
		}
		if se.Offset < 0 || se.Offset > len(tt.text) {
			t.Errorf("Scan(%q): offset %d", tt.text, se.Offset)
		}
		if diff := cmp.Diff(Message{}, m); diff != "" {
			t.Errorf("Scan(%q) left a message behind:\n%s", tt.text, diff)
		}
	}
}

func TestScanRefusesWhatIsNotJSON(t *testing.T) {
	const call = `{"jsonrpc":"2.0","id":1,"method":"x"`
	checkRefusals(t, CodeParse, []refusal{
		{``, "ends"},
		{` `, "ends"},
		{`{`, "a key"},
		{`{"a"`, "a colon"},
		{`{"a":`, "a value"},
		{`{"a":1`, "a comma"},
		{`{"a":1,}`, "a key"},
		{`{a:1}`, "a key"},
		{call + `} x`, "after the value"},
		{call + `}{}`, "after the value"},
		{"\ufeff" + call + `}`, "a value"},
		{call + `,"v":01}`, "a comma"},
		{call + `,"v":+1}`, "a value"},
		{call + `,"v":.5}`, "a value"},
		{call + `,"v":1.}`, "a digit"},
		{call + `,"v":1e}`, "a digit"},
		{call + `,"v":1e+}`, "a digit"},
		{call + `,"v":-}`, "a digit"},
		{call + `,"v":NaN}`, "a value"},
		{call + `,"v":nul}`, "a value"},
		{call + `,"v":[1,]}`, "a value"},
		{call + `,"v":[1 2]}`, "a comma"},
		{call + `,"v":{"a" 1}}`, "a colon"},
		{call + `,"v":{"a":1]}`, "a comma"},
		{call + `,"v":[1}}`, "a comma"},
		{call + `,"v":"` + "\n" + `"}`, "control"},
		{call + `,"v":"` + "\x00" + `"}`, "control"},
		{call + `,"v":"\x41"}`, "escape"},
		{call + `,"v":"\u12"}`, "escape"},
		{call + `,"v":"\u12G4"}`, "escape"},
		{call + `,"\ud800":1}`, "surrogate"},
		{call + `,"v":{"\ud800\u0041":1}}`, "surrogate"},
		{call + `,"v":[{"\udc00\ud800":1}]}`, "surrogate"},
		{call + `,"v":"` + "\xff" + `"}`, "UTF-8"},
		{call + `,"v":"` + "\xc0\xaf" + `"}`, "UTF-8"},
		{call + `,"v":"` + "\xed\xa0\x80" + `"}`, "UTF-8"},
		{call + `,"` + "\xff" + `":1}`, "UTF-8"},
		{call + `,"v":"abc`, "inside a string"},
		{call + `,"v":"abc\`, "inside a string"},
	})
}

func TestScanRefusesWhatIsNotJSONRPC(t *testing.T) {
	const call = `{"jsonrpc":"2.0","id":1,"method":"x"`
	checkRefusals(t, CodeInvalidRequest, []refusal{
		{`1`, "an object"},
		{`"x"`, "an object"},
		{`[]`, "batches"},
		{` [` + call + `}]`, "batches"},
		{`{}`, "jsonrpc is missing"},
		{`{"jsonrpc":"2.0"}`, "needs method"},
		{`{"jsonrpc":"2.0","id":1}`, "needs method"},
		{`{"id":1,"method":"x"}`, "jsonrpc is missing"},
		{`{"jsonrpc":"1.0","id":1,"method":"x"}`, "jsonrpc must"},
		{`{"jsonrpc":2.0,"id":1,"method":"x"}`, "jsonrpc must"},
		{`{"jsonrpc":"2.0","id":null,"method":"x"}`, "id must"},
		{`{"jsonrpc":"2.0","id":1.0,"method":"x"}`, "id must"},
		{`{"jsonrpc":"2.0","id":1e3,"method":"x"}`, "id must"},
		{`{"jsonrpc":"2.0","id":{},"method":"x"}`, "id must"},
		{`{"jsonrpc":"2.0","id":true,"method":"x"}`, "id must"},
		{`{"jsonrpc":"2.0","id":1,"method":7}`, "method in the message must be a string"},
		{call + `,"params":[]}`, "params in the message must be an object"},
		{call + `,"result":{}}`, "only one"},
		{call + `,"error":{}}`, "only one"},
		{`{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`, "only one"},
		{`{"jsonrpc":"2.0","id":1,"result":{},"error":null}`, "error in the message must be an object"},
		{`{"jsonrpc":"2.0","id":1,"error":"x"}`, "error in the message must be an object"},
		{`{"jsonrpc":"2.0","id":1,"result":{},"params":{}}`, "no params"},
		{`{"jsonrpc":"2.0","result":{}}`, "needs an id"},
		{`{"jsonrpc":"2.0","id":null,"result":{}}`, "id must"},
	})
}

func TestScanRefusesWrongTypes(t *testing.T) {
	checkRefusals(t, CodeInvalidRequest, []refusal{
		{in(`"name":1`), "name in params must be a string"},
		{in(`"name":null`), "name in params must be a string"},
		{in(`"uri":{}`), "uri in params must be a string"},
		{in(`"level":3`), "level in params must be a string"},
		{in(`"arguments":"{}"`), "arguments in params must be an object"},
		{in(`"ref":"x"`), "ref in params must be an object"},
		{in(`"requestId":1.5`), "requestId in params must be a string or an integer"},
		{in(`"progressToken":null`), "progressToken in params must be a string or an integer"},
		{in(`"requestState":{}`), "requestState in params must be a string"},
		{in(`"inputResponses":[]`), "inputResponses in params must be an object"},
		{in(`"taskId":1`), "taskId in params must be a string"},
		{in(`"_meta":null`), "_meta in params must be an object"},
		{in(`"_meta":[]`), "_meta in params must be an object"},
		{meta(`"progressToken":1e2`), "progressToken in _meta must be"},
		{meta(`"io.modelcontextprotocol/protocolVersion":1`), "must be a string"},
		{meta(`"io.modelcontextprotocol/logLevel":null`), "must be a string"},
		{meta(`"io.modelcontextprotocol/clientInfo":"c"`), "must be an object"},
		{meta(`"io.modelcontextprotocol/clientCapabilities":[]`), "must be an object"},
	})
}

func TestScanErrBatch(t *testing.T) {
	var m Message
	if err := Scan(&m, []byte(` [1]`)); !errors.Is(err, ErrBatch) {
		t.Errorf("array: %v, want ErrBatch", err)
	}
	if err := Scan(&m, []byte(`{}`)); errors.Is(err, ErrBatch) {
		t.Errorf("object: %v is ErrBatch", err)
	}
}

func TestSyntaxErrorOffset(t *testing.T) {
	for text, want := range map[string]int{
		`{"jsonrpc":"2.0","x":01}`:                    22,
		`{"jsonrpc":"2.0","jsonrpc":"2.0"}`:           17,
		`{"jsonrpc":"2.0","method":"m","params":3}`:   39,
		`{"jsonrpc":"2.0","x":["` + "\xff" + `"]}`:    23,
		`{"jsonrpc":"2.0","method":"m","id":1} {}`:    38,
		`{"jsonrpc":"2.0","method":"m","x":"a` + "\t": 36,
	} {
		var m Message
		var se *SyntaxError
		if err := Scan(&m, []byte(text)); !errors.As(err, &se) || se.Offset != want {
			t.Errorf("Scan(%q) = %v, want offset %d", text, err, want)
		}
	}
}

func TestScanDoesNotAllocate(t *testing.T) {
	many := make([]string, 0, fewKeys)
	for i := range fewKeys - 1 {
		many = append(many, `"key`+strings.Repeat("x", i)+`\u0041":1`)
	}
	for _, text := range []string{
		fullRequest,
		in(strings.Join(many, ",")),
		meta(strings.Join(many, ",")),
		in(`"` + strings.Repeat(`\u212a`, 60) + `":1,"` + strings.Repeat("é", 40) + `":2`),
		`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"ü"}],"_meta":{}}}`,
	} {
		data := []byte(text)
		var m Message
		if n := testing.AllocsPerRun(20, func() {
			if err := Scan(&m, data); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("Scan(%.60s…) allocates %v times", text, n)
		}
	}
}

func TestMethodName(t *testing.T) {
	for _, name := range []string{
		"initialize", "ping", "server/discover", "tools/list", "tools/call", "resources/list",
		"resources/templates/list", "resources/read", "resources/subscribe", "resources/unsubscribe", "prompts/list",
		"prompts/get", "completion/complete", "logging/setLevel", "subscriptions/listen", "sampling/createMessage",
		"elicitation/create", "roots/list", "tasks/get", "tasks/update", "tasks/cancel", "tasks/list", "tasks/result",
		"notifications/initialized", "notifications/cancelled", "notifications/progress", "notifications/message",
		"notifications/tools/list_changed", "notifications/prompts/list_changed",
		"notifications/resources/list_changed", "notifications/resources/updated", "notifications/roots/list_changed",
		"notifications/subscriptions/acknowledged", "notifications/elicitation/complete", "notifications/tasks",
		"notifications/tasks/status",
	} {
		m := scanned(t, `{"jsonrpc":"2.0","method":"`+name+`"}`)
		var got string
		if n := testing.AllocsPerRun(5, func() { got = m.MethodName() }); n != 0 {
			t.Errorf("MethodName(%s) allocates %v times", name, n)
		}
		if got != name {
			t.Errorf("MethodName = %q, want %q", got, name)
		}
	}
	for raw, want := range map[string]string{
		`"x\u002fy"`: "x/y", `"notifications\/progress"`: "notifications/progress", `""`: "", `"TOOLS/call"`: "TOOLS/call",
	} {
		if got := scanned(t, `{"jsonrpc":"2.0","method":`+raw+`}`).MethodName(); got != want {
			t.Errorf("MethodName(%s) = %q, want %q", raw, got, want)
		}
	}
	if got := scanned(t, `{"jsonrpc":"2.0","id":1,"result":1}`).MethodName(); got != "" {
		t.Errorf("MethodName of a result = %q", got)
	}
}

func FuzzScan(f *testing.F) {
	for _, text := range []string{
		fullRequest, in(`"name":"a","NAME":"b"`), in(`"na\u006de":"a","name":"b"`), in(`"x":[[[{"a":1,"a":2}]]]`),
		in(`"ä":1,"Ä":2`), in("\"to\u212aen\":1,\"token\":2"), meta(`"a":1,"a":2`), meta(`"Traceparent":"x"`),
		in(`"ref":{"type":"ref/prompt","name":"a","Name":"b"}`), in("\"argument\u017f\":{}"),
		`{"jsonrpc":"2.0","id":1,"result":{"content":[],"_meta":{"a":1e400},"resultType":"complete"}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"_Meta":{}}}`, `{"jsonrpc":"2.0","error":{"code":1}}`,
		`{"jsonrpc":"2.0","Result":{},"id":"\ud83d\ude00"}`, `[{}]`, `{"jsonrpc":"2.0","method":"x","v":"` + "\xff" + `"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Message
		err := Scan(&m, data)
		want, ok := referenceScan(data)
		if ok != (err == nil) {
			t.Fatalf("Scan: %v; reference accepts: %v", err, ok)
		}
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatal("accepted what encoding/json does not")
		}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Fatalf("spans (-reference +Scan):\n%s", diff)
		}
		sameAsEncodingJSON(t, &m)
	})
}

// sameAsEncodingJSON fails when a Go upstream would read other values in m than its spans show.
func sameAsEncodingJSON(t *testing.T, m *Message) {
	t.Helper()
	type raw = json.RawMessage
	var got struct {
		ID     raw
		Method raw
		Params struct {
			Name, URI, Arguments, Cursor, Ref, Level, RequestID, ProgressToken raw

			RequestState, InputResponses, TaskID raw

			Meta map[string]raw `json:"_meta"`
		}
	}
	if err := json.Unmarshal(m.Data, &got); err != nil {
		t.Fatalf("encoding/json: %v", err)
	}
	if m.Kind != Request && m.Kind != Notification {
		return
	}
	p := &got.Params
	for _, tt := range []struct {
		name string
		got  raw
		span Span
	}{
		{"id", got.ID, m.ID},
		{"method", got.Method, m.Method},
		{"name", p.Name, m.Name},
		{"uri", p.URI, m.URI},
		{"arguments", p.Arguments, m.Arguments},
		{"cursor", p.Cursor, m.Cursor},
		{"ref", p.Ref, m.Ref},
		{"level", p.Level, m.Level},
		{"requestId", p.RequestID, m.RequestID},
		{"progressToken", p.ProgressToken, m.ProgressToken},
		{"requestState", p.RequestState, m.RequestState},
		{"inputResponses", p.InputResponses, m.InputResponses},
		{"taskId", p.TaskID, m.TaskID},
		{"protocolVersion", p.Meta[mcp+"protocolVersion"], m.Meta.ProtocolVersion},
		{"token", p.Meta["progressToken"], m.Meta.ProgressToken},
	} {
		if string(tt.got) != m.text(tt.span) {
			t.Errorf("%s: encoding/json reads %s, Scan %s", tt.name, tt.got, m.text(tt.span))
		}
	}
}

// TestScanTakesNullForAbsent: clients that write out every optional member send null for those they do not use.
func TestScanTakesNullForAbsent(t *testing.T) {
	for _, text := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":null}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":null}}`,
	} {
		var m Message
		if err := Scan(&m, []byte(text)); err != nil || !m.Cursor.Absent() || !m.Arguments.Absent() {
			t.Errorf("Scan(%s) = %v, cursor %v, arguments %v", text, err, m.Cursor, m.Arguments)
		}
	}
}

// TestScanPassesHalfSurrogatesInValues: they are refused where a text is compared, and nobody's loss elsewhere.
func TestScanPassesHalfSurrogatesInValues(t *testing.T) {
	var m Message
	for _, text := range []string{
		`{"jsonrpc":"2.0","id":1,"result":{"content":[{"text":"\ud83d"}],"a":"\udc00\ud800\u0041"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"q":"x\ud83d"}}}`,
	} {
		if err := Scan(&m, []byte(text)); err != nil {
			t.Errorf("Scan(%s) = %v", text, err)
		}
	}
	for _, text := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\ud83d"}}`,
		`{"jsonrpc":"2.0","id":"\ud83d","method":"ping"}`,
		`{"jsonrpc":"2.0","id":1,"method":"\ud83d"}`,
	} {
		if err := Scan(&m, []byte(text)); err == nil {
			t.Errorf("Scan(%s) accepts", text)
		}
	}
	if text, ok := String([]byte(`"a\ud83d"`)); ok {
		t.Errorf("String = %q", text)
	}
}
