package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"zonewire"
)

// leasedUntil keeps a leased row out of the due index: it belongs to a worker that lives, not to a time.
const leasedUntil = int64(1<<63 - 1)

var (
	qPaused  = sqlText(`SELECT COUNT(*) FROM meta WHERE name = 'paused' AND value <> ''`)
	claimDue = tables(`
		WITH c AS (
			SELECT id FROM {table}
			WHERE state IN (0, 1, 2) AND next_ms <= ?1
			ORDER BY next_ms, id
			LIMIT ?2{skip})
		UPDATE {table}
		SET state = 1, claim = ?3, worker_id = ?4, next_ms = ?5
		WHERE id IN (SELECT id FROM c)`)
	qClaimedDeliveries = sqlText(`
		SELECT d.id, d.claim, d.digest_id, g.slot_ms, g.list_id, d.subscriber_id, d.subscription_id, d.variant_id, u.email,
			d.attempts, d.losses
		FROM delivery d
		JOIN digest g ON g.id = d.digest_id
		JOIN subscriber u ON u.id = d.subscriber_id
		WHERE d.worker_id = ?1 AND d.state IN (0, 1, 2) AND d.claim = ?2
		ORDER BY d.id`)
	qClaimedNotices = sqlText(`
		SELECT id, claim, created_ms, COALESCE(subscriber_id, 0), email, attempts, losses, body
		FROM notice
		WHERE worker_id = ?1 AND state IN (0, 1, 2) AND claim = ?2
		ORDER BY id`)
	begin = tables(`
		UPDATE {table}
		SET began_ms = ?3, attempts = attempts + 1
		WHERE id = ?1 AND claim = ?2`)
	finishOpen = tables(`
		UPDATE {table}
		SET state = ?3, next_ms = ?4, code = ?5, enhanced = ?6, reply = ?7, losses = ?8, claim = 0, began_ms = 0
		WHERE id = ?1 AND claim = ?2`)
	finishDelivery = sqlText(`
		UPDATE delivery
		SET state = ?3, done_ms = ?4, code = ?5, enhanced = ?6, reply = ?7, losses = ?8, claim = 0, began_ms = 0
		WHERE id = ?1 AND claim = ?2`)
	// A notice's mail may hold a link with power over the account: nothing of it is kept.
	finishNotice = sqlText(`
		UPDATE notice
		SET state = ?3, done_ms = ?4, code = ?5, enhanced = ?6, reply = ?7, losses = ?8, claim = 0, began_ms = 0, email = '',
			body = ?9
		WHERE id = ?1 AND claim = ?2`)
)

// Claim leases up to n mails that are due to a worker, notices first, and takes over what workers that are gone have
// left. While sending is paused there are none. With nothing to do it only reads: an idle daemon that asks every second
// must not flush the disk as often.
func (db *DB) Claim(ctx context.Context, worker int64, n int, now time.Time) (jobs []zonewire.Job, err error) {
	if idle, err := db.idle(ctx, worker, now); err != nil || idle {
		return nil, readError("claim", err)
	}
	err = db.write(ctx, "claim", func(q querier) error {
		jobs = nil
		if err := beat(ctx, q, worker, now); err != nil {
			return err
		}
		if err := db.reap(ctx, q, worker, now); err != nil {
			return err
		}
		var paused int
		if err := q.row(ctx, qPaused, nil, &paused); err != nil || paused > 0 {
			return err
		}
		claim := newClaim()
		args := []any{toMs(now), int64(n), claim, worker, leasedUntil}
		got, err := q.exec(ctx, claimDue[zonewire.NoticeJob], args...)
		if err != nil {
			return err
		}
		if got > 0 {
			if jobs, err = claimedNotices(ctx, q, worker, claim); err != nil {
				return err
			}
		}
		if args[1] = int64(n) - got; got >= int64(n) {
			return nil
		}
		if got, err = q.exec(ctx, claimDue[zonewire.DigestJob], args...); err != nil || got == 0 {
			return err
		}
		deliveries, err := collect(ctx, q, qClaimedDeliveries, []any{worker, claim}, func(rows *sql.Rows) (zonewire.Job, error) {
			j := zonewire.Job{Kind: zonewire.DigestJob}
			var slot int64
			err := rows.Scan(&j.ID, &j.Claim, &j.Digest, &slot, &j.ListID, &j.Subscriber, &j.Subscription, &j.Variant, &j.Email, &j.Attempts, &j.Losses)
			j.Slot = fromMs(slot)
			return j, err
		})
		jobs = append(jobs, deliveries...)
		return err
	})
	return jobs, err
}

// idle reports whether a claim would find nothing: no mail is due, and nobody has left any.
func (db *DB) idle(ctx context.Context, worker int64, now time.Time) (bool, error) {
	due, err := db.Due(ctx, now)
	if err != nil || due > 0 {
		return false, err
	}
	gone, err := goneWorkers(ctx, db.reader(), worker, now)
	return len(gone) == 0, err
}

func claimedNotices(ctx context.Context, q querier, worker, claim int64) ([]zonewire.Job, error) {
	return collect(ctx, q, qClaimedNotices, []any{worker, claim}, func(rows *sql.Rows) (zonewire.Job, error) {
		j := zonewire.Job{Kind: zonewire.NoticeJob, Mail: &zonewire.Mail{}}
		var created int64
		var body []byte
		if err := rows.Scan(&j.ID, &j.Claim, &created, &j.Subscriber, &j.Email, &j.Attempts, &j.Losses, &body); err != nil {
			return j, err
		}
		j.Slot = fromMs(created)
		return j, unpack(body, j.Mail)
	})
}

// Begin marks a mail as being sent, before the first command of its transaction. [zonewire.ErrLost]: it was cancelled
// or is another worker's; do not send.
func (db *DB) Begin(ctx context.Context, job zonewire.Job, now time.Time) error {
	return db.together(ctx, "begin", func(ctx context.Context, q querier) error {
		return held(q.exec(ctx, begin[job.Kind], job.ID, job.Claim, toMs(now)))
	})
}

func held(n int64, err error) error {
	if err == nil && n == 0 {
		err = zonewire.ErrLost
	}
	return err
}

// Finish records what became of a mail, begun or not. A lost reply opens it again from Outcome.Next on, or closes it as
// uncertain, by the policy. [zonewire.ErrLost]: someone else has judged it meanwhile.
func (db *DB) Finish(ctx context.Context, job zonewire.Job, out zonewire.Outcome, now time.Time) error {
	losses := job.Losses
	if out.Lost {
		losses++
		out.State = zonewire.Deferred
		if out.Next.IsZero() {
			out.Next = now
		}
		if db.uncertain == zonewire.Hold || losses >= zonewire.MaxLosses {
			out.State = zonewire.Uncertain
		}
	}
	text, at := finishOpen[job.Kind], out.Next
	if !out.State.Open() {
		at = now
		if text = finishDelivery; job.Kind == zonewire.NoticeJob {
			text = finishNotice
		}
	}
	args := []any{job.ID, job.Claim, int64(out.State), toMs(at), int64(out.Code), out.Enhanced, out.Reply, int64(losses)}
	if text == finishNotice {
		args = append(args, []byte{})
	}
	return db.together(ctx, "finish", func(ctx context.Context, q querier) error {
		return held(q.exec(ctx, text, args...))
	})
}

var (
	qPauseSending = sqlText(`
		INSERT INTO meta (name, value) VALUES ('paused', ?1)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
	unlease = tables(`
		UPDATE {table}
		SET state = CASE WHEN attempts = 0 THEN 0 ELSE 2 END, claim = 0, next_ms = ?1
		WHERE state IN (0, 1, 2) AND state = 1 AND began_ms = 0`)
	qWaiting       = sqlText(`SELECT COUNT(*) FROM delivery WHERE state IN (0, 1, 2)`)
	qNoticeWaiting = sqlText(`SELECT COUNT(*) FROM notice WHERE state IN (0, 1, 2)`)
	qUnmailed      = sqlText(`
		SELECT COUNT(DISTINCT a.id)
		FROM article a
		WHERE a.zone_id IS NOT NULL AND a.seq > (SELECT COALESCE(MIN(watermark), 0) FROM list WHERE removed_ms = 0 AND paused = 0)`)
	qToPresent = sqlText(`UPDATE list SET watermark = (SELECT n FROM counter WHERE name = 'item') WHERE removed_ms = 0`)
	expireOpen = tables(`
		UPDATE {table}
		SET state = 9, reason = 'resumed from now', claim = 0, done_ms = ?1
		WHERE state IN (0, 1, 2) AND began_ms = 0`)
	qDue       = sqlText(`SELECT COUNT(*) FROM delivery WHERE state IN (0, 1, 2) AND next_ms <= ?1`)
	qNoticeDue = sqlText(`SELECT COUNT(*) FROM notice WHERE state IN (0, 1, 2) AND next_ms <= ?1`)
)

// PauseSending stops all mail at once: what is with the mail server finishes, nothing else begins.
func (db *DB) PauseSending(ctx context.Context, act zonewire.Act, reason string) error {
	return db.write(ctx, "pause sending", func(q querier) error {
		if _, err := q.exec(ctx, qPauseSending, reason); err != nil {
			return err
		}
		for _, text := range unlease {
			if _, err := q.exec(ctx, text, toMs(act.At)); err != nil {
				return err
			}
		}
		return audit(ctx, q, act, "outbox.pause", "outbox", reason)
	})
}

// SendingPaused gives the reason why sending is paused; empty if it is not.
func (db *DB) SendingPaused(ctx context.Context) (string, error) { return db.Meta(ctx, "paused") }

// Waiting is what goes out when sending resumes.
type Waiting struct {
	Deliveries int // open, notices included
	Articles   int // not in a digest yet
}

// WaitingMail counts what waits to be sent.
func (db *DB) WaitingMail(ctx context.Context) (w Waiting, err error) {
	q := db.reader()
	var notices int
	for _, ask := range []struct {
		text query
		dest *int
	}{{qWaiting, &w.Deliveries}, {qNoticeWaiting, &notices}, {qUnmailed, &w.Articles}} {
		if err := q.row(ctx, ask.text, nil, ask.dest); err != nil {
			return w, readError("waiting mail", err)
		}
	}
	w.Deliveries += notices
	return w, nil
}

// ResumeSending lets mail go again. With fromNow, lists skip what has arrived so far and open deliveries expire:
// nothing that waited is sent.
func (db *DB) ResumeSending(ctx context.Context, act zonewire.Act, fromNow bool) error {
	return db.write(ctx, "resume sending", func(q querier) error {
		if _, err := q.exec(ctx, qPauseSending, ""); err != nil {
			return err
		}
		detail := ""
		if fromNow {
			detail = "from now"
			if _, err := q.exec(ctx, qToPresent); err != nil {
				return err
			}
			for _, text := range expireOpen {
				if _, err := q.exec(ctx, text, toMs(act.At)); err != nil {
					return err
				}
			}
		}
		return audit(ctx, q, act, "outbox.resume", "outbox", detail)
	})
}

// DeliveryQuery selects deliveries, by id.
type DeliveryQuery struct {
	ID     int64 // 0 = any
	Digest int64 // 0 = any
	State  string
	After  int64
	Limit  int
}

var (
	qDeliveries = sqlText(`
		SELECT d.id, d.digest_id, d.subscriber_id, u.email, d.state, d.reason, d.attempts, d.next_ms, d.done_ms, d.code,
			d.enhanced, d.reply
		FROM delivery d
		JOIN subscriber u ON u.id = d.subscriber_id
		WHERE d.id > ?1
			AND (CAST(?2 AS BIGINT) = 0 OR d.id = ?2)
			AND (CAST(?3 AS BIGINT) = 0 OR d.digest_id = ?3)
			AND (CAST(?4 AS BIGINT) < 0 OR d.state = ?4)
		ORDER BY d.id
		LIMIT ?5`)
	qRetry = sqlText(`
		UPDATE delivery
		SET state = 2, next_ms = ?3, done_ms = 0, losses = 0
		WHERE (id = ?1 OR digest_id = ?2) AND state IN (4, 5, 9) AND variant_id IS NOT NULL
			AND subscription_id IN (SELECT id FROM subscription WHERE state = 'active')`)
	qSettle = sqlText(`UPDATE delivery SET state = ?2, done_ms = ?3, reason = 'settled by hand' WHERE id = ?1 AND state = 5`)
)

// Deliveries lists deliveries as an operator sees them.
func (db *DB) Deliveries(ctx context.Context, dq DeliveryQuery) ([]zonewire.Delivery, error) {
	state := int64(-1)
	if dq.State != "" {
		s, err := zonewire.ParseDeliveryState(dq.State)
		if err != nil {
			return nil, err
		}
		state = int64(s)
	}
	if dq.Limit == 0 {
		dq.Limit = 1<<31 - 1
	}
	all, err := collect(ctx, db.reader(), qDeliveries, []any{dq.After, dq.ID, dq.Digest, state, int64(dq.Limit)}, func(rows *sql.Rows) (zonewire.Delivery, error) {
		var d zonewire.Delivery
		var next, done int64
		err := rows.Scan(&d.ID, &d.Digest, &d.Subscriber, &d.Email, &d.State, &d.Reason, &d.Attempts, &next, &done, &d.Code, &d.Enhanced, &d.Reply)
		if next != leasedUntil {
			d.Next = fromMs(next)
		}
		d.Done = fromMs(done)
		return d, err
	})
	return all, readError("deliveries", err)
}

// RetryDeliveries opens rejected, uncertain and expired deliveries again, of a digest or one by id, for people whose
// subscription is still active.
func (db *DB) RetryDeliveries(ctx context.Context, act zonewire.Act, digest, id int64) (retried int, err error) {
	err = db.write(ctx, "retry deliveries", func(q querier) error {
		n, err := q.exec(ctx, qRetry, id, digest, toMs(act.At))
		if err != nil {
			return err
		}
		retried = int(n)
		return audit(ctx, q, act, "outbox.retry", fmt.Sprintf("digest:%d delivery:%d", digest, id), strconv.Itoa(retried)+" deliveries")
	})
	return retried, err
}

// SettleDelivery closes an uncertain delivery as a person has found it: accepted or rejected.
func (db *DB) SettleDelivery(ctx context.Context, act zonewire.Act, id int64, as zonewire.DeliveryState) error {
	name := "delivery:" + strconv.FormatInt(id, 10)
	return db.write(ctx, "settle "+name, func(q querier) error {
		if as != zonewire.Accepted && as != zonewire.Rejected {
			return zonewire.Invalidf("settle as accepted or rejected, not %s", as)
		}
		n, err := q.exec(ctx, qSettle, id, int64(as), toMs(act.At))
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("no uncertain delivery has this id: %w", zonewire.ErrNotFound)
		}
		return audit(ctx, q, act, "outbox.settle", name, as.String())
	})
}

// Due counts the mails that may be claimed now.
func (db *DB) Due(ctx context.Context, now time.Time) (int, error) {
	var deliveries, notices int
	err := db.reader().row(ctx, qDue, []any{toMs(now)}, &deliveries)
	if err == nil {
		err = db.reader().row(ctx, qNoticeDue, []any{toMs(now)}, &notices)
	}
	return deliveries + notices, readError("due mail", err)
}
