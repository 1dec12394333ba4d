package guard

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"weir/catalog/rawjson"
)

// gitleaks is the file of rules of gitleaks itself.
func gitleaks(t testing.TB) []byte {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", "github.com/zricethezav/gitleaks/v8@v8.30.1")
	cmd.Dir = t.TempDir() // in no module
	out, err := cmd.Output()
	var module struct{ Dir, Error string }
	if err == nil {
		err = json.Unmarshal(out, &module)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(filepath.Join(module.Dir, "config", "gitleaks.toml"))
	}
	switch {
	case err != nil && os.Getenv("CI") != "true":
		t.Skip("gitleaks is not there:", err, module.Error)
	case err != nil:
		t.Fatal(err, module.Error)
	}
	return data
}

// withFile is a guard with a file of rules.
func withFile(t testing.TB, data []byte) *Guard {
	t.Helper()
	s := Default()
	s.Secrets.Results, s.Secrets.Rules = Redact, "rules.toml"
	g, err := New(s, func(string) ([]byte, error) { return data, nil })
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// T25: the rules of gitleaks are taken as they are, and find what needs the words around.
func TestT25_Gitleaks(t *testing.T) {
	g := withFile(t, gitleaks(t))
	file := 0
	for _, r := range g.rules.all {
		if r.expression != nil {
			file++
		}
	}
	if file < 200 || len(g.rules.every) > 0 {
		t.Errorf("%d rules of the file are in use, %d of them on every text", file, len(g.rules.every))
	}
	adafruit := "a8f3k29dkw01mzq7vn5c" + "a8f3k29dkw0b"
	for in, rule := range map[string]string{
		`{"adafruit_key":"` + adafruit + `"}`:                             "adafruit-api-key",
		`{"text":"adafruit_key = \"` + adafruit + `\""}`:                  "adafruit-api-key",
		`{"text":"export TWITCH_TOKEN='a8f3k29dkw01mzq7vn5c1234567890'"}`: "twitch-api-token",
	} {
		_, found := g.Results(ref, []byte(in))
		if found == nil || found.Secrets[0].Rule != rule {
			t.Errorf("%s: %+v", in, found)
		}
	}
	if _, found := g.Results(ref, []byte(`{"text":"adafruit makes boards","n":1}`)); found != nil {
		t.Errorf("%+v", found)
	}
	t.Logf("%d rules of the file", file)
}

// What expressions may look at is bounded: a value that would take longer is not passed on unseen.
func TestT25_TooMuch(t *testing.T) {
	g := withFile(t, []byte("[[rules]]\nid = 'a'\nregex = 'zz+q'\nkeywords = ['zz']\n[[rules]]\nid = 'b'\nregex = 'z[a-z]+q'\nkeywords = ['zz']\n"))
	s := search{rules: g.rules, src: []byte(`["` + strings.Repeat("z", 100) + `","zz","y"]`), work: 250}
	s.walk()
	if got := string(rawjson.Splice(nil, s.src, rawjson.Span{End: len(s.src)}, s.edits...)); got != `["`+strings.Repeat("z", 100)+`","zz","y"]` {
		t.Errorf("enough work: %s", got)
	}
	s = search{rules: g.rules, src: s.src, work: 150}
	s.walk()
	if got := string(rawjson.Splice(nil, s.src, rawjson.Span{End: len(s.src)}, s.edits...)); got != `["[redacted: not-looked-through]","[redacted: not-looked-through]","y"]` {
		t.Errorf("not enough: %s", got)
	}
}

// A file of rules that cannot be used says what is wrong with which rule.
func TestT25_BadFile(t *testing.T) {
	for file, want := range map[string]string{
		"":                                   "there are no rules",
		"[[rules]\n":                         "expected",
		"[[rules]]\nid = 'a b'\nregex = 'x'": "id must be one word",
		"[[rules]]\nid = 'a'\nregex = '('":   "rules[0] a: error parsing regexp",
		"[[rules]]\nid = 'a'":                "rules[0] a: it has no regex",
		"[[rules]]\nid = 'a'\nregex = 'x'\nsecretGroup = 2":                       "no group 2",
		"[extend]\nuseDefault = true":                                             "extend is not followed",
		"[[rules]]\nid = 'a'\nregex = 'x'\n[[rules.allowlists]]\nregexes = ['(']": "allowlist",
	} {
		_, err := parseRules([]byte(file))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
}

// Allowlists, entropy and groups are those of gitleaks.
func TestT25_Narrowed(t *testing.T) {
	for rule, cases := range map[string]map[string]bool{
		"regex = 'key=(\\w+)'":                                                                               {"key=abc": true},
		"regex = 'key=(\\w+)'\nentropy = 2.5":                                                                {"key=aaaabbbb": false, "key=abcdefgh": true},
		"regex = '(key)=(\\w+)'\nsecretGroup = 2":                                                            {"key=abc": true},
		"regex = 'key=(\\w+)'\n[[rules.allowlists]]\nstopwords = ['Test']":                                   {"key=mytest1": false, "key=abc": true},
		"regex = 'key=(\\w+)'\n[[rules.allowlists]]\nregexes = ['^ab']":                                      {"key=abc": false, "key=cab": true},
		"regex = 'key=(\\w+)'\n[[rules.allowlists]]\nregexTarget = 'match'\nregexes = ['^key=a']":            {"key=abc": false, "key=cab": true},
		"regex = 'key=(\\w+)'\n[[rules.allowlists]]\nregexTarget = 'line'\nregexes = ['^# .* end$']":         {"# key=abc end": false, "x\n# key=abc end\ny": false, "# key=abc\nend": true},
		"regex = 'key=(\\w+)'\n[[rules.allowlists]]\ncondition = 'AND'\nregexes = ['^a']\nstopwords = ['z']": {"key=az": false, "key=ab": true, "key=zb": true},
		"regex = 'key=(\\w+)'\n[[rules.allowlists]]\npaths = ['.*']":                                         {"key=abc": true},
		"regex = 'key=(\\w+)'\nkeywords = ['KEY']":                                                           {"key=abc": true},
		"regex = 'key=(\\w+)'\nkeywords = ['other']":                                                         {"key=abc": false, "other key=abc": true},
	} {
		g := withFile(t, []byte("[[rules]]\nid = 'mine'\n"+rule+"\n"))
		for text, want := range cases {
			_, found := g.Results(ref, rawjson.AppendString(nil, text))
			if (found != nil) != want {
				t.Errorf("%s\n%s: %v, want %v", rule, text, found != nil, want)
			}
			if found != nil && (!strings.Contains(string(found.Value), "=[redacted: mine]")) {
				t.Errorf("%s\n%s became %s", rule, text, found.Value)
			}
		}
	}
}

func FuzzRules(f *testing.F) {
	f.Add("[[rules]]\nid = 'a'\nregex = 'x(y)'\nsecretGroup = 1\nentropy = 1.5\nkeywords = ['x']\n[[rules.allowlists]]\nstopwords = ['z']\n", "xy")
	f.Add("[allowlist]\nregexes = ['a']\n[[rules]]\nid = 'b'\npath = 'x'\n", "")
	f.Fuzz(func(t *testing.T, file, text string) {
		all, err := parseRules([]byte(file))
		if err != nil {
			return
		}
		rs, err := newRules(all, nil)
		if err != nil {
			t.Fatal(err)
		}
		if found := rs.find(rawjson.AppendString(nil, text), true); found != nil && rawjson.Valid(found.Value) != nil {
			t.Fatalf("%q became %s", text, found.Value)
		}
	})
}
