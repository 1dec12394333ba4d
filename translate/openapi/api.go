package openapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/catalog"
	"weir/catalog/room"
	"weir/translate"
	"weir/translate/schema"
)

// API is one described API as a backend.
type API struct {
	translate.API
	spec    Spec
	options translate.Options
}

var _ translate.Backend = (*API)(nil)

// defaultRefresh is how often a description behind a URL is asked for again.
const defaultRefresh = 5 * time.Minute

// New reads the description and starts watching it. The error says why nothing can be offered at all.
func New(ctx context.Context, spec Spec, o translate.Options) (*API, error) {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if err := spec.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Upstream, err)
	}
	a := &API{spec: spec, options: o}
	d := translate.Description{Fetch: a.read, Again: a.remote}
	var err error
	if d.Settings, err = a.settings(); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Upstream, err)
	}
	remote, name := spec.location()
	if remote != nil {
		d.Place, d.Every = spec.OpenAPI, spec.Often(defaultRefresh)
	} else if file, err := inFolder(name); err == nil {
		d.Folders = append(d.Folders, filepath.Dir(file))
	}
	for _, overlay := range spec.Overlays {
		d.Folders = append(d.Folders, filepath.Dir(overlay))
	}
	if err := a.Start(ctx, d, &a.spec.Spec, o); err != nil {
		return nil, err
	}
	return a, nil
}

// check finds settings that are none.
func (s *Spec) check() error {
	if err := translate.CheckMode(s.Mode); err != nil {
		return err
	}
	switch s.Arrays {
	case "", "index", "brackets", "repeat":
	default:
		return fmt.Errorf("arrays %q is none of index, brackets, repeat", s.Arrays)
	}
	if s.OpenAPI == "" {
		return errors.New("openapi names no description")
	}
	return nil
}

// run calls one operation with arguments that were checked.
func (a *API) run(ctx context.Context, t *tool, c *catalog.Call, args *schema.Value, timeout time.Duration) *translate.Result {
	out, err := t.plan.outgoing(ctx, c.Reader, args, a.spec.Arrays)
	if err != nil {
		return translate.Failure("The call was not sent: " + err.Error() + ".")
	}
	x := exchange{api: a, tool: t, call: c, args: args, timeout: timeout, memory: room.Room{Memory: a.options.Memory}}
	defer x.memory.Release()
	return x.run(ctx, out)
}

// location is where the description is.
func (s *Spec) location() (remote *url.URL, file string) {
	if strings.HasPrefix(s.OpenAPI, "http://") || strings.HasPrefix(s.OpenAPI, "https://") {
		if u, err := url.Parse(s.OpenAPI); err == nil {
			return u, ""
		}
	}
	return nil, strings.TrimPrefix(s.OpenAPI, "file://")
}

// inFolder finds the description in a folder: openapi or swagger, in YAML or JSON.
func inFolder(name string) (string, error) {
	st, err := os.Stat(name)
	if err != nil || !st.IsDir() {
		return name, err
	}
	for _, base := range [...]string{"openapi", "swagger", "api"} {
		for _, ext := range [...]string{".yaml", ".yml", ".json"} {
			if candidate := filepath.Join(name, base+ext); isFile(candidate) {
				return candidate, nil
			}
		}
	}
	var found []string
	for _, ext := range [...]string{"*.yaml", "*.yml", "*.json"} {
		matches, err := filepath.Glob(filepath.Join(name, ext))
		if err != nil {
			return "", err
		}
		found = append(found, matches...)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return "", fmt.Errorf("%s has no openapi.yaml or openapi.json", name)
}

func isFile(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular()
}
