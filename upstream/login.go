package upstream

import (
	"context"

	"weir/catalog"
	"weir/upstream/cred"
)

// Begin begins the sign-in of an owner at the upstream called name, and returns where that goes on. See [cred.Server.Begin].
func (s *Set) Begin(ctx context.Context, name, owner, redirect, browser string) (string, error) {
	r, err := s.signing(name)
	if err != nil {
		return "", err
	}
	var o outlet
	if err := o.open(name, outletSpec{r.URL, r.Credentials, r.TLS}, s.o.SignIn); err != nil {
		return "", &catalog.Error{Code: catalog.Config, Msg: name + ": " + err.Error(), Err: err}
	}
	f, err := o.cred.Begin(ctx, owner, redirect, browser)
	if err != nil {
		return "", &catalog.Error{Code: catalog.Unavailable, Msg: name + ": no sign-in: " + err.Error(), Err: err}
	}
	return f.URL, nil
}

// SignsIn says why nobody can sign in at the upstream called name; nil when users can.
func (s *Set) SignsIn(name string) error {
	_, err := s.signing(name)
	return err
}

// signing is the upstream called name, when users sign in there.
func (s *Set) signing(name string) (*resolved, error) {
	s.mu.Lock()
	spec, ok := s.space.Specs[name]
	s.mu.Unlock()
	if !ok {
		return nil, &catalog.Error{Code: catalog.NotFound, Msg: name + ": there is no such upstream", Hint: "weir ls"}
	}
	if c := spec.Credentials[cred.ForServer]; !c.SignIn() || spec.URL == "" {
		return nil, &catalog.Error{Code: catalog.Config, Msg: name + ": nobody signs in there", Hint: "set   credentials: { mcp: { grant: authorization_code } }   for " + name}
	}
	return s.resolve(name, &spec)
}
