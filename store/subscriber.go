package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"zonewire"
)

const subscriptionColumns = `s.id, s.subscriber_id, s.list_id, l.slug, s.state, s.zones, s.confirmed_ms, s.consent, s.paused_until_ms,
			s.created_ms, s.ended_ms, s.reason, COALESCE((SELECT w.slug FROM list w WHERE w.id = s.switch_to), '')
		FROM subscription s
		JOIN list l ON l.id = s.list_id`

var (
	qSubscriberByKey = sqlText(`
		SELECT id, email, name, locale, created_ms, erased_ms
		FROM subscriber
		WHERE email_key = ?1 AND erased_ms = 0`)
	qSubscribers = sqlText(`
		SELECT id, email, name, locale, created_ms, erased_ms
		FROM subscriber
		WHERE id > ?1 AND erased_ms = 0
			AND (CAST(?2 AS TEXT) = '' AND CAST(?3 AS TEXT) = '' OR id IN (
				SELECT s.subscriber_id
				FROM subscription s
				JOIN list l ON l.id = s.list_id
				WHERE l.removed_ms = 0
					AND (CAST(?2 AS TEXT) = '' OR l.slug = ?2)
					AND (CAST(?3 AS TEXT) = '' OR s.state = ?3)))
		ORDER BY id
		LIMIT ?4`)
	qSubscriberInsert = sqlText(`
		INSERT INTO subscriber (email, email_key, address_hash, provider, name, locale, created_ms, erased_ms)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)
		RETURNING id`)
	qSubscriberUpdate = sqlText(`
		UPDATE subscriber
		SET email = ?2, email_key = ?3, address_hash = ?4, provider = ?5, name = ?6, locale = ?7
		WHERE id = ?1`)
	qSubscriberErase = sqlText(`
		UPDATE subscriber
		SET email = '', email_key = '', address_hash = '', name = '', erased_ms = ?2
		WHERE id = ?1`)
	qSubscriptions = sqlText(`
		SELECT ` + subscriptionColumns + `
		WHERE s.subscriber_id = ?1
		ORDER BY l.slug, s.id`)
	qSubscription = sqlText(`
		SELECT ` + subscriptionColumns + `
		WHERE s.id = ?1`)
	qSubscriptionOn = sqlText(`
		SELECT ` + subscriptionColumns + `
		WHERE s.list_id = ?1 AND s.subscriber_id = ?2`)
	qSubscriptionInsert = sqlText(`
		INSERT INTO subscription (subscriber_id, list_id, state, zones, confirmed_ms, consent, paused_until_ms, created_ms, ended_ms)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, 0)
		RETURNING id`)
	qSubscriptionState = sqlText(`
		UPDATE subscription
		SET state = ?2, confirmed_ms = ?3, consent = ?4, paused_until_ms = ?5, ended_ms = ?6, reason = '',
			switch_to = CASE WHEN CAST(?2 AS TEXT) IN ('active', 'paused') THEN switch_to END
		WHERE id = ?1`)
	qPauseOver = sqlText(`
		UPDATE subscription
		SET state = 'active', paused_until_ms = 0
		WHERE list_id = ?1 AND state = 'paused' AND paused_until_ms > 0 AND paused_until_ms <= ?2`)
	qAddressHash        = sqlText(`SELECT address_hash FROM subscriber WHERE id = ?1`)
	qAddressParts       = sqlText(`SELECT address_hash, provider FROM subscriber WHERE id = ?1`)
	qCancelSubscription = sqlText(`
		UPDATE delivery ` + ending("7", "?2", "?3") + `
		WHERE state IN (0, 1, 2) AND subscription_id = ?1 AND subscriber_id = ?4`)
	qCancelSubscriber = sqlText(`
		UPDATE delivery ` + ending("7", "?2", "?3") + `
		WHERE state IN (0, 1, 2) AND subscriber_id = ?1`)
	qCancelNotices = sqlText(`
		UPDATE notice ` + ending("7", "?2", "?3") + `, email = '', body = ?4
		WHERE state IN (0, 1, 2) AND subscriber_id = ?1`)
	qBlankReplies = sqlText(`UPDATE delivery SET reply = '' WHERE subscriber_id = ?1 AND reply <> ''`)
	qBlankNotices = sqlText(`UPDATE notice SET reply = '', email = '' WHERE subscriber_id = ?1 AND state NOT IN (0, 1, 2)`)
)

func scanSubscriber(rows interface{ Scan(...any) error }) (zonewire.Subscriber, error) {
	var s zonewire.Subscriber
	var created, erased int64
	err := rows.Scan(&s.ID, &s.Email, &s.Name, &s.Locale, &created, &erased)
	if errors.Is(err, sql.ErrNoRows) {
		err = zonewire.ErrNotFound
	}
	s.Created, s.Erased = fromMs(created), fromMs(erased)
	return s, err
}

func subscriptionsWhere(ctx context.Context, q querier, text query, args ...any) ([]zonewire.Subscription, error) {
	all, err := collect(ctx, q, text, args, func(rows *sql.Rows) (zonewire.Subscription, error) {
		var s zonewire.Subscription
		var set string
		var confirmed, until, created, ended int64
		err := rows.Scan(&s.ID, &s.Subscriber, &s.ListID, &s.List, &s.State, &set, &confirmed, &s.Consent, &until, &created, &ended, &s.Reason, &s.SwitchTo)
		if err != nil {
			return s, err
		}
		s.Confirmed, s.PausedUntil, s.Created, s.Ended = fromMs(confirmed), fromMs(until), fromMs(created), fromMs(ended)
		s.ZoneIDs, err = zonewire.ParseZoneSet(set)
		return s, err
	})
	for i := range all {
		if err == nil {
			all[i].Zones, err = zoneSlugs(ctx, q, all[i].ZoneIDs)
		}
	}
	return all, err
}

func subscriptionWhere(ctx context.Context, q querier, text query, args ...any) (zonewire.Subscription, error) {
	all, err := subscriptionsWhere(ctx, q, text, args...)
	if err == nil && len(all) == 0 {
		err = zonewire.ErrNotFound
	}
	if err != nil {
		return zonewire.Subscription{}, err
	}
	return all[0], nil
}

// Subscribe gives a person a place on a list. Someone who left, bounced or complained is not brought back:
// [zonewire.SubscribeRefused]. [zonewire.ErrNotFound] if there is no such list or zone.
func (db *DB) Subscribe(ctx context.Context, act zonewire.Act, n zonewire.NewSubscription) (sub zonewire.Subscription, result zonewire.SubscribeResult, err error) {
	err = db.write(ctx, "subscribe to "+n.List, func(q querier) error {
		list, err := listWhere(ctx, q, qList, n.List)
		if err != nil {
			return fmt.Errorf("list %s: %w", n.List, err)
		}
		zones, err := chosenZones(ctx, q, list, n.Zones)
		if err != nil {
			return err
		}
		person, err := findOrAddPerson(ctx, q, act, n)
		if err != nil {
			return err
		}
		var barred int
		if err := q.row(ctx, qSuppressed, []any{n.Address.Hash}, &barred); err != nil {
			return err
		}
		sub, err = subscriptionWhere(ctx, q, qSubscriptionOn, list.ID, person)
		switch {
		case err != nil && !errors.Is(err, zonewire.ErrNotFound):
			return err
		case n.Force == "" && n.Confirmed && (barred > 0 || err == nil && ended(sub.State)):
			result = zonewire.SubscribeRefused
			return nil
		case barred == 0 && err == nil && (sub.State == zonewire.SubActive || sub.State == zonewire.SubPaused || !n.Confirmed && sub.State == zonewire.SubPending):
			result = zonewire.SubscribeUnchanged
			return nil
		}
		result = zonewire.SubscribeAdded
		if err == nil {
			result = zonewire.SubscribeConfirmed
		}
		if n.Force != "" && n.Confirmed && (barred > 0 || ended(sub.State)) {
			result = zonewire.SubscribeRevived
			if err := welcome(ctx, q, person); err != nil {
				return err
			}
			if err := audit(ctx, q, act, "subscriber.force", subject(person), "list:"+n.List+" "+n.Force); err != nil {
				return err
			}
		}
		return settleSubscription(ctx, q, act, n, list, person, zones, &sub)
	})
	return sub, result, err
}

// ended reports whether a place on a list was given up.
func ended(s zonewire.SubscriptionState) bool {
	return s == zonewire.SubUnsubscribed || s == zonewire.SubBounced
}

// welcome lifts what bars a person's address, with the strikes forgotten.
func welcome(ctx context.Context, q querier, person int64) error {
	var hash string
	if err := q.row(ctx, qAddressHash, []any{person}, &hash); err != nil {
		return err
	}
	if _, err := q.exec(ctx, qSuppressionDrop, hash); err != nil {
		return err
	}
	_, err := q.exec(ctx, qStrikesForget, person)
	return err
}

// settleSubscription writes a new or pending place, and the letter that asks for confirmation.
func settleSubscription(ctx context.Context, q querier, act zonewire.Act, n zonewire.NewSubscription, list zonewire.List, person int64, zones []int64, sub *zonewire.Subscription) error {
	state, confirmed := zonewire.SubPending, time.Time{}
	if n.Confirmed {
		state, confirmed = zonewire.SubActive, act.At
	}
	if sub.ID == 0 {
		err := q.row(ctx, qSubscriptionInsert, []any{person, list.ID, string(state), zonewire.ZoneSet(zones), toMs(confirmed),
			n.Consent, toMs(act.At)}, &sub.ID)
		if err != nil {
			return err
		}
	} else if _, err := q.exec(ctx, qSubscriptionState, sub.ID, string(state), toMs(confirmed), n.Consent, int64(0), int64(0)); err != nil {
		return err
	}
	var err error
	if *sub, err = subscriptionWhere(ctx, q, qSubscription, sub.ID); err != nil {
		return err
	}
	if state == zonewire.SubPending && n.Letters != nil {
		if err := askToConfirm(ctx, q, act, n, list, zonewire.Subscriber{ID: person, Email: n.Address.Given}, *sub, zones); err != nil {
			return err
		}
	}
	return audit(ctx, q, act, "subscriber.subscribe", subject(person), "list:"+list.Slug+" "+string(state))
}

func subject(subscriber int64) string { return "subscriber:" + strconv.FormatInt(subscriber, 10) }

// chosenZones checks that the list can carry each zone chosen.
func chosenZones(ctx context.Context, q querier, list zonewire.List, slugs []string) ([]int64, error) {
	ids, _, err := zoneIDs(ctx, q, slugs)
	if err != nil {
		return nil, err
	}
	for _, slug := range slugs {
		z, err := zoneBySlug(ctx, q, slug)
		if err != nil {
			return nil, err
		}
		if !list.Covers(z) {
			return nil, zonewire.Invalidf("list %s does not carry zone %s", list.Slug, slug)
		}
	}
	return ids, nil
}

func findOrAddPerson(ctx context.Context, q querier, act zonewire.Act, n zonewire.NewSubscription) (int64, error) {
	s, err := personByKey(ctx, q, n.Address.Key)
	if err == nil || !errors.Is(err, zonewire.ErrNotFound) {
		return s.ID, err
	}
	return s.ID, q.row(ctx, qSubscriberInsert, []any{n.Address.Given, n.Address.Key, n.Address.Hash, n.Address.Provider, n.Name, n.Locale, toMs(act.At)}, &s.ID)
}

// Subscriber finds a person by the compared form of the address. [zonewire.ErrNotFound].
func (db *DB) Subscriber(ctx context.Context, key string) (zonewire.Subscriber, error) {
	s, err := subscriberByKey(ctx, db.reader(), key)
	return s, readError("subscriber", err)
}

// personByKey finds a person without their places.
func personByKey(ctx context.Context, q querier, key string) (zonewire.Subscriber, error) {
	return scanSubscriber(q.x.QueryRowContext(ctx, q.text(qSubscriberByKey), key))
}

func subscriberByKey(ctx context.Context, q querier, key string) (zonewire.Subscriber, error) {
	s, err := personByKey(ctx, q, key)
	if err != nil {
		return s, err
	}
	s.Subscriptions, err = subscriptionsWhere(ctx, q, qSubscriptions, s.ID)
	return s, err
}

// Subscribers lists people with their subscriptions, by id.
func (db *DB) Subscribers(ctx context.Context, sq zonewire.SubscriberQuery) ([]zonewire.Subscriber, error) {
	if sq.Limit == 0 {
		sq.Limit = 1<<31 - 1
	}
	q := db.reader()
	all, err := collect(ctx, q, qSubscribers, []any{sq.After, sq.List, string(sq.State), int64(sq.Limit)}, func(rows *sql.Rows) (zonewire.Subscriber, error) {
		return scanSubscriber(rows)
	})
	for i := range all {
		if err == nil {
			all[i].Subscriptions, err = subscriptionsWhere(ctx, q, qSubscriptions, all[i].ID)
		}
	}
	return all, readError("subscribers", err)
}

// Subscription gives a subscription and its list. [zonewire.ErrNotFound].
func (db *DB) Subscription(ctx context.Context, id int64) (zonewire.Subscription, zonewire.List, error) {
	sub, list, err := subscriptionAndList(ctx, db.reader(), id)
	return sub, list, readError("subscription", err)
}

func subscriptionAndList(ctx context.Context, q querier, id int64) (zonewire.Subscription, zonewire.List, error) {
	sub, err := subscriptionWhere(ctx, q, qSubscription, id)
	if err != nil {
		return sub, zonewire.List{}, err
	}
	list, err := listWhere(ctx, q, qListByID, sub.ListID)
	return sub, list, err
}

// changeSubscription moves one subscription to another state; change answers false to leave it as it is.
func (db *DB) changeSubscription(ctx context.Context, act zonewire.Act, id int64, action string, change change) (sub zonewire.Subscription, err error) {
	err = db.write(ctx, action, func(q querier) error {
		sub, err = changeWithin(ctx, q, act, id, action, change)
		return err
	})
	return sub, err
}

type change func(ctx context.Context, q querier, s *zonewire.Subscription) (bool, error)

func changeWithin(ctx context.Context, q querier, act zonewire.Act, id int64, action string, change change) (zonewire.Subscription, error) {
	sub, err := subscriptionWhere(ctx, q, qSubscription, id)
	if err != nil {
		return sub, err
	}
	changed, err := change(ctx, q, &sub)
	if err != nil || !changed {
		return sub, err
	}
	_, err = q.exec(ctx, qSubscriptionState, sub.ID, string(sub.State), toMs(sub.Confirmed), sub.Consent, toMs(sub.PausedUntil), toMs(sub.Ended))
	if err != nil {
		return sub, err
	}
	sub.Reason = ""
	return sub, audit(ctx, q, act, action, subject(sub.Subscriber), "list:"+sub.List)
}

// What the audit calls changes of a place.
const (
	actConfirm     = "subscriber.confirm"
	actUnsubscribe = "subscriber.unsubscribe"
	actUndo        = "subscriber.undo"
	actPause       = "subscriber.pause"
	actResume      = "subscriber.resume"
)

// Unsubscribe ends a subscription and, in the same transaction, cancels its deliveries that were not begun. Ending it
// twice is the same as once.
func (db *DB) Unsubscribe(ctx context.Context, act zonewire.Act, id int64) (zonewire.Subscription, error) {
	return db.changeSubscription(ctx, act, id, actUnsubscribe, leaving(act))
}

func unsubscribe(ctx context.Context, q querier, act zonewire.Act, id int64) error {
	_, err := changeWithin(ctx, q, act, id, actUnsubscribe, leaving(act))
	return err
}

func leaving(act zonewire.Act) change {
	return func(ctx context.Context, q querier, s *zonewire.Subscription) (bool, error) {
		if s.State == zonewire.SubUnsubscribed {
			return false, nil
		}
		s.State, s.Ended, s.PausedUntil = zonewire.SubUnsubscribed, act.At, time.Time{}
		_, err := q.exec(ctx, qCancelSubscription, s.ID, "unsubscribed", toMs(act.At), s.Subscriber)
		return true, err
	}
}

// PauseSubscription stops a person's digests of a list until a moment, or until resumed if that is zero.
func (db *DB) PauseSubscription(ctx context.Context, act zonewire.Act, id int64, until time.Time) (zonewire.Subscription, error) {
	return db.changeSubscription(ctx, act, id, actPause, pausing(act, until))
}

func pausing(act zonewire.Act, until time.Time) change {
	return func(ctx context.Context, q querier, s *zonewire.Subscription) (bool, error) {
		if s.State != zonewire.SubActive && s.State != zonewire.SubPaused {
			return false, zonewire.Invalidf("the subscription to %s is %s: only an active one can pause", s.List, s.State)
		}
		s.State, s.PausedUntil = zonewire.SubPaused, until
		_, err := q.exec(ctx, qCancelSubscription, s.ID, "paused", toMs(act.At), s.Subscriber)
		return true, err
	}
}

// ResumeSubscription ends a pause. What fell into it is not mailed.
func (db *DB) ResumeSubscription(ctx context.Context, act zonewire.Act, id int64) (zonewire.Subscription, error) {
	return db.changeSubscription(ctx, act, id, actResume, resuming)
}

func resuming(_ context.Context, _ querier, s *zonewire.Subscription) (bool, error) {
	if s.State != zonewire.SubPaused {
		return false, nil
	}
	s.State, s.PausedUntil = zonewire.SubActive, time.Time{}
	return true, nil
}

// SubscriberEdit is what [DB.EditSubscriber] changes; a nil field stays.
type SubscriberEdit struct {
	Name, Locale *string
	Address      *zonewire.Address
	Zones        *[]string // of every subscription whose list carries them
}

// EditSubscriber changes a person. A new address cancels the open deliveries to the old one.
// [zonewire.ErrExists] if someone else has the new address.
func (db *DB) EditSubscriber(ctx context.Context, act zonewire.Act, key string, e SubscriberEdit) (edited zonewire.Subscriber, err error) {
	err = db.write(ctx, "edit subscriber", func(q querier) error {
		s, err := subscriberByKey(ctx, q, key)
		if err != nil {
			return err
		}
		address := zonewire.Address{Given: s.Email, Key: key}
		if err := q.row(ctx, qAddressParts, []any{s.ID}, &address.Hash, &address.Provider); err != nil {
			return err
		}
		if e.Name != nil {
			s.Name = *e.Name
		}
		if e.Locale != nil {
			s.Locale = *e.Locale
		}
		if e.Address != nil {
			address = *e.Address
			if err := leaveAddress(ctx, q, act, s.ID, address); err != nil {
				return err
			}
		}
		if _, err := q.exec(ctx, qSubscriberUpdate, s.ID, address.Given, address.Key, address.Hash, address.Provider, s.Name, s.Locale); err != nil {
			return err
		}
		if e.Zones != nil {
			for _, sub := range s.Subscriptions {
				list, err := listWhere(ctx, q, qListByID, sub.ListID)
				if err != nil {
					return err
				}
				ids, err := chosenZones(ctx, q, list, *e.Zones)
				if err != nil {
					return err
				}
				if _, err := q.exec(ctx, qSubscriptionSet, sub.ID, zonewire.ZoneSet(ids)); err != nil {
					return err
				}
			}
		}
		if err := audit(ctx, q, act, "subscriber.edit", subject(s.ID), ""); err != nil {
			return err
		}
		edited, err = subscriberByKey(ctx, q, address.Key)
		return err
	})
	return edited, err
}

var qReaders = sqlText(`SELECT COUNT(DISTINCT subscriber_id) FROM subscription WHERE state = 'active'`)

// Readers counts the people with a place on any list.
func (db *DB) Readers(ctx context.Context) (n int, err error) {
	return n, readError("readers", db.reader().row(ctx, qReaders, nil, &n))
}
