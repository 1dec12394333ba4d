package config

// kind is what a value is, in the words of error messages.
type kind string

const (
	null    kind = "nothing"
	boolean kind = "true or false"
	number  kind = "a number"
	text    kind = "text"
	list    kind = "a list"
	object  kind = "a mapping"
)

// node is one value of the file, whatever form it was written in.
type node struct {
	kind    kind
	text    string   // of a scalar, unescaped; of a number as it was written
	items   []*node  // of a list
	members []member // of an object, in order, duplicates included
	at      span     // of a list or an object only its first byte
}

// member is a key of an object and its value.
type member struct{ key, value *node }

// get returns the first value of key, or nil.
func (n *node) get(key string) *node {
	if m := n.member(key); m != nil {
		return m.value
	}
	return nil
}

// member returns the first member of key, or nil.
func (n *node) member(key string) *member {
	if n == nil {
		return nil
	}
	for i := range n.members {
		if n.members[i].key.text == key {
			return &n.members[i]
		}
	}
	return nil
}

// scalar reports whether n has no parts.
func (n *node) scalar() bool { return n.kind != list && n.kind != object }
