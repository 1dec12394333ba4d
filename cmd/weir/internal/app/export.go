package app

import (
	"path/filepath"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
	"weir/server/record/export"
	"weir/server/record/requestlog"
)

// export opens what the file says other systems are told. Files are beside the configuration.
func (o *observation) export(a *App, file *config.File) error {
	for _, spec := range file.Export {
		for _, text := range [...]*string{&spec.Syslog, &spec.HTTP, &spec.OTLP, &spec.CA, &spec.Spool} {
			var err error
			if *text, err = file.Expander.Expand(*text); err != nil {
				return err
			}
		}
		headers := make(map[string]string, len(spec.Headers))
		for k, v := range spec.Headers {
			var err error
			if headers[k], err = file.Expander.Expand(v); err != nil {
				return err
			}
		}
		spec.Headers = headers
		spec.CA, spec.Spool = beside(filepath.Dir(file.Path), spec.CA), beside(filepath.Dir(file.Path), spec.Spool)
		e, err := export.New(spec, a.env.Version, a.log)
		if err != nil {
			return &catalog.Error{Code: catalog.Config, Msg: err.Error(), Hint: "change export to what can be read and written", Err: err}
		}
		o.exports = append(o.exports, e)
	}
	return nil
}

// put hands a row to all who want it.
func (o *observation) put(r requestlog.Row) {
	if o.requests != nil {
		o.requests.Put(r)
	}
	for _, e := range o.exports {
		e.Put(r)
	}
}
