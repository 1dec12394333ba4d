package openapi

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/translate"
)

// TestFilters: words of a pattern must all match, patterns add up, exclude wins, and a pattern without any operation is said.
func TestFilters(t *testing.T) {
	text := `{"openapi":"3.1.0","servers":[{"url":"https://h.test"}],"paths":{
		"/pets":{"get":{"operationId":"listPets","tags":["pets","user data"]},"post":{"operationId":"createPet","tags":["pets"]}},
		"/pets/{id}":{"get":{"operationId":"getPet","tags":["pets"]},"delete":{"tags":["admin"]}},
		"/orders":{"get":{"operationId":"listOrders","tags":["orders"]}}}}`
	tests := []struct {
		include, exclude []string
		want             string
		unmatched        string
	}{
		{nil, nil, "listPets createPet getPet delete_pets_by_id listOrders", ""},
		{[]string{"list*"}, nil, "listPets listOrders", ""},
		{[]string{"/pets*"}, []string{"DELETE"}, "listPets createPet getPet", ""},
		{[]string{"GET /pets*"}, nil, "listPets getPet", ""},
		{[]string{"GET tag:pets", "tag:admin"}, []string{"getPet"}, "listPets delete_pets_by_id", ""},
		{[]string{"tag:user?data"}, nil, "listPets", ""},
		{[]string{"delete_pets_by_id"}, nil, "delete_pets_by_id", ""},
		{[]string{"getPet", "getPat"}, nil, "getPet", `"getPat"`},
		{[]string{"get listPets", "listOrders"}, nil, "listPets listOrders", ""},
		{[]string{"getPet listPets", "listOrders"}, nil, "listOrders", `"getPet listPets"`},
	}
	for _, tt := range tests {
		tr := translateText(t, corpusFile{name: "test", text: []byte(text)}, Spec{Spec: translate.Spec{Include: tt.include, Exclude: tt.exclude}})
		var names []string
		for _, x := range tr.tools {
			names = append(names, x.Name)
		}
		if diff := cmp.Diff(tt.want, strings.Join(names, " ")); diff != "" {
			t.Errorf("%v without %v: %s", tt.include, tt.exclude, diff)
		}
		said := ""
		for _, w := range tr.state.Report.Warnings {
			if rest, ok := strings.CutPrefix(w.Message, "include: "); ok {
				said, _, _ = strings.Cut(rest, " matches")
			}
		}
		if said != tt.unmatched {
			t.Errorf("%v: said of %q, want %q", tt.include, said, tt.unmatched)
		}
	}
}
