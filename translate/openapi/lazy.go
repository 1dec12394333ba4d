package openapi

import (
	"sync"

	"weir/translate/schema"
)

// lazyValidator compiles the full schema of a tool when it is called for the first time: most tools of a large API never are.
type lazyValidator struct {
	once  sync.Once
	ready *schema.Validator
	err   error
}

func (l *lazyValidator) get(full schema.Full) (*schema.Validator, error) {
	l.once.Do(func() { l.ready, l.err = schema.Compile(full, schema.Described()) })
	return l.ready, l.err
}
