package graphql

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"weir/catalog"
	"weir/catalog/room"
	"weir/translate"
	"weir/translate/schema"
)

// credential is the name under which the credential of an API is configured: GraphQL has no word for security.
const credential = "graphql"

// exchange is one call on its way to the API and back.
type exchange struct {
	api     *API
	tool    *tool
	call    *catalog.Call
	args    *schema.Value
	timeout time.Duration
	secrets []string  // what credentials put on the request; it never comes back to a model
	memory  room.Room // of what was answered
}

func (a *API) configured() bool {
	return a.options.Credentials != nil && a.options.Credentials.Has(credential)
}

// configuredQuery is the query of the configured endpoints: there is where some have their key.
func (a *API) configuredQuery() url.Values {
	all := url.Values{}
	for _, address := range [...]string{a.spec.GraphQL, a.spec.SubscriptionURL} {
		if u, err := url.Parse(address); err == nil {
			for name, values := range u.Query() {
				all[name] = append(all[name], values...)
			}
		}
	}
	return all
}

func scheme() translate.SecurityScheme {
	return translate.SecurityScheme{Name: credential, Type: "http", HTTP: "bearer"}
}

// run sends a query or mutation and makes a result of whatever comes.
func (x *exchange) run(ctx context.Context, out *outgoing) *translate.Result {
	response, failure := x.reach(ctx, out)
	if failure != nil {
		return failure
	}
	defer func() { _ = response.Body.Close() }()
	data, cut := x.body(ctx, response)
	if cut != "" {
		if ctx.Err() != nil {
			return x.unreached(ctx, ctx.Err())
		}
		return x.cutOff(cut)
	}
	if x.unknownHash(data) {
		p := x.tool.payload(&x.api.spec, x.args)
		p.text = x.tool.op.text
		_ = response.Body.Close()
		out = &outgoing{method: http.MethodPost, url: x.api.spec.GraphQL, contentType: "application/json", accept: acceptJSON, body: p.json()}
		if response, failure = x.reach(ctx, out); failure != nil {
			return failure
		}
		if data, cut = x.body(ctx, response); cut != "" {
			return x.cutOff(cut)
		}
	}
	return x.result(response, data)
}

// unknownHash reports whether the server asks for the text of an operation that was sent as a hash: it has not run anything. The operations
// of a manifest are known or they are refused.
func (x *exchange) unknownHash(data []byte) bool {
	if x.api.spec.Persisted != persistHash || x.tool.op.id != "" || len(data) > 4<<10 {
		return false
	}
	v, err := schema.Parse(data)
	if err != nil {
		return false
	}
	for _, e := range v.Array("errors") {
		if e.Value.GetText("message") == "PersistedQueryNotFound" || e.Value.Get("extensions").GetText("code") == "PERSISTED_QUERY_NOT_FOUND" {
			return true
		}
	}
	return false
}

// reach sends a request, once more with another credential when the first one was refused.
func (x *exchange) reach(ctx context.Context, out *outgoing) (*http.Response, *translate.Result) {
	response, failure := x.send(ctx, out)
	if failure == nil && response.StatusCode == http.StatusUnauthorized && x.api.configured() && x.api.options.Credentials.Renew(ctx, scheme(), x.call.Owner) {
		_ = response.Body.Close() // the API did not run the call
		return x.send(ctx, out)
	}
	return response, failure
}

// send puts the credential on a new request and sends it.
func (x *exchange) send(ctx context.Context, out *outgoing) (*http.Response, *translate.Result) {
	r, err := out.request(ctx)
	if err != nil {
		return nil, translate.Failure("The call was not sent: " + err.Error() + ".")
	}
	if failure := x.authorize(ctx, r); failure != nil {
		return nil, failure
	}
	response, err := x.api.options.Transport.RoundTrip(r)
	if err != nil {
		return nil, x.unreached(ctx, err)
	}
	return response, nil
}

// authorize puts the trace of the call on a request, and the credential when one is configured.
func (x *exchange) authorize(ctx context.Context, r *http.Request) *translate.Result {
	translate.Trace(x.call, r.Header.Set)
	x.call.Hop.At(r.URL)
	x.secrets = x.secrets[:0]
	for _, values := range x.api.options.Headers {
		x.secrets = append(x.secrets, values...)
	}
	for _, values := range x.api.configuredQuery() {
		x.secrets = append(x.secrets, values...)
	}
	if !x.api.configured() {
		return nil
	}
	before := *r.URL
	if err := x.api.options.Credentials.Authorize(ctx, r, scheme(), x.call.Owner); err != nil {
		return translate.Failure(fmt.Sprintf("The call was not sent: no credential could be had: %v.", err))
	}
	if r.URL.Scheme != before.Scheme || r.URL.Host != before.Host || r.URL.EscapedPath() != before.EscapedPath() {
		return translate.Failure("The call was not sent: a credential changed where it goes.")
	}
	for _, v := range r.Header["Authorization"] {
		_, token, _ := strings.Cut(v, " ")
		x.secrets = append(x.secrets, v, token)
	}
	return nil
}

// unreached describes a request that got no answer.
func (x *exchange) unreached(ctx context.Context, err error) *translate.Result {
	text, unusual := x.tool.Unreached(ctx, err, x.timeout)
	if unusual {
		x.api.options.Log.Warn("a call got no answer", "upstream", x.api.options.Upstream, "tool", x.tool.Name, "error", x.scrub(err.Error()))
	}
	return translate.Failure(text)
}

func (x *exchange) scrub(s string) string {
	if clean := translate.Scrub(x.secrets); clean != nil {
		return clean(s)
	}
	return s
}

// body reads the answer. cut says that it cannot be used.
func (x *exchange) body(ctx context.Context, response *http.Response) (data []byte, cut string) {
	return x.api.spec.ReadBody(ctx, response, &x.memory)
}

// cutOff is the result of an answer that is not whole.
func (x *exchange) cutOff(why string) *translate.Result {
	return translate.Failure("The API answered, but the answer cannot be used: " + why + ". " +
		x.tool.TooLarge(", for example with a smaller page or fewer `fields`"))
}

func essence(contentType string) string {
	name, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	return name
}
