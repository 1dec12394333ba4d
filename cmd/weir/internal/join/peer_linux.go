package join

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// samePerson asks the kernel who is at the other end (SO_PEERCRED, unix(7)), and fails when it is another user.
func samePerson(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var who *syscall.Ucred
	var fault error
	err = raw.Control(func(fd uintptr) {
		who, fault = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, fault); err != nil {
		return err
	}
	if int(who.Uid) != os.Getuid() {
		return fmt.Errorf("join: the other end is of user %d", who.Uid)
	}
	return nil
}
