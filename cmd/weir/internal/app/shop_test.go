package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"weir/translate/grpc/grpctest"
)

// shop is a pet shop that speaks one kind of API. Whatever the kind, it has the same operations, the same calls reach it, and it answers the same.
type shop struct {
	kind   string
	entry  object // what configuration says of it in any case
	scheme string // under which a credential is configured
	path   string // of the description
	text   func(operations []string) string
	// where is what stands around a value in what is answered: GraphQL has data and the field.
	where func(operation string) []string
	ledger
	distant  func(t *testing.T) // makes the description come over the network, asked for again and again
	publish  func(text string)  // replaces the description there, nil for a file
	hangUp   []func()           // ends connections that are idle
	complain func() string      // what calls are refused with, "" for nothing
	release  chan struct{}      // ends calls of slowPet
}

// shopOperations are all that a shop can do.
func shopOperations() []string {
	return []string{"getPet", "listPets", "addPet", "oldPet", "slowPet"}
}

// shops returns one shop of each kind with all operations.
func shops(t *testing.T) []*shop {
	t.Helper()
	all := []*shop{restShop(t), grpcShop(t), graphqlShop(t)}
	for _, s := range all {
		s.complain = func() string { return "" }
		s.release = make(chan struct{})
		t.Cleanup(func() { close(s.release) })
		s.write(t, shopOperations())
	}
	return all
}

// write makes the description one of these operations.
func (s *shop) write(t *testing.T, operations []string) {
	t.Helper()
	s.put(t, s.text(operations))
}

// broken is a description of no kind of API.
const broken = "{["

// put replaces the description in one step.
func (s *shop) put(t *testing.T, text string) {
	t.Helper()
	if s.publish != nil {
		s.publish(text)
		return
	}
	next := s.path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, s.path); err != nil {
		t.Fatal(err)
	}
}

// serve is what every kind of server does with a call.
func (s *shop) serve(ctx context.Context, operation string, args object, header http.Header) (object, string) {
	words := []string{operation}
	for _, name := range slices.Sorted(maps.Keys(args)) {
		if args[name] != nil {
			words = append(words, fmt.Sprintf("%s=%v", name, args[name]))
		}
	}
	s.add(strings.Join(words, " "), "", header)
	if said := s.complain(); said != "" {
		return nil, said + header.Get("Authorization")
	}
	pet := func(n int) object {
		return object{"id": n, "name": fmt.Sprintf("Rex %d", n), "tag": "dog", "owner": object{"name": "Ana", "email": "ana@shop.example"}}
	}
	switch operation {
	case "listPets":
		var count int
		_, _ = fmt.Sscan(fmt.Sprint(args["limit"]), &count) // none without a limit
		pets := make([]object, count)
		for i := range pets {
			pets[i] = pet(i)
		}
		return object{"pets": pets, "total": count}, ""
	case "slowPet":
		select {
		case <-ctx.Done(): // the server's clock may end the call before the caller's does
			<-s.release
		case <-s.release:
		}
	}
	return pet(7), ""
}

// served makes the description come from a server of its own, under a key of the configuration.
func (s *shop) served(key string) func(t *testing.T) {
	return func(t *testing.T) {
		var text atomic.Value
		text.Store(s.text(shopOperations()))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, text.Load())
		}))
		t.Cleanup(server.Close)
		s.hangUp = append(s.hangUp, server.CloseClientConnections)
		s.entry = maps.Clone(s.entry)
		maps.Copy(s.entry, object{key: server.URL, "refresh": "5ms"})
		s.publish = func(next string) { text.Store(next) }
	}
}

// key is how configuration names an operation.
func (s *shop) key(operation string) string {
	switch {
	case s.kind == "grpc":
		return "shop.v1.Pets/" + operation
	case s.kind == "graphql" && operation == "addPet":
		return "Mutation." + operation
	case s.kind == "graphql":
		return "Query." + operation
	}
	return operation
}

// config is the entry of the shop: more, and what is changed about operations, which have the same names for every kind.
func (s *shop) config(more, tools object) object {
	named := object{}
	for _, o := range shopOperations() {
		change := object{}
		if s.kind == "grpc" {
			change["name"] = o
		}
		if c, ok := tools[o].(object); ok {
			maps.Copy(change, c)
		}
		if len(change) > 0 {
			named[s.key(o)] = change
		}
	}
	entry := maps.Clone(s.entry)
	maps.Copy(entry, object{"mode": "tools", "tools": named})
	maps.Copy(entry, more)
	return entry
}

func restShop(t *testing.T) *shop {
	s := &shop{kind: "rest", scheme: "token", path: filepath.Join(t.TempDir(), "api.json"), where: func(string) []string { return nil }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		args := object{}
		for name, values := range r.URL.Query() {
			args[name] = values[0]
		}
		if r.Method == http.MethodPost {
			_ = json.NewDecoder(r.Body).Decode(&args) // the ledger shows what is missing
		}
		reply, complaint := s.serve(r.Context(), strings.TrimPrefix(r.URL.Path, "/"), args, r.Header)
		w.Header().Set("Content-Type", "application/json")
		if complaint != "" {
			w.WriteHeader(http.StatusBadRequest)
			reply = object{"message": complaint}
		}
		_ = json.NewEncoder(w).Encode(reply)
	}))
	t.Cleanup(server.Close)
	query := func(name, schema string, required bool) string {
		return fmt.Sprintf(`{"name":%q,"in":"query","required":%v,"schema":%s}`, name, required, schema)
	}
	id := query("id", `{"type":"integer","format":"int32","description":"number of the pet"}`, true)
	operations := map[string]string{
		"getPet":   `"get":{"summary":"Finds a Pet.","parameters":[` + id + `,` + query("lang", `{"type":"string"}`, false) + `],`,
		"listPets": `"get":{"summary":"Lists Pets.","parameters":[` + query("limit", `{"type":"integer","format":"int32"}`, false) + `,` + query("kind", `{"type":"string","enum":["CAT","DOG"]}`, false) + `],`,
		"addPet":   `"post":{"summary":"Adds a Pet.","requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"tag":{"type":"string"}}}}}},`,
		"oldPet":   `"get":{"summary":"Finds a Pet.","deprecated":true,"parameters":[` + id + `],`,
		"slowPet":  `"get":{"summary":"Waits for a Pet.",`,
	}
	s.text = func(names []string) string {
		var paths []string
		for _, o := range names {
			to := "Pet"
			if o == "listPets" {
				to = "Pets"
			}
			paths = append(paths, fmt.Sprintf(`"/%s":{%s"operationId":%q,"responses":{"200":{"description":"d","content":{"application/json":{"schema":{"$ref":"#/components/schemas/%s"}}}}}}}`, o, operations[o], o, to))
		}
		return `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"security":[{"token":[]}],"paths":{` + strings.Join(paths, ",") + `},"components":{"securitySchemes":{"token":{"type":"http","scheme":"bearer"}},"schemas":{
			"Pet":{"type":"object","properties":{"id":{"type":"integer"},"name":{"type":"string"},"tag":{"type":"string"},"owner":{"type":"object","properties":{"name":{"type":"string"},"email":{"type":"string"}}}}},
			"Pets":{"type":"object","properties":{"pets":{"type":"array","items":{"$ref":"#/components/schemas/Pet"}},"total":{"type":"integer"}}}}}}`
	}
	s.entry = object{"openapi": s.path, "server": server.URL}
	s.distant, s.hangUp = s.served("openapi"), []func(){server.CloseClientConnections}
	return s
}

const fieldBehavior = `syntax = "proto3";
package google.api;
import "google/protobuf/descriptor.proto";
extend google.protobuf.FieldOptions { repeated google.api.FieldBehavior field_behavior = 1052; }
enum FieldBehavior { FIELD_BEHAVIOR_UNSPECIFIED = 0; OPTIONAL = 1; REQUIRED = 2; }
`

func grpcShop(t *testing.T) *shop {
	folder := t.TempDir()
	s := &shop{kind: "grpc", scheme: "grpc", path: filepath.Join(folder, "shop.proto"), where: func(string) []string { return nil }}
	operations := map[string]string{
		"getPet":   "// Finds a Pet.\nrpc getPet(Get) returns (Pet) { option idempotency_level = NO_SIDE_EFFECTS; }\n",
		"listPets": "// Lists Pets.\nrpc listPets(List) returns (PetList) { option idempotency_level = NO_SIDE_EFFECTS; }\n",
		"addPet":   "// Adds a Pet.\nrpc addPet(Add) returns (Pet);\n",
		"oldPet":   "// Finds a Pet.\nrpc oldPet(Old) returns (Pet) { option idempotency_level = NO_SIDE_EFFECTS; option deprecated = true; }\n",
		"slowPet":  "// Waits for a Pet.\nrpc slowPet(Slow) returns (Pet) { option idempotency_level = NO_SIDE_EFFECTS; }\n",
	}
	s.text = func(names []string) string {
		text := `syntax = "proto3";
package shop.v1;
import "google/api/field_behavior.proto";
message Get { int32 id = 1 [(google.api.field_behavior) = REQUIRED]; // number of the pet
  string lang = 2; }
message List { optional int32 limit = 1; optional Kind kind = 2; }
enum Kind { CAT = 0; DOG = 1; }
message Add { string name = 1 [(google.api.field_behavior) = REQUIRED]; string tag = 2; }
message Old { int32 id = 1 [(google.api.field_behavior) = REQUIRED]; }
message Slow {}
message Pet { int32 id = 1; string name = 2; string tag = 3; Owner owner = 4; }
message Owner { string name = 1; string email = 2; }
message PetList { repeated Pet pets = 1; int32 total = 2; }
service Pets {
`
		for _, o := range names {
			text += operations[o]
		}
		return text + "}\n"
	}
	texts := func(shop string) map[string]string {
		return map[string]string{"shop.proto": shop, "google/api/field_behavior.proto": fieldBehavior}
	}
	var spoiled atomic.Bool
	server := grpctest.Serve(t, grpctest.Setup{
		Reflect: "v1",
		Files:   []string{"shop.proto"},
		Texts:   texts(s.text(shopOperations())),
		Reflection: func(context.Context) error {
			if spoiled.Load() {
				return status.Error(codes.DataLoss, "the description is broken")
			}
			return nil
		},
		Answer: func(ctx context.Context, method, request string) (string, error) {
			args, header := object{}, http.Header{}
			if err := json.Unmarshal([]byte(request), &args); err != nil {
				return "", err
			}
			md, _ := metadata.FromIncomingContext(ctx)
			for name, values := range md {
				header[http.CanonicalHeaderKey(name)] = values
			}
			reply, complaint := s.serve(ctx, method, args, header)
			if complaint != "" {
				return "", status.Error(codes.InvalidArgument, complaint)
			}
			data, err := json.Marshal(reply)
			return string(data), err
		},
	})
	api := filepath.Join(folder, "google", "api")
	if err := os.MkdirAll(api, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(api, "field_behavior.proto"), []byte(fieldBehavior), 0o600); err != nil {
		t.Fatal(err)
	}
	s.entry = object{"grpc": "http://" + server.Address, "protos": []string{s.path}, "importPaths": []string{folder}}
	s.distant = func(t *testing.T) {
		s.entry = object{"grpc": "http://" + server.Address, "refresh": "5ms"}
		s.publish = func(text string) {
			if spoiled.Store(text == broken); text != broken {
				server.Replace(t, []string{"shop.proto"}, texts(text))
			}
		}
	}
	return s
}

func graphqlShop(t *testing.T) *shop {
	s := &shop{kind: "graphql", scheme: "graphql", path: filepath.Join(t.TempDir(), "api.graphql"), where: func(o string) []string { return []string{"data", o} }}
	root := regexp.MustCompile(`\{\s*(\w+)`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Query     string
			Variables object
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || root.FindStringSubmatch(q.Query) == nil {
			http.Error(w, "no operation", http.StatusBadRequest)
			return
		}
		field := root.FindStringSubmatch(q.Query)[1]
		reply, complaint := s.serve(r.Context(), field, q.Variables, r.Header)
		answer := object{"data": object{field: reply}}
		if complaint != "" {
			answer = object{"data": nil, "errors": []object{{"message": complaint}}}
		}
		w.Header().Set("Content-Type", "application/graphql-response+json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	operations := map[string]string{
		"getPet":   "\"Finds a Pet.\"\ngetPet(\"number of the pet\" id: Int!, lang: String): Pet\n",
		"listPets": "\"Lists Pets.\"\nlistPets(limit: Int, kind: Kind): Pets\n",
		"addPet":   "type Mutation {\n\"Adds a Pet.\"\naddPet(name: String!, tag: String): Pet\n}\n",
		"oldPet":   "\"Finds a Pet.\"\noldPet(id: Int!): Pet @deprecated\n",
		"slowPet":  "\"Waits for a Pet.\"\nslowPet: Pet\n",
	}
	s.text = func(names []string) string {
		queries, mutations := "type Query {\n", ""
		for _, o := range names {
			if o == "addPet" {
				mutations = operations[o]
			} else {
				queries += operations[o]
			}
		}
		return queries + "}\n" + mutations + "enum Kind { CAT DOG }\ntype Pet { id: Int name: String tag: String owner: Owner }\ntype Owner { name: String email: String }\ntype Pets { pets: [Pet] total: Int }\n"
	}
	s.entry = object{"graphql": server.URL, "schema": s.path, "mutations": true}
	s.distant, s.hangUp = s.served("schema"), []func(){server.CloseClientConnections}
	return s
}

// header is what came under a name with each call.
func (l *ledger) header(name string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]string, len(l.headers))
	for i, h := range l.headers {
		all[i] = h.Get(name)
	}
	return all
}

// syncMap keeps what a cache is given.
type syncMap struct{ sync.Map }

func (m *syncMap) Get(key string) ([]byte, bool) {
	v, ok := m.Load(key)
	data, _ := v.([]byte)
	return data, ok
}
func (m *syncMap) Put(key string, data []byte) { m.Store(key, data) }
