package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// lanes bounds how many programs may write logs in one folder at a time.
const lanes = 100

// errTaken says that another program writes a lane.
var errTaken = errors.New("written by another program")

func laneName(n int) string { return fmt.Sprintf("lane-%02d", n) }

// takeLane finds a lane that nobody writes, and keeps others from it until the file is closed. Several gateways of one user have a chain each:
// a chain has one writer.
func takeLane(dir string) (string, *os.File, error) {
	for n := range lanes {
		lane := filepath.Join(dir, laneName(n))
		if err := os.MkdirAll(lane, 0o700); err != nil {
			return "", nil, fmt.Errorf("audit: %w", err)
		}
		lock, err := os.OpenFile(filepath.Join(lane, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return "", nil, fmt.Errorf("audit: %w", err)
		}
		err = lockFile(lock)
		if err == nil {
			return lane, lock, nil
		}
		_ = lock.Close()
		if !errors.Is(err, errTaken) {
			return "", nil, fmt.Errorf("audit: %s: %w", lane, err)
		}
	}
	return "", nil, fmt.Errorf("audit: all %d lanes of %s are %w", lanes, dir, errTaken)
}

// laneDirs are the lanes in a folder, in order.
func laneDirs(dir string) []string {
	var all []string
	for n := range lanes {
		lane := filepath.Join(dir, laneName(n))
		if len(segments(lane)) > 0 {
			all = append(all, lane)
		}
	}
	return all
}

// createFile opens a file of a lane, and makes it when needed.
func createFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}
