package upstream

import (
	"context"

	"weir/catalog"
	"weir/upstream/cred"
)

// Begin begins the sign-in of an owner at the upstream called name, and returns where that goes on. See [cred.Server.Begin].
func (s *Set) Begin(ctx context.Context, name, owner, redirect, browser string) (string, error) {
	s.mu.Lock()
	spec, ok := s.space.Specs[name]
	s.mu.Unlock()
	if !ok {
		return "", &catalog.Error{Code: catalog.NotFound, Msg: name + ": there is no such upstream", Hint: "weir ls"}
	}
	r, err := s.resolve(name, &spec)
	if err != nil {
		return "", err
	}
	c := r.Credentials[cred.ForServer]
	if !c.SignIn() || r.URL == "" {
		return "", &catalog.Error{Code: catalog.Config, Msg: name + ": nobody signs in there", Hint: "set   credentials: { mcp: { grant: authorization_code } }   for " + name}
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
