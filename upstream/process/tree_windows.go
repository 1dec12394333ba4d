package process

import (
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// tree is a job object that holds the child and everything it starts. Its only handle is weir's, so the system ends what is in it
// when weir is gone. What a child starts before it is put into the job is not in it: a gap of microseconds.
type tree struct {
	job windows.Handle
}

// attributes keeps Ctrl-C for weir alone and console windows closed.
func attributes(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.CREATE_NO_WINDOW}
}

func plant(cmd *exec.Cmd, _ string) (tree, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return tree{}, err
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err == nil {
		err = assign(job, cmd.Process.Pid)
	}
	if err != nil {
		_ = windows.CloseHandle(job)
		return tree{}, err
	}
	return tree{job: job}, nil
}

func assign(job windows.Handle, pid int) error {
	child, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(pid))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(child)
	return windows.AssignProcessToJobObject(job, child)
}

// end ends the job. There is no SIGTERM here, so stdin's end was all the warning.
func (t tree) end(time.Duration, <-chan struct{}) bool {
	return windows.TerminateJobObject(t.job, 1) == nil
}

func (t tree) release() { _ = windows.CloseHandle(t.job) }

func signalName(*os.ProcessState) string { return "" }

// keepDescriptors has nothing to do: handles are inherited one by one here.
func keepDescriptors() {}

// guardVar is not used here; nothing sets it.
const guardVar = "WEIR_GUARD"

// guard has nothing to do: job objects do it.
type guard struct{}

func newGuard(*slog.Logger, string, time.Duration) *guard { return &guard{} }

func (*guard) ensure()     {}
func (*guard) add(tree)    {}
func (*guard) remove(tree) {}
func (*guard) close()      {}

// MaybeGuard does nothing on Windows, where job objects end what weir leaves behind.
func MaybeGuard() {}
