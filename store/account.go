package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"zonewire"
)

var (
	qSubscriptionSwitch = sqlText(`UPDATE subscription SET switch_to = ?2 WHERE id = ?1`)
	qSuppressedWhy      = sqlText(`
		SELECT p.reason
		FROM suppression p
		JOIN subscriber u ON u.address_hash = p.address_hash
		WHERE u.id = ?1 AND p.address_hash <> ''`)
	// A digest at a time: deliveries have no index by person alone, and SQLite keeps the order of a cross join.
	qPersonalDeliveries = sqlText(`
		SELECT l.slug, d.slot_ms, x.state, x.done_ms
		FROM digest d
		CROSS JOIN delivery x
		JOIN list l ON l.id = d.list_id
		WHERE x.digest_id = d.id AND x.subscriber_id = ?1
		ORDER BY d.slot_ms DESC, d.id DESC`)
	qPersonalActs = sqlText(`SELECT at_ms, actor, action, detail FROM audit WHERE target = ?1 ORDER BY id DESC`)
)

// account finds the person whom a ticket for preferences gives power over.
func account(ctx context.Context, q querier, ticket int64, now time.Time) (zonewire.Ticket, zonewire.Subscriber, error) {
	t, err := ticketAt(ctx, q, zonewire.PurposePreferences, ticket, now)
	if err != nil {
		return t, zonewire.Subscriber{}, err
	}
	s, err := personByID(ctx, q, t.Subscriber)
	if err != nil {
		return t, s, err
	}
	s.Subscriptions, err = subscriptionsWhere(ctx, q, qSubscriptions, s.ID)
	return t, s, err
}

// Account is the person whom a ticket for preferences gives power over, with their places on lists that still are.
// [zonewire.ErrNotFound]; [zonewire.ErrGone] if the ticket ran out.
func (db *DB) Account(ctx context.Context, ticket int64, now time.Time) (zonewire.Subscriber, error) {
	_, s, err := account(ctx, db.reader(), ticket, now)
	return s, readError("account", err)
}

// asOwner changes something of the person whom a ticket for preferences gives power over. All methods that take such a
// ticket answer [zonewire.ErrNotFound] and [zonewire.ErrGone] as [DB.Account] does.
func (db *DB) asOwner(ctx context.Context, what string, act zonewire.Act, ticket int64, do func(q querier, s zonewire.Subscriber) error) error {
	return db.write(ctx, what, func(q querier) error {
		t, s, err := account(ctx, q, ticket, act.At)
		if err != nil {
			return err
		}
		if err := useTicket(ctx, q, act, t); err != nil {
			return err
		}
		return do(q, s)
	})
}

// EditPlace changes one of the person's places. [zonewire.ErrNotFound] also if it is not theirs, [zonewire.ErrInvalid] if
// the place or a list does not allow it.
func (db *DB) EditPlace(ctx context.Context, act zonewire.Act, ticket, subscription int64, e zonewire.PlaceEdit) (sub zonewire.Subscription, err error) {
	err = db.asOwner(ctx, "edit a place", act, ticket, func(q querier, s zonewire.Subscriber) error {
		i := slices.IndexFunc(s.Subscriptions, func(s zonewire.Subscription) bool { return s.ID == subscription })
		if i < 0 {
			return fmt.Errorf("subscription %d: %w", subscription, zonewire.ErrNotFound)
		}
		if err := editPlace(ctx, q, act, s.Subscriptions[i], e); err != nil {
			return err
		}
		sub, err = subscriptionWhere(ctx, q, qSubscription, subscription)
		return err
	})
	return sub, err
}

func editPlace(ctx context.Context, q querier, act zonewire.Act, sub zonewire.Subscription, e zonewire.PlaceEdit) error {
	list, err := listWhere(ctx, q, qListByID, sub.ListID)
	if err != nil {
		return err
	}
	if e.Zones != nil {
		if err := chooseZones(ctx, q, act, sub, list, *e.Zones); err != nil {
			return err
		}
	}
	if e.SwitchTo != nil {
		if err := switchList(ctx, q, act, sub, list, *e.SwitchTo); err != nil {
			return err
		}
	}
	if e.Pause != nil {
		if _, err := changeWithin(ctx, q, act, sub.ID, actPause, pausing(act, *e.Pause)); err != nil {
			return err
		}
	}
	if e.Resume {
		_, err = changeWithin(ctx, q, act, sub.ID, actResume, resuming)
	}
	return err
}

// chooseZones keeps of a place's zones those that its list can carry now.
func chooseZones(ctx context.Context, q querier, act zonewire.Act, sub zonewire.Subscription, list zonewire.List, ids []int64) error {
	zones, err := carried(ctx, q, list, ids)
	if err != nil {
		return err
	}
	if len(zones) == 0 && len(ids) > 0 {
		return zonewire.Invalidf("list %s carries none of these zones", list.Slug)
	}
	if _, err := q.exec(ctx, qSubscriptionSet, sub.ID, zonewire.ZoneSet(zones)); err != nil {
		return err
	}
	return audit(ctx, q, act, "subscriber.zones", subject(sub.Subscriber), "list:"+list.Slug)
}

// EditPerson changes the language of pages and mails; empty: that of each list.
func (db *DB) EditPerson(ctx context.Context, act zonewire.Act, ticket int64, locale string) error {
	if locale != "" && !slices.Contains(zonewire.Locales(), locale) {
		return zonewire.Invalidf("locale %q is not known", locale)
	}
	return db.asOwner(ctx, "edit a person", act, ticket, func(q querier, s zonewire.Subscriber) error {
		if _, err := q.exec(ctx, qPersonLocale, s.ID, locale); err != nil {
			return err
		}
		return audit(ctx, q, act, "subscriber.edit", subject(s.ID), "")
	})
}

// LeaveAll ends every place of the person and counts those that it ended.
func (db *DB) LeaveAll(ctx context.Context, act zonewire.Act, ticket int64) (n int, err error) {
	err = db.asOwner(ctx, "leave all lists", act, ticket, func(q querier, s zonewire.Subscriber) error {
		n = 0
		for _, sub := range s.Subscriptions {
			if ended(sub.State) {
				continue
			}
			if err := unsubscribe(ctx, q, act, sub.ID); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// RequestAddress sends a letter to the person's address and one to the new; both must agree. If somebody else has the new
// one only the old gets a letter, so that nobody learns of it here. At most one change is asked for in
// [zonewire.LetterEvery].
func (db *DB) RequestAddress(ctx context.Context, act zonewire.Act, ticket int64, a zonewire.Address, letters zonewire.Letters) error {
	return db.asOwner(ctx, "request an address", act, ticket, func(q querier, s zonewire.Subscriber) error {
		last, _, err := lastLetter(ctx, q, act, s.ID, zonewire.PurposeAddress)
		if err != nil || act.At.Sub(last) < zonewire.LetterEvery {
			return err
		}
		was := zonewire.Ticket{Purpose: zonewire.PurposeAddress, Wish: zonewire.Wish{Address: &a}}
		if err := sendLetter(ctx, q, act, letters, zonewire.LetterOldAddress, act.At, zonewire.AddressFor, &was, zonewire.List{}, s); err != nil {
			return err
		}
		other, err := personByKey(ctx, q, a.Key)
		if err == nil && other.ID != s.ID {
			return nil
		}
		if err != nil && !errors.Is(err, zonewire.ErrNotFound) {
			return err
		}
		to := s
		to.Email = a.Given
		now := zonewire.Ticket{Purpose: zonewire.PurposeAddress, Wish: zonewire.Wish{Address: &a, Twin: was.ID}}
		if err := sendLetter(ctx, q, act, letters, zonewire.LetterNewAddress, act.At, zonewire.AddressFor, &now, zonewire.List{}, to); err != nil {
			return err
		}
		was.Wish.Twin = now.ID
		return setWish(ctx, q, was.ID, was.Wish)
	})
}

// ConfirmAddress agrees to a change of address for one of the two; done when the other has agreed too, and mail goes to
// the new one. [zonewire.ErrNotFound], [zonewire.ErrGone] if it ran out, [zonewire.ErrExists] if somebody took the address
// meanwhile.
func (db *DB) ConfirmAddress(ctx context.Context, act zonewire.Act, id int64) (done bool, err error) {
	err = db.write(ctx, "confirm an address", func(q querier) error {
		done = false
		t, err := ticketAt(ctx, q, zonewire.PurposeAddress, id, act.At)
		if err != nil {
			return err
		}
		if err := useTicket(ctx, q, act, t); err != nil {
			return err
		}
		if t.Wish.Twin == 0 {
			return nil // somebody else has the address: their agreement never comes
		}
		twin, err := ticket(ctx, q, zonewire.PurposeAddress, t.Wish.Twin)
		if err != nil {
			return err
		}
		if done = !twin.Used.IsZero(); !done || !t.Used.IsZero() {
			return nil
		}
		s, err := personByID(ctx, q, t.Subscriber)
		if err != nil {
			return err
		}
		a := *t.Wish.Address
		if err := leaveAddress(ctx, q, act, s.ID, a); err != nil {
			return err
		}
		if _, err := q.exec(ctx, qSubscriberUpdate, s.ID, a.Given, a.Key, a.Hash, a.Provider, s.Name, s.Locale); err != nil {
			return err
		}
		if err := welcome(ctx, q, s.ID); err != nil {
			return err
		}
		return audit(ctx, q, act, "subscriber.edit", subject(s.ID), "address")
	})
	return done, err
}

// PersonalData is all that is kept about the person.
func (db *DB) PersonalData(ctx context.Context, ticket int64, now time.Time) (data zonewire.PersonalData, err error) {
	q := db.reader()
	if _, data.Subscriber, err = account(ctx, q, ticket, now); err != nil {
		return data, readError("personal data", err)
	}
	id := data.Subscriber.ID
	if err := q.row(ctx, qSuppressedWhy, []any{id}, &data.Suppressed); err != nil && !errors.Is(err, zonewire.ErrNotFound) {
		return data, readError("personal data", err)
	}
	data.Deliveries, err = collect(ctx, q, qPersonalDeliveries, []any{id}, func(rows *sql.Rows) (zonewire.PersonalDelivery, error) {
		var d zonewire.PersonalDelivery
		var slot, done int64
		err := rows.Scan(&d.List, &slot, &d.State, &done)
		d.Slot, d.Done = fromMs(slot), fromMs(done)
		return d, err
	})
	if err != nil {
		return data, readError("personal data", err)
	}
	data.Acts, err = collect(ctx, q, qPersonalActs, []any{subject(id)}, func(rows *sql.Rows) (zonewire.PersonalAct, error) {
		var a zonewire.PersonalAct
		var at int64
		err := rows.Scan(&at, &a.By, &a.Action, &a.Detail)
		a.At = fromMs(at)
		return a, err
	})
	return data, readError("personal data", err)
}

var qAddressKeys = sqlText(`SELECT email_key, address_hash FROM subscriber WHERE id = ?1`)

// Erase forgets the person, as [DB.EraseSubscriber] does.
func (db *DB) Erase(ctx context.Context, act zonewire.Act, ticket int64) error {
	return db.asOwner(ctx, "erase subscriber", act, ticket, func(q querier, s zonewire.Subscriber) error {
		return erase(ctx, q, act, s)
	})
}

// leaveAddress frees a person of their address: nobody else may have the new one, what is open for the old one is
// cancelled, and what was mailed to it gives no more power over the account.
func leaveAddress(ctx context.Context, q querier, act zonewire.Act, person int64, to zonewire.Address) error {
	if other, err := personByKey(ctx, q, to.Key); err == nil && other.ID != person {
		return fmt.Errorf("the new address: %w", zonewire.ErrExists)
	} else if err != nil && !errors.Is(err, zonewire.ErrNotFound) {
		return err
	}
	if _, err := q.exec(ctx, qCancelSubscriber, person, "address changed", toMs(act.At)); err != nil {
		return err
	}
	_, err := q.exec(ctx, qTicketsEnd, person, string(zonewire.PurposeAddress))
	return err
}

// EraseSubscriber forgets a person: the number, the states of past deliveries and the keyed hash that keeps the
// address from being imported again are all that stays.
func (db *DB) EraseSubscriber(ctx context.Context, act zonewire.Act, key string) (id int64, err error) {
	err = db.write(ctx, "erase subscriber", func(q querier) error {
		s, err := subscriberByKey(ctx, q, key)
		if err != nil {
			return err
		}
		id = s.ID
		return erase(ctx, q, act, s)
	})
	return id, err
}

func erase(ctx context.Context, q querier, act zonewire.Act, s zonewire.Subscriber) error {
	var key, hash string
	if err := q.row(ctx, qAddressKeys, []any{s.ID}, &key, &hash); err != nil {
		return err
	}
	if hash != "" {
		if _, err := q.exec(ctx, qSuppressionAdd, hash, "erased", toMs(act.At)); err != nil {
			return err
		}
	}
	for _, sub := range s.Subscriptions {
		_, err := q.exec(ctx, qSubscriptionState, sub.ID, string(zonewire.SubUnsubscribed), toMs(sub.Confirmed), "", int64(0), toMs(act.At))
		if err != nil {
			return err
		}
	}
	for _, step := range []struct {
		text query
		args []any
	}{
		{qCancelSubscriber, []any{s.ID, "erased", toMs(act.At)}},
		{qCancelNotices, []any{s.ID, "erased", toMs(act.At), []byte{}}},
		{qBlankReplies, []any{s.ID}},
		{qBlankNotices, []any{s.ID}},
		{qStrikesForget, []any{s.ID}},
		{qTicketsEnd, []any{s.ID, ""}},
		{qSubscriberErase, []any{s.ID, toMs(act.At)}},
	} {
		if _, err := q.exec(ctx, step.text, step.args...); err != nil {
			return err
		}
	}
	if err := forgetBounces(ctx, q, s.ID, key); err != nil {
		return err
	}
	return audit(ctx, q, act, "subscriber.erase", subject(s.ID), "")
}
