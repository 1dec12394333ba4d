package app

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"

	"weir/policy"
	"weir/server"
	"weir/server/authn"
	"weir/server/mcphttp"
	"weir/server/mcpstdio"
)

// Spec is how the gateway listens, references resolved.
func (a *App) Spec() (server.Spec, error) {
	s := a.current().Server
	texts := []*string{&s.Listen, &s.Path}
	s.AllowedHosts, s.AllowedOrigins = slices.Clone(s.AllowedHosts), slices.Clone(s.AllowedOrigins)
	for _, list := range [][]string{s.AllowedHosts, s.AllowedOrigins} {
		for i := range list {
			texts = append(texts, &list[i])
		}
	}
	for _, t := range texts {
		v, err := a.expander.Load().Expand(*t)
		if err != nil {
			return s, err
		}
		*t = v
	}
	return s, nil
}

// Listen opens the socket. It refuses an address that other machines can reach while nobody has to sign in.
func (a *App) Listen(ctx context.Context) (net.Listener, error) {
	spec, err := a.Spec()
	if err != nil {
		return nil, err
	}
	return mcphttp.Listen(ctx, spec, false)
}

// Serve answers MCP over HTTP on ln until ctx ends and the requests in flight are answered. It follows the file meanwhile.
func (a *App) Serve(ctx context.Context, ln net.Listener) error {
	spec, err := a.Spec()
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	r := a.newRouter(spec)
	defer r.close()
	a.router.Store(r)
	defer a.router.Store(nil)
	defer context.AfterFunc(ctx, r.drain)()
	stop := a.follow()
	defer stop()
	sharing, unshare := context.WithCancel(ctx)
	wait := a.share(sharing)
	defer func() { unshare(); wait() }()
	notify(a.env.Config.Lookup, "READY=1")
	defer notify(a.env.Config.Lookup, "STOPPING=1")
	return r.main.Serve(ctx, ln, r)
}

// Stdio answers MCP of one client on in and out until the input or ctx ends and the requests in flight are answered. Nothing else is ever
// written to out.
func (a *App) Stdio(ctx context.Context, in io.Reader, out io.Writer) error {
	stop := a.follow()
	defer stop()
	return a.session(ctx, in, out)
}

// session is the local user's conversation with one client.
func (a *App) session(ctx context.Context, in io.Reader, out io.Writer) error {
	spec := a.current().Server
	return mcpstdio.Serve(ctx, mcpstdio.Options{
		Gateway: a.gateway, Principal: policy.LocalUser(), Log: a.log, MaxMessage: spec.MaxBody, DrainTimeout: spec.DrainTimeout,
	}, in, out)
}

// authenticate says who is calling while there is no sign-in: whoever uses this machine's loopback address is the local user, and so is
// everybody when the operator said that.
func authenticate(spec server.Spec, local policy.Principal) func(*http.Request) (authn.Caller, error) {
	return func(r *http.Request) (authn.Caller, error) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if spec.InsecureNoAuth || err == nil && from.Addr().Unmap().IsLoopback() {
			return authn.Caller{Principal: local}, nil
		}
		return authn.Caller{}, &authn.Refusal{Status: http.StatusForbidden, Reason: "only this machine may call: nobody can sign in"}
	}
}
