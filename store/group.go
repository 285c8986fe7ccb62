package store

import (
	"context"
	"sync"
	"time"
)

// group commits small writes together: each commit costs a disk flush, and workers that wait for one another's flush
// would send no faster than the disk turns. Whoever comes first leads: it takes the writer, and by the time it has it
// the others have queued; it runs them all in one transaction, tells each how it went, and hands the lead to one that
// came meanwhile. No goroutine stands by.
//
// On a quick disk few come during a commit, and commits would be many and small. The leader therefore waits a moment for
// most of those that the last commit has seen; where nobody else comes, nobody is waited for.
type group struct {
	mu      sync.Mutex
	waiting []*grouped
	led     bool
	seen    int           // in the last commit and while it ran
	enough  int           // wake the leader when so many wait
	full    chan struct{} // closed then; nil while no leader waits
}

// gatherFor bounds the wait for others. A mail takes longer on any network.
const gatherFor = 250 * time.Microsecond

type grouped struct {
	run  func(q querier) error
	err  error
	lead chan struct{} // closed when it is this one's turn to lead
	done chan struct{}
}

// together runs fn in a transaction shared with others. Each statement of fn must be able to fail alone, and bear being
// run again. Once queued it is run, whatever becomes of its caller.
func (db *DB) together(what string, fn func(ctx context.Context, q querier) error) error {
	if !db.dialect.groups { // the server gathers the commits of all connections by itself
		return db.alone(what, fn)
	}
	me := &grouped{
		// Not the caller's context: the driver would start a goroutine to watch it, for each statement of some
		// microseconds. The busy timeout is what bounds the wait.
		run:  func(q querier) error { return fn(context.Background(), q) },
		lead: make(chan struct{}),
		done: make(chan struct{}),
	}
	if db.group.join(me) {
		close(me.lead)
	}
	select {
	case <-me.done:
	case <-me.lead:
		db.lead(what)
	}
	return me.err
}

// join queues a write and reports whether nobody leads.
func (g *group) join(w *grouped) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, w)
	if g.full != nil && len(g.waiting) >= g.enough {
		close(g.full)
		g.full = nil
	}
	first := !g.led
	g.led = true
	return first
}

// gather waits for company.
func (g *group) gather() {
	g.mu.Lock()
	g.enough = g.seen * 3 / 4
	if len(g.waiting) >= g.enough {
		g.mu.Unlock()
		return
	}
	full := make(chan struct{})
	g.full = full
	g.mu.Unlock()
	t := time.NewTimer(gatherFor)
	defer t.Stop()
	select {
	case <-full:
	case <-t.C:
		g.mu.Lock()
		g.full = nil
		g.mu.Unlock()
	}
}

// take gives all that wait now.
func (g *group) take() []*grouped {
	g.mu.Lock()
	defer g.mu.Unlock()
	batch := g.waiting
	g.waiting = nil
	return batch
}

// pass hands the lead, after a commit of so many, to the first that waits, if anyone does.
func (g *group) pass(committed int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = committed + len(g.waiting)
	if g.led = len(g.waiting) > 0; g.led {
		close(g.waiting[0].lead)
	}
}

// lead commits one batch, in which the leader's own write is.
func (db *DB) lead(what string) {
	db.group.gather()
	var batch []*grouped
	err := db.write(context.Background(), what, func(q querier) error {
		if batch == nil { // taken only now, with the writer in hand; a retry runs the same ones
			batch = db.group.take()
		}
		for _, w := range batch {
			w.err = w.run(q)
		}
		return nil
	})
	if batch == nil { // the transaction could not even begin
		batch = db.group.take()
	}
	for _, w := range batch {
		if err != nil {
			w.err = err
		}
		close(w.done)
	}
	db.group.pass(len(batch))
}
