package mcphttp

import (
	"context"
	"strings"
	"testing"
	"time"

	"weir/catalog"
	"weir/policy"
	"weir/server"
)

// TestR13_WhatIsAdvertisedIsServed: every capability that initialize and server/discover name has its methods, in the same era.
func TestR13_WhatIsAdvertisedIsServed(t *testing.T) {
	f := start(t, echo(t), nil)
	session := f.session("2025-11-25")
	opening, _ := f.do("POST", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}`)
	modern := []string{"Mcp-Protocol-Version", "2026-07-28"}
	discovery, _ := f.do("POST", `{"jsonrpc":"2.0","id":0,"method":"server/discover","params":{`+meta+`}}`, append(modern, "Mcp-Method", "server/discover")...)
	methods := map[string][]struct{ method, params string }{
		`"tools":`:       {{"tools/list", ``}},
		`"prompts":`:     {{"prompts/list", ``}},
		`"resources":`:   {{"resources/list", ``}, {"resources/templates/list", ``}},
		`"completions":`: {{"completion/complete", `"ref":{"type":"ref/prompt","name":"none"},"argument":{"name":"a","value":""}`}},
		`"logging":`:     {{"logging/setLevel", `"level":"info"`}},
		`"subscribe":`:   {{"resources/subscribe", `"uri":"test://none"`}},
	}
	for capability, calls := range methods {
		for _, c := range calls {
			if strings.Contains(opening.Body, capability) {
				got, _ := f.do("POST", `{"jsonrpc":"2.0","id":1,"method":"`+c.method+`","params":{`+c.params+`}}`, session...)
				if strings.Contains(got.Body, "-32601") {
					t.Errorf("legacy %s: %s", c.method, got.Body)
				}
			}
			if legacyOnly := c.method == "logging/setLevel" || c.method == "resources/subscribe"; !legacyOnly && strings.Contains(discovery.Body, capability) {
				params := c.params
				if params != "" {
					params += ","
				}
				got, _ := f.do("POST", `{"jsonrpc":"2.0","id":1,"method":"`+c.method+`","params":{`+params+meta+`}}`, append(modern, "Mcp-Method", c.method)...)
				if strings.Contains(got.Body, "-32601") {
					t.Errorf("modern %s: %s", c.method, got.Body)
				}
			}
		}
	}
	if !strings.Contains(opening.Body, `"listChanged":true`) || !strings.Contains(discovery.Body, `"listChanged":true`) {
		t.Error("listChanged is not advertised")
	}
}

// TestR17_MalformedCallsReachNobody: what is not a tools/call of the specification is refused before anything is called.
func TestR17_MalformedCallsReachNobody(t *testing.T) {
	f := start(t, func(context.Context, *catalog.Call) (*catalog.Answer, error) {
		t.Error("a malformed call reached the upstream")
		return result(t, catalog.Legacy, `{}`), nil
	}, nil)
	for _, params := range []string{
		``, `,"params":{}`, `,"params":null`, `,"params":[]`, `,"params":["up__echo"]`, `,"params":"up__echo"`, `,"params":{"name":null}`, `,"params":{"name":7}`,
		`,"params":{"name":["up__echo"]}`, `,"params":{"name":""}`, `,"params":{"name":"up__echo","arguments":[]}`, `,"params":{"name":"up__echo","arguments":"{}"}`,
		`,"params":{"name":"up__echo","arguments":7}`, `,"params":{"name":"up__echo","name":"up__echo"}`, `,"params":{"name":"up__echo","Arguments":{}}`,
		`,"params":{"tool":"up__echo"}`, `,"params":{"name":"up__echo","_meta":[]}`, `,"params":{"name":"up__echo","_meta":{"progressToken":{}}}`,
	} {
		got, _ := f.do("POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call"`+params+`}`)
		if !strings.Contains(got.Body, `"error":{"code":-326`) {
			t.Errorf("%s: %d %s", params, got.Status, got.Body)
		}
	}
}

// TestTrap5_8_SessionsAreBounded: sessions end when idle, and a principal that opens too many loses its oldest idle one.
func TestTrap5_8_SessionsAreBounded(t *testing.T) {
	table := server.NewSessions(time.Minute, 3)
	var all []*server.Session
	for range 5 {
		s := server.NewSession(policy.LocalUser(), catalog.Client{})
		if !table.Add(s) {
			t.Fatal("refused")
		}
		all = append(all, s)
	}
	if n := len(table.All()); n != 3 {
		t.Errorf("%d sessions, want 3", n)
	}
	if table.Get(all[0].ID, policy.LocalUser()) != nil || table.Get(all[4].ID, policy.LocalUser()) == nil {
		t.Error("the wrong session was ended")
	}
	select {
	case <-all[0].Done():
	default:
		t.Error("a session that was dropped has not ended")
	}
	busy := all[2].Use()
	table.Sweep(time.Now().Add(time.Hour))
	if n := len(table.All()); n != 1 {
		t.Errorf("%d sessions after an idle hour, want the one in use", n)
	}
	busy()
	table.Sweep(time.Now().Add(2 * time.Hour))
	if n := len(table.All()); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestTrap5_9_SessionsBelongToTheirPrincipal: another principal's session is one that does not exist.
func TestTrap5_9_SessionsBelongToTheirPrincipal(t *testing.T) {
	table := server.NewSessions(time.Minute, 3)
	s := server.NewSession(policy.LocalUser(), catalog.Client{})
	table.Add(s)
	if table.Get(s.ID, policy.Principal{}) != nil {
		t.Error("a stranger got the session")
	}
}

// TestTrap5_17_CallsDoNotReadSchemas: what a call costs does not depend on the size of the tool's schema.
func TestTrap5_17_CallsDoNotReadSchemas(t *testing.T) {
	f := start(t, echo(t), nil)
	big := strings.Repeat(`"p":{"type":"string","description":"`+strings.Repeat("x", 1000)+`"},`, 1)
	for i := range 50 {
		big += `"p` + strings.Repeat("q", i+1) + `":{"type":"string","description":"` + strings.Repeat("x", 1000) + `"},`
	}
	s := source("small")
	s.Tools = append(s.Tools, []byte(`{"name":"large","inputSchema":{"type":"object","properties":{`+big+`"region":{"type":"string","x-mcp-header":"Region"}}}}`))
	f.catalog.Publish(catalog.Build([]*catalog.Source{s}, catalog.Options{Naming: catalog.Prefix}))
	cost := func(tool string) float64 {
		body, header := modernCall(`1`, tool, `,"arguments":{"region":"eu"}`)
		header = append(header, "Mcp-Param-Region", "eu")
		return testing.AllocsPerRun(50, func() {
			if got, _ := f.do("POST", body, header...); got.Status != 200 {
				t.Error(got.Body)
			}
		})
	}
	small, large := cost("up__small"), cost("up__large")
	if large > small*1.2+10 {
		t.Errorf("%v allocations with a small schema, %v with one of 50 KB", small, large)
	}
}

// TestTrap5_18_TasksAreNobodysBusiness: weir offers no task store of its own, so no caller sees another's tasks.
func TestTrap5_18_TasksAreNobodysBusiness(t *testing.T) {
	f := start(t, echo(t), nil)
	session := f.session("2025-11-25")
	for _, method := range []string{"tasks/list", "tasks/get", "tasks/result", "tasks/cancel", "tasks/update"} {
		got, _ := f.do("POST", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{"taskId":"1"}}`, session...)
		if !strings.Contains(got.Body, "-32601") {
			t.Errorf("legacy %s: %s", method, got.Body)
		}
		got, _ = f.do("POST", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{"taskId":"1",`+meta+`}}`, "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method)
		if got.Status != 404 || !strings.Contains(got.Body, "-32601") {
			t.Errorf("modern %s: %d %s", method, got.Status, got.Body)
		}
	}
}

// TestR31_CallersHearWhenToComeBack: an upstream that takes no more calls is told of at once, with the time in the answer and in its header, rounded up.
func TestR31_CallersHearWhenToComeBack(t *testing.T) {
	f := start(t, func(context.Context, *catalog.Call) (*catalog.Answer, error) {
		return nil, &catalog.Error{Code: catalog.Limited, Msg: "up: 4 calls run and 8 wait already", Execution: catalog.NotExecuted, Retry: 1500 * time.Millisecond}
	}, nil)
	modern := []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "up__echo"}
	for era, call := range map[string]struct {
		params string
		header []string
	}{
		"modern": {`"name":"up__echo","arguments":{},` + meta, modern}, "legacy": {`"name":"up__echo","arguments":{}`, f.session("2025-11-25")},
	} {
		got, header := f.do("POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{`+call.params+`}}`, call.header...)
		if header.Get("Retry-After") != "2" || !strings.Contains(got.Body, `"weir/error":{"code":"limited","execution":"not executed","retryAfterMs":1500}`) ||
			!strings.Contains(got.Body, `"isError":true`) {
			t.Errorf("%s: %+v", era, got)
		}
	}
}
