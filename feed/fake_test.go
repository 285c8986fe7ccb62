package feed_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"zonewire"
)

// store is a small working source.
type store struct {
	mu       sync.Mutex
	zones    []zonewire.Zone
	former   map[string]string // former slug: slug
	articles []zonewire.Article
	gen      zonewire.Generation
	versions map[string]version
	down     error
	full     error         // of writing only
	reads    int           // of articles
	gate     chan struct{} // what was read of a zone is handed over when it closes
}

type version struct {
	hash     string
	modified time.Time
}

func newStore() *store {
	return &store{
		zones:    []zonewire.Zone{jintan, harbour, closed},
		former:   map[string]string{"jintan-park": "jintan-edz"},
		articles: articles(),
		gen:      zonewire.Generation{Articles: 96, Zones: 3},
		versions: map[string]version{},
	}
}

func (s *store) Zones(context.Context) ([]zonewire.Zone, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.zones), s.down
}

func (s *store) Zone(_ context.Context, slug string) (zonewire.Zone, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, ok := s.former[slug]; ok {
		slug = now
	}
	for _, z := range s.zones {
		if z.Slug == slug {
			return z, s.down
		}
	}
	if s.down != nil {
		return zonewire.Zone{}, s.down
	}
	return zonewire.Zone{}, fmt.Errorf("zone %s: %w", slug, zonewire.ErrNotFound)
}

func (s *store) Articles(_ context.Context, q zonewire.ArticleQuery) ([]zonewire.Article, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	var found []zonewire.Article
	for _, a := range s.articles {
		if (q.ZoneID == 0 || a.ZoneID == q.ZoneID) && len(found) < q.Limit && a.Withdrawn.IsZero() {
			found = append(found, a)
		}
	}
	err := s.down
	if s.gate != nil && q.ZoneID != 0 {
		s.mu.Unlock()
		<-s.gate
		s.mu.Lock()
	}
	return found, err
}

func (s *store) Generation(context.Context) (zonewire.Generation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gen, s.down
}

func (s *store) ChangedZones(_ context.Context, since int64) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []int64
	for _, a := range s.articles {
		if a.Change > since && !slices.Contains(ids, a.ZoneID) {
			ids = append(ids, a.ZoneID)
		}
	}
	return ids, s.down
}

func (s *store) PutFeedVersion(_ context.Context, name, hash string, now time.Time) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.versions[name]
	if v.hash != hash {
		v = version{hash, now.Truncate(time.Second)}
		if s.full != nil {
			return time.Time{}, s.full
		}
		s.versions[name] = v
	}
	return v.modified, s.down
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
	s.articles = append([]zonewire.Article{a}, s.articles...)
}

// alter changes the store under its lock.
func (s *store) alter(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}
