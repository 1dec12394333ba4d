package mcpconn

import (
	"errors"
	"strings"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// subscribe keeps a subscriptions/listen open to a modern server for the lists whose changes it announces (spec 2026-07-28, basic/patterns/subscriptions).
func (c *Conn) subscribe(p *peer) {
	filter := filterOf(p.capabilities)
	if filter == "" {
		return
	}
	c.crew.run(func() {
		wait := listenWait
		for had := false; ; {
			began := time.Now()
			heard, more := c.subscribed(filter)
			had = had || heard
			switch {
			case c.ctx.Err() != nil || c.Err() != nil:
				return
			case !more && had:
				_ = c.surprise("the server no longer takes subscriptions", nil)
				return
			case !more:
				return
			}
			if time.Since(began) >= steadyAfter {
				wait = listenWait
			}
			if !pause(c.ctx, jitter(wait)) {
				return
			}
			wait = min(2*wait, maxListenWait)
			c.changed() // what was said in between is lost
		}
	})
}

// filterOf returns the notifications to ask for: those of lists that the capabilities say can change.
func filterOf(capabilities []byte) string {
	var wanted []string
	for _, name := range [...]string{"tools", "prompts", "resources"} {
		found, err := rawjson.Fields(capabilities, name)
		if err != nil || found[0].Absent() {
			continue
		}
		one := found[0].Of(capabilities)
		if found, err := rawjson.Fields(one, "listChanged"); err == nil && string(found[0].Of(one)) == "true" {
			wanted = append(wanted, `"`+name+`ListChanged":true`)
		}
	}
	if wanted == nil {
		return ""
	}
	return `{"notifications":{` + strings.Join(wanted, ",") + `}}`
}

// subscribed holds one subscription until it ends. heard says that the server took it, more that there is sense in another one.
func (c *Conn) subscribed(filter string) (heard, more bool) {
	r := &request{method: "subscriptions/listen", onMessage: func(m *rawjson.Message) {
		heard = true
		c.unsolicited(m)
	}}
	resp, err := c.send(c.ctx, r, []byte(filter))
	if err == nil {
		defer resp.release()
		return heard, resp.message.Kind == rawjson.Result // an error says that the server does not do this
	}
	var (
		own     *catalog.Error
		refused *refusal
	)
	if errors.As(err, &refused) {
		return heard, refused.status/100 == 5
	}
	return heard, errors.As(err, &own) && own.Code == catalog.Unavailable && c.Err() == nil
}
