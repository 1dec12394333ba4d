package policy

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unique"

	"weir/catalog/rawjson"
)

// maxIdentity bounds what is kept of a caller, in bytes. A token that says more is refused: forgetting a part of it could forget a deny.
const maxIdentity = 64 << 10

// Identity is what sign-in verified about a caller. Every field comes from a credential that was checked, none from anything that a client
// chooses for itself.
type Identity struct {
	// Issuer and Subject name a user: the iss and sub of a token. Issuer is empty for callers that weir itself knows by name: owners of
	// API keys, client certificates.
	Issuer, Subject string
	// Client is the OAuth client that calls, "" when there is none.
	Client string
	// Tenant is the virtual server, or the organisation, that the caller was let in to; "" for none.
	Tenant string
	// Groups, Roles and Scopes are bare names; their order means nothing.
	Groups, Roles, Scopes []string
	// Attributes are claims that conditions look at, raw JSON by name. They are a part of the identity: leave out what changes with every
	// token, such as times.
	Attributes map[string]json.RawMessage
}

// Principal is a verified identity. Only [Verified] and [LocalUser] make one that may be asked about; the zero value is nobody and may do
// nothing. Two principals are equal (==) when everything that was verified about them is.
type Principal struct {
	key unique.Handle[string] // of encode; a value without key is nobody
}

// localUser is the subject of LocalUser, which no other identity can have.
const localUser = "local"

// LocalUser is the person who runs weir: the peer of stdio, or of a loopback address when no sign-in is configured.
func LocalUser() Principal {
	return newPrincipal(&identity{user: userType + localUser})
}

// Verified returns the principal of a verified identity. It is an error when id names neither a user nor a client, when a name is not
// plain text, and when the identity is larger than 64 KiB.
func Verified(id Identity) (Principal, error) {
	if id.Subject == "" && id.Client == "" {
		return Principal{}, errors.New("identity: neither subject nor client")
	}
	switch {
	case strings.Contains(id.Issuer, "|"):
		return Principal{}, fmt.Errorf("identity: issuer %q: has a |", id.Issuer)
	case id.Issuer == "" && strings.Contains(id.Subject, "|"):
		return Principal{}, fmt.Errorf("identity: subject %q: has a | and no issuer", id.Subject)
	case id.Issuer == "" && id.Subject == localUser:
		return Principal{}, errors.New("identity: the subject local is the person who runs weir")
	case id.Issuer != "" && id.Subject == "":
		return Principal{}, errors.New("identity: issuer without subject")
	}
	n := &identity{tenant: id.Tenant}
	if id.Subject != "" {
		n.user = userType + userName(id.Issuer, id.Subject)
	}
	if id.Client != "" {
		n.client = clientType + id.Client
	}
	n.groups, n.roles, n.scopes = typed(groupType, id.Groups), typed(roleType, id.Roles), typed(scopeType, id.Scopes)
	for _, s := range n.subjects() {
		if err := checkSubject(s); err != nil {
			return Principal{}, fmt.Errorf("identity: %w", err)
		}
	}
	if id.Tenant != "" {
		if err := checkTenant(id.Tenant); err != nil {
			return Principal{}, err
		}
	}
	var err error
	if n.attributes, err = attributes(id.Attributes); err != nil {
		return Principal{}, err
	}
	p := newPrincipal(n)
	if size := len(p.Key()); size > maxIdentity {
		return Principal{}, fmt.Errorf("identity: %d bytes, more than %d", size, maxIdentity)
	}
	return p, nil
}

func checkTenant(name string) error {
	if name == everywhere {
		return errors.New("identity: tenant: * is every tenant and none")
	}
	if err := checkName(name); err != nil {
		return fmt.Errorf("identity: tenant: %w", err)
	}
	return nil
}

// userName is the name of a user of an issuer, "" for weir's own.
func userName(issuer, subject string) string {
	if issuer == "" {
		return subject
	}
	return issuer + "|" + subject
}

// typed puts a type before names, sorted and each once.
func typed(prefix string, names []string) []string {
	if len(names) == 0 {
		return nil
	}
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = prefix + name
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// attributes is the object of all attributes, its keys sorted and without white space.
func attributes(claims map[string]json.RawMessage) (string, error) {
	if len(claims) == 0 {
		return "", nil
	}
	object := []byte("{")
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if err := rawjson.UniqueKeys(claims[name]); err != nil {
			return "", fmt.Errorf("identity: attribute %q: %w", name, err)
		}
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(rawjson.AppendString(object, name), ':')
		var compact bytes.Buffer
		if err := json.Compact(&compact, claims[name]); err != nil {
			return "", fmt.Errorf("identity: attribute %q: %w", name, err)
		}
		object = append(object, compact.Bytes()...)
	}
	return string(append(object, '}')), nil
}

// At returns the same caller in a tenant: at the virtual server that the request came to. It fails for nobody.
func (p Principal) At(tenant string) (Principal, error) {
	n := p.identity()
	if n == nil {
		return Principal{}, errors.New("identity: nobody is in no tenant")
	}
	if err := checkTenant(tenant); err != nil {
		return Principal{}, err
	}
	n.tenant = tenant
	return newPrincipal(n), nil
}

// String returns the typed name of the user, else of the client: "user:local", "user:https://login.example.com|ana"; "" for nobody.
func (p Principal) String() string {
	var first [2]string
	if p.IsNobody() {
		return ""
	}
	rest := p.key.Value()
	for i := range first {
		first[i], rest = cutPart(rest)
	}
	switch {
	case first[0] != "":
		return first[0]
	case first[1] != "":
		return first[1]
	}
	if s := p.identity().subjects(); len(s) > 0 { // a supposed principal may be a group alone
		return s[0]
	}
	return ""
}

// Owner names who a session or a parked call belongs to: user, client and tenant. It stays the same when groups, roles or scopes change.
func (p Principal) Owner() string { return p.first(3) }

// Agent names who remembers what was read: user and client, in whatever tenant.
func (p Principal) Agent() string { return p.first(2) }

// first are the first n parts of the key; "" for nobody.
func (p Principal) first(n int) string {
	if p.IsNobody() {
		return ""
	}
	rest, all := p.key.Value(), p.key.Value()
	for range n {
		_, rest = cutPart(rest)
	}
	return all[:len(all)-len(rest)]
}

// Subjects are the typed names of everything that p is: user, client, groups, roles and scopes, as rules name them; nil for nobody.
func (p Principal) Subjects() []string {
	if p.IsNobody() {
		return nil
	}
	return p.identity().subjects()
}

// Tenant is where p was let in to, "" for none.
func (p Principal) Tenant() string {
	if p.IsNobody() {
		return ""
	}
	return p.identity().tenant
}

// Key is the whole identity as one string, for caches: equal for equal identities and different for different ones, because every part is
// written with its length. It is not for people and holds no secret. "" for nobody.
func (p Principal) Key() string {
	if p.IsNobody() {
		return ""
	}
	return p.key.Value()
}

// IsNobody reports whether p is the zero value.
func (p Principal) IsNobody() bool { return p == Principal{} }

// identity is a Principal taken apart; names carry their types.
type identity struct {
	user, client, tenant  string
	attributes            string
	groups, roles, scopes []string
}

// subjects lists the typed names of a caller, the user first.
func (n *identity) subjects() []string {
	s := make([]string, 0, 2+len(n.groups)+len(n.roles)+len(n.scopes))
	if n.user != "" {
		s = append(s, n.user)
	}
	if n.client != "" {
		s = append(s, n.client)
	}
	return append(append(append(s, n.groups...), n.roles...), n.scopes...)
}

func newPrincipal(n *identity) Principal { return Principal{unique.Make(n.encode())} }

// encode writes every part with its length before it, lists with their count.
func (n *identity) encode() string {
	var b []byte
	for _, s := range [...]string{n.user, n.client, n.tenant, n.attributes} {
		b = appendPart(b, s)
	}
	for _, list := range [...][]string{n.groups, n.roles, n.scopes} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, s := range list {
			b = appendPart(b, s)
		}
	}
	return string(b)
}

// identity is the inverse of encode, nil for nobody.
func (p Principal) identity() *identity {
	if p.IsNobody() {
		return nil
	}
	n, rest := &identity{}, p.key.Value()
	for _, s := range [...]*string{&n.user, &n.client, &n.tenant, &n.attributes} {
		*s, rest = cutPart(rest)
	}
	for _, list := range [...]*[]string{&n.groups, &n.roles, &n.scopes} {
		var count uint64
		count, rest = cutCount(rest)
		for range count {
			var s string
			s, rest = cutPart(rest)
			*list = append(*list, s)
		}
	}
	return n
}

func appendPart(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// cutPart takes the first part off what appendPart wrote.
func cutPart(s string) (part, rest string) {
	n, s := cutCount(s)
	return s[:n], s[n:]
}

func cutCount(s string) (n uint64, rest string) {
	for i, shift := 0, 0; i < len(s); i, shift = i+1, shift+7 {
		n |= uint64(s[i]&0x7f) << shift
		if s[i] < 0x80 {
			return n, s[i+1:]
		}
	}
	return 0, ""
}
