package bench

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is what a case asks for.
type Kind string

// The kinds of cases.
const (
	Call   Kind = "call"   // tools/call of an echo, answered in JSON
	Events Kind = "events" // tools/call answered as an event stream: five progress notifications, then the result
	List   Kind = "list"   // tools/list, one page
	Cross  Kind = "cross"  // as Call, at weir before an upstream of the client's era and before one of the other
	Rules  Kind = "rules"  // as Call, at weir where everybody may do everything and where callers sign in and rules decide
	Record Kind = "record" // as Call, at weir that records nothing and at one that records everything
	Reads  Kind = "reads"  // as Record, of a tool that the policy calls read-only
)

// The eras of a case's client. The upstream is called in the same one, but for the target Crossed.
const (
	Modern = "modern"
	Legacy = "legacy"
)

// The upstreams.
const (
	Lean  = "lean"   // a bare net/http server that finds what it needs by searching bytes
	MCPGo = "mcp-go" // an mcp-go server
	Stdio = "stdio"  // the lean server over standard input and output
)

// The targets, in the order of the report.
const (
	Direct = "direct" // the upstream itself; its CPU is the upstream's own
	Proxy  = "proxy"  // ReverseProxy before the upstream, with a pool of copy buffers
	Stock  = "stock"  // the same without the pool, which is ReverseProxy's default: a buffer of 32 KiB for each answer
	Weir   = "weir"
	// Crossed is weir before the same upstream, which it has to call in the other era.
	Crossed = "crossed"
	// Guarded is weir where callers bring an OIDC token, before 1,000 tools under 1,000 rules, with a condition on one tool in ten.
	Guarded = "guarded"
	// Recorded is weir with one trace in a hundred, metrics, the audit log with fsync and the request log.
	Recorded = "recorded"
	// RecordedReads is Recorded where the policy calls the tool read-only: its calls do not wait for the disk.
	RecordedReads = "recorded-reads"
)

// Case is one row of the report: the same requests, sent to each target in turn.
type Case struct {
	Kind     Kind   `json:"kind"`
	Upstream string `json:"upstream"`
	Era      string `json:"era"`
	// Size is the length of the argument in bytes, or the number of tools in a list.
	Size        int `json:"size"`
	Concurrency int `json:"concurrency"`
}

// String is the case's name, which -run matches: "call/lean/modern/4KiB/c32".
func (c Case) String() string {
	size := Bytes(c.Size)
	if c.Kind == List {
		size = fmt.Sprint(c.Size)
	}
	return fmt.Sprintf("%s/%s/%s/%s/c%d", c.Kind, c.Upstream, c.Era, size, c.Concurrency)
}

// Bytes writes a size the way people say it: 64B, 4KiB, 1MiB.
func Bytes(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

// Cases returns the full set, or the quick one.
func Cases(quick bool) []Case {
	var all []Case
	add := func(k Kind, upstream string, sizes, concurrency []int) {
		for _, size := range sizes {
			for _, era := range []string{Modern, Legacy} {
				for _, c := range concurrency {
					all = append(all, Case{k, upstream, era, size, c})
				}
			}
		}
	}
	add(Call, Lean, []int{64, 4 << 10, 64 << 10, 1 << 20}, []int{1, 32})
	add(Events, Lean, []int{64}, []int{1, 32})
	add(List, Lean, []int{100, 1000, 10000}, []int{1})
	add(Cross, Lean, []int{64, 4 << 10}, []int{1, 32})
	for _, k := range []Kind{Rules, Record, Reads} {
		for _, size := range []int{64, 4 << 10} {
			all = append(all, Case{k, Lean, Modern, size, 1}, Case{k, Lean, Modern, size, 32})
		}
	}
	all = append(all, Case{Record, Lean, Modern, 64, 256}) // a commit of the audit log is shared by as many
	add(Call, MCPGo, []int{64, 4 << 10}, []int{1, 32})
	add(Call, Stdio, []int{64, 4 << 10, 64 << 10}, []int{1, 32})
	if !quick {
		return all
	}
	few := []string{
		"call/lean/modern/64B/c1", "call/lean/modern/64B/c32", "call/lean/legacy/64B/c32", "call/lean/modern/4KiB/c32", "call/lean/modern/64KiB/c32",
		"events/lean/modern/64B/c32", "list/lean/modern/1000/c1", "cross/lean/modern/64B/c32", "cross/lean/legacy/64B/c32", "rules/lean/modern/64B/c32",
		"record/lean/modern/64B/c32", "record/lean/modern/64B/c256", "reads/lean/modern/64B/c32", "call/stdio/modern/64B/c32",
	}
	return slices.DeleteFunc(all, func(c Case) bool { return !slices.Contains(few, c.String()) })
}

// targets are what a case is sent to, as far as they run. Nothing on HTTP stands before a stdio server but weir; the proxy before the lean server is its measure.
func (c Case) targets() []string {
	switch c.Kind {
	case Cross:
		return []string{Weir, Crossed}
	case Rules:
		return []string{Weir, Guarded}
	case Record:
		return []string{Proxy, Weir, Recorded}
	case Reads:
		return []string{Proxy, Weir, RecordedReads}
	default:
	}
	if c.Upstream == Stdio {
		return []string{Proxy, Stock, Weir}
	}
	return []string{Direct, Proxy, Stock, Weir}
}

// measure is the target in whose terms the others of a case are told.
func (c Case) measure() string {
	switch c.Kind {
	case Cross, Rules, Record, Reads:
		return Weir
	default:
		return Proxy
	}
}

// site is what must run for a case: equal for cases that can share processes.
type site struct {
	upstream string
	era      string // in which weir calls the upstream
	other    string // Crossed, Guarded, Recorded or RecordedReads, when that runs too
	tools    int    // offered besides echo and events
}

// otherEra is the era that is not e.
func otherEra(e string) string {
	if e == Modern {
		return Legacy
	}
	return Modern
}

func (c Case) site() site {
	s := site{upstream: c.Upstream, era: c.Era}
	switch c.Kind {
	case List:
		s.tools = c.Size
	case Cross:
		s.other = Crossed
	case Rules:
		s.other, s.tools = Guarded, ruledTools
	case Record:
		s.other = Recorded
	case Reads:
		s.other = RecordedReads
	default:
	}
	return s
}

// ToolNames are the tools that every upstream has.
const (
	echoTool   = "echo"
	eventsTool = "events"
)

// tool is the name of the case's tool at a target.
func (c Case) tool(target string) string {
	name := echoTool
	if c.Kind == Events {
		name = eventsTool
	}
	if target != Direct && target != Proxy && target != Stock {
		name = "up__" + name
	}
	return name
}

// Tools renders the definition of n tools, like those that real servers list: about 680 bytes each.
func Tools(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`{"name":"tool_%05d","description":"Tool number %d. %s","inputSchema":{"type":"object","$schema":"http://json-schema.org/draft-07/schema#",`+
			`"properties":{"owner":{"type":"string","description":"Account owner of the repository"},"state":{"type":"string","enum":["open","closed","all"]},`+
			`"labels":{"type":"array","items":{"type":"string"}},"page":{"type":"integer","minimum":1}},"required":["owner"],"additionalProperties":false},`+
			`"annotations":{"readOnlyHint":true,"title":"Tool"}}`, i, i, strings.Repeat("It does what its name says. ", 6))
	}
	return all
}
