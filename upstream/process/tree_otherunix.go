//go:build unix && !linux

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// attributes makes the child the leader of a session.
func attributes(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}

func ownProgram() []string {
	file, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{file}
}

func rename(string) {}

// keepDescriptors has no single call here; weir's own descriptors are closed at exec anyway.
func keepDescriptors() {}

// startTime is not known without a /proc.
func startTime(int) uint64 { return 0 }

// look asks the kernel which groups have members. What left its group is not found here.
func (s survey) look() remains {
	var left remains
	for pid := range s.leaders {
		if syscall.Kill(-pid, 0) == nil {
			left.groups = append(left.groups, pid)
		}
	}
	return left
}
