package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// canaryFile writes a configuration.
func canaryFile(t *testing.T, dir, name string, config object) string {
	t.Helper()
	b, err := json.MarshalIndent(config, "", "  ")
	must(t, err)
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, b, 0o600))
	return path
}

// canaryCertificate makes a certificate and a key that is a secret.
func canaryCertificate(t *testing.T, dir, name string, c *canaries) (cert, key string) {
	t.Helper()
	block, _ := pem.Decode([]byte(c.key(t, "the key of "+name)))
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	public := private.(*ecdsa.PrivateKey).Public() //nolint:errcheck,forcetypeassert // made so
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	must(t, err)
	cert, key = filepath.Join(dir, name+"-cert.pem"), filepath.Join(dir, name+"-key.pem")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(block), 0o600))
	return cert, key
}

// others are configurations with what the main one has no room for: a database that is a server, and TLS of weir's own, with a key that is its certificate's and
// one that is not.
func (s *canaryStage) others(t *testing.T) []string {
	t.Helper()
	cert, key := canaryCertificate(t, s.dir, "server", &s.canaries)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(2)}, &x509.Certificate{}, stranger.Public(), stranger)
	must(t, err)
	wrong := filepath.Join(s.dir, "wrong-cert.pem")
	must(t, os.WriteFile(wrong, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	up := object{"up": object{"url": "http://127.0.0.1:1/"}}
	return []string{
		canaryFile(t, s.dir, "postgres.json", object{"mcpServers": up, "listen": freeAddr(t), "requestLog": object{"database": "postgres://weir:" + s.make("password of the database") + "@127.0.0.1:1/weir?sslmode=disable"}}),
		canaryFile(t, s.dir, "tls.json", object{"mcpServers": up, "listen": freeAddr(t), "tls": object{"cert": cert, "key": key}}),
		canaryFile(t, s.dir, "wrong.json", object{"mcpServers": up, "listen": freeAddr(t), "tls": object{"cert": wrong, "key": key}}),
	}
}

// broken writes configurations with every kind of mistake around the secrets: keys that do not exist, values of the wrong kind, text that ends too early.
func (s *canaryStage) broken(t *testing.T, main string) (paths []string) {
	t.Helper()
	b, err := os.ReadFile(main)
	must(t, err)
	text := string(b)
	write := func(name, text string) {
		path := filepath.Join(s.dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		paths = append(paths, path)
	}
	write("misspelt.json", regexp.MustCompile(`"(headers|value|clientSecret|password|key|args|env|url|openapi|fixed|database|variables)":`).ReplaceAllString(text, `"${1}s":`))
	write("unknown.yaml", regexp.MustCompile(`"(headers|value|clientSecret|password|key|args|env|url|openapi|fixed|database|variables)":`).ReplaceAllString(text, `"zz$1":`))
	write("wrong-kind.json", regexp.MustCompile(`("[\w-]+"): ("[^"]*C4nary[^"]*")`).ReplaceAllString(text, `$1: [[$2]]`))
	write("wrong-kind.yaml", regexp.MustCompile(`("[\w-]+"): ("[^"]*C4nary[^"]*")`).ReplaceAllString(text, `$1: {"a": $2}`))
	write("twice.json", regexp.MustCompile(`("[\w-]+": "[^"]*C4nary[^"]*")`).ReplaceAllString(text, `$1, $1`))
	places := regexp.MustCompile(`C4nary\w+`).FindAllStringIndex(text, -1)
	for i := 0; i < len(places); i += len(places)/8 + 1 {
		write(fmt.Sprintf("cut-%d.json", i), text[:places[i][1]])
		write(fmt.Sprintf("cut-%d.yaml", i), text[:places[i][1]]+"\n\t: [")
		write(fmt.Sprintf("reference-%d.json", i), text[:places[i][0]]+"${"+text[places[i][0]:])
	}
	return paths
}

// canaryCommands are those that read a configuration.
func canaryCommands(main string, others, broken []string) (all [][]string) {
	for _, c := range []string{
		"check FILE", "check --json --dial FILE", "ls FILE", "ls --json FILE", "tools -c FILE", "call -c FILE value__echo", "call -c FILE --json rest__fails", "log -c FILE", "log --json -c FILE", "audit verify -c FILE", "policy explain -c FILE user:ana value/echo", "policy check FILE", "policy test FILE", "version",
	} {
		all = append(all, strings.Fields(strings.ReplaceAll(c, "FILE", main)))
	}
	for _, path := range others {
		all = append(all, []string{"check", path}, []string{"ls", path}, []string{"log", "-c", path})
	}
	all = append(all, []string{"serve", others[0]}, []string{"serve", others[2]})
	for _, path := range broken {
		all = append(all, []string{"check", path}, []string{"ls", "--json", path})
	}
	return all
}

// everything asks for all there is, as a client of an era, and looks through all answers.
func (s *canaryStage) everything(t *testing.T, url string, e era) {
	t.Helper()
	p := dialHTTPAs(t, url, e, person{}, http.Header{"Authorization": {"Bearer " + s.key}})
	var names []string
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		names, _ = toolNames(p)
		missing := slices.DeleteFunc(slices.Clone(s.ready), func(name string) bool { return slices.Contains(names, name) })
		if len(missing) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: there is no %q among %q", e, missing, names)
		}
	}
	ask := func(method string, params object) string {
		events, err := p.call(method, params)
		if err != nil {
			s.found(t, method, []byte(err.Error()))
			return ""
		}
		text, err := json.Marshal(events)
		must(t, err)
		s.found(t, fmt.Sprintf("%s, %s %v", e, method, params), text)
		return string(text)
	}
	lists := ask("tools/list", nil) + ask("prompts/list", nil) + ask("resources/list", nil) + ask("resources/templates/list", nil) + ask("server/discover", nil) + ask("no/such", nil)
	for _, m := range regexp.MustCompile(`"uri":"([^"]+)"`).FindAllStringSubmatch(lists, -1) {
		ask("resources/read", object{"uri": m[1]})
	}
	for _, m := range regexp.MustCompile(`"name":"(\w+__ask)"`).FindAllStringSubmatch(lists, -1) {
		ask("prompts/get", object{"name": m[1]})
		ask("completion/complete", object{"ref": object{"type": "ref/prompt", "name": m[1]}, "argument": object{"name": "a", "value": "b"}})
	}
	var calls sync.WaitGroup
	turn := make(chan struct{}, 16)
	for _, name := range names {
		calls.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			for i, arguments := range []object{{}, {"text": "a"}, {"firstName": "Ann"}, {"query": "echo"}, {"tool": "value__echo", "nothing": []int{1}}} {
				answer := ask("tools/call", object{"name": name, "arguments": arguments})
				wanted := i == 0 && !strings.HasPrefix(name, "g") || i == 1 && strings.HasPrefix(name, "graphql") || i == 2 && strings.HasPrefix(name, "grpc")
				if wanted && slices.Contains(s.ready, name) && (answer == "" || strings.Contains(answer, `"isError":true`) || strings.Contains(answer, `"error":`)) {
					t.Errorf("%s, %s: %s", e, name, answer)
				}
			}
		})
	}
	calls.Wait()
}

// turnedAway shows weir a credential that is none.
func (s *canaryStage) turnedAway(t *testing.T, url, credential string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"?access_token="+s.make("a token in the query"), strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", credential)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusServiceUnavailable { // the issuer may not answer for it
		t.Errorf("%q is answered with %s", credential, resp.Status)
	}
	s.found(t, "the answer to "+credential, append(fmt.Append(nil, resp.Header), b...))
}

// secured runs a gateway with TLS of its own, and talks to it with and without.
func (s *canaryStage) secured(t *testing.T, env []string, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	addr := regexp.MustCompile(`"listen": "([^"]+)"`).FindStringSubmatch(string(b))[1]
	cmd := exec.Command(weirBinary, "serve", path)
	cmd.Env = env
	g := start(t, cmd)
	g.listening(t, addr)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // whose certificate it is does not matter here
	defer transport.CloseIdleConnections()
	for _, address := range []string{"http://" + addr, "https://" + addr + "/mcp"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		must(t, err)
		if resp, err := transport.RoundTrip(req); err == nil {
			b, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			s.found(t, address, append(fmt.Append(nil, resp.Header), b...))
		}
	}
	_ = cmd.Process.Signal(syscall.SIGQUIT)
	if !g.waitEnd(30 * time.Second) {
		t.Fatal("weir does not end on SIGQUIT")
	}
	s.found(t, "the log of a gateway with TLS", []byte(g.stderr.String()))
}
