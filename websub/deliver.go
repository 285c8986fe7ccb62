package websub

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"zonewire"
	"zonewire/internal/outbound"
)

const (
	deliverIn  = 10 * time.Second // for the whole: a document of 512 KiB over a slow line
	firstPause = 10 * time.Second
	maxPause   = 6 * time.Hour
)

// Subscriptions keeps who is told, and what of.
type Subscriptions interface {
	// ClaimHubDeliveries takes subscriptions that are to be told of a version now and that nobody else has.
	ClaimHubDeliveries(ctx context.Context, now, until time.Time, limit int) ([]zonewire.HubSubscription, error)
	// FinishHubDelivery notes the version that was taken. If the feed has moved on the subscription is due again at once.
	FinishHubDelivery(ctx context.Context, id int64, hash string, now time.Time) error
	RetryHubDelivery(ctx context.Context, id int64, next time.Time) error
	EndHubSubscription(ctx context.Context, id int64) error
	// HubTopics lists the topics that somebody is subscribed to.
	HubTopics(ctx context.Context, now time.Time) ([]string, error)
	HubSubscriptionsOf(ctx context.Context, topic string, limit int) ([]zonewire.HubSubscription, error)
	// ExpireHubSubscriptions removes those whose lease has ended, and counts them.
	ExpireHubSubscriptions(ctx context.Context, now time.Time) (int, error)
}

func (h *Hub) claimDeliveries(ctx context.Context, now, until time.Time, limit int) ([]task, error) {
	claimed, err := h.store.ClaimHubDeliveries(ctx, now, until, limit)
	return tasksOf(claimed, until, func(s zonewire.HubSubscription) task {
		return task{
			host: s.Host,
			send: func(ctx context.Context) health { return h.deliver(ctx, s) },
			// It still has the version that it had: due again at once, since its feed has moved on.
			release: func(ctx context.Context) error { return h.store.FinishHubDelivery(ctx, s.ID, s.Hash, h.now()) },
		}
	}), err
}

// deliver sends a subscriber what is new to it (section 7).
func (h *Hub) deliver(ctx context.Context, s zonewire.HubSubscription) health {
	if !h.now().Before(s.Until) {
		return unasked // its lease has ended while it waited here
	}
	doc, done := h.contents.get(ctx, s.Topic, s.Hash)
	defer done()
	switch {
	case noFeed(doc.err):
		return h.endOf(ctx, s)
	case doc.err != nil:
		if ctx.Err() == nil {
			h.broken("no document for a subscriber", s.Feed, doc.err)
		}
		return unasked
	case doc.Hash == s.Hash:
		// Nothing to tell; or another process has recorded a version that this one does not serve yet, and then it is due
		// again at once, until the next look.
		h.took(ctx, s, doc.Hash)
		return unasked
	}
	status, err := h.post(ctx, s, doc.FeedContent)
	switch {
	case err == nil && status/100 == 2:
		if h.took(ctx, s, doc.Hash) {
			h.count.delivered.Add(1)
			if doc.Delta {
				h.count.deltas.Add(1)
			}
		}
	case err == nil && status == http.StatusGone:
		h.end(ctx, s, "it wants no more")
	default:
		h.putOff(ctx, s, reasonOf(status, err))
	}
	return healthOf(err)
}

// post sends a document, signed if there is a secret. No more than a little is read of the answer, and none of it is heeded.
func (h *Hub) post(ctx context.Context, s zonewire.HubSubscription, doc zonewire.FeedContent) (status int, err error) {
	if _, err := outbound.CheckURL(s.URL); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, deliverIn)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(doc.Body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("User-Agent", h.agent)
	req.Header.Set("Content-Type", doc.Type)
	req.Header.Set("Link", doc.Links)
	if s.Secret != "" {
		req.Header.Set("X-Hub-Signature", sign(s.Secret, doc.Body))
	}
	return statusOf(h.guarded.Do(req))
}

// statusOf gives the status of an answer whose body does not matter. A little of it is read, so that the connection can be
// used again.
func statusOf(resp *http.Response, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // the status has come; whatever ails the rest is not ours
	return resp.StatusCode, nil
}

// sign makes the signature of a body (section 7.1). sha1 is not offered: everybody who signs at all knows sha256.
func sign(secret string, body []byte) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write(body)
	return "sha256=" + hex.EncodeToString(m.Sum(nil))
}

// took records that a subscriber has a version, and tells whether it is recorded.
func (h *Hub) took(ctx context.Context, s zonewire.HubSubscription, hash string) bool {
	ctx, cancel := recording(ctx)
	defer cancel()
	err := h.store.FinishHubDelivery(ctx, s.ID, hash, h.now())
	if err != nil {
		h.broken("hub delivery not recorded, it will come twice", s.Feed, err)
	}
	return err == nil
}

// end ends a subscription.
func (h *Hub) end(ctx context.Context, s zonewire.HubSubscription, reason string) {
	ctx, cancel := recording(ctx)
	defer cancel()
	if err := h.store.EndHubSubscription(ctx, s.ID); err != nil {
		h.broken("subscription not ended", s.Feed, err)
		return
	}
	h.count.ended.Add(1)
	h.log.Info("subscription ended", "feed", s.Feed, "host", s.Host, "reason", reason)
}

// putOff lets a delivery that failed wait. One that we have broken off ourselves is due at once.
func (h *Hub) putOff(ctx context.Context, s zonewire.HubSubscription, reason string) {
	pause := pauseAfter(s.Attempts+1, rand.Float64())
	if ctx.Err() != nil {
		pause = 0
	} else {
		h.count.failed.Add(1)
		if s.Attempts == 0 && h.seldom.Say("host "+s.Host, h.now()) {
			h.log.Warn("subscriber does not take what is new, and is told later", "feed", s.Feed, "host", s.Host, "reason", reason)
		}
	}
	ctx, cancel := recording(ctx)
	defer cancel()
	if err := h.store.RetryHubDelivery(ctx, s.ID, h.now().Add(pause)); err != nil {
		h.broken("hub delivery not put off", s.Feed, err)
	}
}

// pauseAfter is the time before the next try after so many failures, at least one: 10 seconds, twice as long each time, 6
// hours at most. jitter, from 0 to 1, makes it up to a fifth shorter, so that those who failed together do not come back
// together.
func pauseAfter(failures int, jitter float64) time.Duration {
	pause := maxPause
	if n := failures - 1; n < 12 { // beyond it is longer anyway
		pause = min(firstPause<<n, maxPause)
	}
	return pause - time.Duration(jitter*float64(pause/5))
}

// healthOf says what an error of a request shows of the host.
func healthOf(err error) health {
	if err == nil || refused(err) {
		return answered
	}
	return silent
}

// refused reports whether we have not asked, since we may not.
func refused(err error) bool { return errors.Is(err, outbound.ErrRefused) }

// reasonOf says in one line why a request failed, without its address.
func reasonOf(status int, err error) string {
	if err != nil {
		return outbound.Explain(err)
	}
	return "it answers " + strconv.Itoa(status)
}
