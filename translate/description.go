package translate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"weir/catalog/fault"
)

// Description is what one kind of API knows about reading its descriptions.
type Description struct {
	// Settings are all of the configuration that a translation depends on, in any form.
	Settings []byte
	// Place is the address that a description comes from, "" for files. What came from there last is used at a start at which nobody answers.
	Place string
	// Fetch reads the description. etag is that of the last one, "" for none; ErrUnchanged says that it is still the same. Fetch is never called
	// concurrently.
	Fetch func(ctx context.Context, etag string) (*Text, error)
	// Again makes a text of the Raw of an earlier one. It may be nil when Place is "".
	Again func(raw []byte) (*Text, error)
	// Folders are watched for changes.
	Folders []string
	// Every is how often the description is asked for again, 0 or less for never.
	Every time.Duration
	// Watch may be nil. It calls Reload when the description may have changed for other reasons, until ctx is done.
	Watch func(ctx context.Context)
}

// ErrUnchanged is what Fetch says of a description that is still the one of its etag.
var ErrUnchanged = errors.New("the description is unchanged")

// Text is a description as it was read, before it is translated.
type Text struct {
	// Parts are all that the translation depends on besides the settings, nil when that is more than was read: then nothing is kept of it.
	Parts [][]byte
	// Raw is what came from Place, nil when nothing did.
	Raw  []byte
	ETag string
	// Translate makes tools of the text. It is called once, perhaps later, in a call of the first tool.
	Translate func() (*Translation, error)
}

// Translation is what a text came to.
type Translation struct {
	Tools        []*Entry // published, in order
	Warnings     []Warning
	Instructions string // what is said about the API as a whole
	// Schemes are the security schemes that were looked for, and whether a credential for them was configured.
	Schemes map[string]bool
}

// read reads the description. It returns old itself when nothing changed.
func (a *API) read(ctx context.Context, old *Reading) (next *Reading, err error) {
	err = fault.Catch(a.options.Log, func() (err error) {
		next, err = a.fresh(ctx, old)
		return err
	}, "upstream", a.options.Upstream)
	return next, err
}

// fresh is read, which may panic: nobody knows what descriptions hold.
func (a *API) fresh(ctx context.Context, old *Reading) (*Reading, error) {
	text, err := a.description.Fetch(ctx, a.etag)
	var missing error
	switch {
	case errors.Is(err, ErrUnchanged) && old != nil:
		return old, nil
	case err != nil && old == nil && ctx.Err() == nil:
		if text = a.earlier(); text == nil {
			return nil, err
		}
		missing = err
	case err != nil:
		return nil, err
	}
	version := a.version(text)
	if old != nil && version != "" && version == a.last {
		a.etag = text.ETag
		return old, nil
	}
	raw, etag := text.Raw, text.ETag
	text.Raw = nil
	t := a.recall(version, text)
	if t == nil {
		if t, err = text.Translate(); err != nil {
			return nil, err
		}
		a.keep(version, t)
	}
	if raw != nil && a.options.Cache != nil {
		a.options.Cache.Put(a.place(), raw)
	}
	if missing != nil {
		a.options.Log.Warn("the description cannot be read; the last one is used", "upstream", a.options.Upstream, "error", missing)
		t.Warnings = append([]Warning{{Message: "the description cannot be read now; this is the last one"}}, t.Warnings...)
		version = "" // the next one is another, even if it says the same
	}
	a.last, a.etag = version, etag
	return NewReading(a.options.Upstream, a.spec, t), nil
}

// version is a hash of everything that a translation is made of, "" when that is not known.
func (a *API) version(text *Text) string {
	if text.Parts == nil {
		return ""
	}
	h := sha256.New()
	for _, part := range append([][]byte{[]byte(a.options.Upstream), a.description.Settings}, text.Parts...) {
		_, _ = fmt.Fprintf(h, "%d\n", len(part))
		h.Write(part)
	}
	text.Parts = nil // they are large
	return hex.EncodeToString(h.Sum(nil))
}

// place is the key under which what came from elsewhere is kept, for a start at which nobody answers there.
func (a *API) place() string {
	return "description\n" + a.options.Upstream + "\n" + a.description.Place
}

// earlier is the text that came last, nil for none.
func (a *API) earlier() *Text {
	if a.options.Cache == nil || a.description.Place == "" {
		return nil
	}
	raw, ok := a.options.Cache.Get(a.place())
	if !ok {
		return nil
	}
	text, err := a.description.Again(raw)
	if err != nil {
		return nil
	}
	text.Raw, text.ETag = nil, ""
	return text
}
