package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// isClient tells a client's own file from weir's. The rule, in order: YAML is weir's; a file named weir.json or weir.jsonc is weir's; JSON with
// "servers" is VS Code's; JSON with "mcpServers" is a client's unless it also has another key of weir's.
func isClient(path string, root *node) bool {
	base := strings.ToLower(filepath.Base(path))
	ext := filepath.Ext(base)
	if ext == ".yaml" || ext == ".yml" || base == "weir.json" || base == "weir.jsonc" {
		return false
	}
	if root.get("servers") != nil || foreign(root) != nil {
		return true
	}
	for _, key := range keysOf(reflect.TypeFor[File]()) {
		if key != "mcpServers" && root.get(key) != nil {
			return false
		}
	}
	return root.get("mcpServers") != nil
}

// foreign returns the key under which a client that weir does not read keeps its servers.
func foreign(root *node) *member {
	if root.get("mcpServers") != nil || root.get("servers") != nil {
		return nil
	}
	for _, key := range []string{"context_servers", "mcp", "extensions", "mcp_servers", "amp.mcpServers"} {
		if m := root.member(key); m != nil {
			return m
		}
	}
	return nil
}

// clientFile reads the servers of a client's own file. Everything else in it is the client's business.
func (r *reader) clientFile(root *node, file *File) {
	if m := foreign(root); m != nil {
		whose := map[string]string{"context_servers": "Zed", "mcp": "OpenCode", "extensions": "Goose", "mcp_servers": "Codex", "amp.mcpServers": "Amp"}
		r.problem(m.key.at, "%q is the form of %s, which weir does not read; write the servers under \"mcpServers\"", m.key.text, whose[m.key.text])
		return
	}
	key, other := "mcpServers", root.member("servers")
	if other != nil {
		key = "servers"
		if m := root.member("mcpServers"); m != nil {
			r.problem(m.key.at, `both "servers" and "mcpServers"; keep one`)
		}
	}
	r.duplicates(root, "")
	servers := root.get(key)
	if servers.kind == object {
		servers = r.adopt(servers, key, filepath.ToSlash(file.Path))
	}
	r.value(servers, reflect.ValueOf(&file.MCPServers).Elem(), key, field{})
	r.checkUpstreams(servers, key, file)
}

// adopt rewrites servers from a client's dialect to weir's keys, at their places.
func (r *reader) adopt(servers *node, path, file string) *node {
	out := &node{kind: object, at: servers.at}
	for _, m := range servers.members {
		name := m.key.text
		if own := cleanName(name); own != name {
			r.warn(m.key.at, "%q cannot be a name in weir; it is called %q", name, own)
			name = own
		}
		if m.value.kind == object {
			if c := m.value.get("command"); strings.EqualFold(name, "weir") || c != nil && strings.TrimSuffix(filepath.Base(c.text), ".exe") == "weir" {
				r.warn(m.key.at, "%s.%s is weir itself; left out", path, m.key.text)
				continue
			}
			m.value = r.adoptServer(m.value, join(path, name), file)
		}
		out.members = append(out.members, member{&node{kind: text, text: name, at: m.key.at}, m.value})
	}
	return out
}

// adoptServer rewrites the keys of one server.
func (r *reader) adoptServer(server *node, path, file string) *node {
	out := &node{kind: object, at: server.at}
	seconds := r.countsSeconds(server, file)
	for _, m := range server.members {
		key, value := m.key.text, *m.value
		switch key {
		case "serverUrl", "httpUrl", "uri":
			if server.get("url") == nil {
				key = "url"
			}
		case "type", "transport", "transportType":
			key = "type"
			if value.text = transportWord(value.text); value.text == "" {
				continue
			}
		case "enabled":
			key = "disabled"
			value.text = strconv.FormatBool(value.text != "true")
		case "timeout":
			r.adoptTimeout(&value, seconds)
		case "includeTools", "tools":
			key = "include"
			r.warn(m.key.at, "%s.%s is read as include, which is about prompts and resources too", path, m.key.text)
		case "excludeTools":
			key = "exclude"
			r.warn(m.key.at, "%s.%s is read as exclude, which is about prompts and resources too", path, m.key.text)
		case "args", "env", "headers":
			value = *r.asText(&value, join(path, key))
		}
		out.members = append(out.members, member{&node{kind: text, text: key, at: m.key.at}, &value})
	}
	return out
}

// transportWord maps the words of clients to weir's; "" is for words that say nothing.
func transportWord(word string) string {
	switch word {
	case "streamable-http", "streamableHttp", "streamable_http":
		return "http"
	case "local":
		return "stdio"
	case "remote":
		return ""
	}
	return word
}

// countsSeconds says how the client of file counts timeouts. Cline, Roo and Kilo count seconds; their files and keys tell them.
func (r *reader) countsSeconds(server *node, file string) bool {
	if server.get("alwaysAllow") != nil {
		return true
	}
	for _, mark := range []string{"cline_mcp_settings.json", "/mcp_settings.json", "/.roo/", "/.kilocode/"} {
		if strings.Contains(file, mark) {
			return true
		}
	}
	return false
}

// adoptTimeout gives a plain number its unit: seconds for the clients that count so and for less than 1000, else milliseconds.
func (r *reader) adoptTimeout(n *node, seconds bool) {
	if n.kind != number {
		return
	}
	v, err := strconv.ParseFloat(n.text, 64)
	unit := "ms"
	if seconds || v < 1000 {
		unit = "s"
	}
	d, err2 := time.ParseDuration(n.text + unit)
	if err != nil || err2 != nil {
		return // the walk says what it wants
	}
	r.warn(n.at, "timeout %s is read as %s", n.text, d)
	n.kind, n.text = text, d.String()
}

// asText turns numbers and booleans in a list or mapping into the text they were written as, and leaves nulls out.
func (r *reader) asText(n *node, path string) *node {
	out := &node{kind: n.kind, text: n.text, at: n.at}
	plain := func(v *node) *node {
		if v.kind == number || v.kind == boolean {
			return &node{kind: text, text: v.text, at: v.at}
		}
		return v
	}
	for _, v := range n.items {
		out.items = append(out.items, plain(v))
	}
	for _, m := range n.members {
		if m.value.kind == null {
			r.warn(m.key.at, "%s.%s has no value; left out", path, m.key.text)
			continue
		}
		out.members = append(out.members, member{m.key, plain(m.value)})
	}
	return out
}

// cleanName makes a legal upstream name of what a client calls a server: the part after the last slash, other characters as "-".
func cleanName(name string) string {
	if nameFault(name) == "" {
		return name
	}
	if i := strings.LastIndexByte(strings.TrimRight(name, "/"), '/'); i >= 0 {
		name = strings.TrimRight(name, "/")[i+1:]
	}
	name = strings.Map(func(c rune) rune {
		if isNameChar(c) {
			return c
		}
		return '-'
	}, name)
	for strings.Contains(name, "__") {
		name = strings.ReplaceAll(name, "__", "_")
	}
	name = strings.Trim(name, "-_.")
	if len(name) > maxName {
		name = strings.Trim(name[:maxName], "-_.")
	}
	if name == "" {
		return "server"
	}
	return name
}

// maxName bounds an upstream's name so that public names keep room for the tool's.
const maxName = 32

// isNameChar reports whether c may stand in an upstream's name.
func isNameChar(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

// nameFault says what is wrong with an upstream's name, "" when nothing.
func nameFault(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxName:
		return fmt.Sprintf("is longer than %d characters", maxName)
	case strings.Contains(name, "__"):
		return `contains "__", which separates an upstream from its tool`
	case strings.ContainsRune("-_.", rune(name[0])):
		return "must start with a letter or a digit"
	case strings.ContainsFunc(name, func(c rune) bool { return !isNameChar(c) }):
		return "may have only letters, digits, and - _ ."
	}
	return ""
}
