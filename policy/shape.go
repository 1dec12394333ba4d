package policy

import (
	"slices"
	"strings"

	"github.com/casbin/casbin/v2/constant"
	"github.com/casbin/casbin/v2/model"

	"weir/catalog"
)

// shape is the form of a matcher that can be compiled: terms joined by &&, each about one column.
type shape struct {
	links       bool // roles count
	linkTenants bool // links name their tenant
	everyone    bool // the subject * is everyone
	tenants     bool // rows name their tenant
	anyTenant   bool // the tenant * is every one
	globs       bool // objects are patterns
	wideActions bool // the action * is every one
	actionSets  bool // actions may be joined by |
	conditions  bool
}

// term takes over what one term says, without spaces; false when it is of an unknown form.
func (s *shape) term(text string) bool {
	switch text {
	case `who(r_sub,p_sub)`:
		s.links, s.linkTenants, s.everyone, s.anyTenant = true, true, true, true
	case `g(r_sub,p_sub)`:
		s.links = true
	case `g(r_sub,p_sub,r_dom)`:
		s.links, s.linkTenants = true, true
	case `(p_sub=="*"||g(r_sub,p_sub))`, `(g(r_sub,p_sub)||p_sub=="*")`:
		s.links, s.everyone = true, true
	case `r_dom==p_dom`, `p_dom==r_dom`:
		s.tenants = true
	case `(p_dom=="*"||p_dom==r_dom)`, `(p_dom=="*"||r_dom==p_dom)`:
		s.tenants, s.anyTenant = true, true
	case `glob(r_obj,p_obj)`:
		s.globs = true
	case `(p_act=="*"||p_act==r_act)`, `(p_act=="*"||r_act==p_act)`, `(r_act==p_act||p_act=="*")`:
		s.wideActions = true
	case `among(r_act,p_act)`:
		s.wideActions, s.actionSets = true, true
	case `when(r_ctx,p_when,p_eft)`:
		s.conditions = true
	case `r_sub==p_sub`, `r_obj==p_obj`, `r_act==p_act`:
	default:
		return false
	}
	return true
}

// shapeOf recognises a model; false when it is of another form, which Casbin then decides alone.
func shapeOf(m model.Model, own *ownModel) (s shape, ok bool) {
	effect := m["e"]["e"].Value
	if effect != constant.AllowOverrideEffect && effect != constant.AllowAndDenyEffect {
		return s, false
	}
	about := make(map[string]bool)
	matcher := strings.Map(func(c rune) rune {
		if c == ' ' || c == '\t' {
			return -1
		}
		return c
	}, m["m"]["m"].Value)
	for term := range strings.SplitSeq(matcher, "&&") {
		if !s.term(term) {
			return s, false
		}
		for _, token := range own.tokens {
			if strings.Contains(term, "r_"+token) {
				if about[token] && token != "dom" {
					return s, false
				}
				about[token] = true
			}
		}
	}
	g := m["g"]["g"]
	switch {
	case !about["sub"] || !about["obj"] || !about["act"] || len(m["g"]) > 1:
		return s, false
	case s.links && g == nil, g != nil && s.links && strings.Count(g.Value, "_") != 2+count(s.linkTenants):
		return s, false
	case s.linkTenants && !s.anyTenant && !s.tenants:
		return s, false
	}
	return s, slices.Contains(own.columns, "sub") && slices.Contains(own.columns, "obj") && slices.Contains(own.columns, "act")
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// object sets the pattern of r from the object column.
func (s *shape) object(r *rule, text string) (err error) {
	if s.globs {
		r.pattern, err = parsePattern(text)
		return err
	}
	upstream, name, _ := strings.Cut(text, "/")
	r.pattern = exact(catalog.Ref{Upstream: upstream, Name: name})
	return nil
}

// action sets the actions of r from the action column. A word that is no action matches nothing in Casbin, and is an error.
func (s *shape) action(r *rule, text string) (err error) {
	words := []string{text}
	if s.actionSets {
		words = strings.Split(text, "|")
	}
	if !s.wideActions && text == "*" {
		words = []string{"* (a name like any other to this model)"}
	}
	r.actions, err = parseActions(words, r.deny)
	return err
}
