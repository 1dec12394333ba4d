package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestURIsThatSeveralUpstreamsHave(t *testing.T) {
	s := Build([]*Source{
		{
			Upstream:  "a.b",
			Resources: resources("ui://host/x", "file:///same", "file:///mine", "urn:isbn:1"),
			Templates: templates("db://{table}/{row}", "note://{id}", "{+any}"),
		},
		{
			Upstream:  "c/d",
			Resources: resources("ui://host/x", "file:///same", "urn:isbn:1"),
			Templates: templates("db://{t}/{r}", "note://{id:3}", "{?q}"),
		},
		{
			// What others' URIs are moved to is here already, and what that is moved to as well.
			Upstream:  "e",
			Resources: resources("ui://a.b/host/x", "ui://e/a.b/host/x", "weir://c%2Fd/file:///same"),
			Templates: templates("weir://a.b/db://{x}/{y}", "{?p}"),
		},
	}, Options{})
	check(t, dump(s), `
		resource file:///mine = a.b/file:///mine
		resource ui://a.b/host/x = a.b/ui://host/x
		resource ui://c%2Fd/host/x = c/d/ui://host/x
		resource ui://e/a.b/host/x = e/ui://a.b/host/x
		resource ui://e/e/a.b/host/x = e/ui://e/a.b/host/x
		resource weir://a.b/file:///same = a.b/file:///same
		resource weir://a.b/urn:isbn:1 = a.b/urn:isbn:1
		resource weir://c%2Fd/file:///same = c/d/file:///same
		resource weir://c%2Fd/urn:isbn:1 = c/d/urn:isbn:1
		resource weir://e/weir://c%2Fd/file:///same = e/weir://c%2Fd/file:///same
		resource template note://{id:3} = c/d/note://{id:3}
		resource template note://{id} = a.b/note://{id}
		resource template weir://a.b/db://{table}/{row} = a.b/db://{table}/{row}
		resource template weir://c%2Fd/db://{t}/{r} = c/d/db://{t}/{r}
		resource template weir://e/weir://a.b/db://{x}/{y} = e/weir://a.b/db://{x}/{y}
		resource template {+any} = a.b/{+any}
		resource template {?p} = e/{?p}
		resource template {?q} = c/d/{?q}`)
	e, _, err := s.ResolveURI("ui://c%2Fd/host/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"uri":"ui://c%2Fd/host/x","name":"r"}`; string(e.Raw(Modern)) != want {
		t.Errorf("got %s, want %s", e.Raw(Modern), want)
	}
}

func TestUserInterfaceOfTools(t *testing.T) {
	tool := func(name, meta string) []byte {
		return fmt.Appendf(nil, `{"name":%q,"_meta":%s,"inputSchema":{"type":"object"}}`, name, meta)
	}
	s := Build([]*Source{
		{
			Upstream: "a",
			Tools: [][]byte{
				tool("both", `{"ui/resourceUri":"ui://old","x":1,"ui":{"visibility":[],"resourceUri":"ui://shared"}}`),
				tool("same", `{"ui/resourceUri":"ui://old"}`),
				tool("escaped", `{"\u0075i":{"resource\u0055ri":"ui:\/\/mine"}}`),
				tool("listed", `{"ui":{"resourceUri":"ui://listed"}}`),
				tool("secret", `{"ui":{"resourceUri":"ui://secret"}}`),
				tool("twice", `{"ui":{"resourceUri":"ui://1","resourceUri":"ui://2"}}`),
			},
			Resources: resources("ui://listed"),
		},
		{Upstream: "b", Tools: [][]byte{tool("x", `{"ui":{"resourceUri":"ui://shared"}}`)}, Resources: resources("ui://shared")},
	}, Options{Naming: Bare, Rules: map[string]Rules{"a": {Exclude: []string{"ui://secret"}}}})
	check(t, dump(s), `
		tool both = a/both
		tool escaped = a/escaped
		tool listed = a/listed
		tool same = a/same
		tool secret = a/secret
		tool twice = a/twice
		tool x = b/x
		resource ui://a/shared = a/ui://shared unlisted
		resource ui://b/shared = b/ui://shared
		resource ui://listed = a/ui://listed
		resource ui://mine = a/ui://mine unlisted
		resource ui://old = a/ui://old unlisted`)
	want := string(tool("both", `{"ui/resourceUri":"ui://old","x":1,"ui":{"visibility":[],"resourceUri":"ui://a/shared"}}`))
	if got := string(s.Entries()[0].Raw(Modern)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	page, err := s.View(nil).List(Resource, Modern, "")
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"uri":"ui://b/shared","name":"r"},{"uri":"ui://listed","name":"r"}`; string(page.Items) != want {
		t.Errorf("got %s, want %s", page.Items, want)
	}
}

// Name and links are spliced in whatever order they stand.
func TestEverySurfaceOfAToolFollowsAMove(t *testing.T) {
	const raw = `{"_meta":{"ui":{"resourceUri":"%[1]s"},"ui/resourceUri":"%[1]s"},"inputSchema":{"type":"object"},"name":"%[2]s","x":"%[1]s"}`
	s := Build([]*Source{
		{Upstream: "a", Tools: raws(fmt.Sprintf(raw, "ui://app", "t"))},
		{Upstream: "b", Resources: resources("ui://app")},
	}, Options{})
	want := strings.Replace(fmt.Sprintf(raw, "ui://a/app", "a__t"), `"x":"ui://a/app"`, `"x":"ui://app"`, 1)
	if got := string(s.Entries()[0].Raw(Modern)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// resolveSources are three upstreams with resources: fs has a broad template, db a narrow one, wiki shares a URI and a template with fs.
func resolveSources() []*Source {
	return []*Source{
		{Upstream: "db", Templates: templates("db://{table}/{row}", "db://users/{id}", "both://{x}/1")},
		{
			Upstream:  "fs",
			Resources: resources("file:///a", "ui://app", "file:///same"),
			Templates: templates("file:///{+path}", "file:///secret/{name}", "file:///secret/{other}", "note://{id}", "both://1/{x}"),
		},
		{Upstream: "wiki", Resources: resources("file:///same", "ui://app", "db://users/7"), Templates: templates("note://{n}")},
		{Upstream: "tools", Tools: tools("x"), Capabilities: []byte(`{"tools":{}}`)},
	}
}

func TestResolveURI(t *testing.T) {
	hide := func(refs ...string) func(*Entry) bool {
		return func(e *Entry) bool { return !slices.Contains(refs, e.Ref.String()) }
	}
	only := func(upstream string) func(*Entry) bool {
		return func(e *Entry) bool { return e.Ref.Upstream == upstream }
	}
	tests := []struct {
		uri     string
		visible func(*Entry) bool
		want    string // Ref of the entry → target, or the error
	}{
		{"file:///a", nil, "fs/file:///a → file:///a"},
		{"file:///a", hide("fs/file:///a"), `unknown resource "file:///a"`}, // the broad template does not open it
		{"file:///b/c", nil, "fs/file:///{+path} → file:///b/c"},
		{"file:///secret/x", nil, "fs/file:///secret/{name} → file:///secret/x"},
		{"file:///secret/x", hide("fs/file:///secret/{other}"), `unknown resource "file:///secret/x"`},
		{"file:///private/x", nil, `unknown resource "file:///private/x"`}, // excluded
		{"db://users/7", nil, "wiki/db://users/7 → db://users/7"},          // listed goes before templates
		{"db://users/7", hide("wiki/db://users/7"), "db/db://users/{id} → db://users/7"},
		{"db://users/8", nil, "db/db://users/{id} → db://users/8"},
		{"db://users/8", hide("db/db://users/{id}"), `unknown resource "db://users/8"`},
		{"db://posts/8", nil, "db/db://{table}/{row} → db://posts/8"},
		{"both://1/1", nil, `ambiguous resource "both://1/1": it matches "both://{x}/1" of db and "both://1/{x}" of fs equally well`},
		{"both://1/1", hide("db/both://{x}/1"), "fs/both://1/{x} → both://1/1"},

		{"weir://fs/file:///same", nil, "fs/file:///same → file:///same"},
		{"ui://wiki/app", nil, "wiki/ui://app → ui://app"},
		{"file:///same", nil, `ambiguous resource "file:///same": 2 upstreams have one; use "weir://fs/file:///same" or "weir://wiki/file:///same"`},
		{"ui://app", hide("wiki/ui://app"), "fs/ui://app → ui://app"},
		// For this caller only db has resources, and db may know more than it lists.
		{"ui://app", hide("wiki/ui://app", "fs/ui://app"), "db/ui://app → ui://app"},
		{"ui://app", hide("wiki/ui://app", "fs/ui://app", "db/ui://app"), `unknown resource "ui://app"`},
		{"weir://wiki/note://5", nil, "wiki/note://{n} → note://5"},
		{"note://5", nil, `ambiguous resource "note://5": it matches "weir://fs/note://{id}" of fs and "weir://wiki/note://{n}" of wiki equally well`},
		{"note://5", only("wiki"), "wiki/note://{n} → note://5"},
		{"weir://db/note://5", nil, `unknown resource "weir://db/note://5"`},

		{"unlisted://x", nil, `unknown resource "unlisted://x"`}, // three could be meant
		{"unlisted://x", only("wiki"), "wiki/unlisted://x → unlisted://x"},
		{"unlisted://x", hide("wiki/unlisted://x", "db/unlisted://x"), "fs/unlisted://x → unlisted://x"},
		{"unlisted://x", only("tools"), `unknown resource "unlisted://x"`},
		{"file:///private/x", only("fs"), `unknown resource "file:///private/x"`},
		{"", nil, `unknown resource ""`},
		{"file:///" + strings.Repeat(",", maxMatchedURI), nil, `unknown resource "file:///` + strings.Repeat(",", 92) + `…"`},
	}
	s := Build(resolveSources(), Options{Rules: map[string]Rules{"fs": {Exclude: []string{"file:///private/*"}}}})
	for _, tt := range tests {
		e, target, err := s.ResolveURI(tt.uri, tt.visible)
		got := fmt.Sprint(err)
		if err == nil {
			got = e.Ref.String() + " → " + target
		} else if code := codeOf(err); code != NotFound {
			t.Errorf("%s: code %s", tt.uri, code)
		}
		if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.uri, got, tt.want)
		}
	}
}

func TestMostLiteralTemplateWins(t *testing.T) {
	s := Build([]*Source{
		{Upstream: "a", Templates: templates("x:{+p}", "y:{+p}", "{s}:narrow/{id}", "weir://{+any}")},
		{Upstream: "b", Templates: templates("x:long/{+p}", "n://{id}")},
		{Upstream: "c", Templates: templates("{+p}", "n://{id}", "c://{+p}")},
	}, Options{})
	tests := []struct{ uri, want string }{
		{"x:1", "a/x:{+p} → x:1"},
		{"x:long/1", "b/x:long/{+p} → x:long/1"},
		{"y:narrow/1", "a/{s}:narrow/{id} → y:narrow/1"},
		{"z:1", "c/{+p} → z:1"},
		{"weir://b/n://5", "b/n://{id} → n://5"}, // the upstream that was put in counts
		{"weir://b/x:1", "a/weir://{+any} → weir://b/x:1"},
		{"c://" + strings.Repeat("a", maxMatchedURI-4), "c/c://{+p} → c://" + strings.Repeat("a", maxMatchedURI-4)},
	}
	for _, tt := range tests {
		e, target, err := s.ResolveURI(tt.uri, nil)
		if err != nil {
			t.Errorf("%s: %v", tt.uri, err)
		} else if got := e.Ref.String() + " → " + target; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.uri, got, tt.want)
		}
	}
}

func TestUnlistedURIIsDecidedByTheView(t *testing.T) {
	s := Build([]*Source{
		{Upstream: "fs", Capabilities: []byte(`{"resources":{"subscribe":true}}`)},
		{Upstream: "none", Capabilities: []byte(`{"resources":null,"tools":{}}`)},
		{Upstream: "broken", Capabilities: []byte(`{"resources":{}`)},
	}, Options{})
	open := s.View(func(e *Entry) bool { return !strings.Contains(e.Ref.Name, "secret") })
	e, target, err := s.ResolveURI("file:///x", open.Visible)
	if err != nil {
		t.Fatal(err)
	}
	want := Entry{Kind: Resource, Ref: Ref{"fs", "file:///x"}, Name: "file:///x", Unlisted: true, index: -1}
	if diff := cmp.Diff(want, *e, cmp.AllowUnexported(Entry{})); diff != "" || target != "file:///x" {
		t.Error(target, diff)
	}
	if !open.Visible(e) || e.Index() != -1 || e.Raw(Modern) != nil {
		t.Errorf("visible %v, index %d", open.Visible(e), e.Index())
	}
	if _, _, err := s.ResolveURI("file:///secret", open.Visible); err == nil {
		t.Error("a view opened what its rule hides")
	}
	limited := Build(s.Sources(), Options{Rules: map[string]Rules{"fs": {Include: []string{"file:///docs/*"}, Exclude: []string{"*/old"}}}})
	for uri, want := range map[string]bool{"file:///docs/new": true, "file:///docs/old": false, "file:///other": false} {
		if _, _, err := limited.ResolveURI(uri, nil); (err == nil) != want {
			t.Errorf("%s: %v", uri, err)
		}
	}
	if open.Has(Resource) {
		t.Error("an entry that was made for a URI is listed")
	}
}

func TestResolveFindsResourcesAndTemplatesByTheirPublicForm(t *testing.T) {
	s := Build(resolveSources(), Options{})
	for _, e := range s.Entries() {
		if got, err := s.Resolve(e.Kind, e.Name, nil); err != nil || got != e {
			t.Errorf("%s %s: %v %v", e.Kind, e.Name, got, err)
		}
	}
	if _, err := s.Resolve(Template, "note://{id}", nil); err == nil {
		t.Error("a template that moved is found by its own text")
	}
}

func TestPublicURI(t *testing.T) {
	s := Build(resolveSources(), Options{})
	tests := []struct{ upstream, uri, want string }{
		{"fs", "file:///a", "file:///a"},
		{"fs", "file:///same", "weir://fs/file:///same"},
		{"wiki", "file:///same", "weir://wiki/file:///same"},
		{"wiki", "ui://app", "ui://wiki/app"},
		{"fs", "note://5", "weir://fs/note://5"},
		{"fs", "file:///b", "file:///b"},
		{"fs", "unlisted://b", "unlisted://b"},
		{"db", "file:///same", "file:///same"},
		{"gone", "file:///same", "file:///same"},
	}
	for _, tt := range tests {
		if got := s.PublicURI(tt.upstream, tt.uri); got != tt.want {
			t.Errorf("%s %s: got %s, want %s", tt.upstream, tt.uri, got, tt.want)
		}
	}
	got := map[string]bool{}
	for _, upstream := range []string{"db", "fs", "wiki", "tools", "gone"} {
		got[upstream] = s.Moves(upstream)
	}
	if diff := cmp.Diff(map[string]bool{"db": false, "fs": true, "wiki": true, "tools": false, "gone": false}, got); diff != "" {
		t.Error(diff)
	}
}

// Whatever two upstreams list, every entry has its own public URI, and it leads back to the upstream's.
func FuzzURIs(f *testing.F) {
	f.Add("a", "ui://x", "b", "ui://x", "ui://a/x")
	f.Add("a/b", "urn:x", "ü", "urn:x", "weir://a%2Fb/urn:x")
	f.Add("", "x", " ", "x", "weir:///x")
	f.Add("a", "{x}", "b", "{y}", "weir://a/{z}")
	f.Fuzz(func(t *testing.T, up1, uri1, up2, uri2, uri3 string) {
		s := Build([]*Source{
			{Upstream: up1, Resources: fuzzResources(uri1, uri3), Templates: fuzzTemplates(uri1, uri3)},
			{Upstream: up2, Resources: fuzzResources(uri2, uri3), Templates: fuzzTemplates(uri2, uri3)},
		}, Options{})
		checkNames(t, s)
		for _, e := range s.Entries() {
			if e.Kind != Resource {
				continue
			}
			found, target, err := s.ResolveURI(e.Name, nil)
			if err != nil || found != e || target != e.Ref.Name {
				t.Errorf("%q leads to %q: %v", e.Name, target, err)
			}
			if public := s.PublicURI(e.Ref.Upstream, target); public != e.Name {
				t.Errorf("%q is public as %q, not %q", target, public, e.Name)
			}
		}
	})
}

func TestTemplateShape(t *testing.T) {
	tests := []struct{ text, shape string }{
		{"", ""},
		{"a://b", "a://b"},
		{"a://{x}/{+y}b", "a://{}/{+}b"},
		{"{x:3,y*,z}", "{:3,*,}"},
		{"x{?q,r*}{&s}{;t:9}", "x{?q,r*}{&s}{;t:9}"},
		{"{#a}{.b}{/c*}", "{#}{.}{/*}"},
	}
	for _, tt := range tests {
		got, fault := parseTemplate(tt.text)
		if fault != "" {
			t.Errorf("%s: %s", tt.text, fault)
		} else if got.shape != tt.shape {
			t.Errorf("%s: got %s, want %s", tt.text, got.shape, tt.shape)
		}
	}
}
