//go:build !linux

package audit

import "os"

// diskFile is a file.
type diskFile struct{ *os.File }
