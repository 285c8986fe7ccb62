package zonewire

import "time"

// Address is a mail address in its three forms: as the person spelt it, as it is compared, and as SMTP takes it.
type Address struct {
	Given string // trimmed; mail goes to this spelling
	Key   string // lower-cased, domain in ASCII: uniqueness, suppression and limits compare it
	Wire  string // Given with its domain in ASCII
}

// SubscriptionState is where a subscription stands.
type SubscriptionState string

// The states of a subscription. Only active ones get digests.
const (
	SubPending      SubscriptionState = "pending" // not confirmed yet
	SubActive       SubscriptionState = "active"
	SubPaused       SubscriptionState = "paused"
	SubUnsubscribed SubscriptionState = "unsubscribed"
	SubBounced      SubscriptionState = "bounced"
)

// Subscriber is a person. After erasure only the number is left.
type Subscriber struct {
	ID            int64
	Email         string // as given
	Name          string
	Locale        string // empty: that of each list
	Created       time.Time
	Erased        time.Time
	Subscriptions []Subscription
}

// Subscription is a person's place on one list.
type Subscription struct {
	ID          int64
	Subscriber  int64
	ListID      int64
	List        string // slug
	State       SubscriptionState
	Zones       []string // slugs; empty = all of the list
	ZoneIDs     []int64  // sorted
	Confirmed   time.Time
	Consent     string    // which text they agreed to, from where
	PausedUntil time.Time // zero: until resumed
	Created     time.Time
	Ended       time.Time
}
