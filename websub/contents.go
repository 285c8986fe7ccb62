package websub

import (
	"context"
	"sync"
	"time"

	"zonewire"
)

const (
	shareFor  = time.Second      // a document is given to others no longer than that: the feed may have moved on
	contentIn = 10 * time.Second // to make one
)

// contents makes each document once for all who are sent the same at the same time, and holds it no longer than they need it.
type contents struct {
	feeds Feeds
	now   func() time.Time

	mu   sync.Mutex
	open map[contentKey]*content
}

type contentKey struct{ topic, have string }

// content is a document in use.
type content struct {
	once  sync.Once
	made  time.Time
	users int // under the lock of contents
	zonewire.FeedContent
	err error
}

func newContents(feeds Feeds, now func() time.Time) *contents {
	return &contents{feeds: feeds, now: now, open: map[contentKey]*content{}}
}

// get gives what is new of a topic since the version with the hash have. done must be called when it is no longer used.
func (c *contents) get(ctx context.Context, topic, have string) (doc *content, done func()) {
	key := contentKey{topic, have}
	now := c.now()
	c.mu.Lock()
	doc = c.open[key]
	if doc == nil || now.Sub(doc.made) >= shareFor {
		doc = &content{made: now}
		c.open[key] = doc
	}
	doc.users++
	c.mu.Unlock()
	doc.once.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, contentIn)
		defer cancel()
		doc.FeedContent, doc.err = c.feeds.Content(ctx, topic, have)
	})
	return doc, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if doc.users--; doc.users == 0 && c.open[key] == doc {
			delete(c.open, key)
		}
	}
}

// forget lets nobody else have the documents that are in use: there are newer ones.
func (c *contents) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.open)
}
