package policy

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"weir/catalog"
)

func TestPattern(t *testing.T) {
	tests := []struct {
		pattern, ref string
		want         bool
	}{
		{"*", "github/get_issue", true},
		{"*", "files/file:///a/b", true},
		{"*/*", "files/file:///a/b", true},
		{"github/*", "github/get_issue", true},
		{"github/*", "githubevil/get_issue", false},
		{"github*/x", "githubevil/x", true},
		{"github/get_*", "github/get_", true},
		{"github/get_*", "github/forget_it", false},
		{"github/get_*_admin", "github/get_x", false},
		{"*/delete_*", "github/delete_repo", true},
		{"*/delete_*", "github/undelete_repo", false},
		{"*/get_*", "evil/delete_all/get_x", false},
		{"*/get_*", "files/file:///home/get_x", false},
		{"*/*secret*", "files/file:///home/secret", false},
		{"*/*delete*", "ns/a/delete", true},
		{"gith?b/x", "github/x", true},
		{"a/?", "a/ü", true},
		{"files/*", "files/file:///a/b", true},
		{"files/**", "files/file:///a/b", true},
		{"files/file:///docs/*", "files/file:///docs/a.md", true},
		{"files/file:///docs/*", "files/file:///docs/a/b.md", false},
		{"files/file:///docs/**", "files/file:///docs/a/b.md", true},
		{"files/file:///docs/**", "files/file:///docsevil/a", false},
		{"files/file:///**/*.md", "files/file:///a/b/c.md", true},
		{"files/file:///**/*.md", "files/file:///a/b/c.mdx", false},
		{"files/file:///*/*/c", "files/file:///a/b/c", true},
		{"files/file:///*/c", "files/file:///a/b/c", false},
		{"files/file:///?/c", "files/file:////c", false},
		{"files/***", "files/file:///a", true},
		{"db/pg://host/*/schema", "db/pg://host/users/schema", true},
		{"github/Delete_repo", "github/delete_repo", false},
		{"github/delete_repo", "github/delete_repo ", false},
	}
	for _, tt := range tests {
		p, err := parsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		upstream, name, _ := strings.Cut(tt.ref, "/")
		if got := p.match(catalog.Ref{Upstream: upstream, Name: name}); got != tt.want {
			t.Errorf("%q on %q: %v", tt.pattern, tt.ref, got)
		}
		if got := matchRef(tt.ref, tt.pattern); got != tt.want {
			t.Errorf("matchRef: %q on %q: %v", tt.pattern, tt.ref, got)
		}
	}
}

func TestPatternErrors(t *testing.T) {
	tests := map[string]string{
		"":                    "names no upstream",
		"github":              "names no upstream",
		"github*":             "names no upstream",
		"github__get_issue":   `write "github/get_issue"`,
		"/x":                  "write upstream/name",
		"x/":                  "write upstream/name",
		"x/a\x00":             "does not show",
		"x/a ":                "does not show",
		"x/a\u200b":           "does not show",
		"x/\u202eoper_eteled": "does not show",
		"x/\xff":              "does not show",
	}
	for text, want := range tests {
		if _, err := parsePattern(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if p := exact(catalog.Ref{Upstream: "a*", Name: "b?*"}); p.match(catalog.Ref{Upstream: "ax", Name: "bcd"}) || !p.match(catalog.Ref{Upstream: "a*", Name: "b?*"}) {
		t.Error("exact reads wildcards")
	}
}

// uriRegexp says the same as matchURI in another way.
func uriRegexp(glob string) *regexp.Regexp {
	var b strings.Builder
	for i := 0; i < len(glob); {
		switch {
		case strings.HasPrefix(glob[i:], "**"):
			b.WriteString(`.*`)
			i += 2
		case glob[i] == '*':
			b.WriteString(`[^/]*`)
			i++
		case glob[i] == '?':
			b.WriteString(`[^/]`)
			i++
		default:
			size := width(glob[i:])
			b.WriteString(regexp.QuoteMeta(glob[i : i+size]))
			i += size
		}
	}
	return regexp.MustCompile(`(?s)\A` + b.String() + `\z`)
}

func FuzzMatchURI(f *testing.F) {
	f.Add("file:///**/*.md", "file:///a/b.md")
	f.Add("a:*a*b/**/c?*", "a:aaab/x/y/cde")
	f.Add("a:*a/*b**", "a:xa/aab/b")
	f.Fuzz(func(t *testing.T, glob, name string) {
		if !utf8.ValidString(glob) || !utf8.ValidString(name) || len(glob) > 100 {
			matchURI(glob, name)
			return
		}
		if got, want := matchURI(glob, name), uriRegexp(glob).MatchString(name); got != want {
			t.Errorf("%q on %q: %v, want %v", glob, name, got, want)
		}
	})
}

func FuzzParsePattern(f *testing.F) {
	f.Add("github/*", "github", "x")
	f.Add("a__b", "a", "b")
	f.Fuzz(func(t *testing.T, text, upstream, name string) {
		p, err := parsePattern(text)
		if err != nil {
			return
		}
		ref := catalog.Ref{Upstream: upstream, Name: name}
		if p.match(ref) && !strings.HasPrefix(name, p.prefix) && !p.all {
			t.Errorf("%q matches %q without its prefix", text, ref)
		}
		if !strings.Contains(upstream, "/") && p.match(ref) != matchRef(ref.String(), text) {
			t.Errorf("%q on %q: match and matchRef differ", text, ref)
		}
	})
}

func TestNormal(t *testing.T) {
	for _, uri := range []string{
		"file:///docs/a.md", "file:///", "file:///a/", "https://host/a?b=../c", "mailto:ana@example.com", "a:b", "file:///a%20b/%C3%BC", "urn:isbn:1",
	} {
		if !normal(uri) {
			t.Errorf("%q is not normal", uri)
		}
	}
	for _, uri := range []string{
		"", "x", "file:///docs/../etc/passwd", "file:///docs/./x", "file:///docs//x", "file:////etc", "file:///docs/%2e%2e/x", "file:///docs/%2E./x",
		"file:///a%2fb", "file:///a%5Cb", `file:///a\b`, "file:///s%65cret", "FILE:///x", "https://Host/x", "file:///a%", "file:///a%zz", "file:///a%00",
		"file:///a%252e", "file:///a b", "file:///a\u200b", "file:///..", "a:..",
	} {
		if normal(uri) {
			t.Errorf("%q is normal", uri)
		}
	}
}
