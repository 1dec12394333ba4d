package audit

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestR18_FullTmpfs: on a real file system that is full, what was acknowledged is there, the rest is refused, and the log goes on when there is room. It runs again in a
// namespace of its own, where it may mount one.
func TestR18_FullTmpfs(t *testing.T) {
	if dir := os.Getenv("AUDIT_TMPFS"); dir != "" {
		fillTmpfs(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestR18_FullTmpfs$", "-test.v")
	cmd.Env = append(os.Environ(), "AUDIT_TMPFS="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) && os.Getenv("CI") != "true" {
		t.Skip("this machine gives nobody a namespace: ", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

func fillTmpfs(t *testing.T, dir string) {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, "audit")
	l := open(t, Options{Dir: dir})
	var want []string
	refused := 0
	for i := 0; refused < 3; i++ {
		pad := strings.Repeat("x", 100+i%1000)
		switch err := l.Append(t.Context(), []byte(`{"kind":"intent","id":"`+strconv.Itoa(i)+`","pad":"`+pad+`"}`)); {
		case errors.Is(err, syscall.ENOSPC):
			refused++
		case err != nil:
			t.Fatal(err)
		default:
			want = append(want, "intent "+strconv.Itoa(i))
		}
	}
	if r := verify(t, dir); len(r.Problems) > 0 || len(want) < 100 {
		t.Errorf("full after %d records: %v", len(want), r.Problems)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), event("intent", -1)); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if got := kinds(t, dir); !slices.Equal(got, append(want, "intent -1", "seal")) {
		t.Errorf("%d records, want %d and two", len(got), len(want))
	}
	if r := verify(t, dir); len(r.Problems) > 0 {
		t.Error(r.Problems)
	}
}
