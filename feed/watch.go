package feed

import (
	"context"
	"errors"
	"time"

	"zonewire"
)

// pollEvery is how often Run asks whether anything changed. The polls lie on the wall clock's quarters of a second, so
// that a version that waits for the next second waits no longer.
const pollEvery = 250 * time.Millisecond

// pollTimeout bounds one look, for a database that hangs.
const pollTimeout = 30 * time.Second

// Run keeps loaded feeds as the store has them until ctx ends, and then returns nil. It renders the feeds over all zones
// at once. While the store cannot be read, the feeds stay as they are.
func (s *Server) Run(ctx context.Context) error {
	w := watch{server: s, everything: true}
	failing := false
	for {
		err := w.poll(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			s.log.ErrorContext(ctx, "feeds cannot follow the store, and stay as they are", "error", err)
		case err == nil && failing:
			s.log.InfoContext(ctx, "feeds follow the store again")
		}
		failing = err != nil
		now := time.Now()
		timer := time.NewTimer(now.Truncate(pollEvery).Add(pollEvery).Sub(now))
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
	server     *Server
	seen       zonewire.Generation
	everything bool           // every loaded feed has changed
	zones      map[int64]bool // the feeds of these zones have; 0 is the one over all
	left       bool           // some feeds are stale still
}

// poll looks for changes and renders what they touch. What fails is tried again by the next poll.
func (w *watch) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	if err := w.look(ctx); err != nil {
		return err
	}
	if !w.everything && !w.left && len(w.zones) == 0 {
		return nil
	}
	return w.refresh(ctx)
}

// look adds to what is to be rendered. It moves up to what it has seen only when it has all of it.
func (w *watch) look(ctx context.Context) error {
	s := w.server
	gen, err := s.src.Generation(ctx)
	if err != nil {
		return err
	}
	if s.zones.Load() != nil && gen == w.seen {
		return nil
	}
	if s.zones.Load() == nil || gen.Zones != w.seen.Zones {
		if err := s.reloadZones(ctx); err != nil {
			return err
		}
		w.everything = true
	}
	switch {
	case gen.Articles < w.seen.Articles: // another database: a backup was restored
		w.everything = true
	case gen.Articles > w.seen.Articles && !w.everything:
		ids, err := s.src.ChangedZones(ctx, w.seen.Articles)
		if err != nil {
			return err
		}
		if w.zones == nil {
			w.zones = map[int64]bool{}
		}
		w.zones[0] = true
		for _, id := range ids {
			w.zones[id] = true
		}
	}
	w.seen = gen
	return nil
}

// refresh renders what is to be rendered.
func (w *watch) refresh(ctx context.Context) error {
	s := w.server
	changed := func(zone int64) bool { return w.everything || w.zones[zone] }
	var failures []error
	left := false
	do := func(slug string, c *cell) {
		err := s.refresh(ctx, slug, c, changed)
		left = left || err != nil
		if err != nil && !errors.Is(err, errHeld) {
			failures = append(failures, err)
		}
	}
	do("", s.all)
	s.cells.Range(func(slug, c any) bool {
		do(slug.(string), c.(*cell))
		return ctx.Err() == nil
	})
	if ctx.Err() != nil {
		return errors.Join(failures...) // some were not even marked: all of it again
	}
	w.everything, w.zones, w.left = false, nil, left
	return errors.Join(failures...)
}
