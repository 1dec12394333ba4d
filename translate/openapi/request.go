package openapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"weir/catalog"
	"weir/translate"
	"weir/translate/schema"
)

// outgoing is a request before credentials.
type outgoing struct {
	method string
	url    *url.URL
	header http.Header
	body   []byte // nil for none
}

// key is equal for requests that ask for the same.
func (o *outgoing) key() string { return o.url.String() + "\n" + string(o.body) }

// outgoing builds the request of checked arguments; from reads the resources that they name. The error says which argument cannot be sent; nothing was sent then.
func (p *plan) outgoing(ctx context.Context, from catalog.ResourceReader, args *schema.Value, arrays string) (*outgoing, error) {
	if p.server == nil {
		return nil, errors.New("it is not known where the API is; configure server")
	}
	path := make(map[string]string, 4)
	q := newQuery(arrays)
	cookies := query{separator: "; ", arrays: arrays, escape: appendEscaped}
	header := http.Header{"Accept": {p.accept}}
	var whole string
	for i := range p.arguments {
		a := &p.arguments[i]
		v := a.Value(args)
		if v == nil || a.place >= inField {
			continue
		}
		switch a.place {
		case inPath:
			value, err := a.inPath(v)
			if err != nil {
				return nil, err
			}
			path[a.wire] = value
		case inQuery:
			q.add(a.wire, a.style, v)
		case inQueryString:
			whole = wholeQuery(a, v, arrays)
		case inHeader:
			if err := a.inHeader(header, v); err != nil {
				return nil, err
			}
		case inCookie:
			cookies.add(a.wire, a.style, v)
		default:
		}
	}
	if len(cookies.out) > 0 {
		header.Set("Cookie", string(cookies.out))
	}
	u, err := p.url(path, joinQuery(p.template.query, string(q.out), whole))
	if err != nil {
		return nil, err
	}
	out := &outgoing{method: p.method, url: u, header: header}
	return out, p.putBody(ctx, from, out, args, arrays)
}

func joinQuery(parts ...string) string {
	var all []string
	for _, s := range parts {
		if s != "" {
			all = append(all, s)
		}
	}
	return strings.Join(all, "&")
}

// inPath checks and writes a path parameter.
func (a *argument) inPath(v *schema.Value) (string, error) {
	text := scalarText(v)
	if v.Kind == schema.Array || v.Kind == schema.Object {
		if text = strings.Join(flatten(v), ","); text == "" {
			return "", fmt.Errorf("`%s` must not be empty: it is part of the path", a.Name)
		}
		for _, part := range flatten(v) {
			if part != "" {
				if err := safePathValue(part); err != nil {
					return "", fmt.Errorf("`%s` %w", a.Name, err)
				}
			}
		}
	}
	if err := safePathValue(text); err != nil {
		return "", fmt.Errorf("`%s` %w", a.Name, err)
	}
	return pathValue(a.wire, a.style, v), nil
}

// inHeader checks and sets a header parameter (RFC 9110 section 5.5: no CR, LF or NUL, and none of the other control characters).
func (a *argument) inHeader(header http.Header, v *schema.Value) error {
	if v.Kind == schema.Null {
		return nil
	}
	text := string(appendSimple(nil, v, a.style.explode, verbatim))
	if a.style.media != "" && v.Kind != schema.String {
		text = v.JSON()
	}
	if strings.ContainsFunc(text, isControl) {
		return fmt.Errorf("`%s` must not contain control characters: it is sent as a header", a.Name)
	}
	header.Set(a.wire, strings.TrimSpace(text))
	return nil
}

// wholeQuery writes a parameter that is the query itself (OpenAPI 3.2, in: querystring).
func wholeQuery(a *argument, v *schema.Value, arrays string) string {
	if v.Kind == schema.Object && (a.style.media == "" || kindOf(a.style.media) == mediaForm) {
		q := newQuery(arrays)
		for _, m := range v.Members {
			q.formField(m.Key, style{}, m.Value)
		}
		return string(q.out)
	}
	text := v.JSON()
	if v.Kind == schema.String {
		text = v.Text
	}
	return string(appendEscaped(nil, text))
}

// url puts the pieces together; nothing in it comes from an argument unescaped.
func (p *plan) url(values map[string]string, rawQuery string) (*url.URL, error) {
	raw, err := p.template.expand([]byte(p.server.prefix), values)
	if err != nil {
		return nil, err
	}
	plain, err := url.PathUnescape(string(raw))
	if err != nil {
		return nil, errors.New("the path of the operation cannot be written")
	}
	return &url.URL{Scheme: p.server.scheme, Host: p.server.host, Path: plain, RawPath: string(raw), RawQuery: rawQuery}, nil
}

// putBody writes the body.
func (p *plan) putBody(ctx context.Context, from catalog.ResourceReader, out *outgoing, args *schema.Value, arrays string) error {
	if p.media == "" {
		return nil
	}
	given := p.given(args)
	if given == nil {
		return nil
	}
	var err error
	contentType := p.media
	switch kindOf(p.media) {
	case mediaForm:
		q := newQuery(arrays)
		for _, m := range given.Members {
			q.formField(m.Key, p.encoding[m.Key], m.Value)
		}
		out.body = q.out
	case mediaMultipart:
		out.body, contentType, err = p.multipart(ctx, from, given)
	case mediaText, mediaXML, mediaBinary, mediaStream:
		out.body, contentType, err = p.opaque(ctx, from, given)
	case mediaLines:
		out.body = lines(given)
	default:
		out.body = given.Append(nil)
	}
	if out.body == nil {
		out.body = []byte{}
	}
	out.header.Set("Content-Type", contentType)
	return err
}

// given is the value of the body: one argument, or an object of its members; nil when there is none.
func (p *plan) given(args *schema.Value) *schema.Value {
	object := schema.Map()
	for i := range p.arguments {
		a := &p.arguments[i]
		if a.place < inField {
			continue
		}
		v := a.Value(args)
		if a.place == inBody {
			return v
		}
		if v != nil {
			object.Members = append(object.Members, schema.Member{Key: a.wire, Value: v})
		}
	}
	if len(object.Members) == 0 && !p.always {
		return nil
	}
	return object
}

// lines writes the elements of a list as lines of JSON.
func lines(v *schema.Value) []byte {
	if v.Kind != schema.Array {
		v = schema.List(v)
	}
	var out []byte
	for _, m := range v.Members {
		out = append(m.Value.Append(out), '\n')
	}
	return out
}

// opaque writes a body that is not made of members.
func (p *plan) opaque(ctx context.Context, from catalog.ResourceReader, v *schema.Value) (body []byte, contentType string, err error) {
	switch {
	case kindOf(p.media) == mediaXML && v.Kind == schema.String:
		return []byte(v.Text), p.media, nil
	case kindOf(p.media) == mediaXML:
		return p.document(v), p.media, nil
	case kindOf(p.media) == mediaText:
		return []byte(scalarText(v)), p.media, nil
	}
	f, err := translate.ReadFile(ctx, from, v)
	if err != nil {
		return nil, "", fmt.Errorf("`body` %w", err)
	}
	contentType = p.media
	if f.MimeType != "" && strings.HasPrefix(p.media, "application/octet-stream") {
		contentType = f.MimeType
	}
	return f.Content, contentType, nil
}

// request makes the HTTP request. It has no GetBody, so that nothing below repeats what may have been sent.
func (o *outgoing) request() *http.Request {
	r := &http.Request{
		Method: o.method, URL: o.url, Host: o.url.Host, Header: o.header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(len(o.body)),
	}
	if o.body != nil {
		r.Body = io.NopCloser(bytes.NewReader(o.body))
		if len(o.body) == 0 {
			r.Body = http.NoBody
		}
	}
	return r
}
