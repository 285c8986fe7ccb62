package websub

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"zonewire/internal/trouble"
)

const (
	lookEvery = time.Second      // between two looks at the store while nobody wakes us: other processes write to it too
	claimFor  = time.Minute      // longer than a task may wait here and take, see [queue.next]
	batch     = 256              // tasks in one claim
	maxHeld   = 4096             // tasks at hand: with addresses of 2 KB that is 8 MB
	stopIn    = 5 * time.Second  // for what is under way; only a delivery may take longer, and is broken off
	recordIn  = 10 * time.Second // to write down what became of a task
)

// health is what a task has shown of its host.
type health int

const (
	unasked  health = iota // nothing: it was not asked
	answered               // it is well, whatever it said
	silent                 // it could not be reached, or did not answer in time
)

// task is one request to send, held under a claim.
type task struct {
	host  string
	until time.Time // the claim's end
	// send does it, and records what became of it. A failure of ours is logged and leaves the claim to run out.
	send func(context.Context) health
	// skip is done instead while the host is left alone. nil = its claim runs out.
	skip func(context.Context) health
	// release gives it back, not begun.
	release func(context.Context) error
}

// tasksOf makes tasks of what was claimed until a moment.
func tasksOf[T any](claimed []T, until time.Time, of func(T) task) []task {
	tasks := make([]task, len(claimed))
	for i, c := range claimed {
		tasks[i] = of(c)
		tasks[i].until = until
	}
	return tasks
}

// pool does tasks: it claims what is due, and hands it to a bounded number of workers, fairly by host.
type pool struct {
	claims  *trouble.Trouble
	workers int
	claim   func(ctx context.Context, now, until time.Time, limit int) ([]task, error)
	log     *slog.Logger
	now     func() time.Time
	wake    chan struct{}
	held    atomic.Int64 // tasks at hand that no worker has
}

func newPool(claims *trouble.Trouble, workers int, claim func(context.Context, time.Time, time.Time, int) ([]task, error), log *slog.Logger, now func() time.Time) *pool {
	return &pool{claims: claims, workers: workers, claim: claim, log: log, now: now, wake: make(chan struct{}, 1)}
}

// look makes the pool look for what is due. It does not block.
func (p *pool) look() {
	select {
	case p.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// run works until ctx ends, and returns when no worker is left.
func (p *pool) run(ctx context.Context) {
	work, breakOff := context.WithCancel(context.WithoutCancel(ctx))
	defer breakOff()
	type result struct {
		host  string
		shown health
	}
	done := make(chan result)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	ready := make(chan struct{})
	close(ready)
	q := newQueue()
	look := true
	for ctx.Err() == nil {
		if look {
			full, err := p.fill(ctx, q)
			if ctx.Err() == nil {
				p.claims.Is(err)
			}
			look = full && err == nil
		}
		for q.active < p.workers {
			t, ok := q.next(p.now())
			if !ok {
				break
			}
			go func() { done <- result{t.host, t.send(work)} }()
		}
		p.held.Store(int64(q.held))
		var again <-chan struct{}
		if look && q.held <= maxHeld-batch {
			again = ready // there is more in the store, and room for it
		}
		select {
		case <-ctx.Done():
		case r := <-done:
			q.finish(r.host, r.shown, p.now())
			continue
		case <-again:
			continue
		case <-p.wake:
		case <-tick.C:
		}
		look = true
	}
	grace := time.NewTimer(stopIn)
	defer grace.Stop()
	for q.active > 0 {
		select {
		case r := <-done:
			q.finish(r.host, r.shown, p.now())
		case <-grace.C:
			breakOff()
		}
	}
	p.giveBack(context.WithoutCancel(ctx), q)
	p.held.Store(0)
}

// fill claims one batch. full says that there may be more.
func (p *pool) fill(ctx context.Context, q *queue) (full bool, err error) {
	if q.held > maxHeld-batch {
		return true, nil
	}
	now := p.now()
	q.forget(now)
	tasks, err := p.claim(ctx, now, now.Add(claimFor), batch)
	for _, t := range tasks {
		q.add(t, now)
	}
	return len(tasks) == batch, err
}

// giveBack releases what was not begun, so that whoever comes next need not wait for the claims to end. It takes no longer
// than a moment: what is left comes when its claim ends.
func (p *pool) giveBack(ctx context.Context, q *queue) {
	ctx, cancel := context.WithTimeout(ctx, stopIn)
	defer cancel()
	for {
		t, ok := q.take()
		if !ok {
			return
		}
		if err := t.release(ctx); err != nil {
			p.log.Warn("what was not begun waits for its claim to end", "err", err)
			return
		}
	}
}

// recording is the context in which an outcome is written down: what has happened is recorded also when we are told to stop.
func recording(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), recordIn)
}
