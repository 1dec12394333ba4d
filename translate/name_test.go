package translate

import (
	"strings"
	"testing"
)

// TestNames: names keep to the alphabet and the limit, stay what they are when others come and go, and are told apart by what they stand for.
func TestNames(t *testing.T) {
	for given, want := range map[string]string{
		"getPet": "getPet", "issues/list-for repo": "issues_list-for_repo", "  a..b  ": "a_b", "übung": "bung", "__x__": "x", "日本": "", "a\u202eb": "a_b", "-x-": "x",
	} {
		if got := PortableName(given); got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
	}
	for _, tt := range []struct {
		name  string
		limit int
		want  string // * stands for the hash
	}{
		{"short", 40, "short"},
		{"get_users_by_id_of_users_in_users_by_name", 32, "get_users_by_id_of_in_name_*"},
		{"first_second_third_fourth_fifth_sixth_seventh_eighth", 32, "first_second_*_eventh_eighth"},
	} {
		got := FitName(tt.name, "GET /"+tt.name, tt.limit)
		head, tail, _ := strings.Cut(tt.want, "*")
		if len(got) > tt.limit || !strings.HasPrefix(got, head) || !strings.HasSuffix(got, tail) || strings.Contains(tt.want, "*") == (got == tt.name) {
			t.Errorf("%s became %s (%d), want %s", tt.name, got, len(got), tt.want)
		}
	}
	long := strings.Repeat("word", 30)
	if a, b := FitName(long+"1", "A", 40), FitName(long+"1", "B", 40); a == b {
		t.Errorf("two operations are both called %s", a)
	}
	all := []Wanted{{"list", "GET /a"}, {"list", "GET /b"}, {"get", "GET /c"}}
	names := NameAll(all, 40)
	if names[0] == names[1] || !strings.HasPrefix(names[0], "list_") || names[2] != "get" {
		t.Errorf("names %v", names)
	}
	more := NameAll([]Wanted{{"other", "GET /z"}, all[2], {"list", "GET /y"}, all[1], all[0]}, 40)
	if more[4] != names[0] || more[3] != names[1] || more[1] != names[2] {
		t.Errorf("%v became %v", names, more)
	}
	for _, wire := range []string{"StartTime<", "filter[created]", "X-Foo Bar", "é", strings.Repeat("x", 100), "$", "_"} {
		if got := PortableArgument(wire); len(got) == 0 || len(got) > MaxArgument || strings.Trim(got, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != "" {
			t.Errorf("%q became %q", wire, got)
		}
	}
}
