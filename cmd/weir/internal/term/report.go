package term

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
	"weir/upstream/process"
)

// failure is the form of an error with --json.
type failure struct {
	Code     catalog.Code    `json:"code"`
	Message  string          `json:"message"`
	Hint     string          `json:"hint,omitempty"`
	Upstream string          `json:"upstream,omitempty"`
	Problems config.Problems `json:"problems,omitempty"`
}

// Report writes why a command failed to standard error: what is wrong, then facts, then one thing to type. outcome ends the report of an
// invalid configuration: "nothing was started".
func (s *Streams) Report(err error, outcome string) {
	if err == nil || errors.Is(err, ErrTool) || errors.Is(err, ErrTests) {
		return
	}
	f, facts := explain(err)
	if s.JSON {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(map[string]failure{"error": f}) // strings and numbers always encode
		_, _ = s.Err.Write(b.Bytes())
		return
	}
	if len(f.Problems) > 0 {
		s.Note("%s\n%s%s", f.Problems.Error(), f.Problems.Count(), outcome)
		return
	}
	s.Note("%s", Paint(Text(f.Message), Red, s.ColorErr))
	if f.Hint != "" {
		facts = append(facts, process.Fact{Name: "fix", Text: f.Hint})
	}
	for _, x := range facts {
		s.Note("%s", strings.TrimRight(fmt.Sprintf("  %-11s %s", x.Name, Line(x.Text)), " "))
	}
}

// explain takes an error apart.
func explain(err error) (failure, process.Facts) {
	f := failure{Code: codeOf(err), Message: err.Error()}
	var facts process.Facts
	var ce *catalog.Error
	var usage *UsageError
	var ps config.Problems
	switch {
	case errors.As(err, &ps):
		f.Code, f.Message, f.Problems = catalog.Config, ps[0].String(), ps
	case errors.As(err, &usage):
		f.Code, f.Hint = catalog.Invalid, usage.Hint
	case errors.As(err, &ce):
		f.Hint = ce.Hint
		errors.As(ce.Err, &facts)
		if name, _, ok := strings.Cut(ce.Msg, ": "); ok && ce.Code == catalog.Unavailable && !strings.Contains(name, " ") {
			f.Upstream = name
		}
	}
	return f, facts
}
