package cred

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"weir/catalog/sqlitefile"
)

const (
	storeName = "tokens.db"
	keyName   = "tokens.key"
	keySize   = 32
)

// schema has no text of a user or server in it but the issuer: rows are named by keyed hashes, and what they hold is sealed.
const schema = `CREATE TABLE IF NOT EXISTS tokens (
	owner BLOB NOT NULL, resource BLOB NOT NULL, issuer TEXT NOT NULL, at INTEGER NOT NULL, sealed BLOB NOT NULL,
	PRIMARY KEY (owner, resource, issuer));
CREATE TABLE IF NOT EXISTS clients (
	issuer TEXT NOT NULL, redirect TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (issuer, redirect));
CREATE TABLE IF NOT EXISTS leases (
	owner BLOB NOT NULL, resource BLOB NOT NULL, issuer TEXT NOT NULL, holder TEXT NOT NULL, until INTEGER NOT NULL,
	PRIMARY KEY (owner, resource, issuer));`

// Store keeps the tokens of users, and the clients that were registered for weir, encrypted in a file. Safe for concurrent use, also by several
// processes.
type Store struct {
	dir string
	key Secret

	mu   sync.Mutex // held while it is opened
	db   *sql.DB    // nil until then
	seal cipher.AEAD
	mac  []byte
}

// grantedTokens are what a user's sign-in gave.
type grantedTokens struct {
	Access   string    `json:"access"`
	Refresh  string    `json:"refresh,omitempty"`
	Until    time.Time `json:"until"` // zero when nobody said
	Issuer   string    `json:"issuer"`
	Endpoint string    `json:"endpoint"` // the token endpoint
	Client   client    `json:"client"`
	Had      time.Time `json:"had"`
}

// client is what weir is to an authorization server.
type client struct {
	ID     string `json:"id"`
	Secret string `json:"secret,omitempty"`
}

// errNone says that nothing is kept.
var errNone = errors.New("nothing is kept")

// NewStore returns the store in a folder. It is opened when it is needed first, and made, with its key, when there is none; both are readable by the
// owner alone. key is the base of the encryption when the operator has one; else a random one lies beside the store.
func NewStore(dir string, key Secret) *Store { return &Store{dir: dir, key: key} }

// open makes the store ready.
func (s *Store) open(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("token store: %w", err)
	}
	secret := []byte(s.key)
	if len(secret) == 0 {
		var err error
		if secret, err = readKey(filepath.Join(s.dir, keyName)); err != nil {
			return fmt.Errorf("token store: %w", err)
		}
	}
	block, err := aes.NewCipher(derive(secret, "weir token store: encryption"))
	if err != nil {
		return err
	}
	if s.seal, err = cipher.NewGCM(block); err != nil {
		return err
	}
	s.mac = derive(secret, "weir token store: names")
	db, err := sqlitefile.Open(filepath.Join(s.dir, storeName), "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return fmt.Errorf("token store: %w", err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		_ = db.Close()
		return fmt.Errorf("token store: %w", err)
	}
	s.db = db
	return nil
}

// readKey reads the key file, which nobody else may be able to read, or makes one.
func readKey(path string) ([]byte, error) {
	fresh := make([]byte, keySize)
	_, _ = rand.Read(fresh) // never fails (crypto/rand)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case err == nil:
		_, err = f.Write(fresh)
		return fresh, errors.Join(err, f.Sync(), f.Close())
	case !errors.Is(err, os.ErrExist):
		return nil, err
	}
	stat, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if stat.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others; chmod 600 it", path)
	}
	key, err := os.ReadFile(path)
	if err == nil && len(key) != keySize {
		err = fmt.Errorf("%s is no key", path)
	}
	return key, err
}

// derive makes a key for one purpose.
func derive(secret []byte, purpose string) []byte {
	m := hmac.New(sha256.New, secret)
	_, _ = m.Write([]byte(purpose)) // a hash takes everything
	return m.Sum(nil)
}

// Close closes the file. The store must not be used after it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}

// name is what a text is called in the file.
func (s *Store) name(text string) []byte { return derive(s.mac, text) }

// sealed encrypts v, bound to the place where it is kept.
func (s *Store) sealed(v any, place string) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, s.seal.NonceSize())
	_, _ = rand.Read(nonce)
	return s.seal.Seal(nonce, nonce, plain, []byte(place)), nil
}

// opened decrypts what sealed made for the same place.
func (s *Store) opened(data []byte, place string, v any) error {
	n := s.seal.NonceSize()
	if len(data) < n {
		return errors.New("token store: a row is broken")
	}
	plain, err := s.seal.Open(nil, data[:n], data[n:], []byte(place))
	if err != nil {
		return errors.New("token store: a row cannot be decrypted; the key is another one")
	}
	return json.Unmarshal(plain, v)
}

func tokenPlace(owner, resource, issuer string) string {
	return fmt.Sprintf("token %q %q %q", owner, resource, issuer)
}

// put keeps the tokens of a user for a resource.
func (s *Store) put(ctx context.Context, owner, resource string, g *grantedTokens) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	data, err := s.sealed(g, tokenPlace(owner, resource, g.Issuer))
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `INSERT INTO tokens (owner, resource, issuer, at, sealed) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (owner, resource, issuer) DO UPDATE SET at = excluded.at, sealed = excluded.sealed`,
		s.name(owner), s.name(resource), g.Issuer, g.Had.UnixNano(), data)
	return err
}

// get returns the latest tokens of a user for a resource; of one issuer unless that is "". errNone says that there are none.
func (s *Store) get(ctx context.Context, owner, resource, issuer string) (*grantedTokens, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	var data []byte
	var from string
	err := s.db.QueryRowContext(ctx, `SELECT issuer, sealed FROM tokens WHERE owner = ? AND resource = ? AND (issuer = ? OR ? = '') ORDER BY at DESC LIMIT 1`,
		s.name(owner), s.name(resource), issuer, issuer).Scan(&from, &data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNone
	}
	if err != nil {
		return nil, err
	}
	g := new(grantedTokens)
	if err := s.opened(data, tokenPlace(owner, resource, from), g); err != nil {
		return nil, err
	}
	return g, nil
}

// remove forgets the tokens of a user, when they are still those that had names.
func (s *Store) remove(ctx context.Context, owner, resource string, g *grantedTokens) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, `DELETE FROM tokens WHERE owner = ? AND resource = ? AND issuer = ? AND at = ?`,
		s.name(owner), s.name(resource), g.Issuer, g.Had.UnixNano())
	return err
}

// putClient and getClient keep what weir was registered as.
func (s *Store) putClient(ctx context.Context, issuer, redirect string, c client) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	data, err := s.sealed(c, fmt.Sprintf("client %q %q", issuer, redirect))
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `INSERT INTO clients (issuer, redirect, sealed) VALUES (?, ?, ?)
		ON CONFLICT (issuer, redirect) DO UPDATE SET sealed = excluded.sealed`, issuer, redirect, data)
	return err
}

func (s *Store) getClient(ctx context.Context, issuer, redirect string) (c client, err error) {
	if err := s.open(ctx); err != nil {
		return c, err
	}
	var data []byte
	err = s.db.QueryRowContext(ctx, `SELECT sealed FROM clients WHERE issuer = ? AND redirect = ?`, issuer, redirect).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return c, errNone
	}
	if err == nil {
		err = s.opened(data, fmt.Sprintf("client %q %q", issuer, redirect), &c)
	}
	return c, err
}
