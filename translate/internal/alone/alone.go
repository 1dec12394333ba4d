package alone

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// variable tells the child which case it is to do.
const variable = "WEIR_TEST_ALONE"

// Case is what this process is to do, "" for the one that was not started by [Run].
func Case() string { return os.Getenv(variable) }

// Cost is what a child came to.
type Cost struct {
	Output string
	Time   time.Duration // of the processor
	Peak   int           // KiB of memory; as much as there is when the child did not [Tell]
	Err    error         // of the child, which fails as its test does
}

// Run does a case of the test t in a child, and waits for it.
func Run(t *testing.T, name string) Cost {
	t.Helper()
	test, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v", "-test.short="+fmt.Sprint(testing.Short())) //nolint:gosec // this program itself
	cmd.Env = append(os.Environ(), variable+"="+name)
	out, err := cmd.CombinedOutput()
	c := Cost{Output: string(out), Time: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), Peak: 1 << 30, Err: err}
	_, told, _ := strings.Cut(c.Output, "; peak ")
	_, _ = fmt.Sscan(told, &c.Peak) // it stays where nothing is told
	return c
}

// Tell logs what the case came to, and how much memory this process had at most: that of /proc, because the figure of wait includes what the parent had
// before.
func Tell(t *testing.T, format string, args ...any) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	t.Logf("%s; peak %s", fmt.Sprintf(format, args...), strings.TrimSpace(strings.SplitN(peak, "\n", 2)[0]))
}
