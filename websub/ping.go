package websub

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"zonewire"
	"zonewire/internal/outbound"
)

const (
	pingIn    = 5 * time.Second
	pingTries = 15 // with the pauses of [pauseAfter] that is a day
)

// Pings keeps which hubs elsewhere are to be told of what.
type Pings interface {
	// ClaimHubPings takes hubs that are to be told now and that nobody else tells. Attempts counts this try.
	ClaimHubPings(ctx context.Context, now, until time.Time, limit int) ([]zonewire.HubPing, error)
	// FinishHubPing notes that a hub was told. If the feed has changed meanwhile it is to be told again at once.
	FinishHubPing(ctx context.Context, p zonewire.HubPing, now time.Time) error
	RetryHubPing(ctx context.Context, p zonewire.HubPing, next time.Time) error
	DropHubPing(ctx context.Context, p zonewire.HubPing) error
}

func (h *Hub) claimPings(ctx context.Context, now, until time.Time, limit int) ([]task, error) {
	claimed, err := h.store.ClaimHubPings(ctx, now, until, limit)
	return tasksOf(claimed, until, func(p zonewire.HubPing) task {
		return task{
			host:    hubHost(p.Hub),
			send:    func(ctx context.Context) health { return h.ping(ctx, p) },
			skip:    func(ctx context.Context) health { return h.skipPing(ctx, p) },
			release: func(ctx context.Context) error { return h.store.RetryHubPing(ctx, p, h.now()) },
		}
	}), err
}

// hubHost is all that the log hears of a hub's address, which may hold a key.
func hubHost(hub string) string { return strings.Join(hostsOf(hub), "") }

// ping tells a hub elsewhere that a feed has changed; it fetches the feed itself. How is not standardised (section 6): Google's
// hub and Superfeedr read hub.url, Switchboard hub.topic.
func (h *Hub) ping(ctx context.Context, p zonewire.HubPing) health {
	status, err := h.tell(ctx, p)
	if err != nil || status/100 != 2 {
		h.putOffPing(ctx, p, refused(err), reasonOf(status, err))
		return healthOf(err)
	}
	h.count.pinged.Add(1)
	ctx, cancel := recording(ctx)
	defer cancel()
	h.noted(p, h.store.FinishHubPing(ctx, p, h.now()))
	return answered
}

// skipPing puts off a ping to a hub that has not answered others. It counts as a try, as the claim has counted it.
func (h *Hub) skipPing(ctx context.Context, p zonewire.HubPing) health {
	h.putOffPing(ctx, p, false, "it does not answer")
	return unasked
}

// putOffPing lets a ping wait, or drops it: at once if it is hopeless, else after a day.
func (h *Hub) putOffPing(ctx context.Context, p zonewire.HubPing, hopeless bool, reason string) {
	h.count.unpinged.Add(1)
	ctx, cancel := recording(ctx)
	defer cancel()
	now := h.now()
	if !hopeless && p.Attempts < pingTries {
		h.noted(p, h.store.RetryHubPing(ctx, p, now.Add(pauseAfter(p.Attempts, rand.Float64()))))
		return
	}
	if host := hubHost(p.Hub); h.seldom.Say("hub "+host, now) {
		h.log.Error("hub given up: it was not told that feeds have changed", "hub", host, "reason", reason)
	}
	h.noted(p, h.store.DropHubPing(ctx, p))
}

// noted logs that what became of a ping is not recorded.
func (h *Hub) noted(p zonewire.HubPing, err error) {
	if err != nil && h.seldom.Fails("what a hub was told is not recorded", err, h.now()) {
		h.log.Error("what a hub was told is not recorded", "hub", hubHost(p.Hub), "err", err)
	}
}

// tell makes the request of a ping.
func (h *Hub) tell(ctx context.Context, p zonewire.HubPing) (status int, err error) {
	if _, err := outbound.CheckURL(p.Hub); err != nil {
		return 0, err
	}
	form := url.Values{"hub.mode": {"publish"}, "hub.url": {p.Topic}, "hub.topic": {p.Topic}}
	ctx, cancel := context.WithTimeout(ctx, pingIn)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Hub, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("User-Agent", h.agent)
	req.Header.Set("Content-Type", formType)
	return statusOf(h.trusted.Do(req))
}
