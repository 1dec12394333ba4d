package app

import (
	"crypto/rand"
	"path/filepath"
	"time"

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

// headEvery is how often other systems are told the head of the audit log.
const headEvery = time.Minute

// tellHeads tells other systems how far the audit log goes until untell is called. What they know cannot be cut off or written anew unseen.
func (o *observation) tellHeads() {
	end, ended := make(chan struct{}), make(chan struct{})
	o.untell = func() {
		close(end)
		<-ended
	}
	go func() {
		defer close(ended)
		tick := time.NewTicker(headEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				o.tellHead()
			case <-end:
				return
			}
		}
	}()
}

// tellHead tells other systems the head of the audit log, when they do not know it. It is a message like those of requests: name is the lane, reason the head as
// weir audit verify takes it.
func (o *observation) tellHead() {
	h := o.audit.Head()
	if h.Seq == o.headTold {
		return
	}
	o.headTold = h.Seq
	now := time.Now()
	for _, e := range o.exports {
		e.Put(requestlog.Row{
			ID: requestlog.ID(now, rand.Text()[:8]), At: now, Who: "weir", Method: "audit/head", Name: h.Lane, Outcome: "ok", Reason: h.String(),
		})
	}
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
