package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// readEnvFile reads NAME=value lines. A file that does not exist, or a directory of that name, is empty. Error texts never quote a value.
func readEnvFile(path string) (map[string]string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, nil
	}
	if err != nil {
		return nil, faultf("env: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, faultf("%s: others can read it (mode %04o); run: chmod 600 %s", path, mode, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, faultf("env: %w", err)
	}
	return parseEnv(path, string(b))
}

// parseEnv reads lines of NAME=value, the value bare or in single or double quotes; # starts a comment line, a leading export is ignored.
func parseEnv(path, content string) (map[string]string, error) {
	vars := make(map[string]string)
	for i, line := range strings.Split(content, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !isName(name) {
			return nil, faultf("%s: want NAME=value", fmt.Sprintf("%s:%d", path, i+1))
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		vars[name] = value
	}
	return vars, nil
}
