package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"sync"

	"weir/catalog"
	"weir/upstream/cred"
	"weir/upstream/egress"
	"weir/upstream/mcpconn"
)

// outlet is the way to one MCP server behind a URL: the guarded dialer, and the credential with the tokens that were had for it. It outlives
// connections, so that a server that comes back, and each session with it, does not cost a token.
type outlet struct {
	mu    sync.Mutex
	spec  outletSpec
	files *tls.Config
	way   *egress.Transport
	cred  *cred.Server // nil for none
}

// outletSpec is what an outlet is made of, references resolved.
type outletSpec struct {
	URL         string
	Credentials map[string]cred.Spec
	TLS         TLS
}

// onto makes cfg, which is for the server of r, use the outlet. ctx says whom the connection is for.
func (o *outlet) onto(ctx context.Context, cfg *mcpconn.Config, r *resolved, in *cred.SignIn) (*egress.Transport, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if want := (outletSpec{r.URL, r.Credentials, r.TLS}); o.way == nil || !reflect.DeepEqual(want, o.spec) {
		if err := o.open(cfg.Name, want, in); err != nil {
			return nil, &catalog.Error{Code: catalog.Config, Msg: cfg.Name + ": " + err.Error(), Execution: catalog.NotExecuted, Err: err}
		}
	}
	cfg.Dial, cfg.TLS = o.way.Dial, o.files
	if o.cred != nil {
		cfg.Credential = o.cred.As(ctx)
	}
	return o.way, nil
}

// open makes the outlet one of spec. The files of spec.TLS are read again with every change of the configuration.
func (o *outlet) open(name string, spec outletSpec, in *cred.SignIn) error {
	files, err := spec.TLS.config()
	if err != nil {
		return err
	}
	u, err := url.Parse(spec.URL)
	if err != nil {
		return errors.New("url is no URL")
	}
	origin := (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	declared := append(tokenEndpoints(spec.Credentials), origin)
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
		declared = append(declared, (&url.URL{Scheme: "http", Host: proxy.Host}).String())
	}
	way, err := egress.New(egress.Options{Declared: declared, TLS: files})
	if err != nil {
		return errors.New("url is not an http or https URL")
	}
	var own *cred.Server
	if s, ok := spec.Credentials[cred.ForServer]; ok {
		if own, err = cred.NewServer(name, s, origin+u.Path, way, in); err != nil {
			return err
		}
	}
	if o.way != nil {
		o.way.CloseIdleConnections()
	}
	o.spec, o.files, o.way, o.cred = spec, files, way, own
	return nil
}

// tokenEndpoints are the addresses that credentials name.
func tokenEndpoints(all map[string]cred.Spec) []string {
	var addresses []string
	for _, c := range all {
		for _, address := range [...]string{c.TokenURL, c.Issuer} {
			if address != "" {
				addresses = append(addresses, address)
			}
		}
	}
	return addresses
}

// server is the connection to an MCP server behind a URL, with the way out to what gives tokens for it.
type server struct {
	*mcpconn.Conn
	way *egress.Transport
}

// Close implements backend.
func (s *server) Close(ctx context.Context) error {
	err := s.Conn.Close(ctx)
	s.way.CloseIdleConnections()
	return err
}

// personal reports whether callers have credentials of their own.
func (s *Spec) personal() bool {
	for _, c := range s.Credentials {
		if c.Personal() {
			return true
		}
	}
	return false
}
