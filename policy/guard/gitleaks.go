package guard

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// ruleFile is a file of rules in the format of gitleaks (its README, "Configuration"). What is about commits and paths means nothing here.
type ruleFile struct {
	Extend struct {
		UseDefault bool   `toml:"useDefault"`
		Path       string `toml:"path"`
	} `toml:"extend"`
	Rules      []ruleSpec      `toml:"rules"`
	Allowlist  allowlistSpec   `toml:"allowlist"`
	Allowlists []allowlistSpec `toml:"allowlists"`
}

type ruleSpec struct {
	ID          string          `toml:"id"`
	Regex       string          `toml:"regex"`
	Path        string          `toml:"path"`
	SecretGroup int             `toml:"secretGroup"`
	Entropy     float64         `toml:"entropy"`
	Keywords    []string        `toml:"keywords"`
	Allowlist   allowlistSpec   `toml:"allowlist"`
	Allowlists  []allowlistSpec `toml:"allowlists"`
}

type allowlistSpec struct {
	Condition   string   `toml:"condition"`
	RegexTarget string   `toml:"regexTarget"`
	Regexes     []string `toml:"regexes"`
	StopWords   []string `toml:"stopwords"`
	Paths       []string `toml:"paths"`
	Commits     []string `toml:"commits"`
	TargetRules []string `toml:"targetRules"`
}

// allowed is what is no secret though a rule matches.
type allowed struct {
	all       bool // patterns and words must both hold
	match     bool // patterns look at the whole match, else at the secret
	line      bool // patterns look at the line of the match
	patterns  []*regexp.Regexp
	stopWords [][]byte // in lower case
	rules     []string // that it is for; nil for all
}

// parseRules reads a file of rules. Rules that only look at paths are left out.
func parseRules(data []byte) ([]rule, error) {
	var f ruleFile
	if err := toml.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f.Extend.UseDefault || f.Extend.Path != "" {
		return nil, errors.New("extend is not followed; put all rules into one file")
	}
	global, err := allowances(append(f.Allowlists, f.Allowlist))
	if err != nil {
		return nil, fmt.Errorf("allowlist: %w", err)
	}
	var all []rule
	for i, spec := range f.Rules {
		if spec.Regex == "" && spec.Path != "" {
			continue
		}
		r, err := spec.rule(global)
		if err != nil {
			return nil, fmt.Errorf("rules[%d] %s: %w", i, spec.ID, err)
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, errors.New("there are no rules in it")
	}
	return all, nil
}

func (spec *ruleSpec) rule(global []allowed) (rule, error) {
	if spec.ID == "" || strings.ContainsFunc(spec.ID, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
		return rule{}, errors.New("id must be one word")
	}
	if spec.Regex == "" {
		return rule{}, errors.New("it has no regex")
	}
	pattern, err := regexp.Compile(spec.Regex)
	if err != nil {
		return rule{}, err
	}
	if spec.SecretGroup < 0 || spec.SecretGroup > pattern.NumSubexp() {
		return rule{}, fmt.Errorf("its regex has no group %d", spec.SecretGroup)
	}
	own, err := allowances(append(spec.Allowlists, spec.Allowlist))
	if err != nil {
		return rule{}, fmt.Errorf("allowlist: %w", err)
	}
	for _, a := range global {
		if a.rules == nil || slices.Contains(a.rules, spec.ID) {
			own = append(own, a)
		}
	}
	r := rule{id: spec.ID, fold: true, expression: &expression{pattern, spec.SecretGroup, spec.Entropy, own}}
	for _, w := range spec.Keywords {
		if w = plain(w); len(w) < 2 { // the rule looks at every text
			r.words = nil
			break
		}
		r.words = append(r.words, w)
	}
	return r, nil
}

// plain is the longest part of a word that JSON can write only as it is, or in \u.
func plain(w string) (longest string) {
	for part := range strings.FieldsFuncSeq(w, func(c rune) bool { return c < ' ' || c > '~' || strings.ContainsRune("\"\\/<>&'", c) }) {
		if len(part) > len(longest) {
			longest = part
		}
	}
	return longest
}

// allowances compiles allowlists; those about paths and commits alone are none.
func allowances(specs []allowlistSpec) ([]allowed, error) {
	var all []allowed
	for _, spec := range specs {
		if len(spec.Regexes) == 0 && len(spec.StopWords) == 0 {
			continue
		}
		a := allowed{match: spec.RegexTarget == "match", line: spec.RegexTarget == "line", rules: spec.TargetRules}
		if a.all = strings.EqualFold(spec.Condition, "AND"); a.all && len(spec.Paths)+len(spec.Commits) > 0 {
			continue // never holds here
		}
		for _, text := range spec.Regexes {
			p, err := regexp.Compile(text)
			if err != nil {
				return nil, err
			}
			a.patterns = append(a.patterns, p)
		}
		for _, w := range spec.StopWords {
			a.stopWords = append(a.stopWords, []byte(strings.ToLower(w)))
		}
		all = append(all, a)
	}
	return all, nil
}

// places adds what the expression finds in a text.
func (x *expression) places(found []place, text []byte, id string) []place {
	for _, m := range x.pattern.FindAllSubmatchIndex(text, -1) {
		from, to := m[0], m[1]
		switch {
		case x.group > 0:
			from, to = m[2*x.group], m[2*x.group+1]
		default:
			for g := 2; g < len(m); g += 2 {
				if m[g] >= 0 && m[g+1] > m[g] {
					from, to = m[g], m[g+1]
					break
				}
			}
		}
		if from < 0 || to <= from || entropy(text[from:to]) < x.entropy || slices.ContainsFunc(x.allowed, func(a allowed) bool { return a.holds(text, m[0], m[1], from, to) }) {
			continue
		}
		found = append(found, place{from, to, id})
	}
	return found
}

// holds reports whether a secret, text[from:to], which was found in text[first:last], is none.
func (a *allowed) holds(text []byte, first, last, from, to int) bool {
	target := text[from:to]
	switch {
	case a.match:
		target = text[first:last]
	case a.line:
		target = text[bytes.LastIndexByte(text[:first], '\n')+1:]
		if i := bytes.IndexByte(text[last:], '\n'); i >= 0 {
			target = target[:len(target)-len(text)+last+i]
		}
	}
	patterns := slices.ContainsFunc(a.patterns, func(p *regexp.Regexp) bool { return p.Match(target) })
	secret := bytes.ToLower(text[from:to])
	words := slices.ContainsFunc(a.stopWords, func(w []byte) bool { return bytes.Contains(secret, w) })
	if a.all {
		return (patterns || len(a.patterns) == 0) && (words || len(a.stopWords) == 0)
	}
	return patterns || words
}

// entropy is Shannon's, in bits a byte.
func entropy(s []byte) float64 {
	var count [256]int
	for _, c := range s {
		count[c]++
	}
	var h float64
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			h -= p * math.Log2(p)
		}
	}
	return h
}
