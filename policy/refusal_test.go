package policy

import (
	"strings"
	"testing"

	"weir/catalog"
)

// call is what a gateway does with a name: resolve among what the caller may hear of, decide, refuse. "" is allowed.
func call(t *testing.T, p *Policy, caller Principal, s *catalog.Snapshot, name string, args string) string {
	t.Helper()
	f := p.ProfileOf(caller, s)
	e, err := s.Resolve(catalog.Tool, name, f.Knows)
	if err != nil {
		return err.Error()
	}
	d := f.DecideWith(Call, e, &Request{Principal: caller, Arguments: []byte(args)})
	if d.Allowed {
		return ""
	}
	refusal := f.Refusal(Call, e, name, d)
	if refusal.Execution != catalog.NotExecuted {
		t.Errorf("%s: %s", name, refusal.Execution)
	}
	text := refusal.Error()
	if refusal.Hint != "" {
		text += "\n" + refusal.Hint
	}
	return text
}

func TestRefusal(t *testing.T) {
	spec := team()
	spec.Grants["group:lookers"] = []string{"reader"}
	spec.Grants["group:fin"] = []string{"bank/transfer when small"}
	spec.Conditions = map[string]string{"small": "args.amount < 1000"}
	spec.Deny = append(spec.Deny, Deny{Match: "bank/get_balance", For: []string{"group:eng"}})
	spec.Deny = append(spec.Deny, Deny{Match: "bank/get_*", For: []string{"group:eng"}, Reason: "not told, since the rule before does not tell"})
	spec.Deny = append(spec.Deny, Deny{Match: "files/get_file", For: []string{"group:eng"}, Reason: "files have moved", Instead: "look on the wiki"})
	p := compiled(t, spec, Options{})
	s := shop()
	const unknown = `unknown tool "`
	tests := []struct{ who, name, args, want string }{
		{"group:eng", "github__create_issue", "", ""},
		{"group:eng", "github__delete_repo", "", "Denied: github/delete_repo is not allowed for you (rule deny[0]: ask for a deletion instead).\nUse github__create_issue."},
		{"group:eng", "delete_repo", "", "Denied: github/delete_repo is not allowed for you (rule deny[0]: ask for a deletion instead).\nUse github__create_issue."},
		{"group:eng", "files__get_file", "", "Denied: files/get_file is not allowed for you (rule deny[3]: files have moved).\nlook on the wiki"},
		{"group:eng", "bank__get_balance", "", unknown + `bank__get_balance"`},
		{"group:eng", "bank__transfer", "", unknown + `bank__transfer"`},
		{"group:eng", "bank__nothing", "", unknown + `bank__nothing"`},
		// A caller who may not use the tool anyway does not learn from the deny that it is there.
		{"group:lookers", "github__delete_repo", "", unknown + `github__delete_repo"`},
		{"user:stranger", "github__delete_repo", "", unknown + `github__delete_repo"`},
		{"group:fin", "bank__transfer", `{"amount":5}`, ""},
		{"group:fin", "bank__transfer", `{"amount":5000}`, "Denied: bank/transfer is not allowed for you (rule grants.group:fin[0]: allowed only when small)."},
		{"group:fin", "bank__transfer", `{"sum":5000}`, "Denied: bank/transfer is not allowed for you (rule grants.group:fin[0]: allowed only when small: there is no amount)."},
	}
	for _, tt := range tests {
		if got := call(t, p, who(t, tt.who), s, tt.name, tt.args); got != tt.want {
			t.Errorf("%s %s:\n%s\nwant\n%s", tt.who, tt.name, got, tt.want)
		}
	}
}

// TestRefusalDoesNotLeak: for whoever may not know of an entry every answer is the one for a name that nothing has.
func TestRefusalDoesNotLeak(t *testing.T) {
	s := shop()
	p := compiled(t, Spec{
		Grants: map[string][]string{"group:some": {"github/get_issue", "bank/*"}},
		Deny: []Deny{
			{Match: "github/delete_repo", Reason: "operator's words", Instead: "bank/transfer"},
			{Match: "bank/transfer", Instead: "github/create_issue"},
			{Match: "bank/get_balance", Reason: "closed", Instead: "github/create_issue"},
		},
	}, Options{})
	nothing := func(*catalog.Entry) bool { return false }
	for _, caller := range []Principal{{}, who(t, "user:x"), who(t, "group:some")} {
		f := p.ProfileOf(caller, s)
		for _, e := range s.Entries() {
			for _, a := range append(actionsOn(e.Kind), List) {
				d := f.Decide(a, e)
				if d.Allowed || f.Knows(e) {
					continue
				}
				got := f.Refusal(a, e, e.Name, d)
				var want error
				if e.Kind == catalog.Resource || e.Kind == catalog.Template && a != Complete {
					_, _, want = s.ResolveURI(e.Name, nothing)
				} else {
					_, want = s.Resolve(e.Kind, e.Name, nothing)
				}
				if got.Error() != want.Error() || got.Code != catalog.NotFound || got.Hint != "" || got.Err != nil {
					t.Errorf("%s %s %s: %+v, want %v", caller, a, e.Ref, got, want)
				}
			}
		}
	}
	got := call(t, p, who(t, "group:some"), s, "bank__get_balance", "")
	if !strings.Contains(got, "closed") || strings.Contains(got, "create_issue") {
		t.Errorf("the hint names what the caller may not use: %s", got)
	}
	if got := call(t, p, who(t, "group:some"), s, "bank__transfer", ""); strings.Contains(got, "Denied") {
		t.Errorf("a deny without a reason tells: %s", got)
	}
}

// TestRefusalKeepsSecrets: neither arguments nor the expression of a condition nor the caller's claims stand in a refusal.
func TestRefusalKeepsSecrets(t *testing.T) {
	p := compiled(t, Spec{
		Conditions: map[string]string{
			"a": `args.token == "hunter2"`, "b": `user.attributes.salary > args.limit`, "c": `args.list[7].name == "x"`, "d": `int(args.token) > 3`,
		},
		Grants: map[string][]string{"group:a": {"bank/* when a"}, "group:b": {"bank/* when b"}, "group:c": {"bank/* when c"}, "group:d": {"bank/* when d"}},
	}, Options{})
	for _, group := range []string{"a", "b", "c", "d"} {
		for _, args := range []string{`{"token":"s3cret","limit":"s3cret","list":["s3cret"]}`, `{"token":"s3cret","token":"s3cret"}`, `{}`} {
			got := call(t, p, who(t, "group:"+group, `{"salary":"s3cret"}`), shop(), "bank__transfer", args)
			if !strings.HasPrefix(got, "Denied") {
				t.Errorf("%s: %s", group, got)
			}
			for _, secret := range []string{"s3cret", "hunter2", "salary"} {
				if strings.Contains(got, secret) {
					t.Errorf("%s: %s", group, got)
				}
			}
		}
	}
}
