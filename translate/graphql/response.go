package graphql

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

const (
	// maxErrors bounds how many errors of one response are told, maxFailure the bytes of them.
	maxErrors  = 10
	maxFailure = 4 << 10
)

// result makes a result of an answer. A response of GraphQL is one whatever its status says: the old media type says nothing by it.
func (x *exchange) result(response *http.Response, data []byte) *translate.Result {
	v, err := schema.Parse(data)
	if err != nil || !v.Is(schema.Object) || v.Get("data") == nil && v.Get("errors") == nil {
		return x.stranger(response, data, v)
	}
	if usable(v.Get("data")) {
		return x.present(response, data, v)
	}
	errs := v.Array("errors")
	if len(errs) == 0 && response.StatusCode < 300 {
		return x.present(response, data, v)
	}
	return x.refused(response, v)
}

// usable reports whether anything came.
func usable(data *schema.Value) bool {
	if !data.Is(schema.Object) {
		return false
	}
	for _, m := range data.Members {
		if !m.Value.Is(schema.Null) && m.Key != "__typename" {
			return true
		}
	}
	return false
}

// present makes the result of a response with data: the response as it is, then what is to be said about it.
func (x *exchange) present(response *http.Response, data []byte, v *schema.Value) *translate.Result {
	t := x.tool
	var notes []string
	if more := t.next(v.Get("data")); more != "" {
		notes = append(notes, more)
	}
	if errs := v.Array("errors"); len(errs) > 0 {
		notes = append(notes, "Parts of the data are missing: "+sentences(errs))
		if hint := hint(response, v); hint != "" {
			notes = append(notes, hint)
		}
	}
	data = rawjson.Compact(data[:0], data)
	if fields := x.fields(); len(fields) > 0 || t.shape.Path != "" {
		whole := schema.Map(append([]schema.Member(nil), v.Members...)...)
		whole.Put("data", t.cut(v.Get("data"), &translate.Shape{Path: t.shape.Path, Fields: fields}))
		v, data = whole, whole.Append(nil)
	}
	r := t.Output.Result(translate.Reply{Data: data, Value: v, Args: x.args, Notes: notes, Scrub: translate.Scrub(x.secrets)})
	if x.api.spec.PartialIsError && len(v.Array("errors")) > 0 {
		r.Fail()
	}
	return r
}

// cut keeps parts of the data of a written operation, and of the one field of a generated one, as paths of the fields argument mean it.
func (t *tool) cut(data *schema.Value, s *translate.Shape) *schema.Value {
	if t.op.field == nil || !data.Is(schema.Object) {
		return s.Cut(data)
	}
	out := schema.Map()
	for _, m := range data.Members {
		out.Put(m.Key, s.Cut(m.Value))
	}
	return out
}

// fields are the paths that are kept of the data of a written operation: those that the caller asked for, else those of the configuration. A
// generated one selects them instead.
func (x *exchange) fields() []string {
	if x.tool.selects && x.tool.op.field == nil {
		if asked := x.args.Get(translate.FieldsArgument).Strings(); len(asked) > 0 {
			return asked
		}
	}
	return x.tool.shape.Fields
}

// refused makes a failure of a response that brings nothing but errors.
func (x *exchange) refused(response *http.Response, v *schema.Value) *translate.Result {
	text := "The API answered with errors and no data: " + sentences(v.Array("errors"))
	if len(v.Array("errors")) == 0 {
		text = fmt.Sprintf("The API answered %d and no data.", response.StatusCode)
	}
	if advice := hint(response, v); advice != "" {
		text += " " + advice
	}
	r := translate.Failure(x.scrub(text))
	if response.StatusCode == http.StatusUnauthorized {
		return r
	}
	short, _ := translate.Shrink(v, maxFailure)
	if clean := []byte(x.scrub(short.JSON())); rawjson.Valid(clean) == nil {
		r.SetStructured(clean)
	}
	return r
}

// sentences tells errors: message, where in the data, and the code.
func sentences(errs []schema.Member) string {
	var lines []string
	for i, m := range errs {
		if i == maxErrors {
			lines = append(lines, fmt.Sprintf("and %d more", len(errs)-i))
			break
		}
		line := schema.Shorten(schema.Clean(m.Value.GetText("message")), 500)
		if line == "" {
			line = "an error without a message"
		}
		var about []string
		if path := m.Value.Array("path"); len(path) > 0 {
			var steps []string
			for _, s := range path {
				steps = append(steps, s.Value.Text)
			}
			about = append(about, "at "+schema.Shorten(strings.Join(steps, "."), 200))
		}
		if code := code(m.Value); code != "" {
			about = append(about, "code "+code)
		}
		if len(about) > 0 {
			line = strings.TrimRight(line, ".") + " (" + strings.Join(about, ", ") + ")"
		}
		lines = append(lines, line)
	}
	return schema.Shorten(strings.TrimRight(strings.Join(lines, "; "), ".")+".", maxFailure)
}

// code is what servers tell kinds of errors apart by: in the extensions, or beside the message as GitHub has it.
func code(e *schema.Value) string {
	for _, v := range [...]*schema.Value{e.Get("extensions").Get("code"), e.Get("type")} {
		if v.Is(schema.String) || v.Is(schema.Number) {
			return schema.Shorten(schema.Clean(v.Text), 80)
		}
	}
	return ""
}

// hint says what to do about errors, "" for nothing.
func hint(response *http.Response, v *schema.Value) string {
	for _, m := range v.Array("errors") {
		switch code := strings.ToUpper(code(m.Value)); {
		case strings.Contains(code, "RATE_LIMIT"), strings.Contains(code, "THROTTL"), strings.Contains(code, "TOO_MANY"):
			if wait := translate.RetryHint(response.Header); wait != "" {
				return "Try again " + wait + "."
			}
			if wait := throttled(v.Get("extensions").Get("cost")); wait != "" {
				return "Try again " + wait + "."
			}
			return "Too many calls: wait before the next one."
		case strings.Contains(code, "UNAUTHENTICATED"):
			return "The credentials of this API are missing or refused; that is a matter of configuration, not of the arguments."
		case code == "FORBIDDEN":
			return "The credentials of this API do not allow this; another try will not help."
		}
	}
	if response.StatusCode >= 300 {
		return translate.Advice(response)
	}
	return ""
}

// throttled says how long a budget of points needs to grow to what was asked for: servers with calculated costs, such as Shopify's, tell.
func throttled(cost *schema.Value) string {
	status := cost.Get("throttleStatus")
	number := func(v *schema.Value) float64 {
		if !v.Is(schema.Number) {
			return 0
		}
		f, err := strconv.ParseFloat(v.Text, 64)
		if err != nil {
			return 0
		}
		return f
	}
	asked, there, rate := number(cost.Get("requestedQueryCost")), number(status.Get("currentlyAvailable")), number(status.Get("restoreRate"))
	if rate <= 0 || asked <= there || (asked-there)/rate > 24*3600 {
		return ""
	}
	return fmt.Sprintf("in %ds", int((asked-there)/rate)+1)
}

// stranger makes a failure of an answer that is no response of GraphQL.
func (x *exchange) stranger(response *http.Response, data []byte, v *schema.Value) *translate.Result {
	var b strings.Builder
	fmt.Fprintf(&b, "The API answered %d", response.StatusCode)
	if text := http.StatusText(response.StatusCode); text != "" {
		b.WriteString(" " + text)
	}
	name := essence(response.Header.Get("Content-Type"))
	said := ""
	switch {
	case v != nil:
		said = translate.ErrorMessage(v)
	case name == "text/plain":
		said = schema.Shorten(schema.Clean(string(data)), 500)
	}
	if said != "" {
		b.WriteString(": " + strings.TrimRight(said, "."))
	}
	if response.StatusCode < 300 {
		b.WriteString(" with something that is no response of GraphQL")
		if name == "text/html" {
			b.WriteString(" but a web page")
		}
		b.WriteString(". The endpoint in the configuration may be wrong. " + x.tool.CarriedOut())
		return translate.Failure(x.scrub(b.String()))
	}
	b.WriteString(".")
	if advice := translate.Advice(response); advice != "" {
		b.WriteString(" " + advice)
	}
	return translate.Failure(x.scrub(b.String()))
}
