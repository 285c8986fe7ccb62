package poll_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"zonewire"
)

// memStore keeps sources in memory as the database does: one visit to a host at a time, a claim of two minutes, all of a
// poll or nothing.
type memStore struct {
	mu       sync.Mutex
	sources  []*zonewire.Source
	claims   map[int64]int64     // of a source: the number of its claim
	until    map[int64]time.Time // of a source: the end of its claim
	hosts    map[string]zonewire.HostMemory
	pages    map[int64][]*zonewire.QueuedPage // the oldest first
	articles []zonewire.Article
	known    map[string]int // number of an article, by what identifies it
	polls    map[int64][]zonewire.Poll

	// refuse, if set, may fail a poll or a push before anything of it is stored.
	refuse func(zonewire.Poll) error
}

func newMemStore() *memStore {
	return &memStore{
		claims: map[int64]int64{}, until: map[int64]time.Time{}, hosts: map[string]zonewire.HostMemory{},
		pages: map[int64][]*zonewire.QueuedPage{}, polls: map[int64][]zonewire.Poll{},
		known: map[string]int{},
	}
}

// add adds a source that is due at once.
func (m *memStore) add(s zonewire.Source) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.ID = int64(len(m.sources) + 1)
	if s.State == "" {
		s.State = zonewire.SourceActive
	}
	s.Since, s.Next, s.Created = time.Now(), time.Now(), time.Now()
	m.sources = append(m.sources, &s)
	return s.ID
}

func (m *memStore) addFeed(url string) int64 {
	return m.add(zonewire.Source{Kind: zonewire.FeedSource, URL: url})
}

func (m *memStore) addPage(url string) int64 {
	return m.add(zonewire.Source{Kind: zonewire.PageSource, URL: url})
}

// source gives a source as it is now.
func (m *memStore) source(id int64) zonewire.Source {
	m.mu.Lock()
	defer m.mu.Unlock()
	return *m.sources[id-1]
}

// change edits a source, as an operator or time does.
func (m *memStore) change(id int64, edit func(*zonewire.Source)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	edit(m.sources[id-1])
}

func (m *memStore) log(id int64) []zonewire.Poll {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.polls[id])
}

func (m *memStore) stored() []zonewire.Article {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.articles)
}

func (m *memStore) page(id int64, url string) zonewire.QueuedPage {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, q := range m.pages[id] {
		if q.URL == url {
			return *q
		}
	}
	return zonewire.QueuedPage{}
}

func (m *memStore) ClaimSource(_ context.Context, now time.Time) (zonewire.Visit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var due *zonewire.Source
	for _, s := range m.sources {
		free := !m.until[s.ID].After(now) && !m.hosts[s.Host()].Until.After(now)
		if s.State.Polled() && !s.Next.After(now) && free && (due == nil || s.Next.Before(due.Next)) {
			due = s
		}
	}
	if due == nil {
		return zonewire.Visit{}, zonewire.ErrNotFound
	}
	return m.claim(due, now), nil
}

func (m *memStore) ClaimSourceByID(_ context.Context, id int64, now time.Time) (zonewire.Visit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id < 1 || id > int64(len(m.sources)) {
		return zonewire.Visit{}, zonewire.ErrNotFound
	}
	s := m.sources[id-1]
	if m.until[id].After(now) || m.hosts[s.Host()].Until.After(now) {
		return zonewire.Visit{}, zonewire.ErrBusy
	}
	return m.claim(s, now), nil
}

func (m *memStore) claim(s *zonewire.Source, now time.Time) zonewire.Visit {
	host := s.Host()
	m.claims[s.ID]++
	v := zonewire.Visit{Source: *s, Claim: m.claims[s.ID], Until: now.Add(2 * time.Minute), Host: m.hosts[host]}
	v.Host.Host = host
	m.until[s.ID] = v.Until
	held := v.Host
	held.Until = v.Until
	m.hosts[host] = held
	for _, a := range m.articles {
		if a.SourceID == s.ID && now.Sub(a.Received) < 7*24*time.Hour {
			v.Recent++
		}
	}
	for _, q := range m.pages[s.ID] {
		if q.Done {
			continue
		}
		v.Queued++
		if !q.Next.After(now) && len(v.Queue) < 20 {
			v.Queue = append(v.Queue, *q)
		}
	}
	return v
}

// held reports whether a claim is still the one that counts.
func (m *memStore) held(v zonewire.Visit) error {
	if m.claims[v.Source.ID] != v.Claim || m.until[v.Source.ID].IsZero() {
		return zonewire.ErrLost
	}
	return nil
}

func (m *memStore) KeepSource(ctx context.Context, v zonewire.Visit, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.held(v); err != nil {
		return err
	}
	m.until[v.Source.ID] = until
	h := m.hosts[v.Host.Host]
	h.Until = until
	m.hosts[v.Host.Host] = h
	return nil
}

func (m *memStore) FreeSource(_ context.Context, v zonewire.Visit, hostUntil time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.held(v); err != nil {
		return err
	}
	m.until[v.Source.ID] = time.Time{}
	h := m.hosts[v.Host.Host]
	h.Until = hostUntil
	m.hosts[v.Host.Host] = h
	return nil
}

func (m *memStore) UnknownPages(_ context.Context, source int64, canons []string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(canons), func(canon string) bool {
		return slices.ContainsFunc(m.pages[source], func(q *zonewire.QueuedPage) bool { return q.Canon == canon }) ||
			slices.ContainsFunc(m.articles, func(a zonewire.Article) bool { return a.URLCanon == canon })
	}), nil
}

func (m *memStore) FinishPoll(ctx context.Context, act zonewire.Act, v zonewire.Visit, p zonewire.Poll) ([]zonewire.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := m.held(v); err != nil {
		return nil, err
	}
	if m.refuse != nil {
		if err := m.refuse(p); err != nil {
			return nil, err
		}
	}
	id := v.Source.ID
	s := m.sources[id-1]
	stored := m.put(act, id, p)
	if p.Title != "" {
		s.Title = p.Title
	}
	if p.URL != "" {
		s.URL = p.URL
	}
	if s.State == v.Source.State { // not paused meanwhile
		s.State, s.Reason = p.State, p.Reason
	}
	s.Next, s.Memory = p.Next, p.Memory
	if p.Sub.Hub != s.Sub.Hub || p.Sub.Topic != s.Sub.Topic {
		s.Sub = p.Sub
	}
	for _, q := range slices.Backward(p.Seen) {
		m.pages[id] = append(m.pages[id], &q)
	}
	for _, tried := range p.Tried {
		for _, q := range m.pages[id] {
			if q.Canon == tried.Canon {
				*q = tried
			}
		}
	}
	m.until[id] = time.Time{}
	m.hosts[v.Host.Host] = p.Host
	return stored, nil
}

// put stores articles, by what identifies them, and the line of the log.
func (m *memStore) put(act zonewire.Act, id int64, p zonewire.Poll) (stored []zonewire.Stored) {
	for _, a := range p.Articles {
		a.SourceID, a.Received = id, act.At
		key := fmt.Sprint(id, " ", a.ExternalID, " ", a.URLCanon, " ", a.TitleKey)
		if n, ok := m.known[key]; ok {
			stored = append(stored, zonewire.Stored{ID: int64(n), Result: zonewire.Unchanged})
			continue
		}
		m.articles = append(m.articles, a)
		m.known[key] = len(m.articles)
		stored = append(stored, zonewire.Stored{ID: int64(len(m.articles)), Result: zonewire.Added})
	}
	p.Articles = nil
	m.polls[id] = append(m.polls[id], p)
	return stored
}

func (m *memStore) SourceByID(_ context.Context, id int64) (zonewire.Source, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id < 1 || id > int64(len(m.sources)) {
		return zonewire.Source{}, zonewire.ErrNotFound
	}
	return *m.sources[id-1], nil
}

func (m *memStore) DueSubscriptions(_ context.Context, now time.Time) (due []zonewire.Source, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sources {
		if s.State.Polled() && s.Sub.Hub != "" && !s.Sub.Next.After(now) {
			due = append(due, *s)
		}
	}
	return due, nil
}

func (m *memStore) SetSubscription(_ context.Context, id int64, sub zonewire.Subscribed) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources[id-1].Sub = sub
	return nil
}

func (m *memStore) FinishPush(_ context.Context, act zonewire.Act, id int64, p zonewire.Poll) ([]zonewire.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		if err := m.refuse(p); err != nil {
			return nil, err
		}
	}
	return m.put(act, id, p), nil
}
