package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"

	"weir/translate/graphql/graphqltest"
	"weir/translate/grpc/grpctest"
	"weir/upstream/upstreamtest"
)

// canaryStage is a gateway with a secret in every field that can hold one, and everything behind it that works, fails, hangs, or repeats what it is sent.
type canaryStage struct {
	canaries
	dir     string
	servers object
	ready   []string     // tools that work
	reached atomic.Int32 // how often a secret reached whom it is for
	strayed atomic.Int32 // how often anything reached where a redirect leads
	key     string       // of the caller
	watch   canaryWatch
	told    string // URL of watch
}

func newCanaryStage(t *testing.T) *canaryStage {
	t.Helper()
	s := &canaryStage{dir: t.TempDir(), servers: object{}}
	w := httptest.NewServer(&s.watch)
	t.Cleanup(w.Close)
	s.told = w.URL
	s.mcpServers(t)
	s.brokenServers(t)
	s.children(t)
	s.apis(t)
	return s
}

// web serves a handler and returns its URL.
func (s *canaryStage) web(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	w := httptest.NewServer(h)
	t.Cleanup(w.Close)
	return w.URL
}

// issuer is an authorization server: its token endpoint gives tokens that are secrets too, or refuses and repeats what it was asked.
func (s *canaryStage) issuer(t *testing.T, refuses bool) string {
	t.Helper()
	token := s.make(fmt.Sprintf("a token of an issuer that refuses: %v", refuses))
	var base string
	base = s.web(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/.well-known/"):
			_ = json.NewEncoder(w).Encode(object{
				"issuer": base, "token_endpoint": base + "/token", "authorization_endpoint": base + "/auth", "jwks_uri": base + "/jwks", "introspection_endpoint": base + "/ask",
				"code_challenge_methods_supported": []string{"S256"}, "response_types_supported": []string{"code"}, "authorization_response_iss_parameter_supported": true,
			})
		case r.URL.Path == "/jwks":
			_, _ = w.Write([]byte(`{"keys":[]}`))
		case refuses:
			canaryEcho(w, r, http.StatusUnauthorized, "application/json")
		case r.URL.Path == "/ask":
			_ = json.NewEncoder(w).Encode(object{"active": false})
		default:
			s.reached.Add(1)
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(object{"access_token": token, "token_type": "Bearer", "expires_in": 3600, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})
		}
	})
	return base
}

// mcpServers are servers that work, with every kind of credential.
func (s *canaryStage) mcpServers(t *testing.T) {
	t.Helper()
	issuer, refusing := s.issuer(t, false), s.issuer(t, true)
	own := func(of string) object {
		return object{"clientId": "weir", "clientSecret": s.make("clientSecret of " + of), "tokenUrl": issuer + "/token"}
	}
	for name, credential := range map[string]object{
		"value": {"value": s.make("value"), "header": "X-Api-Key"}, "bearer": {"value": s.make("bearer")}, "query": {"value": s.make("query"), "query": "key"},
		"basic": {"username": "weir", "password": s.make("password")}, "client": own("client"), "exchange": with(own("exchange"), "grant", "token_exchange"),
		"jwt":       {"grant": "jwt_bearer", "clientId": "weir", "key": s.canaries.key(t, "key of jwt"), "tokenUrl": issuer + "/token"},
		"assertion": {"key": s.canaries.key(t, "key of assertion"), "audience": "backend"},
		"signin":    {"grant": "authorization_code", "issuer": issuer, "clientId": "weir", "clientSecret": s.make("clientSecret of signin")},
		"refused":   {"clientId": "weir", "clientSecret": s.make("clientSecret of refused"), "tokenUrl": refusing + "/token"},
		"unasked":   {"clientId": "weir", "clientSecret": s.make("clientSecret of unasked"), "tokenUrl": "http://127.0.0.1:1/token"},
		"none":      nil,
	} {
		up := upstreamtest.New(t, upstreamtest.Config{Prompts: []upstreamtest.Raw{`{"name":"ask"}`}, Resources: []upstreamtest.Raw{upstreamtest.Raw(`{"name":"n","uri":"` + name + `://1"}`)}, Tools: []upstreamtest.Raw{
			`{"name":"echo","inputSchema":{"type":"object"}}`, `{"name":"drop","inputSchema":{"type":"object"}}`, `{"name":"hang","inputSchema":{"type":"object"}}`, `{"name":"html","inputSchema":{"type":"object"}}`,
			`{"name":"fault","inputSchema":{"type":"object"}}`,
		}, Script: []upstreamtest.Act{
			{On: "tools/call drop", Fault: upstreamtest.Drop},
			{On: "tools/call hang", Fault: upstreamtest.Hang},
			{On: "tools/call html", Fault: upstreamtest.HTML},
			{On: "tools/call fault", Error: `{"code":-32603,"message":"it is broken"}`},
		}})
		entry := object{"url": up.URL + "?token=" + s.make("url of "+name), "headers": object{"X-Key": s.make("header of " + name)}, "timeout": "300ms", "startTimeout": "5s"}
		if credential != nil {
			entry["credentials"] = object{"mcp": credential}
		}
		s.servers[name] = entry
		if name == "none" {
			s.servers["many"] = object{"timeout": "300ms", "endpoints": []object{{"url": up.URL + "?token=" + s.make("endpoint")}, {"url": "http://127.0.0.1:1/?token=" + s.make("an endpoint that is gone")}}}
			s.ready = append(s.ready, "many__echo")
		}
		switch name {
		case "exchange", "assertion", "signin", "refused", "unasked":
		default:
			s.ready = append(s.ready, name+"__echo")
		}
	}
}

func with(o object, key string, value any) object {
	o[key] = value
	return o
}

// brokenServers fail in every way that repeats what they were sent.
func (s *canaryStage) brokenServers(t *testing.T) {
	t.Helper()
	secure := canaryTLS(func(w http.ResponseWriter, r *http.Request) { canaryEcho(w, r, http.StatusOK, "text/plain") })
	t.Cleanup(secure.Close)
	away := s.web(t, func(w http.ResponseWriter, r *http.Request) {
		s.strayed.Add(1)
		canaryEcho(w, r, http.StatusOK, "application/json")
	})
	for name, address := range map[string]string{
		"unauthorized": s.web(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", "Bearer error_description=\""+r.Header.Get("Authorization")+"\"")
			canaryEcho(w, r, http.StatusUnauthorized, "application/json")
		}),
		"forbidden": s.web(t, func(w http.ResponseWriter, r *http.Request) { canaryEcho(w, r, http.StatusForbidden, "text/plain") }),
		"failing": s.web(t, func(w http.ResponseWriter, r *http.Request) {
			canaryEcho(w, r, http.StatusInternalServerError, "text/html")
		}),
		"odd":   s.web(t, func(w http.ResponseWriter, r *http.Request) { canaryEcho(w, r, http.StatusOK, "application/json") }),
		"odder": s.web(t, func(w http.ResponseWriter, r *http.Request) { canaryEcho(w, r, http.StatusOK, "text/event-stream") }),
		"moved": s.web(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, away, http.StatusTemporaryRedirect) }),
		"deaf":  upstreamtest.New(t, upstreamtest.Config{Deaf: true}).URL,
		"tls":   secure.URL, "gone": "http://127.0.0.1:1/mcp", "nowhere": "http://no.such.host.invalid/mcp",
	} {
		for _, kind := range []string{"", "-sse"} {
			entry := object{
				"url": address + "?token=" + s.make("url of "+name+kind), "headers": object{"X-Key": s.make("header of " + name + kind)},
				"credentials": object{"mcp": object{"value": s.make("value of " + name + kind)}}, "startTimeout": "1s", "timeout": "1s",
			}
			if kind != "" {
				entry["type"] = "sse"
			}
			s.servers[name+kind] = entry
		}
	}
}

// children are programs over stdio: one that works, one that is not there, and some that end and say why.
func (s *canaryStage) children(t *testing.T) {
	t.Helper()
	file := filepath.Join(s.dir, "child.env")
	must(t, os.WriteFile(file, []byte("FILE_TOKEN="+s.make("envFile")+"\n"), 0o600))
	up := upstreamtest.Stdio(t, upstreamtest.Config{})
	env := func(of string) object { return object{"CHILD_TOKEN": s.make("env of " + of)} }
	s.servers["child"] = object{"timeout": "2s", "command": up.Command, "args": append(up.Args, "--token="+s.make("args")), "env": env("child"), "envFile": file}
	s.servers["missing"] = object{"command": "/nowhere/at-all", "args": []string{"--token", s.make("args of missing")}, "env": env("missing")}
	s.servers["ends"] = object{"command": "sh", "args": []string{"-c", "exit 3", s.make("args of ends")}, "env": env("ends"), "envFile": file}
	s.servers["talks"] = object{"command": "sh", "args": []string{"-c", `echo "bad token $CHILD_TOKEN and $1 and $FILE_TOKEN" >&2; echo "bad token $CHILD_TOKEN"; exit 3`, "sh", s.make("args of talks")}, "env": env("talks"), "envFile": file}
	s.ready = append(s.ready, "child__echo")
}

// apis are those of each kind, once answering and once refusing with all that they were sent.
func (s *canaryStage) apis(t *testing.T) {
	t.Helper()
	issuer, refusing := s.issuer(t, false), s.issuer(t, true)
	for _, name := range []string{"rest", "restbad"} {
		var base string
		base = s.web(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/api.json":
				_, _ = w.Write([]byte(canaryDescription(base)))
			case strings.HasPrefix(r.URL.Path, "/fails"), name == "restbad":
				canaryEcho(w, r, http.StatusInternalServerError, "application/json")
			case strings.HasPrefix(r.URL.Path, "/denies"):
				canaryEcho(w, r, http.StatusUnauthorized, "application/problem+json")
			case strings.HasPrefix(r.URL.Path, "/hangs"):
				<-r.Context().Done()
			case strings.HasPrefix(r.URL.Path, "/drops"):
				panic(http.ErrAbortHandler)
			case strings.HasPrefix(r.URL.Path, "/moves"):
				http.Redirect(w, r, "http://127.0.0.1:1"+r.URL.String(), http.StatusFound)
			default:
				s.reached.Add(1)
				w.WriteHeader(http.StatusNoContent)
			}
		})
		token := issuer
		if name == "restbad" {
			token = refusing
		}
		s.servers[name] = object{
			"openapi": base + "/api.json?key=" + s.make("openapi of "+name), "server": base, "mode": "tools", "timeout": "300ms", "headers": object{"X-Key": s.make("header of " + name)},
			"variables": object{"region": s.make("variable of " + name)}, "tools": object{"works": object{"args": object{"fixed": object{"fixed": s.make("fixed argument of " + name)}}}},
			"credentials": object{
				"header": object{"value": s.make("value in a header of " + name)}, "query": object{"value": s.make("value in the query of " + name)}, "cookie": object{"value": s.make("value in a cookie of " + name)},
				"basic": object{"username": "weir", "password": s.make("password of " + name)}, "bearer": object{"value": s.make("bearer of " + name)},
				"oauth":       object{"clientId": "weir", "clientSecret": s.make("clientSecret of " + name), "tokenUrl": token + "/token"},
				"description": object{"value": s.make("description of " + name)},
			},
		}
	}
	s.ready = append(s.ready, "rest__works")
	s.servers["restgone"] = object{"openapi": "http://127.0.0.1:1/api.json?key=" + s.make("openapi that is gone"), "credentials": object{"description": object{"value": s.make("description that is gone")}}}
	s.servers["restsecure"] = s.secureAPI(t)

	library := graphqltest.New()
	g := httptest.NewServer(library)
	t.Cleanup(func() {
		g.CloseClientConnections()
		g.Close()
		library.Running.Wait()
	})
	bad := s.web(t, func(w http.ResponseWriter, r *http.Request) {
		canaryEcho(w, r, http.StatusUnauthorized, "application/json")
	})
	schema, err := filepath.Abs(filepath.Join(root, "translate", "graphql", "graphqltest", "library.graphql"))
	must(t, err)
	for name, address := range map[string]string{"graphql": g.URL, "graphqlbad": bad, "graphqlgone": "http://127.0.0.1:1/"} {
		entry := object{
			"graphql": address + "?key=" + s.make("graphql of "+name), "mode": "tools", "mutations": true, "headers": object{"X-Key": s.make("header of " + name)}, "timeout": "500ms",
			"subscriptions": "websocket", "subscriptionUrl": strings.Replace(address, "http", "ws", 1) + "?key=" + s.make("subscriptionUrl of "+name),
			"credentials": object{"graphql": object{"value": s.make("value of " + name)}},
		}
		if name != "graphql" {
			entry["schema"] = schema
		}
		s.servers[name] = entry
	}
	s.servers["graphqlschema"] = object{"graphql": bad, "schema": bad + "/schema?key=" + s.make("schema"), "credentials": object{"description": object{"value": s.make("value of the schema")}}}
	for name, complaint := range map[string]string{"grpc": "", "grpcbad": "bad token "} {
		server := grpctest.Serve(t, grpctest.Setup{Reflect: "v1", Refuse: func(md metadata.MD) error {
			if complaint == "" {
				return nil
			}
			return grpcstatus.Error(codes.Unauthenticated, fmt.Sprint(complaint, md))
		}})
		s.servers[name] = object{
			"grpc": "http://" + server.Address, "mode": "tools", "headers": object{"X-Key": s.make("header of " + name)}, "timeout": "500ms",
			"credentials": object{"grpc": object{"value": s.make("value of " + name)}},
		}
	}
	s.servers["grpcgone"] = object{"grpc": "http://127.0.0.1:1", "credentials": object{"grpc": object{"value": s.make("value of grpcgone")}}}
	s.ready = append(s.ready, "graphql__echo", "grpc__Greeter_Hello")
}

// secureAPI is an API that wants a client certificate and has one of an authority that weir does not trust.
func (s *canaryStage) secureAPI(t *testing.T) object {
	t.Helper()
	w := canaryTLS(func(w http.ResponseWriter, r *http.Request) { canaryEcho(w, r, http.StatusOK, "application/json") })
	t.Cleanup(w.Close)
	cert, key := canaryCertificate(t, s.dir, "client", &s.canaries)
	return object{
		"openapi": w.URL + "/api.json?key=" + s.make("openapi of restsecure"), "tls": object{"cert": cert, "key": key},
		"credentials": object{"description": object{"value": s.make("description of restsecure")}},
	}
}

// canaryTLS serves with a certificate that nobody trusts, and does not complain of those who do not.
func canaryTLS(h http.HandlerFunc) *httptest.Server {
	w := httptest.NewUnstartedServer(h)
	w.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.StartTLS()
	return w
}

// canaryDescription describes an API whose operations want all kinds of credentials, one each.
func canaryDescription(base string) string {
	paths := object{}
	for _, way := range []string{"works", "fails", "denies", "hangs", "drops", "moves"} {
		for _, scheme := range []string{"header", "query", "cookie", "basic", "bearer", "oauth"} {
			if way == "hangs" && scheme != "header" { // each takes its time
				continue
			}
			id := way
			if scheme != "header" {
				id += scheme
			}
			paths["/"+way+"/"+scheme] = object{"get": object{
				"operationId": id, "security": []object{{scheme: []string{}}}, "responses": object{"200": object{"description": "d"}},
				"parameters": []object{{"name": "fixed", "in": "query", "schema": object{"type": "string"}}},
			}}
		}
	}
	b, _ := json.Marshal(object{
		"openapi": "3.1.0", "info": object{"title": "t", "version": "1"}, "paths": paths, "servers": []object{{"url": base + "/{region}", "variables": object{"region": object{"default": "r"}}}},
		"components": object{"securitySchemes": object{
			"header": object{"type": "apiKey", "in": "header", "name": "X-Api-Key"}, "query": object{"type": "apiKey", "in": "query", "name": "api_key"},
			"cookie": object{"type": "apiKey", "in": "cookie", "name": "session"}, "basic": object{"type": "http", "scheme": "basic"}, "bearer": object{"type": "http", "scheme": "bearer"},
			"oauth": object{"type": "oauth2", "flows": object{"clientCredentials": object{"tokenUrl": base + "/token", "scopes": object{}}}},
		}},
	})
	return string(b)
}

// config is the whole configuration.
func (s *canaryStage) config(t *testing.T) object {
	t.Helper()
	s.key = s.make("the caller's key") + "-and-what-makes-it-long-enough"
	hash := sha256.Sum256([]byte(s.key))
	issuer := s.issuer(t, true)
	return object{
		"mcpServers": s.servers, "ownTools": true, "log": object{"level": "debug"},
		"auth": object{
			"apiKeys": []object{{"hash": hex.EncodeToString(hash[:]), "owner": "ana", "roles": []string{"all"}}},
			"oidc": []object{{
				"issuer": issuer, "introspection": object{"clientID": "weir", "clientSecret": s.make("clientSecret of introspection")},
				"signIn": object{"clientID": "weir", "clientSecret": s.make("clientSecret of signIn")},
			}},
		},
		"policy": object{"roles": object{"all": []string{"*/*", "*/*://*"}}},
		"tokens": object{"dir": filepath.Join(s.dir, "tokens"), "key": s.make("tokens.key")},
		"telemetry": object{
			"traces":  object{"otlp": s.told + "/" + s.make("path of traces"), "sample": 1},
			"metrics": object{"otlp": "http://127.0.0.1:1/" + s.make("path of metrics"), "interval": "200ms"},
		},
		"idempotency": object{"database": filepath.Join(s.dir, "keys.db")},
		"audit":       object{"dir": filepath.Join(s.dir, "audit"), "arguments": true, "results": true},
		"requestLog":  object{"database": filepath.Join(s.dir, "requests.db"), "arguments": true, "results": true},
		"export": []object{
			{"http": s.told + "/http?key=" + s.make("query of an export"), "headers": object{"X-Key": s.make("header of an export")}},
			{"http": "http://127.0.0.1:1/?key=" + s.make("query of an export that is gone"), "headers": object{"X-Key": s.make("header of an export that is gone")}, "spool": filepath.Join(s.dir, "spool")},
			{"otlp": s.told, "headers": object{"X-Key": s.make("header of an OTLP export")}},
		},
	}
}

// run runs weir to its end and returns what it wrote.
func (s *canaryStage) run(t *testing.T, env []string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(weirBinary, args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = env, s.dir, time.Second
	ended := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer ended.Stop()
	b, _ := cmd.CombinedOutput() // many must fail
	return b
}
