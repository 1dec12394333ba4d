package rawjson

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// call is a tools/call of the modern era whose arguments are about size bytes long.
func call(arguments string) []byte {
	return []byte(`{"jsonrpc":"2.0","id":1234,"method":"tools/call","params":{"name":"github__create_issue","arguments":` + arguments +
		`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},` +
		`"io.modelcontextprotocol/clientCapabilities":{},"progressToken":17}}}`)
}

func long(size int) string { return `{"text":"` + strings.Repeat("x", size) + `"}` }

func unicodeText(size int) string {
	return `{"text":"` + strings.Repeat("Grüße, 世界\\n", size/18) + `"}`
}

func members(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `,"key%d":{"n":%d,"s":"value","b":[true,null]}`, i, i*37)
	}
	return "{" + b.String()[1:] + "}"
}

func BenchmarkScan(b *testing.B) {
	for _, size := range []int{64, 4 << 10, 64 << 10, 1 << 20} {
		for _, kind := range []struct {
			name string
			make func(int) string
		}{{"string", long}, {"unicode", unicodeText}, {"members", members}} {
			data := call(kind.make(size))
			b.Run(fmt.Sprintf("%s/%d", kind.name, size), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				var m Message
				for b.Loop() {
					if err := Scan(&m, data); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkValid compares with the standard library on the same bytes.
func BenchmarkValid(b *testing.B) {
	data := call(members(64 << 10))
	b.Run("rawjson", func(b *testing.B) {
		for b.Loop() {
			if Valid(data) != nil {
				b.Fatal("refused")
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		for b.Loop() {
			if !json.Valid(data) {
				b.Fatal("refused")
			}
		}
	})
}

func BenchmarkUniqueKeys(b *testing.B) {
	data := []byte(members(64 << 10))
	for b.Loop() {
		if err := UniqueKeys(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEdit(b *testing.B) {
	data := call(long(4 << 10))
	var m Message
	if err := Scan(&m, data); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 2*len(data))
	name := []byte(`"create_issue"`)
	b.Run("Splice", func(b *testing.B) {
		for b.Loop() {
			dst = Splice(dst[:0], data, Span{0, len(data)}, Edit{m.Name, name})
		}
	})
	b.Run("AppendObject", func(b *testing.B) {
		obj := m.Meta.Object.Of(data)
		drop := func(key []byte) bool { return string(key) == "progressToken" }
		b.ReportAllocs()
		for b.Loop() {
			dst = AppendObject(dst[:0], obj, drop, Member{"progressToken", []byte("99")})
		}
	})
	b.Run("Compact", func(b *testing.B) {
		for b.Loop() {
			dst = Compact(dst[:0], data)
		}
	})
}

// BenchmarkHostileKeys is an object with as many keys as the scanner compares.
func BenchmarkHostileKeys(b *testing.B) {
	var keys strings.Builder
	for i := range MaxKeys {
		fmt.Fprintf(&keys, `,"%x":0`, i)
	}
	data := []byte(in(keys.String()[1:]))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var m Message
	for b.Loop() {
		if err := Scan(&m, data); err != nil {
			b.Fatal(err)
		}
	}
}
