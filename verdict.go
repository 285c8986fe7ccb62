package zonewire

import "time"

// Verdict says whose fault it is that a mail was not taken. Only the first two ever count against a recipient.
type Verdict string

// The verdicts; the empty one means that nothing was refused.
const (
	VerdictHard    Verdict = "hard"    // the address: nobody lives there
	VerdictMailbox Verdict = "mailbox" // the recipient's mailbox: full, disabled, suspended
	VerdictPolicy  Verdict = "policy"  // ours: content, reputation, authentication, a block list
	VerdictRate    Verdict = "rate"    // ours: too much, too fast
	VerdictNetwork Verdict = "network" // nobody's, or nobody knows: no answer, no route, a server out of order
)

// Judgement is what a refusal means.
type Judgement struct {
	Verdict Verdict
	// Sure means that code and text agree on the address: one such refusal is enough. Only for VerdictHard.
	Sure bool
	// Wait is how long the server asked to wait; 0 if it did not.
	Wait time.Duration
}

// BounceKind says what a returned mail is.
type BounceKind string

// The kinds of returned mail.
const (
	BounceReport    BounceKind = "bounce"    // a mail of ours did not arrive
	BounceComplaint BounceKind = "complaint" // someone called it spam
	BounceAuto      BounceKind = "auto"      // an automatic reply: an absence, a receipt, a delay
	BounceDelivered BounceKind = "delivered" // a report of success
	BounceLeave     BounceKind = "leave"     // a person asks to leave the list
	BounceUnknown   BounceKind = "unknown"   // kept for a person to read
)

// BounceKinds lists every kind.
func BounceKinds() []BounceKind {
	return []BounceKind{BounceReport, BounceComplaint, BounceAuto, BounceDelivered, BounceLeave, BounceUnknown}
}

// Bounce is a returned mail as it was understood.
type Bounce struct {
	Kind       BounceKind
	Judgement  Judgement
	Recipients []string // addresses that it names, as written there
	Status     string   // RFC 3463 code, such as 5.1.1
	Code       int      // SMTP reply code
	Text       string   // the server's words, one line
	Reason     string   // the same without any address

	// What it is about, by the strongest of the signs that it carries; all zero if none was found.
	Job          JobRef
	Subscription int64 // of the address that a mail asking to leave was sent to

	Hash string // of its bytes: the same mail twice is one
	Raw  []byte // the whole, at most a few hundred kilobytes; kept only while nobody understands it
}

// JobRef names a mail of ours.
type JobRef struct {
	Kind JobKind
	ID   int64 // of the delivery or the notice; 0 = none
}

// BounceRecord is a returned mail as it was stored, with what it did.
type BounceRecord struct {
	ID         int64
	Received   time.Time
	Kind       BounceKind
	Verdict    Verdict
	Recipients []string
	Status     string
	Code       int
	Text       string
	Delivery   int64  // 0 if it is about none, or nobody knows
	Subscriber int64  // likewise
	Effect     string // "suppressed", "paused", "unsubscribed", "strike", "frozen", or empty
	Raw        []byte
}

// Suppression is an address that gets no mail. Only its keyed hash is kept, so that it outlives the person's erasure.
type Suppression struct {
	Hash    string
	Reason  string
	Created time.Time
	// Subscriber has the address now; 0 if nobody does.
	Subscriber int64
	Email      string
}
