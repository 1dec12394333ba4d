//go:build unix

package join

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const configuration = "mcpServers: { a: { command: x, env: { TOKEN: \"${TOKEN:-none}\" } } }\n"

// side is one program: where it looks, and what it read.
type side struct {
	place Place
	read  *config.Expander
}

// folder is a folder whose name is short enough for sockets on every system.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "weir") //nolint:usetesting // whose folders have longer names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// in is a program that reads text as weir.yaml in dir, where variables are set.
func in(t *testing.T, dir, text string, vars ...string) side {
	t.Helper()
	env := config.Env{Home: dir, Dir: dir, Lookup: func(name string) (string, bool) {
		for _, v := range append(vars, "XDG_RUNTIME_DIR="+dir) {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}}
	path := filepath.Join(dir, "weir.yaml")
	f, err := config.Parse(path, []byte(text), env)
	if err != nil {
		t.Fatal(err)
	}
	p, err := PlaceOf(path, env)
	if err != nil {
		t.Fatal(err)
	}
	return side{p, f.Expander}
}

// options are a gateway that runs serve for each client.
func (s side) options(serve func(ctx context.Context, in io.Reader, out io.Writer) error) Options {
	return Options{
		Version: "1.2.3", InForce: func() *config.Expander { return s.read }, Serve: serve, WriteTimeout: 10 * time.Second,
		Log: slog.New(slog.DiscardHandler),
	}
}

// share runs a gateway that runs serve for each client.
func share(t *testing.T, s side, serve func(ctx context.Context, in io.Reader, out io.Writer) error) (stop func()) {
	t.Helper()
	return run(t, s, s.options(serve))
}

// run runs a gateway until stop is called, or the test ends.
func run(t *testing.T, s side, o Options) (stop func()) {
	t.Helper()
	l, err := Listen(t.Context(), s.place, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); l.Serve(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// answering answers every request with an empty result until the input ends.
func answering(_ context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var m struct {
			ID json.RawMessage `json:"id"`
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.ID == nil {
			continue
		}
		if _, err := fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%s,"result":{}}`+"\n", m.ID); err != nil {
			return err
		}
	}
	return lines.Err()
}

func TestWhoMatches(t *testing.T) {
	dir := folder(t)
	gateway := in(t, dir, configuration, "TOKEN=one")
	if _, err := Dial(t.Context(), gateway.place, gateway.read); !errors.Is(err, ErrNone) {
		t.Errorf("before there is a gateway: %v", err)
	}
	stop := share(t, gateway, answering)
	for name, tc := range map[string]struct {
		side
		want string
	}{
		"same":           {in(t, dir, configuration, "TOKEN=one"), ""},
		"other variable": {in(t, dir, configuration, "TOKEN=two"), "is not the same"},
		"no variable":    {in(t, dir, configuration), "is not the same"},
		"other text":     {in(t, dir, "# changed\n"+configuration, "TOKEN=one"), "is not the same"},
	} {
		c, err := Dial(t.Context(), tc.place, tc.read)
		if err == nil {
			if c.Weir != "1.2.3" {
				t.Errorf("%s: weir %s", name, c.Weir)
			}
			_ = c.Close()
		}
		if got := fmt.Sprint(err); tc.want == "" && err != nil || !strings.Contains(got, tc.want) || strings.Contains(got, "one") {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	elsewhere := in(t, folder(t), configuration, "TOKEN=one")
	if _, err := Dial(t.Context(), elsewhere.place, elsewhere.read); !errors.Is(err, ErrNone) {
		t.Errorf("another file: %v", err)
	}
	stop()
	if _, err := os.Lstat(gateway.place.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestHello: whatever says something else is not joined.
func TestHello(t *testing.T) {
	s := in(t, folder(t), configuration)
	if err := os.MkdirAll(s.place.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", s.place.socket)
	if err != nil {
		t.Fatal(err)
	}
	var says atomic.Pointer[string]
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, *says.Load())
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-ended })
	right, err := greet(s.place, "1", s.read)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ line, want string }{
		{"", "did not say hello"},
		{string(right[:40]), "did not say hello"},
		{"HTTP/1.1 400 Bad Request\r\n", "does not understand"},
		{strings.Repeat("x", 2*maxHello), "did not say hello"},
		{strings.Replace(string(right), `"join":1`, `"join":2`, 1), "in another way"},
		{strings.Replace(string(right), s.place.file, "/etc/passwd", 1), "it serves /etc/passwd"},
		{strings.Replace(string(right), `"join":1`, `"join":1,"more":[]`, 1), "<nil>"},
	} {
		says.Store(&tc.line)
		c, err := Dial(t.Context(), s.place, s.read)
		if err == nil {
			_ = c.Close()
		}
		if !strings.Contains(fmt.Sprint(err), tc.want) {
			t.Errorf("%.60q: %v, want %q", tc.line, err, tc.want)
		}
	}
}

func TestSocketsLeftBehind(t *testing.T) {
	s := in(t, folder(t), configuration)
	if err := os.MkdirAll(s.place.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.place.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	if _, err := Dial(t.Context(), s.place, s.read); !errors.Is(err, ErrNone) {
		t.Errorf("a dead socket: %v", err)
	}
	first, err := Listen(t.Context(), s.place, s.options(answering))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), s.place, s.options(answering)); !errors.Is(err, ErrTaken) {
		t.Errorf("a second gateway: %v", err)
	}
	if info, err := os.Lstat(s.place.socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
	if err := os.Remove(s.place.socket); err != nil { // somebody cleans up, and another gateway starts
		t.Fatal(err)
	}
	second, err := Listen(t.Context(), s.place, s.options(answering))
	if err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	if _, err := os.Lstat(s.place.socket); err != nil {
		t.Errorf("the first gateway removed the second one's socket: %v", err)
	}
	_ = second.Close()
	if err := os.Chmod(s.place.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = Dial(t.Context(), s.place, s.read)
	_, err2 := Listen(t.Context(), s.place, s.options(answering))
	for _, err := range []error{err, err2} {
		if err == nil || !strings.Contains(err.Error(), "is open to other users") {
			t.Errorf("a folder that others can enter: %v", err)
		}
	}
}

func TestRelay(t *testing.T) {
	s := in(t, folder(t), configuration)
	share(t, s, answering)
	for name, tc := range map[string]struct{ in, want string }{
		"nothing":     {"", ""},
		"two":         {`{"jsonrpc":"2.0","id":1,"method":"ping"}` + "\n" + `{"jsonrpc":"2.0","id":"b","method":"ping"}` + "\n", `{"jsonrpc":"2.0","id":1,"result":{}}` + "\n" + `{"jsonrpc":"2.0","id":"b","result":{}}` + "\n"},
		"no line end": {`{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}`, `{"jsonrpc":"2.0","id":9007199254740993,"result":{}}` + "\n"},
		"garbage":     {"hello\n{}\n", ""},
	} {
		c, err := Dial(t.Context(), s.place, s.read)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := c.Relay(t.Context(), strings.NewReader(tc.in), &out, 1<<20); err != nil || out.String() != tc.want {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
}

// TestLongMessages pass in pieces: refusing them is the gateway's.
func TestLongMessages(t *testing.T) {
	s := in(t, folder(t), configuration)
	got := make(chan int, 1)
	share(t, s, func(_ context.Context, in io.Reader, _ io.Writer) error {
		b, err := io.ReadAll(in)
		got <- len(b)
		return err
	})
	c, err := Dial(t.Context(), s.place, s.read)
	if err != nil {
		t.Fatal(err)
	}
	long := `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"` + strings.Repeat("x", 1<<20) + `"}}` + "\n"
	if err := c.Relay(t.Context(), strings.NewReader(long+long), io.Discard, 100_000); err != nil {
		t.Error(err)
	}
	if n := <-got; n != 2*len(long) {
		t.Errorf("%d bytes arrived, want %d", n, 2*len(long))
	}
}

// TestGatewayGoesAway: open requests are answered with an error, cancelled ones are not, and the end is an error.
func TestGatewayGoesAway(t *testing.T) {
	s := in(t, folder(t), configuration)
	share(t, s, func(_ context.Context, in io.Reader, out io.Writer) error {
		lines := bufio.NewScanner(in)
		for range 4 {
			lines.Scan()
		}
		_, err := io.WriteString(out, `{"jsonrpc":"2.0","id":1,"result":{}}`+"\n"+`{"jsonrpc":"2.0","id":"b","res`) // it falls in the middle of a line
		return err
	})
	c, err := Dial(t.Context(), s.place, s.read)
	if err != nil {
		t.Fatal(err)
	}
	client, input := io.Pipe()
	defer func() { _ = input.Close() }()
	var out bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- c.Relay(t.Context(), client, &out, 1<<20) }()
	for _, line := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":"b","method":"ping"}`, `{"jsonrpc":"2.0","id":3,"method":"ping"}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}`,
	} {
		if _, err := io.WriteString(input, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	err = <-ended
	if e, ok := errors.AsType[*catalog.Error](err); !ok || e.Code != catalog.Unavailable {
		t.Errorf("ended with %v", err)
	}
	want := []string{
		`{"jsonrpc":"2.0","id":1,"result":{}}`,
		`{"jsonrpc":"2.0","id":"b","error":{"code":-32603,"message":"the gateway went away (outcome unknown)"}}`, "",
	}
	if diff := cmp.Diff(want, strings.Split(out.String(), "\n")); diff != "" {
		t.Error(diff)
	}
}

// TestClientStops: told to stop, it gets its answers and hangs up though its input is open.
func TestClientStops(t *testing.T) {
	s := in(t, folder(t), configuration)
	asked := make(chan struct{})
	share(t, s, func(_ context.Context, in io.Reader, out io.Writer) error {
		lines := bufio.NewScanner(in)
		lines.Scan()
		close(asked)
		lines.Scan() // the end
		_, err := io.WriteString(out, `{"jsonrpc":"2.0","id":1,"result":{}}`+"\n")
		return err
	})
	c, err := Dial(t.Context(), s.place, s.read)
	if err != nil {
		t.Fatal(err)
	}
	client, input := io.Pipe()
	defer func() { _ = input.Close() }()
	ctx, stop := context.WithCancel(t.Context())
	var out bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- c.Relay(ctx, client, &out, 1<<20) }()
	if _, err := io.WriteString(input, `{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	<-asked
	stop()
	if err := <-ended; err != nil || out.String() != `{"jsonrpc":"2.0","id":1,"result":{}}`+"\n" {
		t.Errorf("ended with %v: %s", err, out.String())
	}
}

// TestDrain: a gateway that is told to stop answers first.
func TestDrain(t *testing.T) {
	s := in(t, folder(t), configuration)
	asked := make(chan struct{})
	stop := share(t, s, func(ctx context.Context, in io.Reader, out io.Writer) error {
		bufio.NewScanner(in).Scan()
		close(asked)
		<-ctx.Done()
		_, err := io.WriteString(out, `{"jsonrpc":"2.0","id":1,"result":{}}`+"\n")
		return err
	})
	c, err := Dial(t.Context(), s.place, s.read)
	if err != nil {
		t.Fatal(err)
	}
	client, input := io.Pipe()
	defer func() { _ = input.Close() }()
	var out bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- c.Relay(t.Context(), client, &out, 1<<20) }()
	if _, err := io.WriteString(input, `{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	<-asked
	stop()
	if err := <-ended; err == nil || out.String() != `{"jsonrpc":"2.0","id":1,"result":{}}`+"\n" {
		t.Errorf("ended with %v: %s", err, out.String())
	}
}
