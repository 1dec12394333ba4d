package authn

import "time"

// Spec is how callers sign in.
type Spec struct {
	// OIDC are the issuers whose access tokens are taken: one, or a list.
	OIDC []Issuer `yaml:"oidc"`
	// Resource is the URL under which clients know the endpoint, such as https://weir.example.com/mcp. It is the audience that tokens must have and
	// what clients ask tokens for. Made of listen and path when left out.
	Resource string `yaml:"resource"`
	// Scopes are needed to call anything. Clients are told to ask for them.
	Scopes []string `yaml:"scopes"`
	// ScopeIncludes names, for a scope, the narrower scopes that it stands for.
	ScopeIncludes map[string][]string `yaml:"scopeIncludes"`
	// ClockSkew is how far the clocks of issuers may be from this one, up to 60s.
	ClockSkew time.Duration `yaml:"clockSkew"`
	// APIKeys are keys for programs that cannot sign in.
	APIKeys []APIKey `yaml:"apiKeys"`
	// Certificates takes the certificates of clients that tls.clientCA signed.
	Certificates Certificates `yaml:"certificates"`
}

// Issuer is an authorization server whose tokens are taken.
type Issuer struct {
	// Issuer is its URL, as the iss of its tokens has it. Keys are found by its discovery document.
	Issuer string `yaml:"issuer"`
	// Audience is what the aud of tokens must have in place of the resource's URL, for issuers that know no resource indicators.
	Audience string `yaml:"audience"`
	// JWKSFile has its keys, for networks in which it cannot be reached.
	JWKSFile string `yaml:"jwksFile"`
	// JWKSURL is where its keys are, for issuers without a discovery document.
	JWKSURL string `yaml:"jwksURL"`
	// Algorithms are those that tokens may be signed with; all asymmetric ones when left out.
	Algorithms []string `yaml:"algorithms"`
	// TokenType is the typ that the header of tokens must have, when it is neither at+jwt nor JWT.
	TokenType string `yaml:"tokenType"`
	// AcceptIDTokens is for issuers whose access tokens look like ID tokens (Dex). Any ID token for the audience is then good.
	AcceptIDTokens bool `yaml:"acceptIDTokens"`
	// Claims says where tokens have what weir needs.
	Claims Claims `yaml:"claims"`
	// RequiredGroups are groups of which a caller must be in one.
	RequiredGroups []string `yaml:"requiredGroups"`
	// Prefix stands before the groups, roles and clients of this issuer, so that another's with the same names are others.
	Prefix string `yaml:"prefix"`
	// Introspection asks the issuer about tokens.
	Introspection Introspection `yaml:"introspection"`
	// SignIn asks the issuer who opens a link that was made for one of its users.
	SignIn SignIn `yaml:"signIn"`
}

// Claims are the names of claims, or gjson paths to them. A claim with the whole path as its name comes first.
type Claims struct {
	// Subject names the user; sub when left out. An email counts only with email_verified.
	Subject string `yaml:"subject"`
	// Client names the program; client_id, else azp, when left out.
	Client string `yaml:"client"`
	// Groups are the user's groups; groups when left out.
	Groups string `yaml:"groups"`
	// Roles are the user's roles in the policy; none when left out.
	Roles string `yaml:"roles"`
	// Scopes are the token's scopes; scope, else scp, when left out.
	Scopes string `yaml:"scopes"`
	// Tenant is the organisation; none when left out.
	Tenant string `yaml:"tenant"`
	// Attributes are what conditions of the policy may look at, by their names there.
	Attributes map[string]string `yaml:"attributes"`
}

// Introspection is how opaque tokens are asked about (RFC 7662).
type Introspection struct {
	// ClientID and ClientSecret are weir's own at the issuer. Both switch introspection on.
	ClientID     string `yaml:"clientID"`
	ClientSecret string `yaml:"clientSecret"`
	// URL is the endpoint; that of the discovery document when left out.
	URL string `yaml:"url"`
	// Cache is how long an answer is believed, 4s when left out and 30s at most: a revoked token may be used for so long.
	Cache time.Duration `yaml:"cache"`
	// JWTs are asked about too, so that those that are revoked before they expire are refused.
	JWTs bool `yaml:"jwts"`
}

// APIKey is a key that a program sends as its bearer token.
type APIKey struct {
	// Hash is the SHA-256 of the key in hex. The key itself must be random and at least 32 characters long.
	Hash string `yaml:"hash"`
	// Owner is the name of its user: user:OWNER in the policy.
	Owner string `yaml:"owner"`
	// Groups and Roles are the owner's.
	Groups []string `yaml:"groups"`
	Roles  []string `yaml:"roles"`
	// Expires is the day, such as 2027-01-31, or the moment (RFC 3339) from which on the key is no longer taken; never when left out.
	Expires string `yaml:"expires"`
}

// Certificates is how a client's certificate names its user.
type Certificates struct {
	// Name is which of its names counts: uri (such as a SPIFFE id), dns or email. The certificate must have exactly one of that kind.
	Name string `yaml:"name"`
	// Groups are those of everyone with a certificate.
	Groups []string `yaml:"groups"`
}

// Default is what stands where the file says nothing.
func Default() Spec { return Spec{ClockSkew: 30 * time.Second} }

// Asked reports whether the spec asks anybody to sign in.
func (s *Spec) Asked() bool {
	return len(s.OIDC) > 0 || len(s.APIKeys) > 0 || s.Certificates.Name != ""
}

// Resource is an endpoint with an audience of its own.
type Resource struct {
	// Path is the endpoint's, such as /mcp/finance.
	Path string
	// URL is what clients ask tokens for (RFC 8707), absolute and without a slash at its end.
	URL string
	// Audience is what tokens must be for in place of the URL. Without it the main resource, the first, takes an issuer's own Audience.
	Audience string
	// Scopes are needed besides those of the Spec.
	Scopes []string
	// Tenant is the tenant of its callers, "" for what the token says.
	Tenant string
}
