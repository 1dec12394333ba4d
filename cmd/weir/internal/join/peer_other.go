//go:build !linux

package join

import "net"

// samePerson trusts the folder of the socket, which nobody else can enter.
func samePerson(*net.UnixConn) error { return nil }
