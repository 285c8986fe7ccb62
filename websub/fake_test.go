package websub_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"zonewire"
)

// memStore is a small working store: claims run out, a newer request replaces an older one, and a version makes due whoever
// is subscribed to its feed.
type memStore struct {
	mu       sync.Mutex
	fail     func(call string) error // nil: nothing fails
	calls    map[string]int
	load     *zonewire.HubLoad // what HubLoad says; nil = the truth
	lastID   int64
	versions map[string]string // feed: hash of what it serves
	requests map[int64]*request
	subs     map[int64]*subscription
	pings    map[zonewire.HubPing]*ping // by hub and topic, no attempts
}

type request struct {
	zonewire.HubRequest
	next, claimed time.Time
}

type subscription struct {
	zonewire.HubSubscription
	next, claimed time.Time // next is zero while there is nothing to tell
}

type ping struct {
	attempts      int
	again         bool
	next, claimed time.Time
}

var errStore = errors.New("database is locked")

func newMemStore() *memStore {
	return &memStore{
		calls: map[string]int{}, versions: map[string]string{}, requests: map[int64]*request{}, subs: map[int64]*subscription{},
		pings: map[zonewire.HubPing]*ping{},
	}
}

// begin takes the lock for a call, which may be made to fail; unlock after it.
func (m *memStore) begin(call string) error {
	m.mu.Lock()
	m.calls[call]++
	if m.fail != nil {
		return m.fail(call)
	}
	return nil
}

func (m *memStore) failing(fail func(call string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fail
}

// on gives a channel that hears of each call of a name. Whoever takes the lock after it sees what the call has done.
func (m *memStore) on(call string) <-chan struct{} {
	heard := make(chan struct{}, 100)
	m.failing(func(c string) error {
		if c == call {
			heard <- struct{}{}
		}
		return nil
	})
	return heard
}

// claimable reports whether something is due and nobody's.
func claimable(next, claimed, now time.Time) bool {
	return !next.IsZero() && !next.After(now) && !claimed.After(now)
}

// claim takes the first of rows that are due: key gives an order that is the same each time.
func claim[K cmp.Ordered, R any](rows map[K]R, due func(R) bool, take func(R), limit int) (taken []R) {
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		if row := rows[k]; len(taken) < limit && due(row) {
			take(row)
			taken = append(taken, row)
		}
	}
	return taken
}

func (m *memStore) HubLoad(_ context.Context, host, feed string, now time.Time) (l zonewire.HubLoad, err error) {
	err = m.begin("HubLoad")
	defer m.mu.Unlock()
	if m.load != nil || err != nil {
		return *cmp.Or(m.load, &l), err
	}
	for _, r := range m.requests {
		if r.Host == host {
			l.Waiting++
			l.NewOfHost++
		}
	}
	for _, s := range m.subs {
		l.Total++
		if s.Feed == feed {
			l.OfFeed++
		}
		if s.Host == host {
			l.OfHost++
			if now.Sub(s.Created) < 24*time.Hour {
				l.NewOfHost++
			}
		}
	}
	return l, nil
}

func (m *memStore) AddHubRequest(_ context.Context, r zonewire.HubRequest, now time.Time) error {
	err := m.begin("AddHubRequest")
	defer m.mu.Unlock()
	if err != nil {
		return err
	}
	m.lastID++
	r.ID, r.Created, r.Attempts = m.lastID, now, 0
	for id, old := range m.requests {
		if old.URL == r.URL && old.Topic == r.Topic {
			r.ID = id
		}
	}
	m.requests[r.ID] = &request{HubRequest: r, next: now}
	return nil
}

func (m *memStore) ClaimHubRequests(_ context.Context, now, until time.Time, limit int) (claimed []zonewire.HubRequest, err error) {
	err = m.begin("ClaimHubRequests")
	defer m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	due := func(r *request) bool { return claimable(r.next, r.claimed, now) }
	for _, r := range claim(m.requests, due, func(r *request) { r.claimed = until; r.Attempts++ }, limit) {
		claimed = append(claimed, r.HubRequest)
	}
	return claimed, nil
}

func (m *memStore) FinishHubRequest(_ context.Context, r zonewire.HubRequest, confirmed bool, now time.Time) error {
	err := m.begin("FinishHubRequest")
	defer m.mu.Unlock()
	if err != nil {
		return err
	}
	if stored := m.requests[r.ID]; stored != nil && stored.Created.Equal(r.Created) {
		delete(m.requests, r.ID)
	}
	if !confirmed {
		return nil
	}
	for id, s := range m.subs {
		if s.URL == r.URL && s.Topic == r.Topic {
			if r.Mode == zonewire.HubUnsubscribe {
				delete(m.subs, id)
			} else {
				s.Secret, s.Until, s.Attempts = r.Secret, now.Add(r.Lease), 0
			}
			return nil
		}
	}
	if r.Mode == zonewire.HubSubscribe {
		m.lastID++
		s := zonewire.HubSubscription{Callback: r.Callback, Until: now.Add(r.Lease), Hash: m.versions[r.Feed], Created: now}
		s.ID = m.lastID
		m.subs[s.ID] = &subscription{HubSubscription: s}
	}
	return nil
}

func (m *memStore) RetryHubRequest(_ context.Context, id int64, next time.Time) error {
	err := m.begin("RetryHubRequest")
	defer m.mu.Unlock()
	if r := m.requests[id]; r != nil && err == nil {
		r.next, r.claimed = next, time.Time{}
	}
	return err
}

func (m *memStore) ClaimHubDeliveries(_ context.Context, now, until time.Time, limit int) (claimed []zonewire.HubSubscription, err error) {
	err = m.begin("ClaimHubDeliveries")
	defer m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	due := func(s *subscription) bool { return claimable(s.next, s.claimed, now) && s.Until.After(now) }
	for _, s := range claim(m.subs, due, func(s *subscription) { s.claimed = until }, limit) {
		claimed = append(claimed, s.HubSubscription)
	}
	return claimed, nil
}

func (m *memStore) FinishHubDelivery(_ context.Context, id int64, hash string, now time.Time) error {
	err := m.begin("FinishHubDelivery")
	defer m.mu.Unlock()
	if s := m.subs[id]; s != nil && err == nil {
		s.Hash, s.Attempts, s.claimed, s.next = hash, 0, time.Time{}, time.Time{}
		if m.versions[s.Feed] != hash {
			s.next = now
		}
	}
	return err
}

func (m *memStore) RetryHubDelivery(_ context.Context, id int64, next time.Time) error {
	err := m.begin("RetryHubDelivery")
	defer m.mu.Unlock()
	if s := m.subs[id]; s != nil && err == nil {
		s.next, s.claimed = next, time.Time{}
		s.Attempts++
	}
	return err
}

func (m *memStore) EndHubSubscription(_ context.Context, id int64) error {
	err := m.begin("EndHubSubscription")
	defer m.mu.Unlock()
	if err == nil {
		delete(m.subs, id)
	}
	return err
}

func (m *memStore) HubTopics(_ context.Context, now time.Time) ([]string, error) {
	err := m.begin("HubTopics")
	defer m.mu.Unlock()
	var topics []string
	for _, s := range m.subs {
		if s.Until.After(now) {
			topics = append(topics, s.Topic)
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics), err
}

func (m *memStore) HubSubscriptionsOf(_ context.Context, topic string, limit int) (of []zonewire.HubSubscription, err error) {
	err = m.begin("HubSubscriptionsOf")
	defer m.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(m.subs)) {
		if s := m.subs[id]; s.Topic == topic && len(of) < limit {
			of = append(of, s.HubSubscription)
		}
	}
	return of, err
}

func (m *memStore) ExpireHubSubscriptions(_ context.Context, now time.Time) (n int, err error) {
	err = m.begin("ExpireHubSubscriptions")
	defer m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	before := len(m.subs)
	maps.DeleteFunc(m.subs, func(_ int64, s *subscription) bool { return !s.Until.After(now) })
	return before - len(m.subs), nil
}

func (m *memStore) ClaimHubPings(_ context.Context, now, until time.Time, limit int) (claimed []zonewire.HubPing, err error) {
	err = m.begin("ClaimHubPings")
	defer m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	for p, row := range m.pings {
		if len(claimed) < limit && claimable(row.next, row.claimed, now) {
			row.claimed = until
			row.attempts++
			p.Attempts = row.attempts
			claimed = append(claimed, p)
		}
	}
	return claimed, nil
}

// pinged gives a ping as it is kept. The lock is held.
func (m *memStore) pinged(p zonewire.HubPing) *ping {
	p.Attempts = 0
	return m.pings[p]
}

func (m *memStore) FinishHubPing(_ context.Context, p zonewire.HubPing, now time.Time) error {
	err := m.begin("FinishHubPing")
	defer m.mu.Unlock()
	row := m.pinged(p)
	switch {
	case err != nil || row == nil:
	case row.again:
		*row = ping{next: now}
	default:
		p.Attempts = 0
		delete(m.pings, p)
	}
	return err
}

func (m *memStore) RetryHubPing(_ context.Context, p zonewire.HubPing, next time.Time) error {
	err := m.begin("RetryHubPing")
	defer m.mu.Unlock()
	if row := m.pinged(p); row != nil && err == nil {
		row.next, row.claimed, row.again = next, time.Time{}, false
	}
	return err
}

func (m *memStore) DropHubPing(_ context.Context, p zonewire.HubPing) error {
	err := m.begin("DropHubPing")
	defer m.mu.Unlock()
	p.Attempts = 0
	if err == nil {
		delete(m.pings, p)
	}
	return err
}

// record does what recording a version of a feed does: subscriptions and hubs become due.
func (m *memStore) record(topic zonewire.Topic, hash string, hubs []string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.versions[topic.Feed] = hash
	for _, s := range m.subs {
		if s.Feed == topic.Feed && s.next.IsZero() {
			s.next = now
		}
	}
	for _, hub := range hubs {
		p := zonewire.HubPing{Hub: hub, Topic: topic.URL}
		if row := m.pings[p]; row != nil {
			row.again = row.again || row.claimed.After(now)
		} else {
			m.pings[p] = &ping{next: now}
		}
	}
}

// confirm adds a subscription, as if its callback had confirmed it.
func (m *memStore) confirm(topic zonewire.Topic, callback string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastID++
	s := zonewire.HubSubscription{
		Callback: zonewire.Callback{ID: m.lastID, Feed: topic.Feed, Zone: topic.Zone, Topic: topic.URL, URL: callback, Host: "subscriber.example"},
		Until:    time.Now().Add(time.Hour), Hash: m.versions[topic.Feed], Created: time.Now(),
	}
	m.subs[s.ID] = &subscription{HubSubscription: s}
}

// all gives the subscriptions there are, the oldest first.
func (m *memStore) all() (subs []zonewire.HubSubscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(m.subs)) {
		subs = append(subs, m.subs[id].HubSubscription)
	}
	return subs
}

func (m *memStore) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.requests)
}

func (m *memStore) called(call string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[call]
}

// memFeeds are feeds whose articles are words, one a version.
type memFeeds struct {
	mu    sync.Mutex
	fail  error
	topic map[string]zonewire.Topic // by address
	ended map[string]bool           // addresses of feeds that were
	words map[string][]string       // by feed
	made  int                       // documents
}

func newMemFeeds() *memFeeds {
	return &memFeeds{topic: map[string]zonewire.Topic{}, ended: map[string]bool{}, words: map[string][]string{}}
}

// add makes a feed at an address.
func (f *memFeeds) add(url, feed string, zone int64) zonewire.Topic {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := zonewire.Topic{URL: url, Feed: feed, Zone: zone}
	f.topic[url] = t
	return t
}

// moved makes what is at one address answer for another.
func (f *memFeeds) move(from, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.topic[from]
	t.URL = to
	f.topic[from], f.topic[to] = t, t
}

func (f *memFeeds) remove(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.topic, url)
}

func (f *memFeeds) close(url string) {
	f.remove(url)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended[url] = true
}

func (f *memFeeds) failing(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func (f *memFeeds) documents() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made
}

// write adds an article and gives the hash of the version with it.
func (f *memFeeds) write(feed, word string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.words[feed] = append(f.words[feed], word)
	return hashAt(len(f.words[feed]))
}

// hashAt names the version with so many articles.
func hashAt(n int) string { return fmt.Sprintf("v%d", n) }

func (f *memFeeds) Topic(_ context.Context, url string) (zonewire.Topic, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.topic[url]
	switch {
	case f.ended[url]:
		return t, zonewire.ErrGone
	case !ok:
		return t, zonewire.ErrNotFound
	}
	return t, f.fail
}

func (f *memFeeds) Content(ctx context.Context, topic, have string) (zonewire.FeedContent, error) {
	t, err := f.Topic(ctx, topic)
	if err != nil {
		return zonewire.FeedContent{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	all := f.words[t.Feed]
	c := zonewire.FeedContent{
		Hash: hashAt(len(all)), Type: "application/atom+xml; charset=utf-8", Links: "<" + t.URL + `>; rel="self", <` + hubURL + `>; rel="hub"`,
	}
	since := 0
	for n := range all {
		if hashAt(n+1) == have {
			since, c.Delta = n+1, true
		}
	}
	c.Body = []byte("<feed>" + strings.Join(all[since:], " ") + "</feed>")
	return c, nil
}
