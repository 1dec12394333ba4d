package mcpconn

import "weir/catalog/rawjson"

// stripServerInfo takes the server's own name out of result._meta: it belongs to the hop, and weir is the server of the next one. A _meta
// that held nothing else goes with it. m owns its bytes.
func stripServerInfo(m *rawjson.Message) {
	at := m.Meta.ServerInfo
	if at.Absent() {
		return
	}
	m.Meta.ServerInfo = rawjson.Span{}
	removeMember(m, at)
	if meta := m.Meta.Object; isEmpty(meta.Of(m.Data)) {
		m.Meta.Object = rawjson.Span{}
		removeMember(m, meta)
	}
}

// removeMember takes the member whose value is at value out of m's bytes, with one comma beside it.
func removeMember(m *rawjson.Message, value rawjson.Span) {
	d := m.Data
	from := keyStart(d, value.Start)
	to := value.End
	for to < len(d) && isSpace(d[to]) {
		to++
	}
	if to < len(d) && d[to] == ',' {
		cut(m, from, to+1)
		return
	}
	if before := len(trimSpace(d[:from])); d[before-1] == ',' {
		from = before - 1
	}
	cut(m, from, value.End)
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// cut removes the bytes [from,to) and moves the spans of a response that lie behind or around them.
func cut(m *rawjson.Message, from, to int) {
	m.Data = append(m.Data[:from], m.Data[to:]...)
	meta := &m.Meta
	for _, s := range [...]*rawjson.Span{
		&m.ID, &m.Result, &m.Error, &m.ResultType,
		&meta.Object, &meta.ProtocolVersion, &meta.ClientInfo, &meta.ClientCapabilities, &meta.ServerInfo, &meta.LogLevel,
		&meta.SubscriptionID, &meta.ProgressToken, &meta.Traceparent, &meta.Tracestate, &meta.Baggage,
	} {
		if s.Start >= to {
			s.Start -= to - from
		}
		if s.End >= to {
			s.End -= to - from
		}
	}
}
