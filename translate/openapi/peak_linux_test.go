//go:build !race

package openapi

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/translate"
)

// peakFile names the description that the child of TestCheck12_Peak reads.
const peakFile = "WEIR_TEST_PEAK"

// TestCheck12_Peak reads GitHub's 13 MB in a process of its own, which costs at most a second of processor time and 120 MB.
func TestCheck12_Peak(t *testing.T) {
	if name := os.Getenv(peakFile); name != "" {
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
	cmd := exec.Command(os.Args[0], "-test.run=^TestCheck12_Peak$", "-test.v")
	cmd.Env = append(os.Environ(), peakFile+"="+file)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("%s of processor time\n%s", used, out)
	if used > time.Second {
		t.Errorf("%s of processor time, want at most 1s", used)
	}
}

// readAlone is the child. Its peak is that of /proc: the one that wait tells includes what the parent had before.
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
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MB", kilobytes/1024)
	if kilobytes > 120*1024 {
		t.Errorf("%d MB, want at most 120", kilobytes/1024)
	}
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
