package catalog

import (
	"fmt"
	"testing"
)

// benchSources returns n tools of about 680 bytes, which is what real ones have, over ten upstreams.
func benchSources(n int) []*Source {
	const tool = `{"name":"create_thing_%[1]d","title":"Create thing %[1]d","description":"Creates a thing in the given project and returns its ` +
		`identifier. The title is required. Labels that do not exist are made. Use list_things first when you do not know the project.",` +
		`"inputSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"project":{"type":"string",` +
		`"description":"The project's key, for example WEIR"},"title":{"type":"string","minLength":1,"maxLength":200},"labels":{"type":"array",` +
		`"items":{"type":"string"},"default":[]},"limit":{"type":["integer","null"],"maximum":9007199254740993}},"required":["project","title"],` +
		`"additionalProperties":false},"annotations":{"readOnlyHint":false,"idempotentHint":false},"_meta":{"example.com/weight":%[1]d}}`
	sources := make([]*Source, 10)
	for i := range sources {
		sources[i] = &Source{Upstream: fmt.Sprintf("upstream%d", i), Capabilities: []byte(`{"tools":{}}`)}
	}
	for i := range n {
		s := sources[i%len(sources)]
		s.Tools = append(s.Tools, fmt.Appendf(nil, tool, i))
	}
	return sources
}

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			sources := benchSources(n)
			b.ReportAllocs()
			for b.Loop() {
				if s := Build(sources, Options{Naming: Prefix}); s.Len() != n {
					b.Fatalf("%d entries, want %d: %v", s.Len(), n, s.Problems()[0])
				}
			}
		})
	}
}

func BenchmarkView(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := Build(benchSources(n), Options{Naming: Prefix})
			odd := func(e *Entry) bool { return e.Index()%2 == 1 }
			b.ReportAllocs()
			for b.Loop() {
				v := s.View(odd)
				if p, err := v.List(Tool, Modern, ""); err != nil || p.Count == 0 {
					b.Fatal(p.Count, err)
				}
			}
		})
	}
}

func BenchmarkListWarm(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		for _, size := range []int{100, 100_000} {
			b.Run(fmt.Sprintf("%d/page=%d", n, size), func(b *testing.B) {
				v := Build(benchSources(n), Options{Naming: Prefix, PageSize: size}).View(nil)
				first, err := v.List(Tool, Modern, "")
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := v.List(Tool, Modern, first.Next); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	s := Build(benchSources(10_000), Options{Naming: Prefix})
	v := s.View(nil)
	visible := v.Visible
	for _, name := range []string{"upstream3__create_thing_5003", "create_thing_5003"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Resolve(Tool, name, visible); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkResolveURI(b *testing.B) {
	source := &Source{Upstream: "files", Capabilities: []byte(`{"resources":{}}`)}
	for i := range 1_000 {
		source.Resources = append(source.Resources, fmt.Appendf(nil, `{"uri":"file:///docs/%d.md","name":"doc"}`, i))
	}
	for i := range 100 {
		source.Templates = append(source.Templates, fmt.Appendf(nil, `{"uriTemplate":"db://table%d/{row}","name":"row"}`, i))
	}
	s := Build([]*Source{source}, Options{})
	for _, uri := range []string{"file:///docs/700.md", "db://table77/42", "note://unlisted"} {
		b.Run(uri, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := s.ResolveURI(uri, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHeaderValue(b *testing.B) {
	e := &Entry{}
	p := HeaderParam{Header: "Mcp-Param-Region", Path: []string{"where", "region"}}
	arguments := []byte(`{"query":"select 1","limit":10,"where":{"region":"eu-west-1","zone":"a"},"dry":false}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := e.HeaderValue(p, arguments); !ok {
			b.Fatal("no value")
		}
	}
}
