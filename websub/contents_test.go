package websub

import (
	"context"
	"testing"
	"time"

	"zonewire"
)

// oneFeed counts how often its document is made.
type oneFeed struct{ made int }

func (f *oneFeed) Topic(context.Context, string) (zonewire.Topic, error) {
	return zonewire.Topic{}, nil
}

func (f *oneFeed) Content(context.Context, string, string) (zonewire.FeedContent, error) {
	f.made++
	return zonewire.FeedContent{}, nil
}

func TestADocumentIsHeldNoLongerThanItIsUsed(t *testing.T) {
	feed := &oneFeed{}
	c := newContents(feed, func() time.Time { return begun })
	_, first := c.get(t.Context(), "a", "v1")
	_, second := c.get(t.Context(), "a", "v1")
	_, other := c.get(t.Context(), "a", "v2")
	if feed.made != 2 {
		t.Errorf("made %d times, want once for those who have v1, once for who has v2", feed.made)
	}
	first()
	c.forget()
	_, newer := c.get(t.Context(), "a", "v1")
	second() // of the one that is forgotten: the newer one stays
	if len(c.open) != 1 || feed.made != 3 {
		t.Errorf("%d held, made %d times", len(c.open), feed.made)
	}
	other()
	newer()
	if len(c.open) != 0 {
		t.Errorf("%d are held, and nobody uses them", len(c.open))
	}
}
