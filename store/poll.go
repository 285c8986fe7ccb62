package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"zonewire"
)

const (
	claimFor   = 2 * time.Minute    // how long a source may be polled unless the claim is kept
	recentFor  = 7 * 24 * time.Hour // what counts as recent news of a source
	keepPolls  = 50                 // lines in the log of a source
	queueShare = 20                 // pages of the queue that one visit is handed
)

var (
	// Whose claim has lapsed is free; so is a host.
	qSourceDue = sqlText(`
		SELECT s.id
		FROM source s
		LEFT JOIN host h ON h.host = s.host
		WHERE s.removed_ms = 0 AND s.state IN ('active', 'failing', 'blocked') AND s.next_ms <= ?1 AND s.until_ms <= ?1
			AND COALESCE(h.until_ms, 0) <= ?1
		ORDER BY s.next_ms, s.id
		LIMIT 1`)
	qSourceFree = sqlText(`
		SELECT s.until_ms, COALESCE(h.until_ms, 0)
		FROM source s
		LEFT JOIN host h ON h.host = s.host
		WHERE s.id = ?1`)
	// A claim that has lapsed on a host is over for good when another takes the host: there is one connection.
	qClaimsLapse = sqlText(`UPDATE source SET claim = claim + 1, until_ms = 0 WHERE host = ?1 AND until_ms > 0`)
	qSourceClaim = sqlText(`UPDATE source SET claim = claim + 1, until_ms = ?2 WHERE id = ?1 RETURNING claim`)
	qSourceKeep  = sqlText(`UPDATE source SET until_ms = ?3 WHERE id = ?1 AND claim = ?2 AND until_ms > 0`)
	qHost        = sqlText(`SELECT until_ms, robots, status, robots_ms FROM host WHERE host = ?1`)
	qHostHold    = sqlText(`
		INSERT INTO host (host, until_ms, robots, status, robots_ms) VALUES (?1, ?2, '', 0, 0)
		ON CONFLICT (host) DO UPDATE SET until_ms = excluded.until_ms`)
	qHostPut = sqlText(`
		INSERT INTO host (host, until_ms, robots, status, robots_ms) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (host) DO UPDATE
		SET until_ms = excluded.until_ms, robots = excluded.robots, status = excluded.status, robots_ms = excluded.robots_ms`)
	qRecent = sqlText(`SELECT COUNT(*) FROM article WHERE source_id = ?1 AND received_ms > ?2`)
	qQueue  = sqlText(`
		SELECT url, url_canon, title, date, seen_ms, tries, next_ms, error
		FROM source_page
		WHERE source_id = ?1 AND done_ms = 0 AND next_ms <= ?2
		ORDER BY id
		LIMIT ?3`)
	qQueued   = sqlText(`SELECT COUNT(*) FROM source_page WHERE source_id = ?1 AND done_ms = 0`)
	qQueueAdd = sqlText(`
		INSERT INTO source_page (source_id, url_canon, url, title, date, seen_ms, tries, next_ms, done_ms, error)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0, '')
		ON CONFLICT DO NOTHING`)
	qQueueTried = sqlText(`
		UPDATE source_page
		SET tries = ?3, next_ms = ?4, done_ms = ?5, error = ?6
		WHERE source_id = ?1 AND url_canon = ?2`)
	qPageKnown = sqlText(`
		SELECT COUNT(*)
		FROM (SELECT 1 FROM source_page WHERE source_id = ?1 AND url_canon = ?2
			UNION ALL SELECT 1 FROM article WHERE url_canon = ?2 AND url_canon <> '') known`)
	qSourceDone = sqlText(`
		UPDATE source
		SET title = ?3, url = ?4, host = ?5, state = ?6, reason = ?7, since_ms = ?8, next_ms = ?9, until_ms = 0,
			etag = ?10, last_modified = ?11, body_hash = ?12, parser = ?13, polled_ms = ?14, succeeded_ms = ?15,
			changed_ms = ?16, whole_ms = ?17, list_ms = ?18, errors = ?19, failing_ms = ?20, gone = ?21, gone_ms = ?22,
			moved_to = ?23, moved_times = ?24, hints = ?25
		WHERE id = ?1 AND claim = ?2 AND until_ms > 0`)
	qPollAdd = sqlText(`
		INSERT INTO poll (source_id, at_ms, status, took_ms, bytes, items, added, updated, unchanged, rejected, note)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)`)
	qPollTrim = sqlText(`
		DELETE FROM poll
		WHERE source_id = ?1 AND id <= (SELECT id FROM poll WHERE source_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`)
	qSourceNews = sqlText(`UPDATE source SET changed_ms = ?2 WHERE id = ?1`)
)

// ClaimSource gives the right to poll the source that is due the longest and whose host nobody talks to, for two minutes
// unless [DB.KeepSource] lengthens it. [zonewire.ErrNotFound] if there is none.
func (db *DB) ClaimSource(ctx context.Context, now time.Time) (v zonewire.Visit, err error) {
	var id int64
	if err := db.reader().row(ctx, qSourceDue, []any{toMs(now)}, &id); err != nil { // no lock while nothing is due
		return v, readError("claim source", err)
	}
	err = db.write(ctx, "claim source", func(q querier) error {
		if err := q.row(ctx, qSourceDue, []any{toMs(now)}, &id); err != nil {
			return err
		}
		v, err = claimSource(ctx, q, id, now)
		return err
	})
	return v, err
}

// ClaimSourceByID is [DB.ClaimSource] of one source, whatever its timer and state say. [zonewire.ErrBusy] while it is polled, a
// [zonewire.WaitError] while its host wants to be left alone, [zonewire.ErrGone] for one that was removed.
func (db *DB) ClaimSourceByID(ctx context.Context, id int64, now time.Time) (v zonewire.Visit, err error) {
	err = db.write(ctx, "source "+strconv.FormatInt(id, 10), func(q querier) error {
		s, err := standing(ctx, q, id)
		if err != nil {
			return err
		}
		var until, host int64
		if err := q.row(ctx, qSourceFree, []any{id}, &until, &host); err != nil {
			return err
		}
		switch {
		case until > toMs(now):
			return fmt.Errorf("it is being polled: %w", zonewire.ErrBusy)
		case host > toMs(now):
			return &zonewire.WaitError{What: s.Host(), Until: fromMs(host)}
		}
		v, err = claimSource(ctx, q, id, now)
		return err
	})
	return v, err
}

func claimSource(ctx context.Context, q querier, id int64, now time.Time) (v zonewire.Visit, err error) {
	if v.Source, err = source(ctx, q, id); err != nil {
		return v, err
	}
	host := v.Source.Host()
	if _, err := q.exec(ctx, qClaimsLapse, host); err != nil {
		return v, err
	}
	v.Until = now.Add(claimFor)
	if err := q.row(ctx, qSourceClaim, []any{id, toMs(v.Until)}, &v.Claim); err != nil {
		return v, err
	}
	if v.Host, err = hostMemory(ctx, q, host); err != nil {
		return v, err
	}
	if _, err := q.exec(ctx, qHostHold, host, toMs(v.Until)); err != nil {
		return v, err
	}
	if err := q.row(ctx, qRecent, []any{id, toMs(now.Add(-recentFor))}, &v.Recent); err != nil {
		return v, err
	}
	if err := q.row(ctx, qQueued, []any{id}, &v.Queued); err != nil {
		return v, err
	}
	v.Queue, err = collect(ctx, q, qQueue, []any{id, toMs(now), int64(queueShare)}, func(rows *sql.Rows) (zonewire.QueuedPage, error) {
		var p zonewire.QueuedPage
		var seen, next int64
		err := rows.Scan(&p.URL, &p.Canon, &p.Title, &p.Date, &seen, &p.Tries, &next, &p.Error)
		p.Seen, p.Next = fromMs(seen), fromMs(next)
		return p, err
	})
	return v, err
}

// hostMemory gives what is remembered of a host; nothing is known of one that was never asked.
func hostMemory(ctx context.Context, q querier, host string) (zonewire.HostMemory, error) {
	h := zonewire.HostMemory{Host: host}
	var until, robots int64
	err := q.row(ctx, qHost, []any{host}, &until, &h.Robots, &h.Status, &robots)
	if errors.Is(err, zonewire.ErrNotFound) {
		return h, nil
	}
	h.Until, h.RobotsAt = fromMs(until), fromMs(robots)
	return h, err
}

// KeepSource lengthens a claim. [zonewire.ErrLost] if another has taken the source or its host.
func (db *DB) KeepSource(ctx context.Context, v zonewire.Visit, until time.Time) error {
	return db.endClaim(ctx, v, "keep source ", until, until)
}

// FreeSource gives a claim up without a result, as when the daemon stops: the source is as due as before, its host may be
// asked again from hostUntil on. [zonewire.ErrLost].
func (db *DB) FreeSource(ctx context.Context, v zonewire.Visit, hostUntil time.Time) error {
	return db.endClaim(ctx, v, "free source ", time.Time{}, hostUntil)
}

func (db *DB) endClaim(ctx context.Context, v zonewire.Visit, what string, until, hostUntil time.Time) error {
	return db.write(ctx, what+strconv.FormatInt(v.Source.ID, 10), func(q querier) error {
		n, err := q.exec(ctx, qSourceKeep, v.Source.ID, v.Claim, toMs(until))
		if err == nil && n == 0 {
			err = zonewire.ErrLost
		}
		if err != nil {
			return err
		}
		_, err = q.exec(ctx, qHostHold, v.Host.Host, toMs(hostUntil))
		return err
	})
}

// UnknownPages tells which of the addresses, in canonical form, neither the queue of the source nor any article has, in the
// order given.
func (db *DB) UnknownPages(ctx context.Context, source int64, canons []string) ([]string, error) {
	var unknown []string
	for _, canon := range canons {
		var n int
		if err := db.reader().row(ctx, qPageKnown, []any{source, canon}, &n); err != nil {
			return nil, readError("known pages", err)
		}
		if n == 0 {
			unknown = append(unknown, canon)
		}
	}
	return unknown, nil
}

// QueuedPages counts the article pages of a source that lists have shown and that are not read yet.
func (db *DB) QueuedPages(ctx context.Context, source int64) (n int, err error) {
	return n, readError("queued pages", db.reader().row(ctx, qQueued, []any{source}, &n))
}

// FinishPoll stores how a visit ended, in one transaction: the articles, what is remembered of the source and its host, the
// pages seen and read, the log. Nothing of it is stored if the claim is lost: [zonewire.ErrLost].
func (db *DB) FinishPoll(ctx context.Context, act zonewire.Act, v zonewire.Visit, p zonewire.Poll) (stored []zonewire.Stored, err error) {
	id := v.Source.ID
	err = db.write(ctx, "finish poll of source "+strconv.FormatInt(id, 10), func(q querier) error {
		if stored, err = db.putPolled(ctx, q, act, id, p); err != nil {
			return err
		}
		old, err := source(ctx, q, id)
		if err != nil {
			return err
		}
		if err := finishSource(ctx, q, act, v, old, p); err != nil {
			return err
		}
		for _, page := range slices.Backward(p.Seen) {
			if _, err := q.exec(ctx, qQueueAdd, id, page.Canon, page.URL, page.Title, page.Date, toMs(act.At)); err != nil {
				return err
			}
		}
		for _, page := range p.Tried {
			done := time.Time{}
			if page.Done {
				done = act.At
			}
			if _, err := q.exec(ctx, qQueueTried, id, page.Canon, int64(page.Tries), toMs(page.Next), toMs(done), page.Error); err != nil {
				return err
			}
		}
		h := p.Host
		_, err = q.exec(ctx, qHostPut, v.Host.Host, toMs(h.Until), h.Robots, int64(h.Status), toMs(h.RobotsAt))
		return err
	})
	return stored, err
}

// putPolled stores what came from a source, and the line of its log.
func (db *DB) putPolled(ctx context.Context, q querier, act zonewire.Act, id int64, p zonewire.Poll) (stored []zonewire.Stored, err error) {
	if len(p.Articles) > 0 {
		as := slices.Clone(p.Articles)
		for i := range as {
			as[i].SourceID = id
		}
		if stored, err = db.putArticles(ctx, q, act, zonewire.Push{}, as); err != nil {
			return nil, err
		}
	}
	l := p.Log
	added, updated, unchanged := zonewire.Tally(stored)
	_, err = q.exec(ctx, qPollAdd, id, toMs(l.At), int64(l.Status), l.Took.Milliseconds(), l.Bytes, int64(l.Items), int64(added),
		int64(updated), int64(unchanged), int64(l.Rejected), l.Note)
	if err != nil {
		return nil, err
	}
	_, err = q.exec(ctx, qPollTrim, id, int64(keepPolls))
	return stored, err
}

func finishSource(ctx context.Context, q querier, act zonewire.Act, v zonewire.Visit, old zonewire.Source, p zonewire.Poll) error {
	now := old
	if p.Title != "" {
		now.Title = p.Title
	}
	if p.URL != "" && p.URL != old.URL {
		switch err := urlIsFree(ctx, q, p.URL); {
		case err == nil:
			now.URL = p.URL
		case !errors.Is(err, zonewire.ErrExists): // another source's address is left to it
			return err
		}
	}
	// Paused while it was polled: it stays so.
	if old.State == v.Source.State {
		now.State, now.Reason = p.State, p.Reason
	}
	if now.State != old.State {
		now.Since = act.At
		if err := audit(ctx, q, act, "source."+string(now.State), sourceName(old.ID), now.Reason); err != nil {
			return err
		}
	}
	m := p.Memory
	n, err := q.exec(ctx, qSourceDone, old.ID, v.Claim, now.Title, now.URL, now.Host(), string(now.State), now.Reason, toMs(now.Since),
		toMs(p.Next), m.ETag, m.LastModified, m.BodyHash, int64(m.Parser), toMs(m.Polled), toMs(m.Succeeded),
		toMs(m.Changed), toMs(m.Whole), toMs(m.ListAt), int64(m.Errors), toMs(m.FailingAt), int64(m.Gone), toMs(m.GoneAt),
		m.MovedTo, int64(m.MovedTimes), m.Hints)
	if err != nil {
		return err
	}
	if n == 0 {
		return zonewire.ErrLost
	}
	// The hub may have called back meanwhile: only another hub or topic begins anew.
	if p.Sub.Hub != old.Sub.Hub || p.Sub.Topic != old.Sub.Topic {
		return setHub(ctx, q, old.ID, p.Sub)
	}
	return nil
}

// FinishPush stores the articles that a hub has sent of a source, and the line of its log; the source's timers are left alone.
func (db *DB) FinishPush(ctx context.Context, act zonewire.Act, id int64, p zonewire.Poll) (stored []zonewire.Stored, err error) {
	err = db.write(ctx, "push to source "+strconv.FormatInt(id, 10), func(q querier) error {
		if stored, err = db.putPolled(ctx, q, act, id, p); err != nil {
			return err
		}
		if added, updated, _ := zonewire.Tally(stored); added+updated > 0 {
			_, err = q.exec(ctx, qSourceNews, id, toMs(act.At))
		}
		return err
	})
	return stored, err
}
