//go:build unix

package process

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnviron(t *testing.T) {
	own := []string{
		"PATH=/usr/bin:/bin", "HOME=/home/ana", "LANG=C.UTF-8", "LC_ALL=C", "XDG_CONFIG_HOME=/x", "TERM=xterm", "TZ=UTC", "TMPDIR=/tmp",
		"AWS_SECRET_ACCESS_KEY=s3cret", "WEIR_GUARD=x", "SSH_AUTH_SOCK=/run/agent", "NODE_OPTIONS=--inspect", "LD_PRELOAD=/evil.so",
		"SHELL=() { :; }; echo", "EMPTY", "LC_=", "PATHX=1",
	}
	got := Environ(own, map[string]string{"API_KEY": "k=v", "HOME": "/srv", "EMPTY": ""})
	want := []string{
		"API_KEY=k=v", "EMPTY=", "HOME=/srv", "LANG=C.UTF-8", "LC_=", "LC_ALL=C", "PATH=/usr/bin:/bin", "TERM=xterm", "TMPDIR=/tmp", "TZ=UTC", "XDG_CONFIG_HOME=/x",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTrap5_11_TheGatewaysEnvironmentIsNotTheChilds(t *testing.T) {
	t.Setenv("WEIR_TEST_CANARY", "must not be seen")
	t.Setenv("LC_TEST", "seen")
	p := run(t, New(Options{}), Spec{Command: "env", Env: Environ(append(os.Environ(), "LD_PRELOAD="), map[string]string{"CONFIGURED": "yes"})})
	<-p.Done()
	names := map[string]string{}
	for line := range strings.Lines(p.stdout()) {
		k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		names[k] = v
	}
	for name := range names {
		if !inherited(name) && name != "CONFIGURED" && name != childVar {
			t.Errorf("the child has %s=%s", name, names[name])
		}
	}
	if names["CONFIGURED"] != "yes" || names["LC_TEST"] != "seen" || names["PATH"] == "" {
		t.Errorf("the child lacks what it should have: %v", names)
	}
}

func TestChildEnv(t *testing.T) {
	tests := []struct{ name, path, file, want string }{
		{"found in PATH", "/usr/bin:/bin", "/usr/bin/npx", "/usr/bin:/bin"},
		{"given by its path", "/usr/bin:/bin", "/home/ana/.nvm/v22/bin/npx", "/usr/bin:/bin:/home/ana/.nvm/v22/bin"},
		{"no PATH", "", "/opt/x/server", "/opt/x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := childEnv(Spec{Env: []string{"PATH=" + tt.path, "A=1"}}, tt.file)
			if got := lookupEnv(env, "PATH"); got != tt.want {
				t.Errorf("PATH %q, want %q", got, tt.want)
			}
			if got := lookupEnv(env, "A"); got != "1" {
				t.Errorf("A is %q", got)
			}
		})
	}
}
