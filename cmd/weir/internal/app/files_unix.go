//go:build unix

package app

import (
	"os"
	"syscall"
)

// fileLimit is how many files the process may have open, 0 when that is not bounded. (Go raises the soft limit to the hard one at its start.)
func fileLimit() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || l.Cur > 1<<30 {
		return 0
	}
	return int(l.Cur)
}

// openFiles is how many files the process has open, and how many it may have; zeros when that is not known.
func openFiles() (used, most int) {
	most = fileLimit()
	dir, err := os.Open("/dev/fd") // on Linux a link to /proc/self/fd
	if err != nil {
		return 0, 0
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0, 0
	}
	return len(names) - 1, most // this folder is open too
}
