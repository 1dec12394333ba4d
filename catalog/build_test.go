package catalog

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBuild(t *testing.T) {
	tests := []struct {
		name    string
		sources []*Source
		options Options
		want    string
	}{
		{"nothing", nil, Options{}, ``},
		{
			"malformed items go alone",
			[]*Source{
				{Upstream: "github", Tools: raws(
					`{"name":"good","inputSchema":{"type":"object"}}`,
					`{"name":"x","inputSchema":[]}`,
					`{"name":"y"}`,
					`{"name":"z","inputSchema":null}`,
					`{"name":7,"inputSchema":{"type":"object"}}`,
					`{"name":"","inputSchema":{"type":"object"}}`,
					`{"inputSchema":{"type":"object"}}`,
					`"tool"`,
					`null`,
					`{"name":"cut","inputSchema":{"type":"object"}`,
					`{"name":"a","name":"b","inputSchema":{"type":"object"}}`,
					`{"name":"a","Name":"b","inputSchema":{"type":"object"}}`,
					``,
					"{\"name\":\"bad \xff\",\"inputSchema\":{}}",
					`{"name":"good too","inputSchema":{"type":"object"}}`,
				)},
			},
			Options{},
			`tool github__good = github/good
			tool github__good_too = github/good too
			withheld github: tool "x" withheld: inputSchema is not an object
			withheld github: tool "y" withheld: inputSchema is missing
			withheld github: tool "z" withheld: inputSchema is not an object
			withheld github: tool at position 5 withheld: name is not a string
			withheld github: tool at position 6 withheld: name is empty
			withheld github: tool at position 7 withheld: name is missing
			withheld github: tool at position 8 withheld: it is not an object
			withheld github: tool at position 9 withheld: it is not an object
			withheld github: tool at position 10 withheld: json: byte 45: the input ends where a comma or the end of the object should be
			withheld github: tool at position 11 withheld: json: byte 12: a key that the object already has, or that differs from it only in case
			withheld github: tool at position 12 withheld: json: byte 12: a key that differs only in case from one that is looked for
			withheld github: tool at position 13 withheld: json: byte 0: the input ends where an object should be
			withheld github: tool at position 14 withheld: json: byte 13: not UTF-8`,
		},
		{
			"prompts, resources and templates",
			[]*Source{{
				Upstream: "docs",
				Prompts:  raws(`{"name":"ask"}`, `{"title":"no name"}`),
				Resources: raws(
					`{"uri":"file:///a","name":"a"}`, `{"uri":"file:///b"}`, `{"uri":"file:///c","name":1}`, `{"name":"d"}`,
					`{"uri":"file:///e","name":"a"}`, `{"uri":"file:///f","name":""}`),
				Templates: raws(
					`{"uriTemplate":"file:///{+path}","name":"a"}`, `{"uriTemplate":"file:///{","name":"b"}`,
					`{"uriTemplate":"x:{a:9999}","name":"c"}`, `{"uriTemplate":"file:///{x}"}`,
					`{"uriTemplate":"y:`+strings.Repeat("{a}", 33)+`","name":"d"}`),
			}},
			Options{},
			`prompt docs__ask = docs/ask
			resource file:///a = docs/file:///a
			resource file:///e = docs/file:///e
			resource file:///f = docs/file:///f
			resource template file:///{+path} = docs/file:///{+path}
			withheld docs: prompt at position 2 withheld: name is missing
			withheld docs: resource "file:///b" withheld: name is missing or not a string
			withheld docs: resource "file:///c" withheld: name is missing or not a string
			withheld docs: resource at position 4 withheld: uri is missing
			withheld docs: resource template "file:///{" withheld: uriTemplate is not a URI template (RFC 6570)
			withheld docs: resource template "x:{a:9999}" withheld: uriTemplate has more than 32 variables or prefixes of more than 256 characters
			withheld docs: resource template "file:///{x}" withheld: name is missing or not a string
			withheld docs: resource template "y:` + strings.Repeat("{a}", 32) + `{a…" withheld: uriTemplate has more than 32 variables or prefixes of more than 256 characters`,
		},
		{
			"order of the configuration, strangers last",
			[]*Source{
				{Upstream: "c", Tools: raws(`1`)},
				{Upstream: "zz", Tools: raws(`1`)},
				nil,
				{Upstream: "b", Tools: raws(`1`)},
				{Upstream: "a", Tools: raws(`1`)},
			},
			Options{Order: []string{"b", "gone", "c"}},
			`withheld b: tool at position 1 withheld: it is not an object
			warning b: connected, but all of the 1 things it lists are withheld or left out by include and exclude
			withheld c: tool at position 1 withheld: it is not an object
			warning c: connected, but all of the 1 things it lists are withheld or left out by include and exclude
			withheld a: tool at position 1 withheld: it is not an object
			warning a: connected, but all of the 1 things it lists are withheld or left out by include and exclude
			withheld zz: tool at position 1 withheld: it is not an object
			warning zz: connected, but all of the 1 things it lists are withheld or left out by include and exclude`,
		},
		{
			"an upstream without anything is a warning, a stale one is not",
			[]*Source{{Upstream: "empty"}, {Upstream: "down", Stale: true}, {Upstream: "prompts", Prompts: prompts("p")}},
			Options{Rules: map[string]Rules{"down": {Include: []string{"x"}, Alias: map[string]string{"x": "y"}}}},
			`prompt prompts__p = prompts/p
			warning empty: connected, but lists 0 tools, 0 prompts and 0 resources`,
		},
		{
			"two sources of one upstream",
			[]*Source{{Upstream: "a", Tools: tools("x")}, {Upstream: "b", Tools: tools("x")}, {Upstream: "a", Tools: tools("y")}},
			Options{},
			`tool b__x = b/x
			withheld a: withheld: two sources have this name
			withheld a: withheld: two sources have this name`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { check(t, dump(Build(tt.sources, tt.options)), tt.want) })
	}
}

// Of what one upstream lists twice the first counts. Of two upstreams that want one name neither gets it, or each has its own, by the naming. None of it
// depends on who was there first.
func TestR7_DuplicateNames(t *testing.T) {
	sources := []*Source{
		{
			Upstream:  "github",
			Tools:     tools("search", "x", "list", "x", "get", "x"),
			Prompts:   prompts("x", "ask", "ask"),
			Resources: resources("file:///a", "file:///b", "file:///a"),
		},
		{Upstream: "gitlab", Tools: append(tools("get"), []byte(`{"name":"twice"}`), tools("twice")[0], []byte(`{"name":"twice","inputSchema":{"type":"object"},"title":"second"}`))},
		{Upstream: "zoo", Tools: tools("list", "feed")},
	}
	const again = `
		withheld github: tool "x" withheld: position 4 lists again what position 2 does, which counts
		withheld github: tool "x" withheld: position 6 lists again what position 2 does, which counts
		withheld github: prompt "ask" withheld: position 3 lists again what position 2 does, which counts
		withheld github: resource "file:///a" withheld: position 3 lists again what position 1 does, which counts
		withheld gitlab: tool "twice" withheld: inputSchema is missing
		withheld gitlab: tool "twice" withheld: position 4 lists again what position 3 does, which counts`
	for naming, want := range map[Naming]string{
		Prefix: `
			tool github__get = github/get
			tool github__list = github/list
			tool github__search = github/search
			tool github__x = github/x
			tool gitlab__get = gitlab/get
			tool gitlab__twice = gitlab/twice
			tool zoo__feed = zoo/feed
			tool zoo__list = zoo/list
			prompt github__ask = github/ask
			prompt github__x = github/x
			resource file:///a = github/file:///a
			resource file:///b = github/file:///b` + again,
		Bare: `
			tool feed = zoo/feed
			tool search = github/search
			tool twice = gitlab/twice
			tool x = github/x
			prompt ask = github/ask
			prompt x = github/x
			resource file:///a = github/file:///a
			resource file:///b = github/file:///b` + again + `
			withheld catalog: two tools want the name "get": github/get and gitlab/get
			fix add   alias: { get: github_get }   under mcpServers.github
			withheld catalog: two tools want the name "get": github/get and gitlab/get
			fix add   alias: { get: gitlab_get }   under mcpServers.gitlab
			withheld catalog: two tools want the name "list": github/list and zoo/list
			fix add   alias: { list: github_list }   under mcpServers.github
			withheld catalog: two tools want the name "list": github/list and zoo/list
			fix add   alias: { list: zoo_list }   under mcpServers.zoo`,
	} {
		t.Run(string(naming), func(t *testing.T) {
			for range 100 {
				rand.Shuffle(len(sources), func(i, j int) { sources[i], sources[j] = sources[j], sources[i] })
				if check(t, dump(Build(sources, Options{Naming: naming})), want); t.Failed() {
					break
				}
			}
		})
	}
	e, err := Build(sources, Options{}).Resolve(Tool, "gitlab__twice", nil)
	if err != nil || strings.Contains(string(e.Raw(Modern)), "second") {
		t.Errorf("%v, %s", err, e.Raw(Modern))
	}
}

func TestRules(t *testing.T) {
	source := &Source{
		Upstream:  "up",
		Tools:     tools("get_a", "get_b", "delete_a", "ns:tool"),
		Prompts:   prompts("get_p", "ask"),
		Resources: resources("file:///docs/a", "file:///secret/a", "urn:x"),
		Templates: templates("file:///{+path}"),
	}
	tests := []struct {
		name  string
		rules Rules
		want  string
	}{
		{"include names only", Rules{Include: []string{"get_*"}}, "get_a get_b | get_p | file:///docs/a file:///secret/a urn:x | file:///{+path}"},
		{"include one", Rules{Include: []string{"get_?"}, Exclude: []string{"*b"}}, "get_a | get_p | file:///docs/a file:///secret/a urn:x | file:///{+path}"},
		{"include URIs only", Rules{Include: []string{"file:///docs/*"}}, "delete_a get_a get_b ns_tool | ask get_p | file:///docs/a | "},
		{"include both", Rules{Include: []string{"ask", "file:///{*"}}, " | ask |  | file:///{+path}"},
		{"a colon limits both", Rules{Include: []string{"ns:*", "urn:*"}}, "ns_tool |  | urn:x | "},
		{"exclude is for every kind", Rules{Exclude: []string{"*a"}}, "get_b ns_tool | ask get_p | urn:x | file:///{+path}"},
		{"exclude wins", Rules{Include: []string{"get_a"}, Exclude: []string{"get_*"}}, " |  | file:///docs/a file:///secret/a urn:x | file:///{+path}"},
		{"exclude all", Rules{Exclude: []string{"*"}}, " |  |  | "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Build([]*Source{source}, Options{Naming: Bare, Rules: map[string]Rules{"up": tt.rules}})
			var names [kinds][]string
			for _, e := range s.Entries() {
				names[e.Kind] = append(names[e.Kind], e.Name)
			}
			var got []string
			for _, n := range names {
				got = append(got, strings.Join(n, " "))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " | ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRulesThatNameNothing(t *testing.T) {
	s := Build([]*Source{{Upstream: "up", Tools: tools("a", "b"), Resources: resources("file:///a")}}, Options{
		Rules: map[string]Rules{"up": {
			Include: []string{"a", "get_*", "file:*", "http://*"},
			Exclude: []string{"not there"},
			Alias:   map[string]string{"a": "the a", "b": "b2", "c": "c2"},
		}},
	})
	check(t, dump(s), `
		tool the_a = up/a
		resource file:///a = up/file:///a
		warning up: include pattern "get_*" matches nothing that it lists
		warning up: include pattern "http://*" matches nothing that it lists
		warning up: alias "the a" cannot be a name as it is; "the_a" is used
		warning up: alias for "c" names no tool or prompt that it lists`)
}

// Every one of these is strange and legal, and must come out with the bytes it came in with but for the name.
func TestTrap5_3_OddItemsKeepTheirBytesAndTheirList(t *testing.T) {
	odd := []string{
		`{"name":"t","inputSchema":{"type":"object","properties":{"n":{"maximum":9007199254740993,"minimum":1e400,"multipleOf":1.10}}}}`,
		`{"name":"t","inputSchema":{"$schema":"http://json-schema.org/draft-04/schema#","type":"object","$defs":{"a":{"$ref":"#/$defs/a"}}}}`,
		`{"name":"t","inputSchema":{"type":"object","properties":{"a":{"default":[],"enum":[],"type":17},"a":{"default":{}},"b":true}}}`,
		"{ \"name\" : \"t\" ,\r\n\t\"inputSchema\" : { \"type\" :\t\"object\" } , \"x\" : [ ] }",
		`{"inputSchema":{"type":"object"},"zz":null,"annotations":{"x":7},"icons":[],"execution":{"taskSupport":"required"},"name":"t","title":""}`,
		`{"description":"é 😀 \u00e9 \ud83d\ude00 \/ \u0000 \ud83d","inputSchema":{"type":"object"},"name":"t"}`,
		`{"name":"t","inputSchema":{"type":"object"},"_meta":{"ui":[],"ui/resourceUri":5,"x":{"resourceUri":1}}}`,
		`{"name":"t","inputSchema":{"type":"object","required":[]},"outputSchema":{"type":"object","properties":{}},"":""}`,
		`{"na\u006de":"t","inputSchema":{"type":"object"}}`,
	}
	for _, text := range odd {
		s := Build([]*Source{{Upstream: "up", Tools: append(tools("first"), append(raws(text), tools("last")...)...)}}, Options{})
		if s.Len() != 3 || len(s.Problems()) > 0 {
			t.Errorf("%s\n%s", text, dump(s))
			continue
		}
		e, err := s.Resolve(Tool, "up__t", nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for era := range eras {
			if want := strings.Replace(text, `"t"`, `"up__t"`, 1); string(e.Raw(era)) != want {
				t.Errorf("%s\n got %s\nwant %s", era, e.Raw(era), want)
			}
		}
	}
}

func TestUnchangedBytesAreShared(t *testing.T) {
	raw := append(make([]byte, 0, 200), `{"name":"\u0061bc","inputSchema":{"type":"object"},"x":1}`...)
	e := Build([]*Source{{Upstream: "up", Tools: [][]byte{raw}}}, Options{Naming: Bare}).Entries()[0]
	if e.Name != "abc" {
		t.Fatalf("name %q", e.Name)
	}
	for era := range eras {
		if got := e.Raw(era); &got[0] != &raw[0] || len(got) != len(raw) || cap(got) != len(got) {
			t.Errorf("%s: the bytes are not those of the source", era)
		}
	}
	e = Build([]*Source{{Upstream: "up", Tools: [][]byte{raw}}}, Options{}).Entries()[0]
	if want := `{"name":"up__abc","inputSchema":{"type":"object"},"x":1}`; string(e.Raw(Modern)) != want {
		t.Errorf("got %s", e.Raw(Modern))
	}
	if &e.Raw(Legacy)[0] != &e.Raw(Modern)[0] {
		t.Error("the eras do not share their bytes")
	}
	if want := `{"name":"\u0061bc","inputSchema":{"type":"object"},"x":1}`; string(raw) != want {
		t.Errorf("the source was changed: %s", raw)
	}
}

func TestLegacyListsDropOutputSchemasTheyCannotExpress(t *testing.T) {
	tests := []struct{ output, legacy string }{
		{`{"type":"object"}`, `{"name":"t","outputSchema":{"type":"object"},"inputSchema":{"type":"object"}}`},
		{`{"type":"array"}`, `{"name":"t","inputSchema":{"type":"object"}}`},
		{`{"type":["object","null"]}`, `{"name":"t","inputSchema":{"type":"object"}}`},
		{`{"oneOf":[]}`, `{"name":"t","inputSchema":{"type":"object"}}`},
		{`{"type":"array","type":"object"}`, `{"name":"t","inputSchema":{"type":"object"}}`},
		{`{"type":"object","properties":[]}`, `{"name":"t","inputSchema":{"type":"object"}}`},
	}
	for _, tt := range tests {
		raw := `{"name":"t","outputSchema":` + tt.output + `,"inputSchema":{"type":"object"}}`
		e := Build([]*Source{{Upstream: "up", Tools: raws(raw)}}, Options{Naming: Bare}).Entries()[0]
		if got := string(e.Raw(Modern)); got != raw {
			t.Errorf("modern: got %s, want %s", got, raw)
		}
		if got := string(e.Raw(Legacy)); got != tt.legacy {
			t.Errorf("legacy: got %s, want %s", got, tt.legacy)
		}
	}
}

func TestBuildLeavesItsInputAlone(t *testing.T) {
	s := &Source{Upstream: "b", Tools: tools("x", "y"), Resources: resources("ui://x")}
	before := bytes.Join(s.Tools, nil)
	sources := []*Source{s, {Upstream: "a", Tools: tools("x"), Resources: resources("ui://x")}}
	first := dump(Build(sources, Options{Naming: Conflict}))
	if sources[0] != s || !bytes.Equal(before, bytes.Join(s.Tools, nil)) {
		t.Error("sources were changed")
	}
	if second := dump(Build(sources, Options{Naming: Conflict})); first != second {
		t.Error(cmp.Diff(first, second))
	}
}

// TestTaskToolsAreListedAsAnyOther: that a tool runs as a task alone is for weir to know; what else execution says stays as it is.
func TestTaskToolsAreListedAsAnyOther(t *testing.T) {
	for _, tt := range []struct {
		execution, want string
		only            bool
	}{
		{`,"execution":{"taskSupport":"required","x":1}`, ``, true},
		{`,"execution":{"taskSupport":"optional"}`, `,"execution":{"taskSupport":"optional"}`, false},
		{`,"execution":{"taskSupport":1}`, ``, false},
		{`,"execution":7`, ``, false},
	} {
		raw := `{"inputSchema":{"type":"object"}` + tt.execution + `,"name":"t","_meta":{"ui":{"resourceUri":"ui://a"}}}`
		s := Build([]*Source{{Upstream: "u", Legacy: true, Tools: [][]byte{[]byte(raw)}}}, Options{Naming: Prefix})
		e, err := s.Resolve(Tool, "u__t", nil)
		if err != nil {
			t.Fatal(err)
		}
		want := `{"inputSchema":{"type":"object"}` + tt.want + `,"name":"u__t","_meta":{"ui":{"resourceUri":"ui://a"}}}`
		if string(e.Raw(Legacy)) != want || string(e.Raw(Modern)) != want || e.OnlyTask != tt.only {
			t.Errorf("%s: %s (%v)", tt.execution, e.Raw(Legacy), e.OnlyTask)
		}
	}
}
