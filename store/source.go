package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"zonewire"
)

const sourceColumns = `s.id, s.kind, s.url, s.title, COALESCE(s.zone_id, 0), COALESCE(z.slug, ''), s.selectors, s.charset, s.every_ms,
			s.state, s.reason, s.since_ms, s.next_ms, s.etag, s.last_modified, s.body_hash, s.parser, s.polled_ms,
			s.succeeded_ms, s.changed_ms, s.whole_ms, s.list_ms, s.errors, s.failing_ms, s.gone, s.gone_ms, s.moved_to,
			s.moved_times, s.hints, s.hub, s.topic, s.lease_ms, s.lease_next_ms, s.denied, s.created_ms, s.removed_ms
		FROM source s
		LEFT JOIN zone z ON z.id = s.zone_id`

var (
	qSources = sqlText(`
		SELECT ` + sourceColumns + `
		WHERE s.removed_ms = 0
		ORDER BY s.id`)
	qSource = sqlText(`
		SELECT ` + sourceColumns + `
		WHERE s.id = ?1`)
	qSourceByURL  = sqlText(`SELECT id FROM source WHERE url = ?1 AND removed_ms = 0`)
	qSourceInsert = sqlText(`
		INSERT INTO source (kind, url, host, title, zone_id, selectors, charset, every_ms, state, reason, since_ms, next_ms,
			claim, until_ms, etag, last_modified, body_hash, parser, polled_ms, succeeded_ms, changed_ms, whole_ms, list_ms,
			errors, failing_ms, gone, gone_ms, moved_to, moved_times, hints, hub, topic, lease_ms, lease_next_ms, denied,
			created_ms, removed_ms)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, '', ?10, ?11, 0, 0, '', '', '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', 0, '', '', '',
			0, 0, '', ?10, 0)
		RETURNING id`)
	// What an operator says of a source. Another address is another thing to remember.
	qSourceEdit = sqlText(`
		UPDATE source
		SET title = ?2, zone_id = ?3, selectors = ?4, charset = ?5, every_ms = ?6, state = ?7, reason = ?8, since_ms = ?9,
			next_ms = ?10, errors = ?11, failing_ms = ?12, gone = ?13, gone_ms = ?14, list_ms = ?15, parser = ?16
		WHERE id = ?1`)
	qSourceRemove = sqlText(`UPDATE source SET removed_ms = ?2, claim = claim + 1, until_ms = 0 WHERE id = ?1`)
	qQueueRemove  = sqlText(`DELETE FROM source_page WHERE source_id = ?1`)
	qSourceCounts = sqlText(`SELECT state, COUNT(*) FROM source WHERE removed_ms = 0 GROUP BY state`)
	qQueuedAll    = sqlText(`
		SELECT COUNT(*)
		FROM source_page p
		JOIN source s ON s.id = p.source_id
		WHERE p.done_ms = 0 AND s.removed_ms = 0`)
	qPolls = sqlText(`
		SELECT at_ms, status, took_ms, bytes, items, added, updated, unchanged, rejected, note
		FROM poll
		WHERE source_id = ?1
		ORDER BY id DESC
		LIMIT ?2`)
	qSubscriptionsDue = sqlText(`
		SELECT ` + sourceColumns + `
		WHERE s.removed_ms = 0 AND s.state IN ('active', 'failing', 'blocked') AND s.hub <> '' AND s.lease_next_ms <= ?1
		ORDER BY s.lease_next_ms, s.id`)
	qHubSet = sqlText(`UPDATE source SET hub = ?2, topic = ?3, lease_ms = ?4, lease_next_ms = ?5, denied = ?6 WHERE id = ?1`)
)

func scanSource(rows interface{ Scan(...any) error }) (zonewire.Source, error) {
	var s zonewire.Source
	var kind, state, selectors string
	var every, since, next, polled, succeeded, changed, whole, list, failing, gone, lease, leaseNext, created, removed int64
	m, h := &s.Memory, &s.Sub
	err := rows.Scan(&s.ID, &kind, &s.URL, &s.Title, &s.ZoneID, &s.Zone, &selectors, &s.Charset, &every,
		&state, &s.Reason, &since, &next, &m.ETag, &m.LastModified, &m.BodyHash, &m.Parser, &polled,
		&succeeded, &changed, &whole, &list, &m.Errors, &failing, &m.Gone, &gone, &m.MovedTo,
		&m.MovedTimes, &m.Hints, &h.Hub, &h.Topic, &lease, &leaseNext, &h.Denied, &created, &removed)
	if err != nil {
		return s, err
	}
	s.Kind, s.State, s.Every = zonewire.SourceKind(kind), zonewire.SourceState(state), time.Duration(every)*time.Millisecond
	s.Since, s.Next, s.Created, s.Removed = fromMs(since), fromMs(next), fromMs(created), fromMs(removed)
	m.Polled, m.Succeeded, m.Changed, m.Whole = fromMs(polled), fromMs(succeeded), fromMs(changed), fromMs(whole)
	m.ListAt, m.FailingAt, m.GoneAt = fromMs(list), fromMs(failing), fromMs(gone)
	h.Until, h.Next = fromMs(lease), fromMs(leaseNext)
	if selectors != "" {
		if err := json.Unmarshal([]byte(selectors), &s.Selectors); err != nil {
			return s, fmt.Errorf("source %d: selectors: %w", s.ID, err)
		}
	}
	return s, nil
}

func selectorsText(s zonewire.Selectors) (string, error) {
	if s == (zonewire.Selectors{}) {
		return "", nil
	}
	text, err := json.Marshal(s)
	return string(text), err
}

// Sources lists what the daemon asks for news, by id; those removed are not among them.
func (db *DB) Sources(ctx context.Context) ([]zonewire.Source, error) {
	all, err := sourcesWhere(ctx, db.reader(), qSources)
	return all, readError("sources", err)
}

func sourcesWhere(ctx context.Context, q querier, text query, args ...any) ([]zonewire.Source, error) {
	return collect(ctx, q, text, args, func(rows *sql.Rows) (zonewire.Source, error) { return scanSource(rows) })
}

// SourceByID gives a source, also one that was removed. [zonewire.ErrNotFound].
func (db *DB) SourceByID(ctx context.Context, id int64) (zonewire.Source, error) {
	s, err := source(ctx, db.reader(), id)
	return s, readError("source "+strconv.FormatInt(id, 10), err)
}

func source(ctx context.Context, q querier, id int64) (zonewire.Source, error) {
	s, err := scanSource(q.x.QueryRowContext(ctx, q.text(qSource), id))
	if errors.Is(err, sql.ErrNoRows) {
		err = zonewire.ErrNotFound
	}
	return s, err
}

// AddSource adds a source that is asked from s.Next on. [zonewire.ErrExists] if its address is asked already,
// [zonewire.ErrInvalid].
func (db *DB) AddSource(ctx context.Context, act zonewire.Act, s zonewire.Source) (added zonewire.Source, err error) {
	err = db.write(ctx, "add source", func(q querier) error {
		if err := s.Validate(); err != nil {
			return err
		}
		if err := urlIsFree(ctx, q, s.URL); err != nil {
			return err
		}
		selectors, err := selectorsText(s.Selectors)
		if err != nil {
			return err
		}
		if s.State == "" {
			s.State = zonewire.SourceActive
		}
		var id int64
		err = q.row(ctx, qSourceInsert, []any{string(s.Kind), s.URL, s.Host(), s.Title, nullID(s.ZoneID), selectors, s.Charset,
			s.Every.Milliseconds(), string(s.State), toMs(act.At), toMs(s.Next)}, &id)
		if err != nil {
			return err
		}
		if added, err = source(ctx, q, id); err != nil {
			return err
		}
		return audit(ctx, q, act, "source.add", sourceName(id), s.Host())
	})
	return added, err
}

func urlIsFree(ctx context.Context, q querier, url string) error {
	var id int64
	err := q.row(ctx, qSourceByURL, []any{url}, &id)
	if err == nil {
		return fmt.Errorf("it is source %d: %w", id, zonewire.ErrExists)
	}
	if errors.Is(err, zonewire.ErrNotFound) {
		return nil
	}
	return err
}

func sourceName(id int64) string { return "source:" + strconv.FormatInt(id, 10) }

// EditSource changes what an operator says of a source; its kind, its address and what it is remembered by stay, but for the
// errors counted, and Memory.Parser, which is 0 to have the whole asked for once more. action is what the audit calls it. [zonewire.ErrGone] for one that was removed.
func (db *DB) EditSource(ctx context.Context, act zonewire.Act, id int64, action string, change func(*zonewire.Source) error) (edited zonewire.Source, err error) {
	err = db.write(ctx, "source "+strconv.FormatInt(id, 10), func(q querier) error {
		if edited, err = standing(ctx, q, id); err != nil {
			return err
		}
		before := edited.State
		if err := change(&edited); err != nil {
			return err
		}
		if err := edited.Validate(); err != nil {
			return err
		}
		if edited.State != before {
			edited.Since = act.At
		}
		selectors, err := selectorsText(edited.Selectors)
		if err != nil {
			return err
		}
		m := edited.Memory
		_, err = q.exec(ctx, qSourceEdit, id, edited.Title, nullID(edited.ZoneID), selectors, edited.Charset,
			edited.Every.Milliseconds(), string(edited.State), edited.Reason, toMs(edited.Since), toMs(edited.Next),
			int64(m.Errors), toMs(m.FailingAt), int64(m.Gone), toMs(m.GoneAt), toMs(m.ListAt), int64(m.Parser))
		if err != nil {
			return err
		}
		if err := audit(ctx, q, act, action, sourceName(id), ""); err != nil {
			return err
		}
		edited, err = source(ctx, q, id)
		return err
	})
	return edited, err
}

func standing(ctx context.Context, q querier, id int64) (zonewire.Source, error) {
	s, err := source(ctx, q, id)
	if err == nil && !s.Removed.IsZero() {
		err = fmt.Errorf("removed: %w", zonewire.ErrGone)
	}
	return s, err
}

// RemoveSource ends a source: it is never asked again. What came from it stays, and keeps saying so.
func (db *DB) RemoveSource(ctx context.Context, act zonewire.Act, id int64) error {
	return db.write(ctx, "remove source "+strconv.FormatInt(id, 10), func(q querier) error {
		if _, err := standing(ctx, q, id); err != nil {
			return err
		}
		if _, err := q.exec(ctx, qSourceRemove, id, toMs(act.At)); err != nil {
			return err
		}
		if _, err := q.exec(ctx, qQueueRemove, id); err != nil {
			return err
		}
		return audit(ctx, q, act, "source.remove", sourceName(id), "")
	})
}

// SourceCounts counts the sources by state; a state without any is not in it.
func (db *DB) SourceCounts(ctx context.Context) (map[zonewire.SourceState]int, error) {
	counts := map[zonewire.SourceState]int{}
	_, err := collect(ctx, db.reader(), qSourceCounts, nil, func(rows *sql.Rows) (struct{}, error) {
		var state string
		var n int
		err := rows.Scan(&state, &n)
		counts[zonewire.SourceState(state)] = n
		return struct{}{}, err
	})
	return counts, readError("sources by state", err)
}

// PagesQueued counts the article pages of all sources that are not read yet.
func (db *DB) PagesQueued(ctx context.Context) (n int, err error) {
	return n, readError("queued pages", db.reader().row(ctx, qQueuedAll, nil, &n))
}

// Polls gives the log of a source, the latest first.
func (db *DB) Polls(ctx context.Context, id int64, limit int) ([]zonewire.PollLog, error) {
	all, err := collect(ctx, db.reader(), qPolls, []any{id, int64(limit)}, func(rows *sql.Rows) (zonewire.PollLog, error) {
		var l zonewire.PollLog
		var at, took int64
		err := rows.Scan(&at, &l.Status, &took, &l.Bytes, &l.Items, &l.Added, &l.Updated, &l.Unchanged, &l.Rejected, &l.Note)
		l.At, l.Took = fromMs(at), time.Duration(took)*time.Millisecond
		return l, err
	})
	return all, readError("log of source "+strconv.FormatInt(id, 10), err)
}

// DueSubscriptions lists the sources whose hub is to be asked: for the first time, or again before the lease ends.
func (db *DB) DueSubscriptions(ctx context.Context, now time.Time) ([]zonewire.Source, error) {
	all, err := sourcesWhere(ctx, db.reader(), qSubscriptionsDue, toMs(now))
	return all, readError("subscriptions due", err)
}

// SetSubscription stores how a source stands with its hub.
func (db *DB) SetSubscription(ctx context.Context, id int64, s zonewire.Subscribed) error {
	return db.write(ctx, "subscription of source "+strconv.FormatInt(id, 10), func(q querier) error {
		return setHub(ctx, q, id, s)
	})
}

func setHub(ctx context.Context, q querier, id int64, s zonewire.Subscribed) error {
	n, err := q.exec(ctx, qHubSet, id, s.Hub, s.Topic, toMs(s.Until), toMs(s.Next), s.Denied)
	if err == nil && n == 0 {
		err = zonewire.ErrNotFound
	}
	return err
}
