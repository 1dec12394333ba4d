package translate

import (
	"bytes"
	"encoding/gob"
	"errors"
	"sync"
	"time"
)

// kept is what lists and searches need of a translation: what the cache keeps. The rest is made of the text when the first tool is called.
type kept struct {
	Instructions string
	Schemes      map[string]bool
	Warnings     []Warning
	Tools        []keptTool
}

// keptTool is one tool of it.
type keptTool struct {
	Name, Key   string
	Raw         []byte
	Annotations Annotations
	Document    Document
	Timeout     time.Duration
}

// keep puts a translation into the cache.
func (a *API) keep(version string, t *Translation) {
	if a.options.Cache == nil || version == "" {
		return
	}
	k := kept{Instructions: t.Instructions, Schemes: t.Schemes, Warnings: t.Warnings, Tools: make([]keptTool, len(t.Tools))}
	for i, e := range t.Tools {
		k.Tools[i] = keptTool{e.Name, e.Key, e.Raw, e.Annotations, e.Document, e.Timeout}
	}
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(k); err == nil {
		a.options.Cache.Put(version, out.Bytes())
	}
}

// recall is the translation that the cache keeps, nil when there is none or it does not fit. text is translated when a tool is called for the
// first time.
func (a *API) recall(version string, text *Text) *Translation {
	if a.options.Cache == nil || version == "" {
		return nil
	}
	data, ok := a.options.Cache.Get(version)
	if !ok {
		return nil
	}
	var k kept
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&k); err != nil || len(k.Tools) == 0 {
		return nil
	}
	for scheme, had := range k.Schemes {
		if a.options.Configured(scheme) != had {
			return nil
		}
	}
	whole := sync.OnceValues(func() (map[string]*Entry, error) {
		t, err := text.Translate()
		text = nil // it is large
		if err != nil {
			return nil, err
		}
		entries := make(map[string]*Entry, len(t.Tools))
		for _, e := range t.Tools {
			entries[e.Name] = e
		}
		return entries, nil
	})
	t := &Translation{Tools: make([]*Entry, len(k.Tools)), Warnings: k.Warnings, Instructions: k.Instructions}
	for i, e := range k.Tools {
		t.Tools[i] = &Entry{
			Name: e.Name, Key: e.Key, Raw: e.Raw, Annotations: e.Annotations, Document: e.Document, Timeout: e.Timeout,
			Open: func() (*Entry, error) {
				all, err := whole()
				if err != nil {
					return nil, err
				}
				if found := all[e.Name]; found != nil {
					return found, nil
				}
				return nil, errNotKept
			},
		}
	}
	return t
}

var errNotKept = errors.New("the description has no such operation")
