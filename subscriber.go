package zonewire

import "time"

// Address is a mail address in its three forms: as the person spelt it, as it is compared, and as SMTP takes it.
type Address struct {
	Given    string // trimmed; mail goes to this spelling
	Key      string // lower-cased, domain in ASCII: uniqueness, suppression and limits compare it
	Wire     string // Given with its domain in ASCII
	Provider string // whose mailbox it is, as package provider names it
	Hash     string // keyed hash of Key, see [Secret.AddressHash]; empty where none is needed
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
	Reason      string   // why it is not active, beyond its state
	Zones       []string // slugs; empty = all of the list
	ZoneIDs     []int64  // sorted
	Confirmed   time.Time
	Consent     string    // which text they agreed to, from where
	PausedUntil time.Time // zero: until resumed
	SwitchTo    string    // slug of the list to which it moves after the next digest; empty: it stays
	Created     time.Time
	Ended       time.Time
}

// NewSubscription asks for a place on a list.
type NewSubscription struct {
	Address   Address
	Name      string
	Locale    string // empty: that of the list
	List      string // slug
	Zones     []string
	Confirmed bool // active at once; Consent says on what ground
	Consent   string
	// Force brings back someone who left, bounced or complained, or whose address is suppressed: it says why that is
	// right, and is kept in the audit. Only with Confirmed.
	Force string
	// Letters composes the mail that asks to confirm a place that is not Confirmed, which the outbox sends. nil asks nobody.
	Letters Letters
}

// SubscribeResult is what asking for a place on a list did.
type SubscribeResult string

// The results of asking for a place on a list.
const (
	SubscribeAdded     SubscribeResult = "added"
	SubscribeConfirmed SubscribeResult = "confirmed" // it was pending
	SubscribeUnchanged SubscribeResult = "unchanged"
	SubscribeRevived   SubscribeResult = "revived" // by force
	// SubscribeRefused means that the person left, bounced or complained: nobody else brings them back.
	SubscribeRefused SubscribeResult = "refused"
)

// SubscriberQuery selects subscribers, by id.
type SubscriberQuery struct {
	List  string            // slug; empty = any
	State SubscriptionState // empty = any
	After int64             // ids after this one, for paging
	Limit int               // 0 = no limit
}
