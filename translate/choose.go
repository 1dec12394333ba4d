package translate

import (
	"maps"
	"slices"
	"strings"

	"weir/catalog"
)

// Candidate is an operation of a description that may become a tool. Wanted.Name is portable; it is cut to fit.
type Candidate struct {
	Wanted
	// Key is what the description calls the operation, "" for nothing. Configuration may use it, Identity, or the name of the tool.
	Key string
	// Outdated says that the description calls the operation deprecated, which the word is:deprecated of a pattern asks for.
	Outdated bool
	// Match compares one word of an include or exclude pattern with what a kind of API knows besides Key and the name of the tool. known is
	// false for a word that is about these two; alone says that the pattern has no other word. May be nil.
	Match func(word string, alone bool) (matches, known bool)
}

// Chosen is a candidate that becomes a tool.
type Chosen struct {
	Index  int    // among the candidates
	Name   string // of the tool
	Change Tool   // what configuration says about it
}

// Choose names the operations of a description and applies include, exclude, explicit mode and what configuration says about single ones. Names
// in patterns and in Tools are those that the tools have when nothing is configured. warn is told what names no operation.
func (s *Spec) Choose(upstream string, all []Candidate, warn func(format string, args ...any)) []Chosen {
	limit := NameLimit(upstream)
	wanted := make([]Wanted, len(all))
	for i, c := range all {
		wanted[i] = Wanted{Name: FitName(c.Name, c.Identity, limit), Identity: c.Identity}
	}
	names := NameAll(wanted, limit)
	include, exclude := readPatterns(s.Include), readPatterns(s.Exclude)
	used := make(map[string]bool, len(s.Tools))
	var kept []Chosen
	var again []Wanted
	for i := range all {
		c := &all[i]
		change, named := s.change(c, names[i], used)
		if exclude.match(c, names[i]) || s.Mode == ModeExplicit && !named || s.Mode != ModeExplicit && !include.match(c, names[i]) && len(include) > 0 {
			continue
		}
		w := wanted[i]
		if name := PortableName(change.Name); name != "" {
			w.Name = FitName(name, c.Identity, limit)
		}
		kept, again = append(kept, Chosen{Index: i, Change: change}), append(again, w)
	}
	for i, name := range NameAll(again, limit) {
		kept[i].Name = name
	}
	for _, key := range slices.Sorted(maps.Keys(s.Tools)) {
		if !used[key] {
			warn("tools: %q names no operation of the description", key)
		}
	}
	if s.Mode != ModeExplicit {
		include.report("include: %q matches no operation that is kept", warn)
	}
	exclude.report("exclude: %q matches no operation", warn)
	return kept
}

// change is what Tools says about an operation, and whether it says anything. The key that it was found under is used.
func (s *Spec) change(c *Candidate, name string, used map[string]bool) (change Tool, named bool) {
	for _, key := range [...]string{c.Key, c.Identity, name} {
		if change, named = s.Tools[key]; named && key != "" {
			used[key] = true
			return change, true
		}
	}
	return Tool{}, false
}

// pattern is one of include or exclude: words that must all match.
type pattern struct {
	text  string
	words []string
	met   bool // some operation matched
}

type patterns []pattern

func readPatterns(texts []string) patterns {
	all := make(patterns, len(texts))
	for i, text := range texts {
		all[i] = pattern{text: text, words: strings.Fields(text)}
	}
	return all
}

// match reports whether any of the patterns matches, and notes all that do.
func (all patterns) match(c *Candidate, name string) bool {
	matches := false
	for i := range all {
		if all[i].matches(c, name) {
			all[i].met, matches = true, true
		}
	}
	return matches
}

// report warns of patterns that nothing matched.
func (all patterns) report(format string, warn func(format string, args ...any)) {
	for i := range all {
		if !all[i].met {
			warn(format, all[i].text)
		}
	}
}

func (p *pattern) matches(c *Candidate, name string) bool {
	for _, word := range p.words {
		matches, known := c.Outdated, word == "is:deprecated"
		if !known && c.Match != nil {
			matches, known = c.Match(word, len(p.words) == 1)
		}
		if !known {
			matches = catalog.Glob(word).Match(name) || c.Key != "" && catalog.Glob(word).Match(c.Key)
		}
		if !matches {
			return false
		}
	}
	return len(p.words) > 0
}
