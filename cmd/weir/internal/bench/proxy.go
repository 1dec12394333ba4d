package bench

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
)

// newProxy is the measure: httputil.ReverseProxy as one would set it up with care. It reads the whole request before it forwards it, keeps
// a connection for every concurrent call, and, when pooled, reuses its copy buffers, which it does not by itself.
func newProxy(upstream string, pooled bool) (http.Handler, error) {
	to, err := url.Parse(upstream)
	if err != nil {
		return nil, err
	}
	to.Path = ""
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, DisableCompression: true},
	}
	if pooled {
		proxy.BufferPool = &copyBuffers{sync.Pool{New: func() any { return make([]byte, 32<<10) }}}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := readAll(nil, r.Body, r.ContentLength)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		proxy.ServeHTTP(w, r)
	}), nil
}

// copyBuffers is a httputil.BufferPool.
type copyBuffers struct{ pool sync.Pool }

func (p *copyBuffers) Get() []byte {
	b, _ := p.pool.Get().([]byte)
	return b
}

func (p *copyBuffers) Put(b []byte) { p.pool.Put(b) } //nolint:staticcheck // the interface hands slices; the header's allocation is part of the cost
