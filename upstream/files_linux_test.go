package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/catalog"
	"weir/translate/graphql"
	described "weir/translate/grpc"
	"weir/translate/grpc/grpctest"
	"weir/translate/openapi"
	"weir/upstream/upstreamtest"
)

// noFiles lets this process open no file any more until more is called.
func noFiles(t *testing.T) (more func()) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	set := func(n uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: limit.Max}); err != nil {
			t.Error(err)
		}
	}
	more = func() { set(limit.Cur) }
	t.Cleanup(more)
	set(0)
	if f, err := os.Open(os.DevNull); err == nil {
		_ = f.Close()
		t.Fatal("files can still be opened")
	}
	return more
}

// closing is a server's URL, without kept connections.
func closing(t *testing.T, server string) string {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(to)
	through.FlushInterval = -1
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	return h.URL + to.Path
}

// cuttable is an address through which another one is reached until cut ends all connections there are.
func cuttable(t *testing.T, to string) (address string, cut func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	var running sync.WaitGroup
	cut = func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			_ = c.Close()
		}
	}
	running.Go(func() {
		for {
			near, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			mu.Lock()
			open = append(open, near, far)
			mu.Unlock()
			for from, into := range map[net.Conn]net.Conn{near: far, far: near} {
				running.Go(func() {
					_, _ = io.Copy(into, from) // until it is cut
					_ = into.Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		cut()
		running.Wait()
	})
	return l.Addr().String(), cut
}

// Without files to open, calls that need one end as not executed and say so, whatever kind of upstream they go to; no upstream is marked as down, nothing is held back
// afterwards, and with files again all goes on at once.
func TestR34_OutOfFiles(t *testing.T) {
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Connection", "close")
		_, _ = fmt.Fprint(w, `{"data":{"echo":"x"}}`)
	}))
	t.Cleanup(rest.Close)
	procedures, cut := cuttable(t, grpctest.Serve(t, grpctest.Setup{}).Address)
	mcp := closing(t, upstreamtest.New(t, upstreamtest.Config{Era: upstreamtest.Modern}).URL)
	specs := map[string]Spec{
		"mcp": {URL: mcp}, "pool": {Endpoints: []Endpoint{{URL: mcp}, {URL: mcp}}},
		"rest": {OpenAPI: openapi.Spec{OpenAPI: file("api.json", `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/a":{"get":{"operationId":"echo",
			"responses":{"200":{"description":"d","content":{"application/json":{}}}}}}}}`), Server: rest.URL}},
		"graphql": {GraphQL: graphql.Spec{GraphQL: rest.URL, Schema: file("a.graphql", `type Query { echo: String }`)}},
		"grpc": {GRPC: described.Spec{GRPC: "http://" + procedures, Protos: []string{file("a.proto", `syntax = "proto3"; package weir.test;
			service Greeter { rpc Hello(Q) returns (R); } message Q { string first_name = 1; } message R { string message = 1; }`)}}},
	}
	for name, spec := range specs {
		spec.Probe = 5 * time.Millisecond
		specs[name] = spec
	}
	s := run(t, Options{Namespace: space(specs), Catalog: catalog.New()})
	settle(t, s)
	before := map[string]Status{}
	for name := range specs {
		before[name] = statusOf(s, name)
		if before[name].State != Ready {
			t.Fatalf("%s: %+v", name, before[name])
		}
	}
	tools := map[string]string{"mcp": "mcp__echo", "pool": "pool__echo", "rest": "rest__echo", "graphql": "graphql__echo", "grpc": "grpc__Greeter_Hello"}
	more := noFiles(t)
	cut()
	for name, tool := range tools {
		until(t, name+" has noticed it", func() bool {
			a, err := callTool(t, s, tool)
			if err != nil {
				return strings.Contains(err.Error(), "open files")
			}
			defer a.Release()
			return strings.Contains(string(a.Message.Data), "open files")
		})
		for range 12 { // more than it takes to hold calls back
			a, err := callTool(t, s, tool)
			if err == nil { // an API's tools answer whatever happens
				text := string(a.Message.Data)
				a.Release()
				if !strings.Contains(text, "open files") || !strings.Contains(text, "nothing was sent") {
					t.Errorf("%s: %.300s", name, text)
				}
				continue
			}
			if e := own(t, err); e.Code != catalog.Limited || e.Execution != catalog.NotExecuted || e.Retry == 0 || !strings.Contains(e.Msg, "open files") {
				t.Errorf("%s: %+v", name, e)
			}
		}
		time.Sleep(50 * time.Millisecond) // probes
		if st := statusOf(s, name); st.State != Ready || st.Since != before[name].Since || len(st.Problems) > 0 || st.Stale {
			t.Errorf("%s: %+v", name, st)
		}
	}
	more()
	for name, tool := range tools {
		until(t, "calls of "+name+" succeed again", func() bool {
			a, err := callTool(t, s, tool)
			if err != nil {
				return false
			}
			defer a.Release()
			return !strings.Contains(string(a.Message.Data), "open files")
		})
		if st := statusOf(s, name); st.State != Ready || st.Since != before[name].Since || st.Restarts > 0 {
			t.Errorf("%s: %+v", name, st)
		}
	}
}

// What cannot be started or connected to for want of files is none of the things that are wrong with upstreams either: it waits, says why, and is there as soon as there are
// files.
func TestR34_StartsWithoutFiles(t *testing.T) {
	child := upstreamtest.Stdio(t, upstreamtest.Config{})
	mcp := upstreamtest.New(t, upstreamtest.Config{})
	procedures := grpctest.Serve(t, grpctest.Setup{Reflect: "v1"})
	specs := map[string]Spec{
		"stdio": {Command: child.Command, Args: child.Args}, "http": {URL: mcp.URL}, "grpc": {GRPC: described.Spec{GRPC: "http://" + procedures.Address}},
		"pool": {Endpoints: []Endpoint{{URL: mcp.URL}, {URL: mcp.URL}}},
	}
	s := New(Options{Namespace: space(specs), Catalog: catalog.New()})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	more := noFiles(t)
	s.Start(context.Background())
	for name := range specs {
		until(t, name+" says why", func() bool { return strings.Contains(statusOf(s, name).Reason, "open files") })
		if st := statusOf(s, name); st.State != Starting {
			t.Errorf("%s: %+v", name, st)
		}
	}
	more()
	began := time.Now()
	settle(t, s)
	for name := range specs {
		if st := statusOf(s, name); st.State != Ready || st.Reason != "" {
			t.Errorf("%s: %+v", name, st)
		}
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("back after %s", took)
	}
}
