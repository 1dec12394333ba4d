package mcphttp

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"weir/catalog"
)

// What cannot be listened on is said with its reason, and what to do about that one.
func TestCannotListen(t *testing.T) {
	for reason, want := range map[syscall.Errno]string{syscall.EADDRINUSE: "another program may have the port", syscall.EACCES: "from 1024 up"} {
		err := cannotListen("127.0.0.1:80", &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", reason)})
		own, ok := errors.AsType[*catalog.Error](err)
		if !ok || own.Msg != "listen: cannot listen on 127.0.0.1:80: bind: "+reason.Error() || !strings.Contains(own.Hint, want) || !errors.Is(err, reason) {
			t.Errorf("%v: %v, %+v", reason, err, own)
		}
	}
}
