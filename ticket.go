package zonewire

import "time"

// Ticket is what a link lets its holder do, for a while: a row of the store, named by a token of its purpose. Whoever
// writes the row decides how long it lasts; erasing the person or changing their address ends all of theirs.
type Ticket struct {
	ID           int64
	Purpose      Purpose
	Subscriber   int64
	Subscription int64 // 0: about the person
	Wish         Wish
	Created      time.Time
	Expires      time.Time
	Used         time.Time // zero: not yet
}

// How long tickets last.
const (
	ConfirmFor     = 7 * 24 * time.Hour
	PreferencesFor = 2 * time.Hour
	AddressFor     = 24 * time.Hour
	UndoFor        = 30 * time.Minute
)

// LetterEvery is the least time between two mails of one purpose to one address that somebody asked for on a page.
const LetterEvery = time.Hour

// Wish is what was asked for when a ticket was made, and comes true when it is used.
type Wish struct {
	Locale  string            `json:"locale,omitempty"`
	Zones   []int64           `json:"zones,omitempty"`   // none = all of the list
	Consent string            `json:"consent,omitempty"` // to which text they agreed, from where
	Address *Address          `json:"address,omitempty"` // the new one
	Twin    int64             `json:"twin,omitempty"`    // the ticket that must be used too
	State   SubscriptionState `json:"state,omitempty"`   // what to go back to
	Until   time.Time         `json:"until,omitzero"`    // likewise, of a pause
}

// Letter is a kind of mail that carries a ticket.
type Letter string

// The letters.
const (
	LetterConfirm     Letter = "confirm"     // asks to confirm a place on a list
	LetterKnown       Letter = "known"       // to one who asked for a place that they have: a link to their preferences
	LetterPreferences Letter = "preferences" // a link to their preferences
	LetterOldAddress  Letter = "old-address" // asks the old address of one who moves
	LetterNewAddress  Letter = "new-address" // asks the new one
)

// Letters composes the mails that carry tickets: kind in the locale, dated when the ticket was made. The list is that of
// the place, or empty.
type Letters func(kind Letter, t Ticket, l List, locale string) (Mail, error)

// PlaceEdit is a change of one place on a list; what is nil stays.
type PlaceEdit struct {
	Zones *[]int64 // none = all of the list
	// Pause stops the mails until a moment; zero = until resumed. Resume ends a pause.
	Pause  *time.Time
	Resume bool
	// SwitchTo moves the place to the list of that slug after the next digest of the one that it is on; empty takes
	// that back.
	SwitchTo *string
}

// PersonalData is all that is kept about a person, for themselves.
type PersonalData struct {
	Subscriber Subscriber
	Suppressed string // why their address gets no mail, if so
	Deliveries []PersonalDelivery
	Acts       []PersonalAct
}

// PersonalDelivery is a mail that was planned for a person.
type PersonalDelivery struct {
	List  string
	Slot  time.Time
	State DeliveryState
	Done  time.Time // zero: open
}

// PersonalAct is a change of what is kept about a person.
type PersonalAct struct {
	At     time.Time
	By     string
	Action string
	Detail string
}
