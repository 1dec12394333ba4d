//go:build !race

package openapi

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/translate"
	"weir/translate/internal/alone"
)

// TestCheck12_Peak reads GitHub's 13 MB in a process of its own, which costs at most a second of processor time and 120 MB.
func TestCheck12_Peak(t *testing.T) {
	if name := alone.Case(); name != "" {
		readAlone(t, name)
		return
	}
	if testing.Short() {
		t.Skip("reads a large description in a process of its own")
	}
	file := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(file, corpus(t, "github")[0].text, 0o600); err != nil {
		t.Fatal(err)
	}
	c := alone.Run(t, file)
	if c.Err != nil {
		t.Errorf("%v\n%s", c.Err, c.Output)
	}
	t.Logf("%s of processor time\n%s", c.Time, c.Output)
	if c.Time > time.Second {
		t.Errorf("%s of processor time, want at most 1s", c.Time)
	}
	if c.Peak > 120*1024 {
		t.Errorf("%d MB, want at most 120", c.Peak/1024)
	}
}

// readAlone is the child.
func readAlone(t *testing.T, name string) {
	a, err := New(t.Context(), Spec{OpenAPI: name, Spec: translate.Spec{Mode: translate.ModeDynamic}, Server: "https://h.test"}, translate.Options{Upstream: "api"})
	if err != nil {
		t.Fatal(err)
	}
	if n := a.Report().Tools; n < 1200 {
		t.Errorf("%d tools", n)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
	alone.Tell(t, "%d tools", a.Report().Tools)
}

// TestCheck12_Warm starts from the cache, as a second start of the gateway does: at most 50 ms of processor time in the quietest of some.
func TestCheck12_Warm(t *testing.T) {
	const limit = 50 * time.Millisecond
	if testing.Short() {
		t.Skip("reads a large description")
	}
	file := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(file, corpus(t, "github")[0].text, 0o600); err != nil {
		t.Fatal(err)
	}
	c := &memory{}
	start := func() time.Duration {
		runtime.GC()
		before := processTime(t)
		a, err := New(t.Context(), Spec{OpenAPI: file, Spec: translate.Spec{Mode: translate.ModeDynamic}, Server: "https://h.test"}, translate.Options{Upstream: "api", Cache: c})
		if err != nil {
			t.Fatal(err)
		}
		took := processTime(t) - before
		if n := a.Report().Tools; n < 1200 {
			t.Errorf("%d tools", n)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
		return took
	}
	cold, warm := start(), start()
	for range 9 {
		warm = min(warm, start())
	}
	t.Logf("%v of processor time cold, %v warm", cold, warm)
	if warm > limit || c.hits < 10 {
		t.Errorf("warm %v with %d hits, want at most %v", warm, c.hits, limit)
	}
}

// processTime is the processor time of this process.
func processTime(t *testing.T) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}
