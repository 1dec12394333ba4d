package catalog

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestGlob(t *testing.T) {
	tests := []struct {
		glob, name string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "a/b__c.d", true},
		{"**", "x", true},
		{"?", "", false},
		{"?", "ü", true},
		{"??", "ü", false},
		{"get_*", "get_", true},
		{"get_*", "get_issue", true},
		{"get_*", "GET_issue", false},
		{"get_*", "forget_issue", false},
		{"*_issue", "get_issue_issue", true},
		{"*_issue", "get_issues", false},
		{"a*b*c", "a-bb-cb-c", true},
		{"a*b*c", "a-c-b", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"[a]", "a", false},
		{"[a]", "[a]", true},
		{`\*`, `\x`, true},
		{"*ü*", "xüy", true},
		{"\xff", "\xfe", false},
		{strings.Repeat("*a", 50) + "b", strings.Repeat("a", 5000), false},
	}
	for _, tt := range tests {
		if got := Glob(tt.glob).Match(tt.name); got != tt.want {
			t.Errorf("%q on %q: %v", tt.glob, tt.name, got)
		}
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("*?*", "ü")
	f.Fuzz(func(t *testing.T, glob, name string) {
		if !utf8.ValidString(glob) || !utf8.ValidString(name) {
			Glob(glob).Match(name)
			return
		}
		pattern := regexp.QuoteMeta(glob)
		pattern = strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(pattern)
		want := regexp.MustCompile(`(?s)\A` + pattern + `\z`).MatchString(name)
		if got := Glob(glob).Match(name); got != want {
			t.Errorf("%q on %q: %v, want %v", glob, name, got, want)
		}
	})
}
