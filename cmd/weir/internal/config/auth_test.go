package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/server/authn"
)

// A section is resolved in a copy: the file keeps the text as written.
func TestResolved(t *testing.T) {
	t.Parallel()
	f, err := Parse("/work/weir.yaml", []byte(`
auth:
  oidc:
    issuer: ${ISSUER}
    introspection: { clientID: weir, clientSecret: "${SECRET}" }
    claims: { attributes: { dept: "${CLAIM}" } }
    requiredGroups: ["${GROUP}"]
`), env(map[string]string{
		"ISSUER": "https://login.example.com", "SECRET": "s3cret", "CLAIM": "department", "GROUP": "eng",
	}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Resolved(f.Expander, f.Auth)
	if err != nil {
		t.Fatal(err)
	}
	want := authn.Default()
	want.OIDC = []authn.Issuer{{
		Issuer: "https://login.example.com", Introspection: authn.Introspection{ClientID: "weir", ClientSecret: "s3cret"},
		Claims: authn.Claims{Attributes: map[string]string{"dept": "department"}}, RequiredGroups: []string{"eng"},
	}}
	if diff := cmp.Diff(want, got, cmp.FilterValues(func(a, b []string) bool { return len(a)+len(b) == 0 }, cmp.Ignore()),
		cmp.FilterValues(func(a, b []authn.APIKey) bool { return len(a)+len(b) == 0 }, cmp.Ignore()),
		cmp.FilterValues(func(a, b map[string]string) bool { return len(a)+len(b) == 0 }, cmp.Ignore()),
		cmp.FilterValues(func(a, b map[string][]string) bool { return len(a)+len(b) == 0 }, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
	if i := f.Auth.OIDC[0]; i.Issuer != "${ISSUER}" || i.RequiredGroups[0] != "${GROUP}" || i.Claims.Attributes["dept"] != "${CLAIM}" {
		t.Errorf("the file was changed: %+v", i)
	}
	if _, err := Resolved(&Expander{env: env(nil)}, f.Auth); err == nil {
		t.Error("a variable that is not set")
	}
}
