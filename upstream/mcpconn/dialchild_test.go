package mcpconn

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"weir/catalog"
	"weir/upstream/process"
	"weir/upstream/upstreamtest"
)

// family makes children that end with the test.
func family(t testing.TB) *process.Supervisor {
	t.Helper()
	s := process.New(process.Options{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// child is the configuration of a stdio server that runs command.
func child(s *process.Supervisor, command string, args []string, edit ...func(*Config)) Config {
	cfg := config("", edit...)
	cfg.Transport = "stdio"
	cfg.Start = func() (*process.Process, error) {
		return s.Start(process.Spec{Name: "up", Command: command, Args: args, Env: process.Environ(os.Environ(), map[string]string{"GORACE": "atexit_sleep_ms=0"})})
	}
	return cfg
}

func TestChildHandshake(t *testing.T) {
	tests := []struct {
		name    string
		server  upstreamtest.Config
		era     string
		want    catalog.Era
		version string
		starts  int
		mute    bool
	}{
		{"modern", upstreamtest.Config{Era: upstreamtest.Modern}, "", catalog.Modern, "2026-07-28", 1, false},
		{"both", upstreamtest.Config{}, "", catalog.Modern, "2026-07-28", 1, false},
		{"both, pinned", upstreamtest.Config{}, "legacy", catalog.Legacy, "2025-11-25", 1, false},
		{"legacy", upstreamtest.Config{Era: upstreamtest.Legacy}, "", catalog.Legacy, "2025-11-25", 1, false},
		{"silent", upstreamtest.Config{Era: upstreamtest.Legacy, Script: []upstreamtest.Act{{On: "server/discover", Fault: upstreamtest.Hang}}}, "", catalog.Legacy, "2025-11-25", 2, true},
		{"ends over the probe", upstreamtest.Config{Era: upstreamtest.Legacy, Script: []upstreamtest.Act{{On: "server/discover", Fault: upstreamtest.Crash}}}, "", catalog.Legacy, "2025-11-25", 2, false},
		{"modern, slow start", upstreamtest.Config{Era: upstreamtest.Modern, Boot: upstreamtest.Duration(500 * time.Millisecond)}, "", catalog.Modern, "2026-07-28", 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up := upstreamtest.Stdio(t, tt.server)
			c := dial(t, child(family(t), up.Command, up.Args, pinned(tt.era), func(c *Config) {
				if tt.mute {
					c.Probe = 200 * time.Millisecond // for the others it is the default, however loaded the machine is
				}
			}))
			if c.Era() != tt.want || c.Version() != tt.version || c.Quiet() != tt.mute {
				t.Errorf("era %v, version %s, quiet %v", c.Era(), c.Version(), c.Quiet())
			}
			if got := result(t, c, modernCaller().call(t, "tools/call", "echo", "", `,"arguments":{"a":1}`)); !strings.Contains(got, "content") {
				t.Errorf("result %s", got)
			}
			if n := up.Ledger().Conns(""); n != tt.starts {
				t.Errorf("started %d times, want %d", n, tt.starts)
			}
			if c.Child() == nil || c.Child().PID == 0 {
				t.Error("no child known")
			}
			if b := up.Ledger().Breaches(); b != nil {
				t.Error(b)
			}
		})
	}
}

// A cold start that takes longer than the probe is not taken for a legacy server, and not for a dead one.
func TestTrap5_14_ColdStartIsNotSilence(t *testing.T) {
	up := upstreamtest.Stdio(t, upstreamtest.Config{Boot: upstreamtest.Duration(1500 * time.Millisecond)})
	c := dial(t, child(family(t), up.Command, up.Args, func(c *Config) { c.Probe = 900 * time.Millisecond }))
	if c.Era() != catalog.Modern {
		t.Errorf("era %v", c.Era())
	}
	if n := up.Ledger().Conns(""); n != 1 {
		t.Errorf("started %d times", n)
	}
}

// A server known to be silent on the probe is not asked again, and one that has become modern is still found.
func TestQuietServersAreNotProbed(t *testing.T) {
	quiet := func(c *Config) { c.Quiet = true }
	up := upstreamtest.Stdio(t, upstreamtest.Config{Era: upstreamtest.Legacy})
	c := dial(t, child(family(t), up.Command, up.Args, quiet))
	if n := up.Ledger().Count("server/discover"); n != 0 || c.Era() != catalog.Legacy {
		t.Errorf("%d probes, era %v", n, c.Era())
	}
	up = upstreamtest.Stdio(t, upstreamtest.Config{Era: upstreamtest.Modern})
	if c := dial(t, child(family(t), up.Command, up.Args, quiet)); c.Era() != catalog.Modern {
		t.Errorf("era %v", c.Era())
	}
}

func TestChildrenThatCannotServe(t *testing.T) {
	s := family(t)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, &catalog.Error{Code: catalog.Timeout, Msg: "up: not ready within 500ms"})
	defer cancel()
	_, err := Dial(ctx, child(s, "/bin/sh", []string{"-c", "sleep 60"}))
	wantError(t, err, catalog.Timeout, catalog.Unknown, "up: not ready within 500ms")
	for _, tt := range []struct {
		command string
		args    []string
		want    string
	}{
		{"/bin/sh", []string{"-c", "echo oops >&2; exit 3"}, "up: exited with code 3"},
		{"/no/such/program", nil, "up: cannot start"},
	} {
		_, err := Dial(t.Context(), child(s, tt.command, tt.args))
		if e, ok := err.(*catalog.Error); !ok || e.Code != catalog.Unavailable || !strings.HasPrefix(e.Msg, tt.want) { //nolint:errorlint // the contract is this very type
			t.Errorf("%s: %v", tt.command, err)
		}
	}
}
