package rawjson

import (
	"bytes"
	"hash/maphash"
	"unicode"
	"unicode/utf8"
)

// MaxKeys is how many keys an object may have whose keys are compared with each other. It bounds what a hostile message
// can make the comparison hold, to about 3 MiB per open object.
const MaxKeys = 1 << 16

const (
	fewKeys    = 32 // up to here each key is compared with each other, without allocation
	inlineKeys = 96
)

// keyRef is one key of the scanned buffer, with its quotes.
type keyRef struct {
	start, end uint32
	odd        bool // see scanner.odd
}

func (k keyRef) text(data []byte) []byte { return data[k.start+1 : k.end-1] }

// keySet is a stack of the keys of the objects that are being read. Each object has a keyScope.
type keySet struct {
	n    int
	refs [inlineKeys]keyRef
}

// keyScope is one object's part of a keySet: the keys from mark on, until there are so many that a table holds them.
type keyScope struct {
	mark  int
	table *keyTable
}

func (ks *keySet) scope() keyScope   { return keyScope{mark: ks.n} }
func (ks *keySet) leave(sc keyScope) { ks.n = sc.mark }

// add adds k to the object of sc; fold compares keys the way [foldRune] does. It reports false when an equal key is
// there already or when there are more than MaxKeys, with the fault in s.
func (s *scanner) add(sc *keyScope, k keyRef, fold bool) bool {
	if sc.table != nil {
		return s.addToTable(sc.table, k)
	}
	ks := &s.keys
	for _, other := range ks.refs[sc.mark:ks.n] {
		if sameKey(s.data, k, other, fold) {
			return s.duplicate(k)
		}
	}
	if ks.n-sc.mark < fewKeys && ks.n < inlineKeys {
		ks.refs[ks.n] = k
		ks.n++
		return true
	}
	sc.table = newKeyTable(s.data, ks.refs[sc.mark:ks.n], fold)
	ks.n = sc.mark
	return s.addToTable(sc.table, k)
}

func (s *scanner) addToTable(t *keyTable, k keyRef) bool {
	if len(t.entries) >= MaxKeys {
		s.fail(int(k.start), CodeInvalidRequest, "an object with more than 65536 keys")
		return false
	}
	if !t.add(s.data, k) {
		return s.duplicate(k)
	}
	return true
}

func (s *scanner) duplicate(k keyRef) bool {
	s.fail(int(k.start), CodeInvalidRequest, "a key that the object already has, or that differs from it only in case")
	return false
}

// sameKey compares what two keys stand for.
func sameKey(data []byte, a, b keyRef, fold bool) bool {
	x, y := a.text(data), b.text(data)
	if a.odd || b.odd {
		return sameText(x, y, fold)
	}
	if len(x) != len(y) {
		return false
	}
	if !fold {
		return string(x) == string(y)
	}
	return bytes.EqualFold(x, y)
}

// sameText compares the insides of two checked strings character by character, without unescaping them to memory.
func sameText(x, y []byte, fold bool) bool {
	for len(x) > 0 && len(y) > 0 {
		a, n := character(x)
		b, m := character(y)
		if a != b && (!fold || foldRune(a) != foldRune(b)) {
			return false
		}
		x, y = x[n:], y[m:]
	}
	return len(x) == len(y)
}

// foldRune maps characters to one representative per case-folding class, the classes being those of bytes.EqualFold,
// by which encoding/json matches keys with struct fields: 'K' and U+212A are 'k', 'S' and U+017F are 's'.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		if 'a' <= next && next <= 'z' {
			return next
		}
		if next < least {
			least = next
		}
	}
	return least
}

// appendFolded appends what text, the inside of a checked string, stands for, each character folded.
func appendFolded(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := character(text)
		dst = utf8.AppendRune(dst, foldRune(r))
		text = text[n:]
	}
	return dst
}

// keyTable is a set of keys for objects with many. Its hash has a random seed: a sender cannot choose keys that collide.
type keyTable struct {
	seed    maphash.Seed
	fold    bool
	slots   []uint32 // 1 + index into entries, 0 when free; a power of two long, at most half full
	entries []tableEntry
	scratch []byte
}

type tableEntry struct {
	key  keyRef
	hash uint32
}

func newKeyTable(data []byte, refs []keyRef, fold bool) *keyTable {
	t := &keyTable{seed: maphash.MakeSeed(), fold: fold}
	t.grow(max(8, len(refs)))
	for _, k := range refs {
		t.add(data, k)
	}
	return t
}

// add reports false when an equal key is there already.
func (t *keyTable) add(data []byte, k keyRef) bool {
	if 2*(len(t.entries)+1) > len(t.slots) {
		t.grow(2 * len(t.entries))
	}
	hash := t.hash(data, k)
	mask := uint32(len(t.slots) - 1)
	at := hash & mask
	for ; t.slots[at] != 0; at = (at + 1) & mask {
		e := t.entries[t.slots[at]-1]
		if e.hash == hash && sameKey(data, e.key, k, t.fold) {
			return false
		}
	}
	t.entries = append(t.entries, tableEntry{k, hash})
	t.slots[at] = uint32(len(t.entries))
	return true
}

// grow makes room for n entries.
func (t *keyTable) grow(n int) {
	size := 16
	for size < 2*n {
		size *= 2
	}
	t.slots = make([]uint32, size)
	mask := uint32(size - 1)
	for i, e := range t.entries {
		at := e.hash & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = uint32(i + 1)
	}
}

func (t *keyTable) hash(data []byte, k keyRef) uint32 {
	text := k.text(data)
	switch {
	case t.fold:
		t.scratch = appendFolded(t.scratch[:0], text)
		text = t.scratch
	case k.odd:
		t.scratch = appendText(t.scratch[:0], text)
		text = t.scratch
	}
	return uint32(maphash.Bytes(t.seed, text))
}

// uniqueKeys keeps the scopes of the objects that are open while [UniqueKeys] walks a value.
type uniqueKeys struct {
	scopes [MaxDepth + 1]keyScope
}

func (u *uniqueKeys) open(ks *keySet, level int)  { u.scopes[level] = ks.scope() }
func (u *uniqueKeys) close(ks *keySet, level int) { ks.leave(u.scopes[level]) }

func (u *uniqueKeys) add(s *scanner, level int, k keyRef) bool {
	return s.add(&u.scopes[level], k, true)
}

// UniqueKeys checks one JSON value the way [Valid] does and also that no object in it, at any depth, has two keys that
// are equal or differ only in case, or more than MaxKeys keys. Two readers of such a value, a rule and an upstream, may
// see different members. Keys are compared unescaped, by the folding of encoding/json. The error is a *SyntaxError.
func UniqueKeys(value []byte) error {
	s := scanner{data: value, unique: &uniqueKeys{}}
	if !s.fits() || s.whole() < 0 {
		return s.err
	}
	return nil
}
