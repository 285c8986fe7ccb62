package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"zonewire"
)

var (
	qPerson       = sqlText(`SELECT id, email, name, locale, created_ms, erased_ms FROM subscriber WHERE id = ?1 AND erased_ms = 0`)
	qPersonLocale = sqlText(`UPDATE subscriber SET locale = ?2 WHERE id = ?1`)
	// What leaving cancelled goes out after all, but for a digest of which an article was withdrawn since: its mail would
	// still hold it.
	qUncancel = sqlText(`
		UPDATE delivery
		SET state = CASE WHEN state = 7 THEN 0 ELSE state END, reason = '', done_ms = 0
		WHERE subscription_id = ?1 AND subscriber_id = ?2 AND state IN (0, 1, 2, 7) AND reason = 'unsubscribed' AND done_ms = ?3
			AND digest_id IN (SELECT d.id FROM digest d WHERE d.list_id = ?4)
			AND NOT EXISTS (
				SELECT 1
				FROM digest_item i
				JOIN article a ON a.id = i.article_id
				WHERE i.digest_id = delivery.digest_id AND a.withdrawn_ms >= ?3)`)
)

func personByID(ctx context.Context, q querier, id int64) (zonewire.Subscriber, error) {
	return scanSubscriber(q.x.QueryRowContext(ctx, q.text(qPerson), id))
}

// RequestPlace hears a wish to be on a list. Who has no place gets a letter that asks to confirm; who has one gets a link
// to their preferences, at most one in [zonewire.LetterEvery]. Letters that ask to confirm go out that far apart, and then
// farther, while they are unanswered, so that nobody can fill a stranger's mailbox; a second wish for the same list within
// an hour replaces the first.
// [zonewire.ErrNotFound] if there is no such list or zone, [zonewire.ErrInvalid] if the list does not carry a zone.
func (db *DB) RequestPlace(ctx context.Context, act zonewire.Act, n zonewire.NewSubscription) error {
	return db.write(ctx, "request a place on "+n.List, func(q querier) error {
		list, err := listWhere(ctx, q, qList, n.List)
		if err != nil {
			return fmt.Errorf("list %s: %w", n.List, err)
		}
		zones, err := chosenZones(ctx, q, list, n.Zones)
		if err != nil {
			return err
		}
		id, err := findOrAddPerson(ctx, q, act, zonewire.NewSubscription{Address: n.Address})
		if err != nil {
			return err
		}
		person, err := personByID(ctx, q, id)
		if err != nil {
			return err
		}
		sub, err := subscriptionWhere(ctx, q, qSubscriptionOn, list.ID, id)
		switch {
		case errors.Is(err, zonewire.ErrNotFound):
			return settleSubscription(ctx, q, act, n, list, id, zones, &sub)
		case err != nil:
			return err
		case sub.State == zonewire.SubActive || sub.State == zonewire.SubPaused:
			return sendPreferences(ctx, q, act, n.Letters, zonewire.LetterKnown, list, person)
		}
		return askToConfirm(ctx, q, act, n, list, person, sub, zones)
	})
}

// askToConfirm sends the letter that asks to confirm a place, or changes what the one on its way will do.
func askToConfirm(ctx context.Context, q querier, act zonewire.Act, n zonewire.NewSubscription, list zonewire.List, person zonewire.Subscriber, sub zonewire.Subscription, zones []int64) error {
	wish := zonewire.Wish{Locale: n.Locale, Zones: zones, Consent: n.Consent}
	open, err := ticketWhere(ctx, q, qTicketOpen, person.ID, sub.ID, string(zonewire.PurposeConfirm), toMs(act.At))
	switch {
	case err == nil && act.At.Sub(open.Created) < zonewire.LetterEvery:
		return setWish(ctx, q, open.ID, wish)
	case err != nil && !errors.Is(err, zonewire.ErrNotFound):
		return err
	}
	last, unanswered, err := lastLetter(ctx, q, act, person.ID, zonewire.PurposeConfirm)
	if err != nil {
		return err
	}
	due := nextLetter(last, unanswered, act.At)
	if due.Sub(act.At) > letterAhead {
		return nil
	}
	t := zonewire.Ticket{Purpose: zonewire.PurposeConfirm, Subscription: sub.ID, Wish: wish}
	return sendLetter(ctx, q, act, n.Letters, zonewire.LetterConfirm, due, zonewire.ConfirmFor, &t, list, person)
}

// sendPreferences sends a person a link to their preferences, unless one is on its way that they did not use yet.
func sendPreferences(ctx context.Context, q querier, act zonewire.Act, letters zonewire.Letters, kind zonewire.Letter, list zonewire.List, person zonewire.Subscriber) error {
	last, _, err := lastLetter(ctx, q, act, person.ID, zonewire.PurposePreferences)
	if err != nil || act.At.Sub(last) < zonewire.LetterEvery {
		return err
	}
	t := zonewire.Ticket{Purpose: zonewire.PurposePreferences}
	return sendLetter(ctx, q, act, letters, kind, act.At, zonewire.PreferencesFor, &t, list, person)
}

// RequestPreferences sends whoever has the address a link to their preferences, at most one in [zonewire.LetterEvery], and
// nobody else anything.
func (db *DB) RequestPreferences(ctx context.Context, act zonewire.Act, a zonewire.Address, letters zonewire.Letters) error {
	return db.write(ctx, "request preferences", func(q querier) error {
		person, err := personByKey(ctx, q, a.Key)
		if errors.Is(err, zonewire.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return sendPreferences(ctx, q, act, letters, zonewire.LetterPreferences, zonewire.List{}, person)
	})
}

// ConfirmPlace takes the place that a ticket was made for, with the zones, language and consent of its wish, and lifts a
// suppression of the address: its owner has just shown that mail arrives there and is wanted. Again is the same as once.
// [zonewire.ErrNotFound]; [zonewire.ErrGone] if the ticket ran out, or if the place or its list was given up since.
func (db *DB) ConfirmPlace(ctx context.Context, act zonewire.Act, id int64) (sub zonewire.Subscription, err error) {
	err = db.write(ctx, "confirm a place", func(q querier) error {
		t, err := ticketAt(ctx, q, zonewire.PurposeConfirm, id, act.At)
		if err != nil {
			return err
		}
		var list zonewire.List
		if sub, list, err = subscriptionAndList(ctx, q, t.Subscription); err != nil {
			return err
		}
		switch {
		case !list.Removed.IsZero():
			return fmt.Errorf("list %s was removed: %w", list.Slug, zonewire.ErrGone)
		case ended(sub.State) && (!t.Used.IsZero() || !sub.Ended.Before(t.Created)):
			return fmt.Errorf("given up since: %w", zonewire.ErrGone)
		}
		if err := useTicket(ctx, q, act, t); err != nil {
			return err
		}
		if sub.State == zonewire.SubActive || sub.State == zonewire.SubPaused {
			return nil
		}
		if sub, err = changeWithin(ctx, q, act, sub.ID, actConfirm, confirming(act, t, list)); err != nil {
			return err
		}
		sub, err = subscriptionWhere(ctx, q, qSubscription, sub.ID)
		return err
	})
	return sub, err
}

func confirming(act zonewire.Act, t zonewire.Ticket, list zonewire.List) change {
	return func(ctx context.Context, q querier, s *zonewire.Subscription) (bool, error) {
		zones, err := carried(ctx, q, list, t.Wish.Zones)
		if err != nil {
			return false, err
		}
		if len(zones) == 0 && len(t.Wish.Zones) > 0 {
			return false, fmt.Errorf("the list carries none of the zones any more: %w", zonewire.ErrGone)
		}
		s.State, s.Confirmed, s.PausedUntil, s.Ended = zonewire.SubActive, act.At, time.Time{}, time.Time{}
		s.Consent = cmp.Or(t.Wish.Consent, "by the letter that asked")
		if _, err := q.exec(ctx, qSubscriptionSet, s.ID, zonewire.ZoneSet(zones)); err != nil {
			return false, err
		}
		if t.Wish.Locale != "" {
			if _, err := q.exec(ctx, qPersonLocale, s.Subscriber, t.Wish.Locale); err != nil {
				return false, err
			}
		}
		return true, welcome(ctx, q, s.Subscriber)
	}
}

// carried is which of the zones, or of those that they were merged into since, the list can carry now.
func carried(ctx context.Context, q querier, list zonewire.List, ids []int64) ([]int64, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	zones, err := zoneMap(ctx, q)
	if err != nil {
		return nil, err
	}
	set, err := presentZones(zonewire.ZoneSet(ids), zones)
	if err != nil {
		return nil, err
	}
	if ids, err = zonewire.ParseZoneSet(set); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(ids, func(id int64) bool {
		z, known := zones[id]
		return !known || !z.Closed.IsZero() || !list.Covers(z)
	}), nil
}

// Leave ends one place and, in the same transaction, cancels its deliveries that were not begun. It gives the ticket that
// takes this back within [zonewire.UndoFor]: 0 if the place had ended before by other means. [zonewire.ErrNotFound].
func (db *DB) Leave(ctx context.Context, act zonewire.Act, id int64) (sub zonewire.Subscription, undo int64, err error) {
	err = db.write(ctx, actUnsubscribe, func(q querier) error {
		undo = 0
		was, err := subscriptionWhere(ctx, q, qSubscription, id)
		if err != nil {
			return err
		}
		if _, err := personByID(ctx, q, was.Subscriber); err != nil {
			return err
		}
		if sub, err = changeWithin(ctx, q, act, id, actUnsubscribe, leaving(act)); err != nil {
			return err
		}
		if was.State == zonewire.SubUnsubscribed {
			t, err := ticketWhere(ctx, q, qTicketOpen, was.Subscriber, id, string(zonewire.PurposeUndo), toMs(act.At))
			if errors.Is(err, zonewire.ErrNotFound) {
				return nil
			}
			undo = t.ID
			return err
		}
		t := zonewire.Ticket{
			Purpose: zonewire.PurposeUndo, Subscriber: was.Subscriber, Subscription: id, Expires: act.At.Add(zonewire.UndoFor),
			Wish: zonewire.Wish{State: was.State, Until: was.PausedUntil},
		}
		if err := addTicket(ctx, q, act, "", act.At, &t); err != nil {
			return err
		}
		undo = t.ID
		return nil
	})
	return sub, undo, err
}

// UndoLeave gives a place back as it was, and the mails that leaving cancelled; a digest planned in between is not sent.
// [zonewire.ErrNotFound]; [zonewire.ErrGone] if the ticket ran out or was used.
func (db *DB) UndoLeave(ctx context.Context, act zonewire.Act, id int64) (sub zonewire.Subscription, err error) {
	err = db.write(ctx, actUndo, func(q querier) error {
		t, err := ticketAt(ctx, q, zonewire.PurposeUndo, id, act.At)
		if err != nil {
			return err
		}
		if !t.Used.IsZero() {
			return fmt.Errorf("used: %w", zonewire.ErrGone)
		}
		if err := useTicket(ctx, q, act, t); err != nil {
			return err
		}
		sub, err = changeWithin(ctx, q, act, t.Subscription, actUndo, func(ctx context.Context, q querier, s *zonewire.Subscription) (bool, error) {
			if s.State != zonewire.SubUnsubscribed || !s.Ended.Equal(t.Created) {
				return false, fmt.Errorf("the place has changed since: %w", zonewire.ErrGone)
			}
			s.State, s.PausedUntil, s.Ended = t.Wish.State, t.Wish.Until, time.Time{}
			_, err := q.exec(ctx, qUncancel, s.ID, s.Subscriber, toMs(t.Created), s.ListID)
			return true, err
		})
		return err
	})
	return sub, err
}
