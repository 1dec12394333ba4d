package openapi

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestErrorsTeach: an error of the API says what happened, in the words of the API in whatever form it writes them, which argument it names, and whether
// another try makes sense.
func TestErrorsTeach(t *testing.T) {
	const text = `{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{"/x":{"post":{"operationId":"x","parameters":[{"name":"page_size","in":"query","schema":{"type":"integer"}}],
		"requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{"email":{"type":"string"},"name":{"type":"string"}}}}}},"responses":{}}}}}`
	for name, tt := range map[string]struct {
		status       int
		header, body string
		want         []string
		not          string
	}{
		"problem":               {400, "Content-Type: application/problem+json", `{"type":"about:blank","title":"Bad","detail":"email is taken","status":400}`, []string{"400 Bad Request: Bad; email is taken.", "Change the arguments; the same call will fail again."}, ""},
		"problem with pointers": {422, "Content-Type: application/problem+json", `{"title":"Invalid","errors":[{"detail":"too long","pointer":"#/name"}]}`, []string{"Invalid; too long.", "It names the arguments `name`."}, ""},
		"Google":                {400, "", `{"error":{"code":400,"message":"Invalid value","status":"INVALID_ARGUMENT","details":[{"fieldViolations":[{"field":"page_size","description":"negative"}]}]}}`, []string{"Invalid value", "`page_size`"}, ""},
		"Stripe":                {402, "", `{"error":{"type":"card_error","param":"email","message":"Your card was declined."}}`, []string{"402 Payment Required: Your card was declined.", "`email`"}, ""},
		"GitHub":                {422, "", `{"message":"Validation Failed","errors":[{"resource":"Issue","field":"name","code":"missing"}]}`, []string{"Validation Failed", "`name`"}, ""},
		"OAuth":                 {400, "", `{"error":"invalid_request","error_description":"no email"}`, []string{"no email; invalid_request."}, ""},
		"FastAPI":               {422, "", `{"detail":[{"loc":["body","email"],"msg":"field required"}]}`, []string{"field required", "`email`"}, ""},
		"a list of texts":       {400, "", `{"errors":["one","two"]}`, []string{"one; two."}, ""},
		"plain text":            {400, "Content-Type: text/plain", "no\nsuch\tfield", []string{"400 Bad Request: no such field."}, ""},
		"a page":                {502, "Content-Type: text/html", "<html><title>Bad gateway</title><body>secret</body>", []string{"502 Bad Gateway: Bad gateway. Trying again later may help."}, "secret"},
		"nothing":               {500, "", "", []string{"500 Internal Server Error. The fault is on the side of the API; it is not known whether the call had an effect."}, ""},
		"a status nobody knows": {599, "", "", []string{"The API answered 599."}, ""},
		"401":                   {401, "WWW-Authenticate: Bearer realm=inner", `{"message":"bad token"}`, []string{"bad token", "that is a matter of configuration, not of the arguments"}, "inner"},
		"403":                   {403, "X-Internal: inner", `{"message":"no"}`, []string{"do not allow this; another try will not help"}, "inner"},
		"403 of a rate":         {403, "X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 60", `{"message":"slow down"}`, []string{"slow down. Try again in 1m0s."}, "will not help"},
		"404":                   {404, "", "", []string{"Check the arguments that name what you look for."}, ""},
		"409":                   {409, "", "", []string{"Read the current state before another try."}, ""},
		"429":                   {429, "", "", []string{"Too many calls: wait before the next one."}, ""},
		"429 with a wait":       {429, "Retry-After: 120", "", []string{"Try again in 2m0s."}, ""},
		"429 with a date":       {429, "Retry-After: Sat, 21 Nov 2026 10:00:00 GMT", "", []string{"Try again after 2026-11-21T10:00:00Z."}, ""},
		"503 with a wait":       {503, "Retry-After: 5", "", []string{"Try again in 5s."}, ""},
		"hidden characters":     {400, "", "{\"message\":\"a\u202eb\u200bc\"}", []string{"abc"}, "\u202e"},
		"a book":                {400, "Content-Type: text/plain", strings.Repeat("words ", 5000), []string{"words…"}, ""},
		"a library":             {400, "", `{"message":"m","errors":["` + strings.Repeat("x", 100_000) + `"]}`, []string{"m; "}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := answered(t, text, Spec{}, `{}`, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				for line := range strings.SplitSeq(tt.header, "\n") {
					if key, value, ok := strings.Cut(line, ": "); ok {
						w.Header().Set(key, value)
					}
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			said := textOf(got)
			if !got.True("isError") || got.Get("structuredContent") != nil || len(said) > 9000 {
				t.Errorf("got %s", got.JSON())
			}
			for _, want := range tt.want {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not in %q", want, said)
				}
			}
			if tt.not != "" && strings.Contains(said, tt.not) {
				t.Errorf("%q is in %q", tt.not, said)
			}
		})
	}
}
