package websub

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"zonewire"
	"zonewire/internal/outbound"
)

const (
	verifyIn  = 5 * time.Second
	maxAnswer = 4 << 10 // bytes that are read of an answer
)

// verifyAgain are the pauses before a callback that could not be asked is asked again. A person may be waiting for it, and
// who has confirmed nothing yet is not worth more.
var verifyAgain = [...]time.Duration{10 * time.Second, time.Minute}

func (h *Hub) claimRequests(ctx context.Context, now, until time.Time, limit int) ([]task, error) {
	claimed, err := h.store.ClaimHubRequests(ctx, now, until, limit)
	return tasksOf(claimed, until, func(r zonewire.HubRequest) task {
		return task{
			host:    r.Host,
			send:    func(ctx context.Context) health { return h.verify(ctx, r) },
			release: func(ctx context.Context) error { return h.store.RetryHubRequest(ctx, r.ID, h.now()) },
		}
	}), err
}

// outcome of asking a callback whether it was meant.
type outcome int

const (
	forgotten outcome = iota
	confirmed
	unclear // it could not be asked, or failed: perhaps later
)

// verify asks a callback whether it was meant (section 5.3), and lets the request take effect if so.
func (h *Hub) verify(ctx context.Context, r zonewire.HubRequest) health {
	if r.Mode == zonewire.HubSubscribe {
		ended, err := h.ended(ctx, r.Topic)
		switch {
		case err != nil:
			h.broken("hub request not verified", r.Feed, err)
			return unasked
		case ended: // since it was asked for
			shown := h.deny(ctx, r.Callback)
			h.finish(ctx, r, forgotten)
			return shown
		}
	}
	result, shown := h.challenge(ctx, r)
	h.finish(ctx, r, result)
	return shown
}

// ended reports whether a topic is no longer a feed of ours: its zone was closed, or has another address.
func (h *Hub) ended(ctx context.Context, topic string) (bool, error) {
	t, err := h.feeds.Topic(ctx, topic)
	if noFeed(err) {
		return true, nil
	}
	return err == nil && t.URL != topic, err
}

// challenge asks a callback to repeat what nobody can guess.
func (h *Hub) challenge(ctx context.Context, r zonewire.HubRequest) (outcome, health) {
	challenge := rand.Text()
	query := url.Values{"hub.mode": {string(r.Mode)}, "hub.topic": {r.Topic}, "hub.challenge": {challenge}}
	if r.Mode == zonewire.HubSubscribe {
		query.Set("hub.lease_seconds", strconv.FormatInt(int64(r.Lease/time.Second), 10))
	}
	status, body, err := h.call(ctx, r.URL, query)
	return judgeChallenge(challenge, status, body, err), healthOf(err)
}

// judgeChallenge says what an answer to a challenge means. Redirects are no answer (section 5.3): the callback is what was
// given.
func judgeChallenge(challenge string, status int, body []byte, err error) outcome {
	switch {
	case refused(err):
		return forgotten
	case err != nil, status >= 500:
		return unclear
	case status/100 == 2 && string(body) == challenge:
		return confirmed
	}
	return forgotten
}

// finish records what came of a request.
func (h *Hub) finish(ctx context.Context, r zonewire.HubRequest, result outcome) {
	ctx, cancel := recording(ctx)
	defer cancel()
	if result == unclear && r.Attempts <= len(verifyAgain) {
		next := h.now().Add(verifyAgain[max(r.Attempts, 1)-1])
		if err := h.store.RetryHubRequest(ctx, r.ID, next); err != nil {
			h.broken("hub request not put off", r.Feed, err)
		}
		return
	}
	if err := h.store.FinishHubRequest(ctx, r, result == confirmed, h.now()); err != nil {
		h.broken("hub request not finished", r.Feed, err)
		return
	}
	if result != confirmed {
		h.count.forgotten.Add(1)
		return
	}
	h.count.confirmed.Add(1)
	h.log.Info("subscriber confirmed", "mode", string(r.Mode), "feed", r.Feed, "host", r.Host)
}

// deny tells a callback that there is nothing to be told of (section 5.2). What it answers does not matter.
func (h *Hub) deny(ctx context.Context, c zonewire.Callback) health {
	_, _, err := h.call(ctx, c.URL, url.Values{"hub.mode": {"denied"}, "hub.topic": {c.Topic}, "hub.reason": {"this feed has ended"}})
	return healthOf(err)
}

// call asks a callback by GET, its own query kept as it is (section 5.1.1). An answer that does not come whole within 5
// seconds is an error; one that is longer than it may be is cut.
func (h *Hub) call(ctx context.Context, callback string, query url.Values) (status int, body []byte, err error) {
	u, err := outbound.CheckURL(callback)
	if err != nil {
		return 0, nil, err
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += query.Encode()
	ctx, cancel := context.WithTimeout(ctx, verifyIn)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("User-Agent", h.agent)
	resp, err := h.guarded.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, body, err
}
