package catalog_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// doors are a source with two hidden tools, one of them listed as well, and the tool that calls them.
func doors() *catalog.Source {
	item := func(name string) []byte { return []byte(`{"name":"` + name + `","inputSchema":{"type":"object"}}`) }
	return &catalog.Source{
		Upstream: "api", Tools: [][]byte{item("call_api"), item("search_api"), item("one")}, Hidden: [][]byte{item("one"), item("two"), item("two"), []byte(`{}`)},
		Doors: map[string]func([]byte) (string, []byte, bool){
			"search_api": nil,
			"call_api": func(arguments []byte) (string, []byte, bool) {
				f, err := rawjson.Fields(arguments, "name", "arguments")
				if err != nil {
					return "", nil, false
				}
				name, ok := rawjson.String(f[0].Of(arguments))
				return name, f[1].Of(arguments), ok
			},
		},
	}
}

func TestHidden(t *testing.T) {
	s := catalog.Build([]*catalog.Source{doors()}, catalog.Options{Naming: catalog.Prefix})
	var all []string
	for _, e := range s.Entries() {
		text := e.Name
		if e.Hidden {
			text += " hidden"
		}
		if e.IsDoor() {
			text += " door"
		}
		all = append(all, text)
	}
	if diff := cmp.Diff([]string{"api__call_api door", "api__one", "api__search_api door", "one hidden", "two hidden"}, all); diff != "" {
		t.Error(diff)
	}
	if len(s.Problems()) != 2 {
		t.Errorf("problems %+v", s.Problems())
	}
	for _, name := range []string{"two", "api__two"} {
		if e, err := s.Resolve(catalog.Tool, name, nil); err == nil {
			t.Errorf("%s is %v", name, e)
		}
	}
	page, err := s.View(nil).List(catalog.Tool, catalog.Modern, "")
	if err != nil || page.Count != 3 {
		t.Errorf("%d listed, %v", page.Count, err)
	}
	door, err := s.Resolve(catalog.Tool, "call_api", nil)
	if err != nil {
		t.Fatal(err)
	}
	for arguments, want := range map[string]string{
		`{"name":"two","arguments":{"a":1}}`: "api/two", `{"name":"three"}`: "", `{"arguments":{}}`: "", `{"name":"two","name":"one"}`: "", `[]`: "",
	} {
		got := ""
		hidden, inner := s.Behind(door, []byte(arguments))
		if hidden != nil {
			got = hidden.Ref.String()
		}
		if got != want || got != "" && string(inner) != `{"a":1}` {
			t.Errorf("%s is about %q with %s, want %q", arguments, got, inner, want)
		}
	}
	if search, _ := s.Resolve(catalog.Tool, "search_api", nil); search == nil || !search.IsDoor() {
		t.Error("the search is no door")
	} else if hidden, _ := s.Behind(search, []byte(`{"name":"two"}`)); hidden != nil {
		t.Error("a search is about a tool")
	}
}
