package store

import (
	"context"
	"database/sql"
	"fmt"

	"zonewire"
)

var (
	qSuppressed     = sqlText(`SELECT COUNT(*) FROM suppression WHERE address_hash = ?1 AND address_hash <> ''`)
	qSuppressionAdd = sqlText(`
		INSERT INTO suppression (address_hash, reason, created_ms)
		VALUES (?1, ?2, ?3)
		ON CONFLICT (address_hash) DO NOTHING`)
	qSuppressionDrop = sqlText(`DELETE FROM suppression WHERE address_hash = ?1`)
	qSuppressions    = sqlText(`
		SELECT p.address_hash, p.reason, p.created_ms, COALESCE(u.id, 0), COALESCE(u.email, '')
		FROM suppression p
		LEFT JOIN subscriber u ON u.address_hash = p.address_hash AND u.erased_ms = 0
		ORDER BY p.created_ms, p.address_hash
		LIMIT ?1`)
	qByHash       = sqlText(`SELECT id FROM subscriber WHERE address_hash = ?1 AND erased_ms = 0`)
	qSuppressOpen = sqlText(`
		UPDATE delivery ` + ending("6", "?2", "?3") + `
		WHERE state IN (0, 1, 2) AND subscriber_id = ?1`)
	qEndSubscriptions = sqlText(`
		UPDATE subscription
		SET state = ?2, reason = ?3, paused_until_ms = 0, ended_ms = ?4
		WHERE subscriber_id = ?1 AND state IN ('pending', 'active', 'paused')`)
	qReviveBounced = sqlText(`
		UPDATE subscription
		SET state = CASE WHEN confirmed_ms > 0 THEN 'active' ELSE 'pending' END, reason = '', ended_ms = 0
		WHERE subscriber_id = ?1 AND state = 'bounced'`)
)

// AddSuppression keeps an address from all mail: what is open for it and not begun is closed as suppressed, in the same
// transaction, and each later digest has a row that says so. It answers false if the address was suppressed before.
func (db *DB) AddSuppression(ctx context.Context, act zonewire.Act, hash, reason string) (added bool, err error) {
	err = db.write(ctx, "add suppression", func(q querier) error {
		n, err := q.exec(ctx, qSuppressionAdd, hash, reason, toMs(act.At))
		if err != nil {
			return err
		}
		if added = n > 0; !added {
			return nil
		}
		person, err := personByHash(ctx, q, hash)
		if err != nil {
			return err
		}
		if person != 0 {
			if _, err := q.exec(ctx, qSuppressOpen, person, reason, toMs(act.At)); err != nil {
				return err
			}
		}
		return audit(ctx, q, act, "suppression.add", suppressed(hash, person), reason)
	})
	return added, err
}

// RemoveSuppression lets mail go to an address again. Places on lists that ended because its mail bounced stand again;
// who left or complained stays away. [zonewire.ErrNotFound] if it is not suppressed.
func (db *DB) RemoveSuppression(ctx context.Context, act zonewire.Act, hash string) error {
	return db.write(ctx, "remove suppression", func(q querier) error {
		n, err := q.exec(ctx, qSuppressionDrop, hash)
		if err != nil {
			return err
		}
		if n == 0 {
			return zonewire.ErrNotFound
		}
		person, err := personByHash(ctx, q, hash)
		if err != nil {
			return err
		}
		if person != 0 {
			if err := revive(ctx, q, person); err != nil {
				return err
			}
		}
		return audit(ctx, q, act, "suppression.remove", suppressed(hash, person), "")
	})
}

// revive lets bounced places stand again, with the strikes forgotten.
func revive(ctx context.Context, q querier, person int64) error {
	if _, err := q.exec(ctx, qReviveBounced, person); err != nil {
		return err
	}
	_, err := q.exec(ctx, qStrikesForget, person)
	return err
}

// suppressed names an address in the audit: by the person's number, or by a part of the keyed hash that tells nobody
// the address.
func suppressed(hash string, person int64) string {
	if person != 0 {
		return subject(person)
	}
	return "address:" + hash[:min(12, len(hash))]
}

// personByHash finds who has the address now; 0 if nobody does.
func personByHash(ctx context.Context, q querier, hash string) (int64, error) {
	ids, err := collect(ctx, q, qByHash, []any{hash}, scanInt)
	if err != nil || len(ids) == 0 || hash == "" {
		return 0, err
	}
	return ids[0], nil
}

// Suppressed reports whether an address is.
func (db *DB) Suppressed(ctx context.Context, hash string) (bool, error) {
	var n int
	err := db.reader().row(ctx, qSuppressed, []any{hash}, &n)
	return n > 0, readError("suppression", err)
}

// Suppressions lists the suppressed addresses, oldest first.
func (db *DB) Suppressions(ctx context.Context, limit int) ([]zonewire.Suppression, error) {
	all, err := collect(ctx, db.reader(), qSuppressions, []any{int64(limit)}, func(rows *sql.Rows) (zonewire.Suppression, error) {
		var s zonewire.Suppression
		var created int64
		err := rows.Scan(&s.Hash, &s.Reason, &created, &s.Subscriber, &s.Email)
		s.Created = fromMs(created)
		return s, err
	})
	return all, readError("suppressions", err)
}

// suppress ends all that a person gets, for a reason that lies with their address.
func suppress(ctx context.Context, q querier, act zonewire.Act, person int64, state zonewire.SubscriptionState, reason string) error {
	var hash string
	if err := q.row(ctx, qAddressHash, []any{person}, &hash); err != nil {
		return err
	}
	if hash == "" {
		return fmt.Errorf("subscriber %d: %w", person, zonewire.ErrGone) // erased: no address is left to suppress
	}
	for _, step := range []struct {
		text query
		args []any
	}{
		{qSuppressionAdd, []any{hash, reason, toMs(act.At)}},
		{qEndSubscriptions, []any{person, string(state), reason, toMs(act.At)}},
		{qSuppressOpen, []any{person, reason, toMs(act.At)}},
	} {
		if _, err := q.exec(ctx, step.text, step.args...); err != nil {
			return err
		}
	}
	return audit(ctx, q, act, "subscriber.suppress", subject(person), reason)
}
