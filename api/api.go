// Package api is the JSON API, by which publishers push articles and scripts read what zonewire holds.
//
// The policy:
//
//   - A push is an upsert, so a publisher that is in doubt sends again. PUT and DELETE name an article by its zone and the
//     publisher's own id; POST lets the article say who it is. What is withdrawn stays so: 410.
//   - What the publisher means counts, not how well it is written: JSON or a form, any charset of Chinese systems, our
//     names of the fields or those of collector tools. What was mended or ignored comes back as warnings.
//   - A key bound to zones changes nothing outside them, and an article whose zone nobody knows is outside. For a key that
//     is bound to none such an article is kept, and the answer says that it waits.
//   - Every answer is JSON, the errors too (RFC 9457); only the dialect of collector tools, ?compat=cms, says 200 always.
//   - An answer is made whole before its first byte is written, so that it can be kept for a repeat of the request.
//   - Log lines name the key, never its token, and nothing of what was pushed.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"zonewire"
	"zonewire/internal/trouble"
)

// Store is what the API reads and changes.
type Store interface {
	Keys
	Answers
	Articles
	Zones
	Mailings
}

// Keys knows the keys of publishers.
type Keys interface {
	// KeyByToken finds the key that a token is of, and notes its use. [zonewire.ErrNotFound] if there is none, or no more.
	KeyByToken(ctx context.Context, token string, now time.Time) (zonewire.APIKey, error)
}

// Answers keeps what was answered to requests that carry an Idempotency-Key.
type Answers interface {
	// BeginAnswer gives the answer of an earlier request that is to be given again, or nil: then the caller answers, and
	// ends with one of the next two. [zonewire.ErrBusy] while the first is at work, [zonewire.ErrExists] if it asked
	// something else.
	BeginAnswer(ctx context.Context, key int64, name, request string, now time.Time) (*zonewire.StoredAnswer, error)
	FinishAnswer(ctx context.Context, key int64, name string, a zonewire.StoredAnswer, now time.Time) error
	DropAnswer(ctx context.Context, key int64, name string) error
}

// Articles finds and stores articles.
type Articles interface {
	// PushArticles stores a batch, all or none but for what the push may not touch. It finds the zones of those that have
	// none yet.
	PushArticles(ctx context.Context, act zonewire.Act, push zonewire.Push, as []zonewire.Article) ([]zonewire.Stored, error)
	// Articles selects articles, newest change first.
	Articles(ctx context.Context, q zonewire.ArticleQuery) ([]zonewire.Article, error)
	// Article finds one, withdrawn or not. [zonewire.ErrNotFound] if there is none.
	Article(ctx context.Context, id int64) (zonewire.Article, error)
	// ArticleByExternal finds one by its publisher's own id, withdrawn or not. [zonewire.ErrNotFound] if there is none.
	ArticleByExternal(ctx context.Context, zone int64, external string) (zonewire.Article, error)
}

// Zones finds development zones.
type Zones interface {
	// Zones lists every zone, open and closed.
	Zones(ctx context.Context) ([]zonewire.Zone, error)
	// Zone finds one by its slug, or a former one. [zonewire.ErrNotFound] if there is none.
	Zone(ctx context.Context, slug string) (zonewire.Zone, error)
	// MatchZone finds the zone that a name means. [zonewire.ErrNotFound] if nobody knows it.
	MatchZone(ctx context.Context, name, province, city string) (zonewire.Zone, error)
}

// Mailings finds lists and what they sent.
type Mailings interface {
	// Lists lists every list that was not removed, private ones too.
	Lists(ctx context.Context) ([]zonewire.List, error)
	// ListSizes counts the subscriptions of each list by state.
	ListSizes(ctx context.Context) (map[string]map[zonewire.SubscriptionState]int, error)
	// Digest finds one. [zonewire.ErrNotFound] if there is none.
	Digest(ctx context.Context, id int64) (zonewire.Digest, error)
}

// Config is what the API needs beside a store.
type Config struct {
	BaseURL    string // of the site, no trailing slash
	Version    string // of the program
	QueryToken bool   // whether ?token= is taken; it ends up in the logs of proxies

	// Withdraw takes an article back, and cuts it from mails not begun. [zonewire.ErrGone] if it was withdrawn before.
	Withdraw func(ctx context.Context, act zonewire.Act, id int64, reason string) error

	Now func() time.Time // nil is time.Now
	Log *slog.Logger
}

// Limits on what is sent. Those on the fields of an article are ingest's.
const (
	maxBody       = 10 << 20 // bytes of a request
	maxLines      = 1000     // articles of a bulk
	batch         = 500      // articles stored in one transaction
	maxIdempotent = 255      // bytes of an Idempotency-Key
	maxListed     = 500      // articles of one page of a list
	usualListed   = 50
)

// New returns the handler of everything under /api/. It answers 404 for what it does not know.
func New(store Store, cfg Config) http.Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &handler{Config: cfg, store: store, doc: document(cfg)}
}

type handler struct {
	Config
	store Store
	doc   []byte // the OpenAPI document

	seldom trouble.Seldom // for a database that is away
}

// call is one request on its way through the API.
type call struct {
	*http.Request
	route route
	now   time.Time
	key   zonewire.APIKey
	body  []byte // of POST and PUT, whole
}

// act says who changes something.
func (c *call) act() zonewire.Act { return zonewire.Act{At: c.now, By: "api:" + c.key.Name} }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Request: r, now: h.Now()}
	a, err := h.dispatch(w, c)
	if err != nil {
		a = h.failure(c, err)
	}
	a.write(w)
	h.Log.Info("api request", "method", r.Method, "route", c.route.path, "status", a.outcome(), "key", c.key.Name)
}

// dispatch finds who answers, lets in who may ask, and reads what was sent.
func (h *handler) dispatch(w http.ResponseWriter, c *call) (answer, error) {
	var err error
	if c.route, err = find(c.Request); err != nil {
		return answer{}, err
	}
	if !c.route.open {
		if err := h.admit(c); err != nil {
			return answer{}, err
		}
	}
	if c.Method == http.MethodPost || c.Method == http.MethodPut {
		if c.body, err = readBody(w, c.Request); err != nil {
			return answer{}, err
		}
	}
	if c.route.repeats && len(c.Header.Values(idempotencyKey)) > 0 {
		return h.once(c)
	}
	return c.route.serve(h, c)
}
