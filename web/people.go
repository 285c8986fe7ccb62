package web

import (
	"context"
	"time"

	"zonewire"
)

// People takes, changes and ends people's places on lists, and hears their wishes. What a method does with a ticket it
// does in one transaction with judging it: [zonewire.ErrNotFound] if there is none of its purpose (the person was erased, or
// their address changed since), [zonewire.ErrGone] if it has run out or, where it serves once, was used.
type People interface {
	// RequestPlace hears a wish to be on a list. Who has no place gets a letter that asks to confirm; who has one gets a
	// link to their preferences; nobody gets more than one letter of a purpose in [zonewire.LetterEvery]. What it did it
	// does not tell: the answer on the page is the same for all. n.Confirmed and n.Force are not set.
	RequestPlace(ctx context.Context, act zonewire.Act, n zonewire.NewSubscription) error
	// RequestPreferences sends whoever has the address a link to their preferences, and nobody else anything.
	RequestPreferences(ctx context.Context, act zonewire.Act, a zonewire.Address, letters zonewire.Letters) error

	// Ticket finds one of a purpose, with the list of its place, which is empty if it is about the person. Used ones too:
	// Used tells. With ErrGone come ticket and list all the same.
	Ticket(ctx context.Context, purpose zonewire.Purpose, id int64, now time.Time) (zonewire.Ticket, zonewire.List, error)
	// ConfirmPlace takes the place that was asked for, with the zones, language and consent of the wish. Again: the same.
	// ErrGone also if the place was given up after the ticket was made.
	ConfirmPlace(ctx context.Context, act zonewire.Act, ticket int64) (zonewire.Subscription, error)

	// Leave ends one place, whose deliveries that were not begun are cancelled, and gives the ticket that takes this back:
	// 0 if the place had ended before. ErrNotFound if the person was erased.
	Leave(ctx context.Context, act zonewire.Act, subscription int64) (sub zonewire.Subscription, undo int64, err error)
	// UndoLeave gives a place back as it was, and the mails that leaving cancelled, once.
	UndoLeave(ctx context.Context, act zonewire.Act, ticket int64) (zonewire.Subscription, error)

	// Account is the person whom a ticket for preferences gives power over, with their places.
	Account(ctx context.Context, ticket int64, now time.Time) (zonewire.Subscriber, error)
	// EditPlace changes one of the person's places. ErrNotFound if it is not theirs.
	EditPlace(ctx context.Context, act zonewire.Act, ticket, subscription int64, e zonewire.PlaceEdit) (zonewire.Subscription, error)
	// EditPerson changes the language of pages and mails; empty: that of each list.
	EditPerson(ctx context.Context, act zonewire.Act, ticket int64, locale string) error
	// LeaveAll ends every place of the person and counts those that it ended.
	LeaveAll(ctx context.Context, act zonewire.Act, ticket int64) (int, error)
	// RequestAddress sends a letter to the old address and one to the new; both must agree. If somebody has the new one,
	// only the old gets a letter, so that nobody learns of it here.
	RequestAddress(ctx context.Context, act zonewire.Act, ticket int64, a zonewire.Address, letters zonewire.Letters) error
	// ConfirmAddress agrees for one of the two addresses; done when the other has agreed too and the mails go to the new
	// one. [zonewire.ErrExists] if somebody took the address meanwhile.
	ConfirmAddress(ctx context.Context, act zonewire.Act, ticket int64) (done bool, err error)
	// PersonalData is all that is kept about the person.
	PersonalData(ctx context.Context, ticket int64, now time.Time) (zonewire.PersonalData, error)
	// Erase forgets the person; only a bare number and a keyed hash stay, so that no import brings the address back.
	Erase(ctx context.Context, act zonewire.Act, ticket int64) error
}
