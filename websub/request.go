package websub

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"zonewire"
	"zonewire/internal/outbound"
)

const (
	maxBody     = 16 << 10 // bytes of a request: a callback, a topic and a secret, each percent-encoded, and to spare
	maxCallback = 2048     // bytes; what browsers and proxies take for sure
	maxSecret   = 199      // bytes: "less than 200" (section 5.1)
	leaseFor    = 10 * 24 * time.Hour
	minLease    = time.Minute // for tests of subscribers; a shorter one would end before it is verified
	maxLease    = 30 * 24 * time.Hour
)

// What a hub takes on. Every subscription must be confirmed by its callback, so these bound what strangers with servers of
// their own can make us store and send.
const (
	maxWaiting   = 1000   // requests at hand, before one more is taken in: half an hour's work if nobody answers
	maxOfWaiting = 100    // of one host: verified two at a time, they take a moment, or show that nobody is there
	maxNewOfHost = 3000   // of one host in a day: a service may take every zone's feed in one format
	maxOfHost    = 10_000 // of one host: every zone's feed in three formats, and to spare
	maxOfFeed    = 10_000 // to one feed: told in a few minutes even if each takes a second
	maxOfAll     = 100_000
	soon         = time.Minute // Retry-After where what waits will be done by then
	later        = time.Hour   // Retry-After where room comes only as leases end
)

// ask is what a request says, apart from whether its topic is ours.
type ask struct {
	mode     zonewire.HubMode
	callback string
	host     string // of the callback
	topic    string
	secret   string
	lease    time.Duration
}

// parse reads the form of a request (section 5.1). Unknown parameters are ignored, of a repeated one the first counts. own
// are the hosts that are ours. The error is [zonewire.ErrInvalid], in one line for whoever wrote the subscriber.
func parse(form url.Values, own []string) (ask, error) {
	a := ask{
		mode:     zonewire.HubMode(form.Get("hub.mode")),
		callback: strings.TrimSpace(form.Get("hub.callback")),
		topic:    strings.TrimSpace(form.Get("hub.topic")),
		secret:   form.Get("hub.secret"),
	}
	switch a.mode {
	case zonewire.HubSubscribe, zonewire.HubUnsubscribe:
	case "":
		return ask{}, zonewire.Invalidf("hub.mode is missing: use subscribe or unsubscribe")
	case "publish":
		// A 204 would let a publisher elsewhere believe that we tell its subscribers.
		return ask{}, zonewire.Invalidf("this hub serves the feeds of this site only, which tell it themselves when they change")
	default:
		return ask{}, zonewire.Invalidf("hub.mode is neither subscribe nor unsubscribe")
	}
	if a.topic == "" {
		return ask{}, zonewire.Invalidf("hub.topic is missing")
	}
	var err error
	if a.host, err = callbackHost(a.callback, own); err != nil {
		return ask{}, err
	}
	switch {
	case len(a.secret) > maxSecret:
		return ask{}, zonewire.Invalidf("hub.secret has %d bytes: it must have less than 200", len(a.secret))
	case !isText(a.secret):
		return ask{}, zonewire.Invalidf("hub.secret is not UTF-8 text")
	case !isText(a.topic):
		return ask{}, zonewire.Invalidf("hub.topic is not UTF-8 text")
	}
	if a.mode == zonewire.HubSubscribe { // else it is to be ignored (section 5.1)
		if a.lease, err = leaseOf(form.Get("hub.lease_seconds")); err != nil {
			return ask{}, err
		}
	}
	return a, nil
}

// isText reports whether every database can store s: PostgreSQL takes neither bad UTF-8 nor NUL.
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// callbackHost judges where a subscriber wants to be told, and gives its host as it is counted by.
func callbackHost(callback string, own []string) (string, error) {
	switch {
	case callback == "":
		return "", zonewire.Invalidf("hub.callback is missing")
	case len(callback) > maxCallback:
		return "", zonewire.Invalidf("hub.callback has %d bytes: it may have %d", len(callback), maxCallback)
	case !isText(callback):
		return "", zonewire.Invalidf("hub.callback is not UTF-8 text")
	case strings.Contains(callback, "#"):
		return "", zonewire.Invalidf("hub.callback has a fragment, which no server is ever sent")
	}
	u, err := outbound.CheckURL(callback)
	if err != nil {
		return "", zonewire.Invalidf("hub.callback may not be asked: %s", err)
	}
	host := hostOf(u)
	if slices.Contains(own, host) {
		return "", zonewire.Invalidf("hub.callback is at this site")
	}
	return host, nil
}

// leaseOf reads how long a subscriber wants to be told: what it says, within our bounds. Nothing, or 0, which some send for
// "as you like", is the usual time.
func leaseOf(seconds string) (time.Duration, error) {
	if seconds = strings.TrimSpace(seconds); seconds == "" {
		return leaseFor, nil
	}
	n, err := strconv.ParseUint(seconds, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return maxLease, nil
	case err != nil:
		return 0, zonewire.Invalidf("hub.lease_seconds is no number of seconds")
	case n == 0:
		return leaseFor, nil
	case n > uint64(maxLease/time.Second):
		return maxLease, nil
	}
	return max(time.Duration(n)*time.Second, minLease), nil
}

// refusal is the answer to a request that is not taken in.
type refusal struct {
	status int
	wait   time.Duration // for Retry-After; 0 = none
	text   string
}

func (r *refusal) Error() string { return r.text }

// busy judges the bounds on requests that wait, which hold for every request. nil means that there is room.
func busy(l zonewire.HubLoad, atHand int64) *refusal {
	switch {
	case l.Waiting >= maxOfWaiting:
		return &refusal{http.StatusTooManyRequests, soon, "too many requests of this host wait to be verified"}
	case atHand >= maxWaiting:
		return &refusal{http.StatusServiceUnavailable, soon, "too many requests wait to be verified"}
	}
	return nil
}

// full judges the bounds on new subscriptions. nil means that there is room.
func full(l zonewire.HubLoad) *refusal {
	switch {
	case l.NewOfHost >= maxNewOfHost:
		return &refusal{http.StatusTooManyRequests, later, "too many new subscriptions of this host today"}
	case l.OfHost >= maxOfHost:
		return &refusal{http.StatusTooManyRequests, later, "this host has all the subscriptions that one may have"}
	case l.OfFeed >= maxOfFeed:
		return &refusal{http.StatusServiceUnavailable, later, "this feed has all the subscribers that it can have"}
	case l.Total >= maxOfAll:
		return &refusal{http.StatusServiceUnavailable, later, "the hub has all the subscribers that it can have"}
	}
	return nil
}
