package openapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

// maxBlob bounds binary content that is put into a result.
const maxBlob = 4 << 20

// result makes a result of a response: status, then media type, then size, then shape.
func (x *exchange) result(ctx context.Context, response *http.Response) *translate.Result {
	if response.StatusCode < 200 || response.StatusCode > 299 {
		data, _ := x.body(ctx, response)
		return x.failure(response, data)
	}
	kind := kindOf(response.Header.Get("Content-Type"))
	if kind == mediaStream || kind == mediaLines {
		return x.stream(ctx, response, kind)
	}
	data, cut := x.body(ctx, response)
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
	case kind == mediaJSON, x.tool.Output.Schema != nil && looksJSON(data):
		return x.json(ctx, response, data)
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
	if x.tool.Output.Schema != nil {
		r.SetStructured([]byte("{}"))
	}
	return r
}

// cutOff is the result of an answer that is not whole.
func (x *exchange) cutOff(why string) *translate.Result {
	text := "The API answered, but the answer cannot be used: " + why + "."
	text += " " + x.tool.TooLarge(x.tool.page.lessHint())
	return translate.Failure(text)
}

// text makes a text block of a textual answer. A page for browsers where the description has something else is a failure.
func (x *exchange) text(response *http.Response, data []byte) *translate.Result {
	name := essence(response.Header.Get("Content-Type"))
	text := decodeText(response.Header.Get("Content-Type"), data)
	if name == "text/html" && !strings.Contains(x.tool.plan.accept, "text/html") {
		return translate.Failure("The API answered with a web page instead of data" + pageTitle(text) + ". The server or its address may be wrong.")
	}
	if x.tool.Output.Schema != nil && name != "text/html" && kindOf(name) != mediaText && kindOf(name) != mediaXML {
		return translate.Failure("The API answered " + name + " instead of JSON.")
	}
	r := &translate.Result{}
	limit := x.tool.Output.Bound()
	if len(text) > limit {
		r.AddText(schema.Shorten(text, limit))
		r.AddText(fmt.Sprintf("Cut: these are the first %s of %s.", translate.Bytes(limit), translate.Bytes(len(text))))
	} else {
		r.AddText(text)
	}
	if x.tool.Output.Schema != nil {
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
	name, sniffed := essence(response.Header.Get("Content-Type")), essence(http.DetectContentType(data))
	if name == "" || name == "application/octet-stream" || !strings.Contains(name, "/") {
		name = sniffed
	}
	if textual := kindOf(name) == mediaText || strings.HasPrefix(name, "application/") && sniffed == "text/plain" || name == "image/svg+xml"; textual && utf8.Valid(data) {
		return x.text(response, data)
	}
	r := &translate.Result{}
	if x.tool.Output.Schema != nil {
		r.SetStructured([]byte("{}"))
	}
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	switch {
	case len(data) > maxBlob:
		r.AddText(fmt.Sprintf("The answer is %s of %s, which is too large to be passed on. SHA-256: %s.", translate.Bytes(len(data)), name, hash))
		if at := x.address(); at != "" {
			r.AddLink(at, x.tool.Name, name, len(data))
		}
	case strings.HasPrefix(name, "image/"):
		r.AddMedia("image", name, data)
	case strings.HasPrefix(name, "audio/"):
		r.AddMedia("audio", name, data)
	default:
		r.AddBlob("blob:sha256:"+hash[:16], name, data)
		r.AddText(fmt.Sprintf("%s of %s%s.", translate.Bytes(len(data)), name, fileName(response)))
	}
	return r
}

// address is where a client can fetch the answer by itself, "" where it cannot: that takes a plain GET of a public name without a credential, and nothing
// in it that configuration hides.
func (x *exchange) address() string {
	u := x.out.url
	hidden := slices.ContainsFunc(x.tool.plan.arguments, func(a argument) bool { return a.Hidden })
	if x.out.method != http.MethodGet || len(x.out.header) > 1 || len(x.secrets)+len(x.api.options.Headers) > 0 || hidden ||
		u.Scheme != "https" || !strings.Contains(u.Host, ".") || net.ParseIP(u.Hostname()) != nil {
		return ""
	}
	return u.String()
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
func (x *exchange) json(ctx context.Context, response *http.Response, data []byte) *translate.Result {
	v, err := schema.Parse(data)
	if err != nil {
		text := decodeText("", data)
		if strings.HasPrefix(strings.TrimSpace(text), "<") {
			return translate.Failure("The API answered with a web page instead of JSON" + pageTitle(text) + ".")
		}
		return translate.Failure("The API answered JSON that cannot be read (" + err.Error() + "). " + x.tool.CarriedOut())
	}
	on := x.next(response, v)
	more := on.String()
	if on.more && x.tool.page.most > 0 && x.args.True(pagesArgument) {
		v, more = x.follow(ctx, v, len(data), on)
		data = v.Append(nil)
	}
	y := translate.Reply{Data: rawjson.Compact(data[:0], data), Value: v, Args: x.args, Scrub: translate.Scrub(x.secrets)}
	if more != "" {
		y.Notes = []string{more}
	}
	return x.tool.Output.Result(y)
}
