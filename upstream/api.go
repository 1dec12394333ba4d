package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"weir/catalog"
	"weir/translate"
	"weir/translate/graphql"
	"weir/translate/grpc"
	"weir/translate/openapi"
	"weir/upstream/cred"
	"weir/upstream/egress"
)

// api is a translated API with the way out that was made for it.
type api struct {
	translate.Backend
	way *egress.Transport
}

// Close implements backend.
func (a *api) Close(ctx context.Context) error {
	err := a.Backend.Close(ctx)
	a.way.CloseIdleConnections()
	return err
}

// Probe implements prober. An API whose kind knows no way to ask is taken for well.
func (a *api) Probe(ctx context.Context) error {
	if p, ok := a.Backend.(translate.Prober); ok {
		return p.Probe(ctx)
	}
	return nil
}

// dialAPI makes an API of a resolved spec an upstream. Everything it sends, for descriptions, tokens and calls, goes through one guarded transport,
// which knows the addresses that the spec names.
func (s *Set) dialAPI(ctx context.Context, name string, spec *Spec, changed func()) (backend, error) {
	fail := func(code catalog.Code, err error) (backend, error) {
		msg := strings.TrimPrefix(err.Error(), name+": ")
		return nil, &catalog.Error{Code: code, Msg: name + ": " + msg, Execution: catalog.NotExecuted, Err: err}
	}
	config, err := spec.TLS.config()
	if err != nil {
		return fail(catalog.Config, err)
	}
	origins := spec.origins()
	way, err := egress.New(egress.Options{Declared: slices.Concat(origins, tokenEndpoints(spec.Credentials)), TLS: config})
	if err != nil {
		return fail(catalog.Config, err)
	}
	schemes, err := cred.New(spec.Credentials, origins, way)
	if err != nil {
		return fail(catalog.Config, err)
	}
	o := translate.Options{
		Upstream: name, Transport: way, Dial: way.Dial, TLS: config, Credentials: schemes, Headers: http.Header{}, Cache: s.o.Cache, Memory: s.memory,
		Changed: changed, Log: s.o.Log,
	}
	for k, v := range spec.Headers {
		o.Headers.Set(k, v)
	}
	if len(o.Headers) > 0 && len(origins) > 0 {
		o.Transport = &stamp{next: way, headers: o.Headers, origin: origins[0]}
	}
	b, err := translated(ctx, spec, o)
	if err != nil {
		way.CloseIdleConnections()
		return fail(catalog.Unavailable, err)
	}
	return &api{Backend: b, way: way}, nil
}

// translated picks the translator by the key that is set.
func translated(ctx context.Context, spec *Spec, o translate.Options) (translate.Backend, error) {
	shared := spec.API
	shared.Include, shared.Exclude, shared.Timeout, shared.MaxBody = spec.Include, spec.Exclude, spec.Timeout, spec.MaxMessage
	switch {
	case spec.OpenAPI.OpenAPI != "":
		own := spec.OpenAPI
		own.Spec = shared
		return openapi.New(ctx, own, o)
	case spec.GRPC.GRPC != "":
		own := spec.GRPC
		own.Spec = shared
		return grpc.New(ctx, own, o)
	case spec.GraphQL.GraphQL != "":
		own := spec.GraphQL
		own.Spec = shared
		return graphql.New(ctx, own, o)
	}
	return nil, errors.New("nothing says how to reach it")
}

// origins are the addresses that spec itself names, which may be private and get its credentials: that of the API first, then that of its
// description. What a description says is not among them.
func (s *Spec) origins() []string {
	var all []string
	for _, address := range slices.Concat([]string{s.OpenAPI.Server, s.OpenAPI.OpenAPI}, s.GRPC.Addresses(), s.GraphQL.Addresses()) {
		if u, err := url.Parse(address); err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
			all = append(all, u.Scheme+"://"+strings.ToLower(u.Host))
		}
	}
	return all
}

// config reads the files.
func (t TLS) config() (*tls.Config, error) {
	if t == (TLS{}) {
		return nil, nil //nolint:nilnil // nil is the form of the defaults
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: %s holds no certificate", t.CA)
		}
	}
	if t.Cert == "" && t.Key == "" {
		return c, nil
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, errors.New("tls.cert and tls.key hold no certificate with its key")
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// stamp puts configured headers on the requests to one origin.
type stamp struct {
	next    http.RoundTripper
	headers http.Header
	origin  string
}

// RoundTrip implements http.RoundTripper.
func (s *stamp) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme+"://"+strings.ToLower(r.URL.Host) == s.origin {
		r = r.Clone(r.Context())
		maps.Copy(r.Header, s.headers)
	}
	return s.next.RoundTrip(r)
}
