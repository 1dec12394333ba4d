package authn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// fetchPause is the least time between two fetches of keys, whatever asks for them: six a minute.
	fetchPause = 10 * time.Second
	// missingFor is how long a key id that was looked for in fresh keys counts as unknown.
	missingFor = 30 * time.Second
	// missingKept and longestID bound what strangers can make weir remember.
	missingKept = 1024
	longestID   = 256
	// minRSA is the least size of an RSA key in bits (RFC 7518, 3.3).
	minRSA = 2048
)

var (
	errNoKeys     = errors.New("the issuer's keys are not known")
	errUnknownKey = errors.New("signed with an unknown key")
	errSignature  = errors.New("the signature is wrong")
)

// keySet are the public keys of an issuer, kept up to date by its loop and, within limits, by tokens with a new key id.
type keySet struct {
	// fetch gets the published keys; nil for keys that do not change.
	fetch func(context.Context) ([]jose.JSONWebKey, error)

	current atomic.Pointer[published]
	missing *recent[string]

	fetching sync.Mutex // one fetch at a time; it guards what follows
	tried    time.Time  // when the last one began
}

// published are the keys at one time; it does not change.
type published struct {
	keys  []jose.JSONWebKey
	text  []byte // of keys
	count uint64 // one more with every change of the keys
	at    time.Time
	lost  bool // dropped, because the issuer is away for too long
}

func newKeySet(fetch func(context.Context) ([]jose.JSONWebKey, error)) (*keySet, error) {
	missing, err := newRecent[string](missingKept, missingFor)
	return &keySet{fetch: fetch, missing: missing}, err
}

// generation names the keys in force; 0 is none. What was verified with other keys must be verified again.
func (k *keySet) generation() uint64 {
	if p := k.current.Load(); p != nil {
		return p.count
	}
	return 0
}

// set makes keys those in force.
func (k *keySet) set(keys []jose.JSONWebKey, now time.Time) error {
	text, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	next := &published{keys: keys, text: text, count: 1, at: now}
	if last := k.current.Load(); last != nil {
		next.count = last.count
		if !bytes.Equal(last.text, text) {
			next.count++
		}
	}
	k.current.Store(next)
	return nil
}

// refresh fetches the keys, unless they were fetched a moment ago. Withdrawn keys are gone afterwards; after a failure all are as they were.
func (k *keySet) refresh(ctx context.Context) error {
	k.fetching.Lock()
	defer k.fetching.Unlock()
	return k.refreshLocked(ctx)
}

func (k *keySet) refreshLocked(ctx context.Context) error {
	now := time.Now()
	if !k.tried.IsZero() && now.Sub(k.tried) < fetchPause && k.current.Load() != nil {
		return nil
	}
	k.tried = now
	keys, err := k.fetch(ctx)
	if err != nil {
		return err
	}
	return k.set(keys, now)
}

// forget drops the keys when they are older than limit.
func (k *keySet) forget(limit time.Duration) {
	if p := k.current.Load(); p != nil && len(p.keys) > 0 && time.Since(p.at) > limit {
		k.current.Store(&published{count: p.count + 1, at: p.at, lost: true})
	}
}

// verify returns the payload of a token that one of the keys signed, and the generation of that key.
func (k *keySet) verify(ctx context.Context, jws *jose.JSONWebSignature) (payload []byte, generation uint64, err error) {
	p := k.current.Load()
	if p == nil || p.lost {
		return nil, 0, errNoKeys
	}
	payload, err = p.verify(jws)
	id := jws.Signatures[0].Header.KeyID
	if err != nil && (id == "" || errors.Is(err, errUnknownKey)) && k.renew(ctx, p, id) {
		p = k.current.Load()
		payload, err = p.verify(jws)
	}
	return payload, p.count, err
}

// renew fetches the keys for the sake of a key id that is not in p, and reports whether there are newer ones than p now.
func (k *keySet) renew(ctx context.Context, p *published, id string) bool {
	if k.fetch == nil || len(id) > longestID || k.missing.has(id) {
		return false
	}
	k.fetching.Lock()
	defer k.fetching.Unlock()
	if k.current.Load() == p && time.Since(k.tried) >= fetchPause {
		// Others will need the keys when this client is gone. Why they did not come is for the issuer's loop to find out and say.
		_ = k.refreshLocked(context.WithoutCancel(ctx))
	}
	next := k.current.Load()
	if next == p {
		return false
	}
	if !next.has(id) {
		k.missing.add(id)
	}
	return true
}

// has reports whether p has a key of that id; with "" any will do.
func (p *published) has(id string) bool {
	return slices.ContainsFunc(p.keys, func(k jose.JSONWebKey) bool { return id == "" || k.KeyID == id })
}

// verify tries the keys with the token's key id, all of them when it has none.
func (p *published) verify(jws *jose.JSONWebSignature) ([]byte, error) {
	h := jws.Signatures[0].Header
	err := errUnknownKey
	for i := range p.keys {
		key := &p.keys[i]
		if h.KeyID != "" && h.KeyID != key.KeyID || key.Algorithm != "" && key.Algorithm != h.Algorithm {
			continue
		}
		payload, fault := jws.Verify(key)
		if fault == nil {
			return payload, nil
		}
		err = errSignature
	}
	return nil, err
}

// readKeys reads a JWK set (RFC 7517, 5). Keys that are of no use here are left out: for encryption, of unknown kinds, secret, too small.
func readKeys(data []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("the keys are malformed: %w", err)
	}
	if set.Keys == nil {
		return nil, errors.New("the keys are malformed: there is no list of keys")
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(raw); err != nil || !useful(&key) {
			continue
		}
		keys = append(keys, jose.JSONWebKey{Key: key.Key, KeyID: key.KeyID, Algorithm: key.Algorithm, Use: key.Use})
	}
	return keys, nil
}

// recent are things that were seen a short time ago. The expiring cache of golang-lru would leave a goroutine behind.
type recent[K comparable] struct {
	seen *lru.Cache[K, time.Time]
	keep time.Duration
}

func newRecent[K comparable](size int, keep time.Duration) (*recent[K], error) {
	seen, err := lru.New[K, time.Time](size)
	return &recent[K]{seen, keep}, err
}

func (r *recent[K]) add(k K) { r.seen.Add(k, time.Now()) }

func (r *recent[K]) has(k K) bool {
	at, ok := r.seen.Get(k)
	return ok && time.Since(at) < r.keep
}
