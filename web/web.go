// Package web gives people their pages: zones and their articles, lists and the digests they sent, the forms to get
// them, and what the links in a mail lead to: confirm, leave, take that back, manage what one gets.
//
// Policy. A GET changes nothing, whoever follows the link: only a POST acts. What a token allows stands in the path,
// so no page needs a cookie, a session or a script. The content security policy of every page forbids scripts, but for
// the one that works for a form where the operator asks for that, and it too serves without. A private list does not
// exist for those without its key. The answer to a form that mails something is the same whoever has the address. A
// page is rendered whole before its first byte is written, so a reader gets a page or a designed error, never half of
// either.
package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"zonewire"
	"zonewire/internal/trouble"
	"zonewire/templates"
)

// Store is what the pages read and the little that they change.
type Store interface {
	Zones
	Articles
	Lists
	Digests
	Subscriptions
	People
}

// Zones finds development zones.
type Zones interface {
	// Zones lists every zone, open and closed.
	Zones(ctx context.Context) ([]zonewire.Zone, error)
	// Zone finds a zone by its slug or a former one: the answer's Slug tells. [zonewire.ErrNotFound] if there is none.
	Zone(ctx context.Context, slug string) (zonewire.Zone, error)
}

// Articles finds articles.
type Articles interface {
	// Articles selects articles, newest change first.
	Articles(ctx context.Context, q zonewire.ArticleQuery) ([]zonewire.Article, error)
	// Article finds one, withdrawn or not. [zonewire.ErrNotFound] if there is none.
	Article(ctx context.Context, id int64) (zonewire.Article, error)
	// Copies lists the standing articles that tell a story, known by the id of the one that told it first: that one and
	// those after it, without their bodies, the oldest first.
	Copies(ctx context.Context, story int64) ([]zonewire.Article, error)
	// Revisions lists what an article said before, the latest first. [zonewire.ErrNotFound] if there is no such article.
	Revisions(ctx context.Context, id int64) ([]zonewire.Revision, error)
}

// Lists finds lists.
type Lists interface {
	// Lists lists every list that was not removed, private ones too.
	Lists(ctx context.Context) ([]zonewire.List, error)
	// List finds one by its slug. [zonewire.ErrNotFound] if there is none or it was removed.
	List(ctx context.Context, slug string) (zonewire.List, error)
}

// Digests finds what a list has sent.
type Digests interface {
	// Digests lists the list's latest, newest first.
	Digests(ctx context.Context, list string, limit int) ([]zonewire.Digest, error)
	// Digest finds one. [zonewire.ErrNotFound] if there is none.
	Digest(ctx context.Context, id int64) (zonewire.Digest, error)
	// WebVariant finds the digest's page in the locale. [zonewire.ErrNotFound] if that locale has none.
	WebVariant(ctx context.Context, digest int64, locale string) (zonewire.Variant, error)
}

// Subscriptions finds a person's place on a list.
type Subscriptions interface {
	// Subscription finds one with its list, removed or not. [zonewire.ErrNotFound] if there is none.
	Subscription(ctx context.Context, id int64) (zonewire.Subscription, zonewire.List, error)
}

// Feed is one feed that a page offers.
type Feed struct {
	Title string // in full, for a reader's list: "Jintan Economic Development Zone (Atom)"
	URL   string // absolute
	Type  string // media type, without parameters
	Name  string // of the format, short: "Atom"
}

// Feeds lists the feeds of a zone, or with nil of all zones in a province, or with neither of all, the default first.
type Feeds func(zone *zonewire.Zone, province string) []Feed

// Config is what the pages need besides the store. Describe, ReplyTo, PostalAddress, Client and ProofOfWork may be left out.
type Config struct {
	BaseURL   string // without a trailing slash
	Secret    zonewire.Secret
	Templates *templates.Set
	Feeds     Feeds
	Now       func() time.Time
	Log       *slog.Logger
	// Describe says in the locale when a list is sent, such as "weekdays at 08:00"; nil shows its cron line.
	Describe func(l zonewire.List, locale string) string

	From          string // of letters about lists that have none of their own
	ReplyTo       string // likewise
	PostalAddress string
	MailHost      string // of Message-IDs
	// Client is where a request comes from: the peer, or who a trusted proxy says it speaks for. nil: the peer.
	Client func(r *http.Request) netip.Addr
	// ProofOfWork is how many leading zero bits a script must find before a form is taken, at most 22; 0 asks for none.
	// 18 take a phone a few seconds. Without a script the form is taken after a wait that is as long.
	ProofOfWork int
}

type server struct {
	Config
	store   Store
	letters zonewire.Letters
	limits  *limiter
	stamps  stamps
	// searches holds those under way: each may read all that the database has.
	searches chan struct{}
	seldom   trouble.Seldom // for a database that is away
}

// New gives the handler of every page. It answers each path of its own and, as the last resort of a mux, any other
// with a page that says 404.
func New(st Store, cfg Config) http.Handler {
	s := &server{Config: cfg, store: st, letters: NewLetters(cfg), limits: newLimiter(networks), searches: make(chan struct{}, atOnce)}
	read := []string{http.MethodGet, http.MethodHead}
	act := append(read, http.MethodPost)

	mux := http.NewServeMux()
	for _, r := range []struct {
		pattern string
		methods []string
		answer  answer
	}{
		{"/{$}", read, s.home},
		{"/zones/{slug}", read, s.zone},
		{"/articles/{id}", read, s.article},
		{"/articles/{id}/deadline.ics", read, s.calendar},
		{"/lists/{slug}", read, s.list},
		{"/digests/{id}", read, s.digest},
		{"/lists/{slug}/subscribe", act, s.subscribe},
		{"/confirm/{token}", act, s.confirm},
		{"/unsubscribe/{token}", act, s.unsubscribe},
		{"/undo/{token}", act, s.undo},
		{"/preferences", act, s.ask},
		{"/preferences/{token}", act, s.preferences},
		{"/preferences/{token}/places/{id}", act, s.placeEdit},
		{"/preferences/{token}/data.json", read, s.data},
		{"/preferences/{token}/erase", act, s.erase},
		{"/address/{token}", act, s.address},
		{"/work.js", read, s.workScript},
		{"/style.css", read, s.style},
		{"/favicon.svg", read, s.favicon},
		{"/robots.txt", read, s.robots},
		{"/", nil, s.unknown},
	} {
		mux.Handle(r.pattern, s.route(r.methods, r.answer))
	}
	return mux
}
