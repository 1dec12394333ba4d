package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/upstream/upstreamtest"
)

// What these tests take out before they compare bytes is per hop, and nothing else is:
//
//	requests   id, params.name (the public name), params._meta: progressToken and the reserved keys below
//	results    _meta["io.modelcontextprotocol/serverInfo"], with the _meta that holds nothing else
//	progress   params.progressToken
//	lists      the name of an item; nextCursor, ttlMs and cacheScope, which belong to the merged list
//
// Where a message crosses stdio, white space between tokens is per hop too: a line break would end the message.
var hopMeta = []string{
	"progressToken", "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientInfo", "io.modelcontextprotocol/clientCapabilities",
	"io.modelcontextprotocol/logLevel",
}

const serverInfo = "io.modelcontextprotocol/serverInfo"

// corpus reads a file of testdata/fidelity: raw values by case. "@LONG@" in them stands for 70,000 characters.
func corpus(t testing.TB, name string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "testdata", "fidelity", name+".json"))
	must(t, err)
	text := strings.ReplaceAll(string(b), "@LONG@", strings.Repeat("0123456789", 7000))
	var raw map[string]json.RawMessage
	must(t, json.Unmarshal([]byte(text), &raw))
	all := map[string]string{}
	for k, v := range raw {
		all[k] = string(v)
	}
	return all
}

// cases are the case names of a corpus in order; the position is part of the scripted names.
func cases(c map[string]string) []string { return slices.Sorted(maps.Keys(c)) }

// route is one way through the gateway.
type route struct {
	era              era
	client, upstream string // "http" or "stdio"
	direct           bool   // without the gateway: the control
}

func (r route) String() string {
	if r.direct {
		return fmt.Sprintf("%s, %s direct", r.era, r.upstream)
	}
	return fmt.Sprintf("%s, %s to %s", r.era, r.client, r.upstream)
}

// loose reports whether white space between tokens may differ.
func (r route) loose() bool { return r.client == "stdio" || r.upstream == "stdio" }

// fidelity is one route with everything at both of its ends.
type fidelity struct {
	route
	wire   wire
	up     *upstreamtest.Server
	lastID int
}

// public is the name of an upstream's tool or prompt at the client's end.
func (f *fidelity) public(name string) string {
	if f.direct {
		return name
	}
	return "up__" + name
}

// scripted is an upstream that offers the whole corpus: a tool rN for each result, eN for each error, nN for each series of progress
// notifications and lN for each log line, prompts and resources in the same way.
// Over stdio it sends no line breaks, as no server may.
func scripted(t testing.TB, r route) upstreamtest.Config {
	t.Helper()
	cfg := upstreamtest.Config{Era: upstreamtest.Legacy}
	files := []string{"tools"}
	if r.era == modern {
		cfg.Era = upstreamtest.Modern
		files = append(files, "tools-modern")
	}
	raws := func(name string) (items []upstreamtest.Raw) {
		c := corpus(t, name)
		for _, k := range cases(c) {
			raw := c[k]
			if r.upstream == "stdio" && strings.Contains(raw, "\n") {
				raw = tight(raw)
			}
			items = append(items, upstreamtest.Raw(raw))
		}
		return items
	}
	for _, f := range files {
		cfg.Tools = append(cfg.Tools, raws(f)...)
	}
	cfg.Prompts, cfg.Resources, cfg.Templates = raws("prompts"), raws("resources"), raws("templates")
	add := func(name string, act func(raw string) upstreamtest.Act, item func(on string) upstreamtest.Raw, to *[]upstreamtest.Raw, prefix string) {
		for i, raw := range raws(name) {
			a := act(string(raw))
			a.On = fmt.Sprintf("%s%d", prefix, i)
			cfg.Script = append(cfg.Script, a)
			*to = append(*to, item(a.On))
		}
	}
	result := func(raw string) upstreamtest.Act { return upstreamtest.Act{Result: upstreamtest.Raw(raw)} }
	named := func(on string) upstreamtest.Raw {
		return upstreamtest.Raw(`{"name":"` + on + `","inputSchema":{"type":"object"}}`)
	}
	add("results", result, named, &cfg.Tools, "r")
	add("errors", func(raw string) upstreamtest.Act { return upstreamtest.Act{Error: upstreamtest.Raw(raw)} }, named, &cfg.Tools, "e")
	add("notifications", func(raw string) upstreamtest.Act {
		var series []json.RawMessage
		must(t, json.Unmarshal([]byte(raw), &series))
		var a upstreamtest.Act
		for _, p := range series {
			p := strings.Replace(string(p), `"TOKEN"`, "«TOKEN»", 1)
			a.Before = append(a.Before, upstreamtest.Raw(`{"jsonrpc":"2.0","method":"notifications/progress","params":`+p+`}`))
		}
		return a
	}, named, &cfg.Tools, "n")
	add("logs", func(raw string) upstreamtest.Act {
		return upstreamtest.Act{Before: []upstreamtest.Raw{upstreamtest.Raw(`{"jsonrpc":"2.0","method":"notifications/message","params":` + raw + `}`)}}
	}, named, &cfg.Tools, "l")
	add("prompt-results", result, func(on string) upstreamtest.Raw { return upstreamtest.Raw(`{"name":"` + on + `"}`) }, &cfg.Prompts, "pr")
	add("completions", result, func(on string) upstreamtest.Raw { return upstreamtest.Raw(`{"name":"` + on + `"}`) }, &cfg.Prompts, "co")
	add("read-results", result, func(on string) upstreamtest.Raw {
		return upstreamtest.Raw(`{"uri":"` + on + `","name":"x"}`)
	}, &cfg.Resources, "res://read/")
	cfg.Tools = append(cfg.Tools, named("echo"))
	cfg.Script = append(cfg.Script, upstreamtest.Act{
		On: "asks", State: "st\u00e4te \"&\"", Ask: []upstreamtest.Ask{{Method: "elicitation/create", Params: `{"mode":"form","message":"\u003c","x":1e400}`}},
	})
	cfg.Tools = append(cfg.Tools, named("asks"))
	return cfg
}

// travel opens a route.
func travel(t *testing.T, r route) *fidelity {
	t.Helper()
	f := &fidelity{route: r, lastID: 100}
	cfg := scripted(t, r)
	spec := object{"era": string(r.era)}
	if r.upstream == "stdio" {
		f.up = upstreamtest.Stdio(t, cfg)
		spec["command"], spec["args"] = f.up.Command, f.up.Args
		spec["env"] = object{"GORACE": "atexit_sleep_ms=0"}
	} else {
		f.up = upstreamtest.New(t, cfg)
		spec["url"] = f.up.URL
	}
	config := object{"mcpServers": object{"up": spec}}
	switch {
	case r.direct && r.client == "http":
		f.wire = dialHTTPWire(t, f.up.URL, r.era)
	case r.direct:
		f.wire = dialLineWire(t, exec.Command(f.up.Command, f.up.Args...), r.era)
	case r.client == "http":
		f.wire = dialHTTPWire(t, serve(t, config).url, r.era)
	default:
		f.wire = dialLineWire(t, exec.Command(weirBinary, "stdio", configFile(t, config)), r.era)
	}
	for deadline := time.Now().Add(20 * time.Second); len(f.items(t, "tools/list", "tools")) < len(cfg.Tools)-1; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d tools are listed, the upstream has %d", len(f.items(t, "tools/list", "tools")), len(cfg.Tools))
		}
	}
	return f
}

// params makes raw params of members: _meta, if any, is joined with what the era demands.
func (f *fidelity) params(t testing.TB, all []member, token string) string {
	t.Helper()
	var meta []member
	if f.era == modern {
		meta = append(meta, member{`"io.modelcontextprotocol/protocolVersion"`, `"2026-07-28"`},
			member{`"io.modelcontextprotocol/clientCapabilities"`, `{"elicitation":{}}`}, member{`"io.modelcontextprotocol/logLevel"`, `"debug"`})
	}
	if token != "" {
		meta = append(meta, member{`"progressToken"`, token})
	}
	if own := get(all, "_meta"); own != "" {
		return join(set(all, "_meta", join(append(meta, members(t, own)...))))
	}
	if meta != nil {
		all = append(slices.Clip(all), member{`"_meta"`, join(meta)})
	}
	return join(all)
}

// ask makes an exchange and returns what came, the answer taken apart.
func (f *fidelity) ask(t testing.TB, method string, token string, all ...member) (before []string, answer []member) {
	t.Helper()
	f.lastID++
	got := f.wire.exchange(t, fmt.Sprint(f.lastID), method, f.params(t, all, token))
	if len(got) == 0 {
		t.Fatalf("%s: no answer", method)
	}
	return got[:len(got)-1], members(t, got[len(got)-1])
}

// items lists one kind. The list must be one page.
func (f *fidelity) items(t testing.TB, method, key string) []string {
	t.Helper()
	_, answer := f.ask(t, method, "")
	result := members(t, get(answer, "result"))
	if get(result, "nextCursor") != "" {
		t.Fatalf("%s: more than one page", method)
	}
	var raw []json.RawMessage
	must(t, json.Unmarshal([]byte(get(result, key)), &raw))
	all := make([]string, len(raw))
	for i, r := range raw {
		all[i] = string(r)
	}
	return all
}

// same compares raw text as the route allows.
func (f *fidelity) same(t testing.TB, what, want, got string) {
	t.Helper()
	if f.loose() {
		want, got = tight(want), tight(got)
	}
	if want != got {
		t.Errorf("%s changed:\n sent %s\n  got %s", what, clip(want), clip(got))
	}
}

// sameMembers compares objects member by member, in order.
func (f *fidelity) sameMembers(t testing.TB, what string, want, got []member) {
	t.Helper()
	if f.loose() {
		for _, all := range [][]member{want, got} {
			for i := range all {
				all[i].Value = tight(all[i].Value)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s changed (-sent +got):\n%s", what, clip(diff))
	}
}

func clip(s string) string {
	if len(s) > 3000 {
		return s[:1500] + " … " + s[len(s)-1500:]
	}
	return s
}
