// Package websub tells subscribers of a feed, and hubs elsewhere, that it has changed (W3C WebSub).
//
// The policy of the hub:
//
//   - It serves our own feeds only, each by the address that stands in it as rel=self. Nobody publishes to it: whoever
//     records a new version of a feed makes its subscribers due in the same transaction, and calls [Hub.Wake].
//   - Whoever asks gets 202 first; then the callback is asked whether it was meant (section 5.3). Only 2xx with exactly the
//     challenge counts. A callback that cannot be reached, or fails with 5xx, is asked three times in all; any other answer
//     ends the matter. Nothing changes before: neither a renewal nor the end of a subscription.
//   - Leases are 10 days unless another time is asked for, a minute to 30 days; none is endless.
//   - What is sent is what has come since the version that the subscriber took last, however many versions that is: one
//     delivery. It is signed with sha256 if there is a secret. Only 2xx means taken; 410 ends the subscription; all else is
//     tried again after 10 seconds, then twice as long each time up to 6 hours, until the lease ends.
//   - A feed that is no more is told of by hub.mode=denied, once, and its subscriptions end.
//   - No redirect is followed, no private address is reached (see internal/outbound), nothing is asked of our own address,
//     and little is read of any answer.
//   - No host has more than two requests at a time, so a slow one holds nobody up; one that does not answer three times in
//     a row is left alone for a minute.
//   - All that waits is in the store, under claims that outlast every timeout: what a crash or a failing store leaves comes
//     again when its claim ends. Several processes may work on one store. A delivery may come twice, never not at all.
//
// Hubs elsewhere are the operator's word: they may be at private addresses. Each is told that a feed has changed, and asked
// again with the same growing pauses for about a day.
package websub

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"zonewire"
	"zonewire/internal/outbound"
	"zonewire/internal/trouble"
)

// Store keeps subscriptions and what is to be sent.
type Store interface {
	Requests
	Subscriptions
	Pings
}

// Feeds gives what is subscribed to.
type Feeds interface {
	// Topic finds the feed at an address. [zonewire.ErrNotFound] or [zonewire.ErrGone] if it is no feed of ours, or no longer.
	Topic(ctx context.Context, url string) (zonewire.Topic, error)
	// Content gives a feed's document, or only what is new since the version with the hash have. It fails as Topic does.
	Content(ctx context.Context, topic, have string) (zonewire.FeedContent, error)
}

// Options of a hub.
type Options struct {
	HubURL       string           // where the hub is
	BaseURL      string           // of the site: callbacks there are refused, and it is named to those who are asked
	DisableHub   bool             // hubs elsewhere are told, and nobody else: nothing is asked of the store for subscribers
	AllowPrivate bool             // callbacks may be at private addresses; for tests
	Log          *slog.Logger     // nil = slog.Default()
	Now          func() time.Time // nil = time.Now
	Resolver     *net.Resolver    // nil = the system's
	Version      string           // of the program, for the User-Agent
}

// Hub is the hub, and the publisher that tells hubs elsewhere. It serves requests at once; the rest is done while
// [Hub.Run] runs.
type Hub struct {
	store    Store
	feeds    Feeds
	contents *contents
	options  Options
	log      *slog.Logger
	now      func() time.Time
	own      []string // hosts with ports that are ours
	agent    string
	guarded  *http.Client // for callbacks
	trusted  *http.Client // for hubs that the operator has named
	count    counters
	seldom   trouble.Seldom

	verifying, delivering, pinging *pool
}

// New makes a hub. Nothing happens before it is asked, or run.
func New(st Store, feeds Feeds, o Options) *Hub {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Hub{
		store: st, feeds: feeds, options: o, log: o.Log, now: o.Now, own: hostsOf(o.BaseURL, o.HubURL),
		contents: newContents(feeds, o.Now),
		agent:    "zonewire/" + cmp.Or(o.Version, "dev") + " (+" + o.BaseURL + ")",
		guarded:  client(outbound.Options{AllowPrivate: o.AllowPrivate, AllowedBy: "websub.allow_private", Resolver: o.Resolver}),
		trusted:  client(outbound.Options{AllowPrivate: true, Resolver: o.Resolver}),
	}
	h.verifying = newPool(trouble.New(o.Log, "subscribers cannot be verified, and wait", "subscribers are verified again"), 8, h.claimRequests, o.Log, o.Now)
	h.delivering = newPool(trouble.New(o.Log, "subscribers cannot be told, and wait", "subscribers are told again"), 32, h.claimDeliveries, o.Log, o.Now)
	h.pinging = newPool(trouble.New(o.Log, "hubs cannot be told, and wait", "hubs are told again"), 4, h.claimPings, o.Log, o.Now)
	return h
}

// client is one that follows nothing: a redirect could lead a POST anywhere, and a subscriber says itself where it is.
func client(o outbound.Options) *http.Client {
	c := outbound.Client(o)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// hostsOf gives the hosts of addresses as [hostOf] does, leaving out what is no address.
func hostsOf(addresses ...string) (hosts []string) {
	for _, a := range addresses {
		if u, err := url.Parse(a); err == nil && u.Host != "" {
			hosts = append(hosts, hostOf(u))
		}
	}
	return hosts
}

// hostOf is the host of an address as it is counted by: lower case, with its port if it is not the scheme's own.
func hostOf(u *url.URL) string {
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	port := u.Port()
	if port == "" || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		if strings.Contains(name, ":") {
			return "[" + name + "]"
		}
		return name
	}
	return net.JoinHostPort(name, port)
}

// Run verifies, delivers and tells hubs elsewhere until ctx ends. Then what is under way is finished, or broken off after
// five seconds and left to be done again, what was not begun is given back, and Run returns nil. A store that fails is
// waited for.
func (h *Hub) Run(ctx context.Context) error {
	loops := []func(context.Context){h.pinging.run}
	if !h.options.DisableHub {
		loops = append(loops, h.verifying.run, h.delivering.run, h.tidy)
	}
	var running sync.WaitGroup
	for _, loop := range loops {
		running.Go(func() { loop(ctx) })
	}
	running.Wait()
	h.guarded.CloseIdleConnections()
	h.trusted.CloseIdleConnections()
	return nil
}

// Wake says that a version of a feed was recorded. It does not block.
func (h *Hub) Wake() {
	h.contents.forget()
	h.delivering.look()
	h.pinging.look()
}

// Stats counts what a hub has done since it was made.
type Stats struct {
	Accepted  int64 // requests taken in, to be verified
	Refused   int64 // requests answered with an error
	Confirmed int64 // requests that their callback confirmed
	Forgotten int64 // requests that it did not
	Delivered int64 // deliveries taken by a subscriber
	Deltas    int64 // of them, those with only what was new
	Failed    int64 // deliveries that are tried again
	Ended     int64 // subscriptions that their subscriber or the end of a feed has ended
	Pinged    int64 // hubs elsewhere told of a change
	Unpinged  int64 // tries to tell one that failed
	Waiting   int64 // requests at hand that wait to be verified; not a count
}

// counters are [Stats] as they grow.
type counters struct {
	accepted, refused, confirmed, forgotten, delivered, deltas, failed, ended, pinged, unpinged atomic.Int64
}

// Stats tells what was done so far.
func (h *Hub) Stats() Stats {
	c := &h.count
	return Stats{
		Accepted: c.accepted.Load(), Refused: c.refused.Load(), Confirmed: c.confirmed.Load(), Forgotten: c.forgotten.Load(),
		Delivered: c.delivered.Load(), Deltas: c.deltas.Load(), Failed: c.failed.Load(), Ended: c.ended.Load(),
		Pinged: c.pinged.Load(), Unpinged: c.unpinged.Load(), Waiting: h.verifying.held.Load(),
	}
}

// broken logs a failure of ours at what is to be done for a feed. Its claim runs out, and it comes again.
func (h *Hub) broken(what, feed string, err error) {
	if h.seldom.Fails(what, err, h.now()) {
		h.log.Error(what, "feed", feed, "err", err)
	}
}

// noFeed reports whether an error of [Feeds] means that there is no such feed, and not that something failed.
func noFeed(err error) bool {
	return errors.Is(err, zonewire.ErrNotFound) || errors.Is(err, zonewire.ErrGone)
}
