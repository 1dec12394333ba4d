package app

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"

	"weir/server/authn"
)

// asks reports whether the browser of a ticket must show whose it is.
func (l *logins) asks(t ticket) bool {
	if l.alone || l.auth == nil {
		return false
	}
	auth := l.auth()
	return auth != nil && auth.Asks(t.who)
}

// shown is the cookie of a request, "" for none.
func (l *logins) shown(r *http.Request) string {
	c, err := r.Cookie(l.cookie(l.at(), "", 0).Name)
	if err != nil {
		return ""
	}
	return c.Value
}

// ask sends a browser to the issuer of the caller whom a ticket was made for. Only the last that was sent there counts.
func (l *logins) ask(w http.ResponseWriter, r *http.Request, name string, t ticket) {
	base := l.at()
	v, err := l.auth().Visit(r.Context(), t.who, base+callbackPath)
	if err != nil {
		l.log.Warn("it cannot be asked who opens a link", "upstream", t.upstream, "error", err)
		show(w, http.StatusBadGateway, page{Title: "The sign-in cannot begin", Text: "Who you are cannot be found out: " + err.Error()})
		return
	}
	t.visit, t.browser, t.known = v, rand.Text(), false
	l.keep(name, t)
	http.SetCookie(w, l.cookie(base, t.browser, int(ticketLife.Seconds())))
	http.Redirect(w, r, v.URL, http.StatusSeeOther)
}

// keep changes a ticket that is still there, or was just taken.
func (l *logins) keep(name string, t ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tickets[name] = t
}

// visited takes the visit of a state, which is good for once, and returns the ticket that it began for; nil when there is none.
func (l *logins) visited(state string) (name string, t ticket, visit *authn.Visit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, t := range l.tickets {
		if visit := t.visit; visit != nil && subtle.ConstantTimeCompare([]byte(visit.State), []byte(state)) == 1 {
			t.visit = nil
			l.tickets[name] = t
			return name, t, visit
		}
	}
	return "", ticket{}, nil
}

// answered goes on with a browser that comes back from the issuer, if it is that of the caller.
func (l *logins) answered(w http.ResponseWriter, r *http.Request, name string, t ticket, visit *authn.Visit) {
	if l.shown(r) != t.browser {
		show(w, http.StatusForbidden, page{Title: "The sign-in failed", Text: "it was begun in another browser"})
		return
	}
	user, err := visit.Finish(r.Context(), r.URL.Query())
	switch {
	case err != nil:
		l.log.Warn("it cannot be asked who opens a link", "upstream", t.upstream, "error", err)
		show(w, http.StatusForbidden, page{Title: "The sign-in failed", Text: err.Error()})
	case user != t.who:
		l.log.Warn("a link was opened by somebody else than it is for", "upstream", t.upstream, "for", t.who, "by", user)
		show(w, http.StatusForbidden, page{Title: "This link is not for you", Text: "It was made for somebody else; nothing was signed in to. Whoever sent it to you may want to use your account."})
	default:
		t.known = true
		l.keep(name, t)
		http.Redirect(w, r, loginPath+"?ticket="+name, http.StatusSeeOther)
	}
}
