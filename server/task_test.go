package server

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/policy"
)

const withTasks = `{"extensions":{"io.modelcontextprotocol/tasks":{},"other/one":{}}}`

// tasked is a gateway whose upstreams both have a tool and a task "7"; what reached them is in reached.
func tasked(t *testing.T, spec policy.Spec) *ruled {
	t.Helper()
	g := newRuled(t, spec)
	caps := []byte(`{"tools":{},"resources":{},"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{}}}`)
	page := []byte(`{"uri":"ui://page","name":"p"}`)
	tool := []byte(`{"name":"slow","inputSchema":{"type":"object"}}`)
	g.catalog.Publish(catalog.Build([]*catalog.Source{
		{Upstream: "a", Capabilities: caps, Tools: [][]byte{tool}, Resources: [][]byte{page}},
		{Upstream: "b", Capabilities: caps, Tools: [][]byte{tool}, Resources: [][]byte{page}},
	}, catalog.Options{Naming: catalog.Prefix}))
	g.upstream = upstreamFunc(func(_ context.Context, c *catalog.Call) (*catalog.Answer, error) {
		g.reached = append(g.reached, c.Entry.Ref.String()+" "+c.Method+" "+c.Target)
		result := `{"resultType":"complete"}`
		switch c.Method {
		case "tools/call":
			result = `{"resultType":"task","taskId":"7","status":"working","ttlMs":9007199254740993}`
		case "tasks/get":
			result = `{"resultType":"complete","status":"completed","taskId":"7","result":{"content":[{"type":"resource_link","name":"p","uri":"ui://page"}]},"x":1e400}`
		}
		return catalog.NewAnswer(scan(t, `{"jsonrpc":"2.0","id":1,"result":`+result+`}`), catalog.Modern, nil), nil
	})
	return g
}

// send serves one request of a modern client.
func (g *ruled) send(t *testing.T, who policy.Principal, declared, method, params string) string {
	t.Helper()
	m := scan(t, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`)
	reply := g.Serve(t.Context(), &Request{Principal: who, Client: &catalog.Client{Era: catalog.Modern, Version: modernVersion, Capabilities: []byte(declared)}, Message: m})
	defer reply.Release()
	return fmt.Sprint(reply.Status, " ", string(reply.AppendLine(nil)))
}

func taskIDOf(t *testing.T, reply string) string {
	t.Helper()
	_, rest, ok := strings.Cut(reply, `"taskId":"`)
	if !ok {
		t.Fatalf("no task in %s", reply)
	}
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

func everyone() policy.Spec {
	return policy.Spec{Grants: map[string][]string{"group:staff": {"a/slow", "b/slow", "a/ui://**", "b/ui://**"}, "group:guests": {"b/slow"}}}
}

// TestTasksFindTheirUpstream: a task is gone on with at the upstream that made it, under the id that the client got, by every method of tasks.
func TestTasksFindTheirUpstream(t *testing.T) {
	g := tasked(t, everyone())
	ana := person(t, "ana", "staff")
	for _, up := range []string{"a", "b"} {
		g.reached = nil
		made := g.send(t, ana, withTasks, "tools/call", `{"name":"`+up+`__slow"}`)
		id := taskIDOf(t, made)
		if want := `"resultType":"task","taskId":"` + id + `","status":"working","ttlMs":9007199254740993}}`; !strings.HasSuffix(made, want) || id == "7" {
			t.Errorf("made: %s", made)
		}
		got := g.send(t, ana, withTasks, "tasks/get", `{"taskId":"`+id+`"}`)
		want := `"resultType":"complete","status":"completed","taskId":"` + id + `","result":{"content":[{"type":"resource_link","name":"p","uri":"ui://` + up + `/page"}]},"x":1e400}}`
		if !strings.HasSuffix(got, want) {
			t.Errorf("got: %s", got)
		}
		for _, method := range []string{"tasks/update", "tasks/cancel"} {
			if got := g.send(t, ana, withTasks, method, `{"taskId":"`+id+`","inputResponses":{}}`); !strings.Contains(got, `200 {"jsonrpc":"2.0","id":1,"result":{`) {
				t.Errorf("%s: %s", method, got)
			}
		}
		if d := cmp.Diff([]string{up + "/slow tools/call slow", up + "/slow tasks/get 7", up + "/slow tasks/update 7", up + "/slow tasks/cancel 7"}, g.reached); d != "" {
			t.Error(d)
		}
		if last := g.events[len(g.events)-1]; last.Ref.String() != up+"/slow" {
			t.Errorf("recorded as %s", last.Ref)
		}
	}
}

// TestT5_TasksBelongToTheirOwner: an id that is another's, changed, made up, of a tool that may not be called any more, or of another process is unknown, all
// in the same words, and nothing reaches the upstream.
func TestT5_TasksBelongToTheirOwner(t *testing.T) {
	g := tasked(t, everyone())
	ana, gus := person(t, "ana", "staff"), person(t, "gus", "guests")
	id := taskIDOf(t, g.send(t, ana, withTasks, "tools/call", `{"name":"a__slow"}`))
	const unknown = `200 {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"unknown task"}}`
	if got := g.send(t, person(t, "ana", "staff", "guests"), withTasks, "tasks/get", `{"taskId":"`+id+`"}`); !strings.Contains(got, `"result"`) {
		t.Errorf("with another group: %s", got)
	}
	other := taskIDOf(t, tasked(t, everyone()).send(t, ana, withTasks, "tools/call", `{"name":"a__slow"}`))
	parked := g.parking.sealer.seal(ticket{}, bindTask(ana))
	g.reached = nil
	tries := map[string]string{"plain": "7", "empty": "", "of another process": other, "a requestState": parked}
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		bad := slices.Clone(raw)
		bad[i] ^= 1
		tries[fmt.Sprint("byte ", i)] = base64.RawURLEncoding.EncodeToString(bad)
	}
	for name, token := range tries {
		if got := g.send(t, ana, withTasks, "tasks/get", `{"taskId":"`+token+`"}`); got != unknown {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		if got := g.send(t, gus, withTasks, method, `{"taskId":"`+id+`"}`); got != unknown {
			t.Errorf("another's %s: %s", method, got)
		}
	}
	spec := everyone()
	spec.Deny = []policy.Deny{{Match: "a/slow"}}
	g.swap(t, spec)
	if got := g.send(t, ana, withTasks, "tasks/get", `{"taskId":"`+id+`"}`); got != unknown {
		t.Errorf("after the right was lost: %s", got)
	}
	if len(g.reached) > 0 {
		t.Errorf("reached %q", g.reached)
	}
}

// TestTasksOfConditionalTools: who may call a tool with some arguments goes on with the task of a call that was allowed.
func TestTasksOfConditionalTools(t *testing.T) {
	g := tasked(t, policy.Spec{Grants: map[string][]string{"group:staff": {"a/slow when small"}}, Conditions: map[string]string{"small": "args.n <= 1"}})
	ana := person(t, "ana", "staff")
	id := taskIDOf(t, g.send(t, ana, withTasks, "tools/call", `{"name":"a__slow","arguments":{"n":1}}`))
	if got := g.send(t, ana, withTasks, "tasks/get", `{"taskId":"`+id+`"}`); !strings.Contains(got, `"result"`) {
		t.Error(got)
	}
}

// TestExtensionsAreNegotiated: what is advertised to whom, and what who did not declare tasks is answered.
func TestExtensionsAreNegotiated(t *testing.T) {
	g := tasked(t, everyone())
	ana := person(t, "ana", "staff")
	if got := g.send(t, ana, `{}`, "server/discover", `{}`); !strings.Contains(got, `"logging":{},"extensions":{"io.modelcontextprotocol/ui":{},"io.modelcontextprotocol/tasks":{}}}`) {
		t.Errorf("modern: %s", got)
	}
	_, reply := g.Initialize(scan(t, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{}}}`))
	if got := string(reply.AppendLine(nil)); !strings.Contains(got, `"logging":{},"extensions":{"io.modelcontextprotocol/ui":{}}},"serverInfo"`) {
		t.Errorf("legacy: %s", got)
	}
	want := `400 {"jsonrpc":"2.0","id":1,"error":{"code":-32021,"message":"missing required client capability","data":{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}}}`
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		if got := g.send(t, ana, `{}`, method, `{"taskId":"7"}`); got != want {
			t.Errorf("undeclared %s: %s", method, got)
		}
	}
	for _, method := range []string{"tasks/list", "tasks/result", "other/method"} {
		if got := g.send(t, ana, withTasks, method, `{"taskId":"7"}`); !strings.HasPrefix(got, `404 `) || !strings.Contains(got, `-32601`) {
			t.Errorf("unknown %s: %s", method, got)
		}
	}
	bare := newRuled(t, everyone())
	if got := bare.send(t, ana, `{}`, "server/discover", `{}`); strings.Contains(got, "extensions") {
		t.Errorf("nobody has any: %s", got)
	}
	if got := bare.send(t, ana, withTasks, "tasks/get", `{"taskId":"7"}`); !strings.HasPrefix(got, `404 `) {
		t.Errorf("nobody has any: %s", got)
	}
}

// TestTaskNotifications: a client hears of its own tasks under its own ids, tagged; ids of others are not honoured, and who did not declare the extension is
// not answered about them. Who loses the tool loses the stream.
func TestTaskNotifications(t *testing.T) {
	g := tasked(t, everyone())
	up := new(told)
	g.watching = up
	ana, gus := person(t, "ana", "staff"), person(t, "gus", "guests")
	id := taskIDOf(t, g.send(t, ana, withTasks, "tools/call", `{"name":"a__slow"}`))
	open := func(p policy.Principal, declared string) (*Outlet, <-chan struct{}) {
		l, err := ReadListen(scan(t, `{"jsonrpc":"2.0","id":"L","method":"subscriptions/listen","params":{"notifications":{"taskIds":["`+id+`","x"]},`+
			`"_meta":{"io.modelcontextprotocol/clientCapabilities":`+declared+`}}}`))
		if err != nil {
			t.Fatal(err)
		}
		o := NewOutlet()
		ended, stop := g.Open(t.Context(), listening(t, p, `"L"`), l, o)
		t.Cleanup(stop)
		return o, ended
	}
	acknowledged := func(filter string) []string {
		return []string{`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"L"},"notifications":{` + filter + `}}}`}
	}
	mine, ended := open(ana, withTasks)
	others, _ := open(gus, withTasks)
	undeclared, _ := open(ana, `{}`)
	for name, tt := range map[string]struct {
		got, want []string
	}{
		"mine":       {texts(mine), acknowledged(`"taskIds":["` + id + `"]`)},
		"another's":  {texts(others), acknowledged(`"taskIds":[]`)},
		"undeclared": {texts(undeclared), acknowledged(``)},
	} {
		if d := cmp.Diff(tt.want, tt.got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	g.Updated("a", catalog.Topic{Task: true, ID: "7"}, []byte(`{"taskId":"7","status":"completed","result":{"content":[{"type":"resource","resource":{"uri":"ui://page"}}]}}`))
	g.Updated("b", catalog.Topic{Task: true, ID: "7"}, []byte(`{"taskId":"7","status":"working"}`))
	g.Updated("a", catalog.Topic{ID: "7"}, []byte(`{"uri":"7"}`))
	want := []string{`{"jsonrpc":"2.0","method":"notifications/tasks","params":{"status":"completed","result":{"content":[{"type":"resource","resource":{"uri":"ui://a/page"}}]},` +
		`"taskId":"` + id + `","_meta":{"io.modelcontextprotocol/subscriptionId":"L"}}}`}
	if d := cmp.Diff(want, texts(mine)); d != "" {
		t.Error(d)
	}
	if more := append(texts(others), texts(undeclared)...); len(more) > 0 {
		t.Errorf("others heard %q", more)
	}
	if !slices.Equal(up.lines, []string{`+a task "7"`}) {
		t.Errorf("told %q", up.lines)
	}
	spec := everyone()
	spec.Deny = []policy.Deny{{Match: "a/slow"}}
	g.swap(t, spec)
	select {
	case <-ended:
	default:
		t.Error("the stream goes on")
	}
}
