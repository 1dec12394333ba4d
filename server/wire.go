package server

import (
	"strconv"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// wire holds the parts of replies that never change, rendered once.
type wire struct {
	info    []byte // weir's own Implementation object
	modern  []byte // what every modern result begins with: resultType and _meta
	meta    []byte // the serverInfo member of a modern result's _meta
	hints   []byte // cache hints of lists
	soon    []byte // those of lists that will soon have changed
	noCache []byte // cache hints of a result that a legacy upstream gave none
}

// capabilities are weir's own: what it serves whatever is behind it.
const capabilities = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"completions":{},"logging":{}}`

// modernVersion is the revision that the modern side speaks.
const modernVersion = "2026-07-28"

func newWire(version string, ttl time.Duration) wire {
	info := rawjson.AppendString([]byte(`{"name":"weir","title":"weir MCP gateway","version":`), version)
	info = append(info, '}')
	meta := append([]byte(`"io.modelcontextprotocol/serverInfo":`), info...)
	hints := strconv.AppendInt([]byte(`,"ttlMs":`), ttl.Milliseconds(), 10)
	return wire{
		info:    info,
		meta:    meta,
		modern:  append(append([]byte(`"resultType":"complete","_meta":{`), meta...), '}'),
		hints:   append(hints, `,"cacheScope":"private"`...),
		soon:    []byte(`,"ttlMs":0,"cacheScope":"private"`),
		noCache: []byte(`"ttlMs":0,"cacheScope":"private",`),
	}
}

// reply answers a request with a result of weir's own: a raw object. Modern results get resultType and serverInfo.
func (g *Gateway) reply(r *Request, result []byte) *Reply {
	id := r.Message.ID.Of(r.Message.Data)
	if r.Client.Era == catalog.Legacy {
		return ResultReply(id, result)
	}
	reply := newReply(statusOK)
	reply.add(envelopeID, id, envelopeResult, openBrace, g.wire.modern)
	if rest := result[1:]; rest[0] != '}' {
		reply.add(comma, rest)
	} else {
		reply.add(rest)
	}
	reply.add(envelopeEnd)
	return reply
}

var (
	openBrace  = []byte(`{`)
	comma      = []byte(`,`)
	closeList  = []byte(`]`)
	nextCursor = []byte(`,"nextCursor":`)
)

// listKey opens the member that a list method answers with.
func listKey(k catalog.Kind) []byte {
	switch k {
	case catalog.Tool:
		return []byte(`"tools":[`)
	case catalog.Prompt:
		return []byte(`"prompts":[`)
	case catalog.Resource:
		return []byte(`"resources":[`)
	default:
		return []byte(`"resourceTemplates":[`)
	}
}

// list renders one page around the shared bytes of its items.
func (w *wire) list(r *Request, kind catalog.Kind, page catalog.Page, s *catalog.Snapshot) *Reply {
	reply := newReply(statusOK)
	reply.add(envelopeID, r.Message.ID.Of(r.Message.Data), envelopeResult, openBrace)
	modern := r.Client.Era == catalog.Modern
	if modern {
		reply.add(w.modern, comma)
	}
	reply.add(listKey(kind), page.Items, closeList)
	if page.Next != "" {
		reply.add(rawjson.AppendString(append([]byte(nil), nextCursor...), page.Next))
	}
	if modern {
		reply.add(w.hintsOf(s))
	}
	reply.add([]byte(`}}`))
	return reply
}

// discover is the result of server/discover (spec 2026-07-28, server/discover). Both families of revisions are named: a client that
// speaks only an older one reaches it through initialize.
func (w *wire) discover(s *catalog.Snapshot) []byte {
	b := append([]byte(`{"supportedVersions":["`+modernVersion+`"],"capabilities":`), capabilitiesOf(s, catalog.Modern)...)
	if text := instructions(s); text != "" {
		b = rawjson.AppendString(append(b, `,"instructions":`...), text)
	}
	return append(append(b, w.hintsOf(s)...), '}')
}

// hintsOf are the cache hints of what was made of s (spec 2026-07-28, server/utilities/caching).
func (w *wire) hintsOf(s *catalog.Snapshot) []byte {
	if s.Partial() {
		return w.soon
	}
	return w.hints
}

// initialize is the result of initialize for a revision (spec 2025-11-25, basic/lifecycle).
func (w *wire) initialize(s *catalog.Snapshot, version string) []byte {
	b := rawjson.AppendString([]byte(`{"protocolVersion":`), version)
	b = append(append(b, `,"capabilities":`...), capabilitiesOf(s, catalog.Legacy)...)
	b = append(append(b, `,"serverInfo":`...), w.info...)
	if text := instructions(s); text != "" {
		b = rawjson.AppendString(append(b, `,"instructions":`...), text)
	}
	return append(b, '}')
}

// maxInstructions bounds what one upstream may add to the instructions every client reads, in bytes.
const maxInstructions = 4 << 10

// instructions joins what the upstreams say of themselves, each under its name when there are several.
func instructions(s *catalog.Snapshot) string {
	text := ""
	sources := s.Sources()
	for _, src := range sources {
		part := src.Instructions
		if part == "" {
			continue
		}
		if len(part) > maxInstructions {
			part = part[:maxInstructions]
		}
		if len(sources) > 1 {
			part = src.Upstream + ": " + part
		}
		if text != "" {
			text += "\n\n"
		}
		text += part
	}
	return text
}
