package guard

import "bytes"

// keywords finds, in one pass over a text, where words begin that stand in it, whatever their case.
type keywords struct {
	pairs [1 << 16 / 64]uint64 // set of the pairs of folded bytes that words are looked for by
	first [1 << 16]uint16      // by pair, where its words are in words
	words [][]keyword
}

// keyword is one word of one rule.
type keyword struct {
	text []byte
	at   int // of the pair in it
	rule int
	fold bool // its case means nothing
}

// rare orders letters by how seldom they stand in prose; all else is rarer.
const rare = "qjzxvkwybfpgmuclhdrsnioate"

// newKeywords makes a set of words of at least two bytes.
func newKeywords(words []keyword) *keywords {
	k := &keywords{words: make([][]keyword, 1)}
	for _, w := range words {
		best := 1 << 10
		for i := range len(w.text) - 1 {
			commonness := bytes.IndexByte([]byte(rare), folded(w.text[i])) + bytes.IndexByte([]byte(rare), folded(w.text[i+1]))
			if commonness < best {
				best, w.at = commonness, i
			}
		}
		p := pair(w.text[w.at], w.text[w.at+1])
		if k.first[p] == 0 {
			k.pairs[p>>6] |= 1 << (p & 63)
			k.first[p] = uint16(len(k.words))
			k.words = append(k.words, nil)
		}
		k.words[k.first[p]] = append(k.words[k.first[p]], w)
	}
	return k
}

// folded makes letters of both cases equal, and some other characters with them.
func folded(c byte) byte { return c | 0x20 }

func pair(a, b byte) uint16 { return uint16(folded(a))<<8 | uint16(folded(b)) }

// each calls f with each word in text and where it begins.
func (k *keywords) each(text []byte, f func(rule, at int)) {
	if len(text) < 2 {
		return
	}
	p := uint16(folded(text[0]))
	for i := 1; i < len(text); i++ {
		p = p<<8 | uint16(folded(text[i]))
		if k.pairs[p>>6]&(1<<(p&63)) != 0 {
			k.at(text, i-1, p, f)
		}
	}
}

// at looks whether words stand around a pair.
func (k *keywords) at(text []byte, i int, p uint16, f func(rule, at int)) {
	for _, w := range k.words[k.first[p]] {
		from := i - w.at
		if from < 0 || from+len(w.text) > len(text) {
			continue
		}
		if there := text[from : from+len(w.text)]; bytes.Equal(there, w.text) || w.fold && bytes.EqualFold(there, w.text) {
			f(w.rule, from)
		}
	}
}
