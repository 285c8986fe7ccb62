package web_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"zonewire"
)

// The tickets of the readers, by what they are for.
const (
	confirmTicket int64 = pendingSub // asks for a place with one zone, in English
	staleTicket   int64 = leftSub    // was used; the place was left since
	lateTicket    int64 = 19         // has run out
	prefsTicket   int64 = 20         // of reader 7
	oldPrefs      int64 = 21         // has run out
	undoTicket    int64 = 22         // of leftSub
	oldTicket     int64 = 23         // the old address of reader 7 agrees
	newTicket     int64 = 24         // the new one does
)

// The other places of reader 7.
const (
	pausedSub int64 = 11 // on the list “two”
	goneSub   int64 = 30 // left
)

// crowd is what the store knows of people.
type crowd struct {
	people   map[int64]zonewire.Subscriber
	tickets  map[int64]zonewire.Ticket
	sent     []string // letters: "KIND to ADDRESS"
	mails    []zonewire.Mail
	consents []string
	hashes   []string // of the addresses
	taken    string   // an address that somebody took meanwhile
	fail     error    // what every change answers, if set
}

// readers is the sample with a reader who has two places, tickets of every purpose, and a list with the news of another.
func readers() *fake {
	f := sample()
	f.lists = append(f.lists, zonewire.List{ID: 6, Slug: "weekly", Title: "开发区周报", Schedule: "0 9 * * 1", Timezone: "Asia/Shanghai", All: true, Locale: "zh-CN"})
	f.subs[pausedSub] = zonewire.Subscription{ID: pausedSub, Subscriber: 7, ListID: 5, List: "two", State: zonewire.SubPaused,
		PausedUntil: time.Date(2026, 12, 24, 0, 0, 0, 0, zonewire.Shanghai), Zones: []string{"yunhe"}, ZoneIDs: []int64{1}}
	f.subs[goneSub] = zonewire.Subscription{ID: goneSub, Subscriber: 7, ListID: 3, List: "zhejiang", State: zonewire.SubUnsubscribed}
	to := &zonewire.Address{Given: "new@example.com", Key: "new@example.com", Wire: "new@example.com"}
	ticket := func(p zonewire.Purpose, person, sub int64, from time.Time, last time.Duration) zonewire.Ticket {
		return zonewire.Ticket{Purpose: p, Subscriber: person, Subscription: sub, Created: from, Expires: from.Add(last)}
	}
	f.people = map[int64]zonewire.Subscriber{}
	for _, id := range []int64{7, 8, 9, 10} {
		f.people[id] = zonewire.Subscriber{ID: id, Email: fmt.Sprintf("reader%d@example.com", id), Created: now.AddDate(0, -1, 0)}
	}
	old := now.AddDate(0, 0, -8)
	f.tickets = map[int64]zonewire.Ticket{
		confirmTicket: ticket(zonewire.PurposeConfirm, 8, pendingSub, now.Add(-time.Hour), zonewire.ConfirmFor),
		staleTicket:   ticket(zonewire.PurposeConfirm, 9, leftSub, now.Add(-time.Hour), zonewire.ConfirmFor),
		lateTicket:    ticket(zonewire.PurposeConfirm, 8, pendingSub, old, zonewire.ConfirmFor),
		prefsTicket:   ticket(zonewire.PurposePreferences, 7, 0, now.Add(-time.Hour), zonewire.PreferencesFor),
		oldPrefs:      ticket(zonewire.PurposePreferences, 7, 0, old, zonewire.PreferencesFor),
		undoTicket:    ticket(zonewire.PurposeUndo, 9, leftSub, now.Add(-time.Minute), zonewire.UndoFor),
		oldTicket:     ticket(zonewire.PurposeAddress, 7, 0, now.Add(-time.Hour), zonewire.AddressFor),
		newTicket:     ticket(zonewire.PurposeAddress, 7, 0, now.Add(-time.Hour), zonewire.AddressFor),
	}
	for id := range f.tickets {
		f.edit(id, func(*zonewire.Ticket) {}) // gives it its number
	}
	f.edit(confirmTicket, func(t *zonewire.Ticket) { t.Wish = zonewire.Wish{Locale: "en", Zones: []int64{1}} })
	f.edit(staleTicket, func(t *zonewire.Ticket) { t.Used = now })
	f.edit(undoTicket, func(t *zonewire.Ticket) { t.Wish.State = zonewire.SubActive })
	f.edit(oldTicket, func(t *zonewire.Ticket) { t.Wish = zonewire.Wish{Address: to, Twin: newTicket} })
	f.edit(newTicket, func(t *zonewire.Ticket) { t.Wish = zonewire.Wish{Address: to, Twin: oldTicket} })
	return f
}

func (f *fake) edit(ticket int64, change func(*zonewire.Ticket)) {
	t := f.tickets[ticket]
	t.ID = ticket
	change(&t)
	f.tickets[ticket] = t
}

// wrote notes a change, with whatever tells it from another.
func (f *fake) wrote(act zonewire.Act, format string, args ...any) error {
	f.writes = append(f.writes, fmt.Sprintf(format, args...)+" by "+act.By)
	return f.fail
}

// judge is a ticket that may still be used.
func (f *fake) judge(p zonewire.Purpose, id int64, at time.Time) (zonewire.Ticket, error) {
	t, ok := f.tickets[id]
	t.ID = id
	switch {
	case f.err != nil:
		return t, f.err
	case !ok || t.Purpose != p:
		return t, zonewire.ErrNotFound
	case !at.Before(t.Expires):
		return t, zonewire.ErrGone
	}
	return t, nil
}

func (f *fake) Ticket(_ context.Context, p zonewire.Purpose, id int64, at time.Time) (zonewire.Ticket, zonewire.List, error) {
	t, err := f.judge(p, id, at)
	l, _ := find(f.lists, nil, func(l zonewire.List) bool { return t.Subscription != 0 && l.ID == f.subs[t.Subscription].ListID })
	return t, l, err
}

func (f *fake) RequestPlace(_ context.Context, act zonewire.Act, n zonewire.NewSubscription) error {
	if err := f.wrote(act, "request %s for %s zones %v locale %q", n.List, n.Address.Key, n.Zones, n.Locale); err != nil {
		return err
	}
	f.consents, f.hashes = append(f.consents, n.Consent), append(f.hashes, n.Address.Hash)
	l, _ := find(f.lists, nil, func(l zonewire.List) bool { return l.Slug == n.List })
	for _, p := range f.people {
		if p.Email == n.Address.Key {
			return f.write(n.Letters, zonewire.LetterKnown, f.tickets[prefsTicket], l, n.Address.Given)
		}
	}
	return f.write(n.Letters, zonewire.LetterConfirm, f.tickets[confirmTicket], l, n.Address.Given)
}

func (f *fake) write(letters zonewire.Letters, kind zonewire.Letter, t zonewire.Ticket, l zonewire.List, to string) error {
	m, err := letters(kind, t, l, zonewire.LocaleZH)
	f.sent, f.mails = append(f.sent, string(kind)+" to "+to), append(f.mails, m)
	return err
}

func (f *fake) RequestPreferences(_ context.Context, act zonewire.Act, a zonewire.Address, letters zonewire.Letters) error {
	for _, p := range f.people {
		if p.Email == a.Key {
			return f.write(letters, zonewire.LetterPreferences, f.tickets[prefsTicket], zonewire.List{}, a.Given)
		}
	}
	return nil
}

func (f *fake) ConfirmPlace(_ context.Context, act zonewire.Act, id int64) (zonewire.Subscription, error) {
	t, err := f.judge(zonewire.PurposeConfirm, id, act.At)
	if err != nil {
		return zonewire.Subscription{}, err
	}
	sub := f.subs[t.Subscription]
	if sub.State == zonewire.SubUnsubscribed {
		return sub, zonewire.ErrGone
	}
	if t.Used.IsZero() {
		f.edit(id, func(t *zonewire.Ticket) { t.Used = act.At })
		sub.State = zonewire.SubActive
		f.subs[sub.ID] = sub
		err = f.wrote(act, "confirm %d", sub.ID)
	}
	return sub, err
}

func (f *fake) Leave(_ context.Context, act zonewire.Act, id int64) (zonewire.Subscription, int64, error) {
	sub, ok := f.subs[id]
	if !ok {
		return sub, 0, zonewire.ErrNotFound
	}
	err := f.wrote(act, "leave %d", id)
	if sub.State == zonewire.SubUnsubscribed {
		return sub, 0, err
	}
	ticket := int64(1000 + len(f.writes))
	if f.tickets == nil {
		f.tickets = map[int64]zonewire.Ticket{}
	}
	f.tickets[ticket] = zonewire.Ticket{ID: ticket, Purpose: zonewire.PurposeUndo, Subscriber: sub.Subscriber, Subscription: id,
		Created: act.At, Expires: act.At.Add(zonewire.UndoFor), Wish: zonewire.Wish{State: sub.State}}
	sub.State = zonewire.SubUnsubscribed
	f.subs[id] = sub
	return sub, ticket, err
}

func (f *fake) UndoLeave(_ context.Context, act zonewire.Act, id int64) (zonewire.Subscription, error) {
	t, err := f.judge(zonewire.PurposeUndo, id, act.At)
	if err != nil {
		return zonewire.Subscription{}, err
	}
	if !t.Used.IsZero() {
		return zonewire.Subscription{}, zonewire.ErrGone
	}
	f.edit(id, func(t *zonewire.Ticket) { t.Used = act.At })
	sub := f.subs[t.Subscription]
	sub.State = t.Wish.State
	f.subs[sub.ID] = sub
	return sub, f.wrote(act, "undo %d", sub.ID)
}

func (f *fake) Account(_ context.Context, id int64, at time.Time) (zonewire.Subscriber, error) {
	t, err := f.judge(zonewire.PurposePreferences, id, at)
	if err != nil {
		return zonewire.Subscriber{}, err
	}
	p := f.people[t.Subscriber]
	for _, sub := range f.subs {
		if sub.Subscriber == p.ID {
			p.Subscriptions = append(p.Subscriptions, sub)
		}
	}
	slices.SortFunc(p.Subscriptions, func(a, b zonewire.Subscription) int { return int(a.ID - b.ID) })
	return p, nil
}

func (f *fake) EditPlace(ctx context.Context, act zonewire.Act, ticket, id int64, e zonewire.PlaceEdit) (zonewire.Subscription, error) {
	sub := f.subs[id]
	if _, err := f.Account(ctx, ticket, act.At); err != nil {
		return sub, err
	}
	var what []string
	if e.Zones != nil {
		sub.ZoneIDs = *e.Zones
		what = append(what, fmt.Sprintf("zones %v", *e.Zones))
	}
	if e.Pause != nil {
		sub.State, sub.PausedUntil = zonewire.SubPaused, *e.Pause
		what = append(what, "pause until "+e.Pause.Format(time.RFC3339))
	}
	if e.Resume {
		sub.State, sub.PausedUntil = zonewire.SubActive, time.Time{}
		what = append(what, "resume")
	}
	if e.SwitchTo != nil {
		sub.SwitchTo = *e.SwitchTo
		what = append(what, fmt.Sprintf("switch to %q", *e.SwitchTo))
	}
	f.subs[id] = sub
	return sub, f.wrote(act, "edit %d: %s", id, strings.Join(what, ", "))
}

func (f *fake) EditPerson(_ context.Context, act zonewire.Act, ticket int64, locale string) error {
	p := f.people[f.tickets[ticket].Subscriber]
	p.Locale = locale
	f.people[p.ID] = p
	return f.wrote(act, "language %q", locale)
}

func (f *fake) LeaveAll(_ context.Context, act zonewire.Act, ticket int64) (int, error) {
	n := 0
	for id, sub := range f.subs {
		if sub.Subscriber == f.tickets[ticket].Subscriber && sub.State != zonewire.SubUnsubscribed {
			sub.State = zonewire.SubUnsubscribed
			f.subs[id] = sub
			n++
		}
	}
	return n, f.wrote(act, "leave all %d", n)
}

func (f *fake) RequestAddress(_ context.Context, act zonewire.Act, ticket int64, a zonewire.Address, letters zonewire.Letters) error {
	f.hashes = append(f.hashes, a.Hash)
	p := f.people[f.tickets[ticket].Subscriber]
	if err := f.wrote(act, "move to %s", a.Key); err != nil {
		return err
	}
	if err := f.write(letters, zonewire.LetterOldAddress, f.tickets[oldTicket], zonewire.List{}, p.Email); err != nil {
		return err
	}
	return f.write(letters, zonewire.LetterNewAddress, f.tickets[newTicket], zonewire.List{}, a.Given)
}

func (f *fake) ConfirmAddress(_ context.Context, act zonewire.Act, id int64) (bool, error) {
	t, err := f.judge(zonewire.PurposeAddress, id, act.At)
	if err != nil {
		return false, err
	}
	f.edit(id, func(t *zonewire.Ticket) { t.Used = act.At })
	done := !f.tickets[t.Wish.Twin].Used.IsZero()
	if done && f.taken == t.Wish.Address.Key {
		return false, zonewire.ErrExists
	}
	return done, f.wrote(act, "agree %d", id)
}

func (f *fake) PersonalData(ctx context.Context, ticket int64, at time.Time) (zonewire.PersonalData, error) {
	p, err := f.Account(ctx, ticket, at)
	return zonewire.PersonalData{
		Subscriber: p, Suppressed: "hard bounce",
		Deliveries: []zonewire.PersonalDelivery{{List: "morning", Slot: now.Add(-24 * time.Hour), State: zonewire.Accepted, Done: now.Add(-23 * time.Hour)}, {List: "morning", Slot: now}},
		Acts:       []zonewire.PersonalAct{{At: now.AddDate(0, -1, 0), By: "page", Action: "subscriber.confirm"}},
	}, err
}

func (f *fake) Erase(_ context.Context, act zonewire.Act, ticket int64) error {
	p := f.tickets[ticket].Subscriber
	for id, t := range f.tickets {
		if t.Subscriber == p {
			delete(f.tickets, id)
		}
	}
	delete(f.people, p)
	return f.wrote(act, "erase %d", p)
}
