package record

import (
	"bytes"
	"strings"

	"weir/catalog/rawjson"
)

// redacted stands where a value was.
var redacted = []byte(`"[redacted]"`) //nolint:gochecknoglobals // a constant that Go has no form for

// appendRedacted appends a raw JSON value, without the values of keys that name secrets, at any depth.
func appendRedacted(dst, value []byte) []byte {
	value = bytes.TrimSpace(value)
	if len(value) == 0 {
		return append(dst, "null"...)
	}
	switch value[0] {
	case '{':
		dst = append(dst, '{')
		first := true
		_ = rawjson.Members(value, func(key []byte, _, v rawjson.Span) bool { // accepted by the scanner already
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(rawjson.AppendString(dst, string(key)), ':')
			if secret(string(key)) {
				dst = append(dst, redacted...)
			} else {
				dst = appendRedacted(dst, v.Of(value))
			}
			return true
		})
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		first := true
		_ = rawjson.Elements(value, func(v rawjson.Span) bool {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendRedacted(dst, v.Of(value))
			return true
		})
		return append(dst, ']')
	default:
		return append(dst, value...)
	}
}

// secret reports whether a key names something that must not be recorded. Too much rather than too little.
func secret(key string) bool {
	plain := strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(key))
	for _, word := range [...]string{
		"password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey", "credential", "authorization", "cookie", "bearer", "pin", "otp", "cvv", "ssn",
	} {
		if plain == word || len(word) > 3 && strings.Contains(plain, word) {
			return true
		}
	}
	return false
}
