package guard

import (
	"fmt"
	"testing"

	"weir/catalog/rawjson"
)

// prose is a result of about n bytes as servers send them: rows as JSON, and in text.
func prose(n int) []byte {
	var rows []byte
	for i := 0; len(rows) < n/2; i++ {
		rows = fmt.Appendf(rows, `{"id":%d,"name":"Skiing in the Alps %d","path":"/home/ana/work/report-%d.md","note":"The key to it is patience; bearers walk, tokens do not."},`, i, i, i)
	}
	rows = append(append([]byte("["), rows[:len(rows)-1]...), ']')
	return fmt.Appendf(nil, `{"content":[{"type":"text","text":%s}],"structuredContent":{"rows":%s}}`, rawjson.AppendString(nil, rows), rows)
}

// BenchmarkFind is what it costs to look at a result in which there is nothing: with the rules that need no file, and with those of gitleaks besides.
func BenchmarkFind(b *testing.B) {
	for _, size := range []int{200, 10_000, 1 << 20} {
		value := prose(size)
		run := func(name string, g *Guard) {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(len(value)))
				for b.Loop() {
					if _, found := g.Results(ref, value); found != nil {
						b.Fatalf("%+v", found.Secrets)
					}
				}
			})
		}
		run("own", compiled(b, nil))
		run("gitleaks", withFile(b, gitleaks(b)))
	}
}

// BenchmarkHostile is a result of 16 MiB that begins secrets everywhere and finishes none.
func BenchmarkHostile(b *testing.B) {
	g := compiled(b, nil)
	for _, word := range []string{"ghp_", "-----BEGIN ", "eyJ", "://", "://a:", "bearer ", "basic ", "secretaccesskey", "SK", "xoxb-"} {
		text := make([]byte, 0, 16<<20)
		for len(text)+len(word) < cap(text) {
			text = append(text, word...)
		}
		value := rawjson.AppendString(nil, text)
		b.Run(word, func(b *testing.B) {
			b.SetBytes(int64(len(value)))
			for b.Loop() {
				g.Results(ref, value)
			}
		})
	}
}
