package policy

import "strings"

// normal reports whether a URI that nobody listed is written so that a rule about paths means the same to the rule and to the upstream
// (RFC 3986, 6.2.2): no empty, . or .. segment in the path, no backslash, nothing percent-encoded that needs no encoding (and so no encoded
// dot) and no encoded slash or backslash; scheme and host in lower case. "file:///docs/../etc/passwd" matches "file:///docs/**" to the letter.
func normal(uri string) bool {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok || strings.ToLower(scheme) != scheme || strings.ContainsAny(uri, "\\ ") || strings.ContainsFunc(uri, hidden) {
		return false
	}
	if !plainEncoding(rest) {
		return false
	}
	path := rest
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	if after, ok := strings.CutPrefix(path, "//"); ok {
		host, tail, _ := strings.Cut(after, "/")
		if strings.ToLower(host) != host {
			return false
		}
		path = tail
	} else {
		path = strings.TrimPrefix(path, "/")
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if s == "." || s == ".." || s == "" && i < len(segments)-1 {
			return false
		}
	}
	return true
}

// plainEncoding reports whether every % begins an escape of a byte that needs one and that is no separator of paths.
func plainEncoding(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if i+2 >= len(s) {
			return false
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 {
			return false
		}
		c := byte(hi<<4 | lo)
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~/\\%\x00", c) >= 0:
			return false
		}
	}
	return true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
