//go:build !unix

package audit

import (
	"fmt"
	"os"
	"path/filepath"
)

// lockDir keeps the folder's lock file open, which keeps another program from removing it and not from writing.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return f, nil
}
