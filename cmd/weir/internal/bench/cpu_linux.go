package bench

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpu returns the CPU time, user and system, that all threads of a process have used since it began. /proc/PID/stat has it in hundredths
// of a second; the process's CPU clock has nanoseconds.
func cpu(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED of the kernel's posix-timers.h
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0, fmt.Errorf("cpu clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// busy is the share of all cores' time that anything used within d, from 0 to 1.
func busy(d time.Duration) (float64, error) {
	idle1, all1, err := cores()
	if err != nil {
		return 0, err
	}
	time.Sleep(d)
	idle2, all2, err := cores()
	if err != nil || all2 == all1 {
		return 0, err
	}
	return 1 - float64(idle2-idle1)/float64(all2-all1), nil
}

// cores reads the first line of /proc/stat: idle and total ticks.
func cores() (idle, all uint64, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var user, nice, system, iowait, irq, softirq, steal uint64
	if _, err := fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); err != nil {
		return 0, 0, fmt.Errorf("/proc/stat: %w", err)
	}
	return idle + iowait, user + nice + system + idle + iowait + irq + softirq + steal, nil
}

// memory returns the resident set of a process now and at its largest, in bytes.
func memory(pid int) (now, peak int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			now = kb << 10
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			peak = kb << 10
		}
	}
	return now, peak, nil
}
