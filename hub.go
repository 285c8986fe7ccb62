package zonewire

import "time"

// HubMode is what a subscriber asks of a hub (WebSub section 5.1).
type HubMode string

// The modes.
const (
	HubSubscribe   HubMode = "subscribe"
	HubUnsubscribe HubMode = "unsubscribe"
)

// Callback is where a hub tells one subscriber of one feed.
type Callback struct {
	ID     int64
	Feed   string // as [FeedName] names it
	Zone   int64  // of the feed; 0 = all zones
	Topic  string // the feed's address when it was asked for
	URL    string // the subscriber's
	Host   string // of URL, lower case, with its port if it is not the scheme's own
	Secret string // signs what is sent; empty = nothing is signed. At most 199 bytes
}

// HubRequest waits for its callback to confirm that it was meant. Until then nothing changes.
type HubRequest struct {
	Callback
	Mode     HubMode
	Lease    time.Duration // asked for, within the hub's bounds
	Attempts int           // tries to verify so far
	Created  time.Time
}

// HubSubscription is a callback that is told.
type HubSubscription struct {
	Callback
	Until    time.Time // the lease's end
	Hash     string    // of the version that it took last; empty = none
	Attempts int       // deliveries that failed in a row
	Created  time.Time
}

// HubPing is a hub elsewhere that is to be told that a feed has changed.
type HubPing struct {
	Hub      string
	Topic    string
	Attempts int
}

// HubLoad is how much a hub has taken on, for its bounds.
type HubLoad struct {
	Total     int // subscriptions
	OfHost    int // of callbacks on one host
	OfFeed    int // to one feed
	Waiting   int // requests of that host that wait for verification
	NewOfHost int // subscriptions and requests of that host that began within a day
}

// Topic is a feed that may be subscribed to.
type Topic struct {
	URL  string // the one that stands in the document as rel=self
	Feed string // as [FeedName] names it
	Zone int64  // 0 = all zones
}

// FeedContent is a feed's document as it is sent to those who asked to be told.
type FeedContent struct {
	Hash  string // of the version that a subscriber has after it took this
	Type  string // Content-Type
	Links string // the Link header: self and hubs, as the feed's own answer has it
	Body  []byte
	Delta bool // only what is new since the version asked about
}
