package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxName is how long a public name of a tool or prompt may be. Model APIs take 64 characters, and clients put their own prefix in
	// front ("mcp__weir__").
	maxName = 50
	// maxPrefix is how much of maxName the upstream and its separator may take, so that the tool's start and end stay readable.
	maxPrefix = 32
	separator = "__"
	hashChars = 4
)

// publicName is the name of ref with its upstream in front or without.
func publicName(prefixed bool, ref Ref) string {
	if !prefixed {
		return fit("", ref.Name, ref)
	}
	return fit(clean(ref.Upstream)+separator, ref.Name, ref)
}

// fit returns prefix and name as one legal name: characters outside A-Z, a-z, 0-9, _ and - become _, and what is too long loses the middle
// of name (and the end of a very long prefix), with a hash of ref in its place.
func fit(prefix, name string, ref Ref) string {
	name = clean(name)
	if len(prefix)+len(name) <= maxName {
		return prefix + name
	}
	if len(prefix) > maxPrefix {
		prefix = prefix[:maxPrefix-len(separator)] + separator
	}
	keep := maxName - len(prefix) - hashChars - len("__")
	if len(name) <= keep {
		return prefix + name + "_" + hash(ref)
	}
	return prefix + name[:keep-keep/2] + "_" + hash(ref) + "_" + name[len(name)-keep/2:]
}

// clean maps every character that model APIs refuse to an underscore.
func clean(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
}

// hash returns four characters that depend on all of ref.
func hash(ref Ref) string {
	sum := sha256.Sum256([]byte(ref.Upstream + "\x00" + ref.Name))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))[:hashChars]
}

// assignNames gives the tools or prompts their public names and withholds those that want the same one.
func (b *build) assignNames(kind Kind) {
	items := b.items[kind]
	shared := b.sharedNames(items)
	wanted := make(map[string]int, len(items))
	for _, it := range items {
		it.entry.Name = b.nameOf(it, shared)
		wanted[it.entry.Name]++
	}
	if len(wanted) == len(items) {
		return
	}
	rivals := make(map[string][]*item)
	b.items[kind] = slices.DeleteFunc(items, func(it *item) bool {
		name := it.entry.Name
		if wanted[name] > 1 {
			rivals[name] = append(rivals[name], it)
		}
		return wanted[name] > 1
	})
	for _, name := range sortedKeys(rivals) {
		b.reportRivals(name, rivals[name], wanted)
	}
}

func (b *build) nameOf(it *item, shared map[string]bool) string {
	ref := it.entry.Ref
	if alias := it.origin.alias[ref.Name]; alias != "" {
		return fit("", alias, ref)
	}
	prefixed := true
	if naming := b.options.Naming; naming == Bare || naming == Conflict {
		prefixed = shared[publicName(false, ref)]
	}
	return publicName(prefixed, ref)
}

// sharedNames returns, in conflict mode, the names that entries of several upstreams would have without a prefix. In bare mode none is
// shared: nobody gets a prefix.
func (b *build) sharedNames(items []*item) map[string]bool {
	if b.options.Naming != Conflict {
		return nil
	}
	owner := make(map[string]*origin, len(items))
	shared := make(map[string]bool)
	for _, it := range items {
		name := b.nameOf(it, nil)
		if o, ok := owner[name]; ok && o != it.origin {
			shared[name] = true
		}
		owner[name] = it.origin
	}
	return shared
}

// reportRivals writes one Problem for each of the entries that want name. wanted has all names of their kind.
func (b *build) reportRivals(name string, rivals []*item, wanted map[string]int) {
	slices.SortFunc(rivals, func(x, y *item) int { return cmp.Compare(x.entry.Ref.String(), y.entry.Ref.String()) })
	refs := make([]string, len(rivals))
	for i, it := range rivals {
		refs[i] = it.entry.Ref.String()
	}
	kind := rivals[0].entry.Kind
	reason := fmt.Sprintf("catalog: %s %ss want the name %q: %s", count(len(rivals)), kind, name, strings.Join(refs, " and "))
	for _, it := range rivals {
		ref := it.entry.Ref
		alias := fit("", ref.Upstream+"_"+ref.Name, ref)
		if wanted[alias] > 0 {
			alias = fit("", ref.Upstream+"_"+ref.Name+"_"+hash(ref), ref)
		}
		wanted[alias]++
		b.problem(Problem{
			Upstream: ref.Upstream, Kind: kind, Name: ref.Name, Withheld: true, Reason: reason,
			Fix: fmt.Sprintf("add   alias: { %s: %s }   under mcpServers.%s", yamlKey(ref.Name), alias, yamlKey(ref.Upstream)),
		})
	}
}

// count returns small numbers as words.
func count(n int) string {
	words := [...]string{2: "two", 3: "three", 4: "four", 5: "five"}
	if n < len(words) {
		return words[n]
	}
	return fmt.Sprint(n)
}

// yamlKey returns name as a key of a YAML flow mapping, in quotes unless it is plainly a word.
func yamlKey(name string) string {
	letter := func(r rune) bool { return r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
	for i, r := range name {
		if !letter(r) && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return strconv.Quote(name)
		}
	}
	switch strings.ToLower(name) {
	case "", "true", "false", "yes", "no", "on", "off", "y", "n", "null":
		return strconv.Quote(name)
	}
	return name
}
