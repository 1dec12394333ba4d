package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVerified(t *testing.T) {
	p, err := Verified(Identity{
		Issuer: "https://idp", Subject: "ana", Client: "cli", Tenant: "finance", Groups: []string{"b", "a", "b"}, Roles: []string{"reader"},
		Scopes: []string{"mcp"}, Attributes: map[string]json.RawMessage{"z": []byte(` [1, 2]`), "a": []byte(`"x"`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &identity{
		user: "user:https://idp|ana", client: "client:cli", tenant: "finance", attributes: `{"a":"x","z":[1,2]}`,
		groups: []string{"group:a", "group:b"}, roles: []string{"role:reader"}, scopes: []string{"scope:mcp"},
	}
	if diff := cmp.Diff(want, p.identity(), cmp.AllowUnexported(identity{})); diff != "" {
		t.Error(diff)
	}
	if p.String() != "user:https://idp|ana" {
		t.Error(p.String())
	}
	again, err := Verified(Identity{
		Issuer: "https://idp", Subject: "ana", Client: "cli", Tenant: "finance", Groups: []string{"a", "b"}, Roles: []string{"reader"},
		Scopes: []string{"mcp"}, Attributes: map[string]json.RawMessage{"a": []byte(`"x"`), "z": []byte(`[1,2]`)},
	})
	if err != nil || again != p || again.Key() != p.Key() {
		t.Errorf("the same identity is another principal: %v", err)
	}
	fewer, err := Verified(Identity{Issuer: "https://idp", Subject: "ana", Client: "cli", Tenant: "finance"})
	if err != nil || fewer == p || fewer.Owner() != p.Owner() || fewer.Key() == p.Key() {
		t.Errorf("owner %q and %q (%v)", fewer.Owner(), p.Owner(), err)
	}
	moved, err := fewer.At("sales")
	if err != nil || moved.Owner() == fewer.Owner() || moved.Agent() != fewer.Agent() || moved.identity().tenant != "sales" {
		t.Errorf("At: %v", err)
	}
}

func TestVerifiedErrors(t *testing.T) {
	tests := map[string]Identity{
		"neither subject nor client":    {Groups: []string{"admin"}},
		"has a |":                       {Issuer: "https://a|b", Subject: "x"},
		"has a | and no issuer":         {Subject: "https://idp|ana"},
		"the person who runs weir":      {Subject: "local"},
		"issuer without subject":        {Issuer: "https://idp", Client: "x"},
		"does not show":                 {Issuer: "https://idp", Subject: "ana\x00"},
		"begins or ends with a space":   {Issuer: "https://idp", Subject: "ana", Groups: []string{"admin "}},
		"the name is empty":             {Issuer: "https://idp", Subject: "ana", Roles: []string{""}},
		"not UTF-8":                     {Issuer: "https://idp", Subject: "ana\xff"},
		"identity: tenant":              {Subject: "ana", Tenant: "a\u200bb"},
		"* is every tenant and none":    {Subject: "ana", Tenant: "*"},
		`attribute "x"`:                 {Subject: "ana", Attributes: map[string]json.RawMessage{"x": []byte(`{"a":1,"A":2}`)}},
		"more than 65536":               {Subject: strings.Repeat("a", 70000)},
		`attribute "y": json: byte 0: `: {Subject: "ana", Attributes: map[string]json.RawMessage{"y": []byte(`}`)}},
	}
	for want, id := range tests {
		p, err := Verified(id)
		if err == nil || !strings.Contains(err.Error(), want) || !p.IsNobody() {
			t.Errorf("%+.80v: %v %v, want %q", id, p, err, want)
		}
	}
}

func TestZeroPrincipalIsNobody(t *testing.T) {
	var p Principal
	if p.String() != "" || p.Key() != "" || p.Owner() != "" || !p.IsNobody() || p.identity() != nil {
		t.Error("the zero principal is somebody")
	}
	if _, err := p.At("x"); err == nil {
		t.Error("the zero principal is in a tenant")
	}
	everything := compiled(t, Spec{Grants: map[string][]string{"*": {"*"}}}, Options{})
	if seen := visible(everything.ProfileOf(p, shop())); len(seen) > 0 {
		t.Errorf("nobody sees %v", seen)
	}
	if seen := visible(everything.ProfileOf(who(t, "user:x"), shop())); len(seen) != len(shop().Entries()) {
		t.Errorf("everyone sees %v", seen)
	}
}

func TestT29_TypedSubjects(t *testing.T) {
	p := compiled(t, Spec{Roles: map[string][]string{"admin": {"*"}}, Grants: map[string][]string{"group:ops": {"admin"}}}, Options{})
	for _, id := range []Identity{
		{Issuer: "https://idp", Subject: "role:admin"},
		{Issuer: "https://idp", Subject: "admin"},
		{Issuer: "https://idp", Subject: "group:ops"},
		{Subject: "role:admin"},
		{Client: "role:admin"},
		{Subject: "x", Groups: []string{"role:admin", "admin"}},
		{Subject: "x", Scopes: []string{"role:admin"}},
		{Subject: "x", Groups: []string{"*"}},
	} {
		who, err := Verified(id)
		if err != nil {
			t.Errorf("%+v: %v", id, err)
			continue
		}
		if seen := visible(p.ProfileOf(who, shop())); len(seen) > 0 {
			t.Errorf("%+v sees %v", id, seen)
		}
	}
}

func TestIssuer(t *testing.T) {
	spec := Spec{Grants: map[string][]string{"user:ana": {"github/*"}, "user:|ci": {"bank/*"}, "user:local": {"files/*"}}}
	one := compiled(t, spec, Options{Issuer: "https://idp"})
	verified := func(id Identity) Principal {
		p, err := Verified(id)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	tests := []struct {
		who  Principal
		want string
	}{
		{verified(Identity{Issuer: "https://idp", Subject: "ana"}), "github"},
		{verified(Identity{Issuer: "https://other", Subject: "ana"}), ""},
		{verified(Identity{Subject: "ana"}), ""},
		{verified(Identity{Subject: "ci"}), "bank"},
		{verified(Identity{Issuer: "https://idp", Subject: "ci"}), ""},
		{LocalUser(), "files"},
	}
	for _, tt := range tests {
		got := ""
		if seen := visible(one.ProfileOf(tt.who, shop())); len(seen) > 0 {
			got, _, _ = strings.Cut(seen[0], "/")
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.who, got, tt.want)
		}
	}
}

// FuzzR4_KeysDoNotCollide makes two identities of the same material and compares them in two ways.
func FuzzR4_KeysDoNotCollide(f *testing.F) {
	f.Add("acme$$x", "y", "a", "b", "acme", "x$$y", "a", "b")
	f.Add("a", "b,c", "d", "e", "a,b", "c", "d", "e")
	f.Add("i", "s", "g1\x01g2", "t", "i", "s", "g1", "t")
	f.Fuzz(func(t *testing.T, iss1, sub1, groups1, tenant1, iss2, sub2, groups2, tenant2 string) {
		first := &identity{user: "user:" + iss1 + sub1, client: tenant1, tenant: tenant1, attributes: sub1, groups: strings.Split(groups1, ","), scopes: []string{iss1}}
		second := &identity{user: "user:" + iss2 + sub2, client: tenant2, tenant: tenant2, attributes: sub2, groups: strings.Split(groups2, ","), scopes: []string{iss2}}
		same := cmp.Equal(first, second, cmp.AllowUnexported(identity{}))
		if (first.encode() == second.encode()) != same {
			t.Errorf("%+v and %+v: same %v, keys %q and %q", first, second, same, first.encode(), second.encode())
		}
		if got := newPrincipal(first).identity(); !cmp.Equal(first, got, cmp.AllowUnexported(identity{})) {
			t.Errorf("%+v became %+v", first, got)
		}
		x, y := append([]string{iss1, sub1}, first.groups...), append([]string{iss2, sub2}, second.groups...)
		if (joinParts(x) == joinParts(y)) != slices.Equal(x, y) {
			t.Errorf("%q and %q collide", x, y)
		}
	})
}
