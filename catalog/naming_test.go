package catalog

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPublicName(t *testing.T) {
	long := "get_the_very_long_name_of_a_tool_that_somebody_generated_from_a_description_v2"
	tests := []struct {
		upstream, name string
		prefixed       bool
		want           string
	}{
		{"github", "create_issue", true, "github__create_issue"},
		{"github", "create_issue", false, "create_issue"},
		{"docs.v1", "search/all", true, "docs_v1__search_all"},
		{"a b", "größe", true, "a_b__gr__e"},
		{"a", "😀", false, "_"},
		{"a", "\xff\xfe", false, "__"},
		{"test", "test_input_required_result_elicitation", false, "test_input_required_result_elicitation"},
		{"u", strings.Repeat("x", 47), true, "u__" + strings.Repeat("x", 47)},
		{"u", strings.Repeat("x", 50), false, strings.Repeat("x", 50)},
		{"github", long, true, "github__get_the_very_long__" + hash(Ref{"github", long}) + "_m_a_description_v2"},
		{"github", long, false, "get_the_very_long_name_" + hash(Ref{"github", long}) + "__from_a_description_v2"},
		{strings.Repeat("up", 20), "get", true, strings.Repeat("up", 20) + "__get"},
		{
			strings.Repeat("up", 24), "get", true,
			strings.Repeat("up", 15) + "__get_" + hash(Ref{strings.Repeat("up", 24), "get"}),
		},
		{
			strings.Repeat("up", 20), long, true,
			strings.Repeat("up", 15) + "__get_th_" + hash(Ref{strings.Repeat("up", 20), long}) + "_ion_v2",
		},
	}
	for _, tt := range tests {
		got := publicName(tt.prefixed, Ref{tt.upstream, tt.name})
		if got != tt.want {
			t.Errorf("%s/%s: got %s, want %s", tt.upstream, tt.name, got, tt.want)
		}
		if len(got) > maxName {
			t.Errorf("%s has %d characters", got, len(got))
		}
	}
}

// The hash is part of names that people write into their configuration: it must never change.
func TestHashIsFixed(t *testing.T) {
	if diff := cmp.Diff([]string{"ic5v", "nqbs"}, []string{hash(Ref{"a", "bc"}), hash(Ref{"ab", "c"})}); diff != "" {
		t.Error(diff)
	}
}

func TestNaming(t *testing.T) {
	github := &Source{Upstream: "github", Tools: tools("search", "create_issue"), Prompts: prompts("search")}
	docs := &Source{Upstream: "docs", Tools: tools("search", "fetch")}
	tests := []struct {
		name    string
		sources []*Source
		options Options
		want    string
	}{
		{
			"prefix is the default",
			[]*Source{github, docs},
			Options{},
			`tool docs__fetch = docs/fetch
			tool docs__search = docs/search
			tool github__create_issue = github/create_issue
			tool github__search = github/search
			prompt github__search = github/search`,
		},
		{
			"conflict prefixes what two share, tools and prompts apart",
			[]*Source{github, docs},
			Options{Naming: Conflict},
			`tool create_issue = github/create_issue
			tool docs__search = docs/search
			tool fetch = docs/fetch
			tool github__search = github/search
			prompt search = github/search`,
		},
		{
			"conflict: names are shared as they would be public",
			[]*Source{{Upstream: "a", Tools: tools("x.y")}, {Upstream: "b", Tools: tools("x_y")}},
			Options{Naming: Conflict},
			`tool a__x_y = a/x.y
			tool b__x_y = b/x_y`,
		},
		{
			"conflict: a prefix does not help within one upstream",
			[]*Source{{Upstream: "a", Tools: tools("x.y", "x_y", "z")}},
			Options{Naming: Conflict},
			`tool z = a/z
			withheld catalog: two tools want the name "x_y": a/x.y and a/x_y
			  fix add   alias: { "x.y": a_x_y }   under mcpServers.a
			withheld catalog: two tools want the name "x_y": a/x.y and a/x_y
			  fix add   alias: { x_y: a_x_y_gxmi }   under mcpServers.a`,
		},
		{
			"conflict: what an alias takes, another has with its prefix",
			[]*Source{github, docs},
			Options{Naming: Conflict, Rules: map[string]Rules{"github": {Alias: map[string]string{"create_issue": "fetch"}}}},
			`tool docs__fetch = docs/fetch
			tool docs__search = docs/search
			tool fetch = github/create_issue
			tool github__search = github/search
			prompt search = github/search`,
		},
		{
			"bare withholds what two share",
			[]*Source{github, docs},
			Options{Naming: Bare},
			`tool create_issue = github/create_issue
			tool fetch = docs/fetch
			prompt search = github/search
			withheld catalog: two tools want the name "search": docs/search and github/search
			  fix add   alias: { search: docs_search }   under mcpServers.docs
			withheld catalog: two tools want the name "search": docs/search and github/search
			  fix add   alias: { search: github_search }   under mcpServers.github`,
		},
		{
			"an alias helps",
			[]*Source{github, docs},
			Options{Naming: Bare, Rules: map[string]Rules{"docs": {Alias: map[string]string{"search": "docs_search"}}}},
			`tool create_issue = github/create_issue
			tool docs_search = docs/search
			tool fetch = docs/fetch
			tool search = github/search
			prompt search = github/search`,
		},
		{
			"an alias does not take over what another has",
			[]*Source{github, docs},
			Options{Rules: map[string]Rules{"docs": {Alias: map[string]string{"fetch": "github__search"}}}},
			`tool docs__search = docs/search
			tool github__create_issue = github/create_issue
			prompt github__search = github/search
			withheld catalog: two tools want the name "github__search": docs/fetch and github/search
			  fix add   alias: { fetch: docs_fetch }   under mcpServers.docs
			withheld catalog: two tools want the name "github__search": docs/fetch and github/search
			  fix add   alias: { search: github_search }   under mcpServers.github`,
		},
		{
			"the separator is no guard",
			[]*Source{{Upstream: "docs.v1", Tools: tools("search")}, {Upstream: "docs_v1", Tools: tools("search")}},
			Options{},
			`withheld catalog: two tools want the name "docs_v1__search": docs.v1/search and docs_v1/search
			  fix add   alias: { search: docs_v1_search }   under mcpServers."docs.v1"
			withheld catalog: two tools want the name "docs_v1__search": docs.v1/search and docs_v1/search
			  fix add   alias: { search: docs_v1_search_gisq }   under mcpServers.docs_v1`,
		},
		{
			"three of them, and a name that YAML would misread",
			[]*Source{{Upstream: "a", Tools: tools("on")}, {Upstream: "b", Tools: tools("on")}, {Upstream: "c", Prompts: prompts("on"), Tools: tools("on")}},
			Options{Naming: Bare},
			`prompt on = c/on
			withheld catalog: three tools want the name "on": a/on and b/on and c/on
			  fix add   alias: { "on": a_on }   under mcpServers.a
			withheld catalog: three tools want the name "on": a/on and b/on and c/on
			  fix add   alias: { "on": b_on }   under mcpServers.b
			withheld catalog: three tools want the name "on": a/on and b/on and c/on
			  fix add   alias: { "on": c_on }   under mcpServers.c`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { check(t, dump(Build(tt.sources, tt.options)), tt.want) })
	}
}

// The conformance suite calls these by name.
func TestBareNamesOfTheConformanceSuite(t *testing.T) {
	names := strings.Fields(`test_simple_text test_image_content test_audio_content test_embedded_resource test_multiple_content_types
		test_tool_with_logging test_tool_with_progress test_error_handling test_sampling test_elicitation
		test_elicitation_sep1034_defaults test_elicitation_sep1330_enums test_reconnection json_schema_2020_12_tool
		test_input_required_result_elicitation test_input_required_result_sampling test_input_required_result_list_roots
		test_input_required_result_request_state test_input_required_result_multiple_inputs test_input_required_result_multi_round
		test_input_required_result_tampered_state test_input_required_result_capabilities test_missing_capability
		test_streaming_elicitation test_logging_tool test_trigger_tool_change test_trigger_prompt_change test_x_mcp_header`)
	s := Build([]*Source{{Upstream: "everything", Tools: tools(names...)}}, Options{Naming: Bare})
	var got []string
	for _, e := range s.Entries() {
		got = append(got, e.Name)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(names)), got); diff != "" {
		t.Error(diff)
	}
}

func TestResolve(t *testing.T) {
	s := Build([]*Source{
		{Upstream: "github", Tools: tools("search", "issue"), Prompts: prompts("ask")},
		{Upstream: "docs", Tools: tools("search", "issue.list")},
		{Upstream: "wiki", Tools: tools("search")},
	}, Options{Rules: map[string]Rules{"wiki": {Alias: map[string]string{"search": "issue"}}}})
	hide := func(refs ...string) func(*Entry) bool {
		return func(e *Entry) bool { return !slices.Contains(refs, e.Ref.String()) }
	}
	tests := []struct {
		kind    Kind
		name    string
		visible func(*Entry) bool
		want    string
	}{
		{Tool, "github__search", nil, "github/search"},
		{Tool, "docs__issue_list", nil, "docs/issue.list"},
		{Tool, "issue.list", nil, "docs/issue.list"},
		{Tool, "issue_list", nil, `unknown tool "issue_list"`},
		{Tool, "issue", nil, "wiki/search"}, // a public name goes before a bare one
		{Tool, "issue", hide("wiki/search"), "github/issue"},
		{Tool, "search", nil, `ambiguous tool "search": 3 upstreams have one; use "docs__search" or "github__search" or "issue"`},
		{Tool, "search", hide("github/search"), `ambiguous tool "search": 2 upstreams have one; use "docs__search" or "issue"`},
		{Tool, "search", hide("github/search", "wiki/search"), "docs/search"},
		{Tool, "search", hide("github/search", "docs/search", "wiki/search"), `unknown tool "search"`},
		{Tool, "github__search", hide("github/search"), `unknown tool "github__search"`},
		{Tool, "github/search", nil, `unknown tool "github/search"`},
		{Tool, "ask", nil, `unknown tool "ask"`},
		{Tool, "", nil, `unknown tool ""`},
		{Tool, "a\x1b[31m", nil, `unknown tool "a\x1b[31m"`},
		{Tool, strings.Repeat("ü", 200), nil, `unknown tool "` + strings.Repeat("ü", 50) + `…"`},
		{Prompt, "ask", nil, "github/ask"},
		{Prompt, "github__ask", nil, "github/ask"},
		{Prompt, "github__ask", hide("github/ask"), `unknown prompt "github__ask"`},
	}
	for _, tt := range tests {
		e, err := s.Resolve(tt.kind, tt.name, tt.visible)
		got := fmt.Sprint(err)
		if err == nil {
			got = e.Ref.String()
		} else if code := codeOf(err); code != NotFound {
			t.Errorf("%s %q: code %s", tt.kind, tt.name, code)
		}
		if got != tt.want {
			t.Errorf("%s %q: got %s, want %s", tt.kind, tt.name, got, tt.want)
		}
	}
}

var legalName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// checkNames holds for every snapshot.
func checkNames(t *testing.T, s *Snapshot) {
	t.Helper()
	type key struct {
		kind Kind
		name string
	}
	seen := make(map[key]bool)
	for i, e := range s.Entries() {
		if e.Index() != i {
			t.Errorf("%s stands at %d and says %d", e.Ref, i, e.Index())
		}
		if seen[key{e.Kind, e.Name}] {
			t.Errorf("two entries are called %q", e.Name)
		}
		seen[key{e.Kind, e.Name}] = true
		if e.Kind == Tool || e.Kind == Prompt {
			if !legalName.MatchString(e.Name) || len(e.Name) > maxName {
				t.Errorf("%s has the name %q", e.Ref, e.Name)
			}
		}
		if found, err := s.Resolve(e.Kind, e.Name, nil); err != nil || found != e {
			t.Errorf("%q does not lead back to %s: %v", e.Name, e.Ref, err)
		}
	}
}

// randomSources makes upstreams whose names and tools are likely to meet.
func randomSources(r *rand.Rand) []*Source {
	word := func() string {
		const letters = "ab_.-/é"
		var b strings.Builder
		for range 1 + r.IntN(3) {
			c := []rune(letters)
			b.WriteString(strings.Repeat(string(c[r.IntN(len(c))]), 1+r.IntN(2)*r.IntN(30)))
		}
		return b.String()
	}
	var sources []*Source
	for range 1 + r.IntN(5) {
		s := &Source{Upstream: word()}
		for range r.IntN(8) {
			s.Tools = append(s.Tools, tools(word())...)
			s.Prompts = append(s.Prompts, prompts(word())...)
		}
		if !slices.ContainsFunc(sources, func(o *Source) bool { return o.Upstream == s.Upstream }) {
			sources = append(sources, s)
		}
	}
	return sources
}

func TestNamesAreUniqueLegalAndStable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 800 {
		sources := randomSources(r)
		for _, naming := range []Naming{Prefix, Conflict, Bare} {
			o := Options{Naming: naming, Rules: map[string]Rules{sources[0].Upstream: {Alias: map[string]string{"a": "b", "b": "aa"}}}}
			s := Build(sources, o)
			checkNames(t, s)
			if naming != Conflict {
				checkStable(t, s, Build(sources[:1], o))
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// checkStable compares a snapshot with one in which some upstreams are not there: what is in the smaller one has the same name in the
// larger one, or is withheld there with a reason.
func checkStable(t *testing.T, larger, smaller *Snapshot) {
	t.Helper()
	type key struct {
		kind Kind
		ref  Ref
	}
	names := make(map[key]string)
	for _, e := range larger.Entries() {
		names[key{e.Kind, e.Ref}] = e.Name
	}
	for _, p := range larger.Problems() {
		if p.Withheld {
			names[key{p.Kind, Ref{p.Upstream, p.Name}}] = "withheld"
		}
	}
	for _, e := range smaller.Entries() {
		if name := names[key{e.Kind, e.Ref}]; name != e.Name && name != "withheld" {
			t.Errorf("%s is called %q, and %q among others", e.Ref, e.Name, name)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("github", "create_issue", "docs.v1", "search", "alias")
	f.Add("a", "b__c", "a__b", "c", "")
	f.Add(strings.Repeat("u", 60), strings.Repeat("t", 90), "é", "\xff", "a b")
	f.Fuzz(func(t *testing.T, up1, tool1, up2, tool2, alias string) {
		sources := []*Source{
			{Upstream: up1, Tools: fuzzTools(tool1, tool2), Prompts: fuzzTools(tool1)},
			{Upstream: up2, Tools: fuzzTools(tool2, tool1, alias)},
		}
		for _, naming := range []Naming{Prefix, Conflict, Bare} {
			checkNames(t, Build(sources, Options{Naming: naming, Rules: map[string]Rules{up1: {Alias: map[string]string{tool1: alias}}}}))
		}
	})
}
