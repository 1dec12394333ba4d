package server

import (
	"slices"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// legacyVersions are the revisions reached through initialize, newest first.
func legacyVersions() []string {
	return []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}
}

// IsLegacyVersion reports whether v is a revision that weir serves through initialize.
func IsLegacyVersion(v string) bool { return slices.Contains(legacyVersions(), v) }

// Initialize answers initialize and returns what it says of the client. A revision weir does not know is answered with the newest one
// that has the handshake (spec 2025-11-25, basic/lifecycle, version negotiation).
func (g *Gateway) Initialize(m *rawjson.Message) (catalog.Client, *Reply) {
	id := m.ID.Of(m.Data)
	params := m.Params.Of(m.Data)
	if params == nil {
		return catalog.Client{}, ErrorReply(statusOK, id, CodeInvalidParams, "initialize: params are missing", nil)
	}
	f, err := rawjson.Fields(params, "protocolVersion", "capabilities", "clientInfo")
	if err != nil {
		return catalog.Client{}, ErrorReply(statusOK, id, CodeInvalidParams, "initialize: "+err.Error(), nil)
	}
	version, ok := rawjson.String(f[0].Of(params))
	if !ok {
		return catalog.Client{}, ErrorReply(statusOK, id, CodeInvalidParams, "initialize: params.protocolVersion is missing", nil)
	}
	if !IsLegacyVersion(version) {
		version = legacyVersions()[0]
	}
	c := catalog.Client{Era: catalog.Legacy, Version: version, Capabilities: emptyObject}
	if caps := f[1].Of(params); len(caps) > 0 && caps[0] == '{' {
		c.Capabilities = slices.Clone(caps)
	}
	if info := f[2].Of(params); len(info) > 0 && info[0] == '{' {
		c.Info = slices.Clone(info)
	}
	return c, ResultReply(id, g.wire.initialize(g.catalog.Snapshot(), version))
}

// ModernClient reads what a modern request says of its client (spec 2026-07-28, basic/index#meta). The reply is not nil when the request cannot
// be served: a required key is missing, or the revision is not spoken here.
func (g *Gateway) ModernClient(m *rawjson.Message) (*catalog.Client, *Reply) {
	id := m.ID.Of(m.Data)
	version, ok := rawjson.String(m.Meta.ProtocolVersion.Of(m.Data))
	if !ok {
		return nil, ErrorReply(statusBadRequest, id, CodeInvalidParams, "params._meta lacks io.modelcontextprotocol/protocolVersion", nil)
	}
	if version != modernVersion {
		data := rawjson.AppendString([]byte(`{"supported":["`+modernVersion+`"],"requested":`), version)
		return nil, ErrorReply(statusBadRequest, id, CodeUnsupportedVersion, "unsupported protocol version", append(data, '}'))
	}
	capabilities := m.Meta.ClientCapabilities.Of(m.Data)
	if capabilities == nil {
		return nil, ErrorReply(statusBadRequest, id, CodeInvalidParams, "params._meta lacks io.modelcontextprotocol/clientCapabilities", nil)
	}
	c := &catalog.Client{Era: catalog.Modern, Version: modernVersion, Capabilities: capabilities, Info: m.Meta.ClientInfo.Of(m.Data)}
	if !m.Meta.LogLevel.Absent() {
		c.LogLevel, _ = rawjson.String(m.Meta.LogLevel.Of(m.Data))
		if !catalog.ValidLogLevel(c.LogLevel) {
			return nil, ErrorReply(statusBadRequest, id, CodeInvalidParams, "params._meta: unknown log level "+c.LogLevel, nil)
		}
	}
	return c, nil
}
