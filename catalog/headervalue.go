package catalog

import (
	"strconv"
	"strings"

	"weir/catalog/rawjson"
)

// maxDigits bounds the integers that become header values, so that 1e999999 stays small.
const maxDigits = 64

// HeaderValue returns the text that belongs into the header of p when the tool is called with arguments, a raw object or nil: a string's
// text, an integer in canonical decimal ("5" also for 5.0 and 50e-1), true or false. It is not yet encoded for the wire.
//
// It reports false when the header must be left out: the argument is absent or null, or it is none of these. An argument that is
// there twice, on any step of the path, counts as none of these: readers do not agree on which one is meant.
func (e *Entry) HeaderValue(p HeaderParam, arguments []byte) (string, bool) {
	return headerText(argument(arguments, p.Path))
}

// HeaderMatches reports whether value, a header value after decoding, says the same as the argument that p binds. Integers
// compare by number, so "5.0" is 5. It is false when there is no such argument: then there must be no header.
func HeaderMatches(p HeaderParam, value string, arguments []byte) bool {
	raw := argument(arguments, p.Path)
	want, ok := headerText(raw)
	if !ok || value == want {
		return ok
	}
	if raw[0] == '"' || raw[0] == 't' || raw[0] == 'f' {
		return false
	}
	got, ok := integer(value)
	return ok && got == want
}

// headerText returns one checked JSON value, or nil, as the text of a header.
func headerText(raw []byte) (string, bool) {
	if raw == nil {
		return "", false
	}
	switch raw[0] {
	case '"':
		return rawjson.String(raw)
	case 't', 'f':
		return string(raw), true
	case 'n', '{', '[':
		return "", false
	default:
		return integer(string(raw))
	}
}

// argument returns the raw value at path in arguments, nil when there is none or more than one.
func argument(arguments []byte, path []string) []byte {
	value := arguments
	for _, name := range path {
		var found rawjson.Span
		times := 0
		object := value
		err := rawjson.Members(object, func(key []byte, _, v rawjson.Span) bool {
			if string(key) == name {
				found = v
				times++
			}
			return true
		})
		if err != nil || times != 1 {
			return nil
		}
		value = found.Of(object)
	}
	return value
}

// integer returns a JSON number (RFC 8259 section 6) in canonical decimal; false when it is none, is not an integer or has more than
// maxDigits digits.
func integer(text string) (string, bool) {
	rest, negative := strings.CutPrefix(text, "-")
	mantissa, power := rest, "0"
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		mantissa, power = rest[:i], rest[i+1:]
	}
	whole, fraction, hasFraction := strings.Cut(mantissa, ".")
	exponent := power
	if exponent != "" && (exponent[0] == '+' || exponent[0] == '-') {
		exponent = exponent[1:]
	}
	switch {
	case !isDigits(whole), len(whole) > 1 && whole[0] == '0', hasFraction && !isDigits(fraction), !isDigits(exponent):
		return "", false
	}
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return "0", true
	}
	shift, err := strconv.Atoi(power)
	if err != nil {
		return "", false
	}
	significant := strings.TrimRight(digits, "0")
	zeros := len(digits) - len(significant) + shift - len(fraction)
	if zeros < 0 || zeros > maxDigits || len(significant)+zeros > maxDigits {
		return "", false
	}
	sign := ""
	if negative {
		sign = "-"
	}
	return sign + significant + strings.Repeat("0", zeros), true
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
