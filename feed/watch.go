package feed

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"zonewire"
)

const (
	// pollEvery is how often Run asks whether anything changed. The polls lie on the wall clock's quarters of a second, so
	// that a version that waits for the next second waits no longer.
	pollEvery = 250 * time.Millisecond
	// pollSeldom is how far apart the polls of a database come that fails again and again.
	pollSeldom = 4 * time.Second
	// pollTimeout bounds one look, for a database that hangs.
	pollTimeout = 10 * time.Second
	// turn is how long one round of renderings begins new ones. Then it is time to look what else has changed.
	turn = 500 * time.Millisecond
	// headStart puts feeds that somebody is told of before others that have waited as long.
	headStart = 2 * time.Second
	// maxRenderers bounds the feeds that are rendered at a time.
	maxRenderers = 4
)

// Run keeps feeds as the store has them until ctx ends, and then returns nil: those over all zones, those in memory, and
// those that somebody is told of. While the store cannot be read, the feeds stay as they are.
func (s *Server) Run(ctx context.Context) error {
	w := watch{server: s, pending: map[int64]time.Time{}, until: map[int64]time.Time{}, failing: map[int64]error{}}
	for {
		err := w.poll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		s.following.Is(err)
		every := min(pollEvery<<min(w.blind, 10), pollSeldom)
		now := time.Now()
		timer := time.NewTimer(now.Truncate(every).Add(every).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// watch is what Run knows: up to where it has looked, and what is still to be rendered.
type watch struct {
	server  *Server
	started bool
	blind   int   // looks that have failed in a row
	seen    int64 // of the counter of articles
	table   *zoneTable
	pending map[int64]time.Time // feeds that may have changed, and since when; 0 is the one over all zones
	until   map[int64]time.Time // of feeds that are told of and not in memory: when the clock alone changes them
	failing map[int64]error
}

// poll looks for changes and renders what they touch. What fails is tried again later.
func (w *watch) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	now := time.Now()
	if err := w.look(ctx, now); err != nil {
		w.blind++
		return err
	}
	w.blind = 0
	w.expire(now)
	if len(w.pending) == 0 {
		return nil
	}
	if err := w.work(ctx, now); err != nil {
		return err
	}
	for _, err := range w.failing {
		return err // one says what the others would
	}
	return nil
}

// look adds to what is to be rendered. It moves up to what it has seen only when it has all of it.
func (w *watch) look(ctx context.Context, now time.Time) error {
	s := w.server
	of, t, err := s.counters(ctx)
	if err != nil {
		return err
	}
	var changed []int64
	everything := !w.started || of.Articles < w.seen // another database: a backup was restored
	if of.Articles > w.seen && !everything {
		if changed, err = s.src.ChangedZones(ctx, w.seen); err != nil {
			return err
		}
		changed = append(changed, 0)
	}
	zones := t != w.table
	if zones {
		changed = append(changed, w.zonesChanged(t)...)
	}
	if everything {
		changed = append(slices.Collect(maps.Keys(t.byID)), 0)
	}
	if len(changed) > 0 {
		touched := map[int64]bool{}
		for _, zone := range changed {
			touched[zone] = true
			if _, waits := w.pending[zone]; !waits {
				w.pending[zone] = now
			}
		}
		s.cache.each(func(k key, c *cell) {
			if k.kind == listCell && zones || k.kind == viewCell && k.zone == 0 || (k.kind == viewCell || k.kind == archiveCell) && touched[k.zone] {
				c.stale.Store(true)
			}
		})
	}
	w.table, w.seen, w.started = t, of.Articles, true
	return nil
}

// zonesChanged lists the zones that say something else of themselves than in the table before. Feeds of those that are no
// longer open go from memory.
func (w *watch) zonesChanged(t *zoneTable) []int64 {
	changed := []int64{0}
	for id, z := range t.byID {
		if w.table == nil || w.table.byID[id].state != z.state {
			changed = append(changed, id)
		}
	}
	w.server.cache.each(func(k key, c *cell) {
		if k.zone != 0 && t.byID[k.zone].open() != nil {
			w.server.cache.drop(k, c)
		}
	})
	return changed
}

// expire finds what the clock alone has changed: a tombstone that was told long enough, a month that is over, a version
// that is to be recorded once more.
func (w *watch) expire(now time.Time) {
	due := func(zone int64, until time.Time) bool { return !until.IsZero() && !until.After(now) }
	note := func(k key, c *cell) {
		x := c.set.Load()
		switch {
		case x == nil || !due(k.zone, x.until):
		case k.kind == feedCell:
			if _, waits := w.pending[k.zone]; !waits {
				w.pending[k.zone] = now
			}
		default:
			c.stale.Store(true)
		}
	}
	note(key{}, w.server.all)
	w.server.cache.each(note)
	for zone, until := range w.until {
		if due(zone, until) {
			w.pending[zone] = now
			delete(w.until, zone)
		}
	}
}

// work renders what is to be rendered, what waits longest first, until the turn is over.
func (w *watch) work(ctx context.Context, now time.Time) error {
	s := w.server
	told, err := s.src.HubZones(ctx, now)
	if err != nil {
		return err
	}
	isTold := map[int64]bool{0: true}
	for _, zone := range told {
		isTold[zone] = true
	}
	type task struct {
		zone  int64
		since time.Time
	}
	var tasks []task
	for zone, since := range w.pending {
		inMemory := s.cache.whole(key{zone: zone}) != nil
		kept := isTold[zone] || len(s.hubs) > 0 || inMemory
		if !kept || zone != 0 && w.table.byID[zone].open() != nil {
			w.done(zone, time.Time{})
			continue
		}
		if since.After(now) { // it has failed just now
			continue
		}
		if isTold[zone] {
			since = since.Add(-headStart)
		}
		tasks = append(tasks, task{zone, since})
	}
	slices.SortFunc(tasks, func(a, b task) int { return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.zone, b.zone)) })

	var mu sync.Mutex
	var g errgroup.Group
	// One processor is left to those who read.
	g.SetLimit(min(max(runtime.GOMAXPROCS(0)-1, 1), maxRenderers))
	for _, task := range tasks {
		if ctx.Err() != nil || time.Since(now) > turn {
			break
		}
		g.Go(func() error {
			until, err := s.refresh(ctx, task.zone)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, errHeld):
			case err == nil || errors.Is(err, zonewire.ErrGone) || errors.Is(err, zonewire.ErrNotFound):
				w.done(task.zone, until)
			case ctx.Err() == nil:
				w.failing[task.zone] = err
				w.pending[task.zone] = now.Add(recordAgain)
			}
			return nil // one that fails does not stop the others
		})
	}
	return g.Wait()
}

// done notes that a feed is as the store has it.
func (w *watch) done(zone int64, until time.Time) {
	delete(w.pending, zone)
	delete(w.failing, zone)
	delete(w.until, zone)
	if !until.IsZero() {
		w.until[zone] = until
	}
}
