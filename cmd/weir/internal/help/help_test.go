package help

import (
	"slices"
	"strings"
	"testing"
)

func TestTopics(t *testing.T) {
	t.Parallel()
	for _, name := range Topics() {
		text, ok := Topic(name)
		if !ok || !strings.HasPrefix(text, "# ") || !strings.HasSuffix(text, "\n") {
			t.Errorf("%s: a topic is Markdown that starts with a title and ends with a line end", name)
		}
		for i, line := range strings.Split(text, "\n") {
			if len(line) > 120 {
				t.Errorf("%s:%d is longer than a terminal is wide", name, i+1)
			}
		}
	}
	for _, want := range []string{"config", "names", "eras", "errors", "exit-codes", "clients", "security", "policy"} {
		if !slices.ContainsFunc(Index(), func(p Page) bool { return p.Name == want }) {
			t.Errorf("the index lacks %s", want)
		}
	}
	if _, ok := Topic("../help"); ok {
		t.Error("a path is no topic")
	}
}
