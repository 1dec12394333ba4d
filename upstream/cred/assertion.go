package cred

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// assertionLife is how long an assertion is good. It is made for one request, or for a few that follow at once.
const assertionLife = time.Minute

// minRSA is the smallest RSA key that is used, in bits (RFC 7518, 3.3).
const minRSA = 2048

// signer signs the assertions of one credential.
type signer struct{ jose.Signer }

// newSigner reads a private key in PEM form. Its errors tell nothing of the key.
func newSigner(key Secret, id string) (*signer, error) {
	private, err := privateKey([]byte(key))
	if err != nil {
		return nil, err
	}
	var algorithm jose.SignatureAlgorithm
	switch k := private.(type) {
	case ed25519.PrivateKey:
		algorithm = jose.EdDSA
	case *rsa.PrivateKey:
		if k.N.BitLen() < minRSA {
			return nil, errors.New("the key is too short")
		}
		algorithm = jose.RS256
	case *ecdsa.PrivateKey:
		switch k.Curve.Params().BitSize {
		case 256:
			algorithm = jose.ES256
		case 384:
			algorithm = jose.ES384
		default:
			return nil, errors.New("the key is of a curve that signs no tokens")
		}
	default:
		return nil, errors.New("the key signs no tokens")
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: private, KeyID: id}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, errors.New("the key signs no tokens")
	}
	return &signer{s}, nil
}

// privateKey reads PKCS #8, and the older forms of RSA and EC keys.
func privateKey(data []byte) (crypto.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("the key is not in PEM form")
	}
	if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	if k, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	return nil, errors.New("the key cannot be read")
}

// sign makes an assertion (RFC 7523, 3).
func (s *signer) sign(issuer, subject, audience string) (token string, until time.Time, err error) {
	now := time.Now()
	until = now.Add(assertionLife)
	token, err = jwt.Signed(s.Signer).Claims(jwt.Claims{
		Issuer: issuer, Subject: subject, Audience: jwt.Audience{audience}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(until),
	}).Serialize()
	if err != nil {
		return "", until, errors.New("the assertion could not be signed")
	}
	return token, until, nil
}

// self is the subject of what the gateway does on its own account, and the issuer of assertions when none is configured.
const self = "weir"

// identity makes the assertion that tells a backend who is calling.
func (t *tokens) identity(w *want) (string, time.Time, error) {
	issuer, subject := w.Issuer, w.caller.Name
	if issuer == "" {
		issuer = self
	}
	if subject == "" {
		subject = self
	}
	return t.signer(w.Spec).sign(issuer, subject, w.Audience)
}
