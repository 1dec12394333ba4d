package authn

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"weir/policy"
)

// maxNames bounds the groups of one caller, and the roles, and the scopes.
const maxNames = 500

// admit makes the caller of verified claims, if they are enough for the resource.
func (s *state) admit(i *issuer, res *resource, claims []byte) (known, error) {
	if gjson.GetBytes(claims, "cnf").Exists() {
		return known{}, invalid("the token is bound to a key, which is not supported")
	}
	id, err := i.spec.identity(claims)
	if err != nil {
		return known{}, err
	}
	if need := i.spec.RequiredGroups; len(need) > 0 && !slices.ContainsFunc(id.Groups, func(g string) bool { return slices.Contains(need, g) }) {
		return known{}, forbidden("this needs a group that you are not in")
	}
	id.Scopes = s.scopes.all(id.Scopes)
	for _, scope := range res.scopes {
		if !slices.Contains(id.Scopes, scope) {
			return known{}, &cause{status: http.StatusForbidden, code: "insufficient_scope", reason: "the token lacks a scope that this needs"}
		}
	}
	id.Tenant = cmp.Or(res.Tenant, id.Tenant)
	prefix(i.spec.Prefix, id.Groups)
	prefix(i.spec.Prefix, id.Roles)
	if id.Client != "" {
		id.Client = i.spec.Prefix + id.Client
	}
	p, err := policy.Verified(id)
	if err != nil {
		c := forbidden("the token has names that cannot be used")
		c.detail = err
		return known{}, c
	}
	return known{caller: Caller{Principal: p}, issuer: i}, nil
}

func prefix(with string, names []string) {
	for n := range names {
		names[n] = with + names[n]
	}
}

// identity reads claims where the configuration says.
func (i *Issuer) identity(claims []byte) (id policy.Identity, err error) {
	c := i.Claims
	if id.Subject, err = one(claims, cmp.Or(c.Subject, "sub")); err != nil {
		return id, err
	}
	if c.Subject == "email" && id.Subject != "" && gjson.GetBytes(claims, "email_verified").Type != gjson.True {
		return id, forbidden("the issuer has not verified the email address")
	}
	for _, path := range either(c.Client, "client_id", "azp", "cid") {
		if id.Client == "" {
			if id.Client, err = one(claims, path); err != nil {
				return id, err
			}
		}
	}
	if id.Tenant, err = one(claims, c.Tenant); err != nil {
		return id, err
	}
	if id.Groups, err = names(claims, cmp.Or(c.Groups, "groups"), false); err != nil {
		return id, err
	}
	if len(id.Groups) == 0 && (gjson.GetBytes(claims, "_claim_names.groups").Exists() || gjson.GetBytes(claims, "hasgroups").Bool()) {
		return id, forbidden("the issuer left the groups out of the token, because there are too many")
	}
	if id.Roles, err = names(claims, c.Roles, false); err != nil {
		return id, err
	}
	for _, path := range either(c.Scopes, "scope", "scp") {
		more, err := names(claims, path, true)
		if err != nil {
			return id, err
		}
		id.Scopes = append(id.Scopes, more...)
	}
	for name, path := range c.Attributes {
		if v := find(claims, path); v.Exists() {
			if id.Attributes == nil {
				id.Attributes = make(map[string]json.RawMessage)
			}
			id.Attributes[name] = json.RawMessage(v.Raw)
		}
	}
	switch {
	case id.Subject != "":
		id.Issuer = i.Issuer
	case id.Client == "":
		return id, forbidden("the token names nobody")
	}
	return id, nil
}

// either is what the configuration says, else where issuers have it.
func either(said string, usual ...string) []string {
	if said != "" {
		return []string{said}
	}
	return usual
}

// find returns the claim with the name path, else what is at the path (gjson).
func find(claims []byte, path string) gjson.Result {
	if path == "" {
		return gjson.Result{}
	}
	var found gjson.Result
	gjson.ParseBytes(claims).ForEach(func(key, value gjson.Result) bool {
		if key.Str == path {
			found = value
		}
		return !found.Exists()
	})
	if found.Exists() {
		return found
	}
	return gjson.GetBytes(claims, path)
}

// one reads a text; "" when there is none.
func one(claims []byte, path string) (string, error) {
	v := find(claims, path)
	if v.Type != gjson.String && v.Type != gjson.Null {
		return "", odd(path)
	}
	return v.Str, nil
}

// names reads a list of texts, or one text, which holds several with spaces between when split is set.
func names(claims []byte, path string, split bool) ([]string, error) {
	v := find(claims, path)
	var list []string
	switch {
	case v.Type == gjson.Null:
	case v.Type == gjson.String && split:
		list = strings.Fields(v.Str)
	case v.Type == gjson.String:
		list = []string{v.Str}
	case v.IsArray():
		for _, e := range v.Array() {
			if e.Type != gjson.String {
				return nil, odd(path)
			}
			list = append(list, e.Str)
		}
	default:
		return nil, odd(path)
	}
	if len(list) > maxNames {
		return nil, forbidden(fmt.Sprintf("the token has more than %d %s", maxNames, path))
	}
	return list, nil
}

// odd refuses a token in which a claim is of another type than it should be. Reading it as nothing could lose a denial.
func odd(path string) *cause {
	return forbidden("the claim " + printable(path) + " is of a type that cannot be used")
}

// printable keeps a text fit for a quoted parameter of a header.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return '?'
		}
		return c
	}, s)
}

// scopes names, for a scope, all that it includes.
type scopes map[string][]string

// newScopes follows inclusions of inclusions.
func newScopes(includes map[string][]string) scopes {
	all := make(scopes, len(includes))
	for scope := range includes {
		reached := []string{scope}
		for n := 0; n < len(reached); n++ {
			for _, more := range includes[reached[n]] {
				if !slices.Contains(reached, more) {
					reached = append(reached, more)
				}
			}
		}
		all[scope] = reached[1:]
	}
	return all
}

// all is list with everything that it includes.
func (s scopes) all(list []string) []string {
	out := slices.Clone(list)
	for _, scope := range list {
		out = append(out, s[scope]...)
	}
	return out
}
