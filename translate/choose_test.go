package translate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestChoose: include adds up, exclude wins, explicit mode takes what is named, names are given by configuration, and what names nothing is said.
func TestChoose(t *testing.T) {
	t.Parallel()
	var all []Candidate
	for _, key := range []string{"pets.List", "pets.Get", "orders.List", ""} {
		identity := key
		if key == "" {
			identity = "GET /nothing"
		}
		all = append(all, Candidate{
			Wanted: Wanted{Name: PortableName(identity), Identity: identity}, Key: key,
			Match: func(word string, alone bool) (matches, known bool) {
				first, known := strings.CutPrefix(word, "tag:")
				return strings.HasPrefix(key, first), known || alone && word == "NONE"
			},
		})
	}
	tests := []struct {
		spec Spec
		want string
		said []string
	}{
		{Spec{}, "pets_List pets_Get orders_List GET_nothing", nil},
		{Spec{Include: []string{"pets.*", "*_nothing"}}, "pets_List pets_Get GET_nothing", nil},
		{Spec{Include: []string{"tag:pets *List"}}, "pets_List", nil},
		{Spec{Include: []string{"NONE", "*List NONE", "", "*_List"}}, "pets_List orders_List", []string{
			`include: "NONE" matches no operation that is kept`, `include: "*List NONE" matches no operation that is kept`, `include: "" matches no operation that is kept`,
		}},
		{Spec{Include: []string{"pets.*"}, Exclude: []string{"pets.Get", "pets.Put"}}, "pets_List", []string{`exclude: "pets.Put" matches no operation`}},
		{
			Spec{Mode: ModeExplicit, Include: []string{"none"}, Exclude: []string{"*Get"}, Tools: map[string]Tool{"pets.Get": {}, "orders_List": {Name: "orders"}, "GET /nothing": {}, "": {}, "other": {}}},
			"orders GET_nothing",
			[]string{`tools: "" names no operation of the description`, `tools: "other" names no operation of the description`},
		},
		{Spec{Tools: map[string]Tool{"pets.List": {Name: "list it!"}, "pets.Get": {Name: "!"}}}, "list_it pets_Get orders_List GET_nothing", nil},
		{
			Spec{Tools: map[string]Tool{"pets.List": {Name: "it"}, "orders.List": {Name: "it"}}},
			fmt.Sprintf("it_%s pets_Get it_%s GET_nothing", digest("pets.List"), digest("orders.List")), nil,
		},
	}
	for i, tt := range tests {
		var said []string
		kept := tt.spec.Choose("up", all, func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
		names := make([]string, len(kept))
		for i, k := range kept {
			names[i] = k.Name
		}
		if diff := cmp.Diff(tt.want, strings.Join(names, " ")); diff != "" {
			t.Errorf("%d: %s", i, diff)
		}
		if diff := cmp.Diff(tt.said, said); diff != "" {
			t.Errorf("%d: %s", i, diff)
		}
		if !slices.IsSortedFunc(kept, func(x, y Chosen) int { return x.Index - y.Index }) {
			t.Errorf("%d: not in order", i)
		}
	}
}
