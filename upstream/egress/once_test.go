package egress

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// A request that may change something is not sent again by net/http when its kept connection breaks, whatever idempotency key it carries.
func TestAtMostOnceWithIdempotencyKeys(t *testing.T) {
	var calls atomic.Int32
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			return // the connection is a kept one from now on
		}
		if r.Header.Get("Idempotency-Key")+r.Header.Get("X-Idempotency-Key") != "k" {
			t.Errorf("header %v", r.Header)
		}
		panic(http.ErrAbortHandler)
	}))
	defer up.Close()
	for _, header := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			for name, body := range map[string][]byte{"with a body": []byte("x"), "without": nil} {
				t.Run(method+" "+header+" "+name, func(t *testing.T) {
					tr, err := New(Options{Declared: []string{up.URL}})
					if err != nil {
						t.Fatal(err)
					}
					defer tr.CloseIdleConnections()
					calls.Store(0)
					send := func() error {
						r, err := http.NewRequestWithContext(t.Context(), method, up.URL, bytes.NewReader(body))
						if err != nil {
							t.Fatal(err)
						}
						if calls.Load() > 0 {
							r.Header.Set(header, "k")
						}
						resp, err := tr.RoundTrip(r)
						if err == nil {
							_ = resp.Body.Close()
						}
						return err
					}
					if err := send(); err != nil {
						t.Fatal(err)
					}
					if send() == nil {
						t.Error("an answer")
					}
					if n := calls.Load(); n != 2 {
						t.Errorf("%d requests for 2 calls", n)
					}
				})
			}
		}
	}
}
