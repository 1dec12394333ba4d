package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"weir/translate/grpc/grpctest"
)

// kind is a kind of API with a server, so that one test runs over all of them. Each operation takes a number called size.
type kind struct {
	name  string
	entry object                        // what configuration says of it in any case
	key   func(operation string) string // how configuration names an operation
	write func(operations []string)     // makes the description one of these operations
	// reached are the operations that the server was asked for, with their size: "getThing 7".
	reached func() []string
	// traces are the traceparents that came with them, "" for none.
	traces func() []string
	scheme string // under which a credential is configured
}

// ledger is what reached a server. A server with a complaint refuses every call with it, and with all that the call had for authorization.
type ledger struct {
	mu        sync.Mutex
	calls     []string
	headers   []http.Header
	closed    bool // nothing is noted any more
	complaint string
}

func (l *ledger) add(operation, size string, header http.Header) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.headers = append(l.headers, header)
	l.calls = append(l.calls, strings.TrimSpace(operation+" "+size))
}

func (l *ledger) reached() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.calls...)
}

func (l *ledger) traces() []string { return l.header("Traceparent") }

// kinds returns one API of each kind, with these operations. With a complaint, the servers refuse everything with it.
func kinds(t *testing.T, complaint string, operations ...string) []*kind {
	t.Helper()
	all := []*kind{restKind(t, complaint), grpcKind(t, complaint), graphqlKind(t, complaint)}
	for _, k := range all {
		k.write(operations)
	}
	return all
}

// described returns the path of a description, and what writes it from the texts of its operations.
func described(t *testing.T, name, before, after string, each func(operation string) string) (path string, write func([]string)) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	return path, func(operations []string) {
		t.Helper()
		var b strings.Builder
		for _, o := range operations {
			b.WriteString(each(o))
		}
		if err := os.WriteFile(path, []byte(before+strings.TrimSuffix(b.String(), ",")+after), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func restKind(t *testing.T, complaint string) *kind {
	l := &ledger{complaint: complaint}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.add(strings.TrimPrefix(r.URL.Path, "/"), r.URL.Query().Get("size"), r.Header)
		if l.complaint != "" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(object{"message": l.complaint + r.Header.Get("Authorization")})
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	k := &kind{name: "rest", reached: l.reached, traces: l.traces, scheme: "token", key: func(o string) string { return o }}
	var path string
	path, k.write = described(t, "api.json", `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"security":[{"token":[]}],"components":{"securitySchemes":{"token":{"type":"http","scheme":"bearer"}}},"paths":{`, `}}`,
		func(o string) string {
			return fmt.Sprintf(`"/%s":{"post":{"operationId":%q,"parameters":[{"name":"size","in":"query","schema":{"type":"integer"}}],"responses":{"204":{"description":"d"}}}},`, o, o)
		})
	k.entry = object{"openapi": path, "server": s.URL}
	return k
}

func grpcKind(t *testing.T, complaint string) *kind {
	s := grpctest.Serve(t, grpctest.Setup{Files: []string{"things.proto"}, Refuse: func(md metadata.MD) error {
		if complaint == "" {
			return nil
		}
		return status.Error(codes.InvalidArgument, complaint+strings.Join(md.Get("authorization"), ""))
	}})
	k := &kind{name: "grpc", scheme: "grpc", key: func(o string) string { return "weir.test.Things/" + o }}
	call := regexp.MustCompile(`^/weir\.test\.Things/(\w+) \{(?:"size":(\d+))?\}$`)
	k.reached = func() (all []string) {
		for _, c := range s.Calls() {
			all = append(all, strings.TrimSpace(call.ReplaceAllString(c, "$1 $2")))
		}
		return all
	}
	k.traces = func() (all []string) {
		for _, md := range s.Metadata() {
			all = append(all, strings.Join(md.Get("traceparent"), ","))
		}
		return all
	}
	var path string
	path, k.write = described(t, "api.proto", "syntax = \"proto3\";\npackage weir.test;\nmessage Thing { int32 size = 1; }\nservice Things {\n", "}\n",
		func(o string) string { return "rpc " + o + "(Thing) returns (Thing);\n" })
	k.entry = object{"grpc": "http://" + s.Address, "protos": []string{path}}
	return k
}

func graphqlKind(t *testing.T, complaint string) *kind {
	l := &ledger{complaint: complaint}
	root := regexp.MustCompile(`\{\s*(\w+)`)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Query     string
			Variables struct{ Size json.Number }
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || root.FindStringSubmatch(q.Query) == nil {
			http.Error(w, "no operation", http.StatusBadRequest)
			return
		}
		field := root.FindStringSubmatch(q.Query)[1]
		l.add(field, q.Variables.Size.String(), r.Header)
		w.Header().Set("Content-Type", "application/graphql-response+json")
		if l.complaint != "" {
			_ = json.NewEncoder(w).Encode(object{"data": nil, "errors": []object{{"message": l.complaint + r.Header.Get("Authorization")}}})
			return
		}
		_ = json.NewEncoder(w).Encode(object{"data": object{field: 1}})
	}))
	t.Cleanup(s.Close)
	k := &kind{name: "graphql", reached: l.reached, traces: l.traces, scheme: "graphql", key: func(o string) string { return "Query." + o }}
	var path string
	path, k.write = described(t, "api.graphql", "type Query {\n", "}\n", func(o string) string { return o + "(size: Int): Int\n" })
	k.entry = object{"graphql": s.URL, "schema": path}
	return k
}

// with is the configuration of the API with more keys.
func (k *kind) with(more object) object {
	entry := maps.Clone(k.entry)
	maps.Copy(entry, more)
	return entry
}

// tools is the configuration of operations under the names that they have in the description; gRPC puts the service before them.
func (k *kind) tools(operations ...string) object {
	all := object{}
	for _, o := range operations {
		all[k.key(o)] = object{"name": o}
	}
	return all
}
