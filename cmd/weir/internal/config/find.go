package config

import (
	"os"
	"path/filepath"

	"weir/catalog"
	"weir/upstream/process"
)

// ErrNone says that there is no configuration.
var ErrNone error = &catalog.Error{
	Code: catalog.Config, Msg: "config: no weir.yaml or weir.json here, nor in the user's configuration directory",
	Hint: "name a file: weir serve FILE (a client's mcp.json works too), or see: weir help config",
}

// Env is what the surroundings say. Nothing in this package asks the process itself.
type Env struct {
	Lookup func(name string) (string, bool) // environment variables
	Home   string                           // the user's home directory
	Dir    string                           // the working directory
	// Lacks says which bound of a sandbox this machine cannot set, "" when it can set all. Nil asks nobody.
	Lacks func(process.Sandbox) string
}

// Find returns the path of the configuration: the one given, else that of WEIR_CONFIG, else weir.yaml or weir.json in the working directory,
// else in the user's configuration directory. ErrNone when there is none.
func Find(given string, env Env) (string, error) {
	if given == "" {
		given, _ = env.Lookup("WEIR_CONFIG")
	}
	if given != "" {
		if !filepath.IsAbs(given) {
			given = filepath.Join(env.Dir, given)
		}
		if info, err := os.Stat(given); err != nil {
			return "", faultf("config: %s: %w", Show(given, env), bare(err))
		} else if info.IsDir() {
			return "", faultf("config: %s is a directory; name the file in it", Show(given, env))
		}
		return given, nil
	}
	for _, dir := range []string{env.Dir, UserDir(env)} {
		if dir == "" {
			continue
		}
		for _, name := range []string{"weir.yaml", "weir.yml", "weir.json", "weir.jsonc"} {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				return path, nil
			}
		}
	}
	return "", ErrNone
}

// UserDir is the user's own configuration directory, $XDG_CONFIG_HOME/weir or ~/.config/weir on every system; "" without a home.
func UserDir(env Env) string {
	if base, ok := env.Lookup("XDG_CONFIG_HOME"); ok && filepath.IsAbs(base) {
		return filepath.Join(base, "weir")
	}
	if env.Home == "" {
		return ""
	}
	return filepath.Join(env.Home, ".config", "weir")
}

// CacheDir is where weir keeps what it can make again, $XDG_CACHE_HOME/weir or ~/.cache/weir on every system; "" without a home.
func CacheDir(env Env) string {
	if base, ok := env.Lookup("XDG_CACHE_HOME"); ok && filepath.IsAbs(base) {
		return filepath.Join(base, "weir")
	}
	if env.Home == "" {
		return ""
	}
	return filepath.Join(env.Home, ".cache", "weir")
}
