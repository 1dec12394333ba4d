package room

import (
	"errors"
	"os"
	"syscall"
)

// Shortage says what weir itself has none left of when that is what err is about: files that it may open, processes that its user may have, or memory of the system. It is "" for all other errors.
// Nothing is known of the other side then: nobody got as far as asking it.
func Shortage(err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "open files"
	case errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return "system memory"
	case errors.Is(err, syscall.EAGAIN): // elsewhere it means no more than not yet
		if start, ok := errors.AsType[*os.PathError](err); ok && start.Op == "fork/exec" {
			return "processes"
		}
	}
	return ""
}
