package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
	"weir/policy"
	"weir/server/authn"
	"weir/upstream"
	"weir/upstream/cred"
)

const (
	// loginPath is where users begin to sign in to an upstream, callbackPath where authorization servers send them back to.
	loginPath    = config.SignInPath
	callbackPath = config.SignedInPath
	// ticketLife is how long a link is good, maxTickets how many there are.
	ticketLife = 10 * time.Minute
	maxTickets = 1000
	// LoginWait is how long weir login waits for the user.
	LoginWait = 5 * time.Minute
)

// logins are the pages on which users sign in to upstreams. A link holds a ticket that was made for one caller and is good for once; who takes it up
// gets a cookie, and only the browser that shows it again can come back from the authorization server. So a link to there that is sent on leads
// nobody's account into the hands of somebody else. Nor does a link to weir, where the caller's issuer can be asked who sits before the browser;
// elsewhere the page says for whom it is.
type logins struct {
	in    *cred.SignIn
	store *cred.Store
	set   *upstream.Set
	log   *slog.Logger
	auth  func() *authn.Authenticator // how callers sign in, nil where nobody does

	offered atomic.Bool // users sign in to an upstream of the file in force

	mu      sync.Mutex
	base    string // where browsers reach the pages, "" where none can
	tickets map[string]ticket
	alone   bool         // it is weir login: the one who asked is the one who comes
	over    chan<- error // what came of the sign-in, for weir login
}

// ticket is a link that was not taken up yet.
type ticket struct {
	upstream, owner, who string
	until                time.Time
	visit                *authn.Visit // the last that began, of the browser
	browser              string
	known                bool // the browser is that of who
}

// newLogins opens nothing: the token store is opened when it is needed first.
func newLogins(file *config.File, env config.Env, log *slog.Logger) (*logins, error) {
	spec, err := config.Resolved(file.Expander, file.Tokens)
	if err != nil {
		return nil, err
	}
	dir := beside(filepath.Dir(file.Path), spec.Dir)
	if dir == "" {
		if state, ok := env.Lookup("XDG_STATE_HOME"); ok && filepath.IsAbs(state) {
			dir = filepath.Join(state, "weir")
		} else {
			dir = filepath.Join(env.Home, ".local", "state", "weir")
		}
	}
	l := &logins{store: cred.NewStore(dir, spec.Key), log: log, tickets: map[string]ticket{}}
	l.in = cred.NewSignIn(l.store, policy.LocalUser().Owner())
	l.in.Link = l.link
	l.offered.Store(file.SignsIn())
	return l, nil
}

// serveAt says where browsers reach the pages.
func (l *logins) serveAt(base string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.base = strings.TrimSuffix(base, "/")
}

// at is where browsers reach the pages, "" where none can.
func (l *logins) at() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.base
}

// link returns a link for a caller, the one that it has already if that is still good.
func (l *logins) link(upstream string, c catalog.Caller) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.base == "" {
		return ""
	}
	now, name := time.Now(), ""
	for id, t := range l.tickets {
		switch {
		case now.After(t.until):
			delete(l.tickets, id)
		case t.upstream == upstream && t.owner == c.Owner:
			name = id
		}
	}
	if name == "" {
		if len(l.tickets) >= maxTickets {
			return ""
		}
		name = rand.Text()
		l.tickets[name] = ticket{upstream: upstream, owner: c.Owner, who: c.Name, until: now.Add(ticketLife)}
	}
	return l.base + loginPath + "?ticket=" + name
}

// ticket looks a ticket up, and takes it when it is to be used.
func (l *logins) ticket(name string, use bool) (ticket, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.tickets[name]
	if use {
		delete(l.tickets, name)
	}
	return t, ok && time.Now().Before(t.until)
}

// begin shows who signs in where, and sends the browser on once its user says so.
func (l *logins) begin(w http.ResponseWriter, r *http.Request) {
	harden(w)
	name := r.FormValue("ticket")
	take := r.Method == http.MethodPost || l.alone
	t, ok := l.ticket(name, take)
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, POST")
		show(w, http.StatusMethodNotAllowed, page{Title: "Method not allowed"})
	case r.Method == http.MethodPost && http.NewCrossOriginProtection().Check(r) != nil:
		show(w, http.StatusForbidden, page{Title: "This must be sent from weir's own page"})
	case !ok:
		show(w, http.StatusForbidden, page{Title: "This link is not good any more", Text: "Ask for what you wanted once more to get another one."})
	case l.asks(t) && (!t.known || l.shown(r) != t.browser):
		l.ask(w, r, name, t)
	case !take:
		show(w, http.StatusOK, page{Title: "Sign in to " + t.upstream, Text: "What you sign in to there will be used by " + t.who + ". Go on only if that is you.", Ticket: name})
	default:
		l.sendOn(w, r, t)
	}
}

// sendOn begins the sign-in and binds it to the browser.
func (l *logins) sendOn(w http.ResponseWriter, r *http.Request, t ticket) {
	base, browser := l.at(), rand.Text()
	to, err := l.set.Begin(r.Context(), t.upstream, t.owner, base+callbackPath, browser)
	if err != nil {
		l.log.Warn("a sign-in cannot begin", "upstream", t.upstream, "error", err)
		show(w, http.StatusBadGateway, page{Title: "The sign-in cannot begin", Text: err.Error()})
		l.tell(err)
		return
	}
	http.SetCookie(w, l.cookie(base, browser, int(ticketLife.Seconds())))
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// cookie binds a sign-in to a browser. Where there is no TLS, which is on the own machine, a __Host- cookie cannot be.
func (l *logins) cookie(base, value string, age int) *http.Cookie {
	c := &http.Cookie{Name: "weir-signin", Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if strings.HasPrefix(base, "https://") {
		c.Name, c.Secure = "__Host-"+c.Name, true
	}
	return c
}

// callback ends a sign-in.
func (l *logins) callback(w http.ResponseWriter, r *http.Request) {
	harden(w)
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		show(w, http.StatusMethodNotAllowed, page{Title: "Method not allowed"})
		return
	}
	if name, t, visit := l.visited(r.URL.Query().Get("state")); visit != nil {
		l.answered(w, r, name, t, visit)
		return
	}
	err := l.in.Finish(r.Context(), r.URL.Query(), l.shown(r))
	http.SetCookie(w, l.cookie(l.at(), "", -1))
	if err != nil {
		l.log.Warn("a sign-in failed", "error", err)
		show(w, http.StatusForbidden, page{Title: "The sign-in failed", Text: err.Error()})
	} else {
		show(w, http.StatusOK, page{Title: "You are signed in", Text: "This window can be closed."})
	}
	l.tell(err)
}

// tell tells weir login, if that is who waits.
func (l *logins) tell(err error) {
	if l.over == nil {
		return
	}
	select {
	case l.over <- err:
	default:
	}
}

// page is what users see.
type page struct{ Title, Text, Ticket string }

// pages is a template for page. Its style stands in the tags, so that nothing else is allowed.
const pages = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title>` +
	`<h1>{{.Title}}</h1><p>{{.Text}}</p>{{if .Ticket}}<form method="post"><input type="hidden" name="ticket" value="{{.Ticket}}"><button id="go">Continue</button></form>{{end}}</html>`

// harden keeps a page out of frames, caches and referrers, and scripts out of it.
func harden(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin") // a form that is sent with no-referrer has no origin
}

func show(w http.ResponseWriter, status int, p page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	t, err := template.New("").Parse(pages)
	if err == nil {
		_ = t.Execute(w, p) // the browser may be gone
	}
}

// alone makes what weir login needs for an upstream at which users sign in.
func alone(file *config.File, env Env, name string) (*logins, error) {
	l, err := newLogins(file, env.Config, env.Log)
	if err != nil {
		return nil, err
	}
	l.set = upstream.New(upstream.Options{
		Namespace: namespaceOf(file), Catalog: catalog.New(), Log: env.Log, Version: env.Version, SignIn: l.in, Expand: file.Expander.Expand,
	})
	l.alone = true
	return l, l.set.SignsIn(name)
}

// Login signs the user of this machine in to an upstream: in a browser, which comes back to a port of the loopback address. open is given the link.
func Login(ctx context.Context, file *config.File, env Env, name string, open func(string)) (err error) {
	l, err := alone(file, env, name)
	if err != nil {
		return err
	}
	over := make(chan error, 1)
	l.over = over
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc(loginPath, l.begin)
	mux.HandleFunc(callbackPath, l.callback)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: ticketLife, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = web.Serve(ln) }) // until Shutdown
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = web.Shutdown(end)
		serving.Wait()
		err = errors.Join(err, l.store.Close())
	}()
	l.serveAt("http://" + ln.Addr().String())
	open(l.link(name, catalog.Caller{Owner: policy.LocalUser().Owner(), Name: policy.LocalUser().String()}))
	wait, cancel := context.WithTimeout(ctx, LoginWait)
	defer cancel()
	select {
	case err := <-over:
		return notSignedIn(name, err)
	case <-wait.Done():
		return notSignedIn(name, cmp.Or(ctx.Err(), errNobody))
	}
}

// errNobody says that the user never came.
var errNobody = errors.New("nobody signed in")

// notSignedIn is the error of a sign-in that failed, nil of one that did not.
func notSignedIn(name string, err error) error {
	if _, own := errors.AsType[*catalog.Error](err); err == nil || own || errors.Is(err, context.Canceled) {
		return err
	}
	return &catalog.Error{Code: catalog.NeedsLogin, Msg: name + ": " + err.Error(), Hint: "weir login " + name, Err: err}
}

// LoginElsewhere signs the user of this machine in to an upstream with a browser on another one. open is given the issuer's own address; where the browser
// ends then is an address of this machine, which it cannot reach, and which the user brings here through pasted. Whoever has both is the one who asked.
func LoginElsewhere(ctx context.Context, file *config.File, env Env, name string, open func(string), pasted <-chan string) (err error) {
	l, err := alone(file, env, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.store.Close()) }()
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0") // so that nobody else has the port
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }()
	browser := rand.Text()
	to, err := l.set.Begin(ctx, name, policy.LocalUser().Owner(), "http://"+ln.Addr().String()+callbackPath, browser)
	if err != nil {
		return err
	}
	open(to)
	wait, cancel := context.WithTimeout(ctx, LoginWait)
	defer cancel()
	select {
	case text, ok := <-pasted:
		if !ok {
			return notSignedIn(name, errNobody)
		}
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil || !u.Query().Has("state") {
			return catalog.Errorf(catalog.Invalid, "%s: this is not where the browser ended: an address with state= in it", name)
		}
		return notSignedIn(name, l.in.Finish(ctx, u.Query(), browser))
	case <-wait.Done():
		return notSignedIn(name, cmp.Or(ctx.Err(), errNobody))
	}
}
