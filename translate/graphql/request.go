package graphql

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

// The media types of GraphQL over HTTP: the new one says by the status whether the operation was run, the old one every server has.
const (
	mediaResponse = "application/graphql-response+json"
	acceptJSON    = mediaResponse + ", application/json;q=0.9"
	acceptEvents  = "text/event-stream, " + mediaResponse + ";q=0.9, application/json;q=0.8"
)

// payload is what is sent of an operation.
type payload struct {
	text      string // "" when the server knows the operation
	name      string
	variables *schema.Value
	hash      string // of persisted operations of Apollo servers
	id        string // of other persisted operations
	idName    string // under which id is sent
}

// requestHead is the body of a request up to the variables.
func requestHead(o *operation) []byte {
	head := append([]byte(`{"query":`), rawjson.AppendString(nil, o.text)...)
	if o.def.Name != "" {
		head = append(head, `,"operationName":`...)
		head = rawjson.AppendString(head, o.def.Name)
	}
	return append(head, `,"variables":`...)
}

// extensions are those of a request for a persisted operation, nil for none.
func (p *payload) extensions() []byte {
	if p.hash == "" {
		return nil
	}
	return append(rawjson.AppendString([]byte(`{"persistedQuery":{"version":1,"sha256Hash":`), p.hash), "}}"...)
}

// json is the body of a request (GraphQL over HTTP, section 5.1).
func (p *payload) json() []byte {
	b := []byte{'{'}
	put := func(key string, value []byte) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(rawjson.AppendString(b, key), ':')
		b = append(b, value...)
	}
	if p.text != "" {
		put("query", rawjson.AppendString(nil, p.text))
	}
	if p.id != "" {
		put(p.idName, rawjson.AppendString(nil, p.id))
	}
	if p.name != "" {
		put("operationName", rawjson.AppendString(nil, p.name))
	}
	put("variables", p.variables.Append(nil))
	if e := p.extensions(); e != nil {
		put("extensions", e)
	}
	return append(b, '}')
}

// query is the same as parameters of a URL (section 5.2).
func (p *payload) query() string {
	values := url.Values{}
	for _, x := range [...]struct{ key, value string }{
		{"query", p.text}, {p.idName, p.id}, {"operationName", p.name}, {"variables", p.variables.JSON()}, {"extensions", string(p.extensions())},
	} {
		if x.key != "" && x.value != "" {
			values.Set(x.key, x.value)
		}
	}
	return values.Encode()
}

// payload says what is sent of a tool's operation.
func (t *tool) payload(spec *Spec, args *schema.Value) payload {
	p := payload{name: t.op.def.Name, variables: t.op.variables(args), text: t.op.text}
	if t.uploads {
		return p // servers take files with the text only
	}
	switch spec.Persisted {
	case persistHash:
		p.text, p.hash = "", t.op.hash
		if t.op.id != "" {
			p.hash = t.op.id
		}
	case persistID, persistDocumentID:
		if t.op.id != "" {
			p.text, p.id, p.idName = "", t.op.id, spec.Persisted
		}
	}
	return p
}

// outgoing is a finished request without credentials.
type outgoing struct {
	method      string
	url         string
	contentType string
	accept      string
	body        []byte
}

// request makes a new request of it.
func (o *outgoing) request(ctx context.Context) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, o.method, o.url, bytes.NewReader(o.body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", o.accept)
	if o.method == http.MethodGet {
		r.Body, r.ContentLength = http.NoBody, 0
		r.Header.Set("Apollo-Require-Preflight", "true") // Apollo servers refuse requests that a form of a web page could send
		return r, nil
	}
	r.Header.Set("Content-Type", o.contentType)
	if strings.HasPrefix(o.contentType, "multipart/") {
		r.Header.Set("Apollo-Require-Preflight", "true")
	}
	return r, nil
}

// outgoing makes the request of a call; from reads the resources that its arguments name.
func (a *API) outgoing(ctx context.Context, from catalog.ResourceReader, t *tool, args *schema.Value) (*outgoing, error) {
	out := &outgoing{method: http.MethodPost, url: a.spec.GraphQL, contentType: "application/json", accept: acceptJSON}
	p := t.payload(&a.spec, args)
	if t.uploads {
		files, err := extract(ctx, from, t.op, p.variables)
		if err != nil {
			return nil, err
		}
		if len(files) > 0 {
			out.body, out.contentType, err = multipartBody(&p, files)
			return out, err
		}
	}
	switch {
	case a.spec.Get && t.op.def.Operation == ast.Query && p.text == "":
		out.method = http.MethodGet
		out.url += separator(out.url) + p.query()
	case p.text != "" && p.hash == "":
		out.body = append(p.variables.Append(append(make([]byte, 0, len(t.head)+256), t.head...)), '}')
	default:
		out.body = p.json()
	}
	return out, nil
}

func separator(address string) string {
	if strings.Contains(address, "?") {
		return "&"
	}
	return "?"
}

// part is a file among the variables.
type part struct {
	path string // variables.input.files.0
	file translate.File
}

// maxFiles bounds how many files one call sends.
const maxFiles = 20

// uploads reports whether a variable of the operation may hold a file.
func (b *builder) uploads(o *operation) bool {
	o.types = b.description.schema
	return slices.ContainsFunc(o.def.VariableDefinitions, func(v *ast.VariableDefinition) bool { return b.description.files[v.Type.Name()] })
}

// holdFiles finds the input types that a file may stand in, at any depth. Scalars that configuration explains are none.
func (d *description) holdFiles(scalars map[string]translate.Literal) {
	d.files = make(map[string]bool)
	users := make(map[string][]string)
	var pending []string
	for name, def := range d.schema.Types {
		switch {
		case def.Kind == ast.Scalar && isUpload(name) && scalars[name].Value == nil:
			pending = append(pending, name)
		case def.Kind == ast.InputObject:
			for _, f := range def.Fields {
				users[f.Type.Name()] = append(users[f.Type.Name()], name)
			}
		}
	}
	for len(pending) > 0 {
		name := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if !d.files[name] {
			d.files[name] = true
			pending = append(pending, users[name]...)
		}
	}
}

func isUpload(name string) bool { return name == "Upload" || name == "File" }

// extract takes the files out of variables and leaves null in their places (GraphQL multipart request specification).
func extract(ctx context.Context, from catalog.ResourceReader, o *operation, variables *schema.Value) ([]part, error) {
	var files []part
	var walk func(v *schema.Value, t *ast.Type, path string) (*schema.Value, error)
	walk = func(v *schema.Value, t *ast.Type, path string) (*schema.Value, error) {
		if v == nil || v.Is(schema.Null) {
			return v, nil
		}
		out := &schema.Value{Kind: v.Kind, Text: v.Text, Members: append([]schema.Member(nil), v.Members...)}
		if t.Elem != nil && v.Is(schema.Array) {
			for i, m := range v.Members {
				inner, err := walk(m.Value, t.Elem, path+"."+strconv.Itoa(i))
				if err != nil {
					return nil, err
				}
				out.Members[i].Value = inner
			}
			return out, nil
		}
		def := o.types.Types[t.Name()]
		switch {
		case def == nil:
		case isUpload(def.Name) && def.Kind == ast.Scalar:
			f, err := translate.ReadFile(ctx, from, v)
			if err != nil {
				return nil, fmt.Errorf("`%s` %w", strings.TrimPrefix(path, "variables."), err)
			}
			if len(files) == maxFiles {
				return nil, fmt.Errorf("more than %d files are given", maxFiles)
			}
			files = append(files, part{path: path, file: f})
			return &schema.Value{}, nil
		case def.Kind == ast.InputObject && v.Is(schema.Object):
			for i, m := range v.Members {
				if f := def.Fields.ForName(m.Key); f != nil {
					inner, err := walk(m.Value, f.Type, path+"."+m.Key)
					if err != nil {
						return nil, err
					}
					out.Members[i].Value = inner
				}
			}
		}
		return out, nil
	}
	for i, m := range variables.Members {
		def := o.def.VariableDefinitions.ForName(m.Key)
		if def == nil {
			continue
		}
		v, err := walk(m.Value, def.Type, "variables."+m.Key)
		if err != nil {
			return nil, err
		}
		variables.Members[i].Value = v
	}
	return files, nil
}

// multipartBody writes the request with its files: operations, the map of places, and the files in order.
func multipartBody(p *payload, files []part) (body []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	places := schema.Map()
	for i, f := range files {
		places.Put(strconv.Itoa(i), schema.Texts(f.path))
	}
	for _, x := range [...]struct {
		name string
		data []byte
	}{{"operations", p.json()}, {"map", places.Append(nil)}} {
		if err := w.WriteField(x.name, string(x.data)); err != nil {
			return nil, "", err
		}
	}
	for i, f := range files {
		name, mimeType := f.file.Name, f.file.MimeType
		if name == "" {
			name = "file"
		}
		if mimeType == "" {
			mimeType = "application/octet-stream"
		}
		out, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {fmt.Sprintf(`form-data; name="%d"; filename="%s"`, i, translate.QuoteHeader(name))}, "Content-Type": {mimeType},
		})
		if err == nil {
			_, err = out.Write(f.file.Content)
		}
		if err != nil {
			return nil, "", err
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), w.FormDataContentType(), nil
}
