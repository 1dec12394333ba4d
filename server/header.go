package server

import (
	"weir/catalog"
)

// checkParamHeaders compares the Mcp-Param-* headers of a modern HTTP request with the arguments they mirror, in both directions
// (spec 2026-07-28, streamable-http). Which arguments are mirrored is known only once the tool is.
func checkParamHeaders(r *Request, entry *catalog.Entry) error {
	if r.Header == nil || len(entry.Headers) == 0 || r.Client.Era != catalog.Modern {
		return nil
	}
	arguments := r.Message.Arguments.Of(r.Message.Data)
	for _, p := range entry.Headers {
		got, sent := r.Header(p.Header)
		_, wanted := entry.HeaderValue(p, arguments)
		switch {
		case sent && !wanted:
			return &headerError{p.Header, "is sent, but its argument is absent"}
		case !sent && wanted:
			return &headerError{p.Header, "is missing"}
		case sent && !catalog.HeaderMatches(p, got, arguments):
			return &headerError{p.Header, "does not match its argument"}
		}
	}
	return nil
}

// checkName compares the Mcp-Name header of a modern HTTP request with what it mirrors, for methods that weir does not always have: before it is known that
// the method exists, no header of it can be wrong.
func checkName(r *Request, want string) error {
	if r.Header == nil {
		return nil
	}
	switch got, sent := r.Header("Mcp-Name"); {
	case !sent:
		return &headerError{"Mcp-Name", "is missing"}
	case got != want:
		return &headerError{"Mcp-Name", "does not match the body"}
	}
	return nil
}
