package mcpconn

import (
	"os"

	"golang.org/x/sys/unix"
)

// unread returns how many bytes written to a pipe its other end has not read yet.
func unread(pipe *os.File) (n int, known bool) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return 0, false
	}
	var fault error
	if err := raw.Control(func(fd uintptr) { n, fault = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil || fault != nil {
		return 0, false
	}
	return n, true
}
