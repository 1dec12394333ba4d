package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
	"go.yaml.in/yaml/v4"

	"weir/catalog"
)

// Entry is a server to be added to a file. What is empty is not written.
type Entry struct {
	Command string            `json:"command,omitempty" yaml:"command,omitempty"`
	Args    []string          `json:"args,omitempty" yaml:"args,omitempty,flow"`
	Env     map[string]string `json:"env,omitempty" yaml:"env,omitempty"`
	URL     string            `json:"url,omitempty" yaml:"url,omitempty"`
	Type    string            `json:"type,omitempty" yaml:"type,omitempty"`
	OpenAPI string            `json:"openapi,omitempty" yaml:"openapi,omitempty"`
	Server  string            `json:"server,omitempty" yaml:"server,omitempty"`
	GRPC    string            `json:"grpc,omitempty" yaml:"grpc,omitempty"`
	GraphQL string            `json:"graphql,omitempty" yaml:"graphql,omitempty"`
	Headers map[string]string `json:"headers,omitempty" yaml:"headers,omitempty"`
}

// Add returns the text of a file of weir's own with one more server, the last; replace lets one of its name go. Everything else stays as it is
// written, comments too. The result is a valid configuration if the file was one.
func Add(path string, data []byte, name string, e Entry, replace bool, env Env) ([]byte, error) {
	d, err := newDraft(path, data, env)
	if err != nil {
		return nil, err
	}
	if fault := nameFault(name); fault != "" {
		return nil, catalog.Errorf(catalog.Invalid, "the name %q %s", name, fault)
	}
	if d.has(name) {
		if !replace {
			return nil, &catalog.Error{
				Code: catalog.Invalid, Msg: fmt.Sprintf("%s: there is a server %q already", d.name, name), Hint: "weir add " + name + " --replace …",
			}
		}
		if err := d.remove(name); err != nil {
			return nil, err
		}
	}
	if err := d.add(name, e); err != nil {
		return nil, err
	}
	return d.finish(name)
}

// Remove returns the text of a file of weir's own without one server and the comment right above it.
func Remove(path string, data []byte, name string, env Env) ([]byte, error) {
	d, err := newDraft(path, data, env)
	if err != nil {
		return nil, err
	}
	if !d.has(name) {
		var names []string
		for _, u := range d.file.MCPServers {
			names = append(names, u.Name)
		}
		fault := catalog.Errorf(catalog.NotFound, "%s: there is no server %q", d.name, name)
		if near := Nearest(name, names); near != "" {
			fault.Hint = "weir rm " + near
		}
		return nil, fault
	}
	if err := d.remove(name); err != nil {
		return nil, err
	}
	return d.finish(name)
}

// draft is a file that is being changed.
type draft struct {
	path, name string
	data       []byte
	env        Env
	file       *File
	before     Upstreams
	json       bool
}

func newDraft(path string, data []byte, env Env) (*draft, error) {
	d := &draft{path: path, name: Show(path, env), data: data, env: env}
	var err error
	if d.file, err = Parse(path, data, env); err != nil {
		return nil, err
	}
	d.before = d.file.MCPServers
	if d.file.Client {
		return nil, &catalog.Error{
			Code: catalog.Config, Msg: d.name + ": is the file of an MCP client, which weir does not change", Hint: "--config weir.yaml",
		}
	}
	_, err = hujson.Parse(data)
	d.json = err == nil
	return d, nil
}

func (d *draft) has(name string) bool {
	return slices.ContainsFunc(d.file.MCPServers, func(u Upstream) bool { return u.Name == name })
}

// finish reads the result, which must be as good as any file and say the same of every other server.
func (d *draft) finish(name string) ([]byte, error) {
	after, err := Parse(d.path, d.data, d.env)
	if err != nil {
		return nil, err
	}
	others := func(all Upstreams) Upstreams {
		return slices.DeleteFunc(slices.Clone(all), func(u Upstream) bool { return u.Name == name })
	}
	if !slices.EqualFunc(others(d.before), others(after.MCPServers), func(x, y Upstream) bool { return reflect.DeepEqual(x, y) }) {
		return nil, d.byHand()
	}
	return d.data, nil
}

func (d *draft) add(name string, e Entry) error {
	if d.json {
		value, err := json.Marshal(e)
		if err != nil {
			return err
		}
		patch := fmt.Sprintf(`{"op":"add","path":"/mcpServers/%s","value":%s}`, name, value)
		if len(d.file.MCPServers) == 0 {
			patch = fmt.Sprintf(`{"op":"add","path":"/mcpServers","value":{%q:%s}}`, name, value)
		}
		return d.patch(patch)
	}
	block, err := yamlEntry(name, e)
	if err != nil {
		return err
	}
	root, servers, err := d.servers()
	switch {
	case err != nil:
		return err
	case servers == nil:
		d.data = append(withEnd(d.data), append([]byte("mcpServers:\n"), indented(block, 2)...)...)
		return nil
	case len(servers.Content) == 0: // {} or nothing
		key := root.Content[slices.Index(root.Content, servers)-1]
		lines := linesOf(withEnd(d.data))
		at := key.Line - 1
		lines[at] = append(bytes.Replace(lines[at], []byte(" {}"), nil, 1), indented(block, key.Column+1)...)
		d.data = bytes.Join(lines, nil)
		return nil
	case servers.Style&yaml.FlowStyle != 0:
		return d.byHand()
	}
	lines := linesOf(withEnd(d.data))
	end := endOf(lines, root, servers)
	first := servers.Content[0]
	lines = slices.Insert(lines, end, indented(block, first.Column-1))
	d.data = bytes.Join(lines, nil)
	return nil
}

func (d *draft) remove(name string) error {
	if d.json {
		return d.patch(fmt.Sprintf(`{"op":"remove","path":"/mcpServers/%s"}`, name))
	}
	root, servers, err := d.servers()
	switch {
	case err != nil:
		return err
	case servers == nil || servers.Style&yaml.FlowStyle != 0:
		return d.byHand()
	}
	lines := linesOf(withEnd(d.data))
	for i := 0; i+1 < len(servers.Content); i += 2 {
		key := servers.Content[i]
		if key.Value != name {
			continue
		}
		start, end := above(lines, key), endOf(lines, root, servers)
		if i+2 < len(servers.Content) {
			end = above(lines, servers.Content[i+2])
		}
		d.data = bytes.Join(slices.Delete(lines, start, end), nil)
		return d.reread()
	}
	return d.byHand()
}

// reread takes up what was changed, for the next change.
func (d *draft) reread() error {
	file, err := Parse(d.path, d.data, d.env)
	if err == nil {
		d.file = file
	}
	return err
}

// patch applies one operation of JSON Patch (RFC 6902).
func (d *draft) patch(operation string) error {
	v, err := hujson.Parse(d.data)
	if err != nil {
		return err
	}
	if err := v.Patch([]byte("[" + operation + "]")); err != nil {
		return err
	}
	if servers := v.Find("/mcpServers"); servers != nil {
		if o, ok := servers.Value.(*hujson.Object); ok && len(o.Members) > 1 {
			ownLine(&o.Members[0].Name, &o.Members[len(o.Members)-1].Name)
		}
	}
	d.data = v.Pack()
	return d.reread()
}

// ownLine puts the last name of an object on a line of its own when the first has one.
func ownLine(first, last *hujson.Value) {
	before := string(first.BeforeExtra)
	at := strings.LastIndexByte(before, '\n')
	if at < 0 || strings.TrimSpace(before[at:]) != "" {
		return
	}
	if len(last.BeforeExtra) == 0 {
		last.BeforeExtra = hujson.Extra("\n")
	}
	if last.BeforeExtra[len(last.BeforeExtra)-1] == '\n' {
		last.BeforeExtra = append(last.BeforeExtra, before[at+1:]...)
	}
}

// byHand is the answer for a form that is not changed here.
func (d *draft) byHand() error {
	return &catalog.Error{Code: catalog.Config, Msg: d.name + ": mcpServers is written in a form that only you can change; write one server per line", Hint: d.path}
}

// servers finds the mapping of servers, nil when there is none.
func (d *draft) servers() (root, servers *yaml.Node, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(d.data, &doc); err != nil || len(doc.Content) == 0 {
		return &yaml.Node{}, nil, err
	}
	root = doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return root, nil, nil
	}
	if root.Style&yaml.FlowStyle != 0 {
		return nil, nil, d.byHand()
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "mcpServers" {
			servers = root.Content[i+1]
		}
	}
	if servers != nil && servers.Kind == yaml.AliasNode {
		return nil, nil, errors.New("mcpServers is an alias; change it by hand")
	}
	return root, servers, nil
}

// endOf is the line behind the last one of the mapping of servers, from 0; comments in front of the next key belong to that.
func endOf(lines [][]byte, root, servers *yaml.Node) int {
	at := slices.Index(root.Content, servers)
	end := len(lines)
	if at+1 < len(root.Content) {
		end = root.Content[at+1].Line - 1
	}
	for end > 0 {
		line := strings.TrimRight(string(lines[end-1]), "\r\n")
		text := strings.TrimSpace(line)
		if text != "" && (text[0] != '#' || line[0] != '#') && line != "..." {
			break
		}
		end--
	}
	return end
}

// above is the first line of a key with the comment right above it, from 0.
func above(lines [][]byte, key *yaml.Node) int {
	at := key.Line - 1
	for at > 0 {
		line := strings.TrimSpace(string(lines[at-1]))
		if !strings.HasPrefix(line, "#") || !slices.Contains(strings.Split(key.HeadComment, "\n"), line) {
			break // what looks like a comment may be the end of a text
		}
		at--
	}
	return at
}

// yamlEntry writes a server as a block.
func yamlEntry(name string, e Entry) ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(map[string]Entry{name: e}); err != nil {
		return nil, err
	}
	return b.Bytes(), encoder.Close()
}

// indented puts n spaces in front of every line.
func indented(block []byte, n int) []byte {
	space := bytes.Repeat([]byte(" "), n)
	var out []byte
	for line := range bytes.SplitAfterSeq(bytes.TrimRight(block, "\n"), []byte("\n")) {
		out = append(append(out, space...), line...)
	}
	return append(out, '\n')
}

// withEnd is data with a line break behind its last line.
func withEnd(data []byte) []byte {
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return append(slices.Clip(data), '\n')
	}
	return slices.Clip(data)
}
