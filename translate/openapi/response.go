package openapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

// maxBlob bounds binary content that is put into a result.
const maxBlob = 4 << 20

// result makes a result of a response: status, then media type, then size, then shape.
func (x *exchange) result(ctx context.Context, response *http.Response) *translate.Result {
	if response.StatusCode < 200 || response.StatusCode > 299 {
		data, _ := x.body(response)
		return x.failure(response, data)
	}
	kind := kindOf(response.Header.Get("Content-Type"))
	if kind == mediaStream || kind == mediaLines {
		return x.stream(ctx, response, kind)
	}
	data, cut := x.body(response)
	if cut != "" {
		if ctx.Err() != nil {
			return x.unreached(ctx, ctx.Err())
		}
		return x.cutOff(cut)
	}
	if len(data) == 0 {
		return x.empty(response)
	}
	if response.Header.Get("Content-Type") == "" {
		kind = sniff(data)
	}
	switch {
	case kind == mediaJSON, x.tool.reply.output != nil && looksJSON(data):
		return x.json(response, data)
	case kind == mediaText || kind == mediaXML || kind == mediaForm:
		return x.text(response, data)
	default:
		return x.binary(response, data)
	}
}

func sniff(data []byte) mediaKind {
	if looksJSON(data) {
		return mediaJSON
	}
	return kindOf(http.DetectContentType(data))
}

func looksJSON(data []byte) bool {
	trimmed := bytes.TrimLeft(data, " \t\r\n")
	return len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') && rawjson.Valid(data) == nil
}

// done is what a call without a body in its answer comes to.
func (x *exchange) empty(response *http.Response) *translate.Result {
	r := &translate.Result{}
	text := fmt.Sprintf("Done (%d).", response.StatusCode)
	if at := response.Header.Get("Location"); at != "" && !strings.ContainsFunc(at, isControl) {
		text = fmt.Sprintf("Done (%d). Location: %s", response.StatusCode, schema.Shorten(x.scrub(at), 500))
	}
	r.AddText(text)
	if x.tool.reply.output != nil {
		r.SetStructured([]byte("{}"))
	}
	return r
}

// cutOff is the result of an answer that is not whole.
func (x *exchange) cutOff(why string) *translate.Result {
	text := "The API answered, but the answer cannot be used: " + why + "."
	if x.tool.hints.ReadOnly {
		text += " Ask for less" + x.tool.page.lessHint() + "."
	} else {
		text += " The call was carried out, or part of it; check before you repeat it."
	}
	return translate.Failure(text)
}

// text makes a text block of a textual answer. A page for browsers where the description has something else is a failure.
func (x *exchange) text(response *http.Response, data []byte) *translate.Result {
	name := essence(response.Header.Get("Content-Type"))
	text := decodeText(response.Header.Get("Content-Type"), data)
	if name == "text/html" && !strings.Contains(x.tool.plan.accept, "text/html") {
		return translate.Failure("The API answered with a web page instead of data" + pageTitle(text) + ". The server or its address may be wrong.")
	}
	if x.tool.reply.output != nil && name != "text/html" && kindOf(name) != mediaText && kindOf(name) != mediaXML {
		return translate.Failure("The API answered " + name + " instead of JSON.")
	}
	r := &translate.Result{}
	limit := x.maxText()
	if len(text) > limit {
		r.AddText(schema.Shorten(text, limit))
		r.AddText(fmt.Sprintf("Cut: these are the first %s of %s.", bytesText(limit), bytesText(len(text))))
	} else {
		r.AddText(text)
	}
	if x.tool.reply.output != nil {
		r.SetStructured([]byte("{}"))
	}
	return r
}

// decodeText returns text in UTF-8; ISO 8859-1 is the one other encoding that is still met.
func decodeText(contentType string, data []byte) string {
	_, params, err := mime.ParseMediaType(contentType)
	if charset := strings.ToLower(params["charset"]); err == nil && (charset == "iso-8859-1" || charset == "latin1") {
		runes := make([]rune, len(data))
		for i, c := range data {
			runes[i] = rune(c)
		}
		return string(runes)
	}
	return strings.ToValidUTF8(string(data), string(utf8.RuneError))
}

func pageTitle(text string) string {
	lower := strings.ToLower(text)
	start := strings.Index(lower, "<title>")
	if start < 0 || len(lower) != len(text) {
		return ""
	}
	title, _, found := strings.Cut(text[start+len("<title>"):], "</")
	if !found {
		return ""
	}
	return " (" + schema.Shorten(schema.Clean(title), 120) + ")"
}

// binary makes an image, audio or resource block.
func (x *exchange) binary(response *http.Response, data []byte) *translate.Result {
	name := essence(response.Header.Get("Content-Type"))
	if name == "" || name == "application/octet-stream" || !strings.Contains(name, "/") {
		name = essence(http.DetectContentType(data))
		if kindOf(name) == mediaText && utf8.Valid(data) {
			return x.text(response, data)
		}
	}
	r := &translate.Result{}
	if x.tool.reply.output != nil {
		r.SetStructured([]byte("{}"))
	}
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	switch {
	case len(data) > maxBlob:
		r.AddText(fmt.Sprintf("The answer is %s of %s, which is too large to be passed on. SHA-256: %s.", bytesText(len(data)), name, hash))
	case strings.HasPrefix(name, "image/") && name != "image/svg+xml":
		r.AddMedia("image", name, data)
	case strings.HasPrefix(name, "audio/"):
		r.AddMedia("audio", name, data)
	default:
		r.AddBlob("blob:sha256:"+hash[:16], name, data)
		r.AddText(fmt.Sprintf("%s of %s%s.", bytesText(len(data)), name, fileName(response)))
	}
	return r
}

// fileName is the name that the API gives the content.
func fileName(response *http.Response) string {
	_, params, err := mime.ParseMediaType(response.Header.Get("Content-Disposition"))
	if name := params["filename"]; err == nil && name != "" {
		return ", file name " + schema.Shorten(schema.Clean(name), 120)
	}
	return ""
}

// json makes text and structuredContent of a JSON answer.
func (x *exchange) json(response *http.Response, data []byte) *translate.Result {
	v, err := schema.Parse(data)
	if err != nil {
		text := decodeText("", data)
		if strings.HasPrefix(strings.TrimSpace(text), "<") {
			return translate.Failure("The API answered with a web page instead of JSON" + pageTitle(text) + ".")
		}
		return translate.Failure("The API answered JSON that cannot be read (" + err.Error() + "). " + x.outcome())
	}
	more := x.next(response, v)
	if path := x.tool.shape.Path; path != "" {
		if part := gjson.GetBytes(data, path); part.Exists() {
			data = []byte(part.Raw)
			if v, err = schema.Parse(data); err != nil {
				return translate.Failure("The part of the answer that is configured cannot be read.")
			}
		}
	}
	if x.passes(data) {
		return x.present(rawjson.Compact(make([]byte, 0, len(data)), data), v, nil, more)
	}
	if fields := x.fields(); len(fields) > 0 {
		v = translate.Mask(v, fields)
	}
	v, notes := translate.Shrink(v, x.maxText())
	return x.present(v.Append(nil), v, notes, more)
}

// passes reports whether the answer can go as it is.
func (x *exchange) passes(data []byte) bool {
	return len(data) <= x.maxText() && len(x.fields()) == 0
}

func (x *exchange) outcome() string {
	if x.tool.hints.ReadOnly {
		return "It only reads, so it may be tried again."
	}
	return "The call was carried out; check before you repeat it."
}

// fields are those that the caller asked for, else those of the configuration.
func (x *exchange) fields() []string {
	if x.tool.selects {
		if asked := x.args.Get(translate.FieldsArgument).Strings(); len(asked) > 0 {
			return asked
		}
	}
	return x.tool.shape.Fields
}

// present puts a JSON value into a result: as it is written in text, and as v.
func (x *exchange) present(value []byte, v *schema.Value, notes []string, more string) *translate.Result {
	text := string(value)
	if clean := x.scrub(text); clean != text {
		text = clean
		if scrubbed, err := schema.Parse([]byte(text)); err == nil {
			v = scrubbed
		} else {
			v = schema.Map()
		}
		value = []byte(text)
	}
	r := &translate.Result{}
	r.AddText(text)
	for _, n := range notes {
		r.AddText(n)
	}
	if more != "" {
		r.AddText(more)
	}
	wrap := x.tool.reply.output != nil && x.tool.reply.wrapped || v.Kind != schema.Object
	if wrap {
		v = schema.Map(schema.Member{Key: "result", Value: v})
		value = append(append([]byte(`{"result":`), value...), '}')
	}
	if output := x.tool.reply.output; output != nil {
		fitted, whole := schema.Fit(v, output)
		if !whole {
			value = fitted.Append(nil)
			r.AddText("Some values have other types than the API describes; they stand in the text only.")
		}
	}
	r.SetStructured(value)
	return r
}
