package mcphttp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"

	"weir/catalog"
	"weir/server"
)

// Listen opens the listening socket. signIn says that callers have to sign in; an address that other machines can reach is refused while nobody has to,
// unless the configuration says in so many words that this is meant.
func Listen(ctx context.Context, s server.Spec, signIn bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return nil, catalog.Errorf(catalog.Config, "listen: %q is not host:port", s.Listen)
	}
	if !onlyLoopback(host) && !signIn && !s.InsecureNoAuth {
		return nil, &catalog.Error{
			Code: catalog.Config,
			Msg:  fmt.Sprintf("listen: %s can be reached from other machines, and nobody has to sign in", s.Listen),
			Hint: "listen on 127.0.0.1, write auth, or say --insecure-no-auth if everybody who can connect may call everything",
		}
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return nil, cannotListen(s.Listen, err)
	}
	return ln, nil
}

// cannotListen is the error of an address that cannot be listened on.
func cannotListen(address string, err error) error {
	hint := "another program may have the port; choose another with --listen"
	if errors.Is(err, fs.ErrPermission) {
		hint = "the system keeps this port from you; choose one from 1024 up with --listen"
	}
	return &catalog.Error{Code: catalog.Config, Msg: fmt.Sprintf("listen: cannot listen on %s: %v", address, errors.Unwrap(err)), Err: err, Hint: hint}
}

// onlyLoopback reports whether a listen host is reached from this machine only. A name other than localhost may be anything.
func onlyLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
