package websub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"zonewire"
)

const formType = "application/x-www-form-urlencoded"

// page is what a person sees who opens the hub's address.
const page = `This is a WebSub hub (https://www.w3.org/TR/websub/). It tells subscribers at once when a feed of this site has changed.

To subscribe, send a POST with the form fields hub.mode=subscribe, hub.callback and hub.topic, which is the address that stands
in the feed as rel="self". hub.lease_seconds and hub.secret are optional. A feed reader does this by itself.
`

// Requests keeps what callbacks are said to want, until they have confirmed it.
type Requests interface {
	// HubLoad tells how much is taken on already.
	HubLoad(ctx context.Context, host, feed string, now time.Time) (zonewire.HubLoad, error)
	// AddHubRequest notes a request, to be verified at once. It replaces an earlier one of the same callback and topic.
	AddHubRequest(ctx context.Context, r zonewire.HubRequest, now time.Time) error
	// ClaimHubRequests takes requests that are due and that nobody else has. Attempts counts this try.
	ClaimHubRequests(ctx context.Context, now, until time.Time, limit int) ([]zonewire.HubRequest, error)
	// FinishHubRequest lets a request take effect, or forgets it. A newer one of the same callback stays.
	FinishHubRequest(ctx context.Context, r zonewire.HubRequest, confirmed bool, now time.Time) error
	RetryHubRequest(ctx context.Context, id int64, next time.Time) error
}

// ServeHTTP takes requests in (section 5.1): 202 and nothing else if what they ask is to be verified, an error in one line of
// text if not. A GET says what this is.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if h.options.DisableHub {
		http.Error(w, "there is no hub here", http.StatusNotFound)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		io.WriteString(w, page)
		return
	case http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "a hub is asked by POST", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	err := h.accept(w, r)
	if err != nil {
		h.refuse(w, err)
		return
	}
	h.count.accepted.Add(1)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
	// The answer goes out before the callback is asked: a subscriber may answer one request at a time. Where it cannot be
	// flushed it follows in a moment.
	_ = http.NewResponseController(w).Flush()
	h.verifying.look()
}

// accept reads a request and notes what it asks. The error is *refusal, or a failure of ours.
func (h *Hub) accept(w http.ResponseWriter, r *http.Request) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != formType {
		w.Header().Set("Accept", formType) // RFC 9110 section 15.5.16
		return &refusal{status: http.StatusUnsupportedMediaType, text: "send a form: " + formType}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &refusal{status: http.StatusRequestEntityTooLarge, text: fmt.Sprintf("the form has more than %d bytes", maxBody)}
	case err != nil:
		return &refusal{status: http.StatusBadRequest, text: "the form broke off"}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return &refusal{status: http.StatusBadRequest, text: "the form is not encoded as one"}
	}
	a, err := parse(form, h.own)
	if err != nil {
		return &refusal{status: http.StatusBadRequest, text: err.Error()}
	}
	topic, err := h.feeds.Topic(r.Context(), a.topic)
	switch {
	case err != nil && !noFeed(err):
		return err
	case errors.Is(err, zonewire.ErrGone):
		return &refusal{status: http.StatusBadRequest, text: "hub.topic is a feed that has ended"}
	case err != nil:
		return &refusal{status: http.StatusBadRequest, text: "hub.topic is no feed of this site"}
	case topic.URL != a.topic: // what is delivered and verified names the topic exactly as it was asked for
		return &refusal{status: http.StatusBadRequest, text: "hub.topic must be exactly what stands in the feed as rel=self: " + topic.URL}
	}
	return h.note(r.Context(), a, topic)
}

// note stores a request, if there is room for it.
func (h *Hub) note(ctx context.Context, a ask, topic zonewire.Topic) error {
	now := h.now()
	load, err := h.store.HubLoad(ctx, a.host, topic.Feed, now)
	if err != nil {
		return err
	}
	if no := busy(load, h.verifying.held.Load()); no != nil {
		return no
	}
	if no := full(load); no != nil && a.mode == zonewire.HubSubscribe {
		known, err := h.subscribed(ctx, a)
		if err != nil {
			return err
		}
		if !known { // a renewal adds nothing
			return no
		}
	}
	return h.store.AddHubRequest(ctx, zonewire.HubRequest{
		Callback: zonewire.Callback{Feed: topic.Feed, Zone: topic.Zone, Topic: topic.URL, URL: a.callback, Host: a.host, Secret: a.secret},
		Mode:     a.mode, Lease: a.lease, Created: now,
	}, now)
}

// subscribed reports whether a callback is told of a topic already. It is asked only when the hub is full.
func (h *Hub) subscribed(ctx context.Context, a ask) (bool, error) {
	all, err := h.store.HubSubscriptionsOf(ctx, a.topic, maxOfFeed)
	for _, s := range all {
		if s.URL == a.callback {
			return true, err
		}
	}
	return false, err
}

// refuse answers a request that is not taken in.
func (h *Hub) refuse(w http.ResponseWriter, err error) {
	var no *refusal
	if !errors.As(err, &no) {
		if h.seldom.Fails("hub request not stored", err, h.now()) {
			h.log.Error("hub request not stored", "err", err)
		}
		no = &refusal{status: http.StatusServiceUnavailable, wait: soon, text: "this failed here; try again later"}
	}
	h.count.refused.Add(1)
	if no.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(no.wait.Seconds())))
	}
	http.Error(w, no.text, no.status)
}
