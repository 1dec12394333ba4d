package app

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"weir/cmd/weir/internal/config"
	"weir/translate"
)

const (
	// cacheBytes and cacheFiles bound the cache; what was not used for the longest time goes first.
	cacheBytes = 64 << 20
	cacheFiles = 64
	// cacheExt ends the names of its files, so that nothing else in the folder is ever touched.
	cacheExt = ".weir"
)

// cache keeps what descriptions came to in the user's cache folder. A file is the SHA-256 of the rest, and the rest; one that is damaged is
// not there. Its name is a hash of the key and of this very program, so that no program reads what another made.
type cache struct {
	folder  string
	program string
}

var _ translate.Cache = (*cache)(nil)

// newCache returns the cache of this program, nil when there is no place for one.
func newCache(env config.Env, version string) translate.Cache {
	folder := config.CacheDir(env)
	if folder == "" {
		return nil
	}
	c := &cache{folder: folder, program: version}
	if name, err := os.Executable(); err == nil {
		if info, err := os.Stat(name); err == nil { // versions of one's own builds are alike
			c.program += fmt.Sprint(info.Size(), info.ModTime().UnixNano())
		}
	}
	return c
}

func (c *cache) file(key string) string {
	sum := sha256.Sum256([]byte(c.program + "\x00" + key))
	return filepath.Join(c.folder, hex.EncodeToString(sum[:])+cacheExt)
}

// Get implements translate.Cache.
func (c *cache) Get(key string) ([]byte, bool) {
	name := c.file(key)
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > cacheBytes {
		return nil, false
	}
	data, err := os.ReadFile(name)
	if err != nil || len(data) < sha256.Size {
		return nil, false
	}
	sum := sha256.Sum256(data[sha256.Size:])
	if !bytes.Equal(sum[:], data[:sha256.Size]) {
		_ = os.Remove(name) // it is made anew
		return nil, false
	}
	now := time.Now()
	_ = os.Chtimes(name, now, now) // only the order of going depends on it
	return data[sha256.Size:], true
}

// Put implements translate.Cache.
func (c *cache) Put(key string, data []byte) {
	if len(data) > cacheBytes/4 || os.MkdirAll(c.folder, 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(c.folder, ".*"+cacheExt)
	if err != nil {
		return
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone when all went well
	sum := sha256.Sum256(data)
	_, err = f.Write(append(sum[:], data...))
	if closed := f.Close(); err == nil && closed == nil {
		_ = os.Rename(f.Name(), c.file(key))
	}
	c.bound()
}

// bound removes the files that were not used for the longest time until the rest is within the bounds.
func (c *cache) bound() {
	names, err := filepath.Glob(filepath.Join(c.folder, "*"+cacheExt))
	if err != nil {
		return
	}
	type file struct {
		name string
		size int64
		used time.Time
	}
	files := make([]file, 0, len(names))
	for _, name := range names {
		if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() {
			files = append(files, file{name, info.Size(), info.ModTime()})
		}
	}
	slices.SortFunc(files, func(x, y file) int { return cmp.Or(y.used.Compare(x.used), cmp.Compare(x.name, y.name)) })
	total := int64(0)
	for i, f := range files {
		if total += f.size; total > cacheBytes || i >= cacheFiles {
			_ = os.Remove(f.name)
		}
	}
}
