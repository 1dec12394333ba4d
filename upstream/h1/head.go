package h1

import (
	"bytes"
	"errors"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

var errHeader = errors.New("h1: a header field is not valid")

// appendHead appends the request line and header of r.
func appendHead(b []byte, r *http.Request) ([]byte, error) {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	target := r.URL.RequestURI()
	if !clean(host) || !clean(target) || strings.ContainsRune(target, ' ') {
		return nil, errHeader
	}
	b = append(append(append(b, r.Method...), ' '), target...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), host...)
	b = append(b, "\r\n"...)
	for name, values := range r.Header {
		for _, v := range values {
			if !token(name) || !clean(v) {
				return nil, errHeader
			}
			b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
		}
	}
	if r.Body != nil {
		b = strconv.AppendInt(append(b, "Content-Length: "...), r.ContentLength, 10)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...), nil
}

// clean reports whether a value cannot break out of its header line (RFC 9110, 5.5).
func clean(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// token reports whether a header name is one (RFC 9110, 5.6.2); the letters, digits and marks that names are made of.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
				return false
			}
		}
	}
	return s != ""
}

var (
	errStatus   = errors.New("h1: malformed status line")
	errField    = errors.New("h1: malformed header line")
	errTooLarge = errors.New("h1: the header of the answer is too large")
)

// head is the status line and header of an answer.
type head struct {
	major, minor int
	status       int
	reason       string
	header       http.Header
}

// parseStatus reads "HTTP/1.1 200 OK".
func (h *head) parseStatus(line []byte) error {
	if len(line) < len("HTTP/1.1 200") || string(line[:5]) != "HTTP/" || line[6] != '.' || line[8] != ' ' {
		return errStatus
	}
	h.major, h.minor = int(line[5]-'0'), int(line[7]-'0')
	if h.major != 1 || h.minor < 0 || h.minor > 1 {
		return errStatus
	}
	rest := line[9:]
	for _, c := range rest[:3] {
		if c < '0' || c > '9' {
			return errStatus
		}
		h.status = h.status*10 + int(c-'0')
	}
	if len(rest) > 3 && rest[3] != ' ' || h.status < 100 {
		return errStatus
	}
	h.reason = string(bytes.TrimSpace(rest[3:]))
	return nil
}

// addField reads one header line. Folded lines and names that are not tokens are refused: they are how answers are smuggled.
func (h *head) addField(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok || len(name) == 0 {
		return errField
	}
	value = bytes.Trim(value, " \t")
	switch string(name) { // what servers send all the time needs no work
	case "Date":
		return nil
	case "Content-Type":
		if string(value) == "application/json" {
			h.header["Content-Type"] = jsonType
			return nil
		}
	}
	key := string(name)
	if !token(key) || !clean(string(value)) {
		return errField
	}
	key = textproto.CanonicalMIMEHeaderKey(key)
	h.header[key] = append(h.header[key], string(value))
	return nil
}

var jsonType = []string{"application/json"}
