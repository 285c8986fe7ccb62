package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"zonewire"
	"zonewire/api"
	"zonewire/digest"
	"zonewire/feed"
	"zonewire/outbox"
	"zonewire/poll"
	"zonewire/templates"
	"zonewire/web"
	"zonewire/websub"
)

// engine wires the rooms on an open database: what the daemon runs, and what the verbs of digest and outbox use of it.
type engine struct {
	db        *session
	set       *templates.Set
	planner   *digest.Planner
	scheduler *digest.Scheduler
	feeds     *feed.Server
	hub       *websub.Hub // ours, or only what tells hubs elsewhere; nil: nobody is to be told
	poller    *poll.Poller
	site      feed.Site
	composer  outbox.Composer
	log       *slog.Logger
	cfg       Config
}

// newEngine builds every room but the transport, which only who sends needs.
func newEngine(ctx context.Context, a *app, db *session, log *slog.Logger) (*engine, error) {
	set, err := templates.Load(a.cfg.Templates.Dir)
	if err != nil {
		return nil, err
	}
	composer, err := a.composer(db.secret)
	if err != nil {
		return nil, err
	}
	cal, err := a.calendar()
	if err != nil {
		return nil, err
	}
	e := &engine{
		db: db, set: set, log: log, cfg: a.cfg,
		composer: composer,
		planner: &digest.Planner{
			Composer:      digest.NewRenderer(set),
			Secret:        db.secret,
			From:          a.cfg.Mail.From,
			ReplyTo:       a.cfg.Mail.ReplyTo,
			PostalAddress: a.cfg.Mail.PostalAddress,
			BaseURL:       trimSlash(a.cfg.HTTP.BaseURL),
			Calendar:      cal,

			Operator:       a.cfg.Operator.Email,
			OperatorLocale: a.cfg.Operator.Locale,
		},
	}
	e.scheduler = &digest.Scheduler{Store: db, Planning: e.planner, Log: log}
	if e.site, err = feedSite(ctx, db, a.cfg, set.SiteTitle(zonewire.LocaleZH), time.Now()); err != nil {
		return nil, err
	}
	e.feeds = feed.NewServer(db, e.site, feed.Options{Log: log, CacheBytes: int64(a.cfg.Feed.CacheSize), Hubs: a.cfg.WebSub.Hubs, Changed: e.tell})
	if a.cfg.WebSub.Enabled || len(a.cfg.WebSub.Hubs) > 0 {
		e.hub = websub.New(db, e.feeds, websub.Options{
			HubURL: e.site.BaseURL + hubPath, BaseURL: e.site.BaseURL, DisableHub: !a.cfg.WebSub.Enabled,
			AllowPrivate: a.cfg.WebSub.AllowPrivate, Log: log, Version: buildVersion(),
		})
	}
	e.poller = a.poller(db, poll.Options{Secret: db.secret, Log: log})
	return e, nil
}

// keepWorkdays lets every list follow the calendar that this start has read.
func (e *engine) keepWorkdays(ctx context.Context, now time.Time) error {
	lists, err := e.db.Lists(ctx)
	if err != nil {
		return err
	}
	for _, l := range lists {
		_, changed, err := realign(l, now, e.planner.Calendar)
		if err != nil {
			e.log.Error("working days", "err", err) // the scheduler says so again, and the other lists go on
		}
		if !changed {
			continue
		}
		_, err = e.db.EditList(ctx, zonewire.Act{At: now, By: "daemon"}, l.Slug, func(l *zonewire.List) error {
			next, _, err := realign(*l, now, e.planner.Calendar)
			l.NextSlot = next
			return err
		})
		if err != nil {
			return err
		}
		e.log.Info("the calendar moved the next slot", "list", l.Slug)
	}
	return nil
}

// hubPath is where our own hub is.
const hubPath = "/hub"

// tell wakes the hub when a feed has a new version.
func (e *engine) tell() {
	if e.hub != nil {
		e.hub.Wake()
	}
}

// hubStats are nothing where there is no hub.
func (e *engine) hubStats() websub.Stats {
	if e.hub == nil {
		return websub.Stats{}
	}
	return e.hub.Stats()
}

// trimSlash is a base address without its trailing slash.
func trimSlash(base string) string { return strings.TrimRight(base, "/") }

// feedSite settles the authority of tag URIs once, at the first start: ids must outlive a move to another host.
func feedSite(ctx context.Context, db *session, cfg Config, title string, now time.Time) (feed.Site, error) {
	host := cfg.Feed.Authority
	if host == "" {
		u, err := url.Parse(cfg.HTTP.BaseURL)
		if err != nil {
			return feed.Site{}, fmt.Errorf("http.base_url: %w", err)
		}
		host = strings.ToLower(u.Hostname())
	}
	stands, err := db.InitMeta(ctx, "feed_authority", fmt.Sprintf("%s,%d", host, now.Year()))
	if err != nil {
		return feed.Site{}, err
	}
	site := feed.Site{BaseURL: trimSlash(cfg.HTTP.BaseURL), Title: title, MaxItems: cfg.Feed.MaxItems, MaxBytes: cfg.Feed.MaxBytes}
	if cfg.WebSub.Enabled {
		site.Hubs = append(site.Hubs, site.BaseURL+hubPath)
	}
	site.Hubs = append(site.Hubs, cfg.WebSub.Hubs...)
	if _, err := fmt.Sscanf(strings.Replace(stands, ",", " ", 1), "%s %d", &site.Authority, &site.Year); err != nil {
		return site, zonewire.Invalidf("meta feed_authority %q is damaged", stands)
	}
	return site, nil
}

// transport is where mail goes.
func (a *app) transport() (outbox.Transport, error) {
	m := a.cfg.Mail
	if m.Transport == "maildir" {
		return outbox.NewMaildir(m.Maildir), nil
	}
	password, err := a.secretText("mail.password")
	if err != nil {
		return nil, err
	}
	return outbox.NewSMTP(outbox.SMTPConfig{
		Host: m.Host, Port: m.Port, TLS: m.TLS, Username: m.Username, Password: password, HELO: m.HELO,
	})
}

// agent is the sender of the configuration.
func (e *engine) agent(tr outbox.Transport) *outbox.Agent {
	return outbox.New(e.db, tr, e.composer, outbox.Options{
		Connections: e.cfg.Mail.Connections, Rate: e.cfg.Mail.Rate, Log: e.log,
	})
}

// pages is the handler of people's pages.
func (e *engine) pages() (http.Handler, error) {
	client, err := clientOf(e.cfg.HTTP.TrustedProxies)
	if err != nil {
		return nil, err
	}
	cfg, err := webConfig(e.cfg, e.db, e.set)
	if err != nil {
		return nil, err
	}
	cfg.Feeds, cfg.Now, cfg.Log, cfg.Client, cfg.ProofOfWork = e.discover, time.Now, e.log, client, e.cfg.HTTP.ProofOfWork
	cfg.Describe = func(l zonewire.List, locale string) string { return describe(l, e.planner.Calendar, locale) }
	return web.New(e.db, cfg), nil
}

// webConfig is what pages and the letters that they cause know of the configuration.
func webConfig(cfg Config, db *session, set *templates.Set) (web.Config, error) {
	_, host, err := digest.SenderOf(cfg.Mail.From)
	if err != nil {
		return web.Config{}, fmt.Errorf("mail.from: %w", err)
	}
	return web.Config{
		BaseURL: trimSlash(cfg.HTTP.BaseURL), Secret: db.secret, Templates: set,
		From: cfg.Mail.From, ReplyTo: cfg.Mail.ReplyTo, PostalAddress: cfg.Mail.PostalAddress, MailHost: host,
	}, nil
}

// letters composes the mails that commands cause.
func (a *app) letters(db *session) (zonewire.Letters, error) {
	set, err := templates.Load(a.cfg.Templates.Dir)
	if err != nil {
		return nil, err
	}
	cfg, err := webConfig(a.cfg, db, set)
	return web.NewLetters(cfg), err
}

// discover lists the feeds that a page offers.
func (e *engine) discover(zone *zonewire.Zone, province string) []web.Feed {
	var feeds []web.Feed
	for _, l := range e.site.URLs(zone) {
		f := web.Feed{Title: l.Title, URL: l.URL, Type: l.Type, Name: l.Format.Label()}
		if province != "" {
			f.Title, f.URL = province+" · "+l.Format.Label(), l.URL+feed.View{Province: province}.Query()
		}
		feeds = append(feeds, f)
	}
	return feeds
}

// api is the handler of /api/.
func (e *engine) api() http.Handler {
	return api.New(e.db, api.Config{
		BaseURL: e.site.BaseURL, Version: buildVersion(), QueryToken: e.cfg.API.QueryToken, Log: e.log,
		Withdraw: func(ctx context.Context, act zonewire.Act, id int64, reason string) error {
			_, err := e.db.WithdrawArticle(ctx, act, id, reason, false, e.planner)
			return err
		},
	})
}

// describe says when a list is sent; a schedule that cannot be read is shown as it is.
func describe(l zonewire.List, cal *digest.Calendar, locale string) string {
	s, err := digest.ScheduleOf(l, cal)
	if err != nil {
		return l.Schedule
	}
	return s.Describe(locale)
}

// logger writes the daemon's log as the configuration says.
func (a *app) logger() *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.cfg.Log.Level)); err != nil {
		level = slog.LevelInfo // config check has refused it before
	}
	o := &slog.HandlerOptions{Level: level}
	if a.cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, o))
	}
	return slog.New(slog.NewTextHandler(a.stderr, o))
}
