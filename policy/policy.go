package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"weir/catalog"
)

// Policy is one policy, compiled: immutable and safe for concurrent use.
type Policy struct {
	rules     []*rule
	bySubject map[string][]*rule
	links     links
	tenants   map[string]bool // those that have rules or links of their own
	approved  approved
	personal  map[string]bool // subjects with rules whose conditions decide what is listed and look at the caller
	// compiled says that rules decide and Casbin checks; else Casbin decides everything, see own.go.
	compiled  bool
	authority *authority
	tests     []Test
	issuer    string
	warnings  Problems
	source    []byte // what it was read from, to recognise a cut-off successor
	rulesFile []byte
	isDefault bool
	log       *slog.Logger
	// differed counts entries that were withheld because Casbin did not agree.
	differed atomic.Int64
	once     sync.Once // of digest
	digest   string
}

// links say who holds which roles: tenant → subject → roles.
type links map[string]map[string][]string

func (l links) add(tenant, subject, role string) {
	if l[tenant] == nil {
		l[tenant] = make(map[string][]string)
	}
	if !slices.Contains(l[tenant][subject], role) {
		l[tenant][subject] = append(l[tenant][subject], role)
	}
}

// of lists what subject holds in tenant, one step.
func (l links) of(tenant, subject string) []string {
	held := l[everywhere][subject]
	if tenant == "" {
		return held
	}
	return append(slices.Clip(held), l[tenant][subject]...)
}

// closure returns subjects and every role they hold, sorted, each once.
func (l links) closure(subjects []string, tenant string) []string {
	seen := make(map[string]bool, len(subjects))
	queue := slices.Clone(subjects)
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if !seen[s] {
			seen[s] = true
			queue = append(queue, l.of(tenant, s)...)
		}
	}
	all := make([]string, 0, len(seen))
	for s := range seen {
		all = append(all, s)
	}
	sort.Strings(all)
	return all
}

// Warnings are doubts about the policy that do not keep it from being used.
func (p *Policy) Warnings() []Problem { return p.warnings }

// Digest names the policy: the first half of the SHA-256 of its model and rows, in hex.
func (p *Policy) Digest() string {
	p.once.Do(func() {
		h := sha256.New()
		h.Write([]byte(p.authority.text))
		h.Write(p.CSV())
		p.digest = hex.EncodeToString(h.Sum(nil)[:16])
	})
	return p.digest
}

// Compiled reports whether decisions are made by compiled rules. If not, Casbin is asked for every entry, which is slow on large catalogues.
func (p *Policy) Compiled() bool { return p.compiled }

// Differed is how many entries were withheld because Casbin's own answer was another. It is 0, or weir has a fault.
func (p *Policy) Differed() int64 { return p.differed.Load() }

// tenantOf is the tenant by which rules know that of a caller: "" when none of them is about it.
func (p *Policy) tenantOf(n *identity) string {
	if p.tenants[n.tenant] {
		return n.tenant
	}
	return ""
}

// roleKey names all that rules tell callers apart by: callers with equal keys have equal rights. It is a list of parts with their lengths.
func (p *Policy) roleKey(who *identity) (key string, held []string) {
	if who == nil {
		return "", nil
	}
	if !p.compiled {
		held = append(who.subjects(), who.tenant)
		return joinParts(held), held
	}
	tenant := p.tenantOf(who)
	for _, s := range p.links.closure(append(who.subjects(), everyone), tenant) {
		if len(p.bySubject[s]) > 0 {
			held = append(held, s)
		}
	}
	if len(held) == 0 {
		return "", nil
	}
	parts := append(slices.Clone(held), "in", tenant)
	if slices.ContainsFunc(held, func(s string) bool { return p.personal[s] }) {
		parts = append(parts, "as", who.encode())
	}
	return joinParts(parts), held
}

func joinParts(parts []string) string {
	var b []byte
	for _, part := range parts {
		b = appendPart(b, part)
	}
	return string(b)
}

// rulesOf lists the rules about any of held in a tenant, in the order of the policy.
func (p *Policy) rulesOf(held []string, tenant string) []*rule {
	var rules []*rule
	for _, s := range held {
		for _, r := range p.bySubject[s] {
			if r.tenant == everywhere || r.tenant == tenant {
				rules = append(rules, r)
			}
		}
	}
	slices.SortFunc(rules, func(a, b *rule) int { return int(a.index) - int(b.index) })
	return rules
}

// index finds the entries of a snapshot by Ref.
type index struct {
	snapshot   *catalog.Snapshot
	upstreams  []string
	byUpstream map[string][]*catalog.Entry // ordered by name
}

func newIndex(s *catalog.Snapshot) *index {
	x := &index{snapshot: s, byUpstream: make(map[string][]*catalog.Entry)}
	for _, e := range s.Entries() {
		if _, ok := x.byUpstream[e.Ref.Upstream]; !ok {
			x.upstreams = append(x.upstreams, e.Ref.Upstream)
		}
		x.byUpstream[e.Ref.Upstream] = append(x.byUpstream[e.Ref.Upstream], e)
	}
	for _, entries := range x.byUpstream {
		slices.SortStableFunc(entries, func(a, b *catalog.Entry) int { return strings.Compare(a.Ref.Name, b.Ref.Name) })
	}
	return x
}

// each calls f for every entry that p matches.
func (x *index) each(p *pattern, f func(*catalog.Entry)) {
	if p.plainUpstream {
		x.eachOf(x.byUpstream[p.upstream], p, f)
		return
	}
	for _, upstream := range x.upstreams {
		if p.matchUpstream(upstream) {
			x.eachOf(x.byUpstream[upstream], p, f)
		}
	}
}

func (x *index) eachOf(entries []*catalog.Entry, p *pattern, f func(*catalog.Entry)) {
	if p.all {
		for _, e := range entries {
			f(e)
		}
		return
	}
	from := sort.Search(len(entries), func(i int) bool { return entries[i].Ref.Name >= p.prefix })
	for _, e := range entries[from:] {
		if !strings.HasPrefix(e.Ref.Name, p.prefix) {
			return
		}
		if p.matchName(e.Ref.Name) {
			f(e)
		}
	}
}
