package mcpconn

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// verdict is what a server's answer to server/discover says about its era.
type verdict uint8

const (
	isModern  verdict = iota + 1 // it answered as the modern era does
	notModern                    // it answered something else: what that means, initialize finds out
	isLegacy                     // it is modern and says that only legacy revisions are served
	unclear                      // silence, or an HTTP error that a server of any era could give
	unusable                     // it cannot be reached, or refuses in a way that initialize would not change
)

// finding is the outcome of a probe.
type finding struct {
	verdict verdict
	peer    *peer
	retry   string // the modern version to ask with once more, "" for none
	err     error  // for all but isModern, and for a retry with the same version
}

// discover asks once with the version that c.hop and the transport declare. It leaves c.peer alone.
func (c *Conn) discover(ctx context.Context, version string) finding {
	resp, err := c.ask(ctx, "server/discover", []byte(`{}`))
	if err != nil {
		return c.judgeFailure(ctx, err)
	}
	defer resp.release()
	m := &resp.message
	if m.Kind == rawjson.Error {
		return c.judgeError(m, version)
	}
	return c.judgeResult(m, version)
}

// judgeResult takes a result. A DiscoverResult has supportedVersions (spec 2026-07-28, server/discover).
func (c *Conn) judgeResult(m *rawjson.Message, version string) finding {
	result := m.Result.Of(m.Data)
	found, err := rawjson.Fields(result, "supportedVersions", "capabilities", "instructions")
	if err != nil || found[0].Absent() {
		return finding{verdict: notModern, err: fmt.Errorf("%s: server/discover: no DiscoverResult", c.name)}
	}
	versions := texts(found[0].Of(result))
	p := &peer{version: version, capabilities: object(found[1].Of(result)), eras: erasOf(versions)}
	p.instructions, _ = rawjson.String(found[2].Of(result))
	if !m.Meta.ServerInfo.Absent() {
		p.info = slices.Clone(m.Meta.ServerInfo.Of(m.Data))
	}
	if f := c.choose(versions, version); f != nil {
		f.peer = p
		return *f
	}
	return finding{verdict: isModern, peer: p}
}

// judgeError takes an error response. The codes that the specification reserves since 2026-07-28 are a modern server's.
func (c *Conn) judgeError(m *rawjson.Message, version string) finding {
	obj := m.Error.Of(m.Data)
	code := errorCode(m)
	fields, _ := rawjson.Fields(obj, "message", "data")
	text := ""
	if fields != nil {
		text, _ = rawjson.String(fields[0].Of(obj))
	}
	err := &catalog.Error{
		Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: server/discover is refused (error %d)", c.name, code), Execution: catalog.NotExecuted,
		Err: fmt.Errorf("error %d: %q", code, text),
	}
	switch {
	case code == mcp.UNSUPPORTED_PROTOCOL_VERSION:
		versions := supported(fields, obj)
		if f := c.choose(versions, version); f != nil {
			f.peer = &peer{eras: erasOf(versions)}
			return *f
		}
		if slices.Contains(versions, version) { // it refuses what it says it supports: once may be an accident
			return finding{verdict: isModern, retry: version, err: err}
		}
		return finding{verdict: unusable, err: err}
	case isModernCode(code):
		return finding{verdict: unusable, err: err}
	default:
		return finding{verdict: notModern, err: err}
	}
}

// isModernCode reports whether an error code is one that the specification reserves for itself since 2026-07-28 (basic/index, error codes).
func isModernCode(code int) bool { return code <= -32020 && code >= -32099 }

// choose looks for the version to use with a server that names those it serves: nil when that is version itself, and also when it names none.
func (c *Conn) choose(versions []string, version string) *finding {
	if len(versions) == 0 || slices.Contains(versions, version) {
		return nil
	}
	for _, v := range mcp.ValidProtocolVersions {
		switch {
		case !slices.Contains(versions, v):
		case mcp.IsModernProtocol(v):
			return &finding{verdict: isModern, retry: v}
		default:
			return &finding{verdict: isLegacy, err: fmt.Errorf("%s: the server serves only %s", c.name, strings.Join(versions, ", "))}
		}
	}
	return &finding{verdict: unusable, err: c.noCommonVersion(versions)}
}

func (c *Conn) noCommonVersion(versions []string) *catalog.Error {
	return &catalog.Error{
		Code: catalog.Unavailable, Execution: catalog.NotExecuted,
		Msg: fmt.Sprintf("%s: no common version of MCP: the server speaks %.200s, weir %s", c.name, strings.Join(versions, ", "),
			strings.Join(mcp.ValidProtocolVersions, ", ")),
	}
}

// initialize performs the legacy handshake on c.t.
func (c *Conn) initialize(ctx context.Context) (*peer, *rawjson.Message, error) {
	params := append([]byte(`{"protocolVersion":"`+mcp.LATEST_LEGACY_PROTOCOL_VERSION+`","capabilities":`), c.cfg.Capabilities...)
	params = append(params, `,"clientInfo":`...)
	params = append(appendInfo(params, c.cfg.Client), '}')
	resp, err := c.ask(ctx, "initialize", params)
	if err != nil {
		return nil, nil, err
	}
	m := &resp.message
	if m.Kind == rawjson.Error {
		kept := *m
		kept.Data = slices.Clone(m.Data)
		resp.release()
		return nil, &kept, &catalog.Error{
			Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: initialize is refused (error %d)", c.name, errorCode(&kept)),
			Execution: catalog.NotExecuted, Err: fmt.Errorf("%.300q", kept.Error.Of(kept.Data)),
		}
	}
	defer resp.release()
	result := m.Result.Of(m.Data)
	found, err := rawjson.Fields(result, "protocolVersion", "capabilities", "serverInfo", "instructions")
	if err != nil || found[0].Absent() {
		return nil, nil, &catalog.Error{
			Code: catalog.Unavailable, Msg: c.name + ": the answer to initialize is not one of MCP", Execution: catalog.NotExecuted, Err: err,
		}
	}
	p := &peer{capabilities: object(found[1].Of(result)), eras: Eras{Legacy: true}}
	if info := object(found[2].Of(result)); len(info) > 2 {
		p.info = info
	}
	p.version, _ = rawjson.String(found[0].Of(result))
	p.instructions, _ = rawjson.String(found[3].Of(result))
	if !slices.Contains(mcp.LegacyProtocolVersions(), p.version) {
		return nil, nil, c.noCommonVersion([]string{p.version})
	}
	return p, nil, nil
}

// supported reads data.supported of an error.
func supported(fields []rawjson.Span, obj []byte) []string {
	if len(fields) < 2 || fields[1].Absent() {
		return nil
	}
	data := fields[1].Of(obj)
	found, err := rawjson.Fields(data, "supported")
	if err != nil {
		return nil
	}
	return texts(found[0].Of(data))
}

// texts reads a raw array of strings; what is none is left out. More than a hundred are not read.
func texts(arr []byte) []string {
	var list []string
	_ = rawjson.Elements(arr, func(v rawjson.Span) bool {
		if s, ok := rawjson.String(v.Of(arr)); ok {
			list = append(list, s)
		}
		return len(list) < 100
	})
	return list
}

// object copies a raw object; anything else, absent too, becomes {}.
func object(raw []byte) []byte {
	if len(raw) == 0 || raw[0] != '{' {
		return []byte(`{}`)
	}
	return slices.Clone(raw)
}

func erasOf(versions []string) Eras {
	var e Eras
	for _, v := range versions {
		if mcp.IsModernProtocol(v) {
			e.Modern = true
		} else {
			e.Legacy = true
		}
	}
	return e
}

// appendInfo appends an Implementation object.
func appendInfo(dst []byte, i Implementation) []byte {
	dst = rawjson.AppendString(append(dst, `{"name":`...), i.Name)
	dst = rawjson.AppendString(append(dst, `,"version":`...), i.Version)
	return append(dst, '}')
}
