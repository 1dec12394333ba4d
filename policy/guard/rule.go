package guard

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// rule finds one kind of secret.
type rule struct {
	id    string
	words []string // where it may begin, or, for a pattern, what must stand in the text; at least two bytes each
	fold  bool     // their case means nothing
	// find says where the secret stands that the word at a place belongs to. If there is none, to is how far nothing else of the rule can begin: what was
	// looked at must not be looked at again and again.
	find func(text []byte, at int) (from, to int, ok bool)
	// expression is what a rule of a file has instead.
	expression *expression
}

// expression is a rule of a file: a regular expression and what narrows it.
type expression struct {
	pattern *regexp.Regexp
	group   int     // that is the secret; 0 for the first that is not empty
	entropy float64 // least, in bits a character
	allowed []allowed
}

// rules are the rules in use.
type rules struct {
	all   []rule
	words *keywords
	every []int // rules without words: each text is looked at
}

// newRules makes a set of rules, without those whose ids are in ignore.
func newRules(all []rule, ignore []string) (*rules, error) {
	for _, id := range ignore {
		if !slices.ContainsFunc(all, func(r rule) bool { return r.id == id }) {
			return nil, fmt.Errorf("there is no rule %q; the ids are %s", id, ids(all))
		}
	}
	rs := &rules{all: slices.DeleteFunc(all, func(r rule) bool { return slices.Contains(ignore, r.id) })}
	var words []keyword
	for i, r := range rs.all {
		if len(r.words) == 0 {
			rs.every = append(rs.every, i)
		}
		for _, w := range r.words {
			words = append(words, keyword{text: []byte(w), rule: i, fold: r.fold})
		}
	}
	rs.words = newKeywords(words)
	return rs, nil
}

// builtin are the rules that are always there.
func builtin() []rule {
	all := shapes()
	for _, t := range tokens() {
		all = append(all, t.rule())
	}
	return all
}

// ids are the ids of rules, sorted.
func ids(all []rule) string {
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = r.id
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// IDs are the ids of the rules that need no file, sorted.
func IDs() []string { return strings.Split(ids(builtin()), ", ") }

// place is where a secret stands in a text.
type place struct {
	from, to int
	rule     string
}

// concerns reports whether a text has words of rules in it.
func (rs *rules) concerns(text []byte) (yes bool) {
	if len(rs.every) > 0 {
		return true
	}
	rs.words.each(text, func(int, int) { yes = true })
	return yes
}

// places finds the secrets in a text, in order and apart. Work is what expressions may still look at, in bytes; it is negative when that was not enough.
func (rs *rules) places(text []byte, work *int) []place {
	var found []place
	var past []int // by rule, how far it has looked
	expressions := slices.Clone(rs.every)
	rs.words.each(text, func(i, at int) {
		r := &rs.all[i]
		if r.expression != nil {
			if !slices.Contains(expressions, i) {
				expressions = append(expressions, i)
			}
			return
		}
		if past == nil {
			past = make([]int, len(rs.all))
		}
		if at < past[i] {
			return
		}
		from, to, ok := r.find(text, at)
		if past[i] = to; ok {
			found = append(found, place{from, to, r.id})
		}
	})
	for _, i := range expressions {
		if *work -= len(text); *work < 0 {
			return append(found[:0], place{0, len(text), tooMuch})
		}
		found = rs.all[i].expression.places(found, text, rs.all[i].id)
	}
	return apart(found)
}

// tooMuch is found where expressions would have to look at more than they may: nobody knows what is in there.
const tooMuch = "not-looked-through"

// apart sorts places and joins those that overlap, under the name of the first.
func apart(found []place) []place {
	slices.SortStableFunc(found, func(a, b place) int { return cmp.Compare(a.from, b.from) })
	out := found[:0]
	for _, p := range found {
		if n := len(out); n > 0 && p.from < out[n-1].to {
			out[n-1].to = max(out[n-1].to, p.to)
			continue
		}
		out = append(out, p)
	}
	return out
}
