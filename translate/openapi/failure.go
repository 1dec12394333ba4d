package openapi

import (
	"fmt"
	"net/http"
	"strings"

	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

// maxFailure bounds what is passed on of the body of an error.
const maxFailure = 4 << 10

// failure makes a result of an answer that is no success: what happened, what the API says about it, which argument it names, and whether
// another try makes sense.
func (x *exchange) failure(response *http.Response, data []byte) *translate.Result {
	status := response.StatusCode
	var b strings.Builder
	fmt.Fprintf(&b, "The API answered %d", status)
	if text := http.StatusText(status); text != "" {
		b.WriteString(" " + text)
	}
	said, raw := x.said(response, data)
	if said != "" {
		b.WriteString(": " + strings.TrimRight(said, "."))
	}
	b.WriteString(".")
	if names := x.named(data); len(names) > 0 {
		b.WriteString(" It names the arguments " + strings.Join(names, ", ") + ".")
	}
	if text := translate.Advice(response); text != "" {
		b.WriteString(" " + text)
	}
	if raw != "" {
		b.WriteString("\n" + raw)
	}
	return translate.Failure(x.scrub(b.String()))
}

// said returns the message in the body of an error, and the body itself where it says more.
func (x *exchange) said(response *http.Response, data []byte) (message, raw string) {
	if looksJSON(data) {
		v, err := schema.Parse(data)
		if err != nil {
			return "", ""
		}
		message = translate.ErrorMessage(v)
		if response.StatusCode == http.StatusUnauthorized {
			return message, ""
		}
		short, _ := translate.Shrink(v, maxFailure)
		raw = short.JSON()
		if message != "" && len(raw) <= len(message)+20 {
			raw = ""
		}
		return message, raw
	}
	text := decodeText(response.Header.Get("Content-Type"), data)
	if strings.HasPrefix(strings.TrimSpace(text), "<") {
		return strings.Trim(pageTitle(text), " ()"), ""
	}
	return schema.Shorten(schema.Clean(text), maxFailure), ""
}

// named returns the arguments that the body of an error names: in members such as field, param, pointer, path, loc.
func (x *exchange) named(data []byte) []string {
	if rawjson.Valid(data) != nil || len(data) > maxFailure*16 {
		return nil
	}
	v, err := schema.Parse(data)
	if err != nil {
		return nil
	}
	var names []string
	var walk func(v *schema.Value, depth int)
	add := func(text string) {
		steps := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("/.[]#", r) })
		for i := range x.tool.plan.arguments {
			a := &x.tool.plan.arguments[i]
			for _, s := range steps {
				if s == a.wire && !a.Hidden && len(names) < 8 && !strings.Contains(strings.Join(names, ","), "`"+a.Name+"`") {
					names = append(names, "`"+a.Name+"`")
				}
			}
		}
	}
	walk = func(v *schema.Value, depth int) {
		for _, m := range v.Members {
			switch m.Key {
			case "field", "param", "parameter", "pointer", "path", "loc", "location", "property", "fieldPath", "source":
				for _, s := range append(m.Value.Strings(), scalarOf(m.Value)) {
					add(s)
				}
			}
			if depth < 6 {
				walk(m.Value, depth+1)
			}
		}
	}
	walk(v, 0)
	return names
}

func scalarOf(v *schema.Value) string {
	if v.Is(schema.String) {
		return v.Text
	}
	return ""
}
