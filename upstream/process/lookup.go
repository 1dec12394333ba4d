package process

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"weir/catalog"
)

// Lookup finds the program of a command in the PATH of env (a complete list), never in weir's own PATH or in the current directory.
// A command with a slash is a path: absolute, below the home directory ("~/bin/server"), or relative to dir. The error is a
// *catalog.Error that says where it looked (Facts) and where the program was found instead.
func Lookup(name, command, dir string, env []string) (string, error) {
	if command == "" {
		return "", unavailable(name, "no command is configured", "", nil)
	}
	home := homeOf(env)
	if strings.ContainsRune(command, '/') || strings.ContainsRune(command, filepath.Separator) {
		return lookupPath(name, command, dir, home)
	}
	path := lookupEnv(env, "PATH")
	var denied string
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			continue // "." and the empty entry would run what happens to lie in the current directory
		}
		file, err := exec.LookPath(filepath.Join(d, command))
		if err == nil {
			return file, nil
		}
		if errors.Is(err, fs.ErrPermission) && denied == "" {
			denied = filepath.Join(d, command)
		}
	}
	if denied != "" {
		return "", notExecutable(name, denied)
	}
	return "", notFound(name, command, path, home)
}

func lookupPath(name, command, dir, home string) (string, error) {
	file := command
	switch rest, tilde := strings.CutPrefix(command, "~/"); {
	case tilde && home != "":
		file = filepath.Join(home, rest)
	case !filepath.IsAbs(command):
		abs, err := filepath.Abs(filepath.Join(dir, command))
		if err != nil {
			return "", unavailable(name, "cannot start: the current directory is gone", "", err)
		}
		file = abs
	}
	found, err := exec.LookPath(file)
	switch {
	case err == nil:
		return found, nil
	case errors.Is(err, fs.ErrPermission):
		return "", notExecutable(name, file)
	default:
		return "", notFound(name, command, "", home)
	}
}

func notExecutable(name, file string) error {
	return unavailable(name, "cannot start: "+strconv.Quote(filepath.Base(file))+" is not a program that may be run",
		"chmod +x "+file, Facts{{"file", file}})
}

func notFound(name, command, path, home string) error {
	var facts Facts
	hint := "install " + strconv.Quote(filepath.Base(command)) + ", or set its full path as command under mcpServers." + name
	base := filepath.Base(command)
	if base == command {
		if path == "" {
			path = "nothing: PATH is empty"
		}
		facts = append(facts, Fact{"looked in", path + "   (the PATH this program was given, not your shell's)"})
	}
	if found := elsewhere(base, home); found != "" && found != command {
		facts = append(facts, Fact{"exists at", found})
		hint = "set   command: " + found + "   under mcpServers." + name
	}
	return unavailable(name, "cannot start: "+strconv.Quote(command)+" not found", hint, facts)
}

// unavailable is an error before anything was started.
func unavailable(name, what, hint string, cause error) error {
	return &catalog.Error{Code: catalog.Unavailable, Msg: name + ": " + what, Hint: hint, Execution: catalog.NotExecuted, Err: cause}
}

func homeOf(env []string) string {
	if runtime.GOOS == "windows" {
		return lookupEnv(env, "USERPROFILE")
	}
	return lookupEnv(env, "HOME")
}

// elsewhere looks for a program where installers put it: programs started from a desktop do not have the PATH of the user's shell.
// The answer begins with ~/ below the home directory.
func elsewhere(base, home string) string {
	for _, place := range places(runtime.GOOS) {
		pattern := place
		if rest, ok := strings.CutPrefix(place, "~/"); ok {
			if home == "" {
				continue
			}
			pattern = filepath.Join(home, rest)
		}
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		slices.SortFunc(dirs, func(a, b string) int { return compareVersions(b, a) })
		for _, d := range dirs {
			file, err := exec.LookPath(filepath.Join(d, base))
			if err != nil {
				continue
			}
			if rest, ok := strings.CutPrefix(file, home+string(os.PathSeparator)); ok && home != "" {
				return "~/" + filepath.ToSlash(rest)
			}
			return file
		}
	}
	return ""
}

// places are directories, or globs for them, in the order they are tried.
func places(goos string) []string {
	if goos == "windows" {
		return []string{
			"~/.local/bin", "~/.cargo/bin", "~/.bun/bin", "~/.deno/bin", "~/scoop/shims",
			"~/AppData/Roaming/npm", "~/AppData/Local/Programs/nodejs", "~/AppData/Local/Volta/bin", "~/AppData/Local/Programs/Python/*", `C:\Program Files\nodejs`,
		}
	}
	return []string{
		"~/.local/bin", "~/.volta/bin", "~/.nvm/versions/node/*/bin", "~/.local/share/fnm/node-versions/*/installation/bin",
		"~/.local/share/mise/shims", "~/.asdf/shims", "~/.bun/bin", "~/.deno/bin", "~/.cargo/bin", "~/.pyenv/shims", "~/go/bin",
		"~/.npm-global/bin", "~/.local/share/pnpm", "~/Library/pnpm", "~/bin",
		"/usr/local/bin", "/opt/homebrew/bin", "/home/linuxbrew/.linuxbrew/bin", "/opt/local/bin", "/snap/bin", "/usr/bin", "/bin", "/usr/local/go/bin",
	}
}

// compareVersions orders paths so that v9 comes before v22.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		na, restA := leadingNumber(a)
		nb, restB := leadingNumber(b)
		if na >= 0 && nb >= 0 {
			if c := cmp.Compare(na, nb); c != 0 {
				return c
			}
			a, b = restA, restB
			continue
		}
		if c := cmp.Compare(a[0], b[0]); c != 0 {
			return c
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// leadingNumber returns the number s begins with, -1 when there is none or it is absurdly long.
func leadingNumber(s string) (int, string) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err := strconv.Atoi(s[:i])
	if err != nil {
		return -1, s
	}
	return n, s[i:]
}
