package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/cmd/weir/internal/config"
)

func TestCache(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	env := config.Env{Lookup: func(string) (string, bool) { return "", false }, Home: home}
	c := newCache(env, "1")
	if _, ok := c.Get("a"); ok {
		t.Error("an empty cache has something")
	}
	c.Put("a", []byte("text"))
	if data, ok := c.Get("a"); !ok || string(data) != "text" {
		t.Errorf("got %q, %v", data, ok)
	}
	if _, ok := newCache(env, "2").Get("a"); ok {
		t.Error("another version reads it")
	}
	folder := config.CacheDir(env)
	names, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(names) != 1 || !strings.HasPrefix(names[0], home) {
		t.Fatal(names, err)
	}
	if info, err := os.Stat(names[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	for what, data := range map[string][]byte{"changed": bytes.Repeat([]byte("x"), 40), "short": []byte("x"), "empty": {}} {
		c.Put("a", []byte("text"))
		if err := os.WriteFile(names[0], data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Get("a"); ok {
			t.Errorf("a %s file is believed", what)
		}
	}
	if newCache(config.Env{Lookup: env.Lookup}, "1") != nil {
		t.Error("there is a cache without a home")
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := &cache{folder: filepath.Join(t.TempDir(), "cache")}
	other := filepath.Join(c.folder, "precious.txt")
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range cacheFiles + 5 {
		c.Put(strings.Repeat("k", i), []byte("x"))
	}
	names, err := filepath.Glob(filepath.Join(c.folder, "*"+cacheExt))
	if err != nil || len(names) != cacheFiles {
		t.Error(len(names), err)
	}
	large := bytes.Repeat([]byte("x"), cacheBytes/4)
	for i := range 6 {
		c.Put(strings.Repeat("l", i), large)
	}
	total := int64(0)
	if names, err = filepath.Glob(filepath.Join(c.folder, "*"+cacheExt)); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > cacheBytes {
		t.Errorf("%d bytes", total)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("a file of somebody else was removed")
	}
}
