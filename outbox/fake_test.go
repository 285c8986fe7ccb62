package outbox_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"zonewire"
	"zonewire/outbox"
)

// fakeStore is a small working store in memory: it fences claims, gives a dead worker's rows to others, and puts lost
// mails back as the real one does. It reports what a real one could not see: outcomes without a claim.
type fakeStore struct {
	t    testing.TB
	fail func(call string) error // nil: nothing fails
	lose func(call string) error // likewise, after what was asked is done

	mu       sync.Mutex
	rows     map[int64]*row
	workers  map[int64]time.Time // last beat
	claims   int64
	variants map[int64]zonewire.Variant
	loads    int // of variants

	providers map[string]*zonewire.Provider
	paused    bool
}

type row struct {
	job    zonewire.Job
	state  zonewire.DeliveryState
	worker int64
	next   time.Time
	began  bool
	last   zonewire.Outcome
}

var errStore = errors.New("database is locked")

func newStore(t testing.TB, n int) *fakeStore {
	s := &fakeStore{t: t, rows: map[int64]*row{}, providers: map[string]*zonewire.Provider{}, workers: map[int64]time.Time{}, variants: map[int64]zonewire.Variant{1: {ID: 1, Mail: zhMail()}}}
	for id := range int64(n) {
		s.add(zonewire.Job{ID: id + 1, Email: "reader@example.net"})
	}
	return s
}

// add puts a delivery in; what is not set gets a usual value.
func (s *fakeStore) add(job zonewire.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	job.Digest, job.Variant, job.Subscription, job.Subscriber = 7, 1, 1000+job.ID, 2000+job.ID
	if job.Slot.IsZero() {
		job.Slot = time.Now()
	}
	s.rows[job.ID] = &row{job: job, next: time.Now()}
}

func (s *fakeStore) failing(call string) error {
	if s.fail == nil {
		return nil
	}
	return s.fail(call)
}

// done is the answer to what was done.
func (s *fakeStore) done(call string, err error) error {
	if err != nil || s.lose == nil {
		return err
	}
	return s.lose(call)
}

func (s *fakeStore) StartWorker(ctx context.Context, now time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.failing("StartWorker"); err != nil {
		return 0, err
	}
	s.claims++
	s.workers[s.claims] = now
	return s.claims, nil
}

func (s *fakeStore) Beat(ctx context.Context, worker int64, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.workers[worker]; !ok {
		return zonewire.ErrNotFound
	}
	s.workers[worker] = now
	return s.failing("Beat")
}

func (s *fakeStore) StopWorker(ctx context.Context, worker int64, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.workers, worker)
	return s.failing("StopWorker")
}

func (s *fakeStore) Release(ctx context.Context, worker int64, now time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.rows {
		if r.state == zonewire.Leased && r.worker == worker && !r.began {
			r.state, r.job.Claim = zonewire.Pending, 0
			n++
		}
	}
	return n, s.failing("Release")
}

func (s *fakeStore) Claim(ctx context.Context, worker int64, n int, room func(string) int, now time.Time) (zonewire.Claim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var c zonewire.Claim
	if err := s.failing("Claim"); err != nil || s.paused {
		return c, err
	}
	if _, ok := s.workers[worker]; !ok {
		return c, zonewire.ErrNotFound
	}
	s.claims++
	got := map[string]int{}
	ids := slices.Sorted(maps.Keys(s.rows))
	slices.SortStableFunc(ids, func(a, b int64) int { return int(s.rows[b].job.Kind) - int(s.rows[a].job.Kind) }) // notices first
	for _, id := range ids {
		r := s.rows[id]
		name := r.job.Provider
		if len(c.Jobs) == n || !r.state.Open() || r.state == zonewire.Leased || r.next.After(now) || got[name] == room(name) {
			continue
		}
		if r.job.Kind == zonewire.NoticeJob {
			name = "" // has no lane
		}
		p := s.provider(name)
		if p.Allowance(1, now) == 0 {
			if at := p.FreeAt(now); c.FreeAt.IsZero() || at.Before(c.FreeAt) {
				c.FreeAt = at
			}
			continue
		}
		p.Take(1, now)
		got[name]++
		r.state, r.worker, r.job.Claim, r.job.Troubled = zonewire.Leased, worker, s.claims, p.Troubled()
		c.Jobs = append(c.Jobs, r.job)
	}
	if err := s.done("Claim", nil); err != nil {
		return zonewire.Claim{}, err
	}
	return c, nil
}

func (s *fakeStore) provider(name string) *zonewire.Provider {
	if s.providers[name] == nil {
		s.providers[name] = &zonewire.Provider{Name: name}
	}
	return s.providers[name]
}

func (s *fakeStore) Observe(ctx context.Context, name string, a zonewire.Answer, now time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.provider(name).Observe(a, now), s.failing("Observe")
}

func (s *fakeStore) Begin(ctx context.Context, job zonewire.Job, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.failing("Begin"); err != nil {
		return err
	}
	return s.done("Begin", s.begin(job, now))
}

func (s *fakeStore) begin(job zonewire.Job, now time.Time) error {
	r := s.rows[job.ID]
	if r.job.Claim != job.Claim {
		return zonewire.ErrLost
	}
	if now.Sub(s.workers[r.worker]) > 20*time.Second {
		s.t.Errorf("worker %d begins delivery %d and has not beaten for %v", r.worker, job.ID, now.Sub(s.workers[r.worker]))
	}
	r.began = true
	r.job.Attempts++
	return nil
}

func (s *fakeStore) Finish(ctx context.Context, job zonewire.Job, out zonewire.Outcome, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		s.t.Errorf("outcome of %d written under a context that has ended: %v", job.ID, err)
	}
	if err := s.failing("Finish"); err != nil {
		return err
	}
	return s.done("Finish", s.finish(job, out, now))
}

func (s *fakeStore) finish(job zonewire.Job, out zonewire.Outcome, now time.Time) error {
	r := s.rows[job.ID]
	if r.job.Claim != job.Claim {
		return zonewire.ErrLost
	}
	if out.State == zonewire.Accepted && !r.began {
		s.t.Errorf("delivery %d was sent and not begun", job.ID)
	}
	r.last, r.state, r.next, r.began, r.job.Claim = out, out.State, out.Next, false, 0
	if out.Lost {
		r.job.Losses++
		r.next = now
		if r.state = zonewire.Deferred; r.job.Losses >= zonewire.MaxLosses {
			r.state = zonewire.Uncertain
		}
	}
	return nil
}

func (s *fakeStore) Turn(ctx context.Context, job zonewire.Job, out zonewire.Outcome, next zonewire.Job, now time.Time) (lost, taken, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		s.t.Errorf("outcome of %d written under a context that has ended: %v", job.ID, err)
	}
	for _, call := range []string{"Finish", "Begin"} {
		if err := s.failing(call); err != nil {
			return nil, nil, err
		}
	}
	lost, taken = s.finish(job, out, now), s.begin(next, now)
	return lost, taken, s.done("Turn", nil)
}

func (s *fakeStore) Variant(ctx context.Context, id int64) (zonewire.Variant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	if err := s.failing("Variant"); err != nil {
		return zonewire.Variant{}, err
	}
	v, ok := s.variants[id]
	if !ok {
		return v, zonewire.ErrNotFound
	}
	return v, nil
}

func (s *fakeStore) Due(ctx context.Context, now time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.rows {
		if r.state.Open() && !r.next.After(now) {
			n++
		}
	}
	return n, s.failing("Due")
}

// counts sums the rows.
func (s *fakeStore) counts() zonewire.Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	var c zonewire.Counts
	for _, r := range s.rows {
		c[r.state]++
	}
	return c
}

func (s *fakeStore) row(id int64) row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.rows[id]
}

// settled reports rows that a stopped worker left behind, and workers that did not sign off.
func (s *fakeStore) settled() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.rows {
		if r.state == zonewire.Leased || r.began {
			s.t.Errorf("delivery %d is left %v, begun %v", id, r.state, r.began)
		}
	}
	if len(s.workers) != 0 {
		s.t.Errorf("workers %v did not sign off", s.workers)
	}
}

// fakeWire is a transport in memory, for tests in fake time: sockets and fake clocks do not mix.
type fakeWire struct {
	dial func(n int) error                                                // nil: always welcome; n counts from 1
	send func(ctx context.Context, n int, e outbox.Envelope) outbox.Reply // nil: accepted

	mu     sync.Mutex
	dials  []time.Time
	sends  []time.Time
	ids    map[string]int
	open   int
	most   int // open at once
	closed int
}

func (w *fakeWire) Dial(ctx context.Context) (outbox.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials = append(w.dials, time.Now())
	if w.dial != nil {
		if err := w.dial(len(w.dials)); err != nil {
			return nil, err
		}
	}
	w.open++
	w.most = max(w.most, w.open)
	return &fakeConn{wire: w}, nil
}

type fakeConn struct {
	wire   *fakeWire
	broken bool
}

func (c *fakeConn) Send(ctx context.Context, e outbox.Envelope) outbox.Reply {
	c.wire.mu.Lock()
	c.wire.sends = append(c.wire.sends, time.Now())
	n := len(c.wire.sends)
	if c.wire.ids == nil {
		c.wire.ids = map[string]int{}
	}
	c.wire.mu.Unlock()
	r := outbox.Reply{Stage: outbox.StageDot, Code: 250, Text: "2.0.0 ok"}
	if c.wire.send != nil {
		r = c.wire.send(ctx, n, e)
	}
	c.broken = r.Code == 0
	if r.Accepted() {
		c.wire.mu.Lock()
		c.wire.ids[messageID(e)]++
		c.wire.mu.Unlock()
	}
	return r
}

func (c *fakeConn) Usable() bool { return !c.broken }

func (c *fakeConn) Close() error {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	c.wire.open--
	c.wire.closed++
	return nil
}

// once fails if any mail was accepted more than once, and gives how many were.
func (w *fakeWire) once(t testing.TB) int {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, n := range w.ids {
		if n != 1 {
			t.Errorf("mail %s was accepted %d times", id, n)
		}
	}
	if w.open != 0 {
		t.Errorf("%d connections are left open", w.open)
	}
	return len(w.ids)
}
