package websub

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"zonewire"
	"zonewire/internal/trouble"
)

const (
	tidyEvery = time.Minute
	denyAtOne = 8    // callbacks told at a time that their feed has ended
	denyBatch = 1000 // of one topic in one round
)

// tidy ends what has had its time, every minute until ctx ends.
func (h *Hub) tidy(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	tidying := trouble.New(h.log, "ended subscriptions stay", "ended subscriptions go again")
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := h.tidyUp(ctx); ctx.Err() == nil {
			tidying.Is(err)
		}
	}
}

// tidyUp removes subscriptions whose lease has ended, and ends those of feeds that are no more.
func (h *Hub) tidyUp(ctx context.Context) error {
	now := h.now()
	n, err := h.store.ExpireHubSubscriptions(ctx, now)
	if err != nil {
		return err
	}
	if n > 0 {
		h.log.Info("leases ended", "subscriptions", n)
	}
	topics, err := h.store.HubTopics(ctx, now)
	if err != nil {
		return err
	}
	for _, topic := range topics {
		ended, err := h.ended(ctx, topic)
		if err == nil && ended {
			err = h.endTopic(ctx, topic)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// endTopic ends the subscriptions to a topic that is no more. What several processes end may be told by each.
func (h *Hub) endTopic(ctx context.Context, topic string) error {
	subs, err := h.store.HubSubscriptionsOf(ctx, topic, denyBatch)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(denyAtOne)
	for _, s := range subs {
		g.Go(func() error {
			h.endOf(ctx, s)
			return nil
		})
	}
	return g.Wait()
}

// endOf tells a subscriber that its feed is no more, and ends its subscription, whether it answers or not.
func (h *Hub) endOf(ctx context.Context, s zonewire.HubSubscription) health {
	shown := h.deny(ctx, s.Callback)
	if ctx.Err() == nil { // else we have broken it off, and it is told later
		h.end(ctx, s, "its feed has ended")
	}
	return shown
}
