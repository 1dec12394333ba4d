//go:build !race

package openapi

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/translate"
)

// peakFile names the description that the child of TestPeak reads.
const peakFile = "WEIR_TEST_PEAK"

// TestPeak reads GitHub's 13 MB in a process of its own, which costs at most a second of processor time and 120 MB.
func TestPeak(t *testing.T) {
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
	cmd := exec.Command(os.Args[0], "-test.run=^TestPeak$", "-test.v")
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
