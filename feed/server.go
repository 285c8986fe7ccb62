package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"zonewire"
)

// News gives what feeds are made of.
type News interface {
	// Zones lists every zone, open and closed.
	Zones(ctx context.Context) ([]zonewire.Zone, error)
	// Zone finds a zone by its slug or a former one: the result's Slug tells which it was. It fails as
	// [zonewire.ErrNotFound].
	Zone(ctx context.Context, slug string) (zonewire.Zone, error)
	// Articles lists articles, newest change first.
	Articles(ctx context.Context, q zonewire.ArticleQuery) ([]zonewire.Article, error)
}

// Changes tells what is no longer as it was.
type Changes interface {
	// Generation is the present state of the counters.
	Generation(ctx context.Context) (zonewire.Generation, error)
	// ChangedZones lists the ids of the zones with an article that changed after the counter value.
	ChangedZones(ctx context.Context, since int64) ([]int64, error)
	// PutFeedVersion records the hash that a feed now serves, and gives the second since when: it is kept while the hash
	// is. Each version of a feed has a later second than the one before.
	PutFeedVersion(ctx context.Context, feed, hash string, now time.Time) (modified time.Time, err error)
}

// Source is what a [Server] reads.
type Source interface {
	News
	Changes
}

// Server serves feeds. A feed is rendered when it is first asked for, and from then on whenever it changes, as long as
// [Server.Run] runs.
type Server struct {
	src  Source
	site Site
	log  *slog.Logger

	all   *cell                                   // the feed over all zones
	cells sync.Map                                // slug: *cell
	zones atomic.Pointer[map[int64]zonewire.Zone] // as of the last look; nil before it
}

// cell is the place of one feed. Its lock is held while the feed is rendered: requests for a feed that is not there yet
// wait for one rendering, and a change is never overtaken by an older state. Reading takes no lock.
type cell struct {
	lock  chan struct{} // holds one token while locked, so that a wait for it can be given up
	zone  zonewire.Zone // under lock; zero for all zones
	stale bool          // under lock: the store has moved on
	set   atomic.Pointer[snapshots]
}

func newCell() *cell { return &cell{lock: make(chan struct{}, 1)} }

func (c *cell) acquire(ctx context.Context) error {
	select {
	case c.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *cell) release() { <-c.lock }

// NewServer gives a server that has loaded nothing yet.
func NewServer(src Source, site Site, log *slog.Logger) *Server {
	return &Server{src: src, site: site.withDefaults(), log: log, all: newCell()}
}

// Ready reports whether the feeds over all zones are rendered.
func (s *Server) Ready() bool { return s.all.set.Load() != nil }

// movedError says that a zone has a new slug.
type movedError struct{ slug string }

func (e *movedError) Error() string { return "moved to " + e.slug }

// load gives the snapshots of a feed, rendering them if nobody has. It fails as *movedError, [zonewire.ErrGone] or
// [zonewire.ErrNotFound] if there is no feed here; other failures pass.
func (s *Server) load(ctx context.Context, slug string) (*snapshots, error) {
	c := s.all
	if slug != "" {
		found, ok := s.cells.Load(slug)
		if !ok {
			if zonewire.ValidSlug("zone", slug) != nil {
				return nil, zonewire.ErrNotFound
			}
			// The cell is there before anything is read, so that Run sees it and waits for it: what changes after the
			// reading is rendered again.
			found, _ = s.cells.LoadOrStore(slug, newCell())
		}
		c = found.(*cell)
	}
	if set := c.set.Load(); set != nil {
		return set, nil
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	if err := c.acquire(ctx); err != nil {
		return nil, fmt.Errorf("wait for feed: %w", err)
	}
	defer c.release()
	if set := c.set.Load(); set != nil {
		return set, nil
	}
	err := s.fill(ctx, c, slug)
	if err != nil && slug != "" {
		s.cells.CompareAndDelete(slug, c) // made-up slugs must not pile up
	}
	return c.set.Load(), err
}

// fill renders a feed for the first time. The caller holds the cell's lock.
func (s *Server) fill(ctx context.Context, c *cell, slug string) error {
	if slug != "" {
		z, err := s.src.Zone(ctx, slug)
		switch {
		case err != nil:
			return fmt.Errorf("find zone %s: %w", slug, err)
		case z.Slug != slug:
			return &movedError{z.Slug}
		case !z.Closed.IsZero():
			return zonewire.ErrGone
		}
		c.zone = z
	}
	return s.render(ctx, c)
}

// render brings a cell's snapshots to the present state of the store. The caller holds the cell's lock.
func (s *Server) render(ctx context.Context, c *cell) error {
	doc, name := Document{}, "all"
	if c.zone.ID != 0 {
		doc.Zone, name = &c.zone, fmt.Sprintf("zone/%d", c.zone.ID)
	} else {
		if s.zones.Load() == nil {
			if err := s.reloadZones(ctx); err != nil {
				return err
			}
		}
		doc.Zones = *s.zones.Load()
	}
	var err error
	if doc.Articles, err = s.src.Articles(ctx, zonewire.ArticleQuery{ZoneID: c.zone.ID, Limit: s.site.MaxItems}); err != nil {
		return fmt.Errorf("read articles of feed %s: %w", name, err)
	}
	docs, err := renderAll(s.site, doc, [places]*rendered{})
	if err != nil {
		return err
	}
	old, next := c.set.Load(), &snapshots{}
	for place, f := range Formats() {
		hash := hashOf(docs[place].body)
		if old != nil && old[place].hash == hash {
			next[place] = old[place]
			continue
		}
		now := time.Now()
		modified, err := s.src.PutFeedVersion(ctx, name+"."+string(f), hash, now)
		if err != nil {
			// News goes before validators that outlive a restart: a full disk does not stop the feeds.
			s.log.ErrorContext(ctx, "feed version cannot be recorded", "feed", name, "error", err)
			modified = now.Truncate(time.Second)
		}
		self := s.site.BaseURL + Path(c.zone.Slug, f)
		if next[place], err = newSnapshot(docs[place].body, hash, modified, f, self, s.site.Hubs); err != nil {
			return err
		}
	}
	c.set.Store(next)
	return nil
}

func (s *Server) reloadZones(ctx context.Context) error {
	zones, err := s.src.Zones(ctx)
	if err != nil {
		return fmt.Errorf("read zones: %w", err)
	}
	byID := make(map[int64]zonewire.Zone, len(zones))
	for _, z := range zones {
		byID[z.ID] = z
	}
	s.zones.Store(&byID)
	return nil
}

// errHeld means that a feed changed twice within a second. Its next version waits for the next second, for two with one
// Last-Modified would leave a reader that sends no ETag on the first.
var errHeld = errors.New("held until the next second")

// refresh renders a cell again if its zone is among the changed, or if it was left stale before. A cell that nobody has
// loaded is left alone: it is rendered when asked for.
func (s *Server) refresh(ctx context.Context, slug string, c *cell, changed func(zone int64) bool) error {
	if err := c.acquire(ctx); err != nil {
		return err
	}
	defer c.release()
	set := c.set.Load()
	if set == nil && slug != "" {
		return nil
	}
	if !c.stale && !changed(c.zone.ID) {
		return nil
	}
	c.stale = true
	if slug != "" {
		z, ok := (*s.zones.Load())[c.zone.ID]
		if !ok || z.Slug != slug || !z.Closed.IsZero() {
			s.cells.CompareAndDelete(slug, c) // the next request finds out where it went
			return nil
		}
		c.zone = z
	}
	if set != nil {
		// The moment may lie a second ahead, where the store has put it after another. More is a clock that was set back.
		if wait := time.Until(set.modified().Add(time.Second)); wait > 0 && wait <= 2*time.Second {
			return errHeld
		}
	}
	if err := s.render(ctx, c); err != nil {
		return err
	}
	c.stale = false
	return nil
}
