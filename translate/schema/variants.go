package schema

import (
	"slices"
	"strings"
)

// variantNames names the branches of a combinator by their titles or definitions.
func (p *publisher) variantNames(branches []*Value) []string {
	var names []string
	for _, b := range branches {
		for _, f := range p.defs.Facets(b) {
			name, target := p.defs.Target(f)
			if title := f.GetText("title"); title != "" {
				name = title
			} else if target == nil {
				continue
			}
			names = append(names, name)
			break
		}
	}
	return names
}

// tag is what alternatives that are not written say together about the property that tells them apart: the values that it has in them, as an
// enumeration where each of them has some and as words where one has none. It is nil where no property does that.
func (p *publisher) tag(branches []*Value) *Value {
	if len(branches) > maxTagged {
		return nil
	}
	var names []string
	values, has := make(map[string][]*Value), make(map[string]int)
	for _, b := range branches {
		for _, m := range p.tags(b) {
			if has[m.Key] == 0 {
				names = append(names, m.Key)
			}
			has[m.Key]++
			values[m.Key] = append(values[m.Key], elements(m.Value)...)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return has[b] - has[a] })
	if len(names) == 0 || has[names[0]] < len(branches)-1 {
		return nil
	}
	rule := Member{"enum", List(distinct(values[names[0]])...)}
	if has[names[0]] < len(branches) {
		rule = Member{"$comment", Text(strings.Replace(p.hint("", texts(rule.Value), 1), hasWord, "One of ", 1))}
	}
	return Map(Member{"properties", Map(Member{names[0], Map(rule)})})
}

// maxTagged is how many alternatives are looked through for what tells them apart.
const maxTagged = 200

// tags are the properties of which a branch has an enumeration, each with a list of its values, once.
func (p *publisher) tags(branch *Value) []Member {
	found := Map()
	for _, f := range p.defs.Facets(branch) {
		for _, m := range f.Object("properties") {
			if c := p.defs.First(m.Value, "const"); c != nil {
				found.Put(m.Key, List(c))
			} else if e := p.defs.First(m.Value, "enum"); e.Is(Array) {
				found.Put(m.Key, e)
			}
		}
	}
	return found.Members
}

// distinct returns each value once.
func distinct(values []*Value) []*Value {
	var kept []*Value
	seen := make(map[string]bool, len(values))
	for _, v := range values {
		if text := v.JSON(); !seen[text] {
			seen[text] = true
			kept = append(kept, v)
		}
	}
	return kept
}

// texts are the elements of a list as texts.
func texts(v *Value) []string {
	all := make([]string, len(v.Members))
	for i, m := range v.Members {
		all[i] = m.Value.Text
	}
	return all
}

func elements(v *Value) []*Value {
	all := make([]*Value, len(v.Members))
	for i, m := range v.Members {
		all[i] = m.Value
	}
	return all
}
