package translate

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Document is what the search knows of one operation.
type Document struct {
	Name      string
	Path      string // method and path, or what stands for them
	Summary   string
	Text      string
	Tags      []string
	Arguments []string
	Required  []string
	Outdated  bool
}

// Index ranks documents for plain questions: BM25 with weighted fields (Robertson, Zaragoza), where a question that covers more of a name
// ranks it higher, so that issues/create stands before reactions/create-for-issue. Safe for concurrent use.
type Index struct {
	documents []Document
	postings  map[string][]posting
	length    []float64 // weighted number of terms
	core      []int     // terms of name and path
	average   float64
}

// posting is how much a document has of a term.
type posting struct {
	document int
	weight   float64
	core     bool // the term stands in the name or path
}

// NewIndex makes the index of documents.
func NewIndex(documents []Document) *Index {
	x := &Index{
		documents: documents, postings: make(map[string][]posting), length: make([]float64, len(documents)), core: make([]int, len(documents)),
	}
	for i := range documents {
		x.add(i, &documents[i])
	}
	for _, n := range x.length {
		x.average += n / float64(max(len(documents), 1))
	}
	return x
}

func (x *Index) add(i int, d *Document) {
	terms := make(map[string]*posting)
	put := func(text string, weight float64, core bool) {
		for _, term := range words(text) {
			p := terms[term]
			if p == nil {
				p = &posting{document: i}
				terms[term] = p
			}
			p.weight += weight
			p.core = p.core || core
			x.length[i] += weight
		}
	}
	put(d.Name, 3, true)
	put(d.Path, 2, true)
	put(d.Summary, 3, false)
	put(strings.Join(d.Tags, " "), 1, false)
	put(strings.Join(d.Arguments, " "), 0.4, false)
	put(cutWords(d.Text, 400), 0.5, false)
	for term, p := range terms {
		if p.core {
			x.core[i]++
		}
		x.postings[term] = append(x.postings[term], *p)
	}
}

func cutWords(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// Search returns the positions of the best documents for a question, best first, at most limit of them. keep says which ones may be found.
func (x *Index) Search(question string, limit int, keep func(i int) bool) []int {
	const k, b = 1.2, 0.6
	score := make(map[int]float64)
	covered := make(map[int]int)
	for _, group := range terms(question) {
		best := make(map[int]float64)
		inCore := make(map[int]bool)
		asked := 0.0
		for n, term := range group {
			list := x.postings[term]
			idf := math.Log(1 + (float64(len(x.documents))-float64(len(list))+0.5)/(float64(len(list))+0.5))
			switch {
			case n == 0:
				asked = idf
			case len(x.postings[group[0]]) > 0: // a synonym never says more than the word that was asked for
				idf = 0.8 * min(idf, asked)
			default:
				idf *= 0.8
			}
			for _, p := range list {
				norm := 1 - b + b*x.length[p.document]/x.average
				best[p.document] = max(best[p.document], idf*p.weight*(k+1)/(p.weight+k*norm))
				inCore[p.document] = inCore[p.document] || p.core
			}
		}
		for i, s := range best {
			score[i] += s
			if inCore[i] {
				covered[i]++
			}
		}
	}
	found := make([]int, 0, len(score))
	for i := range score {
		if keep(i) {
			score[i] *= 0.55 + 0.45*min(float64(covered[i])/float64(max(x.core[i], 1)), 1)
			if x.documents[i].Outdated {
				score[i] *= 0.5
			}
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, c int) int {
		return cmp.Or(cmp.Compare(score[c], score[a]), cmp.Compare(x.documents[a].Name, x.documents[c].Name))
	})
	return found[:min(limit, len(found))]
}

// words splits text into terms: at everything that is no letter or digit and inside camelCase, in lower case, without plural and tense.
func words(text string) []string {
	var all []string
	start, previous := -1, ' '
	flush := func(end int) {
		if start >= 0 && end > start {
			if term := stem(strings.ToLower(text[start:end])); term != "" && !stopWord(term) {
				all = append(all, term)
			}
		}
		start = -1
	}
	for i, r := range text {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush(i)
		case start >= 0 && unicode.IsUpper(r) && unicode.IsLower(previous):
			flush(i)
			start = i
		case start < 0:
			start = i
		}
		previous = r
	}
	flush(len(text))
	return all
}

// stem cuts endings that questions and descriptions use differently.
func stem(s string) string {
	switch {
	case len(s) > 4 && strings.HasSuffix(s, "ies"):
		return s[:len(s)-3] + "y"
	case len(s) > 5 && strings.HasSuffix(s, "ing"):
		return strings.TrimSuffix(s[:len(s)-3], "e")
	case len(s) > 4 && (strings.HasSuffix(s, "sses") || strings.HasSuffix(s, "ches") || strings.HasSuffix(s, "shes") || strings.HasSuffix(s, "xes")):
		return s[:len(s)-2]
	case len(s) > 3 && strings.HasSuffix(s, "s") && !strings.HasSuffix(s, "ss") && !strings.HasSuffix(s, "us") && !strings.HasSuffix(s, "is"):
		return strings.TrimSuffix(s[:len(s)-1], "e")
	case len(s) > 4 && strings.HasSuffix(s, "ed"):
		return s[:len(s)-2]
	case len(s) > 4 && strings.HasSuffix(s, "e"):
		return s[:len(s)-1]
	}
	return s
}

func stopWord(s string) bool {
	switch s {
	case "a", "an", "the", "of", "to", "for", "in", "on", "by", "with", "and", "or", "is", "are", "be", "i", "my", "me", "we", "our", "want",
		"how", "do", "can", "that", "thi", "it", "from", "which", "what", "need", "you", "your", "has", "have", "at", "as", "v1", "v2", "v3", "api":
		return true
	}
	return false
}

// terms are those of a question, each with the terms that mean much the same.
func terms(question string) [][]string {
	var groups [][]string
	seen := make(map[string]bool)
	for _, term := range words(question) {
		if seen[term] {
			continue
		}
		seen[term] = true
		group := []string{term}
		for _, set := range synonyms() {
			if slices.Contains(set, term) {
				for _, other := range set {
					if other != term {
						group = append(group, other)
					}
				}
			}
		}
		groups = append(groups, group)
	}
	return groups
}

// synonyms are stems that questions and APIs exchange.
func synonyms() [][]string {
	return [][]string{
		{"creat", "add", "new", "post", "mak", "open"},
		{"delet", "remov", "destroy", "drop", "eras"},
		{"list", "show", "all", "brows", "enumerat"},
		{"get", "fetch", "read", "retriev", "view", "show", "look"},
		{"updat", "edit", "chang", "modify", "patch", "replac", "set"},
		{"search", "find", "query", "lookup"},
		{"send", "post", "deliver"},
		{"cancel", "abort", "stop", "void"},
		{"upload", "attach", "put"},
		{"download", "export"},
		{"user", "member", "person", "people", "account"},
		{"repo", "repository"},
		{"pull", "pr"},
		{"log", "logs"},
		{"namespac", "ns"},
		{"refund", "reimburs"},
	}
}
