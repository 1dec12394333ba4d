package join

import (
	"os"
	"syscall"
)

// refused is WSAECONNREFUSED: nobody listens at a socket.
const refused = syscall.Errno(10061)

// private has nothing to ask: folders below the user's home are the user's alone.
func private(string, os.FileInfo) error { return nil }
