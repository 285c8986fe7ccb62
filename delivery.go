package zonewire

import (
	"strconv"
	"time"
)

// DeliveryState is where one mail to one recipient stands. The numbers are stored: never reorder them.
type DeliveryState int

// The states of a delivery. The first three are open, the others are final.
const (
	Pending DeliveryState = iota
	Leased
	Deferred
	Accepted
	Rejected
	Uncertain
	Suppressed
	Cancelled
	Empty
	Expired
)

var stateNames = [...]string{"pending", "leased", "deferred", "accepted", "rejected", "uncertain", "suppressed", "cancelled", "empty", "expired"}

func (s DeliveryState) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return "state " + strconv.Itoa(int(s))
	}
	return stateNames[s]
}

// Open reports whether a delivery in this state may still be sent.
func (s DeliveryState) Open() bool { return s <= Deferred }

// ParseDeliveryState reads a state's name.
func ParseDeliveryState(name string) (DeliveryState, error) {
	for i, n := range stateNames {
		if n == name {
			return DeliveryState(i), nil
		}
	}
	return 0, Invalidf("delivery state %q is none of pending, leased, deferred, accepted, rejected, uncertain, suppressed, cancelled, empty, expired", name)
}

// DeliveryStates lists every state in order.
func DeliveryStates() []DeliveryState {
	all := make([]DeliveryState, len(stateNames))
	for i := range all {
		all[i] = DeliveryState(i)
	}
	return all
}

// Counts is how many deliveries stand in each state.
type Counts [len(stateNames)]int

// Sum is the number of deliveries counted.
func (c Counts) Sum() int {
	n := 0
	for _, v := range c {
		n += v
	}
	return n
}

// Open is how many may still be sent.
func (c Counts) Open() int { return c[Pending] + c[Leased] + c[Deferred] }

// Job is a mail that a worker has claimed: a delivery of a digest, or a notice.
type Job struct {
	Kind       JobKind
	ID         int64 // of the delivery or the notice
	Claim      int64 // fences every later write
	Digest     int64 // 0 for a notice
	Slot       time.Time
	ListID     int64
	Subscriber int64
	// Subscription is what the mail's leave link ends; 0 for a notice.
	Subscription int64
	Variant      int64 // the mail to send; 0 for a notice, whose mail is in Mail
	Mail         *Mail
	Email        string // as the person spelt it
	Provider     string // of the mailbox, as package provider names it
	Troubled     bool   // the provider's acceptances matter: see [Provider.Troubled]
	Attempts     int    // begun before this one
	Losses       int    // how often the reply was lost
}

// Claim is what a worker was given to send.
type Claim struct {
	Jobs []Job
	// FreeAt is when the first provider that is held back may be sent to again; zero if none holds anything back.
	FreeAt time.Time
}

// JobKind tells digests from notices.
type JobKind int

// The kinds of jobs. Notices go first.
const (
	DigestJob JobKind = iota
	NoticeJob
)

// Ref names the mail.
func (j Job) Ref() JobRef { return JobRef{j.Kind, j.ID} }

// Outcome is what became of one attempt.
type Outcome struct {
	State    DeliveryState // Accepted, Rejected, Deferred, Uncertain, Expired, Cancelled
	Next     time.Time     // when to try again, for Deferred
	Code     int           // SMTP reply code, 0 if there was none
	Enhanced string        // RFC 3463 code, such as 5.1.1
	Reply    string        // the server's text, or what failed
	Lost     bool          // the reply to the final dot was lost: nobody knows
	Verdict  Verdict       // whose fault it was; empty if it was taken
	Sure     bool          // see [Judgement]
}

// Delivery is a delivery as an operator sees it.
type Delivery struct {
	ID         int64
	Digest     int64
	Subscriber int64
	Email      string // empty after erasure
	Provider   string
	State      DeliveryState
	Verdict    Verdict // of the last refusal
	Reason     string
	Attempts   int
	Next       time.Time
	Done       time.Time
	Code       int
	Enhanced   string
	Reply      string
}

// UncertainPolicy says what becomes of a mail whose reply was lost after the final dot.
type UncertainPolicy string

// The policies.
const (
	Resend UncertainPolicy = "resend" // send the same message again, at most [MaxLosses] times
	Hold   UncertainPolicy = "hold"   // close it as uncertain: a person decides
)

// MaxLosses is after how many lost replies a delivery closes as uncertain.
const MaxLosses = 5

// GiveUpAfter is how long after its slot a delivery is tried.
const GiveUpAfter = 48 * time.Hour
