package openapi

import (
	"slices"
	"strings"

	"weir/translate"
)

// say writes the description of the tool: what the API says, and what a model cannot see in the schema.
func (b *builder) say(o *operation, t *tool) {
	p := t.plan
	t.Say(translate.Words{Configured: o.change.Description, Summary: o.summary, Text: o.text, Otherwise: o.method + " " + o.path, Outdated: o.outdated}, p.shared())
	t.Document.Path, t.Document.Tags = o.method+" "+o.path, o.tags
	if p.whole && o.body != nil && len(o.body.media) > 1 {
		t.Words += " The body is sent as " + p.media + "."
	}
	var group []string
	for _, a := range p.arguments {
		if a.group && !a.Hidden {
			group = append(group, a.Name)
		}
	}
	if len(group) > 0 && len(group) <= 8 {
		t.Words += " The body is optional; with any part of it, " + strings.Join(group, ", ") + " must be given."
	}
}

// hintsOf derives the annotations from the method; configuration overrides them.
func hintsOf(o *operation, override translate.Hints) translate.Annotations {
	h := translate.Annotations{OpenWorld: true, Destructive: true}
	switch o.method {
	case "GET", "HEAD", "QUERY":
		h = translate.Annotations{ReadOnly: true, Idempotent: true, OpenWorld: true}
	case "PUT", "DELETE":
		h.Idempotent = true
	case "POST":
		if readsOnly(o) {
			h = translate.Annotations{ReadOnly: true, Idempotent: true, OpenWorld: true}
		} else if createsOnly(o) {
			h.Destructive = false
		}
	}
	return h.With(override)
}

// readsOnly recognizes a POST that only carries a question: its path ends in a word that says so.
func readsOnly(o *operation) bool {
	last := strings.ToLower(o.path[strings.LastIndexByte(o.path, '/')+1:])
	return slices.Contains([]string{"search", "_search", "query", "_query", "lookup", ":search", ":query"}, last)
}

// createsOnly recognizes a POST that adds something: success is always 201.
func createsOnly(o *operation) bool {
	created := false
	for _, r := range o.responses {
		if strings.HasPrefix(r.status, "2") {
			if r.status != "201" {
				return false
			}
			created = true
		}
	}
	return created
}

// paging is how an operation is asked for its next page: arguments that are known by name.
type paging struct {
	cursor, page, offset, limit string
	most                        int // pages that one call reads, 0 when the tool reads one
}

func pagingOf(all []argument) paging {
	var p paging
	for _, a := range all {
		if a.Hidden || a.place != inQuery && a.place != inField {
			continue
		}
		switch strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "", "$", "").Replace(a.wire)) {
		case "cursor", "pagetoken", "nexttoken", "nextcursor", "startingafter", "after", "continue", "continuation", "continuationtoken", "marker", "nextpagetoken":
			if p.cursor == "" {
				p.cursor = a.Name
			}
		case "page", "pagenumber", "pageindex":
			p.page = a.Name
		case "offset", "skip", "start", "startat":
			p.offset = a.Name
		case "limit", "perpage", "pagesize", "maxresults", "count", "top":
			p.limit = a.Name
		}
	}
	return p
}
