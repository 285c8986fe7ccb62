package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"zonewire"
)

// Tombstones (RFC 6721) are told for so long, and so many of them: whoever asks less often than that sees the whole
// document anyway.
const (
	tombstoneAge  = 30 * 24 * time.Hour
	maxTombstones = 50
	// departuresRead leaves room for moves among the withdrawals.
	departuresRead = 4 * maxTombstones
)

// recordAgain is when what could not be recorded is tried again.
const recordAgain = 5 * time.Second

// reading is what a feed is made of, as the store has it at one moment.
type reading struct {
	doc     Document // without its articles
	heads   []zonewire.Head
	of      zonewire.Generation
	untold  [places]int64
	context string // names what pieces depend on beside their article
	zone    string // names what the zone says of itself
	state   string
	until   time.Time // the clock alone makes another state of it
}

// served is what is served for one key: a feed in every format, or a document alone at the place of its format.
type served struct {
	versions [places]version // empty for views, deltas and the like
	snaps    [places]*snapshot
	state    string
	zone     string // the state of its zone, of a zone's feed
	context  string
	ours     bool  // this program has rendered it: its pieces go with its documents
	failed   error // why it could not be recorded
	until    time.Time
	slim     bool // it has left memory but for its validators: see slimmed
}

// slimmed is what stays of a feed when memory is needed: enough to tell readers who have it that nothing has changed. Who asks
// for very many feeds again and again costs no more than that.
func (x *served) slimmed() *served {
	rest := &served{slim: true, zone: x.zone, until: x.until}
	for place, snap := range x.snaps {
		if snap == nil {
			continue
		}
		bare := *snap
		for i := range bare.forms {
			bare.forms[i].body = nil
		}
		rest.snaps[place] = &bare
	}
	return rest
}

// readTries is how often a feed is read that changes meanwhile. Then it is taken as it is: the next look comes soon.
const readTries = 3

// read reads what a feed is made of: 0 is that of all zones. What changes between its questions would make a version that is
// newer than it says, and another replica could put an older one in its place: so it is read again.
func (s *Server) read(ctx context.Context, zone int64, now time.Time) (in reading, err error) {
	for range readTries {
		if in, err = s.readOnce(ctx, zone, now); err != nil {
			return in, err
		}
		since, err := s.src.Generation(ctx)
		if err != nil {
			return in, fmt.Errorf("read counters: %w", err)
		}
		if since == in.of {
			break
		}
	}
	return in, nil
}

// readOnce reads the counters first: what changes meanwhile makes the version older than it is, never newer.
func (s *Server) readOnce(ctx context.Context, zone int64, now time.Time) (in reading, err error) {
	of, t, err := s.counters(ctx)
	if err != nil {
		return in, err
	}
	in.of = of
	name := zonewire.FeedName(zone, "*")
	if in.heads, err = s.src.Heads(ctx, zonewire.ArticleQuery{ZoneID: zone, Limit: s.site.MaxItems + 1}); err != nil {
		return in, fmt.Errorf("read articles of feed %s: %w", name, err)
	}
	if in.doc.More = len(in.heads) > s.site.MaxItems; in.doc.More {
		in.heads = in.heads[:s.site.MaxItems]
	}
	departed, err := s.src.Departures(ctx, zone, departuresRead)
	if err != nil {
		return in, fmt.Errorf("read what left feed %s: %w", name, err)
	}
	in.tell(departed, now)
	if zone == 0 {
		in.doc.Zones = map[int64]zonewire.Zone{}
		for _, h := range in.heads {
			in.doc.Zones[h.ZoneID] = t.byID[h.ZoneID].Zone
		}
		in.context = stateOf("context", s.site, t.state)
		in.state = stateOf("feed", s.site, zoneStates(t, in.heads), in.parts())
		return in, nil
	}
	z, ok := t.byID[zone]
	if !ok {
		return in, zonewire.ErrNotFound
	}
	if err := z.open(); err != nil {
		return in, err
	}
	arrivals, err := s.src.Arrivals(ctx, zone)
	if err != nil {
		return in, fmt.Errorf("read months of feed %s: %w", name, err)
	}
	month := zonewire.MonthOf(now)
	in.doc.Zone, in.doc.Prev = &z.Zone, s.lastArchive(z.Slug, arrivals, month)
	in.until = earlier(in.until, month.Next().Start())
	in.zone = z.state
	in.context = stateOf("context", s.site, z.state)
	in.state = stateOf("feed", in.context, in.parts())
	return in, nil
}

// counters gives the present counters, and the zones as of them.
func (s *Server) counters(ctx context.Context) (of zonewire.Generation, t *zoneTable, err error) {
	if of, err = s.src.Generation(ctx); err != nil {
		return of, nil, fmt.Errorf("read counters: %w", err)
	}
	if t = s.zones.Load(); t == nil || t.gen != of.Zones {
		if t, err = s.loadZones(ctx, t); err != nil {
			return of, nil, err
		}
	}
	of.Zones = t.gen
	return of, t, nil
}

// earlier is the first of two moments; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// tell decides which departures a feed tells of. They come newest first.
func (in *reading) tell(departed []zonewire.Departure, now time.Time) {
	note := func(change int64, places ...int) {
		for _, place := range places {
			in.untold[place] = max(in.untold[place], change)
		}
	}
	for _, d := range departed {
		if d.At.After(in.doc.Updated) {
			in.doc.Updated = d.At
		}
		note(d.Change, rssPlace, jsonPlace)
		end := d.At.Add(tombstoneAge)
		if d.Moved || !end.After(now) || len(in.doc.Gone) == maxTombstones {
			note(d.Change, atomPlace)
			continue
		}
		in.doc.Gone = append(in.doc.Gone, d)
		in.until = earlier(in.until, end)
	}
}

// parts are the values of a reading that its documents show.
func (in *reading) parts() []any {
	type head struct{ ID, Change int64 }
	heads := make([]head, len(in.heads))
	for i, h := range in.heads {
		heads[i] = head{h.ID, h.Change}
	}
	gone := make([]head, len(in.doc.Gone))
	for i, d := range in.doc.Gone {
		gone[i] = head{d.Article, d.Change}
	}
	return []any{heads, in.doc.More, gone, in.untold, in.doc.Updated.UTC(), in.doc.Prev}
}

func zoneStates(t *zoneTable, heads []zonewire.Head) []string {
	states := make([]string, len(heads))
	for i, h := range heads {
		states[i] = t.byID[h.ZoneID].state
	}
	return states
}

// current brings a feed to the present state of the store; old, which may be nil, is what it served so far. With hold it
// fails as errHeld if a new version would come too early.
func (s *Server) current(ctx context.Context, zone int64, old *served, hold bool) (next *served, fresh bool, err error) {
	err = notOvertaken(func() error {
		next, fresh, err = s.tryCurrent(ctx, zone, old, hold)
		return err
	})
	return next, fresh, err
}

func (s *Server) tryCurrent(ctx context.Context, zone int64, old *served, hold bool) (next *served, fresh bool, err error) {
	now := time.Now()
	in, err := s.read(ctx, zone, now)
	if err != nil {
		return nil, false, err
	}
	if old != nil && old.state == in.state && old.failed == nil {
		same := *old
		same.until, same.zone = in.until, in.zone
		return &same, false, nil
	}
	slug := ""
	if in.doc.Zone != nil {
		slug = in.doc.Zone.Slug
	}
	m := making{names: feedNames(zone), state: in.state, of: in.of, gone: in.untold[:], hold: hold}
	for _, f := range Formats() {
		m.topics = append(m.topics, s.site.BaseURL+Path(slug, f))
	}
	m.render = func(ctx context.Context) ([]rendered, error) { return s.renderFeed(ctx, in, old) }
	since := now
	if old != nil && old.state == in.state { // it is served already, and could not be recorded
		since = old.versions[0].meta.Modified
	}
	done, err := s.settle(ctx, m, since)
	if err != nil {
		return nil, false, err
	}
	next = &served{state: done.state, zone: in.zone, context: in.context, ours: done.ours, failed: done.failed, until: in.until}
	copy(next.versions[:], done.versions)
	if s.recording.Is(done.failed); done.failed != nil {
		next.until = now.Add(recordAgain)
	}
	return next, done.fresh, nil
}

// feedNames names a feed in every format, by place.
func feedNames(zone int64) []string {
	var names []string
	for _, f := range Formats() {
		names = append(names, zonewire.FeedName(zone, string(f)))
	}
	return names
}

var errNoneStored = errors.New("no version of this state is stored")

// recall gives what the store knows of a feed without its documents, as [served.slimmed] leaves it. It fails as errNoneStored
// if the feed has changed since.
func (s *Server) recall(ctx context.Context, zone int64) (*served, error) {
	now := time.Now()
	in, err := s.read(ctx, zone, now)
	if err != nil {
		return nil, err
	}
	names := feedNames(zone)
	stored, err := s.src.FeedVersions(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("read feed %s: %w", names[0], err)
	}
	rest := &served{slim: true, zone: in.zone, until: in.until}
	for place, v := range stored {
		if v.State != in.state || v.Hash == "" {
			return nil, errNoneStored
		}
		rest.snaps[place] = newValidators(v.Hash, contentTypes[place]).dated(v.Modified, now)
	}
	return rest, nil
}

// renderFeed renders a feed. Of the articles it reads only those that the documents before do not hold.
func (s *Server) renderFeed(ctx context.Context, in reading, old *served) ([]rendered, error) {
	var known [places]*rendered
	if old != nil && old.ours && old.context == in.context {
		if old.state == in.state { // it was not recorded
			return []rendered{old.versions[rssPlace].doc, old.versions[atomPlace].doc, old.versions[jsonPlace].doc}, nil
		}
		for place := range known {
			known[place] = &old.versions[place].doc
		}
	}
	doc := in.doc
	var ids []int64
	for _, h := range in.heads {
		if !knows(known[:], h.ID, h.Change) {
			ids = append(ids, h.ID)
		}
	}
	read, err := s.articles(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, h := range in.heads {
		if knows(known[:], h.ID, h.Change) {
			doc.Articles = append(doc.Articles, zonewire.Article{ID: h.ID, ZoneID: h.ZoneID, Change: h.Change, Updated: h.Updated})
		} else if a, ok := read[h.ID]; ok && a.ZoneID == h.ZoneID {
			doc.Articles = append(doc.Articles, a)
		}
	}
	all, err := renderAll(s.site, doc, known)
	return all[:], err
}

// articles reads those that stand.
func (s *Server) articles(ctx context.Context, ids []int64) (map[int64]zonewire.Article, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := s.src.ArticlesByID(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read articles: %w", err)
	}
	byID := make(map[int64]zonewire.Article, len(list))
	for _, a := range list {
		if a.Withdrawn.IsZero() {
			byID[a.ID] = a
		}
	}
	return byID, nil
}

// noPlace is the place of no format.
const noPlace = -1

// pack makes the snapshots of a feed: in the formats wanted, and in those that somebody has asked for before. Bytes that did
// not change keep theirs. The feed over all zones is ready in every format.
func (s *Server) pack(next, old *served, slug string, now time.Time, wanted ...int) error {
	for place, f := range Formats() {
		v := &next.versions[place]
		asked := slug == "" || slices.Contains(wanted, place)
		next.snaps[place] = nil
		if old != nil && old.snaps[place] != nil {
			asked = true
			if snap := old.snaps[place]; snap.hash == v.meta.Hash && snap.modified.Equal(v.meta.Modified) && old.zone == next.zone {
				next.snaps[place] = snap
				continue
			}
		}
		if !asked {
			continue
		}
		snap, err := newSnapshot(&s.coder, v.meta.Hash, v.doc.body, v.meta.Body, contentTypes[place])
		if err != nil {
			return err
		}
		next.snaps[place] = snap.dated(v.meta.Modified, now).linked(s.site.BaseURL+Path(slug, f), s.site.Hubs)
	}
	return nil
}

// size is about what a set takes in memory, in bytes.
func (x *served) size() int64 {
	n := int64(512)
	for place, snap := range x.snaps {
		v := &x.versions[place]
		if snap != nil { // it shares its bytes with the version
			n += snap.size()
		} else {
			n += int64(len(v.doc.body) + len(v.meta.Body))
		}
		n += int64(len(v.doc.layout))*40 + int64(len(v.meta.Bases))*128
	}
	return n
}
