package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"weir/upstream/upstreamtest"
)

// root is the repository, seen from this package's folder.
const root = "../../../.."

// What TestMain built: the program under test, the fake as a program, and the go-sdk's conformance fixtures.
var weirBinary, fakeBinary, everythingServer, everythingClient string

func TestMain(m *testing.M) {
	upstreamtest.RunChild()
	runSandwich()
	dir, err := os.MkdirTemp("", "weir-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if _, set := os.LookupEnv("GORACE"); !set {
		// A program with the race detector would sleep for a second when it ends.
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	code := 1
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
	} else {
		code = m.Run()
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = 1
		}
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// build compiles the binaries into dir. It lists the sources first: go test takes a result from its cache unless a file that the test
// itself looked at has changed, and what the compiler reads does not count.
func build(dir string) error {
	for _, top := range []string{"catalog", "cmd", "policy", "server", "translate", "upstream"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(string, fs.DirEntry, error) error { return nil })
		if err != nil {
			return err
		}
	}
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if raceEnabled {
		args = append(args, "-race")
	}
	const fixtures = "github.com/modelcontextprotocol/go-sdk/conformance/"
	args = append(args, "weir/cmd/weir", "weir/upstream/upstreamtest/fakemcp", fixtures+"everything-server", fixtures+"everything-client")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	weirBinary, fakeBinary = filepath.Join(dir, "weir"), filepath.Join(dir, "fakemcp")
	everythingServer, everythingClient = filepath.Join(dir, "everything-server"), filepath.Join(dir, "everything-client")
	return nil
}

// must ends the test when err is not nil.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
