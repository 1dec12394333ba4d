package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog/rawjson"
)

// names returns what the items of a page are called.
func names(t *testing.T, kind Kind, p Page) []string {
	t.Helper()
	var got []string
	array := append(append([]byte("["), p.Items...), ']')
	err := rawjson.Elements(array, func(s rawjson.Span) bool {
		fields, err := rawjson.Fields(s.Of(array), kind.members()[0])
		if err != nil {
			t.Fatal(err)
		}
		name, _ := rawjson.String(fields[0].Of(s.Of(array)))
		got = append(got, name)
		return true
	})
	if err != nil {
		t.Fatalf("%s: %v", array, err)
	}
	if len(got) != p.Count {
		t.Errorf("%d items, and Count is %d", len(got), p.Count)
	}
	return got
}

// listed walks all pages.
func listed(t *testing.T, v *View, kind Kind, era Era) []string {
	t.Helper()
	var got []string
	cursor := ""
	for {
		p, err := v.List(kind, era, cursor)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, names(t, kind, p)...)
		if p.Next == "" {
			return got
		}
		if p.Count == 0 {
			t.Fatal("an empty page has a next one")
		}
		cursor = p.Next
	}
}

func numbered(format string, n int) []string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprintf(format, i))
	}
	return s
}

func TestPages(t *testing.T) {
	tests := []struct{ entries, size, pages int }{
		{0, 3, 1}, {1, 3, 1}, {2, 3, 1}, {3, 3, 1}, {4, 3, 2}, {6, 3, 2}, {7, 3, 3}, {5, 1, 5}, {1000, 0, 1}, {1001, 0, 2}, {1001, -1, 2},
	}
	for _, tt := range tests {
		want := numbered("t%04d", tt.entries)
		v := Build([]*Source{{Upstream: "up", Tools: tools(want...)}}, Options{Naming: Bare, PageSize: tt.size}).View(nil)
		var got []string
		pages, cursor := 0, ""
		for {
			p, err := v.List(Tool, Legacy, cursor)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, names(t, Tool, p)...)
			if pages++; p.Next == "" {
				break
			}
			cursor = p.Next
		}
		if diff := cmp.Diff(want, got); diff != "" || pages != tt.pages {
			t.Errorf("%d entries, page size %d: %d pages, want %d\n%s", tt.entries, tt.size, pages, tt.pages, diff)
		}
	}
}

func TestListsAreOrderedByBytes(t *testing.T) {
	s := Build([]*Source{{Upstream: "b", Tools: tools("z", "B", "a_", "a-", "a")}, {Upstream: "a", Tools: tools("b", "_")}}, Options{Naming: Bare})
	if diff := cmp.Diff(strings.Fields("B _ a a- a_ b z"), listed(t, s.View(nil), Tool, Modern)); diff != "" {
		t.Error(diff)
	}
}

func TestTrap5_19_EqualResourceNamesSkipNothing(t *testing.T) {
	var uris []string
	for i := range 25 {
		uris = append(uris, fmt.Sprintf("file:///%02d", i))
	}
	v := Build([]*Source{{Upstream: "up", Resources: resources(uris...), Templates: templates("a://{x}", "b://{x}", "c://{x}")}},
		Options{PageSize: 2}).View(nil)
	if diff := cmp.Diff(uris, listed(t, v, Resource, Modern)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a://{x}", "b://{x}", "c://{x}"}, listed(t, v, Template, Legacy)); diff != "" {
		t.Error(diff)
	}
}

func TestCursors(t *testing.T) {
	s := Build([]*Source{{Upstream: "up", Tools: tools("a", "b", "c"), Prompts: prompts("a", "b")}}, Options{PageSize: 1})
	v := s.View(nil)
	page, err := v.List(Tool, Modern, "")
	if err != nil {
		t.Fatal(err)
	}
	const good = "AQDyVp25dXBfX2E" // the cursor behind up__a: it must be good on another node and after an update
	if page.Next != good {
		t.Errorf("next is %s, want %s", page.Next, good)
	}
	tests := []struct{ cursor, want string }{
		{good, ""},
		{good[:len(good)-1], "damaged or from elsewhere"},
		{"BQ" + good[2:], "not one that this gateway gave out"},
		{"x", "not one that this gateway gave out"},
		{"a b", "not one that this gateway gave out"},
		{"eyJvZmZzZXQiOjUwfQ", "not one that this gateway gave out"},
		{"50", "not one that this gateway gave out"},
		{"AQAAAAAAdXBfX2E", "damaged or from elsewhere"},
		{newCursor(Prompt, "up__a"), "belongs to the list of prompts"},
		{newCursor(Template, "x"), "belongs to the list of resource templates"},
		{strings.Repeat("A", 5000), "not one that this gateway gave out"},
	}
	for _, tt := range tests {
		p, err := v.List(Tool, Modern, tt.cursor)
		if tt.want == "" {
			if err != nil || p.Count != 1 {
				t.Errorf("%s: %v", tt.cursor, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Code != Invalid || !strings.HasPrefix(e.Msg, "cursor ") || !strings.Contains(e.Msg, tt.want) || e.Hint == "" || len(e.Msg) > 300 {
			t.Errorf("%s: got %v, want %s", tt.cursor, err, tt.want)
		}
	}
	if p, err := v.List(Tool, Modern, newCursor(Tool, "zzz")); err != nil || p.Count != 0 || p.Next != "" || p.Items != nil {
		t.Errorf("behind the end: %+v, %v", p, err)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(uint8(0), "up__a", "AQDyVp25dXBfX2E")
	f.Add(uint8(2), strings.Repeat("x", 300), "")
	f.Fuzz(func(t *testing.T, kind uint8, name, foreign string) {
		k := Kind(kind) % kinds
		last, err := parseCursor(k, newCursor(k, name))
		if err != nil || string(last) != name {
			t.Errorf("%q came back as %q: %v", name, last, err)
		}
		if _, err := parseCursor((k+1)%kinds, newCursor(k, name)); err == nil {
			t.Error("a cursor is good for another kind")
		}
		if last, err := parseCursor(k, foreign); err == nil {
			if again, err := parseCursor(k, newCursor(k, string(last))); err != nil || !bytes.Equal(again, last) {
				t.Errorf("%q was taken as %q", foreign, last)
			}
		}
	})
}

// Someone turns pages while tools come and go: what was there all the while is seen once, and nothing is seen twice.
func TestPagesStayTrueWhileSnapshotsChange(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		all := numbered("t%02d", 2+r.IntN(40))
		there := make(map[string]bool)
		for _, name := range all {
			there[name] = r.IntN(3) > 0
		}
		always := make(map[string]bool)
		maps.Copy(always, there)
		build := func() *View {
			var now []string
			for _, name := range all {
				if there[name] {
					now = append(now, name)
				}
				always[name] = always[name] && there[name]
			}
			r.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
			return Build([]*Source{{Upstream: "up", Tools: tools(now...)}}, Options{Naming: Bare, PageSize: 1 + r.IntN(7)}).View(nil)
		}
		seen := make(map[string]int)
		cursor := ""
		for {
			p, err := build().List(Tool, Modern, cursor)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names(t, Tool, p) {
				seen[name]++
			}
			if cursor = p.Next; cursor == "" {
				break
			}
			for range r.IntN(4) {
				name := all[r.IntN(len(all))]
				there[name] = !there[name]
			}
		}
		for _, name := range all {
			if seen[name] > 1 || always[name] && seen[name] == 0 {
				t.Fatalf("%s was seen %d times, there all the while: %v", name, seen[name], always[name])
			}
		}
	}
}

func TestView(t *testing.T) {
	s := Build([]*Source{{Upstream: "up", Tools: tools(numbered("t%03d", 200)...), Prompts: prompts("p")}}, Options{Naming: Bare})
	asked := make(map[*Entry]int)
	odd := s.View(func(e *Entry) bool { asked[e]++; return e.Kind == Tool && e.Index()%2 == 1 })
	for _, e := range s.Entries() {
		if asked[e] != 1 {
			t.Errorf("%s was decided %d times", e.Ref, asked[e])
		}
		if want := e.Kind == Tool && e.Index()%2 == 1; odd.Visible(e) != want {
			t.Errorf("%s: visible is %v", e.Ref, !want)
		}
	}
	if got := listed(t, odd, Tool, Modern); len(got) != 100 || got[0] != "t001" || got[99] != "t199" {
		t.Error(got)
	}
	if !odd.Has(Tool) || odd.Has(Prompt) || odd.Has(Resource) || odd.Snapshot() != s {
		t.Error("the view has other kinds than it shows")
	}
	stranger := Build(s.Sources(), Options{Naming: Bare}).Entries()[0]
	if odd.Visible(stranger) || asked[stranger] != 1 {
		t.Error("an entry of another snapshot was not decided by the rule")
	}
	if page, err := odd.List(Prompt, Modern, ""); err != nil || page.Count != 0 || page.Items != nil || page.Next != "" {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestListIsSharedAndCheap(t *testing.T) {
	s := Build([]*Source{{Upstream: "up", Tools: tools(numbered("t%03d", 30)...)}}, Options{PageSize: 10})
	v := s.View(nil)
	first, err := v.List(Tool, Modern, "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := v.List(Tool, Legacy, "")
	if err != nil {
		t.Fatal(err)
	}
	if &first.Items[0] != &second.Items[0] || cap(first.Items) != len(first.Items) {
		t.Error("pages that are equal do not share their bytes, or let callers write behind them")
	}
	warm := func() {
		if _, err := v.List(Tool, Modern, first.Next); err != nil {
			t.Error(err)
		}
	}
	if n := testing.AllocsPerRun(100, warm); n > 4 {
		t.Errorf("%v allocations for a warm page", n)
	}
	visible := v.Visible
	resolve := func() {
		if _, err := s.Resolve(Tool, "up__t011", visible); err != nil {
			t.Error(err)
		}
	}
	if n := testing.AllocsPerRun(100, resolve); n > 0 {
		t.Errorf("%v allocations to resolve a name", n)
	}
}

func TestSame(t *testing.T) {
	base := []*Source{{Upstream: "up", Tools: tools("a", "b"), Prompts: prompts("p")}}
	view := func(s *Source, options Options) *View { return Build([]*Source{s}, options).View(nil) }
	first := Build(base, Options{}).View(nil)
	tests := []struct {
		name string
		view *View
		want map[Kind]bool
	}{
		{"itself", first, map[Kind]bool{Tool: true, Prompt: true, Resource: true, Template: true}},
		{"equal bytes", view(&Source{Upstream: "up", Tools: tools("b", "a"), Prompts: prompts("p")}, Options{}), map[Kind]bool{Tool: true, Prompt: true}},
		{"another tool", view(&Source{Upstream: "up", Tools: tools("a", "c"), Prompts: prompts("p")}, Options{}), map[Kind]bool{Tool: false, Prompt: true}},
		{"fewer prompts", view(&Source{Upstream: "up", Tools: tools("a", "b")}, Options{}), map[Kind]bool{Tool: true, Prompt: false}},
		{"other names", view(base[0], Options{Naming: Bare}), map[Kind]bool{Tool: false, Prompt: false}},
		{"fewer visible", Build(base, Options{}).View(func(e *Entry) bool { return e.Ref.Name != "a" }), map[Kind]bool{Tool: false, Prompt: true}},
		{
			"another description", view(&Source{Upstream: "up", Prompts: prompts("p"), Tools: raws(`{"name":"a","inputSchema":{"type":"object"}}`, `{"name":"b","inputSchema":{"type":"object"},"x":1}`)}, Options{}),
			map[Kind]bool{Tool: false},
		},
		{
			"a change that only modern lists show",
			view(&Source{Upstream: "up", Tools: raws(`{"name":"a","inputSchema":{"type":"object"}}`, `{"name":"b","inputSchema":{"type":"object"},"outputSchema":{"type":"array"}}`)}, Options{}),
			map[Kind]bool{Tool: false},
		},
		{
			"what is not listed does not count",
			view(&Source{Upstream: "up", Tools: append(tools("b"), raws(`{"name":"a","inputSchema":{"type":"object"}}`)...), Prompts: prompts("p"), Resources: raws(`1`)}, Options{}),
			map[Kind]bool{Tool: true, Prompt: true, Resource: true},
		},
	}
	for _, tt := range tests {
		for kind, want := range tt.want {
			if got := first.Same(kind, tt.view); got != want {
				t.Errorf("%s: %ss: %v", tt.name, kind, got)
			}
			if got := tt.view.Same(kind, first); got != want {
				t.Errorf("%s, the other way round: %ss: %v", tt.name, kind, got)
			}
		}
	}
}

func TestListIsSafeForConcurrentUse(t *testing.T) {
	want := numbered("t%03d", 100)
	s := Build([]*Source{{Upstream: "up", Tools: append(tools(want[:99]...), raws(`{"name":"t099","inputSchema":{"type":"object"},"outputSchema":true}`)...)}},
		Options{Naming: Bare, PageSize: 7})
	for range 20 {
		v := s.View(nil)
		var wg sync.WaitGroup
		var first [8]*byte
		for i := range 8 {
			wg.Go(func() {
				page, err := v.List(Tool, Era(i%2), "")
				if err != nil {
					t.Error(err)
					return
				}
				first[i] = &page.Items[0]
				if got := listed(t, v, Tool, Era(i%2)); !slices.Equal(got, want) {
					t.Errorf("got %v", got)
				}
			})
		}
		wg.Wait()
		for i := range first {
			if first[i] != first[i%2] {
				t.Error("a list was rendered twice")
			}
		}
	}
}
