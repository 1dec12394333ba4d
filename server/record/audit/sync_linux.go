package audit

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// diskFile is a file whose Sync leaves out what is not needed to read it again, such as its times.
type diskFile struct{ *os.File }

// Sync implements file.
func (f diskFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
