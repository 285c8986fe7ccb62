package zonewire

import "time"

// Planning answers what the store asks while it plans a digest inside one transaction: when the list is due, and what
// goes into the slot. It is pure, so a transaction may be run again.
type Planning interface {
	// Slots gives the slot that a due list is planned for, which is the latest one not after now, and the one that
	// follows it, zero when there is none. It fails with [ErrInvalid] when the list's schedule or time zone cannot be
	// read; the other lists are planned all the same.
	Slots(l List, now time.Time) (slot, following time.Time, err error)

	// Plan decides what a slot becomes. Without items there is nothing new: the slot is skipped.
	Plan(r PlanRequest) (Plan, error)

	// Recompose makes the mail of a stored variant again from r.Articles, the frozen items, those withdrawn among them. It
	// answers false when nothing is left to read; the page of the archive, in a variant that has one, says even then what
	// stood there.
	Recompose(r PlanRequest, v Variant) (Variant, bool, error)
}

// PlanRequest is what the store knows when it plans a slot of a list.
type PlanRequest struct {
	List      List
	Digest    int64 // the id that the digest has or will have: links in the mail name it
	Slot      time.Time
	Now       time.Time
	Articles  []Article // of the window and not yet in the list, by sequence; see [Planning.Recompose]
	Zones     map[int64]Zone
	Audiences []Audience // of the active subscriptions
	Notes     []Note     // of articles that the list has mailed, not told yet; in [Planning.Recompose] those told
	Silent    []Silence  // sources of the list's zones that could not be reached
}

// Plan is what a slot of a list becomes.
type Plan struct {
	Items []int64 // ids of the frozen articles, newest first
	Notes []Note  // those told
	// Variants holds one mail for each audience with something to read, and always one for all zones in the list's
	// locale, which is the first, and in each other that somebody has, with Web set. No two are for the same audience.
	Variants []Variant
	Empty    []Audience // those with nothing to read
	// Preview shows the operator a digest that is held; nil if it is not, or if nobody is to see it.
	Preview *Notice
}

// Notice is a mail that is no digest, with the address that it goes to.
type Notice struct {
	Email string
	Mail  Mail
}

// lateGrace is how late a slot may always be: the heartbeat needs a moment to find it, whatever the catch-up.
const lateGrace = time.Minute

// Late reports whether the slot was missed by more than the list's catch-up: it is recorded as skipped, and its
// articles come with the next one.
func Late(l List, slot, now time.Time) bool {
	return now.Sub(slot) > max(l.CatchUp, lateGrace)
}
