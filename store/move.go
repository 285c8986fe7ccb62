package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"zonewire"
)

var (
	qMoving = sqlText(`
		SELECT ` + subscriptionColumns + `
		WHERE s.list_id = ?1 AND s.switch_to IS NOT NULL
		ORDER BY s.id`)
	qMovedTo = sqlText(`
		UPDATE subscription
		SET state = ?2, zones = ?3, confirmed_ms = ?4, consent = ?5, paused_until_ms = ?6, ended_ms = 0, reason = '',
			switch_to = NULL, came_from = ?7
		WHERE id = ?1`)
	qMovedAway = sqlText(`
		UPDATE subscription
		SET state = 'unsubscribed', reason = 'moved', paused_until_ms = 0, ended_ms = ?2, switch_to = NULL
		WHERE id = ?1`)
	qSwitchEnd = sqlText(`UPDATE subscription SET switch_to = NULL WHERE switch_to = ?1`)
)

// switchList notes that a place moves to another list of the same news after the next digest of its own; empty takes
// that back.
func switchList(ctx context.Context, q querier, act zonewire.Act, sub zonewire.Subscription, list zonewire.List, slug string) error {
	var to zonewire.List
	if slug != "" {
		var err error
		if to, err = listWhere(ctx, q, qList, slug); err != nil {
			return fmt.Errorf("list %s: %w", slug, err)
		}
		switch {
		case sub.State != zonewire.SubActive && sub.State != zonewire.SubPaused:
			return zonewire.Invalidf("the subscription to %s is %s: only an active or paused one can move", list.Slug, sub.State)
		case to.ID == list.ID, to.Private, !list.SameNews(to):
			return zonewire.Invalidf("list %s is not another rhythm of %s", to.Slug, list.Slug)
		}
	}
	if _, err := q.exec(ctx, qSubscriptionSwitch, sub.ID, nullID(to.ID)); err != nil {
		return err
	}
	return audit(ctx, q, act, "subscriber.switch", subject(sub.Subscriber), "list:"+list.Slug+" to:"+slug)
}

// moveReaders moves the places that wished so from a list that has just had a digest to lists of another rhythm. The mail of
// the old list has told them all that came until now, so they miss nothing, and noteTold sees that nothing is told twice.
func moveReaders(ctx context.Context, q querier, act zonewire.Act, l zonewire.List) error {
	moving, err := subscriptionsWhere(ctx, q, qMoving, l.ID)
	if err != nil {
		return err
	}
	for _, sub := range moving {
		to, err := listWhere(ctx, q, qList, sub.SwitchTo)
		if err != nil { // the foreign key holds the list; a removed one ends the wish
			return fmt.Errorf("list %s: %w", sub.SwitchTo, err)
		}
		there, err := subscriptionWhere(ctx, q, qSubscriptionOn, to.ID, sub.Subscriber)
		if errors.Is(err, zonewire.ErrNotFound) {
			err = q.row(ctx, qSubscriptionInsert, []any{sub.Subscriber, to.ID, string(sub.State), "", int64(0), "", toMs(act.At)}, &there.ID)
		}
		if err != nil {
			return err
		}
		if there.State != zonewire.SubActive && there.State != zonewire.SubPaused { // else they had both, and keep the other as it is
			_, err := q.exec(ctx, qMovedTo, there.ID, string(sub.State), zonewire.ZoneSet(sub.ZoneIDs), toMs(sub.Confirmed), sub.Consent,
				toMs(sub.PausedUntil), l.ID)
			if err != nil {
				return err
			}
		}
		if _, err := q.exec(ctx, qMovedAway, sub.ID, toMs(act.At)); err != nil {
			return err
		}
		if err := audit(ctx, q, act, "subscriber.move", subject(sub.Subscriber), "list:"+l.Slug+" to:"+to.Slug); err != nil {
			return err
		}
	}
	return nil
}

// moved is a place whose reader came from another list, which has told them stories.
type moved struct{ here, from, list int64 }

// A reader may have moved several times, and back.
var qMoved = sqlText(`
		WITH RECURSIVE moved (here, was, list_id) AS (
			SELECT s.id, o.id, o.list_id
			FROM subscription s
			JOIN subscription o ON o.list_id = s.came_from AND o.subscriber_id = s.subscriber_id
			WHERE s.list_id = ?1 AND s.came_from IS NOT NULL AND s.state = 'active'
			UNION
			SELECT m.here, o.id, o.list_id
			FROM moved m
			JOIN subscription s ON s.id = m.was
			JOIN subscription o ON o.list_id = s.came_from AND o.subscriber_id = s.subscriber_id)
		SELECT here, was, list_id
		FROM moved
		WHERE list_id <> ?1
		ORDER BY list_id, here`)

func movedTo(ctx context.Context, q querier, list int64) ([]moved, error) {
	return collect(ctx, q, qMoved, []any{list}, func(rows *sql.Rows) (moved, error) {
		var m moved
		err := rows.Scan(&m.here, &m.from, &m.list)
		return m, err
	})
}
