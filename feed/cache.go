package feed

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"zonewire"
)

// key names what a cell holds.
type key struct {
	kind   kind
	zone   int64  // 0 = all
	format Format // of a view or a delta; a feed's cell has every format
	month  zonewire.Month
	part   int
	rest   string // the query of a view; the two versions of a delta
}

type kind uint8

const (
	feedCell kind = iota
	viewCell
	archiveCell
	listCell // OPML
	styleCell
	deltaCell // never stale: what lies between two versions stays
)

// lock is a mutex that can be waited for within a context.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

func (l lock) acquire(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l lock) release() { <-l }

// cell is the place of one feed, archive or view. Its lock is held while it is filled: requests for what is not there yet
// wait for one filling, and a change is never overtaken by an older state. Reading takes no lock.
type cell struct {
	lock  lock
	set   atomic.Pointer[served]
	stale atomic.Bool // the store may have moved on
	used  atomic.Int64
	size  int64 // under the cache's mutex; 0 while it is filled for the first time
}

func newCell() *cell { return &cell{lock: newLock()} }

// full is what the cell holds, unless that is a remnant.
func (c *cell) full() *served {
	if x := c.set.Load(); x != nil && !x.slim {
		return x
	}
	return nil
}

// remnant is what stayed of a feed that has left memory; nil for a cell that is whole, empty or none.
func (c *cell) remnant() *served {
	if c == nil {
		return nil
	}
	if x := c.set.Load(); x != nil && x.slim {
		return x
	}
	return nil
}

// cache keeps cells within a bound of bytes. What goes first is what was not used for the longest time; nothing is lost
// with it, for the store has what is not cheap to make.
type cache struct {
	max int64

	mu    sync.RWMutex
	cells map[key]*cell
	bytes int64
	tick  atomic.Int64 // grows with each cell that comes in: the clock by which use is told
}

func newCache(max int64) *cache { return &cache{max: max, cells: map[key]*cell{}} }

// get gives a cell that is there, else nil.
func (c *cache) get(k key) *cell {
	c.mu.RLock()
	found := c.cells[k]
	c.mu.RUnlock()
	if found != nil {
		// Written only when it differs, so that readers on many processors do not pass the line round.
		if now := c.tick.Load(); found.used.Load() != now {
			found.used.Store(now)
		}
	}
	return found
}

// place gives the cell of a key, an empty one if there is none.
func (c *cache) place(k key) *cell {
	if found := c.get(k); found != nil {
		return found
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.cells[k]
	if found == nil {
		found = newCell()
		found.used.Store(c.tick.Add(1))
		c.cells[k] = found
	}
	return found
}

// weigh notes how large a cell is now, and drops others until the bound holds. Of feeds a remnant stays as long as that is
// enough.
func (c *cache) weigh(k key, cl *cell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cells[k] != cl {
		return // dropped meanwhile
	}
	c.resize(cl)
	if c.bytes <= c.max {
		return
	}
	// Some more than needed, so that the next ones find room without another walk over all.
	type aged struct {
		key
		*cell
		used int64
	}
	all := make([]aged, 0, len(c.cells))
	for k, cl := range c.cells {
		if cl.size > 0 {
			all = append(all, aged{k, cl, cl.used.Load()})
		}
	}
	slices.SortFunc(all, func(a, b aged) int { return cmp.Compare(a.used, b.used) })
	enough := c.max - c.max/8
	for _, a := range all {
		if c.bytes <= enough {
			return
		}
		if x := a.full(); a.kind == feedCell && x != nil && a.set.CompareAndSwap(x, x.slimmed()) {
			c.resize(a.cell)
		}
	}
	for _, a := range all {
		if c.bytes <= enough {
			return
		}
		delete(c.cells, a.key)
		c.bytes -= a.size
	}
}

// resize notes what a cell takes. The caller holds the mutex.
func (c *cache) resize(cl *cell) {
	size := int64(0)
	if x := cl.set.Load(); x != nil {
		size = x.size()
	}
	c.bytes += size - cl.size
	cl.size = size
}

// peek gives a cell that is there, which does not count as a use.
func (c *cache) peek(k key) *cell {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.cells[k]
}

// whole is [cache.peek] for whoever brings a feed to the present: what stayed of one is no longer true then, and goes.
func (c *cache) whole(k key) *cell {
	found := c.peek(k)
	if found.remnant() == nil {
		return found
	}
	c.drop(k, found)
	return nil
}

// drop forgets a cell.
func (c *cache) drop(k key, cl *cell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cells[k] == cl {
		delete(c.cells, k)
		c.bytes -= cl.size
	}
}

// each walks over the cells as they were when it began.
func (c *cache) each(do func(key, *cell)) {
	c.mu.RLock()
	all := make(map[key]*cell, len(c.cells))
	for k, cl := range c.cells {
		all[k] = cl
	}
	c.mu.RUnlock()
	for k, cl := range all {
		do(k, cl)
	}
}

// weight is the number of bytes kept, and of cells that are whole.
func (c *cache) weight() (bytes int64, cells int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, cl := range c.cells {
		if cl.full() != nil {
			cells++
		}
	}
	return c.bytes, cells
}
