package authn

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/tidwall/gjson"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"weir/catalog/rawjson"
)

// peek takes a JWT apart without believing it: header and claims are objects in which every key stands once. false for anything else.
func peek(token string) (header, claims []byte, ok bool) {
	if strings.Count(token, ".") != 2 {
		return nil, nil, false
	}
	first, rest, _ := strings.Cut(token, ".")
	second, _, _ := strings.Cut(rest, ".")
	header, claims = object(first), object(second)
	return header, claims, header != nil && claims != nil
}

// object decodes a part of a JWT, nil when it is no acceptable object.
func object(part string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || len(b) == 0 || b[0] != '{' || rawjson.UniqueKeys(b) != nil {
		return nil
	}
	return b
}

// signature is the KeySet of one verification: it keeps the reason of a failure, of which go-oidc keeps the words only.
type signature struct {
	keys       *keySet
	generation uint64
	err        error
}

// VerifySignature implements oidc.KeySet.
func (s *signature) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	algorithms := make([]jose.SignatureAlgorithm, 0, len(Algorithms()))
	for _, a := range Algorithms() {
		algorithms = append(algorithms, jose.SignatureAlgorithm(a))
	}
	jws, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return nil, err
	}
	var payload []byte
	payload, s.generation, s.err = s.keys.verify(ctx, jws)
	return payload, s.err
}

// verifyJWT checks a token that says it is a JWT. header and claims are what peek saw; they choose who verifies and nothing else.
func (a *Authenticator) verifyJWT(ctx context.Context, s *state, res *resource, token, from string, header, claims []byte) (known, error) {
	at := slices.IndexFunc(s.issuers, func(i *issuer) bool { return i.spec.Issuer == text(claims, "iss") })
	if at < 0 {
		return known{}, invalid("the token is of an issuer that is not trusted here")
	}
	i := s.issuers[at]
	allowed := i.spec.Algorithms
	if len(allowed) == 0 {
		allowed = Algorithms()
	}
	switch {
	case !slices.Contains(allowed, text(header, "alg")):
		return known{}, invalid("the token is not signed in a way that is accepted")
	case gjson.GetBytes(header, "crit").Exists():
		return known{}, invalid("the token asks for extensions that are not supported")
	}
	audience := res.audienceIn(i, claims)
	if audience == "" {
		return known{}, invalid("the token is for another audience")
	}
	signed := &signature{keys: i.keys}
	verified, err := oidc.NewVerifier(i.spec.Issuer, signed, &oidc.Config{
		ClientID: audience, SupportedSigningAlgs: allowed,
		Now: func() time.Time { return time.Now().Add(-s.spec.ClockSkew) },
	}).Verify(ctx, token)
	if err != nil {
		return known{}, why(signed.err, err)
	}
	var payload json.RawMessage
	if err := verified.Claims(&payload); err != nil {
		return known{}, &cause{status: invalid("").status, code: "invalid_token", reason: "the token is malformed", detail: err}
	}
	until := verified.Expiry.Add(s.spec.ClockSkew)
	reason, ahead := s.untimely(payload)
	a.tellSkew(ctx, i, ahead, reason == "")
	if reason != "" {
		return known{}, invalid(reason)
	}
	if !time.Now().Before(until) {
		return known{}, invalid("the token has expired")
	}
	if !i.spec.isAccess(text(header, "typ"), payload) {
		return known{}, invalid("the token is not an access token")
	}
	k, err := s.admit(i, res, payload)
	if err != nil {
		return known{}, err
	}
	k.keys, k.caller.Until = signed.generation, until
	if i.spec.Introspection.JWTs {
		_, believed, err := a.active(ctx, s, i, res, token, from)
		if err != nil {
			return known{}, err
		}
		k.caller.Until = earlier(until, believed)
	}
	return k, nil
}

// audienceIn returns the audience that r asks of an issuer's tokens as claims spell it, "" when it is not among theirs. A slash at the end of a URL
// makes no difference.
func (r *resource) audienceIn(i *issuer, claims []byte) string {
	want := r.audience(i)
	aud := gjson.GetBytes(claims, "aud")
	for _, v := range aud.Array() {
		if got := v.String(); v.Type == gjson.String && (got == want || strings.Contains(want, "://") && strings.TrimSuffix(got, "/") == want) {
			return got
		}
	}
	return ""
}

// why puts the failure of a verification into words.
func why(signing, err error) *cause {
	expired := new(oidc.TokenExpiredError)
	c := invalid("the token is malformed")
	switch {
	case errors.Is(signing, errNoKeys):
		return unavailable(signing)
	case errors.Is(signing, errUnknownKey):
		c = invalid("the token is signed with a key that is not known")
	case errors.Is(signing, errSignature):
		c = invalid("the token's signature is wrong")
	case errors.As(err, &expired):
		c = invalid("the token has expired")
	}
	c.detail = err
	return c
}

// untimely says why a token may not be used yet. ahead is how many seconds its issuer's clock is ahead of this one at least, 0 when nothing shows that. go-oidc has
// fixed five minutes for nbf and does not look at iat.
func (s *state) untimely(claims []byte) (reason string, ahead float64) {
	now := time.Now()
	latest := float64(now.Add(s.spec.ClockSkew).Unix())
	nbf, iat := gjson.GetBytes(claims, "nbf").Float(), gjson.GetBytes(claims, "iat").Float()
	ahead = max(nbf, iat, float64(now.Unix())) - float64(now.Unix())
	switch {
	case nbf > latest:
		return "the token is not valid yet", ahead
	case iat > latest:
		return "the token was issued in the future", ahead
	}
	return "", ahead
}

// tellSkew measures that an issuer's clock is ahead.
func (a *Authenticator) tellSkew(ctx context.Context, i *issuer, ahead float64, accepted bool) {
	if ahead > 0 {
		a.skew.Record(ctx, ahead, metric.WithAttributes(attribute.String("weir.issuer", i.spec.Issuer), attribute.Bool("weir.accepted", accepted)))
	}
}

// isAccess reports whether a token is an access token, by the typ of its header and by its claims (RFC 9068, 2.1 and 4; OpenID Connect Core, 2).
func (i *Issuer) isAccess(typ string, claims []byte) bool {
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	plain := typ == "" || typ == "jwt"
	switch {
	case i.TokenType != "":
		return typ == strings.TrimPrefix(strings.ToLower(i.TokenType), "application/")
	case typ == "at+jwt":
		return true
	case i.AcceptIDTokens:
		return plain
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return gjson.GetBytes(claims, name).Exists() })
	}
	return plain && has("scope", "scp", "client_id", "cid") && !has("nonce", "at_hash", "c_hash", "s_hash")
}

// text is a member of an object that is a string, else "".
func text(object []byte, name string) string {
	if v := gjson.GetBytes(object, name); v.Type == gjson.String {
		return v.Str
	}
	return ""
}

// earlier is the earlier of two times; the zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
