package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"zonewire/feed"
	"zonewire/internal/trouble"
)

// newServe is "zonewire serve".
func newServe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon: feeds, pages, schedules and mail",
		Long: `Run the daemon until it is interrupted: it serves feeds and pages, plans each
list's digest when its slot comes, and sends what is planned. What other commands
change shows at once; nothing needs a restart but the configuration.`,
		Example: `  zonewire serve
  ZONEWIRE_HTTP_LISTEN=127.0.0.1:9000 zonewire serve`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mayMigrate, func(db *session) error {
				ln, err := listen(a.cfg.HTTP.Listen)
				if err != nil {
					return err
				}
				e, err := newEngine(cmd.Context(), a, db, a.logger())
				if err != nil {
					return errors.Join(err, ln.Close())
				}
				if err := e.keepWorkdays(cmd.Context(), time.Now()); err != nil {
					return errors.Join(err, ln.Close())
				}
				return e.serve(cmd.Context(), a, ln)
			})
		},
	}
}

func listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w: choose another with http.listen", addr, err)
	}
	return ln, nil
}

// runner is a part of the daemon. Run blocks, gives nil when ctx ends, and waits for what it began.
type runner interface {
	Run(ctx context.Context) error
}

// gcPercent of garbage beside what lives, before it is collected. Most of what lives are feeds that stay: with Go's 100 the
// daemon took half as much memory again, and was no faster.
const gcPercent = 40

// serve runs the daemon until ctx ends. The first part that fails stops the others.
func (e *engine) serve(ctx context.Context, a *app, ln net.Listener) error {
	if _, told := lookup(a.environ, "GOGC"); !told {
		debug.SetGCPercent(gcPercent)
	}
	tr, err := a.transport()
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	watch, err := e.newWatch()
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	routes, err := e.routes(a.cfg.HTTP.MetricsListen == "")
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	handlers := []served{{ln, routes}}
	if addr := a.cfg.HTTP.MetricsListen; addr != "" {
		mln, err := listen(addr)
		if err != nil {
			return errors.Join(err, ln.Close())
		}
		handlers = append(handlers, served{mln, e.metrics()})
	}
	runners := []runner{e.feeds, e.scheduler, e.agent(tr), watch, e.poller}
	if e.hub != nil {
		runners = append(runners, e.hub)
	}
	bounces, err := e.bounceListener()
	if err != nil {
		return errors.Join(err, closeAll(handlers))
	}
	if bounces != nil {
		runners = append(runners, bounces)
		e.log.Info("receiving returned mail", "address", bounces.Addr().String(), "domain", a.cfg.Mail.BounceDomain)
	}
	e.log.Info("serving", "address", ln.Addr().String(), "base_url", e.site.BaseURL, "mail", a.cfg.Mail.Transport, "version", buildVersion())
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range runners {
		g.Go(func() error { return r.Run(ctx) })
	}
	for _, s := range handlers {
		g.Go(func() error { return serveHTTP(ctx, s.ln, s.handler) })
	}
	err = g.Wait()
	e.log.Info("stopped")
	return err
}

// closeAll gives up the addresses of a daemon that did not come to run.
func closeAll(handlers []served) error {
	var err error
	for _, h := range handlers {
		err = errors.Join(err, h.ln.Close())
	}
	return err
}

type served struct {
	ln      net.Listener
	handler http.Handler
}

// serveHTTP serves until ctx ends, then lets open requests finish. Serve returns as soon as Shutdown begins, so
// returning on Serve alone would cut them: wait for both.
func serveHTTP(ctx context.Context, ln net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return srv.Shutdown(ctx)
	})
	return g.Wait()
}

// How long a request waits for a database that hangs. A page has somebody before it; the API may push a thousand articles. Feeds
// have bounds of their own, since most of what they serve asks nobody. What changes something waits for its turn, and the digest of
// a large list that is planned at the same moment goes first: whoever leaves must not be told to try again for that.
const (
	pageWait   = 8 * time.Second
	apiWait    = 20 * time.Second
	changeWait = time.Minute
	readyWait  = 2 * time.Second
)

// within bounds what a request may take that reads.
func within(most time.Duration, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most := most
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			most = changeWait
		}
		ctx, cancel := context.WithTimeout(r.Context(), most)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// routes is everything on the public address.
func (e *engine) routes(metrics bool) (http.Handler, error) {
	pages, err := e.pages()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, f := range feed.Formats() {
		mux.Handle(feed.Path("", f), e.feeds)
		mux.Handle(feed.Path("{slug}", f), e.feeds)
	}
	mux.Handle("/zones/{slug}/archive/{month}", e.feeds)
	mux.Handle(feed.ListPath, e.feeds)
	mux.Handle(feed.StylesheetPath, e.feeds)
	if e.cfg.WebSub.Enabled {
		mux.Handle(hubPath, within(pageWait, e.hub))
	}
	mux.Handle("/websub/{token}", within(pageWait, e.poller.Callback()))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plainText(w, http.StatusOK, "ok\n") })
	mux.Handle("GET /readyz", &readiness{e, trouble.New(e.log, "not ready", "ready again")})
	if metrics {
		mux.Handle("GET /metrics", loopbackOnly(e.metrics()))
	}
	mux.Handle("/", within(pageWait, pages))
	// The API says all in JSON. The mux would answer a path that is not clean by itself, and with HTML.
	api := within(apiWait, e.api())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api" || strings.HasPrefix(r.URL.Path, "/api/") {
			api.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

func plainText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client went away: nothing to do
}

// readiness answers whether requests should come here: the database answers and the feeds are rendered. Feeds are served
// without: a balancer that knows no better place may send their readers all the same.
type readiness struct {
	*engine
	database *trouble.Trouble
}

func (e *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyWait)
	defer cancel()
	err := e.db.Ping(ctx)
	if r.Context().Err() == nil { // else whoever asked has gone
		e.database.Is(err)
	}
	if err != nil {
		plainText(w, http.StatusServiceUnavailable, "the database does not answer\n")
		return
	}
	if !e.feeds.Ready() {
		plainText(w, http.StatusServiceUnavailable, "the feeds are not rendered yet\n")
		return
	}
	plainText(w, http.StatusOK, "ready\n")
}

// loopbackOnly hides a handler from everyone but this machine. A proxy on this machine is a loopback peer too, so a
// request that was passed on is refused.
func loopbackOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		ip := net.ParseIP(host)
		if err != nil || ip == nil || !ip.IsLoopback() || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}
