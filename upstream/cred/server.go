package cred

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"weir/catalog"
	"weir/translate"
)

// ForServer is the name of the credential of an MCP server, which has no security schemes that could name one.
const ForServer = "mcp"

// Server is the credential of one MCP server over HTTP. Safe for concurrent use.
type Server struct {
	name    string
	spec    Spec
	address *url.URL
	origin  string
	scheme  translate.SecurityScheme
	tokens  *tokens
	caller  catalog.Caller // whom the connection was made for, the zero value for all
}

// NewServer returns the credential of the MCP server called name, at an address, which is the only place that it goes to. transport reaches token
// endpoints; in is where users sign in, nil for nowhere. Its error names no value.
func NewServer(name string, spec Spec, address string, transport http.RoundTripper, in *SignIn) (*Server, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, catalog.Errorf(catalog.Config, "%s: url is no URL", name)
	}
	if spec.Resource == "" && spec.Audience == "" {
		spec.Resource = resource(u)
	}
	t, err := newTokens(transport, map[string]Spec{ForServer: spec})
	if err != nil {
		return nil, &catalog.Error{Code: catalog.Config, Msg: name + ": credentials: " + err.Error(), Err: err}
	}
	t.signIn = in
	s := &Server{name: name, spec: spec, address: u, origin: origin(u), tokens: t, scheme: translate.SecurityScheme{Type: "http", HTTP: "bearer"}}
	switch {
	case spec.Header != "":
		s.scheme = translate.SecurityScheme{Type: "apiKey", In: "header", Param: spec.Header}
	case spec.Query != "":
		s.scheme = translate.SecurityScheme{Type: "apiKey", In: "query", Param: spec.Query}
	}
	return s, nil
}

// resource names an MCP server to authorization servers (RFC 8707, 2; MCP 2025-11-25, basic/authorization).
func resource(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// As returns the credential for a connection that is made for the caller of ctx, if ctx has one: what is sent on it beside calls is on behalf of that
// caller too.
func (s *Server) As(ctx context.Context) *Server {
	c, ok := callerOf(ctx)
	if !ok {
		return s
	}
	own := *s
	own.caller = c
	return &own
}

// on is ctx with whom a request is for.
func (s *Server) on(ctx context.Context) context.Context {
	if _, ok := callerOf(ctx); !ok && s.caller.Owner != "" {
		return For(ctx, s.caller)
	}
	return ctx
}

// Authorize puts the credential on a request, whose header and URL must be its own. Its error is a *catalog.Error that is safe to show.
func (s *Server) Authorize(r *http.Request) error {
	ctx := s.on(r.Context())
	err := error(nil)
	if origin(r.URL) == s.origin {
		err = s.tokens.authorize(ctx, r, &s.spec, s.scheme)
	}
	if err == nil {
		return nil
	}
	e := &catalog.Error{Code: catalog.Unavailable, Msg: s.name + ": no credential: " + err.Error(), Execution: catalog.NotExecuted, Err: err}
	switch {
	case ctx.Err() != nil:
		e.Code = catalog.Canceled
	case errors.Is(err, errSignIn):
		e.Code, e.Msg, e.Hint = catalog.NeedsLogin, s.name+": "+err.Error(), "weir login "+s.name
		if c, ok := callerOf(ctx); ok && s.tokens.signIn != nil && s.tokens.signIn.Link != nil {
			e.URL = s.tokens.signIn.Link(s.name, c)
		}
	}
	return e
}

// Renew is told that the server refused the credential of a request. It reports whether another one can be had.
func (s *Server) Renew(ctx context.Context) bool {
	return s.tokens.renew(s.on(ctx), &s.spec, slices.Clone(s.scheme.Scopes))
}
