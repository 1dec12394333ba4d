package guard

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/catalog"
	"weir/catalog/rawjson"
)

var ref = catalog.Ref{Upstream: "up", Name: "tool"}

// compiled is a guard that redacts both ways, with the rules that need no file.
func compiled(t testing.TB, change func(*Spec)) *Guard {
	t.Helper()
	s := Default()
	s.Secrets.Arguments, s.Secrets.Results = Redact, Redact
	if change != nil {
		change(&s)
	}
	g, err := New(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// made is a secret of a kind. It is made here so that no scanner of this repository takes it for one that leaked.
func made(kind token, random *rand.Rand) string {
	set := alphabetOf(kind.alphabet)
	var letters []byte
	for c := range set {
		if set[c] {
			letters = append(letters, byte(c))
		}
	}
	b := []byte(kind.prefixes[random.IntN(len(kind.prefixes))])
	for range max(kind.min, 12) {
		b = append(b, letters[random.IntN(len(letters))])
	}
	return string(b)
}

// shaped are secrets of the kinds that are more than a prefix, each with what must not be left of it.
func shaped() map[string][2]string {
	key := "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nq83J\n-----END RSA " + "PRIVATE KEY-----"
	jwt := "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
	aws := "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "ZQ9p+4LmTs"
	return map[string][2]string{
		"private-key":           {"the key:\n" + key + "\nand more", "MIIEpAIBAAKCAQEA7"},
		"jwt":                   {"it is " + jwt + ".", "dozjgNryP4J3"},
		"url-password":          {"postgres://app:s3cr" + "3t-x@db.internal:5432/app", "s3cr3t-x"},
		"bearer-token":          {"Authorization: Bearer " + "a8f3k29dkw01mzq7vn5c", "a8f3k29dkw01mzq7vn5c"},
		"basic-credentials":     {"Authorization: Basic " + "YW5hOnMzY3JldC14", "YW5hOnMzY3JldC14"},
		"aws-secret-access-key": {"aws_secret_access_key = " + aws, aws},
	}
}

// T25: each kind of secret is found wherever it may stand in JSON, and nothing of it is left.
func TestT25_EveryKind(t *testing.T) {
	g, random := compiled(t, nil), rand.New(rand.NewPCG(1, 2))
	check := func(t *testing.T, id, text, gone string) {
		t.Helper()
		for name, value := range map[string]string{
			"as it is":         fmt.Sprintf(`{"a":[1,{"text":%s}]}`, rawjson.AppendString(nil, text)),
			"alone":            string(rawjson.AppendString(nil, text)),
			"among others":     fmt.Sprintf(`{"a":"x","b":%s,"c":"y"}`, rawjson.AppendString(nil, "first, "+text+"\n")),
			"in JSON in text":  fmt.Sprintf(`[%s]`, rawjson.AppendString(nil, fmt.Sprintf(`{"inner": %s}`, rawjson.AppendString(nil, text)))),
			"in a key":         fmt.Sprintf(`{%s:1}`, rawjson.AppendString(nil, text)),
			"letters escaped":  `{"a":"` + escapedAll(text) + `"}`,
			"half a pair near": fmt.Sprintf(`{"a":%s}`, strings.TrimSuffix(string(rawjson.AppendString(nil, text)), `"`)+` \ud83d"`),
		} {
			mode, found := g.Results(ref, []byte(value))
			if mode != Redact || found == nil || len(found.Secrets) != 1 || found.Secrets[0].Rule != id {
				t.Errorf("%s, %s: %+v in %s", id, name, found, value)
				continue
			}
			if rawjson.Valid(found.Value) != nil || strings.Contains(string(found.Value), gone) || strings.Contains(unescaped(t, found.Value), gone) ||
				!strings.Contains(string(found.Value), "[redacted: "+id+"]") {
				t.Errorf("%s, %s: %s is left", id, name, found.Value)
			}
			if _, again := g.Results(ref, found.Value); again != nil {
				t.Errorf("%s, %s: found again: %+v", id, name, again)
			}
		}
	}
	for _, kind := range tokens() {
		t.Run(kind.id, func(t *testing.T) {
			for range 20 {
				s := made(kind, random)
				check(t, kind.id, s, s[4:])
			}
		})
	}
	for id, s := range shaped() {
		t.Run(id, func(t *testing.T) { check(t, id, s[0], s[1]) })
	}
}

// escapedAll is a text with every character as \u….
func escapedAll(s string) string {
	var b strings.Builder
	for _, c := range s {
		fmt.Fprintf(&b, `\u%04x`, c)
	}
	return b.String()
}

// unescaped are all strings of a value, as read.
func unescaped(t *testing.T, value []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(value, &v); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(v)
}

// What only looks like a secret passes.
func TestT25_NoSecrets(t *testing.T) {
	g, random := compiled(t, nil), rand.New(rand.NewPCG(3, 4))
	for _, kind := range tokens() {
		s := made(kind, random)
		prefix := prefixAt([]byte(s), kind.prefixes)
		for name, text := range map[string]string{
			"a prefix alone": prefix, "cut short": s[:len(prefix)+kind.min/2], "part of a word": "x" + s, "an example": prefix + strings.Repeat("x", kind.min),
		} {
			if _, found := g.Results(ref, rawjson.AppendString(nil, text)); found != nil && found.Secrets[0].Rule == kind.id {
				t.Errorf("%s, %s: %+v", name, text, found.Secrets)
			}
		}
	}
	for _, text := range []string{
		"https://example.com/a@b:c", "https://user:password@example.com", "https://ana:${PASSWORD}@example.com", "git://host/path", "mailto:ana@example.com",
		"Bearer token authentication is described below", "bearer of bad news", "Basic authentication", "basic YWJjZGVm", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
		"-----BEGIN PUBLIC KEY-----", "eyJhbGciOiJIUzI1NiJ9", "a.eyJhbGciOiJIUzI1NiJ9", "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "SKILLS", "sk-learn", "risk-averse",
	} {
		if _, found := g.Results(ref, rawjson.AppendString(nil, text)); found != nil {
			t.Errorf("%s: %+v", text, found.Secrets)
		}
	}
}

// Where a secret was, and nothing but it: every other byte is as it was.
func TestT25_Bytes(t *testing.T) {
	g := compiled(t, nil)
	s := "ghp_" + "8Kd02mZq7Vn5cA8f3k29dkW01mzQ7vn5cXy1"
	for in, want := range map[string]struct{ out, paths string }{
		`{ "a" : "` + s + `" , "n":1e400,"d":[ ],"s":"\ud83d \/" }`:     {`{ "a" : "[redacted: github-token]" , "n":1e400,"d":[ ],"s":"\ud83d \/" }`, "a"},
		`[{"x":["q","` + s + ` and ` + s + `"]},"` + s + `"]`:           {`[{"x":["q","[redacted: github-token] and [redacted: github-token]"]},"[redacted: github-token]"]`, "[0].x[1] [0].x[1] [1]"},
		`{"requestState":"` + s + `","x":{"requestState":"` + s + `"}}`: {`{"requestState":"` + s + `","x":{"requestState":"[redacted: github-token]"}}`, "x.requestState"},
		`{"` + s + `":{"` + s + `":true}}`:                              {`{"[redacted: github-token]":{"[redacted: github-token]":true}}`, "[key] [key].[key]"},
	} {
		_, found := g.Results(ref, []byte(in))
		if found == nil {
			t.Errorf("%s: nothing found", in)
			continue
		}
		var paths []string
		for _, s := range found.Secrets {
			paths = append(paths, s.Path)
		}
		if string(found.Value) != want.out || strings.Join(paths, " ") != want.paths {
			t.Errorf("%s:\n%s %q, want\n%s %q", in, found.Value, paths, want.out, want.paths)
		}
	}
	if _, found := g.Arguments(ref, []byte(`{"requestState":"`+s+`"}`)); found == nil || string(found.Value) != `{"requestState":"[redacted: github-token]"}` {
		t.Errorf("an argument that has such a name: %+v", found)
	}
	many := "[" + strings.TrimSuffix(strings.Repeat(`"`+s+`",`, 100), ",") + "]"
	if _, found := g.Arguments(ref, []byte(many)); len(found.Secrets) != mostTold || found.More != 100-mostTold || strings.Contains(string(found.Value), s) {
		t.Errorf("of 100: %d and %d", len(found.Secrets), found.More)
	}
}

// The name before a secret may be its key.
func TestT25_Keyed(t *testing.T) {
	g := compiled(t, nil)
	aws := "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "ZQ9p+4LmTs"
	for in, want := range map[string]string{
		`{"SecretAccessKey":"` + aws + `"}`:         `{"SecretAccessKey":"[redacted: aws-secret-access-key]"}`,
		`{"aws_secret_access_key" : "` + aws + `"}`: `{"aws_secret_access_key" : "[redacted: aws-secret-access-key]"}`,
		`{"other":"` + aws + `"}`:                   "",
	} {
		_, found := g.Results(ref, []byte(in))
		if want == "" && found != nil || want != "" && (found == nil || string(found.Value) != want) {
			t.Errorf("%s: %+v", in, found)
		}
	}
}

// What is excepted, ignored or off is not looked at.
func TestT25_Where(t *testing.T) {
	s := []byte(`"ghp_` + `8Kd02mZq7Vn5cA8f3k29dkW01mzQ7vn5cXy1"`)
	for name, c := range map[string]struct {
		change         func(*Spec)
		inArgs, inBack bool
	}{
		"both":     {nil, true, true},
		"results":  {func(s *Spec) { s.Secrets.Arguments = Off }, false, true},
		"excepted": {func(s *Spec) { s.Secrets.Except = []string{"other/*", "up/to*"} }, false, false},
		"ignored":  {func(s *Spec) { s.Secrets.Ignore = []string{"github-token"} }, false, false},
	} {
		g := compiled(t, c.change)
		_, args := g.Arguments(ref, s)
		_, back := g.Results(ref, s)
		if (args != nil) != c.inArgs || (back != nil) != c.inBack {
			t.Errorf("%s: %v %v", name, args, back)
		}
	}
	if g, err := New(Default(), nil); g != nil || err != nil {
		t.Errorf("nothing to guard: %v %v", g, err)
	}
	spec := Default()
	spec.Secrets.Results, spec.Secrets.Ignore = Flag, []string{"gitub-token"}
	if _, err := New(spec, nil); err == nil || !strings.Contains(err.Error(), `no rule "gitub-token"`) {
		t.Error(err)
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range shaped() {
		f.Add(string(rawjson.AppendString(nil, s[0])))
	}
	f.Add(`{"a":["` + `ghp_` + `8Kd02mZq7Vn5cA8f3k29dkW01mzQ7vn5cXy1",{"b\u0041":"\\\"sk-ant-"}],"requestState":"x"}`)
	f.Add(`{"secretAccessKey":"Bearer a8f3k29dkw01mzq7vn5c"}`)
	g := compiled(f, nil)
	f.Fuzz(func(t *testing.T, value string) {
		if rawjson.Valid([]byte(value)) != nil {
			t.Skip()
		}
		_, found := g.Results(ref, []byte(value))
		if found == nil {
			return
		}
		if err := rawjson.Valid(found.Value); err != nil {
			t.Fatalf("%s became %s: %v", value, found.Value, err)
		}
		if len(found.Secrets) == 0 {
			t.Fatalf("%s became %s for nothing", value, found.Value)
		}
	})
}
