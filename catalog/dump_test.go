package catalog

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog/rawjson"
)

// tools returns raw tools of these names, as short as they may be.
func tools(names ...string) [][]byte {
	var raws [][]byte
	for _, name := range names {
		raws = append(raws, fmt.Appendf(nil, `{"name":%q,"inputSchema":{"type":"object"}}`, name))
	}
	return raws
}

func prompts(names ...string) [][]byte {
	var raws [][]byte
	for _, name := range names {
		raws = append(raws, fmt.Appendf(nil, `{"name":%q}`, name))
	}
	return raws
}

func resources(uris ...string) [][]byte {
	var raws [][]byte
	for _, uri := range uris {
		raws = append(raws, fmt.Appendf(nil, `{"uri":%q,"name":"r"}`, uri))
	}
	return raws
}

func templates(texts ...string) [][]byte {
	var raws [][]byte
	for _, text := range texts {
		raws = append(raws, fmt.Appendf(nil, `{"uriTemplate":%q,"name":"t"}`, text))
	}
	return raws
}

func raws(texts ...string) [][]byte {
	var raws [][]byte
	for _, text := range texts {
		raws = append(raws, []byte(text))
	}
	return raws
}

// dump writes a snapshot as one line per entry and problem.
func dump(s *Snapshot) string {
	var b strings.Builder
	for _, e := range s.Entries() {
		fmt.Fprintf(&b, "%s %s = %s", e.Kind, e.Name, e.Ref)
		if e.Unlisted {
			b.WriteString(" unlisted")
		}
		b.WriteByte('\n')
	}
	for _, p := range s.Problems() {
		verb := "warning"
		if p.Withheld {
			verb = "withheld"
		}
		fmt.Fprintf(&b, "%s %s\n", verb, p.Reason)
		if p.Fix != "" {
			fmt.Fprintf(&b, "  fix %s\n", p.Fix)
		}
	}
	return b.String()
}

// check compares got and want, two texts that may be indented.
func check(t *testing.T, got, want string) {
	t.Helper()
	trim := func(s string) []string {
		var lines []string
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
		return lines
	}
	if diff := cmp.Diff(trim(want), trim(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// fuzzTools is tools for names that are not known to be UTF-8.
func fuzzTools(names ...string) [][]byte {
	var raws [][]byte
	for _, name := range names {
		raw := rawjson.AppendString([]byte(`{"name":`), name)
		raws = append(raws, append(raw, `,"inputSchema":{"type":"object"}}`...))
	}
	return raws
}

func fuzzResources(uris ...string) [][]byte {
	var raws [][]byte
	for _, uri := range uris {
		raw := rawjson.AppendString([]byte(`{"uri":`), uri)
		raws = append(raws, append(raw, `,"name":"r"}`...))
	}
	return raws
}

func fuzzTemplates(texts ...string) [][]byte {
	var raws [][]byte
	for _, text := range texts {
		raw := rawjson.AppendString([]byte(`{"uriTemplate":`), text)
		raws = append(raws, append(raw, `,"name":"t"}`...))
	}
	return raws
}

// codeOf returns the code of an error of ours, "" for any other.
func codeOf(err error) Code {
	var e *Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Code
}
