package join

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"weir/cmd/weir/internal/config"
)

// maxPath is the longest socket path that every system takes, in bytes (sun_path of unix(7) less some room).
const maxPath = 100

// Place is where the gateway of one configuration can be joined.
type Place struct {
	file   string // the configuration's real path
	folder string
	socket string
}

// PlaceOf returns the place of a configuration file: in $XDG_RUNTIME_DIR, or in the user's cache.
func PlaceOf(file string, env config.Env) (Place, error) {
	full, err := filepath.Abs(file)
	if err != nil {
		return Place{}, fmt.Errorf("join: %w", err)
	}
	if end, err := filepath.EvalSymlinks(full); err == nil {
		full = end
	}
	folder := filepath.Join(env.Home, ".cache", "weir", "run")
	if dir, ok := env.Lookup("XDG_RUNTIME_DIR"); ok && filepath.IsAbs(dir) {
		folder = filepath.Join(dir, "weir")
	} else if env.Home == "" {
		return Place{}, errors.New("join: there is neither XDG_RUNTIME_DIR nor a home directory")
	}
	sum := sha256.Sum256([]byte(full))
	p := Place{file: full, folder: folder, socket: filepath.Join(folder, hex.EncodeToString(sum[:8])+".sock")}
	if len(p.socket) > maxPath {
		return Place{}, fmt.Errorf("join: %s is too long for a socket's name", p.socket)
	}
	return p, nil
}

// checkFolder reports a folder that others could put a socket into.
func checkFolder(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("join: %s is not a folder", path)
	}
	return private(path, info)
}
