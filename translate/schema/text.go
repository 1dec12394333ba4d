package schema

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Without bounds on what repeats: those make programs of thousands of instructions, which take a millisecond of every start.
var (
	tagPattern  = regexp.MustCompile(`</?[a-zA-Z][^<>]*>`)
	linkPattern = regexp.MustCompile(`!?\[([^\[\]]*)\]\([^()\s]*\)`)
)

// Clean makes a description that somebody else wrote fit for models: HTML tags and the targets of Markdown links go, control and
// invisible characters too (they hide instructions), and white space becomes single spaces.
func Clean(s string) string {
	if len(s) > maxDescription {
		s = cutAt(s, maxDescription)
	}
	if plain(s) {
		return s
	}
	if strings.ContainsAny(s, "<[") {
		s = linkPattern.ReplaceAllString(tagPattern.ReplaceAllString(s, " "), "$1")
	}
	var b strings.Builder
	b.Grow(len(s))
	space := true
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			if !space {
				b.WriteByte(' ')
			}
			space = true
			continue
		case r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs):
			continue
		}
		space = false
		b.WriteRune(r)
	}
	return strings.TrimSuffix(b.String(), " ")
}

// maxDescription bounds what is read of one description, in bytes.
const maxDescription = 16 << 10

// plain reports whether Clean has nothing to do.
func plain(s string) bool {
	space := true
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= 0x7f || c == '<' || c == '[' || c == ' ' && space {
			return false
		}
		space = c == ' '
	}
	return s == "" || !space
}

// Shorten returns at most limit bytes of s: whole sentences where at least one fits, else whole words and an ellipsis.
func Shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	if limit < len("…")+8 {
		return ""
	}
	head := cutAt(s, limit)
	if end := strings.LastIndex(head, ". "); end >= limit/3 {
		return head[:end+1]
	}
	head = cutAt(s, limit-len("…"))
	if end := strings.LastIndexByte(head, ' '); end > limit/2 {
		head = head[:end]
	}
	return head + "…"
}

// cutAt returns at most limit bytes of s, in whole characters.
func cutAt(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
