package app

import (
	"context"
	"path/filepath"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
	"weir/server/once"
)

// openOnce opens what keeps the calls that have a key, nil when the file wants none.
func openOnce(file *config.File) (*once.Store, error) {
	spec := file.Idempotency
	if spec.Database == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	var err error
	if spec.Database, err = file.Expander.Expand(spec.Database); err != nil {
		return nil, err
	}
	spec.Database = beside(filepath.Dir(file.Path), spec.Database)
	s, err := once.Open(context.Background(), spec)
	if err != nil {
		return nil, &catalog.Error{Code: catalog.Config, Msg: err.Error(), Hint: "change idempotency.database to a file that this user can write", Err: err}
	}
	return s, nil
}
