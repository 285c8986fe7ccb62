package store

import (
	"context"
	"errors"
	"time"

	"zonewire"
)

var (
	qFeedVersion    = sqlText(`SELECT hash, modified_ms FROM feed_version WHERE feed = ?1`)
	qFeedVersionPut = sqlText(`
		INSERT INTO feed_version (feed, hash, modified_ms)
		VALUES (?1, ?2, ?3)
		ON CONFLICT (feed) DO UPDATE SET hash = excluded.hash, modified_ms = excluded.modified_ms`)
)

// PutFeedVersion records which bytes a feed serves and gives the moment, in whole seconds, since when: the same hash
// keeps its moment, over restarts and on every replica, and a new one gets a moment later than the one before it.
func (db *DB) PutFeedVersion(ctx context.Context, feed, hash string, now time.Time) (modified time.Time, err error) {
	var current string
	var ms int64
	err = db.reader().row(ctx, qFeedVersion, []any{feed}, &current, &ms)
	if err == nil && current == hash {
		return fromMs(ms), nil
	}
	if err != nil && !errors.Is(err, zonewire.ErrNotFound) {
		return time.Time{}, readError("feed version", err)
	}
	err = db.write(ctx, "feed version", func(q querier) error {
		modified = now.UTC().Truncate(time.Second)
		switch err := q.row(ctx, qFeedVersion, []any{feed}, &current, &ms); {
		case err == nil && current == hash:
			modified = fromMs(ms)
			return errRollback
		case err == nil:
			// Two versions within a second would share a date, and a reader that has the first would keep it.
			if last := fromMs(ms); !modified.After(last) {
				modified = last.Add(time.Second)
			}
		case !errors.Is(err, zonewire.ErrNotFound):
			return err
		}
		_, err := q.exec(ctx, qFeedVersionPut, feed, hash, toMs(modified))
		return err
	})
	return modified, err
}
