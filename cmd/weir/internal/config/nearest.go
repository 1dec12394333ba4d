package config

import "strings"

// Nearest returns the one of words that word is most likely a slip of, or "". Case does not count; one slip is allowed per three
// characters.
func Nearest(word string, words []string) string {
	best, least := "", 1+max(1, len(word)/3)
	w := strings.ToLower(word)
	for _, c := range words {
		if d := distance(w, strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that make b of a (optimal string alignment).
func distance(a, b string) int {
	if abs := len(a) - len(b); max(abs, -abs) > max(len(a), len(b))/2+1 {
		return max(len(a), len(b))
	}
	var before []int
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev = prev, row
	}
	return prev[len(b)]
}
