package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestFidelity sends a corpus of odd values through every route where both ends speak one era, and compares bytes at the ends.
func TestFidelity(t *testing.T) {
	for _, e := range []era{legacy, modern} {
		for _, client := range []string{"http", "stdio"} {
			for _, upstream := range []string{"http", "stdio"} {
				r := route{era: e, client: client, upstream: upstream}
				t.Run(r.String(), func(t *testing.T) { walk(t, r) })
			}
		}
	}
}

// TestFidelityDirect is the control: the same without the gateway. A failure is one of the corpus, the fake or the test.
func TestFidelityDirect(t *testing.T) {
	for _, e := range []era{legacy, modern} {
		for _, over := range []string{"http", "stdio"} {
			r := route{era: e, client: over, upstream: over, direct: true}
			t.Run(r.String(), func(t *testing.T) { walk(t, r) })
		}
	}
}

func walk(t *testing.T, r route) {
	f := travel(t, r)
	t.Run("lists", f.lists)
	t.Run("results", f.results)
	t.Run("errors", f.errors)
	t.Run("arguments", f.arguments)
	t.Run("params", f.otherParams)
	t.Run("ids", f.ids)
	t.Run("progress", f.progress)
	t.Run("logs", f.logs)
	if r.era == modern {
		t.Run("input required", f.inputRequired)
	}
	for _, b := range f.up.Ledger().Breaches() {
		t.Errorf("at the upstream: %s", b)
	}
}

// lists compares every item but for its name, which is looked at by itself.
func (f *fidelity) lists(t *testing.T) {
	cfg := scripted(t, f.route)
	for _, l := range []struct{ method, key, name string }{
		{"tools/list", "tools", "name"},
		{"prompts/list", "prompts", "name"},
		{"resources/list", "resources", ""},
		{"resources/templates/list", "resourceTemplates", ""},
	} {
		var sent []string
		switch l.key {
		case "tools":
			sent = texts(cfg.Tools)
		case "prompts":
			sent = texts(cfg.Prompts)
		case "resources":
			sent = texts(cfg.Resources)
		default:
			sent = texts(cfg.Templates)
		}
		got := f.items(t, l.method, l.key)
		if len(got) != len(sent) {
			t.Errorf("%s: %d items, the upstream has %d", l.method, len(got), len(sent))
		}
		left := map[string]string{} // what is listed: the item without its name → its name
		for _, item := range got {
			body, name := f.split(t, item, l.name)
			left[body+" of "+name] = name
		}
		for _, item := range sent {
			body, name := f.split(t, item, l.name)
			if l.name != "" {
				name = f.listed(name)
			}
			if _, ok := left[body+" of "+name]; !ok {
				t.Errorf("%s: not listed as it was sent, under %s: %s", l.method, name, clip(item))
				continue
			}
			delete(left, body+" of "+name)
		}
		for item := range left {
			t.Errorf("%s: listed, but not sent so: %s", l.method, clip(item))
		}
	}
}

// listed is the public name that a name of the corpus must get; a long one is looked at only for its ends.
func (f *fidelity) listed(name string) string {
	if f.direct {
		return name
	}
	if len(name) > 40 {
		return "up__a…567"
	}
	return "up__" + strings.ReplaceAll(name, ".", "_")
}

// split takes an item's name out: the rest as text that is equal for equal bytes.
func (f *fidelity) split(t testing.TB, item, key string) (body, name string) {
	t.Helper()
	if f.loose() {
		item = tight(item)
	}
	if key == "" {
		return item, ""
	}
	all := members(t, item)
	var named struct{ Name string }
	must(t, json.Unmarshal([]byte(item), &named))
	if n := named.Name; !f.direct && strings.HasPrefix(n, "up__a1234") && strings.HasSuffix(n, "567") && len(n) <= 50 {
		named.Name = "up__a…567"
	}
	return join(without(t, all, key)), named.Name
}

func texts[T ~string](raws []T) []string {
	all := make([]string, len(raws))
	for i, r := range raws {
		all[i] = string(r)
	}
	return all
}

// results calls, gets, reads and completes: whatever the upstream's result holds must arrive.
func (f *fidelity) results(t *testing.T) {
	for _, kind := range []struct {
		file, method string
		params       func(i int) []member
	}{
		{"results", "tools/call", func(i int) []member { return f.named("r%d", i) }},
		{"prompt-results", "prompts/get", func(i int) []member { return f.named("pr%d", i) }},
		{"read-results", "resources/read", func(i int) []member { return []member{{`"uri"`, fmt.Sprintf(`"res://read/%d"`, i)}} }},
		{"completions", "completion/complete", func(i int) []member {
			return []member{
				{`"ref"`, fmt.Sprintf(`{"type":"ref/prompt","name":"%s"}`, f.public(fmt.Sprintf("co%d", i)))},
				{`"argument"`, `{"name":"a","value":"v"}`},
			}
		}},
	} {
		c := corpus(t, kind.file)
		for i, name := range cases(c) {
			t.Run(kind.method+" "+name, func(t *testing.T) {
				want := members(t, c[name])
				if f.era == modern && get(want, "resultType") == "" {
					want = slices.Insert(want, 0, member{`"resultType"`, `"complete"`})
				}
				_, answer := f.ask(t, kind.method, "", kind.params(i)...)
				f.sameMembers(t, "the result", want, f.ownResult(t, get(answer, "result"), get(want, "_meta") != ""))
			})
		}
	}
}

// ownResult takes out of a result what belongs to the hop.
func (f *fidelity) ownResult(t testing.TB, raw string, hadMeta bool) []member {
	t.Helper()
	all := members(t, raw)
	meta := get(all, "_meta")
	if meta == "" || f.era == legacy {
		return all
	}
	rest := without(t, members(t, meta), serverInfo)
	if len(rest) == 0 && !hadMeta {
		return without(t, all, "_meta")
	}
	return set(all, "_meta", join(rest))
}

func (f *fidelity) named(format string, i int) []member {
	return []member{{`"name"`, `"` + f.public(fmt.Sprintf(format, i)) + `"`}}
}

func (f *fidelity) errors(t *testing.T) {
	c := corpus(t, "errors")
	for i, name := range cases(c) {
		t.Run(name, func(t *testing.T) {
			_, answer := f.ask(t, "tools/call", "", f.named("e%d", i)...)
			f.sameMembers(t, "the error", members(t, c[name]), members(t, get(answer, "error")))
		})
	}
}

// lastCall is the params of the last tools/call that reached the upstream.
func (f *fidelity) lastCall(t testing.TB) []member {
	t.Helper()
	calls := f.up.Ledger().Calls("tools/call")
	if len(calls) == 0 {
		t.Fatal("no tools/call at the upstream")
	}
	return members(t, string(calls[len(calls)-1].Params))
}

func (f *fidelity) arguments(t *testing.T) {
	c := corpus(t, "arguments")
	for _, name := range cases(c) {
		t.Run(name, func(t *testing.T) {
			_, answer := f.ask(t, "tools/call", "", member{`"name"`, `"` + f.public("echo") + `"`}, member{`"arguments"`, c[name]})
			f.same(t, "on the way up, the arguments", c[name], get(f.lastCall(t), "arguments"))
			f.same(t, "on the way back, the arguments", c[name], get(members(t, get(answer, "result")), "structuredContent"))
		})
	}
	t.Run("absent", func(t *testing.T) {
		f.ask(t, "tools/call", "", member{`"name"`, `"` + f.public("echo") + `"`})
		if got := get(f.lastCall(t), "arguments"); got != "" {
			t.Errorf("arguments appeared: %s", got)
		}
	})
}

// otherParams compares the params that the specification does not know, and the keys of _meta that are no hop's.
func (f *fidelity) otherParams(t *testing.T) {
	c := corpus(t, "params")
	for _, name := range cases(c) {
		t.Run(name, func(t *testing.T) {
			all := append([]member{{`"name"`, `"` + f.public("echo") + `"`}}, members(t, c[name])...)
			f.ask(t, "tools/call", `"t"`, all...)
			got := f.lastCall(t)
			f.sameMembers(t, "a param", without(t, members(t, c[name]), "_meta"), without(t, got, "_meta", "name"))
			var want []member
			if own := get(all, "_meta"); own != "" {
				want = members(t, own)
			}
			var meta []member
			if m := get(got, "_meta"); m != "" {
				meta = without(t, members(t, m), hopMeta...)
			}
			f.sameMembers(t, "a key of _meta", want, meta)
		})
	}
}

// ids are restored with type and digits; so are progress tokens.
func (f *fidelity) ids(t *testing.T) {
	c := corpus(t, "ids")
	plain := slices.Index(cases(corpus(t, "notifications")), "plain")
	for _, name := range cases(c) {
		t.Run(name, func(t *testing.T) {
			params := f.params(t, f.named("n%d", plain), c[name])
			got := f.wire.exchange(t, c[name], "tools/call", params)
			answer := members(t, got[len(got)-1])
			f.same(t, "the id", c[name], get(answer, "id"))
			if get(answer, "result") == "" {
				t.Errorf("no result: %s", clip(got[len(got)-1]))
			}
			if len(got) != 3 {
				t.Fatalf("%d messages, want two of progress and the answer: %s", len(got), clip(strings.Join(got, "\n")))
			}
			for _, n := range got[:2] {
				f.same(t, "the progress token", c[name], get(members(t, get(members(t, n), "params")), "progressToken"))
			}
		})
	}
}

// progress comes whole, in order, and before the answer.
func (f *fidelity) progress(t *testing.T) {
	c := corpus(t, "notifications")
	for i, name := range cases(c) {
		t.Run(name, func(t *testing.T) {
			var series []json.RawMessage
			must(t, json.Unmarshal([]byte(c[name]), &series))
			before, _ := f.ask(t, "tools/call", `"my token"`, f.named("n%d", i)...)
			if len(before) != len(series) {
				t.Fatalf("%d notifications, want %d", len(before), len(series))
			}
			for j, n := range before {
				got := members(t, get(members(t, n), "params"))
				f.sameMembers(t, "a notification", set(members(t, string(series[j])), "progressToken", `"my token"`), got)
			}
		})
	}
}

func (f *fidelity) logs(t *testing.T) {
	c := corpus(t, "logs")
	for i, name := range cases(c) {
		t.Run(name, func(t *testing.T) {
			before, _ := f.ask(t, "tools/call", "", f.named("l%d", i)...)
			if len(before) != 1 {
				t.Fatalf("%d notifications, want 1", len(before))
			}
			f.sameMembers(t, "a log line", members(t, c[name]), members(t, get(members(t, before[0]), "params")))
		})
	}
}

// inputRequired passes an unfinished result and the answers to it, both raw.
func (f *fidelity) inputRequired(t *testing.T) {
	asks := member{`"name"`, `"` + f.public("asks") + `"`}
	_, answer := f.ask(t, "tools/call", "", asks)
	result := members(t, get(answer, "result"))
	f.same(t, "resultType", `"input_required"`, get(result, "resultType"))
	said := `\u003c`
	if !f.direct {
		said = "up: " + said // who asks; all else stays as it is
	}
	f.same(t, "inputRequests", `{"q0":{"method":"elicitation/create","params":{"mode":"form","message":"`+said+`","x":1e400}}}`, get(result, "inputRequests"))
	const given = `{"q0":{"action":"accept","content":{"n":9007199254740993,"x":[]},"vendor":-0}}`
	_, answer = f.ask(t, "tools/call", "", asks, member{`"inputResponses"`, given}, member{`"requestState"`, get(result, "requestState")})
	f.same(t, "inputResponses", given, get(f.lastCall(t), "inputResponses"))
	f.same(t, "requestState", `"stäte \"&\""`, get(f.lastCall(t), "requestState"))
	f.same(t, "the answer", `{"answers":[{"action":"accept","content":{"n":9007199254740993,"x":[]},"vendor":-0}]}`,
		get(members(t, get(answer, "result")), "structuredContent"))
}
