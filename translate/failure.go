package translate

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"weir/translate/schema"
)

// ErrorMessage finds the words in the forms that APIs use: RFC 9457 title and detail, message, error as text or object, lists of errors.
func ErrorMessage(v *schema.Value) string {
	if v.Kind == schema.Array && len(v.Members) > 0 {
		return ErrorMessage(v.Members[0].Value)
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
		add(ErrorMessage(e))
	}
	for _, key := range [...]string{"errors", "details", "errorCauses"} {
		for i, m := range v.Array(key) {
			if i == 5 {
				break
			}
			if m.Value.Is(schema.String) {
				add(m.Value.Text)
			} else if m.Value.Is(schema.Object) {
				add(ErrorMessage(m.Value))
			}
		}
	}
	return strings.Join(parts, "; ")
}

// Advice says what to do about the status of an answer, "" for a success.
func Advice(response *http.Response) string {
	status, wait := response.StatusCode, retryAfter(response.Header.Get("Retry-After"))
	if status == http.StatusTooManyRequests || status == http.StatusForbidden {
		wait = RetryHint(response.Header)
	}
	switch {
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
		return TryLater
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

// TryLater is said of what may pass.
const TryLater = "Trying again later may help."

// RetryHint says when a call may be repeated, "" when the headers do not tell: Retry-After, and what is left and when there is more in the headers
// that APIs use for rate limits (RateLimit of the IETF draft, X-RateLimit-Remaining and -Reset).
func RetryHint(h http.Header) string {
	if wait := retryAfter(h.Get("Retry-After")); wait != "" {
		return wait
	}
	for _, prefix := range [...]string{"RateLimit-", "X-RateLimit-", "X-Rate-Limit-"} {
		if h.Get(prefix+"Remaining") == "0" {
			return resetAfter(h.Get(prefix + "Reset"))
		}
	}
	left, reset := "", ""
	for part := range strings.FieldsFuncSeq(h.Get("RateLimit"), func(r rune) bool { return r == ';' || r == ',' }) {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch key {
		case "r", "remaining":
			left = value
		case "t", "reset":
			reset = value
		}
	}
	if left == "0" {
		return resetAfter(reset)
	}
	return ""
}

// epochs is where numbers of seconds become points in time.
const epochs = 1_000_000_000

// resetAfter reads seconds, or seconds since 1970.
func resetAfter(value string) string {
	seconds, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil || seconds < 0 || seconds > 100*epochs:
		return ""
	case seconds >= epochs:
		return "after " + time.Unix(seconds, 0).UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("in %s", time.Duration(seconds)*time.Second)
}
