package outbox

import (
	"container/list"
	"context"
	"sync"

	"zonewire"
)

// variantCache keeps the mails of the digests that are going out, the most recent ones. They never change once stored,
// so nothing can go stale.
type variantCache struct {
	load func(ctx context.Context, id int64) (zonewire.Variant, error)
	room int

	mu    sync.Mutex
	byID  map[int64]*list.Element // of cached
	order *list.List              // the most recent first
}

type cached struct {
	id      int64
	variant zonewire.Variant
}

func newVariantCache(room int, load func(ctx context.Context, id int64) (zonewire.Variant, error)) *variantCache {
	return &variantCache{load: load, room: room, byID: map[int64]*list.Element{}, order: list.New()}
}

// get loads a variant at most once while it is kept. The others wait meanwhile: at the start of a digest all of them
// want the same one.
func (c *variantCache) get(ctx context.Context, id int64) (zonewire.Variant, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byID[id]; ok {
		c.order.MoveToFront(e)
		return e.Value.(cached).variant, nil
	}
	v, err := c.load(ctx, id)
	if err != nil {
		return zonewire.Variant{}, err
	}
	c.byID[id] = c.order.PushFront(cached{id, v})
	if c.order.Len() > c.room {
		last := c.order.Remove(c.order.Back()).(cached)
		delete(c.byID, last.id)
	}
	return v, nil
}
