package process

import (
	"runtime"
	"slices"
	"strings"
)

// Environ makes the complete environment of a child: of own (weir's own, as os.Environ gives it) only what programs need to find
// themselves, their home, their language and their temporary files, and over it what is configured. Secrets that weir was given stay
// with weir. The result is sorted.
func Environ(own []string, configured map[string]string) []string {
	env := map[string]string{}
	for _, kv := range own {
		name, value, _ := strings.Cut(kv, "=")
		// A value that begins like this is a function that bash exported, code and not data.
		if !inherited(name) || strings.HasPrefix(value, "()") {
			continue
		}
		env[name] = value
	}
	for name, value := range configured {
		if runtime.GOOS == "windows" {
			for other := range env {
				if strings.EqualFold(other, name) {
					delete(env, other)
				}
			}
		}
		env[name] = value
	}
	list := make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// inherited reports whether a child gets weir's own variable of this name.
func inherited(name string) bool {
	if runtime.GOOS == "windows" {
		switch strings.ToUpper(name) {
		case "PATH", "PATHEXT", "COMSPEC", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "TEMP", "TMP",
			"APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "PROGRAMW6432", "COMMONPROGRAMFILES",
			"USERNAME", "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "HOME", "OS", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "LANG", "TZ":
			return true
		}
		return false
	}
	switch name {
	case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TMPDIR", "TZ":
		return true
	}
	return strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "XDG_")
}

// lookupEnv returns the last value of name in env, as the system sees it.
func lookupEnv(env []string, name string) string {
	for _, kv := range slices.Backward(env) {
		k, v, _ := strings.Cut(kv, "=")
		if k == name || runtime.GOOS == "windows" && strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// setEnv returns env with name set to value and no other value of name.
func setEnv(env []string, name, value string) []string {
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		k, _, _ := strings.Cut(kv, "=")
		if k != name && (runtime.GOOS != "windows" || !strings.EqualFold(k, name)) {
			out = append(out, kv)
		}
	}
	return append(out, name+"="+value)
}
