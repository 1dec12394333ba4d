package server

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"weir/catalog"
	"weir/policy"
)

// A requestState and the id of a task travel through the client, which may keep them, change them, or give them to somebody else (spec 2026-07-28,
// basic/patterns/mrtr). They are AEAD tokens: a requestState over the slot of the parked call, the round and the expiry, a task's id over where
// the task is. What they are bound to goes in as associated data and is not in the token.

// sealer makes and opens tokens.
type sealer struct {
	aead cipher.AEAD
	node [8]byte // the process that holds the parked calls
}

// newSealer returns a sealer with a key of its own: no token outlives the process.
func newSealer() *sealer {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	block, err := aes.NewCipher(key[:])
	if err != nil { // only for a key of another length
		return nil
	}
	aead, err := cipher.NewGCM(block)
	if err != nil { // only for another block size
		return nil
	}
	s := &sealer{aead: aead}
	_, _ = rand.Read(s.node[:]) // never fails (crypto/rand)
	return s
}

// ticket is what a token says.
type ticket struct {
	slot   uint64
	round  uint32
	expiry time.Time
}

const (
	nodeLen   = 8
	ticketLen = 8 + 4 + 8
)

var errTicket = errors.New("requestState is not valid here")

// seal makes the token of t for whoever binding says.
func (s *sealer) seal(t ticket, binding [32]byte) string {
	var plain [ticketLen]byte
	binary.BigEndian.PutUint64(plain[0:], t.slot)
	binary.BigEndian.PutUint32(plain[8:], t.round)
	binary.BigEndian.PutUint64(plain[12:], uint64(t.expiry.UnixNano()))
	return s.wrap(plain[:], binding[:])
}

// open reads a token; anything that is not exactly a token of this process for this binding is errTicket.
func (s *sealer) open(token string, binding [32]byte) (ticket, error) {
	plain, ok := s.unwrap(token, binding[:])
	if !ok || len(plain) != ticketLen {
		return ticket{}, errTicket
	}
	return ticket{
		slot:   binary.BigEndian.Uint64(plain[0:]),
		round:  binary.BigEndian.Uint32(plain[8:]),
		expiry: time.Unix(0, int64(binary.BigEndian.Uint64(plain[12:]))),
	}, nil
}

// wrap makes a token that says plain, for whoever bound says. Its text is fit for headers and URIs.
func (s *sealer) wrap(plain, bound []byte) string {
	n := s.aead.NonceSize()
	nonce := make([]byte, n, nodeLen+n+len(plain)+s.aead.Overhead())
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	token := append(s.node[:nodeLen:nodeLen], nonce...)
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(token, nonce, plain, bound))
}

// unwrap reads what wrap made in this process for the same bound.
func (s *sealer) unwrap(token string, bound []byte) (plain []byte, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	n := s.aead.NonceSize()
	if err != nil || len(raw) < nodeLen+n || string(raw[:nodeLen]) != string(s.node[:]) {
		return nil, false
	}
	plain, err = s.aead.Open(nil, raw[nodeLen:nodeLen+n], raw[nodeLen+n:], bound)
	return plain, err == nil
}

// bind digests what a parked call belongs to: who, method, entry, URI and arguments.
func bind(p policy.Principal, method string, entry *catalog.Entry, target string, arguments []byte) [32]byte {
	return digest([]byte(p.Owner()), []byte(method), []byte(entry.Ref.Upstream), []byte(entry.Ref.Name), []byte(target), arguments)
}

// digest hashes parts with their lengths, so no two sets of parts run together.
func digest(parts ...[]byte) [32]byte {
	h := sha256.New()
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	return [32]byte(h.Sum(nil))
}
