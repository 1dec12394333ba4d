package openapi

import (
	"testing"

	"weir/catalog"
	"weir/translate"
)

// TestCatalogTakesEveryTool builds the namespace of several APIs: nothing is withheld, in modern lists and legacy ones, and names stay whole.
func TestCatalogTakesEveryTool(t *testing.T) {
	var sources []*catalog.Source
	tools := 0
	for _, prefix := range []string{"github", "stripe", "kubernetes-2", "okta", "box", "twilio", "slack", "asana", "museum"} {
		f := corpus(t, prefix)[0]
		if large(f.text) {
			continue
		}
		d, err := open("", f.text, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		upstream := f.name[:4]
		spec := Spec{Server: "https://h.test", Spec: translate.Spec{Mode: translate.ModeTools}}
		b := &builder{spec: &spec, upstream: upstream, configured: func(string) bool { return false }, description: d, converter: newConverter(d)}
		a := &API{spec: spec, options: translate.Options{Upstream: upstream}}
		s := translate.NewReading(upstream, &spec.Spec, a.translation(b, b.build()))
		tools += len(s.Source.Tools)
		sources = append(sources, s.Source)
	}
	snapshot := catalog.Build(sources, catalog.Options{})
	for _, p := range snapshot.Problems() {
		t.Errorf("%+v", p)
	}
	entries := snapshot.Entries()
	if len(entries) != tools {
		t.Errorf("%d of %d tools are entries", len(entries), tools)
	}
	for _, e := range entries {
		if want := e.Ref.Upstream + "__" + e.Ref.Name; e.Name != want || len(e.Name) > translate.MaxPublic {
			t.Errorf("%s is public as %s", e.Ref, e.Name)
		}
		if e.Raw(catalog.Legacy) == nil || e.HeadersFault != "" {
			t.Errorf("%s is in no legacy list, or faulty: %s", e.Ref, e.HeadersFault)
		}
	}
}
