package upstreamtest

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptKey keeps the fakes of one script, by name.
type scriptKey struct{}

// ScriptSetup prepares a script's environment for [ScriptCommands]; call it from testscript.Params.Setup.
func ScriptSetup(env *testscript.Env) error {
	env.Values[scriptKey{}] = map[string]*fake{}
	return nil
}

// fake is an HTTP server of one script.
type fake struct {
	http   *httpServer
	ledger *Ledger
}

// ScriptCommands are the testscript commands for fakes over HTTP, which run inside the test's process:
//
//	fakehttp NAME [CONFIG.json]      start; sets $NAME_URL
//	fakehttp -refuse|-accept|-forget NAME
//	fakehttp -change NAME CONTENT.json
//	fakecount NAME METHOD N          exactly N of METHOD reached it
//	fakeledger NAME FILE             write the ledger: one line an entry, "METHOD NAME OUTCOME"
//
// A fake over stdio needs none of them: it is the program fakemcp ([Main]).
func ScriptCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"fakehttp":   scriptHTTP,
		"fakecount":  scriptCount,
		"fakeledger": scriptLedger,
	}
}

func fakes(ts *testscript.TestScript) map[string]*fake {
	m, ok := ts.Value(scriptKey{}).(map[string]*fake)
	if !ok {
		ts.Fatalf("upstreamtest.ScriptSetup was not called")
	}
	return m
}

func named(ts *testscript.TestScript, name string) *fake {
	f := fakes(ts)[name]
	if f == nil {
		ts.Fatalf("no fake %s", name)
	}
	return f
}

func scriptHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: fakehttp NAME [CONFIG.json]")
	}
	if strings.HasPrefix(args[0], "-") {
		scriptControl(ts, args)
		return
	}
	var cfg Config
	if len(args) > 1 {
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &cfg))
	}
	f := &fake{ledger: &Ledger{}}
	f.http = newHTTPServer(newEngine(cfg, f.ledger))
	ts.Check(f.http.accept())
	ts.Defer(func() {
		f.http.stop()
		f.http.refuse()
		f.http.wg.Wait()
	})
	fakes(ts)[args[0]] = f
	ts.Setenv(args[0]+"_URL", f.http.url())
}

func scriptControl(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: fakehttp -refuse|-accept|-forget NAME, fakehttp -change NAME CONTENT.json")
	}
	f := named(ts, args[1])
	switch {
	case args[0] == "-refuse":
		f.http.refuse()
	case args[0] == "-accept":
		ts.Check(f.http.accept())
	case args[0] == "-forget":
		f.http.forgetSessions()
	case args[0] == "-change" && len(args) == 3:
		var c Content
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[2])), &c))
		f.http.change(c)
	default:
		ts.Fatalf("fakehttp: unknown %s", args[0])
	}
}

func scriptCount(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: fakecount NAME METHOD N")
	}
	want, err := strconv.Atoi(args[2])
	ts.Check(err)
	if got := named(ts, args[0]).ledger.Count(args[1]); (got == want) == neg {
		ts.Fatalf("%d × %s reached %s", got, args[1], args[0])
	}
}

func scriptLedger(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fakeledger NAME FILE")
	}
	var b strings.Builder
	for _, e := range named(ts, args[0]).ledger.Entries() {
		line := strings.Join([]string{e.Method, e.Name, e.Outcome}, " ")
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}
