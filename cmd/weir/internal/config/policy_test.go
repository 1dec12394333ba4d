package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/policy"
)

const governed = `mcpServers: { a: { command: x, env: { T: "${NOT_SET}" } } }
policy:
  roles:
    reader:
      - "a/get_*"
      - "a/list_*"
  grants:
    user:ana@example.com: [ reader ]
  deny:
    - match: "a/delete_*"
      when: big
    - { match: "a/drop" }
  tests: [ { as: "group:x",
      call: a/drop, want: deny } ]
naming: bare
`

// TestPolicyPlaces holds that each key of the policy is found in its line, and one that is not there in the line of what it would be in.
func TestPolicyPlaces(t *testing.T) {
	t.Parallel()
	f, err := ReadPolicy(write(t, governed), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	for path, line := range map[string]int{
		"": 2, "roles": 3, "roles.reader": 4, "roles.reader[1]": 6, "grants.user:ana@example.com": 8, "grants.user:ana@example.com[0]": 8,
		"deny[0]": 10, "deny[0].when": 11, "deny[0].actions": 10, "deny[1].match": 12, "tests[0].want": 14, "tests[0]": 13,
		"tenants.none.deny[3]": 2, "deny[9].for[1]": 9,
	} {
		want := policy.Place{File: f.Name, Line: line}
		if got := f.Policy.Place(path); got != want {
			t.Errorf("%q stands in %v, want %v", path, got, want)
		}
	}
}

// TestPolicySection holds that the text of the section ends behind the next key, and so cannot be a beginning of what it was before unless the
// file was cut off in it.
func TestPolicySection(t *testing.T) {
	t.Parallel()
	f, err := ReadPolicy(write(t, governed), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := governed[len("mcpServers: { a: { command: x, env: { T: \"${NOT_SET}\" } } }\n") : len(governed)-len(": bare\n")]
	if diff := cmp.Diff(want, string(f.Section.Text)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestReadPolicyLooksAtNothingElse holds that the policy can be read where the variables of the upstreams are not set, strictly.
func TestReadPolicyLooksAtNothingElse(t *testing.T) {
	t.Parallel()
	path := write(t, governed)
	var ps Problems
	if _, err := Read(path, env(nil)); !errors.As(err, &ps) {
		t.Errorf("Read: %v, want the variable that is not set", err)
	}
	for _, content := range []string{"polcy: {}\n", "policy: { grnts: {} }\n", "policy: {}\n", "policy: [\n"} {
		if _, err := ReadPolicy(write(t, content), env(nil)); !errors.As(err, &ps) {
			t.Errorf("%q: %v, want problems", content, err)
		}
	}
}

func TestPolicyProblemsHaveTheirPlaces(t *testing.T) {
	t.Parallel()
	f, err := ReadPolicy(write(t, governed), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	f.Section.src.name = "weir.yaml"
	got := f.Section.Problems([]policy.Problem{
		{Path: "deny[1].match", Place: policy.Place{File: "weir.yaml", Line: 12}, Msg: "first"},
		{Place: policy.Place{File: "rows.csv", Line: 3}, Msg: "second"},
		{Path: "roles.reader[0]", Msg: "third"},
	}).Error()
	want := `rows.csv:3:1: policy: second
weir.yaml:5:9: policy.roles.reader[0]: third
    5 |       - "a/get_*"
      |         ^^^^^^^^^
weir.yaml:12:16: policy.deny[1].match: first
   12 |     - { match: "a/drop" }
      |                ^^^^^^^^`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// write is a file with that content.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestIssuer holds that the policy read alone knows the one issuer, and asks nothing else of how callers sign in.
func TestIssuer(t *testing.T) {
	t.Parallel()
	const rules = "policy: { grants: { \"*\": [\"a/*\"] } }\n"
	for auth, want := range map[string]string{
		"": "",
		"auth: { oidc: { issuer: https://id.example, introspection: { clientID: x, clientSecret: \"${NOT_SET}\" } } }\n": "https://id.example",
		"auth: { oidc: [ { issuer: https://a.example }, { issuer: https://b.example } ] }\n":                             "",
		"auth: { oidc: { issuer: \"https://${HOST}\" } }\n":                                                              "https://id.example",
	} {
		f, err := ReadPolicy(write(t, auth+rules), env(map[string]string{"HOST": "id.example"}))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Issuer(); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", auth, got, err, want)
		}
	}
}
