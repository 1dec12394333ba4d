package help

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

//go:embed topics/*.md
var topics embed.FS

// Page is one topic.
type Page struct {
	Name  string
	Title string // the page's first line
}

// Topic returns the text of a topic.
func Topic(name string) (string, bool) {
	b, err := topics.ReadFile("topics/" + strings.ToLower(name) + ".md")
	return string(b), err == nil
}

// Topics lists the names of all topics, in order.
func Topics() []string {
	files, _ := fs.Glob(topics, "topics/*.md") // fails only for a bad pattern
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(f, "topics/"), ".md"))
	}
	return names
}

// Index lists the topics to begin with; pages of single error codes are listed by the topic errors.
func Index() []Page {
	var pages []Page
	for _, name := range Topics() {
		text, _ := Topic(name)
		title, _, _ := strings.Cut(text, "\n")
		title = strings.TrimPrefix(title, "# ")
		if !strings.HasPrefix(title, "Error: ") {
			pages = append(pages, Page{Name: name, Title: title})
		}
	}
	slices.SortFunc(pages, func(a, b Page) int { return strings.Compare(a.Name, b.Name) })
	return pages
}
