package openapi

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"weir/translate"
	"weir/translate/schema"
)

// dialect is the family of the specification that a document is written in.
type dialect uint8

const (
	swagger2  dialect = iota + 1
	openapi30         // schemas are an extended subset of an old JSON Schema draft
	openapi31         // 3.1 and 3.2: schemas are JSON Schema 2020-12
)

// document is one parsed file.
type document struct {
	name    string // its path below the folder that references may not leave
	main    bool
	root    *schema.Value
	dialect dialect
}

// site is a value and where it stands.
type site struct {
	doc     *document
	value   *schema.Value
	pointer string
}

func (s site) is(kind schema.Kind) bool { return s.value.Is(kind) }

// member steps into an object.
func (s site) member(key string) site {
	return site{s.doc, s.value.Get(key), s.pointer + "/" + schema.Token(key)}
}

// nth steps into the i-th member of an object, without looking for it.
func (s site) nth(i int) site {
	m := s.value.Members[i]
	return site{s.doc, m.Value, s.pointer + "/" + schema.Token(m.Key)}
}

// element steps into an array.
func (s site) element(i int) site {
	return site{s.doc, s.value.Members[i].Value, fmt.Sprintf("%s/%d", s.pointer, i)}
}

// String is how warnings name the place.
func (s site) String() string {
	if s.doc == nil || s.doc.main {
		return s.pointer
	}
	return s.doc.name + "#" + s.pointer
}

// description is a set of documents that refer to each other.
type description struct {
	main     *document
	files    map[string]*document
	read     func(name string) ([]byte, error) // nil: other files are not read
	targets  map[target]site
	warnings []translate.Warning
	warned   map[string]bool
	current  string // the operation that is being read

	callbacks, links int // of the operations
}

// target is a reference as it is written in a document.
type target struct {
	doc *document
	ref string
}

// open parses data and finds out what it is. Only a text that holds no API description at all is an error.
// name is its path below the folder in which read finds other files.
func open(name string, data []byte, overlays [][]byte, read func(string) ([]byte, error)) (*description, error) {
	root, err := schema.ParseText(data)
	if err != nil {
		return nil, err
	}
	if root.Kind != schema.Object {
		return nil, errors.New("the description is not an object")
	}
	d := &description{files: make(map[string]*document), read: read, targets: make(map[target]site), warned: make(map[string]bool)}
	d.main = &document{name: name, main: true, root: root}
	d.files[name] = d.main
	for i, text := range overlays {
		d.overlay(i+1, text)
	}
	d.main.dialect = dialectOf(d.main.root)
	if d.main.dialect == 0 {
		if d.main.root.Get("paths") == nil {
			return nil, errors.New("the description has neither openapi nor swagger nor paths")
		}
		d.main.dialect = guess(d.main.root)
		d.warn(site{doc: d.main}, "the version is missing or unknown; read as the version it looks like")
	}
	switch info := (site{doc: d.main, value: d.main.root}).member("info"); {
	case info.value == nil:
		d.warn(info, "info is missing; the API has no title")
	case !info.is(schema.Object):
		d.warn(info, "info is no object; the API has no title")
	}
	return d, nil
}

func dialectOf(root *schema.Value) dialect {
	if v := root.Get("swagger"); v != nil && strings.HasPrefix(v.Text, "2") {
		return swagger2
	}
	v := root.Get("openapi")
	switch {
	case v == nil:
		return 0
	case strings.HasPrefix(v.Text, "3.0"):
		return openapi30
	case strings.HasPrefix(v.Text, "3"):
		return openapi31
	case strings.HasPrefix(v.Text, "2"):
		return swagger2
	}
	return 0
}

func guess(root *schema.Value) dialect {
	if root.Get("definitions") != nil || root.Get("basePath") != nil {
		return swagger2
	}
	return openapi30
}

// warn records a warning once per place and text.
func (d *description) warn(at site, format string, args ...any) {
	d.record(at, false, format, args...)
}

func (d *description) record(at site, lost bool, format string, args ...any) {
	w := translate.Warning{Pointer: at.String(), Operation: d.current, Message: fmt.Sprintf(format, args...), Lost: lost}
	key := w.Pointer + "\x00" + w.Message
	if d.warned[key] {
		return
	}
	d.warned[key] = true
	d.warnings = append(d.warnings, w)
}

// What a description may have in one place. The largest public ones have a tenth of it, and much costs the square of these.
const (
	maxOperations = 25_000
	maxParameters = 1000 // of an operation, and in a path
	maxProperties = 2000 // of a schema, and names that it requires
	maxMedia      = 100  // media types of a body
	maxResponses  = 200  // of an operation
	maxChoices    = 50   // servers, and alternatives of security
)

// first returns the first n members or elements of s, with a warning when there are more.
func (d *description) first(s site, n int) []schema.Member {
	if s.value == nil {
		return nil
	}
	all := s.value.Members
	if len(all) > n {
		d.warn(s, "there are %d, of which the first %d are used", len(all), n)
		all = all[:n]
	}
	return all
}

// maxHops bounds a chain of references.
const maxHops = 32

// follow returns what s stands for: s itself, or what its $ref leads to. The error says why it leads nowhere.
func (d *description) follow(s site) (site, error) {
	for range maxHops {
		ref := s.value.Get("$ref")
		if !ref.Is(schema.String) {
			return s, nil
		}
		next, err := d.lookup(s.doc, ref.Text)
		if err != nil {
			return s, fmt.Errorf("$ref %q: %w", schema.Shorten(ref.Text, 120), err)
		}
		s = next
	}
	return s, errors.New("the references lead in a circle")
}

// lookup finds what ref, written in doc, refers to.
func (d *description) lookup(doc *document, ref string) (site, error) {
	key := target{doc, ref}
	if s, ok := d.targets[key]; ok {
		return s, nil
	}
	file, fragment, _ := strings.Cut(ref, "#")
	in := doc
	if file != "" {
		var err error
		if in, err = d.file(doc, file); err != nil {
			return site{}, err
		}
	}
	pointer, err := url.PathUnescape(fragment)
	if err != nil {
		pointer = fragment
	}
	v, err := in.root.Pointer(pointer)
	if err != nil && fragment != pointer {
		v, err = in.root.Pointer(fragment)
	}
	if err != nil {
		return site{}, err
	}
	s := site{in, v, pointer}
	d.targets[key] = s
	return s, nil
}

// file returns another document, read once. It never leaves the folder of references and never goes to the network.
func (d *description) file(from *document, ref string) (*document, error) {
	if u, err := url.Parse(ref); err != nil || u.Scheme != "" || u.Host != "" {
		return nil, errors.New("references to addresses are not followed")
	}
	name, err := url.PathUnescape(ref)
	if err != nil {
		return nil, errors.New("the path cannot be read")
	}
	name = path.Join(path.Dir(from.name), name)
	if path.IsAbs(ref) || name == ".." || strings.HasPrefix(name, "../") {
		return nil, errors.New("the file lies outside the folder of references")
	}
	if doc, ok := d.files[name]; ok {
		if doc == nil {
			return nil, errors.New("the file cannot be read")
		}
		return doc, nil
	}
	d.files[name] = nil
	if d.read == nil {
		return nil, errors.New("other files are read only where that is configured")
	}
	data, err := d.read(name)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read", name)
	}
	root, err := schema.ParseText(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	doc := &document{name: name, root: root, dialect: d.main.dialect}
	if v := dialectOf(root); v != 0 {
		doc.dialect = v
	}
	d.files[name] = doc
	return doc, nil
}

// sorted returns the warnings in order of place.
func (d *description) sorted() []translate.Warning {
	slices.SortStableFunc(d.warnings, func(a, b translate.Warning) int { return strings.Compare(a.Pointer, b.Pointer) })
	return d.warnings
}

// title is what the API calls itself.
func (d *description) title() string {
	return schema.Shorten(schema.Clean(d.main.root.Get("info").GetText("title")), maxText)
}
