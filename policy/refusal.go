package policy

import (
	"fmt"
	"strings"

	"weir/catalog"
)

// Refusal is the error for a caller who was denied a with entry, which it called name (a public name or a URI). It is one text for the
// caller, a model and the log.
//
// A caller who may not know of the entry gets the answer for a name that nothing has, word for word. Others get what was denied, the rule,
// the operator's reason, and what to use instead if they may use that.
func (f *Profile) Refusal(a Action, entry *catalog.Entry, name string, d Decision) *catalog.Error {
	if !f.Knows(entry) {
		e := f.unknown(a, entry, name)
		e.Execution = catalog.NotExecuted
		return e
	}
	why := "rule " + d.Rule
	if d.Reason != "" {
		why += ": " + d.Reason
	}
	e := catalog.Errorf(catalog.Denied, "Denied: %s is not allowed for you (%s).", entry.Ref, why)
	e.Execution, e.Err = catalog.NotExecuted, d.Err
	e.Hint = f.instead(d.Instead)
	return e
}

// unknown takes the words from the catalogue itself.
func (f *Profile) unknown(a Action, entry *catalog.Entry, name string) *catalog.Error {
	nobody := func(*catalog.Entry) bool { return false }
	var err error
	switch s := f.View.Snapshot(); {
	case entry.Kind == catalog.Resource, entry.Kind == catalog.Template && a != Complete:
		_, _, err = s.ResolveURI(name, nobody)
	default:
		_, err = s.Resolve(entry.Kind, name, nobody)
	}
	if e, ok := err.(*catalog.Error); ok { //nolint:errorlint // the catalogue returns it bare
		return e
	}
	return catalog.Errorf(catalog.NotFound, "unknown %s", entry.Kind)
}

// instead is a hint: for a Ref the public name of what it names, if the caller may use it; for a sentence the sentence.
func (f *Profile) instead(text string) string {
	if text == "" || strings.Contains(text, " ") {
		return text
	}
	for _, e := range f.index.find(text) {
		if f.View.Visible(e) {
			return fmt.Sprintf("Use %s.", e.Name)
		}
	}
	if strings.Contains(text, "/") {
		return ""
	}
	return fmt.Sprintf("Use %s.", text)
}

// find returns the entries of a Ref: at most one of each kind.
func (x *index) find(text string) []*catalog.Entry {
	upstream, name, _ := strings.Cut(text, "/")
	p := exact(catalog.Ref{Upstream: upstream, Name: name})
	var found []*catalog.Entry
	x.each(&p, func(e *catalog.Entry) { found = append(found, e) })
	return found
}
