package store

import (
	"context"
	"sync"
)

// group commits small writes together: each commit costs a disk flush, and workers that wait for one another's flush
// would send no faster than the disk turns. Whoever comes first leads: it takes the writer, and by the time it has it
// the others have queued; it runs them all in one transaction and tells each how it went. No goroutine stands by.
type group struct {
	mu      sync.Mutex
	waiting []*grouped
	leading bool
}

type grouped struct {
	run  func(q querier) error
	err  error
	done chan struct{}
}

// together runs fn in a transaction shared with others. fn must be a single statement that fails alone.
func (db *DB) together(ctx context.Context, what string, fn func(ctx context.Context, q querier) error) error {
	g := &db.group
	me := &grouped{run: func(q querier) error { return fn(ctx, q) }, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, me)
	lead := !g.leading
	g.leading = true
	g.mu.Unlock()
	if lead {
		db.lead(what)
	}
	<-me.done
	return me.err
}

// lead commits what waits, batch after batch, until nobody waits.
func (db *DB) lead(what string) {
	g := &db.group
	for {
		var batch []*grouped
		err := db.write(context.Background(), what, func(q querier) error {
			if batch == nil { // taken only now, with the writer in hand; a retry runs the same ones
				g.mu.Lock()
				batch, g.waiting = g.waiting, nil
				g.mu.Unlock()
			}
			for _, w := range batch {
				w.err = w.run(q)
			}
			return nil
		})
		if batch == nil { // the transaction could not even begin
			g.mu.Lock()
			batch, g.waiting = g.waiting, nil
			g.mu.Unlock()
		}
		for _, w := range batch {
			if err != nil {
				w.err = err
			}
			close(w.done)
		}
		g.mu.Lock()
		if len(g.waiting) == 0 {
			g.leading = false
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
	}
}
