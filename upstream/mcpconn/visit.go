package mcpconn

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// visit says what is wrong with the URL of an elicitation, nil for nothing: a user follows it because the gateway shows it. Only https leads
// anywhere, and http to this machine or where the operator says; a user name in front of the host makes another host look like it.
func (c *Conn) visit(raw []byte) error {
	text, ok := rawjson.String(raw)
	if !ok {
		return nil // the client says what is wrong with it
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return &questionError{"the server sends users to a URL that leads to no host, or hides which"}
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	named := slices.ContainsFunc(c.cfg.ElicitationHosts, func(pattern string) bool { return catalog.Glob(strings.ToLower(pattern)).Match(host) })
	switch {
	case len(c.cfg.ElicitationHosts) > 0 && !named:
		return &questionError{"the server sends users to " + strconv.Quote(host) + ", which is not among its elicitationHosts"}
	case u.Scheme == "https" || u.Scheme == "http" && (named || isLoopback(host)):
		return nil
	default:
		return &questionError{"the server sends users to " + strconv.Quote(host) + " by " + strconv.Quote(u.Scheme) + "; it may only send them to https"}
	}
}

// isLoopback reports whether a host is this machine's own.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// attributeVisits does with the visits that an error asks for (spec 2025-11-25, client/elicitation) what attributeInput does with requests.
func (c *Conn) attributeVisits(m *rawjson.Message) error {
	object := m.Error.Of(m.Data)
	e, err := rawjson.Fields(object, "data")
	if err != nil || errorCode(m) != mcp.URL_ELICITATION_REQUIRED {
		return nil //nolint:nilerr // the client says what is wrong with it
	}
	data := e[0].Of(object)
	f, err := rawjson.Fields(data, "elicitations")
	if err != nil || f[0].Absent() {
		return nil //nolint:nilerr // as above
	}
	list := f[0].Of(data)
	return c.attributeAll(m, m.Error.Start+e[0].Start+f[0].Start, true, func(each func(params []byte, at int) bool) {
		_ = rawjson.Elements(list, func(v rawjson.Span) bool { return each(v.Of(list), v.Start) })
	})
}
