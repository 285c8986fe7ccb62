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

const (
	usedEvery   = time.Minute    // how exactly the last use of a key is known
	answersKept = 24 * time.Hour // an Idempotency-Key is good for a day
	answerTime  = time.Minute    // past it whoever was to answer is taken for dead
)

const keyColumns = `
		SELECT id, name, zones, created_ms, used_ms, revoked_ms
		FROM api_key`

var (
	qKeys      = sqlText(keyColumns + ` WHERE revoked_ms = 0 ORDER BY name`)
	qKeyByHash = sqlText(keyColumns + ` WHERE hash = ?1 AND revoked_ms = 0`)
	qKeyNamed  = sqlText(`SELECT id FROM api_key WHERE name = ?1 AND revoked_ms = 0`)
	qKeyInsert = sqlText(`
		INSERT INTO api_key (name, hash, zones, created_ms, used_ms, revoked_ms)
		VALUES (?1, ?2, ?3, ?4, 0, 0)
		RETURNING id`)
	qKeyUsed   = sqlText(`UPDATE api_key SET used_ms = ?2 WHERE id = ?1 AND used_ms < ?2`)
	qKeyRevoke = sqlText(`UPDATE api_key SET revoked_ms = ?2 WHERE id = ?1`)

	qAnswers     = sqlText(`DELETE FROM idempotency WHERE created_ms < ?1`)
	qAnswer      = sqlText(`SELECT request, status, type, body, created_ms, done_ms FROM idempotency WHERE key_id = ?1 AND name = ?2`)
	qAnswerBegin = sqlText(`
		INSERT INTO idempotency (key_id, name, request, status, type, body, created_ms, done_ms)
		VALUES (?1, ?2, ?3, 0, '', ?4, ?5, 0)`)
	qAnswerEnd = sqlText(`
		UPDATE idempotency
		SET status = ?3, type = ?4, body = ?5, done_ms = ?6
		WHERE key_id = ?1 AND name = ?2`)
	qAnswerDrop = sqlText(`DELETE FROM idempotency WHERE key_id = ?1 AND name = ?2`)
)

func scanKey(rows interface{ Scan(...any) error }) (zonewire.APIKey, error) {
	var k zonewire.APIKey
	var zones string
	var created, used, revoked int64
	if err := rows.Scan(&k.ID, &k.Name, &zones, &created, &used, &revoked); err != nil {
		return k, err
	}
	k.Created, k.Used, k.Revoked = fromMs(created), fromMs(used), fromMs(revoked)
	var err error
	k.Zones, err = zonewire.ParseZoneSet(zones)
	return k, err
}

// Keys lists the keys that stand, by name.
func (db *DB) Keys(ctx context.Context) ([]zonewire.APIKey, error) {
	q := db.reader()
	all, err := collect(ctx, q, qKeys, nil, func(rows *sql.Rows) (zonewire.APIKey, error) { return scanKey(rows) })
	for i := range all {
		if err == nil {
			all[i].Slugs, err = zoneSlugs(ctx, q, all[i].Zones)
		}
	}
	return all, readError("keys", err)
}

// AddKey adds a key with the hash of its token. [zonewire.ErrExists] while another of its name stands.
func (db *DB) AddKey(ctx context.Context, act zonewire.Act, name, hash string, zones []int64) (k zonewire.APIKey, err error) {
	err = db.write(ctx, "add key "+name, func(q querier) error {
		var id int64
		if err := q.row(ctx, qKeyNamed, []any{name}, &id); err == nil {
			return zonewire.ErrExists
		} else if !errors.Is(err, zonewire.ErrNotFound) {
			return err
		}
		set := zonewire.ZoneSet(zones)
		k = zonewire.APIKey{Name: name, Created: act.At}
		if k.Zones, err = zonewire.ParseZoneSet(set); err != nil {
			return err
		}
		if err := q.row(ctx, qKeyInsert, []any{name, hash, set, toMs(act.At)}, &k.ID); err != nil {
			return err
		}
		if k.Slugs, err = zoneSlugs(ctx, q, k.Zones); err != nil {
			return err
		}
		return audit(ctx, q, act, "key.add", "key:"+name, "")
	})
	return k, err
}

// RevokeKey ends a key at once; its name may be given again. [zonewire.ErrNotFound].
func (db *DB) RevokeKey(ctx context.Context, act zonewire.Act, name string) error {
	return db.write(ctx, "key "+name, func(q querier) error {
		var id int64
		if err := q.row(ctx, qKeyNamed, []any{name}, &id); err != nil {
			return err
		}
		if _, err := q.exec(ctx, qKeyRevoke, id, toMs(act.At)); err != nil {
			return err
		}
		return audit(ctx, q, act, "key.revoke", "key:"+name, "")
	})
}

// KeyByToken finds the key that a token is of, and notes its use to the minute. [zonewire.ErrNotFound] for a token that is
// unknown or revoked.
func (db *DB) KeyByToken(ctx context.Context, token string, now time.Time) (zonewire.APIKey, error) {
	q := db.reader()
	k, err := scanKey(q.x.QueryRowContext(ctx, q.text(qKeyByHash), zonewire.HashKeyToken(token)))
	if errors.Is(err, sql.ErrNoRows) {
		err = zonewire.ErrNotFound
	}
	if err == nil {
		k.Slugs, err = zoneSlugs(ctx, q, k.Zones)
	}
	if err != nil {
		return zonewire.APIKey{}, readError("key", err)
	}
	if now.Sub(k.Used) >= usedEvery {
		err = db.transact(ctx, "use of key "+k.Name, free, func(q querier) error {
			_, err := q.exec(ctx, qKeyUsed, k.ID, toMs(now))
			return err
		})
		k.Used = now
	}
	return k, err
}

// MatchZone finds the zone that a name means, as an article that gives it is filed. [zonewire.ErrNotFound] if it waits.
func (db *DB) MatchZone(ctx context.Context, name, province, city string) (zonewire.Zone, error) {
	q := db.reader()
	match, err := db.currentMatcher(ctx, q)
	if err != nil {
		return zonewire.Zone{}, readError("zone "+name, err)
	}
	id, ok := match(name, province, city)
	if !ok {
		return zonewire.Zone{}, readError("zone "+name, zonewire.ErrNotFound)
	}
	slugs, err := zoneSlugs(ctx, q, []int64{id})
	if err != nil {
		return zonewire.Zone{}, readError("zone "+strconv.FormatInt(id, 10), err)
	}
	z, err := zoneNamed(ctx, q, slugs[0])
	return z, readError("zone "+slugs[0], err)
}

// BeginAnswer begins a request that carries an Idempotency-Key, the name; request is a hash of what it asks. It gives the
// answer of an earlier one that is to be given again, or nil: the caller answers, and ends with [DB.FinishAnswer] or
// [DB.DropAnswer]. [zonewire.ErrBusy] while the first is at work, [zonewire.ErrExists] if it asked something else.
func (db *DB) BeginAnswer(ctx context.Context, key int64, name, request string, now time.Time) (again *zonewire.StoredAnswer, err error) {
	err = db.write(ctx, "idempotency key", func(q querier) error {
		again = nil
		if _, err := q.exec(ctx, qAnswers, toMs(now.Add(-answersKept))); err != nil {
			return err
		}
		var first string
		var a zonewire.StoredAnswer
		var created, done int64
		err := q.row(ctx, qAnswer, []any{key, name}, &first, &a.Status, &a.Type, &a.Body, &created, &done)
		switch {
		case errors.Is(err, zonewire.ErrNotFound):
		case err != nil:
			return err
		case first != request:
			return fmt.Errorf("it was used for another request: %w", zonewire.ErrExists)
		case done > 0:
			again = &a
			return nil
		case now.Sub(fromMs(created)) < answerTime:
			return fmt.Errorf("the first request is not answered yet: %w", zonewire.ErrBusy)
		default: // its process died; what it asked is an upsert and may be done again
			if _, err := q.exec(ctx, qAnswerDrop, key, name); err != nil {
				return err
			}
		}
		_, err = q.exec(ctx, qAnswerBegin, key, name, request, []byte{}, toMs(now))
		return err
	})
	return again, err
}

// FinishAnswer keeps the answer for a day.
func (db *DB) FinishAnswer(ctx context.Context, key int64, name string, a zonewire.StoredAnswer, now time.Time) error {
	return db.write(ctx, "idempotency key", func(q querier) error {
		if a.Body == nil {
			a.Body = []byte{} // NULL otherwise
		}
		_, err := q.exec(ctx, qAnswerEnd, key, name, int64(a.Status), a.Type, a.Body, toMs(now))
		return err
	})
}

// DropAnswer forgets a request that failed, so that it may be tried again.
func (db *DB) DropAnswer(ctx context.Context, key int64, name string) error {
	return db.write(ctx, "idempotency key", func(q querier) error {
		_, err := q.exec(ctx, qAnswerDrop, key, name)
		return err
	})
}
