package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/tidwall/gjson"

	"weir/translate/graphql/graphqltest"
	"weir/translate/grpc/grpctest"
)

// within bounds every wait of a script.
const within = 20 * time.Second

// commands are what scripts have besides testscript's own. Servers that they start end with t.
func commands(t testing.TB) map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		// freeport VAR: sets VAR to an address of this machine that nobody listened on a moment ago.
		"freeport": func(ts *testscript.TestScript, _ bool, args []string) {
			addr, err := unused()
			ts.Check(err)
			ts.Setenv(args[0], addr)
		},
		// await FILE VAR: waits until a background program has written FILE, and sets VAR to its text.
		"await": func(ts *testscript.TestScript, _ bool, args []string) {
			for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
				b, err := os.ReadFile(ts.MkAbs(args[0]))
				if text := strings.TrimSpace(string(b)); err == nil && text != "" {
					ts.Setenv(args[1], text)
					return
				}
			}
			ts.Fatalf("%s was not written", args[0])
		},
		// awaittext TEXT FILE: waits until a background program has written TEXT into FILE.
		"awaittext": func(ts *testscript.TestScript, _ bool, args []string) {
			for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
				if b, err := os.ReadFile(ts.MkAbs(args[1])); err == nil && strings.Contains(string(b), args[0]) {
					return
				}
			}
			ts.Fatalf("%s does not say %q:\n%s", args[1], args[0], ts.ReadFile(args[1]))
		},
		// signal NAME FILE: sends a signal to the process whose number is in FILE.
		"signal": func(ts *testscript.TestScript, _ bool, args []string) {
			pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
			ts.Check(err)
			p, err := os.FindProcess(pid)
			ts.Check(err)
			ts.Check(p.Signal(map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[args[0]]))
		},
		// apiserver KIND VAR: starts an API, grpc or graphql, and sets VAR to its address.
		"apiserver": func(ts *testscript.TestScript, _ bool, args []string) {
			switch args[0] {
			case "grpc":
				ts.Setenv(args[1], grpctest.Serve(t, grpctest.Setup{Reflect: "v1"}).Address)
			case "graphql":
				s := httptest.NewServer(graphqltest.New())
				t.Cleanup(s.Close)
				ts.Setenv(args[1], s.URL)
			default:
				ts.Fatalf("apiserver: no kind %q", args[0])
			}
		},
		// mode MODE FILE: changes a file's mode.
		"mode": func(ts *testscript.TestScript, _ bool, args []string) {
			var mode os.FileMode
			_, err := fmt.Sscanf(args[0], "%o", &mode)
			ts.Check(err)
			ts.Check(os.Chmod(ts.MkAbs(args[1]), mode))
		},
	}
}

// unused is an address of this machine that nobody listened on a moment ago.
func unused() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// freeAddr is unused for tests.
func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := unused()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// rpc is a program for scripts: it sends one request to an MCP endpoint, until the answer is as wanted, and prints the result or the error.
//
//	rpc [-until TEXT,…] [-gone TEXT] URL METHOD [PARAMS]
func rpc() {
	until := flag.String("until", "", "ask again until the answer contains each of the comma-separated `TEXT`s")
	gone := flag.String("gone", "", "ask again until the answer does not contain `TEXT`")
	flag.Parse()
	deadline := time.Now().Add(within)
	for {
		answer, err := ask(flag.Arg(0), flag.Arg(1), flag.Arg(2))
		text := string(answer)
		if err == nil && containsAll(text, strings.Split(*until, ",")) && (*gone == "" || !strings.Contains(text, *gone)) {
			fmt.Println(text)
			os.Exit(0)
		}
		var refused *url.Error // nobody listens yet
		if err != nil && !errors.As(err, &refused) || time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, "rpc:", err, text)
			os.Exit(1)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// containsAll reports whether text contains every one of parts.
func containsAll(text string, parts []string) bool {
	return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, p) })
}

// ask sends one request without a session, as curl would.
func ask(endpoint, method, params string) ([]byte, error) {
	if params == "" {
		params = "{}"
	}
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params)
	resp, err := http.Post(endpoint, "application/json", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	for _, part := range []string{"result", "error"} {
		if v := gjson.GetBytes(b, part); v.Exists() {
			return []byte(v.Raw), nil
		}
	}
	return bytes.TrimSpace(b), errors.New(resp.Status)
}
