package server

import (
	"weir/catalog"
	"weir/catalog/rawjson"
)

// The extensions that weir carries (spec 2026-07-28, extensions). What it does not know it neither advertises nor declares: their methods would lead nowhere.
const (
	tasksExtension = "io.modelcontextprotocol/tasks"
	appsExtension  = "io.modelcontextprotocol/ui"
)

// extends reports whether raw capabilities, of a client or a server, name an extension.
func extends(capabilities []byte, extension string) bool {
	f, err := rawjson.Fields(capabilities, "extensions")
	return err == nil && !f[0].Absent() && member(f[0].Of(capabilities), extension)
}

// offered reports whether any upstream of s has an extension.
func offered(s *catalog.Snapshot, extension string) bool {
	for _, src := range s.Sources() {
		if extends(src.Capabilities, extension) {
			return true
		}
	}
	return false
}

// capabilitiesOf are what weir tells clients of an era that it serves. Tasks are for modern clients alone: no mapping to those of
// 2025-11-25 exists.
func capabilitiesOf(s *catalog.Snapshot, era catalog.Era) []byte {
	b := []byte(capabilities)
	opened := false
	for _, extension := range []string{appsExtension, tasksExtension} {
		if extension == tasksExtension && era != catalog.Modern || !offered(s, extension) {
			continue
		}
		if !opened {
			b = append(b[:len(b)-1], `,"extensions":{`...)
			opened = true
		} else {
			b = append(b, ',')
		}
		b = append(rawjson.AppendString(b, extension), `:{}`...)
	}
	if opened {
		b = append(b, `}}`...)
	}
	return b
}
