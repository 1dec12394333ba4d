package authn

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"time"

	"weir/policy"
)

// shortest is how long an API key must be. What can be guessed must not be let in, and the hash does not say how long its key is.
const shortest = 32

// apiKey is an APIKey, ready.
type apiKey struct {
	sum    [sha256.Size]byte
	caller Caller
}

func newKeys(specs []APIKey) ([]apiKey, error) {
	keys := make([]apiKey, len(specs))
	for n, s := range specs {
		sum, err := parseHash(s.Hash)
		if err != nil {
			return nil, fmt.Errorf("auth.apiKeys[%d].hash: %w", n, err)
		}
		until, err := parseExpiry(s.Expires)
		if err != nil {
			return nil, fmt.Errorf("auth.apiKeys[%d].expires: %w", n, err)
		}
		p, err := policy.Verified(policy.Identity{Subject: s.Owner, Groups: s.Groups, Roles: s.Roles})
		if err != nil {
			return nil, fmt.Errorf("auth.apiKeys[%d]: %w", n, err)
		}
		keys[n] = apiKey{sum: sum, caller: Caller{Principal: p, Until: until}}
	}
	return keys, nil
}

// key returns the API key that a token is, nil when it is none. All are compared, so that the time says nothing about which is near.
func (s *state) key(token string) *apiKey {
	if len(s.keys) == 0 || len(token) < shortest {
		return nil
	}
	sum := sha256.Sum256([]byte(token))
	found := -1
	for n := range s.keys {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(s.keys[n].sum[:], sum[:]), n, found)
	}
	if found < 0 {
		return nil
	}
	return &s.keys[found]
}

// use lets the owner of a key in.
func (k *apiKey) use(res *resource, now time.Time) (known, error) {
	c := k.caller
	if !c.Until.IsZero() && !now.Before(c.Until) {
		return known{}, invalid("the API key has expired")
	}
	return known{caller: c}.at(res)
}

// at is the caller in the tenant of a resource.
func (k known) at(res *resource) (known, error) {
	if res.Tenant == "" {
		return k, nil
	}
	var err error
	k.caller.Principal, err = k.caller.Principal.At(res.Tenant)
	return k, err
}
