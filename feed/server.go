package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"zonewire"
	"zonewire/internal/trouble"
)

// News gives what feeds are made of.
type News interface {
	// Zones lists every zone, open and closed.
	Zones(ctx context.Context) ([]zonewire.Zone, error)
	// Zone finds a zone by its slug or a former one: the result's Slug tells which it was. It fails as
	// [zonewire.ErrNotFound].
	Zone(ctx context.Context, slug string) (zonewire.Zone, error)
	// Heads lists what a query selects, newest change first.
	Heads(ctx context.Context, q zonewire.ArticleQuery) ([]zonewire.Head, error)
	// Articles lists the same articles whole.
	Articles(ctx context.Context, q zonewire.ArticleQuery) ([]zonewire.Article, error)
	// ArticlesByID gives articles in the order asked, withdrawn ones too. Unknown ones are left out.
	ArticlesByID(ctx context.Context, ids []int64) ([]zonewire.Article, error)
}

// Past tells what came and went.
type Past interface {
	// Departures lists what left a zone's feed, the latest first; with 0 what was withdrawn anywhere.
	Departures(ctx context.Context, zone int64, limit int) ([]zonewire.Departure, error)
	// Arrivals counts what arrived in a zone month by month, the oldest first, without empty months.
	Arrivals(ctx context.Context, zone int64) ([]zonewire.ArrivedIn, error)
	// ArrivedHeads lists what arrived in a zone in a month in the order of arrival. Withdrawn articles are marked.
	ArrivedHeads(ctx context.Context, zone int64, m zonewire.Month) ([]zonewire.Head, error)
}

// Changes tells what is no longer as it was.
type Changes interface {
	// Generation is the present state of the counters.
	Generation(ctx context.Context) (zonewire.Generation, error)
	// ChangedZones lists the zones that something was filed in, changed in or left after the counter value.
	ChangedZones(ctx context.Context, since int64) ([]int64, error)
	// HubZones lists the zones with a feed that somebody is told of; 0 is the feed over all zones.
	HubZones(ctx context.Context, now time.Time) ([]int64, error)
}

// Versions keeps what feeds serve.
type Versions interface {
	// FeedVersions gives what was recorded, in the order asked. What never was has an empty Hash.
	FeedVersions(ctx context.Context, feeds []string) ([]zonewire.FeedVersion, error)
	// PutFeedVersions records versions together and gives what stands: one made of an older store than the recorded one is
	// not taken. An equal hash keeps its moment; each new one has a later second than the one before.
	PutFeedVersions(ctx context.Context, puts []zonewire.FeedPut, now time.Time) ([]zonewire.FeedVersion, error)
}

// Source is what a [Server] reads, and where it keeps what it serves.
type Source interface {
	News
	Past
	Changes
	Versions
}

// Options are what a [Server] may be told. The zero value will do.
type Options struct {
	Log *slog.Logger // nil: nothing is logged
	// CacheBytes bounds what is kept in memory beside the feeds over all zones. Default 128 MiB.
	CacheBytes int64
	// Hubs are hubs elsewhere that are told of every change. With any, each feed is rendered on a change; without, only
	// those that somebody has asked for, or is told of by our own hub.
	Hubs []string
	// Changed is called after a version was recorded that somebody may be told of. It must not block.
	Changed func()
}

// DefaultCacheBytes is the bound where [Options] name none.
const DefaultCacheBytes = 128 << 20

// Server serves feeds. A feed is rendered when it is first asked for, and from then on whenever it changes, as long as
// [Server.Run] runs.
type Server struct {
	src     Source
	site    Site
	log     *slog.Logger
	hubs    []string
	changed func()

	zones     atomic.Pointer[zoneTable] // as of the last look; nil before it
	zonesLock lock
	all       *cell // the feed over all zones, which is always kept
	cache     *cache
	fills     chan struct{} // a token for each cell that is being filled
	searches  chan struct{} // a token for each view that is
	coder     coder
	stats     counters
	recording *trouble.Trouble // with writing versions down
	reading   *trouble.Trouble // with reading what is served from memory meanwhile
	following *trouble.Trouble // with seeing what has changed
	seldom    trouble.Seldom   // for feeds that cannot be loaded
}

// NewServer gives a server that has loaded nothing yet.
func NewServer(src Source, site Site, o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	return &Server{
		src: src, site: site.withDefaults(), log: o.Log, hubs: o.Hubs, changed: o.Changed,
		zonesLock: newLock(), all: newCell(), cache: newCache(o.CacheBytes),
		fills: make(chan struct{}, max(runtime.GOMAXPROCS(0), 2)), searches: make(chan struct{}, maxSearches),
		recording: trouble.New(o.Log, "feed versions cannot be recorded", "feed versions are recorded again"),
		reading:   trouble.New(o.Log, "feeds, views and archives cannot be read, and stay as they are", "feeds, views and archives are read again"),
		following: trouble.New(o.Log, "feeds cannot follow the store, and stay as they are", "feeds follow the store again"),
	}
}

// Ready reports whether the feeds over all zones are rendered.
func (s *Server) Ready() bool { return s.all.set.Load() != nil }

// loadTimeout bounds how long a first request waits for what it asks for.
const loadTimeout = 5 * time.Second

// cellOf gives the cell of a key, nil if there is none.
func (s *Server) cellOf(k key) *cell {
	if k == (key{}) {
		return s.all
	}
	return s.cache.get(k)
}

// ready tells whether what a cell holds can be served as it is. nil: unless the store may have moved on since.
type ready func(*served) bool

// hit gives what can be served.
func (c *cell) hit(is ready) *served {
	if c == nil || is == nil && c.stale.Load() {
		return nil
	}
	if x := c.full(); x != nil && (is == nil || is(x)) {
		return x
	}
	return nil
}

// filler gives what a cell holds; old, which may be nil, is what it held so far.
type filler func(ctx context.Context, old *served) (*served, error)

// load gives what is ready, or fills its cell. It fails as *movedError, [zonewire.ErrGone], [zonewire.ErrNotFound] or
// [zonewire.ErrInvalid]; of other failures it serves what was there before, if anything.
func (s *Server) load(ctx context.Context, k key, is ready, fill filler) (*served, error) {
	if x := s.cellOf(k).hit(is); x != nil {
		return x, nil
	}
	// The cell is there before anything is read, so that Run sees it: what changes after the reading is read again.
	c := s.all
	if k != (key{}) {
		c = s.cache.place(k)
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	if err := c.lock.acquire(ctx); err != nil {
		old := c.full()
		return old, waited(ctx, old)
	}
	defer c.lock.release()
	if x := c.hit(is); x != nil {
		return x, nil
	}
	old := c.full()
	tokens := s.fills
	if k.kind == viewCell {
		tokens = s.searches
	}
	select {
	case tokens <- struct{}{}:
		defer func() { <-tokens }()
	case <-ctx.Done():
		return old, waited(ctx, old)
	}
	c.stale.Store(false)
	next, err := fill(ctx, old)
	if err == nil {
		s.reading.Is(nil)
		c.set.Store(next)
		s.cache.weigh(k, c)
		return next, nil
	}
	if old != nil && !definite(err) {
		c.stale.Store(true)
		if !errors.Is(err, context.Canceled) {
			s.reading.Is(err)
		}
		return old, nil
	}
	s.cache.drop(k, c) // what is made up must not pile up
	return nil, err
}

// waited is the error of having waited in vain: none if there is something to serve.
func waited(ctx context.Context, old *served) error {
	if old != nil {
		return nil
	}
	return fmt.Errorf("wait for feed: %w", ctx.Err())
}

// definite reports whether an error says what there is, rather than that nobody knows.
func definite(err error) bool {
	var moved *movedError
	return errors.As(err, &moved) || errors.Is(err, zonewire.ErrGone) || errors.Is(err, zonewire.ErrNotFound) || errors.Is(err, zonewire.ErrInvalid)
}

// feed gives the feed of a zone, 0 for all zones, its snapshot ready in the format of a place; with noPlace in none that is
// not. One that has changed since is served all the same: [Server.Run] brings the new version. But a zone that says
// something else of itself, such as another address, must not be found saying the old.
func (s *Server) feed(ctx context.Context, zone int64, place int) (*served, error) {
	is := func(x *served) bool { return (place == noPlace || x.snaps[place] != nil) && s.says(x, zone) }
	fresh := false
	x, err := s.load(ctx, key{zone: zone}, is, func(ctx context.Context, old *served) (next *served, err error) {
		if old != nil && s.says(old, zone) { // only this format is not packed yet
			same := *old
			next = &same
		} else if next, fresh, err = s.current(ctx, zone, old, false); err != nil {
			return nil, err
		}
		return next, s.pack(next, old, s.slugOf(zone), time.Now(), place)
	})
	if fresh {
		s.changed()
	}
	return x, err
}

// says reports whether a feed says of its zone what the zone says of itself. The feed over all zones may be behind.
func (s *Server) says(x *served, zone int64) bool {
	return zone == 0 || x.zone == s.zones.Load().byID[zone].state
}

func (s *Server) slugOf(zone int64) string { return s.zones.Load().byID[zone].Slug }

// refresh brings one feed to the present state of the store, and gives when the clock alone will change it. It fails as
// errHeld if that must wait for the next second. A feed that is not in memory is brought there in the store alone.
func (s *Server) refresh(ctx context.Context, zone int64) (until time.Time, err error) {
	k := key{zone: zone}
	c := s.all
	if zone != 0 {
		c = s.cache.whole(k)
	}
	if c == nil {
		next, fresh, err := s.current(ctx, zone, nil, true)
		if err != nil {
			return time.Time{}, err
		}
		if fresh {
			s.changed()
		}
		return next.until, nil
	}
	if err := c.lock.acquire(ctx); err != nil {
		return time.Time{}, err
	}
	defer c.lock.release()
	old, now := c.full(), time.Now()
	if old != nil && tooEarly(old.metas(), now) {
		return time.Time{}, errHeld
	}
	next, fresh, err := s.current(ctx, zone, old, old != nil || zone != 0)
	if err != nil {
		return time.Time{}, err
	}
	if err := s.pack(next, old, s.slugOf(zone), now, noPlace); err != nil {
		return time.Time{}, err
	}
	c.set.Store(next)
	s.cache.weigh(k, c)
	if fresh {
		s.changed()
	}
	return next.until, nil
}

func (x *served) metas() []zonewire.FeedVersion {
	metas := make([]zonewire.FeedVersion, len(x.versions))
	for i, v := range x.versions {
		metas[i] = v.meta
	}
	return metas
}

// Topic finds the feed whose own address, the one in its document as rel=self, is exactly the url. It fails as
// [zonewire.ErrNotFound], also for the feed of a closed or renamed zone; other failures pass.
func (s *Server) Topic(ctx context.Context, url string) (zonewire.Topic, error) {
	zone, f, err := s.topic(ctx, url)
	return zonewire.Topic{URL: url, Feed: zonewire.FeedName(zone, string(f)), Zone: zone}, err
}

func (s *Server) topic(ctx context.Context, url string) (zone int64, f Format, err error) {
	none := fmt.Errorf("feed: %w", zonewire.ErrNotFound)
	if len(url) <= len(s.site.BaseURL) || url[:len(s.site.BaseURL)] != s.site.BaseURL {
		return 0, "", none
	}
	slug, f, ok := parsePath(url[len(s.site.BaseURL):])
	if !ok {
		return 0, "", none
	}
	if slug == "" {
		return 0, f, nil
	}
	if zone, err = s.zoneOf(ctx, slug); err != nil && definite(err) {
		err = none
	}
	return zone, f, err
}

// Content gives the document of a topic to be sent to those who are told of it: what is new since the version with the
// hash have, where that can be told apart, else all of it. It fails as [zonewire.ErrNotFound] like [Server.Topic].
func (s *Server) Content(ctx context.Context, topic, have string) (zonewire.FeedContent, error) {
	zone, f, err := s.topic(ctx, topic)
	if err != nil {
		return zonewire.FeedContent{}, err
	}
	x, err := s.feed(ctx, zone, noPlace)
	if err != nil {
		return zonewire.FeedContent{}, err
	}
	place, _ := f.place()
	v := &x.versions[place]
	c := zonewire.FeedContent{Hash: v.meta.Hash, Type: f.ContentType(), Links: linkTo(topic, s.site.Hubs), Body: v.doc.body}
	if base, ok := v.base(have); ok {
		c.Body, c.Delta = v.since(f, base), true
	}
	return c, nil
}
