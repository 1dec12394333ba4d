package app

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
	"weir/policy"
	"weir/server"
	"weir/server/authn"
	"weir/server/mcphttp"
	"weir/upstream/egress"
)

// signIn is how callers over HTTP sign in, wired.
type signIn struct {
	app    *App
	spec   server.Spec
	origin string // of the listener, such as https://127.0.0.1:7777
	auth   atomic.Pointer[authn.Authenticator]
	tls    *mcphttp.Certificates // nil for plain HTTP
	out    outbound
}

// outbound is the guarded way to the issuers of the file in force.
type outbound struct {
	atomic.Pointer[egress.Transport]
}

// RoundTrip implements http.RoundTripper.
func (o *outbound) RoundTrip(r *http.Request) (*http.Response, error) { return o.Load().RoundTrip(r) }

// newSignIn wires how callers sign in on a listener. close must be called in the end.
func (a *App) newSignIn(spec server.Spec, addr net.Addr) (*signIn, error) {
	s := &signIn{app: a, spec: spec, origin: "http://" + addr.String()}
	if spec.TLS.Cert != "" {
		var err error
		if s.tls, err = mcphttp.ReadCertificates(spec.TLS); err != nil {
			return nil, err
		}
		s.origin = "https://" + addr.String()
	}
	a.logins.auth = s.auth.Load
	if err := s.apply(a.current()); err != nil {
		return nil, err
	}
	if host, err := netip.ParseAddrPort(addr.String()); s.auth.Load() != nil && s.tls == nil && (err != nil || !host.Addr().IsLoopback()) {
		a.log.Warn("listen: tokens cross the network in clear text; set tls, or put a proxy with TLS in front", "listen", addr.String())
	}
	return s, nil
}

// apply makes the sign-in of a file the one in force. After an error what was in force stays.
func (s *signIn) apply(file *config.File) error {
	if s.tls != nil {
		if err := s.tls.Reload(); err != nil {
			return err
		}
	}
	spec, err := authOf(file)
	if err != nil {
		return err
	}
	if !spec.Asked() {
		s.app.logins.serveAt(s.origin)
		s.close()
		return nil
	}
	resources, err := s.resources(file, spec)
	if err != nil {
		return err
	}
	if u, err := url.Parse(resources[0].URL); err == nil {
		s.app.logins.serveAt((&url.URL{Scheme: u.Scheme, Host: u.Host}).String())
	}
	o := authn.Options{Spec: spec, Resources: resources, Transport: &s.out, Log: s.app.log, Meter: s.app.observation.meter}
	if s.tls != nil {
		o.ClientCA = s.tls.ClientCA()
	}
	out, err := egress.New(egress.Options{Declared: declared(spec)})
	if err != nil {
		return err
	}
	if last := s.out.Swap(out); last != nil {
		defer last.CloseIdleConnections()
	}
	if auth := s.auth.Load(); auth != nil {
		err = auth.Reload(o.Spec, o.Resources, o.ClientCA)
	} else if auth, err = authn.New(o); err == nil {
		s.auth.Store(auth)
	}
	if err != nil {
		return &catalog.Error{Code: catalog.Config, Msg: err.Error(), Err: err}
	}
	return nil
}

// authOf is how a file has callers sign in, references resolved. Relative names of files start at its folder.
func authOf(file *config.File) (authn.Spec, error) {
	spec, err := config.Resolved(file.Expander, file.Auth)
	for i := range spec.OIDC {
		spec.OIDC[i].JWKSFile = beside(filepath.Dir(file.Path), spec.OIDC[i].JWKSFile)
	}
	return spec, err
}

// declared are the URLs of issuers that the configuration names; what their documents name besides must be public.
func declared(spec authn.Spec) []string {
	var urls []string
	for _, i := range spec.OIDC {
		for _, u := range []string{i.Issuer, i.JWKSURL, i.Introspection.URL} {
			if u != "" {
				urls = append(urls, u)
			}
		}
	}
	return urls
}

// resources are the endpoints of a file: its own, and those of its virtual servers, which are found where that is found, at their own paths.
func (s *signIn) resources(file *config.File, spec authn.Spec) ([]authn.Resource, error) {
	main := spec.Resource
	if main == "" {
		main = s.origin + s.spec.Path
	}
	base, under := strings.CutSuffix(strings.TrimSuffix(main, "/"), s.spec.Path)
	if !under {
		u, err := url.Parse(main)
		if err != nil {
			return nil, catalog.Errorf(catalog.Config, "auth.resource: %v", err)
		}
		base = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	}
	all := []authn.Resource{{Path: s.spec.Path, URL: main}}
	for name, v := range file.Servers {
		audience, err := file.Expander.Expand(v.Audience)
		if err != nil {
			return nil, err
		}
		at := pathOf(file, name)
		all = append(all, authn.Resource{Path: at, URL: base + at, Audience: audience, Tenant: name})
	}
	return all, nil
}

// at says who calls the endpoint at path; local is its local user.
func (s *signIn) at(path string, local policy.Principal) func(*http.Request) (authn.Caller, error) {
	alone := onlyLocal(s.spec, local)
	return func(r *http.Request) (authn.Caller, error) {
		if auth := s.auth.Load(); auth != nil {
			return auth.Authenticate(path, r)
		}
		return alone(r)
	}
}

// metadata are the paths at which clients learn where to sign in, and what serves them; nil while nobody has to.
func (s *signIn) metadata() ([]string, http.Handler) {
	auth := s.auth.Load()
	if auth == nil {
		return nil, nil
	}
	return auth.MetadataPaths(), auth.Metadata()
}

// listen puts TLS on a listener, if there is to be any.
func (s *signIn) listen(ln net.Listener) net.Listener {
	if s.tls == nil {
		return ln
	}
	return s.tls.Listen(ln)
}

// files are those that the sign-in of a file is read from.
func (s *signIn) files(file *config.File) []string {
	var all []string
	for _, name := range []string{s.spec.TLS.Cert, s.spec.TLS.Key, s.spec.TLS.ClientCA} {
		if name != "" {
			all = append(all, name)
		}
	}
	spec, err := authOf(file)
	for i := range spec.OIDC {
		if name := spec.OIDC[i].JWKSFile; err == nil && name != "" {
			all = append(all, name)
		}
	}
	return all
}

// close lets nobody sign in any more.
func (s *signIn) close() {
	if auth := s.auth.Swap(nil); auth != nil {
		auth.Close()
	}
	if out := s.out.Load(); out != nil {
		out.CloseIdleConnections()
	}
}

// onlyLocal says who is calling while nobody can sign in: whoever uses this machine's loopback address is the local user, and so is everybody when the
// operator said that.
func onlyLocal(spec server.Spec, local policy.Principal) func(*http.Request) (authn.Caller, error) {
	return func(r *http.Request) (authn.Caller, error) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if spec.InsecureNoAuth || err == nil && from.Addr().Unmap().IsLoopback() {
			return authn.Caller{Principal: local}, nil
		}
		return authn.Caller{}, &authn.Refusal{Status: http.StatusForbidden, Reason: "only this machine may call: nobody can sign in"}
	}
}
