//go:build !linux

package mcpconn

import "os"

// unread is not known on this system.
func unread(*os.File) (n int, known bool) { return 0, false }
