package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"zonewire"
)

// zoneTable is every zone as of one moment: with it the path of a feed leads to its zone without the store.
type zoneTable struct {
	gen    int64 // the counter of zones was at least so far
	byID   map[int64]zoneEntry
	bySlug map[string]int64
	state  string // names all of them

	mu        sync.Mutex
	elsewhere map[string]string // slugs of no zone: the slug of the zone that had it before, or empty
}

// zoneEntry is a zone, and a name of what documents say of it.
type zoneEntry struct {
	zonewire.Zone
	state string
}

// maxElsewhere bounds how many slugs of no zone are remembered: whoever makes them up has no end of them.
const maxElsewhere = 4096

// readZones reads the table anew. The counter is read first, so that a change in between makes the table older than it is,
// never newer.
func readZones(ctx context.Context, src Source) (*zoneTable, error) {
	gen, err := src.Generation(ctx)
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	zones, err := src.Zones(ctx)
	if err != nil {
		return nil, fmt.Errorf("read zones: %w", err)
	}
	t := &zoneTable{
		gen:  gen.Zones,
		byID: make(map[int64]zoneEntry, len(zones)), bySlug: make(map[string]int64, len(zones)),
		elsewhere: map[string]string{},
	}
	states := make([]string, 0, len(zones))
	for _, z := range zones {
		e := zoneEntry{z, zoneState(z)}
		states = append(states, e.state)
		t.byID[z.ID], t.bySlug[z.Slug] = e, z.ID
	}
	t.state = stateOf("zones", states)
	return t, nil
}

// zoneState names what feeds say of a zone.
func zoneState(z zonewire.Zone) string {
	z.Aliases, z.MergedInto = nil, ""
	z.Closed, z.Created, z.Changed = z.Closed.UTC(), z.Created.UTC(), z.Changed.UTC()
	return stateOf("zone", z)
}

// stateOf names values: the same ones have the same name, whatever program and machine.
func stateOf(kind string, values ...any) string {
	text, err := json.Marshal(append([]any{kind}, values...))
	if err != nil {
		// What we name is made of numbers, texts and times; a time beyond the year 9999 is all that can fail.
		text = fmt.Append(nil, kind, values)
	}
	return hashOf(text)
}

func (t *zoneTable) zones() []zonewire.Zone {
	all := make([]zonewire.Zone, 0, len(t.byID))
	for _, e := range t.byID {
		all = append(all, e.Zone)
	}
	return all
}

func (t *zoneTable) recall(slug string) (now string, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, known = t.elsewhere[slug]
	return now, known
}

func (t *zoneTable) remember(slug, now string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.elsewhere) >= maxElsewhere {
		clear(t.elsewhere)
	}
	t.elsewhere[slug] = now
}

// movedError says that a zone has a new slug.
type movedError struct{ slug string }

func (e *movedError) Error() string { return "moved to " + e.slug }

// zoneOf finds an open zone by its slug. It fails as *movedError, [zonewire.ErrGone] or [zonewire.ErrNotFound]; other
// failures pass. A zone that the table holds is found without the store.
func (s *Server) zoneOf(ctx context.Context, slug string) (int64, error) {
	t := s.zones.Load()
	if t != nil {
		if id, ok := t.bySlug[slug]; ok {
			return id, t.byID[id].open()
		}
	}
	if zonewire.ValidSlug("zone", slug) != nil {
		return 0, zonewire.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	if t == nil {
		var err error
		if t, err = s.loadZones(ctx, nil); err != nil {
			return 0, err
		}
		if id, ok := t.bySlug[slug]; ok {
			return id, t.byID[id].open()
		}
	}
	now, known := t.recall(slug)
	if !known {
		z, err := s.src.Zone(ctx, slug)
		switch {
		case errors.Is(err, zonewire.ErrNotFound):
			z.Slug = ""
		case err != nil:
			return 0, fmt.Errorf("find zone %s: %w", slug, err)
		case z.Slug == slug: // newer than the table
			if t, err = s.loadZones(ctx, t); err != nil {
				return 0, err
			}
			return z.ID, t.byID[z.ID].open()
		}
		t.remember(slug, z.Slug)
		now = z.Slug
	}
	if now == "" {
		return 0, zonewire.ErrNotFound
	}
	return 0, &movedError{now}
}

func (e zoneEntry) open() error {
	switch {
	case e.ID == 0:
		return zonewire.ErrNotFound
	case !e.Closed.IsZero():
		return zonewire.ErrGone
	}
	return nil
}

// loadZones gives a table other than old, which may be nil: the one that another has loaded meanwhile, or a new one.
func (s *Server) loadZones(ctx context.Context, old *zoneTable) (*zoneTable, error) {
	if err := s.zonesLock.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.zonesLock.release()
	if t := s.zones.Load(); t != old {
		return t, nil
	}
	t, err := readZones(ctx, s.src)
	if err == nil {
		s.zones.Store(t)
	}
	return t, err
}
