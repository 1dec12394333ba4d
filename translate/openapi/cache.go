package openapi

import (
	"bytes"
	"encoding/gob"
	"errors"
	"sync"
	"time"

	"weir/translate"
)

// kept is what lists and searches need of a description: what the cache keeps. The rest is made of the description when the first tool is called.
type kept struct {
	Title    string
	Schemes  map[string]bool // security schemes of the description, and whether a credential for them was configured
	Warnings []translate.Warning
	Tools    []keptTool
}

// keptTool is one tool of it.
type keptTool struct {
	Name, Key   string
	Raw         []byte
	Annotations translate.Annotations
	Document    translate.Document
	Timeout     time.Duration
}

// keep puts what a description came to into the cache.
func (a *API) keep(version string, b *builder, tools []*tool) {
	if a.options.Cache == nil {
		return
	}
	k := kept{Title: b.description.title(), Schemes: make(map[string]bool), Warnings: b.description.sorted(), Tools: make([]keptTool, len(tools))}
	for _, m := range members(b.schemes().value) {
		k.Schemes[m.Key] = a.configured(m.Key)
	}
	for i, e := range tools {
		k.Tools[i] = keptTool{e.Name, e.Key, e.Raw, e.Annotations, e.Document, e.Timeout}
	}
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(k); err == nil {
		a.options.Cache.Put(version, out.Bytes())
	}
}

// recall makes a reading of what the cache keeps, nil when that does not fit. in is translated when a tool is called for the first time.
func (a *API) recall(version string, in inputs) *translate.Reading {
	if a.options.Cache == nil {
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
		if a.configured(scheme) != had {
			return nil
		}
	}
	whole := sync.OnceValues(func() (map[string]*translate.Entry, error) {
		b, err := a.translate(in, nil, "")
		in = inputs{} // the text is large
		if err != nil {
			return nil, err
		}
		entries := make(map[string]*translate.Entry)
		for _, e := range a.entries(b.build()) {
			entries[e.Name] = e
		}
		return entries, nil
	})
	entries := make([]*translate.Entry, len(k.Tools))
	for i, t := range k.Tools {
		entries[i] = &translate.Entry{
			Name: t.Name, Key: t.Key, Raw: t.Raw, Annotations: t.Annotations, Document: t.Document, Timeout: t.Timeout,
			Open: func() (*translate.Entry, error) {
				all, err := whole()
				if err != nil {
					return nil, err
				}
				if e := all[t.Name]; e != nil {
					return e, nil
				}
				return nil, errNotKept
			},
		}
	}
	return translate.NewReading(a.options.Upstream, &a.spec.Spec, entries, k.Warnings, k.Title)
}

var errNotKept = errors.New("the description has no such operation")
