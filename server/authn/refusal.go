package authn

import (
	"net/http"
	"strconv"
	"strings"
)

// Refusal is why a request may not go on, in the form that its client is answered with. Its texts are safe to show to anyone.
type Refusal struct { //nolint:errname // what it is comes before that it is an error
	// Status is 400, 401, 403, 429 or 503.
	Status int
	// Challenge is the value of WWW-Authenticate, "" for none (RFC 6750, 3; RFC 9728, 5.1).
	Challenge string
	// RetryAfter is in seconds, 0 for none.
	RetryAfter int
	// Reason is a sentence for a person.
	Reason string
}

func (r *Refusal) Error() string { return "sign-in: " + r.Reason }

// ServeHTTP writes the refusal.
func (r *Refusal) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	if r.Challenge != "" {
		h.Set("Www-Authenticate", r.Challenge)
	}
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(r.RetryAfter))
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(r.Status)
	_, _ = w.Write([]byte(r.Reason + "\n")) // the client may be gone
}

// cause is what a credential was refused for, before it is known in which words.
type cause struct {
	status int
	code   string // of RFC 6750, 3.1; "" for none
	reason string
	detail error // for the log only
	bare   bool  // there was no credential: so a client asks how to sign in
}

func (c *cause) Error() string { return c.reason }

func malformed() *cause {
	return &cause{status: http.StatusBadRequest, code: "invalid_request", reason: "the Authorization header is malformed"}
}

func invalid(reason string) *cause {
	return &cause{status: http.StatusUnauthorized, code: "invalid_token", reason: reason}
}

// forbidden is for callers who are known and may not come in; a new token would not change that.
func forbidden(reason string) *cause { return &cause{status: http.StatusForbidden, reason: reason} }

// unavailable is for credentials that cannot be checked now.
func unavailable(detail error) *cause {
	return &cause{status: http.StatusServiceUnavailable, reason: "sign-in cannot be checked at the moment", detail: detail}
}

// retryAfter is how many seconds a client should wait for what is unavailable.
const retryAfter = 5

// refusal puts a cause into words for the clients of a resource.
func (s *state) refusal(res *resource, c *cause) *Refusal {
	r := &Refusal{Status: c.status, Reason: c.reason}
	switch c.status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		r.RetryAfter = retryAfter
		return r
	case http.StatusForbidden:
		if c.code == "" {
			return r
		}
	default:
	}
	b := []byte("Bearer")
	param := func(name, value string) {
		if value == "" {
			return
		}
		if len(b) > len("Bearer") {
			b = append(b, ',')
		}
		b = append(append(append(b, ' '), name...), `="`...)
		b = append(append(b, value...), '"')
	}
	param("error", c.code)
	if c.code != "" {
		param("error_description", c.reason)
	}
	if s.hasMetadata() {
		param("resource_metadata", res.metadata)
	}
	param("scope", strings.Join(res.scopes, " "))
	r.Challenge = string(b)
	return r
}
