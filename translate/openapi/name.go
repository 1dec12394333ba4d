package openapi

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

const (
	// maxPublic is how long the public name of a tool may be; the upstream's name and two characters stand in front of it.
	maxPublic = 50
	// minName is kept for a tool however long the name of its upstream is.
	minName  = 24
	hashSize = 4
)

// nameLimit is how long the names of tools of upstream may be so that they stay whole in the public namespace.
func nameLimit(upstream string) int { return max(maxPublic-len(upstream)-len("__"), minName) }

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

// toolName is the name of an operation on its own: a pure function of the operation and the limit.
func toolName(o *operation, limit int) string {
	name := portableName(o.name)
	if name == "" {
		name = portableName(o.id)
	}
	if name == "" {
		name = pathName(o)
	}
	return fitName(name, o.identity, limit)
}

// portableName keeps letters, digits, _ and -, with one _ for each run of anything else.
func portableName(s string) string {
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

// pathName makes a name of method and path: get_users_by_id.
func pathName(o *operation) string {
	words := []string{strings.ToLower(o.method)}
	path, fragment, _ := strings.Cut(o.identity[len(o.method)+1:], "#")
	for segment := range strings.SplitSeq(path+"/"+fragment, "/") {
		plain := segment
		if strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") {
			plain = "by_" + segment[1:len(segment)-1]
		}
		if plain = portableName(plain); plain != "" {
			words = append(words, plain)
		}
	}
	return strings.Join(words, "_")
}

// fitName cuts a name that is too long: words that were there already go first, then the middle, with a hash of the identity in its place.
func fitName(name, identity string, limit int) string {
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
		return cutTo(name, keep+1) + "_" + digest(identity)
	}
	head := strings.TrimRight(name[:keep-keep/2], "_-")
	tail := strings.TrimLeft(name[len(name)-keep/2:], "_-")
	return head + "_" + digest(identity) + "_" + tail
}

// nameAll names the operations. Those that want one name all get a hash of their identity behind it, so that none of them depends on the order.
func nameAll(all []*operation, limit int, chosen func(*operation) string) []string {
	names := make([]string, len(all))
	count := make(map[string]int, len(all))
	for i, o := range all {
		names[i] = toolName(o, limit)
		if c := portableName(chosen(o)); c != "" {
			names[i] = fitName(c, o.identity, limit)
		}
		count[names[i]]++
	}
	for i, o := range all {
		if count[names[i]] > 1 {
			names[i] = cutTo(names[i], limit-hashSize-1) + "_" + digest(o.identity)
		}
	}
	clear(count)
	for _, name := range names {
		count[name]++
	}
	for i, o := range all {
		if count[names[i]] > 1 { // two hashes of four characters may be alike
			names[i] = cutTo(names[i], limit-2*hashSize-1) + digest(o.identity+" ") + digest(o.identity)
		}
	}
	return names
}
