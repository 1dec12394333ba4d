package openapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

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
	if text := advice(response); text != "" {
		b.WriteString(" " + text)
	}
	if raw != "" {
		b.WriteString("\n" + raw)
	}
	return translate.Failure(x.scrub(b.String()))
}

// said returns the message in the body of an error, and the body itself where it says more.
func (x *exchange) said(response *http.Response, data []byte) (message, raw string) {
	if looksJSON(data) && len(data) <= defaultMaxBody {
		v, err := schema.Parse(data)
		if err != nil {
			return "", ""
		}
		message = errorMessage(v)
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

// errorMessage finds the words in the forms that APIs use: RFC 9457 title and detail, message, error as text or object, lists of errors.
func errorMessage(v *schema.Value) string {
	if v.Kind == schema.Array && len(v.Members) > 0 {
		return errorMessage(v.Members[0].Value)
	}
	var parts []string
	add := func(s string) {
		s = schema.Shorten(schema.Clean(s), 1000)
		for _, p := range parts {
			if strings.Contains(p, s) {
				return
			}
		}
		if s != "" {
			parts = append(parts, s)
		}
	}
	for _, key := range [...]string{"title", "message", "Message", "detail", "error_description", "description", "reason", "error_message", "errorSummary", "msg"} {
		add(v.GetText(key))
	}
	switch e := v.Get("error"); {
	case e.Is(schema.String):
		add(e.Text)
	case e.Is(schema.Object):
		add(errorMessage(e))
	}
	for _, key := range [...]string{"errors", "details", "errorCauses"} {
		for i, m := range v.Array(key) {
			if i == 5 {
				break
			}
			if m.Value.Is(schema.String) {
				add(m.Value.Text)
			} else if m.Value.Is(schema.Object) {
				add(errorMessage(m.Value))
			}
		}
	}
	return strings.Join(parts, "; ")
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
				if s == a.wire && !a.hidden && len(names) < 8 && !strings.Contains(strings.Join(names, ","), "`"+a.name+"`") {
					names = append(names, "`"+a.name+"`")
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

// advice says what to do about a status.
func advice(response *http.Response) string {
	wait := retryAfter(response.Header.Get("Retry-After"))
	switch status := response.StatusCode; {
	case wait != "":
		return "Try again " + wait + "."
	case status == http.StatusTooManyRequests:
		return "Too many calls: wait before the next one."
	case status == http.StatusUnauthorized:
		return "The credentials of this API are missing or refused; that is a matter of configuration, not of the arguments."
	case status == http.StatusForbidden:
		return "The credentials of this API do not allow this; another try will not help."
	case status == http.StatusNotFound || status == http.StatusGone:
		return "Check the arguments that name what you look for."
	case status == http.StatusConflict || status == http.StatusPreconditionFailed:
		return "Read the current state before another try."
	case status == http.StatusBadRequest || status == http.StatusUnprocessableEntity:
		return "Change the arguments; the same call will fail again."
	case status >= 300 && status < 400:
		return "It points elsewhere, and redirects to other places are not followed. The server in the configuration may be wrong."
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		return tryLater
	case status >= 500:
		return "The fault is on the side of the API; it is not known whether the call had an effect."
	}
	return ""
}

// retryAfter reads the header as seconds or a date (RFC 9110 section 10.2.3).
func retryAfter(value string) string {
	if value == "" {
		return ""
	}
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return fmt.Sprintf("in %s", time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return "after " + at.UTC().Format(time.RFC3339)
	}
	return ""
}
