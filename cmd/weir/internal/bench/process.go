package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is one running part.
type process struct {
	cmd    *exec.Cmd
	token  string // what clients sign in with
	url    string
	stderr bytes.Buffer
}

// environment is what every part gets: this process's own, with the settings that change Go's runtime made equal.
func environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG":
		default:
			env = append(env, kv)
		}
	}
	return append(env, fmt.Sprintf("GOMAXPROCS=%d", runtime.NumCPU()))
}

// startRole starts this program again in a role, and returns when it listens.
func startRole(ctx context.Context, role string, args ...string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startServer(ctx, exe, append([]string{roleArg, role}, args...)...)
}

// startServer starts a program that prints its endpoint when it listens.
func startServer(ctx context.Context, binary string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, binary, args...)}
	p.cmd.Env, p.cmd.Stderr = environment(), &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s %v did not start: %s", filepath.Base(binary), args, &p.stderr)
	}
	p.url = strings.TrimSpace(line)
	return p, nil
}

// startWeir starts `weir serve` before an upstream, with a configuration that it writes to config, and returns when it lists at least n tools.
func startWeir(ctx context.Context, binary, path string, config map[string]any, token string, n int) (*process, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		return nil, err
	}
	config["listen"], config["pageSize"] = addr, max(1000, n)
	b, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, binary, "serve", "--config", path), url: "http://" + addr + "/mcp", token: token}
	p.cmd.Env, p.cmd.Stderr = environment(), &p.stderr
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := ready(ctx, p.url, token, n); err != nil {
		p.stop()
		return nil, fmt.Errorf("weir: %w\n%s", err, &p.stderr)
	}
	return p, nil
}

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	ended := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer ended.Stop()
	_ = p.cmd.Wait() // how it ended does not matter any more
}

// ready waits until the endpoint lists at least n tools.
func ready(ctx context.Context, url, token string, n int) error {
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
	headers := map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
	if token != "" {
		headers["Authorization"] = "Bearer " + token
	}
	var last error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		_, answer, err := post(ctx, url, body, headers)
		if err == nil && bytes.Count(answer, []byte(`"inputSchema"`)) >= n {
			return nil
		}
		last = err
		if err == nil {
			last = fmt.Errorf("lists %d tools, want %d", bytes.Count(answer, []byte(`"inputSchema"`)), n)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("not ready after 30 s: %w", last)
}

// openSession makes a legacy session and returns its id, "" when the server has none.
func openSession(ctx context.Context, url string) (string, error) {
	h, answer, err := post(ctx, url, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`, nil)
	if err != nil {
		return "", err
	}
	if !bytes.Contains(answer, []byte(`"2025-11-25"`)) {
		return "", fmt.Errorf("initialize: %.300s", answer)
	}
	id := h.Get("Mcp-Session-Id")
	_, _, err = post(ctx, url, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, map[string]string{
		"Mcp-Session-Id": id, "Mcp-Protocol-Version": "2025-11-25",
	})
	return id, err
}

// post sends one message outside of the measurement.
func post(ctx context.Context, url, body string, headers map[string]string) (http.Header, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for k, v := range headers {
		if v != "" {
			r.Header.Set(k, v)
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("status %s: %.200s", resp.Status, b)
	}
	return resp.Header, b, err
}
