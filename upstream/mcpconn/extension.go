package mcpconn

import (
	"bytes"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// The extensions that weir carries (spec 2026-07-28, extensions).
const (
	tasksExtension = "io.modelcontextprotocol/tasks"
	appsExtension  = "io.modelcontextprotocol/ui"
)

// extends reports whether raw capabilities name an extension.
func extends(capabilities []byte, extension string) bool {
	f, err := rawjson.Fields(capabilities, "extensions")
	if err != nil || f[0].Absent() {
		return false
	}
	all := f[0].Of(capabilities)
	f, err = rawjson.Fields(all, extension)
	return err == nil && !f[0].Absent()
}

// appendExtended appends a client's capabilities without what weir cannot carry to this server: extensions that it does not know, tasks of a caller or a
// server that has none, and the tasks of 2025-11-25.
func (c *Conn) appendExtended(dst []byte, call *catalog.Call, drop func(key []byte) bool) []byte {
	caps := call.Client.Capabilities
	f, err := rawjson.Fields(caps, "extensions")
	if err != nil {
		return append(dst, `{}`...)
	}
	var extra []rawjson.Member
	if all := f[0].Of(caps); len(all) > 0 && all[0] == '{' {
		extra = append(extra, rawjson.Member{Key: "extensions", Value: rawjson.AppendObject(nil, all, func(key []byte) bool {
			switch string(key) {
			case appsExtension:
				return false
			case tasksExtension:
				return call.Client.Era != catalog.Modern || !extends(c.peer.Load().capabilities, tasksExtension)
			}
			return true
		})})
	}
	return rawjson.AppendObject(dst, caps, func(key []byte) bool {
		return string(key) == "tasks" || string(key) == "extensions" || drop != nil && drop(key)
	}, extra...)
}

// extended reports whether capabilities may hold what appendExtended leaves out. A key can be written with escapes.
func extended(capabilities []byte) bool {
	return bytes.Contains(capabilities, []byte(`"extensions"`)) || bytes.Contains(capabilities, []byte(`"tasks"`)) || bytes.IndexByte(capabilities, '\\') >= 0
}
