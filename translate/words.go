package translate

import (
	"strings"

	"weir/translate/schema"
)

const (
	// maxWords bounds the description of a tool in bytes.
	maxWords = 900
	// maxSummary bounds what the search tells of it.
	maxSummary = 160
)

// Words are what is said about an operation.
type Words struct {
	Configured    string // by configuration, in place of what the description says
	Summary, Text string // by the description
	Otherwise     string // where nobody says anything
	Outdated      bool
}

// Say gives the tool its description, and tells the search what is said of it and of its arguments. Path and tags of the document are left alone.
func (t *Entry) Say(w Words, arguments []*Argument) {
	text := w.Configured
	if text == "" {
		text = joinWords(w.Summary, w.Text)
	}
	if text == "" {
		text = w.Otherwise
	}
	if w.Outdated {
		text = "Deprecated. " + text
	}
	t.Words = schema.Shorten(text, maxWords)
	d := &t.Document
	d.Name, d.Summary, d.Text, d.Outdated = t.Name, w.Summary, w.Text, w.Outdated
	if w.Configured != "" {
		d.Summary = schema.Shorten(w.Configured, maxSummary)
	} else if d.Summary == "" {
		d.Summary = schema.Shorten(w.Text, maxSummary)
	}
	for _, a := range arguments {
		if a.Hidden {
			continue
		}
		d.Arguments = append(d.Arguments, a.Name)
		if a.Required && a.Fallback == nil {
			d.Required = append(d.Required, a.Name)
		}
	}
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
