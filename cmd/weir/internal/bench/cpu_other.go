//go:build !linux

package bench

import (
	"errors"
	"fmt"
	"time"
)

var errLinux = fmt.Errorf("bench: the CPU time of other processes is read from Linux's clocks only: %w", errors.ErrUnsupported)

func cpu(int) (time.Duration, error) { return 0, errLinux }

func busy(time.Duration) (float64, error) { return 0, errLinux }

func memory(int) (now, peak int64, err error) { return 0, 0, errLinux }
