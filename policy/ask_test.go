package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
)

func TestPolicyTests(t *testing.T) {
	spec := bank()
	spec.Tests = []Test{
		{As: "group:fin", Call: "bank/transfer", Args: `{"amount":5,"currency":"EUR"}`, Want: "allow", Rule: "grants.group:fin[0]"},
		{As: "user:x", With: []string{"group:day"}, Call: "bank/transfer", At: "2026-07-28T10:00:00Z", Want: "allow"},
		{As: "group:day", Call: "bank/transfer", At: "2026-07-28T20:00:00Z", Want: "deny"},
		{As: "group:net", Call: "bank/transfer", From: "10.0.0.1", Want: "allow"},
		{As: "group:clear", Attributes: `{"clearance":"high"}`, Call: "bank/transfer", Want: "allow"},
		{As: "group:all", Call: "bank/transfer", Args: `{"amount":5000,"currency":"EUR"}`, Want: "deny", Rule: "deny[0]"},
		{As: "group:read", List: "bank/get_balance", Want: "allow"},
	}
	p := compiled(t, spec, Options{})
	r := p.Test(shop(), nil)
	if r.Failed() != 0 || len(r.Results) != 7 || r.Rules != 9 {
		t.Errorf("%+v", r)
	}
	var unhit []string
	for _, rule := range r.Unhit {
		unhit = append(unhit, rule.ID)
	}
	if diff := cmp.Diff([]string{"grants.group:all[0]", "grants.group:big[0]", "grants.group:own[0]"}, unhit); diff != "" {
		t.Error(diff)
	}
	faults := []struct {
		test Test
		want string
	}{
		{Test{As: "group:fin", Call: "bank/transfer", Want: "allow"}, "policy.tests[0]: group:fin call bank/transfer: want allow, got deny by grants.group:fin[0]: no such key: amount"},
		{Test{As: "group:all", Call: "bank/get_balance", Want: "deny"}, "want deny, got allow by grants.group:all[0]"},
		{Test{As: "group:all", Call: "bank/transfer", Want: "deny", Rule: "deny[7]"}, "want it decided by deny[7], got deny by deny[0]"},
		{Test{As: "group:all", Call: "bank/transfer", Want: "maybe"}, `want is "maybe"`},
		{Test{As: "group:all", Want: "deny"}, "one of list, call, get, read, complete and subscribe"},
		{Test{As: "group:all", Call: "bank/transfer", Get: "github/review", Want: "deny"}, "one of list, call"},
		{Test{As: "all", Call: "bank/transfer", Want: "deny"}, "has no type"},
		{Test{Call: "bank/transfer", Want: "deny"}, "has no type"},
		{Test{As: "group:all", Call: "transfer", Want: "deny"}, "write upstream/name"},
		{Test{As: "group:all", Call: "bank/transfer", At: "noon", Want: "deny"}, "is not a time"},
		{Test{As: "group:all", Call: "bank/transfer", From: "here", Want: "deny"}, "is not an address"},
		{Test{As: "group:all", Call: "bank/transfer", Attributes: "[", Want: "deny"}, "attributes"},
	}
	for _, tt := range faults {
		spec.Tests = []Test{tt.test}
		_, err := Compile(spec, Options{})
		refused(t, err, tt.want)
		untested := compiled(t, spec, Options{Untested: true})
		if untested.Test(nil, nil).Failed() != 1 {
			t.Errorf("%+v passed", tt.test)
		}
	}
}

//nolint:dupword // a reason ends with the label of the next line
func TestExplain(t *testing.T) {
	p := compiled(t, team(), Options{})
	s := shop()
	explain := func(names []string, ref string) string {
		caller := who(t, names...)
		return p.Explain(s, caller, Call, find(t, s, ref), &Request{Principal: caller}).String()
	}
	got := explain([]string{"user:eve", "group:eng"}, "github/delete_repo")
	want := `user:eve may not call github/delete_repo
  decided by deny[0] (weir.yaml:7)
  reason     ask for a deletion instead
  instead    github/create_issue
  holds      group:eng, role:dev, role:reader, user:eve
  matched    deny[0] (weir.yaml:7): deny everything on github/delete_* for everyone
  matched    roles.dev[1] (weir.yaml:12): allow everything on github/* for role:dev
  nearest    roles.reader[0] (weir.yaml:15): allow everything on */get_* for role:reader
             but its object is */get_*, and here it is github/delete_repo
  nearest    roles.reader[1] (weir.yaml:15): allow everything on */list_* for role:reader
             but its object is */list_*, and here it is github/delete_repo
  nearest    roles.reader[2] (weir.yaml:15): allow everything on */search_* for role:reader
             but its object is */search_*, and here it is github/delete_repo
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = explain([]string{"user:bob"}, "github/create_issue")
	want = `user:bob may not call github/create_issue
  decided by default deny
  holds      user:bob
  nearest    roles.dev[1] (weir.yaml:12): allow everything on github/* for role:dev
             but its subject is role:dev, and here it is user:bob
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = explain([]string{"group:eng"}, "bank/get_balance")
	want = `group:eng may call bank/get_balance
  decided by roles.reader[0] (weir.yaml:15)
  holds      group:eng, role:dev, role:reader
  matched    roles.reader[0] (weir.yaml:15): allow everything on */get_* for role:reader
  nearest    deny[0] (weir.yaml:7): deny everything on github/delete_* for everyone
             but its object is github/delete_*, and here it is bank/get_balance
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	q := compiled(t, bank(), Options{})
	fin := who(t, "group:fin")
	x := q.Explain(s, fin, Call, find(t, s, "bank/transfer"), &Request{Principal: fin, Arguments: []byte(`{"amount":5000,"currency":"EUR"}`)})
	if len(x.Nearest) == 0 || x.Nearest[0].Field != "condition" || x.Nearest[0].Got != "false" || !x.Compared || x.Casbin {
		t.Errorf("%+v", x)
	}
	if x := q.Explain(s, Principal{}, Call, find(t, s, "bank/transfer"), nil); x.Decision.Allowed || x.String() == "" {
		t.Errorf("%+v", x)
	}
	if x := q.Explain(s, fin, Call, find(t, s, "bank/transfer"), nil); !x.Decision.Allowed || !x.Casbin {
		t.Errorf("the most favourable request: %+v", x)
	}
}

func TestDiff(t *testing.T) {
	was := compiled(t, team(), Options{})
	next := team()
	next.Deny = nil
	next.Tests = nil
	next.Grants["group:eng"] = []string{"dev", "bank/transfer when small"}
	next.Grants["user:ana@example.com"] = []string{"github/get_*"}
	next.Conditions = map[string]string{"small": "args.amount < 3"}
	is := compiled(t, next, Options{})
	var lines []string
	var callers []Principal
	for _, subject := range was.Subjects() {
		callers = append(callers, who(t, subject))
	}
	for _, c := range Diff(was, is, shop(), callers) {
		lines = append(lines, fmt.Sprintf("%s %s %s: %s by %s, now %s by %s", c.Who, c.Action, c.Ref, c.Was, c.WasBy.Rule, c.Is, c.IsBy.Rule))
	}
	slices.Sort(lines)
	want := []string{
		"group:eng call bank/transfer: deny by default deny, now depends by grants.group:eng[1]",
		"group:eng call github/delete_repo: deny by deny[0], now allow by roles.dev[1]",
		"user:ana@example.com call bank/get_balance: allow by roles.reader[0], now deny by default deny",
		"user:ana@example.com call files/get_file: allow by roles.reader[0], now deny by default deny",
		"user:ana@example.com call github/list_issues: allow by roles.reader[1], now deny by default deny",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	s, eng := shop(), who(t, "group:eng")
	changes := Replay(was, is, s, []Recorded{
		{Call, find(t, s, "bank/transfer"), Request{Principal: eng, Arguments: []byte(`{"amount":1}`)}},
		{Call, find(t, s, "bank/transfer"), Request{Principal: eng, Arguments: []byte(`{"amount":9}`)}},
		{Call, find(t, s, "github/get_issue"), Request{Principal: eng}},
	})
	if len(changes) != 1 || changes[0].Is != Allowed || changes[0].Was != Denied {
		t.Errorf("%+v", changes)
	}
}

func TestLint(t *testing.T) {
	p := compiled(t, Spec{
		Roles: map[string][]string{"idle": {"x/*"}},
		Grants: map[string][]string{
			"group:a": {"github/*", "github/*", "nothing/*", "bank/get_balance"}, "*": {"*"}, "group:b": {"read github/get_issue"},
		},
		Deny:       []Deny{{Match: "bank/*"}},
		Conditions: map[string]string{"unused": "true"},
	}, Options{})
	var got []string
	for _, w := range append(slices.Clone(p.Warnings()), p.Lint(shop())...) {
		got = append(got, w.String())
	}
	want := []string{
		`policy.roles.idle: nobody is granted the role "idle"; only a token with this role has it`,
		`policy.conditions.unused: no rule asks for "unused"`,
		"policy.grants.*[0]: everyone who signs in may do everything",
		"policy.grants.group:a[1]: says the same as grants.group:a[0]",
		"policy.grants.group:a[3]: never applies: deny[0] denies the same to everyone",
		"policy.roles.idle[0]: x/* matches nothing that there is now",
		"policy.grants.*[0]: * allows 1 tools that are said to destroy",
		"policy.grants.group:a[0]: github/* allows 1 tools that are said to destroy",
		"policy.grants.group:a[1]: github/* allows 1 tools that are said to destroy",
		"policy.grants.group:a[2]: nothing/* matches nothing that there is now",
		"policy.grants.group:a[3]: allows nothing: whatever it matches is denied to everyone, or it is for other actions",
		"policy.grants.group:b[0]: allows nothing: whatever it matches is denied to everyone, or it is for other actions",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSpecErrors(t *testing.T) {
	grant := func(entries ...string) Spec {
		return Spec{Roles: map[string][]string{"r": {"x/*"}}, Grants: map[string][]string{"user:a": entries}}
	}
	tests := []struct {
		spec Spec
		want string
	}{
		{grant("reeder"), `policy.grants.user:a[0]: unknown role "reeder"; roles are preset:no-destructive, preset:owner-only, preset:read-only, r`},
		{grant(), "nothing is granted"},
		{grant(""), "empty; write a role or a pattern"},
		{grant("call list x/*"), "write [ACTIONS] PATTERN"},
		{grant("cal x/*"), `unknown action "cal"`},
		{grant("list x/*"), "list alone allows nothing"},
		{grant("x/* when later"), `unknown condition "later"; conditions are (none)`},
		{grant("github__x"), `write "github/x"`},
		{grant("preset:odd"), `unknown role "preset:odd"`},
		{Spec{Grants: map[string][]string{"ana": {"x/*"}}}, `"ana" has no type; write user:ana`},
		{Spec{Grants: map[string][]string{"users:ana": {"x/*"}}}, "has no type"},
		{Spec{Grants: map[string][]string{"user:": {"x/*"}}}, "the name is empty"},
		{Spec{Roles: map[string][]string{"a/b": {"x/*"}}}, "cannot name a role"},
		{Spec{Roles: map[string][]string{"preset:x": {"x/*"}}}, "weir's own"},
		{Spec{Roles: map[string][]string{"a": {}}}, "the role is empty"},
		{Spec{Deny: []Deny{{}}}, "policy.deny[0]: match is missing"},
		{Spec{Deny: []Deny{{Match: "x"}}}, "policy.deny[0].match: pattern"},
		{Spec{Deny: []Deny{{Match: "x/*", Actions: []string{"calls"}}}}, "policy.deny[0].actions"},
		{Spec{Deny: []Deny{{Match: "x/*", For: []string{"eng"}}}}, "policy.deny[0].for[0]"},
		{Spec{Deny: []Deny{{Match: "x/*", Reason: "two\nlines"}}}, "one line of plain text"},
		{Spec{Deny: []Deny{{Match: "x/*", When: "x"}}}, "unknown condition"},
		{Spec{Tenants: map[string]Tenant{"*": {}}}, "cannot name a tenant"},
		{Spec{Roles: map[string][]string{"r": {"x/*"}}, Tenants: map[string]Tenant{"t": {Roles: map[string][]string{"r": {"x/*"}}}}}, "is known everywhere"},
		{Spec{Tenants: map[string]Tenant{"t": {Grants: map[string][]string{"user:a": {"nope"}}}}}, "policy.tenants.t.grants.user:a[0]: unknown role"},
		{Spec{Conditions: map[string]string{"a b": "true"}}, "cannot name a condition"},
		{Spec{Annotations: Annotations{ReadOnly: []string{"x"}}, Grants: map[string][]string{"user:a": {"x/*"}}}, "policy.annotations.readOnly[0]"},
	}
	for _, tt := range tests {
		_, err := Compile(tt.spec, Options{})
		refused(t, err, tt.want)
	}
	_, err := Compile(Spec{
		Grants: map[string][]string{"ana": {"x/*"}, "user:b": {"nope"}}, Deny: []Deny{{Match: "x"}},
		Place: func(path string) Place { return Place{"weir.yaml", len(path)} },
	}, Options{})
	var ps Problems
	if !errors.As(err, &ps) || len(ps) != 3 || ps[0].Place.Line != len("grants.ana") || !strings.HasPrefix(ps[0].String(), "weir.yaml:10: policy.grants.ana: ") {
		t.Errorf("not all at once: %v", err)
	}
}

func TestPresets(t *testing.T) {
	annotations := Annotations{Trusted: []string{"github/*"}, ReadOnly: []string{"*/get_*"}, Additive: []string{"bank/transfer"}, Destructive: []string{"files/get_file"}}
	// What each preset makes of each entry: yes, no, or asks for the request.
	tables := map[string]map[string]Access{
		"preset:read-only": {
			"github/get_issue": Allowed, "github/list_issues": Denied, "github/create_issue": Denied, "github/delete_repo": Denied,
			"bank/get_balance": Allowed, "bank/transfer": Denied, "files/get_file": Denied,
			"github/review": Allowed, "files/file:///docs/a.md": Allowed, "files/file:///secret/key": Allowed, "files/file:///{+path}": Allowed,
		},
		"preset:no-destructive": {
			"github/get_issue": Allowed, "github/list_issues": Denied, "github/create_issue": Allowed, "github/delete_repo": Denied,
			"bank/get_balance": Allowed, "bank/transfer": Allowed, "files/get_file": Denied,
			"github/review": Allowed, "files/file:///docs/a.md": Allowed, "files/file:///secret/key": Allowed, "files/file:///{+path}": Allowed,
		},
		"preset:owner-only": {
			"github/get_issue": Depends, "github/list_issues": Depends, "github/create_issue": Depends, "github/delete_repo": Depends,
			"bank/get_balance": Depends, "bank/transfer": Depends, "files/get_file": Depends,
			"github/review": Depends, "files/file:///docs/a.md": Depends, "files/file:///secret/key": Depends, "files/file:///{+path}": Depends,
		},
	}
	if diff := cmp.Diff([]string{"preset:read-only", "preset:no-destructive", "preset:owner-only"}, Presets()); diff != "" {
		t.Error(diff)
	}
	s := shop()
	for preset, table := range tables {
		p := compiled(t, Spec{Annotations: annotations, Grants: map[string][]string{"group:a": {preset}}}, Options{})
		f := p.ProfileOf(who(t, "user:https://idp|ana", "group:a"), s)
		got := make(map[string]Access)
		for _, e := range s.Entries() {
			got[e.Ref.String()] = f.access(useOf(e.Kind), e)
		}
		if diff := cmp.Diff(table, got); diff != "" {
			t.Errorf("%s: %s", preset, diff)
		}
	}
	p := compiled(t, Spec{Grants: map[string][]string{"group:a": {"preset:owner-only"}, "group:b": {"preset:no-destructive", "bank/*"}}}, Options{})
	owner := []struct {
		caller Principal
		args   string
		want   bool
	}{
		{who(t, "user:https://idp|ana", "group:a"), `{"owner":"ana"}`, true},
		{who(t, "user:https://idp|ana", "group:a"), `{"owner":"bob"}`, false},
		{who(t, "user:https://idp|ana", "group:a"), `{}`, false},
		{who(t, "client:c", "group:a"), `{"owner":""}`, false},
	}
	for _, tt := range owner {
		d := p.ProfileOf(tt.caller, s).DecideWith(Call, find(t, s, "bank/transfer"), &Request{Principal: tt.caller, Arguments: []byte(tt.args)})
		if d.Allowed != tt.want {
			t.Errorf("%s %s: %+v", tt.caller, tt.args, d)
		}
	}
	if d := p.ProfileOf(who(t, "group:b"), s).Decide(Call, find(t, s, "bank/transfer")); d.Allowed || d.Reason == "" {
		t.Errorf("another grant opens what no-destructive denies: %+v", d)
	}
}

// kongExample is the example of Kong's documentation, with a tool of its own lists.
const kongExample = `
_format_version: "3.0"
consumer_groups: [{name: admin}, {name: developer}, {name: suspended}]
consumers:
  - {username: alice, groups: [{name: admin}]}
  - {username: bob, groups: [{name: developer}]}
  - {username: carol, groups: [{name: suspended}]}
  - {username: eason}
services:
  - name: mcp
    routes:
      - name: r
        plugins:
          - name: ai-mcp-proxy
            config:
              mode: passthrough-listener
              include_consumer_groups: true
              default_acl: [{scope: tools, allow: [developer, admin], deny: [suspended]}]
              tools:
                - {name: list_users}
                - {name: get_user, acl: {allow: [admin, eason]}}
                - {name: list_orders, acl: {deny: [developer]}}
                - {name: delete_order, acl: {allow: [admin], deny: [alice]}}
`

func TestS15_KongImport(t *testing.T) {
	spec, notes, err := ImportKong([]byte(kongExample), "market")
	if err != nil {
		t.Fatal(err)
	}
	wantNotes := []string{
		"market/list_orders: nobody is listed in allow, so everyone who is not denied may call it, whatever default_acl says",
		"a tool's own lists replace default_acl, they do not add to it: whom default_acl denies may call get_user, list_orders, delete_order unless denied there as well",
	}
	if diff := cmp.Diff(wantNotes, notes); diff != "" {
		t.Error(diff)
	}
	text, err := spec.YAML()
	if err != nil || !strings.HasPrefix(string(text), "policy:\n") || strings.Contains(string(text), "null") || strings.Contains(string(text), "tests") {
		t.Errorf("%v\n%s", err, text)
	}
	p := compiled(t, spec, Options{})
	callers := map[string]Principal{
		"alice": who(t, "user:alice", "group:admin"), "bob": who(t, "user:bob", "group:developer"), "carol": who(t, "user:carol", "group:suspended"),
		"eason": who(t, "user:eason"), "both": who(t, "user:x", "group:developer", "group:suspended"),
	}
	// As Kong decides: own lists replace the default ones, an empty allow is everyone, deny wins.
	table := map[string]string{
		"list_users":   "alice bob",
		"other":        "alice bob",
		"get_user":     "alice eason",
		"list_orders":  "alice carol eason",
		"delete_order": "",
	}
	for tool, want := range table {
		e, err := Find(nil, Call, "market/"+tool)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for name, caller := range callers {
			if p.ProfileOf(caller, nil).Decide(Call, e).Allowed {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", tool, got, want)
		}
	}
}

func TestKongImportErrors(t *testing.T) {
	plugin := func(config string) string { return "plugins: [{name: ai-mcp-proxy, config: " + config + "}]" }
	for text, want := range map[string]string{
		"plugins: []":                            "no plugin ai-mcp-proxy",
		"a: [":                                   "kong: ",
		plugin("{tools: [{acl: {allow: [x]}}]}"): "give it a name",
		plugin("{tools: [{name: a, acl: {}}, {name: a, acl: {}}]}"): "two tools are named",
		plugin("{default_acl: [{scope: tools}, {}]}"):               "more than one default_acl",
		"plugins: [{name: ai-mcp-proxy}, {name: ai-mcp-proxy}]":     "import them one by one",
		plugin(`{tools: [{name: "a*", acl: {allow: [x]}}]}`):        "give it a name",
	} {
		if _, _, err := ImportKong([]byte(text), "up"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if _, _, err := ImportKong([]byte(kongExample), "a*"); err == nil {
		t.Error("a pattern is an upstream")
	}
	// No lists at all: Kong lets everyone in, and the note says so.
	spec, notes, err := ImportKong([]byte(plugin("{tools: [{name: a}]}")), "up")
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "Kong lets everyone call") {
		t.Errorf("%v %v", notes, err)
	}
	if diff := cmp.Diff(map[string][]string{"*": {"up/*"}}, spec.Grants); diff != "" {
		t.Error(diff)
	}
}

func FuzzImportKong(f *testing.F) {
	f.Add([]byte(kongExample))
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, _, err := ImportKong(data, "up")
		if err != nil {
			return
		}
		if _, err := Compile(spec, Options{}); err != nil {
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatal(err)
			}
			for _, p := range problems {
				if !strings.Contains(p.Msg, "space") && !strings.Contains(p.Msg, "does not show") && !strings.Contains(p.Msg, "empty") && !strings.Contains(p.Msg, "column") && !strings.Contains(p.Msg, "16384") {
					t.Errorf("imported and not taken: %v", p)
				}
			}
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	f.Add("call,get github/* when !small")
	f.Add("reader")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseEntry(text)
		if err == nil && e.role == "" && (e.actions == 0 || e.pattern.text == "") {
			t.Errorf("%q: %+v", text, e)
		}
		if err == nil && e.role == "" && e.pattern.upstream == "" {
			t.Errorf("%q matches no upstream", text)
		}
	})
}

func TestShadow(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	e.Swap(compiled(t, team(), Options{}))
	next := team()
	next.Deny, next.Tests = nil, nil
	next.Grants["group:eng"] = []string{"github/get_*", "github/delete_*"}
	var differences []string
	e.Watch(compiled(t, next, Options{}), func(d Difference) {
		differences = append(differences, fmt.Sprintf("%s %s %s: %v by %s, watched %v by %s", d.Who, d.Action, d.Entry.Ref, d.Enforced.Allowed, d.Enforced.Rule, d.Watched.Allowed, d.Watched.Rule))
	})
	s, eng := shop(), who(t, "user:x", "group:eng")
	f := e.Profile(eng, s)
	for _, entry := range s.Entries() {
		if entry.Kind == catalog.Tool {
			if d, with := f.Decide(Call, entry), f.DecideWith(Call, entry, &Request{Principal: eng}); d.Allowed != with.Allowed || d.Allowed != f.View.Visible(entry) {
				t.Errorf("%s: the shadow decides", entry.Ref)
			}
		}
	}
	if diff := cmp.Diff(Tally{Decisions: 14, WouldDeny: 8, WouldAllow: 2}, e.Tally()); diff != "" {
		t.Error(diff)
	}
	if len(differences) != 10 || !slices.Contains(differences, "user:x call github/delete_repo: false by deny[0], watched true by grants.group:eng[1]") {
		t.Errorf("%q", differences)
	}
	e.Watch(nil, nil)
	e.Profile(eng, s).Decide(Call, find(t, s, "github/get_issue"))
	if e.Tally() != (Tally{}) {
		t.Errorf("%+v", e.Tally())
	}
}
