package mcpconn

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/upstream/upstreamtest"
)

func texted(items [][]byte) (list []string) {
	for _, i := range items {
		list = append(list, string(i))
	}
	return list
}

func TestListReadsEveryPageByteForByte(t *testing.T) {
	odd := upstreamtest.Raw(`{ "name":"t0", "inputSchema":{"type":"object","$schema":"x","maximum":9007199254740993}, "unknown":[1e400] }`)
	tools := []upstreamtest.Raw{odd}
	for i := range 24 {
		tools = append(tools, upstreamtest.Raw(fmt.Sprintf(`{"name":"t%d","inputSchema":{"type":"object"}}`, i+1)))
	}
	for _, era := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		for _, size := range []int{0, 1, 7, 25} {
			up := serve(t, upstreamtest.Config{Era: era, Tools: tools, PageSize: size, Resources: []upstreamtest.Raw{`{"uri":"a:b","name":"r"}`}, Templates: []upstreamtest.Raw{`{"uriTemplate":"a:{b}","name":"t"}`}})
			c := dial(t, config(up.URL))
			src, faults, err := c.List(t.Context())
			if err != nil || faults != nil {
				t.Fatal(err, faults)
			}
			var want []string
			for _, r := range tools {
				want = append(want, string(r))
			}
			if d := cmp.Diff(want, texted(src.Tools)); d != "" {
				t.Errorf("%s, pages of %d: %s", era, size, d)
			}
			if len(src.Resources) != 1 || len(src.Templates) != 1 || src.Prompts != nil {
				t.Errorf("%+v", src)
			}
		}
	}
}

func TestR21_ListsThatFail(t *testing.T) {
	var answer func(params string, n int) string
	n := 0
	up := raw(t, func(w http.ResponseWriter, r *http.Request, id string) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Mcp-Method") == "prompts/list" {
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"prompts":[{"name":"p"}]}}`, id)
			return
		}
		n++
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, id, answer("", n))
	})
	c := dial(t, config(up, func(c *Config) { c.MaxMessage = 1 << 20 }))
	p := *c.peer.Load()
	p.capabilities = []byte(`{"tools":{},"prompts":{}}`)
	c.peer.Store(&p)
	for _, tt := range []struct {
		name   string
		answer func(string, int) string
		want   string // of the fault; "" wants none
		tools  int
	}{
		{"an empty cursor is a cursor", func(_ string, n int) string {
			if n == 1 {
				return `"result":{"tools":[1],"nextCursor":""}`
			}
			return `"result":{"tools":[2]}`
		}, "", 2},
		{"null is none", func(string, int) string { return `"result":{"tools":[1],"nextCursor":null}` }, "", 1},
		{"the cursor repeats", func(string, int) string { return `"result":{"tools":[1],"nextCursor":"a"}` }, "up: tools/list: the list repeats a cursor on page 2", 0},
		{"it never ends", func(_ string, n int) string { return fmt.Sprintf(`"result":{"tools":[],"nextCursor":"%d"}`, n) }, "up: tools/list: the list has more than 1000 pages", 0},
		{"too many items", func(_ string, n int) string {
			return fmt.Sprintf(`"result":{"tools":[%s1],"nextCursor":"%d"}`, strings.Repeat("1,", 60_000), n)
		}, "up: tools/list: the list has more than 100000 items", 0},
		{"too many bytes", func(_ string, n int) string {
			return fmt.Sprintf(`"result":{"tools":["%s"],"nextCursor":"%d"}`, strings.Repeat("x", 900_000), n)
		}, "up: tools/list: the list has more than 1048576 bytes", 0},
		{"no list", func(string, int) string { return `"result":{"tools":{}}` }, "up: tools/list: the answer holds no list", 0},
		{"two lists", func(string, int) string { return `"result":{"tools":[],"Tools":[1]}` }, "up: tools/list: the answer holds no list", 0},
		{"an error", func(string, int) string { return `"error":{"code":-32000,"message":"secret"}` }, "up: tools/list failed (error -32000)", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, answer = 0, tt.answer
			src, faults, err := c.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if f := faults[catalog.Tool]; f != nil {
				got = f.Error()
			}
			if got != tt.want || len(src.Tools) != tt.tools {
				t.Errorf("%d tools, fault %q; want %d, %q", len(src.Tools), got, tt.tools, tt.want)
			}
			if len(src.Prompts) != 1 {
				t.Error("the other list is lost")
			}
		})
	}
}

func TestListTemplatesMayBeMissing(t *testing.T) {
	up := serve(t, upstreamtest.Config{Resources: []upstreamtest.Raw{`{"uri":"a:b","name":"r"}`}, Script: []upstreamtest.Act{{On: "resources/templates/list", Error: `{"code":-32601,"message":"no"}`}}})
	c := dial(t, config(up.URL))
	src, faults, err := c.List(t.Context())
	if err != nil || faults != nil || len(src.Resources) != 1 {
		t.Error(src, faults, err)
	}
}
