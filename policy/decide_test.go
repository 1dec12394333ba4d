package policy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
)

// shop is a snapshot of tools, prompts, resources and a template of several upstreams.
func shop() *catalog.Snapshot {
	tool := func(name, annotations string) []byte {
		if annotations != "" {
			annotations = `,"annotations":` + annotations
		}
		return fmt.Appendf(nil, `{"name":%q,"inputSchema":{"type":"object"}%s}`, name, annotations)
	}
	const all = `{"tools":{},"prompts":{},"resources":{}}`
	return catalog.Build([]*catalog.Source{
		{
			Upstream: "github", Capabilities: []byte(all),
			Tools: [][]byte{
				tool("get_issue", `{"readOnlyHint":true}`), tool("list_issues", ""), tool("create_issue", `{"destructiveHint":false}`),
				tool("delete_repo", `{"destructiveHint":true}`),
			},
			Prompts: [][]byte{[]byte(`{"name":"review"}`)},
		},
		{Upstream: "bank", Capabilities: []byte(all), Tools: [][]byte{tool("transfer", ""), tool("get_balance", "")}},
		{
			Upstream: "files", Capabilities: []byte(all),
			Tools:     [][]byte{tool("get_file", "")},
			Resources: [][]byte{[]byte(`{"name":"a","uri":"file:///docs/a.md"}`), []byte(`{"name":"s","uri":"file:///secret/key"}`)},
			Templates: [][]byte{[]byte(`{"name":"any","uriTemplate":"file:///{+path}"}`)},
		},
	}, catalog.Options{Naming: catalog.Prefix})
}

// find returns the entry of a Ref that must be there.
func find(t testing.TB, s *catalog.Snapshot, ref string) *catalog.Entry {
	t.Helper()
	for _, e := range s.Entries() {
		if e.Ref.String() == ref {
			return e
		}
	}
	t.Fatalf("no %s", ref)
	return nil
}

// visible lists the Refs that a caller sees.
func visible(f *Profile) []string {
	var refs []string
	for _, e := range f.View.Snapshot().Entries() {
		if f.View.Visible(e) {
			refs = append(refs, e.Ref.String())
		}
	}
	return refs
}

// team is the policy of the documentation.
func team() Spec {
	return Spec{
		Roles: map[string][]string{
			"reader": {"*/get_*", "*/list_*", "*/search_*"},
			"dev":    {"reader", "github/*"},
		},
		Grants: map[string][]string{"group:eng": {"dev"}, "user:ana@example.com": {"reader"}},
		Deny:   []Deny{{Match: "github/delete_*", Instead: "github/create_issue", Reason: "ask for a deletion instead"}},
		Tests: []Test{
			{As: "group:eng", Call: "github/delete_repo", Want: "deny"},
			{As: "user:ana@example.com", Call: "pets/getPetById", Want: "deny"},
			{As: "user:ana@example.com", Call: "pets/get_pet", Want: "allow"},
		},
		Place: func(path string) Place { return Place{"weir.yaml", len(path)} },
	}
}

func TestShortForm(t *testing.T) {
	p := compiled(t, team(), Options{})
	s := shop()
	tests := []struct {
		who  Principal
		want []string
	}{
		{who(t, "group:eng"), []string{
			"bank/get_balance", "files/get_file", "github/create_issue", "github/get_issue", "github/list_issues", "github/review",
		}},
		{who(t, "user:ana@example.com"), []string{"bank/get_balance", "files/get_file", "github/get_issue", "github/list_issues"}},
		{who(t, "role:reader"), []string{"bank/get_balance", "files/get_file", "github/get_issue", "github/list_issues"}},
		{who(t, "user:bob"), nil},
		{who(t, "user:role:reader"), nil},
		{who(t, "group:role:reader"), nil},
		{LocalUser(), nil},
		{Principal{}, nil},
	}
	for _, tt := range tests {
		got := visible(p.ProfileOf(tt.who, s))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.who, diff)
		}
	}
	d := p.ProfileOf(who(t, "group:eng"), s).Decide(Call, find(t, s, "github/delete_repo"))
	want := Decision{Rule: "deny[0]", Place: Place{"weir.yaml", 7}, Reason: "ask for a deletion instead", Instead: "github/create_issue"}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	d = p.ProfileOf(who(t, "group:eng"), s).Decide(Call, find(t, s, "github/create_issue"))
	if diff := cmp.Diff(Decision{Allowed: true, Rule: "roles.dev[1]", Place: Place{"weir.yaml", 12}}, d); diff != "" {
		t.Error(diff)
	}
}

func TestActions(t *testing.T) {
	p := compiled(t, Spec{
		Grants: map[string][]string{
			"group:a": {"call github/*"},
			"group:b": {"get,complete github/*"},
			"group:c": {"complete github/*"},
			"group:d": {"read files/*"},
			"group:e": {"files/*"},
			"group:f": {"github/*"},
		},
		Deny: []Deny{
			{Match: "files/*", Actions: []string{"subscribe"}, For: []string{"group:e"}},
			{Match: "github/review", Actions: []string{"list"}, For: []string{"group:f"}},
		},
	}, Options{})
	s := shop()
	review, issue, doc := find(t, s, "github/review"), find(t, s, "github/get_issue"), find(t, s, "files/file:///docs/a.md")
	tests := []struct {
		group  string
		action Action
		entry  *catalog.Entry
		want   bool
	}{
		{"a", Call, issue, true},
		{"a", List, issue, true},
		{"a", Get, review, false},
		{"a", List, review, false},
		{"b", Call, issue, false},
		{"b", List, issue, false},
		{"b", Get, review, true},
		{"b", List, review, true},
		{"b", Complete, review, true},
		{"c", Complete, review, false},
		{"c", List, review, false},
		{"d", Read, doc, true},
		{"d", Subscribe, doc, false},
		{"d", List, doc, true},
		{"e", Read, doc, true},
		{"e", Subscribe, doc, false},
		{"f", Get, review, false},
		{"f", List, review, false},
		{"f", Complete, review, false},
		{"f", Call, issue, true},
	}
	for _, tt := range tests {
		f := p.ProfileOf(who(t, "group:"+tt.group), s)
		if got := f.Decide(tt.action, tt.entry); got.Allowed != tt.want {
			t.Errorf("group %s %s %s: %+v", tt.group, tt.action, tt.entry.Ref, got)
		}
		if got := f.DecideWith(tt.action, tt.entry, &Request{}); got.Allowed != tt.want {
			t.Errorf("group %s %s %s with a request: %+v", tt.group, tt.action, tt.entry.Ref, got)
		}
	}
}

func TestTenants(t *testing.T) {
	p := compiled(t, Spec{
		Roles:  map[string][]string{"reader": {"*/get_*"}},
		Grants: map[string][]string{"group:eng": {"reader"}},
		Tenants: map[string]Tenant{
			"finance": {
				Roles:  map[string][]string{"teller": {"bank/*"}},
				Grants: map[string][]string{"group:eng": {"teller"}, "role:reader": {"github/list_*"}},
				Deny:   []Deny{{Match: "files/*"}},
			},
		},
	}, Options{})
	s := shop()
	for in, want := range map[string][]string{
		"":           {"bank/get_balance", "files/get_file", "github/get_issue"},
		"in finance": {"bank/get_balance", "bank/transfer", "github/get_issue", "github/list_issues"},
		"in other":   {"bank/get_balance", "files/get_file", "github/get_issue"},
		"in *":       {"bank/get_balance", "files/get_file", "github/get_issue"},
	} {
		names := []string{"group:eng"}
		if in != "" {
			names = append(names, in)
		}
		if diff := cmp.Diff(want, visible(p.ProfileOf(who(t, names...), s))); diff != "" {
			t.Errorf("%q: -want +got\n%s", in, diff)
		}
	}
	if p.Differed() != 0 {
		t.Errorf("Casbin differed %d times", p.Differed())
	}
}

// bank has one condition of each sort.
func bank() Spec {
	return Spec{
		Conditions: map[string]string{
			"small":   `args.amount < 1000 && args.currency == "EUR"`,
			"office":  `request.time.getHours("UTC") >= 9 && request.time.getHours("UTC") < 17`,
			"inside":  `request.address.within("10.0.0.0/8")`,
			"mine":    `args.owner == user.subject`,
			"reads":   `tool.readOnly`,
			"cleared": `user.attributes.clearance == "high"`,
		},
		Annotations: Annotations{Trusted: []string{"github/*"}, ReadOnly: []string{"bank/get_*"}},
		Grants: map[string][]string{
			"group:fin":   {"bank/transfer when small"},
			"group:day":   {"bank/* when office"},
			"group:net":   {"bank/* when inside"},
			"group:own":   {"bank/transfer when mine"},
			"group:read":  {"* when reads"},
			"group:clear": {"bank/* when cleared"},
			"group:big":   {"bank/transfer when !small"},
			"group:all":   {"bank/*"},
		},
		Deny: []Deny{{Match: "bank/transfer", For: []string{"group:all"}, When: "!small", Reason: "large transfers go through the desk"}},
	}
}

func TestConditions(t *testing.T) {
	p := compiled(t, bank(), Options{})
	s := shop()
	transfer := find(t, s, "bank/transfer")
	at := func(hour int) time.Time { return time.Date(2026, 7, 28, hour, 0, 0, 0, time.UTC) }
	tests := []struct {
		who    Principal
		r      Request
		want   bool
		reason string
	}{
		{who(t, "group:fin"), Request{Arguments: []byte(`{"amount":5,"currency":"EUR"}`)}, true, ""},
		{who(t, "group:fin"), Request{Arguments: []byte(`{"amount":999.99,"currency":"EUR"}`)}, true, ""},
		{who(t, "group:fin"), Request{Arguments: []byte(`{"amount":5000,"currency":"EUR"}`)}, false, "allowed only when small"},
		{who(t, "group:fin"), Request{Arguments: []byte(`{"amount":1e400,"currency":"EUR"}`)}, false, "allowed only when small: the arguments cannot be read in one way only"},
		{who(t, "group:fin"), Request{Arguments: []byte(`{"currency":"EUR"}`)}, false, "allowed only when small: there is no amount"},
		{who(t, "group:fin"), Request{}, false, "allowed only when small: there is no amount"},
		{who(t, "group:fin"), Request{Arguments: []byte(`{"amount":"5","currency":"EUR"}`)}, false, "allowed only when small: a value has another type than it expects"},
		{who(t, "group:fin"), Request{Arguments: []byte(`{"amount":5,"amount":5000,"currency":"EUR"}`)}, false, "allowed only when small: the arguments cannot be read in one way only"},
		{who(t, "group:fin"), Request{Arguments: []byte(`{"amount":5,"Amount":5000,"currency":"EUR"}`)}, false, "allowed only when small: the arguments cannot be read in one way only"},
		{who(t, "group:fin"), Request{Arguments: []byte(`{"amount":5,"\u0061mount":5000,"currency":"EUR"}`)}, false, "allowed only when small: the arguments cannot be read in one way only"},
		{who(t, "group:fin"), Request{Arguments: []byte(`[1]`)}, false, "allowed only when small: the arguments cannot be read in one way only"},
		{who(t, "group:big"), Request{Arguments: []byte(`{"amount":5000,"currency":"EUR"}`)}, true, ""},
		{who(t, "group:big"), Request{Arguments: []byte(`{"amount":5,"currency":"EUR"}`)}, false, "not allowed when small"},
		{who(t, "group:big"), Request{}, false, "not allowed when small: there is no amount"},
		{who(t, "group:day"), Request{Time: at(10)}, true, ""},
		{who(t, "group:day"), Request{Time: at(20)}, false, "allowed only when office"},
		{who(t, "group:net"), Request{Address: netip.MustParseAddr("10.1.2.3")}, true, ""},
		{who(t, "group:net"), Request{Address: netip.MustParseAddr("::ffff:10.1.2.3")}, true, ""},
		{who(t, "group:net"), Request{Address: netip.MustParseAddr("11.1.2.3")}, false, "allowed only when inside"},
		{who(t, "group:net"), Request{}, false, "allowed only when inside: it cannot be checked on this call"},
		{who(t, "user:https://idp|ana", "group:own"), Request{Arguments: []byte(`{"owner":"ana"}`)}, true, ""},
		{who(t, "user:https://idp|ana", "group:own"), Request{Arguments: []byte(`{"owner":"bob"}`)}, false, "allowed only when mine"},
		{who(t, "group:read"), Request{}, false, "allowed only when reads"},
		{who(t, "group:clear", `{"clearance":"high"}`), Request{}, true, ""},
		{who(t, "group:clear", `{"clearance":"low"}`), Request{}, false, "allowed only when cleared"},
		{who(t, "group:clear"), Request{}, false, "allowed only when cleared: it cannot be checked on this call"},
		{who(t, "group:all"), Request{Arguments: []byte(`{"amount":5,"currency":"EUR"}`)}, true, ""},
		{who(t, "group:all"), Request{Arguments: []byte(`{"amount":5000,"currency":"EUR"}`)}, false, "large transfers go through the desk"},
		{who(t, "group:all"), Request{Arguments: []byte(`{}`)}, false, "large transfers go through the desk"},
	}
	for i, tt := range tests {
		f := p.ProfileOf(tt.who, s)
		tt.r.Principal = tt.who
		d := f.DecideWith(Call, transfer, &tt.r)
		if d.Allowed != tt.want || d.Reason != tt.reason {
			t.Errorf("%d: %s %s: %v %q, want %v %q", i, tt.who, tt.r.Arguments, d.Allowed, d.Reason, tt.want, tt.reason)
		}
	}
	if diff := cmp.Diff([]string{"bank/get_balance", "files/file:///docs/a.md", "files/file:///secret/key", "files/file:///{+path}", "github/get_issue", "github/review"}, slices.Sorted(slices.Values(visible(p.ProfileOf(who(t, "group:read"), s))))); diff != "" {
		t.Error(diff)
	}
	for _, group := range []string{"fin", "day", "net", "own", "big", "all"} {
		f := p.ProfileOf(who(t, "group:"+group), s)
		if !f.View.Visible(transfer) || !f.Decide(List, transfer).Allowed {
			t.Errorf("%s does not see the tool that it may sometimes use", group)
		}
		if d := f.Decide(Call, transfer); d.Allowed || !d.Conditional {
			t.Errorf("%s: without a request: %+v", group, d)
		}
	}
	if p.Differed() != 0 {
		t.Errorf("Casbin differed %d times", p.Differed())
	}
}

func TestConditionErrors(t *testing.T) {
	for source, want := range map[string]string{
		`args.amount <`:                           "Syntax error",
		`tool.readonly`:                           "undeclared reference",
		`arg.amount < 1`:                          "undeclared reference",
		`"text"`:                                  "a condition is true or false",
		`request.address.within("10.0.0/8")`:      "not a network",
		`tool.name < 3`:                           "no matching overload",
		`user.attributes.within("10.0.0.0/8")`:    "no matching overload",
		strings.Repeat("true || ", 4000) + "true": "more than 16384",
	} {
		_, err := Compile(Spec{Conditions: map[string]string{"c": source}, Grants: map[string][]string{"group:a": {"x/* when c"}}}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "policy.conditions.c") {
			t.Errorf("%.60s: %v, want %q", source, err, want)
		}
	}
}

func TestConditionCost(t *testing.T) {
	p := compiled(t, Spec{
		Conditions: map[string]string{"cubic": `args.l.all(a, args.l.all(b, args.l.all(c, a + b + c > 0)))`},
		Grants:     map[string][]string{"group:a": {"bank/* when cubic"}},
	}, Options{})
	s := shop()
	numbers := make([]int, 2000)
	for i := range numbers {
		numbers[i] = i + 1
	}
	list, err := json.Marshal(numbers)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	d := p.ProfileOf(who(t, "group:a"), s).DecideWith(Call, find(t, s, "bank/transfer"), &Request{Arguments: fmt.Appendf(nil, `{"l":%s}`, list)})
	if d.Allowed || !strings.Contains(d.Reason, "takes too long") {
		t.Errorf("%+v", d)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestResourcesByPath(t *testing.T) {
	p := compiled(t, Spec{
		Grants: map[string][]string{"group:all": {"files/*"}, "group:docs": {"files/file:///docs/**"}, "group:free": {"files/*"}},
		Deny:   []Deny{{Match: "files/file:///secret/**", For: []string{"group:all"}, Reason: "secret"}},
	}, Options{})
	s := shop()
	read := func(who Principal, uri string) string {
		f := p.ProfileOf(who, s)
		e, target, err := s.ResolveURI(uri, f.Knows)
		if err != nil {
			return "unknown"
		}
		d := f.DecideWith(Read, e, &Request{Principal: who, Target: target})
		if d.Allowed {
			return "ok"
		}
		return d.Rule
	}
	tests := []struct{ group, uri, want string }{
		{"all", "file:///docs/a.md", "ok"},
		{"all", "file:///docs/other.md", "ok"},
		{"all", "file:///secret/key", "deny[0]"},
		{"all", "file:///secret/other", "deny[0]"},
		{"all", "file:///docs/../secret/other", "normal form"},
		{"all", "file:///docs/%2e%2e/secret/other", "normal form"},
		{"all", "file:////secret/other", "normal form"},
		{"all", "file:///s%65cret/other", "normal form"},
		{"docs", "file:///docs/a.md", "ok"},
		{"docs", "file:///docs/other.md", "unknown"}, // the template is not granted, and hides what it would expand to
		{"docs", "file:///secret/key", "unknown"},
		{"docs", "file:///docs/../secret/key", "unknown"},
		{"free", "file:///docs/../secret/other", "ok"}, // every file is granted: there is nothing to evade
	}
	for _, tt := range tests {
		if got := read(who(t, "group:"+tt.group), tt.uri); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.group, tt.uri, got, tt.want)
		}
	}
	template := find(t, s, "files/file:///{+path}")
	if d := p.ProfileOf(who(t, "group:all"), s).Decide(Read, template); d.Allowed || !d.Conditional {
		t.Errorf("a template with a denied part was decided without its target: %+v", d)
	}
	if d := p.ProfileOf(who(t, "group:free"), s).Decide(Read, template); !d.Allowed {
		t.Errorf("%+v", d)
	}
}

func TestUnlistedResources(t *testing.T) {
	s := catalog.Build([]*catalog.Source{{Upstream: "files", Capabilities: []byte(`{"resources":{}}`)}}, catalog.Options{Naming: catalog.Prefix})
	p := compiled(t, Spec{Grants: map[string][]string{"group:docs": {"files/file:///docs/**"}}}, Options{})
	f := p.ProfileOf(who(t, "group:docs"), s)
	for uri, want := range map[string]bool{
		"file:///docs/a": true, "file:///docs/../etc/passwd": false, "file:///etc/passwd": false, "file:///docs/%2e%2e/x": false, "file:///docs/b/c": true,
	} {
		e, _, err := s.ResolveURI(uri, f.Knows)
		if (err == nil) != want {
			t.Errorf("%s: %v", uri, err)
		}
		if err == nil && !f.DecideWith(Read, e, &Request{}).Allowed {
			t.Errorf("%s: resolved and refused", uri)
		}
	}
}

// TestTemplateIsWhatIsGranted: a grant of some URIs does not open a template that is granted under a condition.
func TestTemplateIsWhatIsGranted(t *testing.T) {
	p := compiled(t, Spec{
		Conditions: map[string]string{"day": `request.time.getHours("UTC") < 12`},
		Grants:     map[string][]string{"group:a": {"files/file:///{+path} when day", "files/file:///docs/**"}},
	}, Options{})
	s := shop()
	caller := who(t, "group:a")
	f := p.ProfileOf(caller, s)
	for hour, want := range map[int]bool{9: true, 15: false} {
		e, target, err := s.ResolveURI("file:///docs/unlisted.md", f.Knows)
		if err != nil {
			t.Fatal(err)
		}
		d := f.DecideWith(Read, e, &Request{Principal: caller, Target: target, Time: time.Date(2026, 7, 28, hour, 0, 0, 0, time.UTC)})
		if d.Allowed != want {
			t.Errorf("at %d: %+v", hour, d)
		}
	}
}

func TestHints(t *testing.T) {
	s := catalog.Build([]*catalog.Source{{
		Upstream: "up", Capabilities: []byte(`{"tools":{}}`), Tools: [][]byte{
			[]byte(`{"name":"says_nothing","inputSchema":{"type":"object"}}`),
			[]byte(`{"name":"says_reads","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true,"destructiveHint":true}}`),
			[]byte(`{"name":"says_adds","inputSchema":{"type":"object"},"annotations":{"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}}`),
			[]byte(`{"name":"says_text","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":"true","destructiveHint":0}}`),
		},
	}}, catalog.Options{Naming: catalog.Prefix})
	worst := hints{destructive: true, openWorld: true}
	tests := []struct {
		name string
		a    Annotations
		want hints
	}{
		{"says_nothing", Annotations{}, worst},
		{"says_reads", Annotations{}, worst},
		{"says_adds", Annotations{}, worst},
		{"says_nothing", Annotations{Trusted: []string{"up/*"}}, worst},
		{"says_text", Annotations{Trusted: []string{"up/*"}}, worst},
		{"says_reads", Annotations{Trusted: []string{"up/*"}}, hints{readOnly: true, idempotent: true, openWorld: true}},
		{"says_adds", Annotations{Trusted: []string{"up/*"}}, hints{idempotent: true}},
		{"says_reads", Annotations{Trusted: []string{"up/*"}, Destructive: []string{"up/*"}}, worst},
		{"says_nothing", Annotations{ReadOnly: []string{"*/says_*"}}, hints{readOnly: true, idempotent: true, openWorld: true}},
		{"says_nothing", Annotations{ReadOnly: []string{"*/says_*"}, Destructive: []string{"up/says_nothing"}}, worst},
		{"says_nothing", Annotations{Additive: []string{"up/*"}, ClosedWorld: []string{"up/*"}, Idempotent: []string{"up/*"}}, hints{idempotent: true}},
	}
	for _, tt := range tests {
		c := &compiler{spec: &Spec{}}
		ap := c.readAnnotations(tt.a)
		if got := ap.of(find(t, s, "up/"+tt.name)); got != tt.want || len(c.problems) > 0 {
			t.Errorf("%s %+v: %+v, want %+v", tt.name, tt.a, got, tt.want)
		}
		if p := (&Policy{approved: ap}); p.ReadOnly(find(t, s, "up/"+tt.name)) != tt.want.readOnly {
			t.Errorf("%s %+v: read-only is not %v", tt.name, tt.a, tt.want.readOnly)
		}
	}
}
