//go:build unix

package h1

import "syscall"

// alive reports whether a resting connection can be used: nothing has come in, not even its end. A server has nothing to say between requests,
// so what it did say is the end or belongs to nobody.
func (c *conn) alive() bool {
	if c.raw == nil || c.in.Buffered() > 0 {
		return c.in.Buffered() == 0
	}
	quiet := false
	err := c.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = n <= 0 && (err == syscall.EAGAIN || err == syscall.EWOULDBLOCK || err == syscall.EINTR)
		return true
	})
	return err == nil && quiet
}
