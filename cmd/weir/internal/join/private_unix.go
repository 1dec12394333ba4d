//go:build unix

package join

import (
	"fmt"
	"os"
	"syscall"
)

// refused says that nobody listens at a socket.
const refused = syscall.ECONNREFUSED

// private reports a folder that is not this user's alone.
func private(path string, info os.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Getuid() {
		return fmt.Errorf("join: %s belongs to another user", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("join: %s is open to other users", path)
	}
	return nil
}
