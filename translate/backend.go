package translate

import (
	"context"
	"net/http"

	"weir/catalog"
)

// Backend is an API as an upstream: entries and calls. Safe for concurrent use.
type Backend interface {
	// Source is what the API offers now. It is immutable; a later one is another value.
	Source() *catalog.Source
	// Call runs one tool. The error is a *catalog.Error: the tool is unknown, or the caller went away. Everything else, an API that
	// cannot be reached too, is an answer with isError.
	Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error)
	// List is Source in the form in which upstreams are listed; it never fails.
	List(ctx context.Context) (*catalog.Source, map[catalog.Kind]error, error)
	// Done is closed by Close and by nothing else: an API has no connection that could be lost. Err is not nil from then on.
	Done() <-chan struct{}
	Err() error
	// Report says what the description came to and what is wrong with it.
	Report() Report
	// Close stops watching the description and waits for calls that are under way until ctx is done.
	Close(ctx context.Context) error
}

// Prober is a Backend that can ask its server whether it is well.
type Prober interface {
	Probe(ctx context.Context) error
}

// Trace tells set the trace of a call as the headers that hand it on (W3C Trace Context); a call without one has none.
func Trace(c *catalog.Call, set func(name, value string)) {
	if c.Traceparent == "" {
		return
	}
	set("traceparent", c.Traceparent)
	if c.Tracestate != "" {
		set("tracestate", c.Tracestate)
	}
}

// Warning is something in a description that could not be used as it is written.
type Warning struct {
	// Pointer is the RFC 6901 pointer into the description, behind the name of the file where it is not the main one: "/paths/~1pets/get".
	Pointer string
	// Operation is the tool or operation that is concerned, may be empty.
	Operation string
	// Message says what is wrong and what was done about it.
	Message string
	// Lost says that the operation did not become a tool.
	Lost bool
}

// SecurityScheme is one way to prove who calls, as a description names it.
type SecurityScheme struct {
	Name string // the key of the description, which configuration refers to
	// Type is apiKey, http, oauth2, openIdConnect or mutualTLS.
	Type string
	// In and Param say where an apiKey goes: header, query or cookie, and its name there.
	In, Param string
	// HTTP is the authentication scheme of type http, in lower case: basic, bearer.
	HTTP string
	// TokenURL is that of the client credentials flow; Discovery the OpenID configuration. Both come from the description and are untrusted:
	// whoever sends a secret there compares them with configuration.
	TokenURL, Discovery string
	// Scopes are those that the operation asks for.
	Scopes []string
}

// Credentials puts secrets on requests. The translator never sees one.
type Credentials interface {
	// Has reports whether the scheme of that name is configured.
	Has(scheme string) bool
	// Authorize adds the credential for s to a finished request. owner is the opaque key of the caller. The error is safe to show.
	Authorize(ctx context.Context, r *http.Request, s SecurityScheme, owner string) error
	// Renew is told that the API refused the credential with 401. It reports whether another one can be had, so that one repeat makes sense.
	Renew(ctx context.Context, s SecurityScheme, owner string) bool
}
