package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/cmd/weir/internal/config"
	"weir/translate"
)

// canaries are secrets that must be found nowhere, by where they are put.
type canaries struct{ all map[string]string }

// make returns a new secret. Nothing in it changes in a URL, a header or JSON.
func (c *canaries) make(where string) string {
	if c.all == nil {
		c.all = map[string]string{}
	}
	s := fmt.Sprintf("C4naryQ%02dzX7Lp9mVt3", len(c.all))
	c.all[where] = s
	return s
}

// key returns a private key in PEM form, each line of which is secret.
func (c *canaries) key(t *testing.T, where string) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	must(t, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if c.all == nil {
		c.all = map[string]string{}
	}
	c.all[where] = strings.Split(text, "\n")[2]
	return text
}

// forms are the ways in which a secret may be written: as it is, in base64 at each of three offsets, in hex.
func canaryForms(secret string) (forms []string) {
	forms = []string{secret, url.QueryEscape(secret), hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret)))}
	for offset := range 3 {
		padded := strings.Repeat("x", offset) + secret
		whole := base64.RawStdEncoding.EncodeToString([]byte(padded[:len(padded)/3*3]))
		form := whole[(offset*8+5)/6:]
		forms = append(forms, form, strings.NewReplacer("+", "-", "/", "_").Replace(form))
	}
	return forms
}

// found looks for the secrets in what weir wrote or sent to a place.
func (c *canaries) found(t *testing.T, place string, text []byte) {
	t.Helper()
	for where, secret := range c.all {
		for _, form := range canaryForms(secret) {
			if at := bytes.Index(text, []byte(form)); at >= 0 {
				t.Errorf("%s: the secret of %s, as %s: …%s…", place, where, form, text[max(0, at-150):min(len(text), at+100)])
				break
			}
		}
	}
}

// folder looks through all files of a folder but those that hold the secrets.
func (c *canaries) folder(t *testing.T, dir string, but ...string) (files int) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || slices.Contains(but, path) {
			return nil //nolint:nilerr // files come and go
		}
		b, err := os.ReadFile(path)
		if err == nil {
			files++
			c.found(t, path, b)
		}
		return nil
	}))
	return files
}

// canaryFields calls see with every text that a configuration can hold: its path, with [] and * for numbers and names, and its value.
func canaryFields(v reflect.Value, path string, see func(path, value string)) {
	if l, ok := reflect.TypeAssert[translate.Literal](v); ok { // any JSON
		text := ""
		if l.Value != nil {
			text = l.Value.JSON()
		}
		see(path, text)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v = reflect.New(v.Type().Elem())
		}
		canaryFields(v.Elem(), path, see)
	case reflect.String:
		see(path, v.String())
	case reflect.Slice, reflect.Array:
		canaryFields(reflect.New(v.Type().Elem()).Elem(), path+"[]", see)
		for i := range v.Len() {
			canaryFields(v.Index(i), path+"[]", see)
		}
	case reflect.Map:
		canaryFields(reflect.New(v.Type().Elem()).Elem(), path+".*", see)
		for _, key := range v.MapKeys() {
			canaryFields(v.MapIndex(key), path+".*", see)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			below := path + "." + key
			switch {
			case key == "-" || !f.IsExported():
				continue
			case options == "inline":
				below = path
			case key == "":
				below = path + "." + f.Name
			}
			canaryFields(v.Field(i), strings.TrimPrefix(below, "."), see)
		}
	default:
	}
}

// canaryPlain are the fields that hold no secret: every other one must hold one of ours. A name ending in a dot stands for all below it.
const canaryPlain = `
mcpServers[].Name mcpServers[].Spec.command mcpServers[].Spec.cwd mcpServers[].Spec.balance mcpServers[].Spec.overlays[] mcpServers[].Spec.references mcpServers[].Spec.server
mcpServers[].Spec.arrays mcpServers[].Spec.grpc mcpServers[].Spec.replicas[] mcpServers[].Spec.descriptors[] mcpServers[].Spec.protos[] mcpServers[].Spec.importPaths[]
mcpServers[].Spec.metadata[] mcpServers[].Spec.trailers[] mcpServers[].Spec.authority mcpServers[].Spec.operations[] mcpServers[].Spec.generate
mcpServers[].Spec.subscriptions mcpServers[].Spec.scalars.* mcpServers[].Spec.persisted mcpServers[].Spec.mode mcpServers[].Spec.pinned[]
mcpServers[].Spec.tools.*.name mcpServers[].Spec.tools.*.description mcpServers[].Spec.tools.*.args.*.default mcpServers[].Spec.tools.*.args.*.rename
mcpServers[].Spec.tools.*.args.*.description mcpServers[].Spec.tools.*.result. mcpServers[].Spec.tools.*.media mcpServers[].Spec.credentials.*.username
mcpServers[].Spec.credentials.*.header mcpServers[].Spec.credentials.*.query mcpServers[].Spec.credentials.*.grant mcpServers[].Spec.credentials.*.clientId
mcpServers[].Spec.credentials.*.tokenUrl mcpServers[].Spec.credentials.*.issuer mcpServers[].Spec.credentials.*.scopes[] mcpServers[].Spec.credentials.*.audience
mcpServers[].Spec.credentials.*.resource mcpServers[].Spec.credentials.*.keyId mcpServers[].Spec.credentials.*.subject mcpServers[].Spec.tls.ca mcpServers[].Spec.tls.cert
mcpServers[].Spec.type mcpServers[].Spec.era mcpServers[].Spec.include[] mcpServers[].Spec.exclude[] mcpServers[].Spec.alias.* mcpServers[].Spec.elicitationHosts[] mcpServers[].Spec.sandbox.
naming log. policy. telemetry.metrics.prometheus audit. idempotency. guards. tokens.dir export[].syslog export[].otlp export[].shape export[].ca export[].spool servers.
auth.oidc[].issuer auth.oidc[].audience auth.oidc[].jwksFile auth.oidc[].jwksURL auth.oidc[].algorithms[] auth.oidc[].tokenType auth.oidc[].claims. auth.oidc[].requiredGroups[]
auth.oidc[].prefix auth.oidc[].introspection.clientID auth.oidc[].introspection.url auth.oidc[].signIn.clientID auth.resource auth.scopes[] auth.scopeIncludes.
auth.apiKeys[].owner auth.apiKeys[].groups[] auth.apiKeys[].roles[] auth.apiKeys[].expires auth.certificates. listen path allowedHosts[] allowedOrigins[] tls.cert tls.clientCA`

// canaryElsewhere are the fields whose secret is not in the configuration: in a file that they name, or with who knows what the hash is of.
const canaryElsewhere = "mcpServers[].Spec.envFile mcpServers[].Spec.tls.key tls.key auth.apiKeys[].hash"

// lacking are the fields of the configurations that hold neither a secret of ours nor are known to hold none.
func (c *canaries) lacking(t *testing.T, configurations ...string) (fields []string) {
	t.Helper()
	holds := map[string]bool{}
	for _, path := range configurations {
		file, err := config.Read(path, config.Env{Dir: filepath.Dir(path), Lookup: os.LookupEnv})
		must(t, err)
		canaryFields(reflect.ValueOf(*file), "", func(field, value string) {
			holds[field] = holds[field] || slices.ContainsFunc(slices.Collect(maps.Values(c.all)), func(s string) bool { return strings.Contains(value, s) }) ||
				value != "" && slices.Contains(strings.Fields(canaryElsewhere), field)
		})
	}
	plain := strings.Fields(canaryPlain)
	for field, has := range holds {
		known := slices.ContainsFunc(plain, func(p string) bool { return p == field || strings.HasSuffix(p, ".") && strings.HasPrefix(field, p) })
		if !has && !known {
			fields = append(fields, field)
		}
		if has && known {
			t.Errorf("%s is said to hold no secret, and holds one", field)
		}
	}
	slices.Sort(fields)
	return fields
}

// canaryEcho answers every request with a status and with all that it was sent, as a server does that wants to help. It keeps nothing.
func canaryEcho(w http.ResponseWriter, r *http.Request, status int, kind string) {
	b, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	all, _ := json.Marshal(object{"error": "refused", "error_description": fmt.Sprintf("%v %s %s %s", r.Header, r.URL, b, r.Header.Get("Authorization"))})
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(all)
}

// canaryWatch takes what weir tells other systems: OTLP, and batches over HTTP.
type canaryWatch struct {
	mu  sync.Mutex
	got map[string][]byte // by path
}

func (c *canaryWatch) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		if unzipped, err := gzip.NewReader(r.Body); err == nil {
			body = unzipped
		}
	}
	b, _ := io.ReadAll(body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.got == nil {
		c.got = map[string][]byte{}
	}
	path := r.URL.Path[max(0, strings.Index(r.URL.Path, "/v1/")):] // what is before is of the configuration
	c.got[path] = append(c.got[path], b...)
}

// paths are where anything came.
func (c *canaryWatch) paths() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.got))
}

// TestCanary puts a secret into every field of a configuration that can hold one, before upstreams of every kind that answer, refuse, break and repeat what they
// are sent, and finds none of them in anything that weir writes, sends, lists, answers or keeps: as it is, in base64, or in hex. A field that is new fails the test
// until it has its secret here, or is said to hold none.
func TestCanary(t *testing.T) {
	s := newCanaryStage(t)
	home := filepath.Join(s.dir, "home")
	must(t, os.MkdirAll(home, 0o700))
	env := append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "XDG_") || strings.HasPrefix(v, "HOME=") }),
		"HOME="+home, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_EXPORTER_OTLP_HEADERS=x-key="+s.make("OTEL_EXPORTER_OTLP_HEADERS"), "GOTRACEBACK=all")
	main, others := canaryFile(t, s.dir, "weir.json", s.config(t)), s.others(t)
	for _, field := range s.lacking(t, append(others, main)...) {
		t.Errorf("%s can hold a secret for all that this test knows: put one there, or say in canaryPlain that it holds none", field)
	}

	addr := freeAddr(t)
	cmd := exec.Command(weirBinary, "serve", main, "--listen", addr)
	cmd.Env = env
	out := &output{}
	cmd.Stdout = out
	g := start(t, cmd)
	g.listening(t, addr)
	for _, e := range []era{legacy, modern} {
		s.everything(t, "http://"+addr+"/mcp", e)
	}
	for _, wrong := range []string{"", "Bearer " + s.make("a token that nobody knows"), "Bearer e30.e30." + s.make("a token that is broken"), "Basic " + s.make("a password")} {
		s.turnedAway(t, "http://"+addr+"/mcp", wrong)
	}
	broken := s.broken(t, main)
	s.secured(t, env, others[1])
	var commands sync.WaitGroup
	turn := make(chan struct{}, 4)
	for _, args := range canaryCommands(main, others, broken) {
		commands.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			s.found(t, "weir "+strings.Join(args, " "), s.run(t, env, args...))
		})
	}
	commands.Wait()
	for deadline := time.Now().Add(20 * time.Second); !slices.Equal(s.watch.paths(), []string{"/http", "/v1/logs", "/v1/traces"}); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("traces, requests and logs were told to %q alone", s.watch.paths())
		}
	}
	_ = cmd.Process.Signal(syscall.SIGQUIT) // the stacks of all goroutines are what a panic would write
	if !g.waitEnd(30 * time.Second) {
		t.Fatal("weir does not end on SIGQUIT")
	}
	text := g.stderr.String()
	if !strings.Contains(text, "goroutine ") || strings.Count(text, "level=DEBUG") < 50 {
		t.Error("the log has no stacks, or little else")
	}
	s.found(t, "the log", []byte(text))
	s.found(t, "standard output", []byte(out.String()))
	for path, b := range s.watch.got {
		s.found(t, "what was told to "+path, b)
	}
	if n := s.folder(t, s.dir, append(append(others, broken...), main, filepath.Join(s.dir, "child.env"), filepath.Join(s.dir, "client-key.pem"), filepath.Join(s.dir, "server-key.pem"))...); n < 5 {
		t.Errorf("only %d files were found", n)
	}
	if s.reached.Load() < 10 || s.strayed.Load() > 0 {
		t.Errorf("%d requests reached whom they were for, and %d were led astray", s.reached.Load(), s.strayed.Load())
	}
	t.Logf("%d secrets, %d upstreams", len(s.all), len(s.servers))
}
