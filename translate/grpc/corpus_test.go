package grpc

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	second "github.com/google/jsonschema-go/jsonschema"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"weir/catalog"
	"weir/translate"
	"weir/translate/schema"
)

// unpack extracts the corpus.
func unpack(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "corpus.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return folder
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(filepath.Dir(h.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := root.WriteFile(h.Name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// part is one import root of the corpus, compiled.
type part struct {
	name        string
	set         *descriptorpb.FileDescriptorSet
	services    []string
	warnings    []translate.Warning
	description *description
}

// corpus compiles every file of every root, with those that they need.
func corpus(t testing.TB) []part {
	t.Helper()
	folder := unpack(t)
	var parts []part
	for _, name := range []string{"etcd", "googleapis", "grpc-gateway", "grpc-proto", "opentelemetry", "temporal"} {
		root := filepath.Join(folder, name)
		var files []string
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && strings.HasSuffix(path, ".proto") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		imports := []string{root}
		for _, shared := range []string{"googleapis", "grpc-gateway"} {
			if shared != name {
				imports = append(imports, filepath.Join(folder, shared))
			}
		}
		s, err := openSources(files, imports)
		if err != nil {
			t.Fatal(err)
		}
		p := part{name: name}
		p.set, p.services, p.warnings, err = s.compile(context.Background())
		s.close()
		if err != nil {
			t.Fatal(name, err)
		}
		if p.description, err = link(p.set, p.services); err != nil {
			t.Fatal(name, err)
		}
		parts = append(parts, p)
	}
	return parts
}

// tools builds the tools of a part.
func (p part) tools(t testing.TB, spec Spec) ([]*method, *translate.Reading) {
	t.Helper()
	d, err := link(p.set, p.services)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{description: d, spec: &spec, upstream: "api"}
	a := &API{spec: spec, options: translate.Options{Upstream: "api"}}
	methods := b.build()
	return methods, translate.NewReading("api", &spec.Spec, a.translation(methods, d))
}

// TestCorpus holds every description of the corpus: every service that compiles is there, every method of it is a tool, names are portable and
// unique, every schema compiles in two validators, and what is published takes what the full schema takes and is within its budget.
func TestCorpus(t *testing.T) {
	total, failed := 0, 0
	for _, p := range corpus(t) {
		for _, w := range p.warnings {
			if !strings.Contains(w.Message, "raft") { // two files of etcd need what is absent on purpose
				t.Errorf("%s: %+v", p.name, w)
			}
		}
		methods, reading := p.tools(t, Spec{Bidi: true, Spec: translate.Spec{Mode: translate.ModeTools}})
		want := 0
		for _, s := range p.description.services {
			want += s.Methods().Len()
		}
		if len(methods) != want || len(reading.Report.Warnings) > 0 {
			t.Errorf("%s: %d of %d methods are tools: %v", p.name, len(methods), want, reading.Report.Warnings)
		}
		t.Logf("%s: %d files, %d services, %d tools, %d tokens, largest %d bytes", p.name, len(p.set.GetFile()), len(p.description.services), len(methods), reading.Report.Tokens, reading.Report.Largest)
		snapshot := catalog.Build([]*catalog.Source{reading.Source}, catalog.Options{})
		if problems := snapshot.Problems(); len(problems) > 0 || len(snapshot.Entries()) != len(methods) {
			t.Errorf("%s: the catalogue withholds tools: %v", p.name, problems)
		}
		random := rand.New(rand.NewPCG(1, 2))
		for _, m := range methods {
			total++
			if fault := checkTool(m, newTypes(p.description), random); fault != "" {
				failed++
				t.Errorf("%s: %s: %s", p.name, m.Key, fault)
			}
		}
	}
	t.Logf("%d methods, %d with faults", total, failed)
	if total < 500 {
		t.Errorf("the corpus has %d methods only", total)
	}
}

// checkTool says what is wrong with one tool.
func checkTool(m *method, types *types, random *rand.Rand) string {
	check, err := m.Input.Check()
	if err != nil {
		return "the full schema does not compile: " + err.Error()
	}
	var other second.Schema
	if err := json.Unmarshal([]byte(m.Input.Full.Value().JSON()), &other); err != nil {
		return "the second library cannot read the full schema: " + err.Error()
	}
	if _, err := other.Resolve(nil); err != nil {
		return "the second library cannot compile the full schema: " + err.Error()
	}
	listed, err := schema.Parse(m.Raw)
	if err != nil {
		return err.Error()
	}
	input := listed.Get("inputSchema")
	if len(input.JSON()) > 4096 {
		return fmt.Sprintf("%d bytes are published", len(input.JSON()))
	}
	published, err := schema.Compile(schema.Full{Root: input, Defs: schema.NewDefs()}, schema.Untrusted())
	if err != nil {
		return "what is published does not compile: " + err.Error()
	}
	if len(m.Name) > translate.NameLimit("api") || strings.Trim(m.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return "the name is " + m.Name
	}
	for i := range 8 {
		s := schema.Sampler{Defs: m.Input.Full.Defs, Optional: i > 0}
		if i > 1 {
			s.Rand = random
		}
		v := fixSample(s.Value(m.Input.Full.Root), m)
		if faults := check.Check(v.Plain()); len(faults) > 0 {
			return fmt.Sprintf("a sample is not valid: %+v %s", faults[0], schema.Shorten(v.JSON(), 300))
		}
		if faults := published.Check(v.Plain()); len(faults) > 0 {
			return fmt.Sprintf("what is published refuses a valid sample: %+v", faults[0])
		}
		if fault := roundTrip(m, types, v); fault != "" {
			return fault
		}
	}
	return fitsReply(m, types, random)
}

// roundTrip sends arguments through JSON, the wire and back, and compares.
func roundTrip(m *method, types *types, v *schema.Value) string {
	args, refused := m.Input.Accept([]byte(v.JSON()))
	if refused != nil {
		answer, err := refused.Answer()
		if err != nil {
			return err.Error()
		}
		return "arguments were refused: " + schema.Shorten(string(answer.Message.Data), 600) + " " + schema.Shorten(v.JSON(), 600)
	}
	for _, data := range m.encode(args) {
		first := dynamicpb.NewMessage(m.descriptor.Input())
		if err := types.read(data, first); err != nil {
			return fmt.Sprintf("a message cannot be read: %v: %s", err, schema.Shorten(string(data), 600))
		}
		bytes1, err := proto.MarshalOptions{Deterministic: true}.Marshal(first)
		if err != nil {
			return err.Error()
		}
		second := dynamicpb.NewMessage(m.descriptor.Input())
		if err := proto.Unmarshal(bytes1, second); err != nil {
			return err.Error()
		}
		text, err := types.json(second)
		if err != nil {
			return err.Error()
		}
		third := dynamicpb.NewMessage(m.descriptor.Input())
		if err := types.read(text, third); err != nil {
			return fmt.Sprintf("what was written cannot be read: %v: %s", err, schema.Shorten(string(text), 600))
		}
		bytes2, err := proto.MarshalOptions{Deterministic: true}.Marshal(third)
		if err != nil || !bytes.Equal(bytes1, bytes2) {
			return fmt.Sprintf("a message changed on its way: %s", schema.Shorten(string(data), 600))
		}
	}
	return ""
}

// fitsReply writes random replies and checks them against the published output schema.
func fitsReply(m *method, types *types, random *rand.Rand) string {
	if m.Output.Schema == nil || m.descriptor.IsStreamingServer() {
		return ""
	}
	check, err := schema.Compile(schema.Full{Root: m.Output.Schema, Defs: schema.NewDefs()}, schema.Untrusted())
	if err != nil {
		return "the output schema does not compile: " + err.Error()
	}
	for range 3 {
		reply := dynamicpb.NewMessage(m.descriptor.Output())
		fill(reply, random, 0)
		data, err := types.json(reply)
		if err != nil {
			return "a reply cannot be written: " + err.Error()
		}
		v, err := schema.Parse(data)
		if err != nil {
			return err.Error()
		}
		r := m.Output.Result(translate.Reply{Data: data, Value: v, Args: schema.Map()})
		got, err := schema.Parse(r.Structured())
		if err != nil {
			return err.Error()
		}
		if faults := check.Check(got.Plain()); len(faults) > 0 {
			return fmt.Sprintf("a reply does not fit the output schema: %+v", faults[0])
		}
		if _, whole := schema.Fit(schema.Map(append([]schema.Member(nil), got.Members...)...), m.Output.Schema); !whole {
			return "a valid reply lost values"
		}
	}
	return ""
}

// TestNamesDoNotDependOnOthers takes services away: the names of the rest stay, unless two wanted one.
func TestNamesDoNotDependOnOthers(t *testing.T) {
	for _, p := range corpus(t) {
		names := make(map[string]string)
		all, _ := p.tools(t, Spec{Bidi: true})
		short := make(map[string]int)
		for _, m := range all {
			names[m.Key] = m.Name
			short[string(m.descriptor.Parent().Name())+"_"+string(m.descriptor.Name())]++
		}
		p.services = slices.Sorted(slices.Values(p.services))[:len(p.services)*2/3]
		some, _ := p.tools(t, Spec{Bidi: true})
		for _, m := range some {
			if names[m.Key] != m.Name && short[string(m.descriptor.Parent().Name())+"_"+string(m.descriptor.Name())] == 1 {
				t.Errorf("%s was %s and is %s", m.Key, names[m.Key], m.Name)
			}
		}
		if values := slices.Collect(maps.Values(names)); len(values) != len(slices.Compact(slices.Sorted(slices.Values(values)))) {
			t.Errorf("%s: names are not unique", p.name)
		}
	}
}

// TestEveryMessage sends a sample of every message of the corpus through JSON, the wire and back.
func TestEveryMessage(t *testing.T) {
	total, failed := 0, 0
	for _, p := range corpus(t) {
		c, types := newConverter(request), newTypes(p.description)
		var walk func(all protoreflect.MessageDescriptors)
		walk = func(all protoreflect.MessageDescriptors) {
			for i := range all.Len() {
				m := all.Get(i)
				walk(m.Messages())
				if m.IsMapEntry() {
					continue
				}
				total++
				if fault := messageTrip(c, types, m); fault != "" {
					failed++
					t.Logf("%s: %s: %s", p.name, m.FullName(), fault)
				}
			}
		}
		for f := range p.description.files.RangeFiles {
			walk(f.Messages())
		}
	}
	t.Logf("%d messages, %d failed", total, failed)
	if total < 2000 || failed*1000 > total {
		t.Errorf("%d of %d messages failed", failed, total)
	}
}

// messageTrip says what went wrong with samples of one message.
func messageTrip(c *converter, types *types, m protoreflect.MessageDescriptor) string {
	s := schema.Full{Root: c.message(m), Defs: c.defs}
	check, err := schema.Compile(s, schema.Described())
	if err != nil {
		return err.Error()
	}
	for _, optional := range []bool{false, true} {
		sampler := schema.Sampler{Defs: c.defs, Optional: optional}
		v := fixMessage(sampler.Value(s.Root), m)
		if faults := check.Check(v.Plain()); len(faults) > 0 {
			return fmt.Sprintf("a sample is not valid: %+v", faults[0])
		}
		a := &adapter{}
		v = a.message(v, m, nil, 0)
		first, second := dynamicpb.NewMessage(m), dynamicpb.NewMessage(m)
		if err := types.read(v.Append(nil), first); err != nil || len(a.said) > 0 {
			return fmt.Sprintf("%v %v", err, a.said)
		}
		text, err := types.json(proto.Clone(first).ProtoReflect()) // writing may change what is written
		if err != nil {
			return err.Error()
		}
		if err := types.read(text, second); err != nil || !proto.Equal(first, second) {
			return fmt.Sprintf("changed on its way: %v %s", err, schema.Shorten(string(text), 300))
		}
	}
	return ""
}
