package outbox

import (
	"container/list"
	"context"
	"sync"

	"zonewire"
)

// cacheBytes is what the prepared mails of the digests that are going out may weigh together: some hundred of the usual
// size.
const cacheBytes = 32 << 20

// variantCache keeps the mails of the digests that are going out ready for their readers, the most recent ones. They
// never change once stored, so nothing can go stale.
type variantCache struct {
	load    func(ctx context.Context, id int64) (zonewire.Variant, error)
	prepare func(zonewire.Mail) (*Prepared, error)
	room    int // bytes

	mu    sync.Mutex
	byID  map[int64]*list.Element // of *cached
	order *list.List              // the most recent first
	used  int                     // bytes
}

type cached struct {
	id   int64
	mail *Prepared
	size int // as it was when it was asked for last: a prepared mail grows with use
}

func newVariantCache(room int, load func(ctx context.Context, id int64) (zonewire.Variant, error), prepare func(zonewire.Mail) (*Prepared, error)) *variantCache {
	return &variantCache{load: load, prepare: prepare, room: room, byID: map[int64]*list.Element{}, order: list.New()}
}

// get loads and prepares a variant at most once while it is kept. The others wait meanwhile: at the start of a digest
// all of them want the same one. A variant that cannot be sent to anyone is kept as well: composing it tells why.
func (c *variantCache) get(ctx context.Context, id int64) (*Prepared, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byID[id]
	if ok {
		c.order.MoveToFront(e)
	} else {
		v, err := c.load(ctx, id)
		if err != nil {
			return nil, err
		}
		mail, err := c.prepare(v.Mail)
		if err != nil {
			mail = &Prepared{unfit: err}
		}
		e = c.order.PushFront(&cached{id: id, mail: mail})
		c.byID[id] = e
	}
	got := e.Value.(*cached)
	size := got.mail.size()
	c.used, got.size = c.used+size-got.size, size
	for c.used > c.room && c.order.Len() > 1 {
		last := c.order.Remove(c.order.Back()).(*cached)
		delete(c.byID, last.id)
		c.used -= last.size
	}
	return got.mail, nil
}
