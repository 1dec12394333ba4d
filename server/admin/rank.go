package admin

import (
	"maps"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"weir/catalog"
	"weir/server"
)

// Document is what a ranker sees of one thing to find: the name and where it belongs weigh most, then the summary.
type Document struct {
	Name, Path, Summary, Text string
	Arguments                 []string
}

// Search returns the positions of the documents that answer a question best, at most limit of those that keep lets pass.
type Search func(question string, limit int, keep func(i int) bool) []int

// example is a question as people put it, with the arguments that answer it.
type example struct {
	question  string
	arguments map[string]any
}

// index finds entries of a snapshot.
type index struct {
	search Search
	found  []found // by position of the document
}

// found is an entry, or one of its examples.
type found struct {
	entry     *catalog.Entry
	example   bool
	arguments map[string]any
}

// indexOf makes the index of a snapshot when somebody searches it first.
func (t *Tools) indexOf(s *catalog.Snapshot) *index {
	if x, ok := t.indexes.Get(s); ok {
		return x
	}
	x := &index{}
	var documents []Document
	put := func(d Document, f found) {
		documents = append(documents, d)
		x.found = append(x.found, f)
	}
	for _, e := range s.Entries() {
		if e.Unlisted && !e.Hidden {
			continue
		}
		title, description := texts(e)
		summary := firstSentence(description)
		d := Document{Name: e.Ref.Name, Path: e.Ref.Upstream, Summary: title + " " + summary, Text: strings.TrimPrefix(description, summary)}
		own := t.own(e)
		if own != nil {
			d.Path = "" // every question would be about weir
		}
		for _, key := range gjson.GetBytes(e.Raw(catalog.Modern), "inputSchema.properties.@keys").Array() {
			d.Arguments = append(d.Arguments, key.String())
		}
		put(d, found{entry: e})
		if own == nil {
			continue
		}
		for _, one := range own.examples {
			put(Document{Name: one.question}, found{e, true, one.arguments})
		}
	}
	x.search = t.o.Rank(documents)
	t.indexes.Add(s, x)
	return x
}

// What a question may name.
var (
	spanPattern  = regexp.MustCompile(`(?i)\b(?:last|past|previous)\s+(\d+\s*)?(minute|hour|day|week)s?\b`)
	tracePattern = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	tokenPattern = regexp.MustCompile(`[\pL\pN_][\pL\pN_./:@|-]*`)
)

// fill takes the arguments of an example and puts in what the question itself names: times, tools, upstreams, callers and traces.
func fill(t *tool, arguments map[string]any, question string, c server.Caller) map[string]any {
	out := maps.Clone(arguments)
	if out == nil {
		out = make(map[string]any)
	}
	put := func(key string, value any) {
		if _, ok := t.InputSchema.Properties[key]; ok && value != "" {
			out[key] = value
		}
	}
	put("query", question)
	put("since", span(question))
	put("trace", tracePattern.FindString(question))
	upstreams := visible(c)
	for _, word := range tokenPattern.FindAllString(question, -1) {
		word = strings.TrimRight(word, ".:-")
		if kind, _, ok := strings.Cut(word, ":"); ok && (kind == "user" || kind == "client" || kind == "group") {
			if p, _ := t.InputSchema.Properties["who"].(map[string]any); p["type"] == "array" {
				put("who", []string{word})
			} else {
				put("who", word)
			}
		}
		if upstreams[word] != nil {
			put("upstream", word)
		}
		if strings.ContainsAny(word, "_/") {
			if e, err := lookUp(c, word); err == nil {
				put("tool", e.Ref.String())
			}
		}
	}
	if out["tool"] != nil {
		delete(out, "upstream")
	}
	return out
}

// span is how long ago the time begins that a question speaks of, "" when it speaks of none.
func span(question string) string {
	m := spanPattern.FindStringSubmatch(question)
	if m == nil {
		return ""
	}
	n := strings.TrimSpace(m[1])
	if n == "" {
		n = "1"
	}
	switch strings.ToLower(m[2]) {
	case "minute":
		return n + "m"
	case "hour":
		return n + "h"
	case "week":
		if n == "1" {
			return "7d"
		}
		return "30d"
	default:
		return n + "d"
	}
}
