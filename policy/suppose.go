package policy

import (
	"encoding/json"
	"errors"
	"fmt"

	"weir/catalog"
)

// Suppose returns a caller that nobody verified, for questions only: explain, test, lists as another person sees them. Never let a request
// through on it. subjects are typed names as rules write them; claims is the raw JSON object of the caller's attributes, nil for none.
func (p *Policy) Suppose(subjects []string, tenant string, claims []byte) (Principal, error) {
	if len(subjects) == 0 {
		return Principal{}, errors.New("name a caller, such as user:ana or group:eng")
	}
	n := &identity{tenant: tenant}
	var groups, roles, scopes []string
	for _, text := range subjects {
		if err := checkSubject(text); err != nil || text == everyone {
			if err == nil {
				err = errors.New("* is no caller")
			}
			return Principal{}, err
		}
		s := fullSubject(text, p.issuer)
		switch {
		case hasType(s, userType) && n.user == "":
			n.user = s
		case hasType(s, clientType) && n.client == "":
			n.client = s
		case hasType(s, groupType):
			groups = append(groups, s)
		case hasType(s, roleType):
			roles = append(roles, s)
		case hasType(s, scopeType):
			scopes = append(scopes, s)
		default:
			return Principal{}, fmt.Errorf("%q: a caller is one user and one client", text)
		}
	}
	n.groups, n.roles, n.scopes = typed("", groups), typed("", roles), typed("", scopes)
	if len(claims) > 0 {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(claims, &members); err != nil {
			return Principal{}, fmt.Errorf("attributes: %w", err)
		}
		var err error
		if n.attributes, err = attributes(members); err != nil {
			return Principal{}, err
		}
	}
	return newPrincipal(n), nil
}

func hasType(subject, t string) bool { return len(subject) > len(t) && subject[:len(t)] == t }

// Find returns the entry of s that a Ref in a policy's test or question means, given what is to be done with it. When s has none, or is nil,
// it is a stand-in of that name: rules speak of Refs, so they can be asked before an upstream is there.
func Find(s *catalog.Snapshot, a Action, ref string) (*catalog.Entry, error) {
	p, err := parsePattern(ref)
	if err != nil || ref == "*" {
		return nil, fmt.Errorf("%q: write upstream/name", ref)
	}
	r := catalog.Ref{Upstream: p.upstream, Name: p.name}
	kinds := kindsFor(a, r.Name)
	if s != nil {
		for _, e := range s.Entries() {
			if e.Ref == r && (a == List || e.Kind == kinds[0] || e.Kind == kinds[1]) {
				return e, nil
			}
		}
	}
	return &catalog.Entry{Kind: kinds[0], Ref: r, Name: r.Name}, nil
}

// kindsFor is what an action is done with, the likelier first.
func kindsFor(a Action, name string) [2]catalog.Kind {
	switch {
	case a == Call:
		return [2]catalog.Kind{catalog.Tool, catalog.Tool}
	case a == Get:
		return [2]catalog.Kind{catalog.Prompt, catalog.Prompt}
	case a == Complete:
		return [2]catalog.Kind{catalog.Prompt, catalog.Template}
	case a == List && !isURI(name):
		return [2]catalog.Kind{catalog.Tool, catalog.Prompt}
	default:
		return [2]catalog.Kind{catalog.Resource, catalog.Template}
	}
}

// ProfileOf compiles what p allows a caller in a snapshot, apart from any engine; nil is the empty snapshot.
func (p *Policy) ProfileOf(who Principal, s *catalog.Snapshot) *Profile {
	if s == nil {
		s = catalog.Build(nil, catalog.Options{})
	}
	n := who.identity()
	_, held := p.roleKey(n)
	return p.newProfile(newIndex(s), n, held)
}
