package translate

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

const (
	// MaxPublic is how long the public name of a tool may be; the upstream's name and two characters stand in front of it.
	MaxPublic = 50
	// minName is kept for a tool however long the name of its upstream is.
	minName  = 24
	hashSize = 4
)

// NameLimit is how long the names of tools of upstream may be so that they stay whole in the public namespace.
func NameLimit(upstream string) int { return max(MaxPublic-len(upstream)-len("__"), minName) }

// digest returns hashSize characters that depend on all of s.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))[:hashSize]
}

func cutTo(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// Marked returns name, cut to leave room within limit, with a hash of identity behind it.
func Marked(name, identity string, limit int) string {
	return cutTo(name, limit-hashSize-1) + "_" + digest(identity)
}

// PortableName keeps letters, digits, _ and -, with one _ for each run of anything else.
func PortableName(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
	}
	return strings.Trim(b.String(), "_-")
}

// FitName cuts a name that is too long: words that were there already go first, then the middle, with a hash of the identity in its place.
func FitName(name, identity string, limit int) string {
	if len(name) <= limit {
		return name
	}
	seen := make(map[string]bool)
	var words []string
	for word := range strings.SplitSeq(name, "_") {
		if !seen[strings.ToLower(word)] {
			seen[strings.ToLower(word)] = true
			words = append(words, word)
		}
	}
	name = strings.Join(words, "_")
	keep := limit - hashSize - 2
	if len(name) <= keep+1 {
		return Marked(name, identity, limit)
	}
	head := strings.TrimRight(name[:keep-keep/2], "_-")
	tail := strings.TrimLeft(name[len(name)-keep/2:], "_-")
	return head + "_" + digest(identity) + "_" + tail
}

// Wanted is an operation that wants a name.
type Wanted struct {
	Name     string // what it is called on its own, within the limit; a pure function of the operation
	Identity string // what tells it from all others, for the hash
}

// NameAll names operations. Those that want one name all get a hash of their identity behind it, so that none of them depends on the order.
func NameAll(all []Wanted, limit int) []string {
	names := make([]string, len(all))
	count := make(map[string]int, len(all))
	for i, w := range all {
		names[i] = w.Name
		count[w.Name]++
	}
	for i, w := range all {
		if count[names[i]] > 1 {
			names[i] = Marked(names[i], w.Identity, limit)
		}
	}
	clear(count)
	for _, name := range names {
		count[name]++
	}
	for i, w := range all {
		if count[names[i]] > 1 { // two hashes of four characters may be alike
			names[i] = cutTo(names[i], limit-2*hashSize-1) + digest(w.Identity+" ") + digest(w.Identity)
		}
	}
	return names
}

// MaxArgument is how long the names of arguments may be for every model provider.
const MaxArgument = 64

// PortableArgument maps a name to the characters that every provider takes.
func PortableArgument(wire string) string {
	name := strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, wire)
	if name != wire {
		name = strings.Trim(name, "_")
	}
	if name == "" {
		name = "argument"
	}
	if len(name) > MaxArgument {
		name = Marked(name, wire, MaxArgument)
	}
	return name
}
