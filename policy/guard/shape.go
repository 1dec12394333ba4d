package guard

import (
	"bytes"
	stdbase64 "encoding/base64"
	"strings"
)

// shapes are the rules for secrets that are more than a prefix and an alphabet.
func shapes() []rule {
	return []rule{
		{id: "private-key", words: []string{"-----BEGIN "}, find: privateKey},
		{id: "jwt", words: []string{"eyJ"}, find: jwt},
		{id: "url-password", words: []string{"://"}, find: urlPassword},
		{id: "bearer-token", words: []string{"bearer "}, fold: true, find: bearer},
		{id: "basic-credentials", words: []string{"basic "}, fold: true, find: basic},
		{id: "aws-secret-access-key", words: []string{"secret_access_key", "secretaccesskey"}, fold: true, find: awsSecret},
	}
}

// privateKey finds a private key in PEM (RFC 7468), with its lines or with what stands for their ends; one without an end is all that follows.
func privateKey(text []byte, at int) (from, to int, ok bool) {
	const most = 64 // of a label
	rest := text[at+len("-----BEGIN "):]
	label, _, ended := bytes.Cut(rest[:min(len(rest), most)], []byte("-----"))
	if !ended || !bytes.Contains(label, []byte("PRIVATE KEY")) {
		return at, at, false
	}
	body := at + len("-----BEGIN ") + len(label) + len("-----")
	if i := bytes.Index(text[body:], []byte("-----END ")); i >= 0 {
		end := body + i + len("-----END ")
		if j := bytes.Index(text[end:min(len(text), end+most)], []byte("-----")); j >= 0 {
			end += j + len("-----")
		}
		return at, end, true
	}
	return at, len(text), true
}

// jwt finds a JSON Web Token in compact form (RFC 7519): a header and a claims set that are objects, and a signature.
func jwt(text []byte, at int) (from, to int, ok bool) {
	if at > 0 && (isWord(text[at-1]) || text[at-1] == '-' || text[at-1] == '.') {
		return at, at, false
	}
	end := at
	for part := range 3 {
		begin := end
		for end < len(text) && (isWord(text[end]) || text[end] == '-') {
			end++
		}
		if end-begin < 8 || part == 1 && !bytes.HasPrefix(text[begin:end], []byte("ey")) {
			return at, at, false
		}
		if part < 2 {
			if end == len(text) || text[end] != '.' {
				return at, at, false
			}
			end++
		}
	}
	return at, end, true
}

// urlPassword finds the password in the user information of a URL (RFC 3986, 3.2.1).
func urlPassword(text []byte, at int) (from, to int, ok bool) {
	const most = 256
	if at == 0 || !isWord(text[at-1]) {
		return at, at, false
	}
	begin := at + len("://")
	rest := text[begin:min(len(text), begin+2*most)]
	if end := bytes.IndexAny(rest, "/?# \t\r\n\"'`<>\\,|"); end >= 0 {
		rest = rest[:end]
	}
	host := bytes.LastIndexByte(rest, '@')
	colon := bytes.IndexByte(rest, ':')
	if colon < 0 || colon > host {
		return at, at, false
	}
	password := rest[colon+1 : host]
	if len(password) < 4 || bytes.ContainsAny(password, "*${}[]()") || placeholder(password) {
		return at, at, false
	}
	return begin + colon + 1, begin + host, true
}

// placeholder reports whether a password is one of those that stand in documentation.
func placeholder(p []byte) bool {
	switch p = bytes.ToLower(p); string(p) {
	case "pass", "password", "passwd", "pwd", "secret", "changeme", "token", "example":
		return true
	}
	return bytes.HasPrefix(p, []byte("your")) || len(bytes.Trim(p, "x.")) == 0
}

// isCredential reports whether a character may stand in an access token in an Authorization header (RFC 6750, 2.1), or in base64.
func isCredential(c byte) bool { return isWord(c) || strings.IndexByte("-.~+/=", c) >= 0 }

// bearer finds what follows the scheme of an Authorization header, if it is nothing that prose would say.
func bearer(text []byte, at int) (from, to int, ok bool) {
	if at > 0 && isWord(text[at-1]) {
		return at, at, false
	}
	from, to = run(text, at+len("bearer "))
	if s := text[from:to]; len(s) < 16 || !bytes.ContainsAny(s, "0123456789") || example(s) {
		return at, at, false
	}
	return from, to, true
}

// basic finds a name and a password in base64 (RFC 7617).
func basic(text []byte, at int) (from, to int, ok bool) {
	if at > 0 && isWord(text[at-1]) {
		return at, at, false
	}
	from, to = run(text, at+len("basic "))
	plain, err := stdbase64.StdEncoding.DecodeString(string(text[from:min(to, from+1<<10)]))
	name, password, both := bytes.Cut(plain, []byte(":"))
	if err != nil || !both || len(password) == 0 || bytes.ContainsFunc(append(name, password...), func(c rune) bool { return c < ' ' || c > '~' }) {
		return at, at, false
	}
	return from, to, true
}

// run is the run of such characters from a place on.
func run(text []byte, from int) (_, to int) {
	to = from
	for to < len(text) && isCredential(text[to]) {
		to++
	}
	return from, to
}

// awsSecret finds the 40 characters that follow a name for them.
func awsSecret(text []byte, at int) (from, to int, ok bool) {
	const most = 16 // of what may follow, of the name and between it and its value
	for from = at + len("secretaccesskey"); from < min(len(text), at+2*most) && isWord(text[from]); from++ {
	}
	for last := from + most; from < min(len(text), last) && bytes.IndexByte([]byte(" \t\"':=>\\"), text[from]) >= 0; from++ {
	}
	for to = from; to < min(len(text), from+41) && (isWord(text[to]) && text[to] != '_' || text[to] == '/' || text[to] == '+'); to++ {
	}
	if to-from != 40 || example(text[from:to]) {
		return at, at, false
	}
	return from, to, true
}
