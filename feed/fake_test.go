package feed_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"zonewire"
)

// store is a small working source. What it records outlives the servers that a test makes of it.
type store struct {
	mu         sync.Mutex
	zones      []zonewire.Zone
	former     map[string]string // former slug: slug
	articles   []zonewire.Article
	departures []departure // in order of change
	told       []int64     // zones with a subscription
	gen        zonewire.Generation
	versions   map[string]zonewire.FeedVersion
	down       error
	full       error         // of writing only
	lookups    int           // of slugs
	queries    int           // of anything
	heads      int           // queries of heads for zones
	read       int           // articles handed over whole
	puts       int           // versions that were new
	due        []string      // topics that somebody is to be told of
	gate       chan struct{} // what was read of a zone is handed over when it closes
}

type departure struct {
	zone int64
	zonewire.Departure
}

func newStore() *store {
	return &store{
		zones:    []zonewire.Zone{jintan, harbour, closed},
		former:   map[string]string{"jintan-park": "jintan-edz"},
		articles: articles(),
		gen:      zonewire.Generation{Articles: 96, Zones: 3},
		versions: map[string]zonewire.FeedVersion{},
	}
}

// ask begins a query.
func (s *store) ask() (done func(), err error) {
	s.mu.Lock()
	s.queries++
	return s.mu.Unlock, s.down
}

func (s *store) Zones(context.Context) ([]zonewire.Zone, error) {
	done, err := s.ask()
	defer done()
	return slices.Clone(s.zones), err
}

func (s *store) Zone(_ context.Context, slug string) (zonewire.Zone, error) {
	done, err := s.ask()
	defer done()
	s.lookups++
	if err != nil {
		return zonewire.Zone{}, err
	}
	slug = cmp.Or(s.former[slug], slug)
	for _, z := range s.zones {
		if z.Slug == slug {
			return z, nil
		}
	}
	return zonewire.Zone{}, fmt.Errorf("zone %s: %w", slug, zonewire.ErrNotFound)
}

// find lists what a query selects. The caller holds the lock.
func (s *store) find(q zonewire.ArticleQuery) []zonewire.Article {
	zones := map[int64]zonewire.Zone{}
	for _, z := range s.zones {
		zones[z.ID] = z
	}
	var found []zonewire.Article
	for _, a := range s.articles {
		z := zones[a.ZoneID]
		switch {
		case len(found) == q.Limit:
			return found
		case !a.Withdrawn.IsZero(),
			q.ZoneID != 0 && a.ZoneID != q.ZoneID,
			q.Before != 0 && a.Change >= q.Before,
			q.Category != "" && a.Category != q.Category,
			q.Province != "" && z.Province != q.Province,
			q.City != "" && z.City != q.City,
			q.Text != "" && !strings.Contains(a.Title+"\n"+a.Summary, q.Text):
		default:
			found = append(found, a)
		}
	}
	return found
}

func (s *store) Articles(_ context.Context, q zonewire.ArticleQuery) ([]zonewire.Article, error) {
	done, err := s.ask()
	defer done()
	found := s.find(q)
	s.read += len(found)
	return found, err
}

func headOf(a zonewire.Article) zonewire.Head {
	return zonewire.Head{ID: a.ID, ZoneID: a.ZoneID, Change: a.Change, Updated: a.Updated, Withdrawn: !a.Withdrawn.IsZero()}
}

func (s *store) Heads(_ context.Context, q zonewire.ArticleQuery) ([]zonewire.Head, error) {
	done, err := s.ask()
	defer done()
	var heads []zonewire.Head
	for _, a := range s.find(q) {
		heads = append(heads, headOf(a))
	}
	if q.ZoneID != 0 {
		s.heads++
		if gate := s.gate; gate != nil {
			s.mu.Unlock()
			<-gate
			s.mu.Lock()
		}
	}
	return heads, err
}

func (s *store) ArticlesByID(_ context.Context, ids []int64) ([]zonewire.Article, error) {
	done, err := s.ask()
	defer done()
	var found []zonewire.Article
	for _, id := range ids {
		for _, a := range s.articles {
			if a.ID == id {
				found = append(found, a)
				s.read++
			}
		}
	}
	return found, err
}

func (s *store) Departures(_ context.Context, zone int64, limit int) ([]zonewire.Departure, error) {
	done, err := s.ask()
	defer done()
	var found []zonewire.Departure
	for _, d := range slices.Backward(s.departures) {
		if (zone == d.zone || zone == 0 && !d.Moved) && len(found) < limit {
			found = append(found, d.Departure)
		}
	}
	return found, err
}

// arrived lists what arrived in a zone, in that order. The caller holds the lock.
func (s *store) arrived(zone int64) []zonewire.Article {
	var found []zonewire.Article
	for _, a := range s.articles {
		if a.ZoneID == zone {
			found = append(found, a)
		}
	}
	slices.SortStableFunc(found, func(a, b zonewire.Article) int {
		return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.ID, b.ID))
	})
	return found
}

func (s *store) Arrivals(_ context.Context, zone int64) ([]zonewire.ArrivedIn, error) {
	done, err := s.ask()
	defer done()
	var months []zonewire.ArrivedIn
	for _, a := range s.arrived(zone) {
		m := zonewire.MonthOf(a.Received)
		if n := len(months); n == 0 || months[n-1].Month != m {
			months = append(months, zonewire.ArrivedIn{Month: m})
		}
		months[len(months)-1].Articles++
	}
	return months, err
}

func (s *store) ArrivedHeads(_ context.Context, zone int64, m zonewire.Month) ([]zonewire.Head, error) {
	done, err := s.ask()
	defer done()
	var heads []zonewire.Head
	for _, a := range s.arrived(zone) {
		if zonewire.MonthOf(a.Received) == m {
			heads = append(heads, headOf(a))
		}
	}
	return heads, err
}

func (s *store) Generation(context.Context) (zonewire.Generation, error) {
	done, err := s.ask()
	defer done()
	return s.gen, err
}

func (s *store) ChangedZones(_ context.Context, since int64) ([]int64, error) {
	done, err := s.ask()
	defer done()
	changed := map[int64]bool{}
	for _, a := range s.articles {
		changed[a.ZoneID] = changed[a.ZoneID] || a.Change > since
	}
	for _, d := range s.departures {
		changed[d.zone] = changed[d.zone] || d.Change > since
	}
	var ids []int64
	for id, is := range changed {
		if is {
			ids = append(ids, id)
		}
	}
	return ids, err
}

func (s *store) HubZones(context.Context, time.Time) ([]int64, error) {
	done, err := s.ask()
	defer done()
	return slices.Clone(s.told), err
}

func (s *store) FeedVersions(_ context.Context, feeds []string) ([]zonewire.FeedVersion, error) {
	done, err := s.ask()
	defer done()
	stored := make([]zonewire.FeedVersion, len(feeds))
	for i, name := range feeds {
		stored[i] = s.version(name)
	}
	return stored, err
}

// version is what stands, not to be written into. The caller holds the lock.
func (s *store) version(name string) zonewire.FeedVersion {
	v := s.versions[name]
	v.Feed, v.Bases = name, slices.Clone(v.Bases)
	return v
}

func (s *store) PutFeedVersions(_ context.Context, puts []zonewire.FeedPut, now time.Time) ([]zonewire.FeedVersion, error) {
	done, err := s.ask()
	defer done()
	if err := cmp.Or(err, s.full); err != nil {
		return nil, err
	}
	stands := make([]zonewire.FeedVersion, len(puts))
	for i, p := range puts {
		s.put(p, now)
		stands[i] = s.version(p.Feed)
	}
	return stands, nil
}

func (s *store) put(p zonewire.FeedPut, now time.Time) {
	old := s.versions[p.Feed]
	if old.Of.Articles > p.Of.Articles || old.Of.Zones > p.Of.Zones {
		return
	}
	v := p.FeedVersion
	v.Modified, v.Bases = now.UTC().Truncate(time.Second), old.Bases
	switch {
	case old.Hash == v.Hash:
		v.Modified = old.Modified
	case old.Hash != "":
		if !v.Modified.After(old.Modified) {
			v.Modified = old.Modified.Add(time.Second)
		}
		bases := []zonewire.FeedBase{{Hash: old.Hash, Change: old.Of.Articles, Channel: old.Channel}}
		for _, b := range old.Bases {
			if b.Hash != old.Hash && len(bases) < zonewire.MaxFeedBases {
				bases = append(bases, b)
			}
		}
		v.Bases = bases
	}
	s.versions[p.Feed] = v
	if old.Hash != v.Hash {
		s.puts++
		if p.Topic != "" {
			s.due = append(s.due, p.Topic)
		}
	}
}

// file stores an article as the newest change.
func (s *store) file(a zonewire.Article, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen.Articles++
	a.Change, a.Received, a.Updated = s.gen.Articles, now, now
	if a.Published.IsZero() {
		a.Published = now
	}
	s.articles = slices.Insert(s.articles, 0, a)
}

// edit makes an article the newest change.
func (s *store) edit(id int64, now time.Time, change func(*zonewire.Article)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.articles, func(a zonewire.Article) bool { return a.ID == id })
	a := s.articles[i]
	s.gen.Articles++
	a.Change, a.Updated = s.gen.Articles, now
	change(&a)
	s.articles = slices.Insert(slices.Delete(s.articles, i, i+1), 0, a)
}

// withdraw takes an article back, and with it the stored documents that may hold it.
func (s *store) withdraw(id int64, now time.Time) {
	s.edit(id, now, func(a *zonewire.Article) {
		a.Withdrawn = now
		s.departures = append(s.departures, departure{a.ZoneID, zonewire.Departure{Article: id, Change: a.Change, At: now}})
		for name, v := range s.versions {
			if strings.HasPrefix(name, fmt.Sprintf("zone/%d.", a.ZoneID)) || strings.HasPrefix(name, fmt.Sprintf("zone/%d/", a.ZoneID)) || strings.HasPrefix(name, "all.") {
				v.State, v.Body, v.Layout = "", nil, nil
				s.versions[name] = v
			}
		}
	})
}

// move files an article into another zone.
func (s *store) move(id, zone int64, now time.Time) {
	s.edit(id, now, func(a *zonewire.Article) {
		s.departures = append(s.departures, departure{a.ZoneID, zonewire.Departure{Article: id, Change: a.Change, At: now, Moved: true}})
		a.ZoneID = zone
	})
}

// toldOf counts the versions of a feed that somebody is to be told of.
func (s *store) toldOf(path string) (n int) {
	s.alter(func() {
		for _, topic := range s.due {
			if topic == site.BaseURL+path {
				n++
			}
		}
	})
	return n
}

// counts are how many queries there were, and how many articles were handed over whole.
func (s *store) counts() (queries, read int) {
	s.alter(func() { queries, read = s.queries, s.read })
	return queries, read
}

// stored is what is recorded of a feed.
func (s *store) stored(name string) (v zonewire.FeedVersion) {
	s.alter(func() { v = s.version(name) })
	return v
}

// alter changes the store under its lock.
func (s *store) alter(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

var errDown = errors.New("database is down")
