package upstream

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/upstream/upstreamtest"
)

func TestEnvFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "env")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# a comment\n\nA=1\r\nexport B = \"two words\"\nC='x=y'\nD=\n")
	got, err := readEnvFile("up", path)
	if d := cmp.Diff(map[string]string{"A": "1", "B": "two words", "C": "x=y", "D": ""}, got); d != "" || err != nil {
		t.Error(d, err)
	}
	write("A=1\ns3cret\n")
	if _, err := readEnvFile("up", path); err == nil || !strings.HasSuffix(err.Error(), "env:2: no KEY=value") {
		t.Error(err)
	}
	if _, err := readEnvFile("up", path+"x"); err == nil || !strings.HasSuffix(err.Error(), "envx is not a readable file") {
		t.Error(err)
	}
}

// What references resolve to reaches the server, and nothing else: no status, no error.
func TestSecretsStayOutOfSight(t *testing.T) {
	const secret = "s3cret-value"
	up := upstreamtest.New(t, upstreamtest.Config{})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "env"), []byte("FROM_FILE="+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := run(t, Options{
		Namespace: space(map[string]Spec{
			"http":  {URL: up.URL + "?key=${KEY}", Headers: map[string]string{"Authorization": "Bearer ${KEY}"}},
			"gone":  {URL: "http://user:${KEY}@127.0.0.1:1/${KEY}"},
			"bad":   {URL: "ftp://${KEY}/"},
			"child": {Command: "/bin/sh", Args: []string{"-c", `echo "$KEY $FROM_FILE" >&2; exit 1`}, Env: map[string]string{"KEY": "${KEY}"}, EnvFile: filepath.Join(dir, "env")},
		}),
		Expand: func(s string) (string, error) { return strings.ReplaceAll(s, "${KEY}", secret), nil },
	})
	settle(t, s)
	upstreamtest.Eventually(t, func() bool { return statusOf(s, "child").State == Failed }, "the child has failed")
	sent := up.Ledger().Calls("server/discover")[0]
	if got := sent.Header.Get("Authorization"); got != "Bearer "+secret || !strings.HasSuffix(sent.Path, "?key="+secret) {
		t.Errorf("sent %q to %s", got, sent.Path)
	}
	for _, st := range s.Status() {
		if text := strings.Join(append(st.Stderr, st.Reason, st.Hint, st.ServerName), " "); strings.Contains(text, secret) {
			t.Errorf("%s shows it: %s", st.Name, text)
		}
		if st.Name != "http" && (st.State != Failed || st.Reason == "") {
			t.Errorf("%s: %s %q", st.Name, st.State, st.Reason)
		}
	}
}

// A child that crashes is started again, and says so.
func TestChildIsRestarted(t *testing.T) {
	up := upstreamtest.Stdio(t, upstreamtest.Config{Complaint: []upstreamtest.Raw{"hello from the child"}, Script: []upstreamtest.Act{{On: "tools/call", Nth: 2, Fault: upstreamtest.Crash}}})
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {Command: up.Command, Args: up.Args}})})
	settle(t, s)
	mustCall(t, s, "up__echo")
	_, err := callTool(t, s, "up__echo")
	e, ok := err.(*catalog.Error) //nolint:errorlint // the contract is this very type
	if !ok || e.Code != catalog.Unavailable || e.Execution != catalog.Unknown || !strings.HasPrefix(e.Msg, "up: exited with code 3") {
		t.Errorf("error %#v", err)
	}
	mustCall(t, s, "up__echo") // waits for the new child, though not for its lists
	upstreamtest.Eventually(t, func() bool { return statusOf(s, "up").State == Ready }, "the new child's lists are read")
	st := statusOf(s, "up")
	if st.State != Ready || st.Restarts != 1 || st.Transport != "stdio" || st.Calls != 3 || st.Errors != 1 || len(st.Stderr) == 0 || st.Stderr[0] != "hello from the child" {
		t.Errorf("%+v", st)
	}
	if n := up.Ledger().Count("tools/call"); n != 3 {
		t.Errorf("%d requests for 3 calls", n)
	}
}

// Calls to an upstream that hangs while it is connected fail after a moment, not after the whole start limit.
func TestCallsDoNotWaitForAHungUpstream(t *testing.T) {
	up := upstreamtest.New(t, upstreamtest.Config{})
	s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: up.URL, StartTimeout: time.Minute}})})
	settle(t, s)
	up.Script(upstreamtest.Act{On: "server/discover", Fault: upstreamtest.Hang}, upstreamtest.Act{On: "initialize", Fault: upstreamtest.Hang})
	up.Refuse()
	if a, err := callTool(t, s, "up__echo"); err == nil {
		a.Release()
		t.Error("a call to a closed port succeeded")
	}
	up.Accept()
	began := time.Now()
	for range 5 {
		_, err := callTool(t, s, "up__echo")
		e, ok := err.(*catalog.Error) //nolint:errorlint // the contract is this very type
		if !ok || e.Code != catalog.Unavailable || e.Execution != catalog.NotExecuted {
			t.Errorf("error %#v", err)
		}
	}
	if d := time.Since(began); d > 2*patience {
		t.Errorf("5 calls took %v", d)
	}
}
