package app

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"

	"weir/cmd/weir/internal/config"
	"weir/policy"
	"weir/server"
	"weir/server/mcphttp"
	"weir/server/mcpstdio"
)

// Spec is how the gateway listens, references resolved.
func (a *App) Spec() (server.Spec, error) {
	file := a.current()
	s, err := config.Resolved(file.Expander, file.Server)
	for _, name := range []*string{&s.TLS.Cert, &s.TLS.Key, &s.TLS.ClientCA} {
		*name = beside(filepath.Dir(file.Path), *name)
	}
	return s, err
}

// Listen opens the socket. It refuses an address that other machines can reach while nobody has to sign in.
func (a *App) Listen(ctx context.Context) (net.Listener, error) {
	spec, err := a.Spec()
	if err != nil {
		return nil, err
	}
	return mcphttp.Listen(ctx, spec, a.current().Auth.Asked())
}

// Serve answers MCP over HTTP on ln until ctx ends and the requests in flight are answered. It follows the file meanwhile.
func (a *App) Serve(ctx context.Context, ln net.Listener) error {
	spec, err := a.Spec()
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	in, err := a.newSignIn(spec, ln.Addr())
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer in.close()
	r := a.newRouter(spec, in)
	defer r.close()
	a.router.Store(r)
	defer a.router.Store(nil)
	defer context.AfterFunc(ctx, r.stop)()
	unscrape, err := a.scraped(ctx)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer unscrape()
	stop := a.follow()
	defer stop()
	sharing, unshare := context.WithCancel(ctx)
	wait := a.share(sharing)
	defer func() { unshare(); wait() }()
	notify(a.env.Config.Lookup, "READY=1")
	defer notify(a.env.Config.Lookup, "STOPPING=1")
	s := mcphttp.NewServer(mcphttp.ServerOptions{
		Spec: spec, Handler: r, Log: a.log, MaxConnections: mostConnections(spec), Drain: r.drain, GiveUp: r.giveUp,
	})
	return s.Serve(ctx, in.listen(ln))
}

// mostConnections is how many connections of clients may be open: what the file says, else as many as leave a quarter of the files to everything else.
func mostConnections(spec server.Spec) int {
	if spec.MaxConnections > 0 {
		return spec.MaxConnections
	}
	return fileLimit() / 4 * 3
}

// Stdio answers MCP of one client on in and out until the input or ctx ends and the requests in flight are answered. Nothing else is ever
// written to out.
func (a *App) Stdio(ctx context.Context, in io.Reader, out io.Writer) error {
	unscrape, err := a.scraped(ctx)
	if err != nil {
		return err
	}
	defer unscrape()
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
