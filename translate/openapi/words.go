package openapi

import (
	"slices"
	"strings"

	"weir/translate"
	"weir/translate/schema"
)

// maxWords bounds the description of a tool in bytes.
const maxWords = 900

// text is the description of the tool: what the API says, and what a model cannot see in the schema.
func (b *builder) text(o *operation, p *plan) string {
	text := o.change.Description
	if text == "" {
		text = joinWords(o.summary, o.text)
		if text == "" {
			text = o.method + " " + o.path
		}
	}
	if o.outdated {
		text = "Deprecated. " + text
	}
	text = schema.Shorten(text, maxWords)
	if p.whole && o.body != nil && len(o.body.media) > 1 {
		text += " The body is sent as " + p.media + "."
	}
	var group []string
	for _, a := range p.arguments {
		if a.group && !a.hidden {
			group = append(group, a.name)
		}
	}
	if len(group) > 0 && len(group) <= 8 {
		text += " The body is optional; with any part of it, " + strings.Join(group, ", ") + " must be given."
	}
	return text
}

// joinWords puts summary and description together, without saying one thing twice.
func joinWords(summary, text string) string {
	switch {
	case text == "":
		return summary
	case summary == "" || strings.HasPrefix(strings.ToLower(text), strings.ToLower(strings.TrimRight(summary, "."))):
		return text
	case strings.HasSuffix(summary, ".") || strings.HasSuffix(summary, "?") || strings.HasSuffix(summary, "!"):
		return summary + " " + text
	default:
		return summary + ". " + text
	}
}

// document is what the search knows of the tool.
func (b *builder) document(o *operation, t *tool) translate.Document {
	d := translate.Document{Name: t.Name, Path: o.method + " " + o.path, Summary: o.summary, Text: o.text, Tags: o.tags, Outdated: o.outdated}
	if d.Summary == "" {
		d.Summary = schema.Shorten(o.text, 160)
	}
	if words := o.change.Description; words != "" {
		d.Summary = schema.Shorten(words, 160)
	}
	for _, a := range t.plan.arguments {
		if a.hidden {
			continue
		}
		d.Arguments = append(d.Arguments, a.name)
		if a.required && a.fallback == nil {
			d.Required = append(d.Required, a.name)
		}
	}
	return d
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
		if a.hidden || a.place != inQuery && a.place != inField {
			continue
		}
		switch strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "", "$", "").Replace(a.wire)) {
		case "cursor", "pagetoken", "nexttoken", "nextcursor", "startingafter", "after", "continue", "continuation", "continuationtoken", "marker", "nextpagetoken":
			if p.cursor == "" {
				p.cursor = a.name
			}
		case "page", "pagenumber", "pageindex":
			p.page = a.name
		case "offset", "skip", "start", "startat":
			p.offset = a.name
		case "limit", "perpage", "pagesize", "maxresults", "count", "top":
			p.limit = a.name
		}
	}
	return p
}
