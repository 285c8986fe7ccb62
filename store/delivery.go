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

var (
	begin = tables(`
		UPDATE {table}
		SET began_ms = ?3, attempts = attempts + CASE WHEN began_ms = 0 THEN 1 ELSE 0 END
		WHERE id = ?1 AND claim = ?2`)
	// What was to end while it was under way is not sent again; of a reply that was lost nobody knows.
	finishOpen = tables(`
		UPDATE {table}
		SET state = CASE WHEN reason = '' THEN CAST(?3 AS BIGINT) WHEN losses < ?8 THEN 5 ELSE 7 END, next_ms = ?4, code = ?5,
			enhanced = ?6, reply = ?7, losses = ?8, claim = 0, worker_id = 0, began_ms = 0
		WHERE id = ?1 AND claim = ?2`)
	finishDelivery = sqlText(`
		UPDATE delivery
		SET state = ?3, reason = '', done_ms = ?4, code = ?5, enhanced = ?6, reply = ?7, losses = ?8, claim = 0, began_ms = 0
		WHERE id = ?1 AND claim = ?2`)
	qVerdict = sqlText(`UPDATE delivery SET verdict = ?2 WHERE id = ?1`)
	// A notice's mail may hold a link with power over the account: nothing of it is kept.
	finishNotice = sqlText(`
		UPDATE notice
		SET state = ?3, reason = '', done_ms = ?4, code = ?5, enhanced = ?6, reply = ?7, losses = ?8, claim = 0, began_ms = 0, email = '',
			body = ?9
		WHERE id = ?1 AND claim = ?2`)
)

// ending closes open mail, in one statement with its condition. What is not begun ends at once. What is begun is with the mail
// server: it is marked with the reason and the moment, and its outcome is recorded as it comes; but should it be tried again,
// or its sender die, it ends as well.
func ending(state, reason, at string) string {
	return `
		SET state = CASE WHEN began_ms = 0 THEN ` + state + ` ELSE state END, reason = ` + reason + `, done_ms = ` + at + `,
			claim = CASE WHEN began_ms = 0 THEN 0 ELSE claim END, worker_id = CASE WHEN began_ms = 0 THEN 0 ELSE worker_id END`
}

// Begin marks a mail as being sent, before the first command of its transaction. [zonewire.ErrLost]: it was cancelled
// or is another worker's; do not send.
func (db *DB) Begin(ctx context.Context, job zonewire.Job, now time.Time) error {
	return db.together("begin", func(ctx context.Context, q querier) error { return began(ctx, q, job, now) })
}

func began(ctx context.Context, q querier, job zonewire.Job, now time.Time) error {
	return held(q.exec(ctx, begin[job.Kind], job.ID, job.Claim, toMs(now)))
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
	end, out := db.outcome(job, out, now)
	if job.Kind == zonewire.DigestJob && out.Verdict != "" {
		return db.write(ctx, "finish", func(q querier) error {
			if err := end(ctx, q); err != nil {
				return err
			}
			return refused(ctx, q, job, out, now)
		})
	}
	return db.together("finish", end)
}

// Turn records that a mail was accepted and marks the next one of its connection as being sent, in one commit: each
// waits for a disk, so a mail costs one wait and not two. Either may have been lost, each by itself: lost is
// [zonewire.ErrLost] as from Finish, taken as from Begin. With err it is unknown what is recorded of the two.
func (db *DB) Turn(_ context.Context, job zonewire.Job, out zonewire.Outcome, next zonewire.Job, now time.Time) (lost, taken, err error) {
	end, out := db.outcome(job, out, now)
	if out.State != zonewire.Accepted {
		return nil, nil, fmt.Errorf("turn: delivery %d is %s, not accepted", job.ID, out.State)
	}
	err = db.together("turn", func(ctx context.Context, q querier) error {
		if lost = end(ctx, q); lost != nil && !errors.Is(lost, zonewire.ErrLost) {
			return lost
		}
		if taken = began(ctx, q, next, now); taken != nil && !errors.Is(taken, zonewire.ErrLost) {
			return taken
		}
		return nil
	})
	return lost, taken, err
}

// outcome is the statement that records an outcome, and the outcome by the policy.
func (db *DB) outcome(job zonewire.Job, out zonewire.Outcome, now time.Time) (func(context.Context, querier) error, zonewire.Outcome) {
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
	// Run once more because the connection was lost, it finds the claim gone with what it has recorded itself.
	tried := false
	return func(ctx context.Context, q querier) error {
		err := held(q.exec(ctx, text, args...))
		if tried && errors.Is(err, zonewire.ErrLost) {
			return nil
		}
		tried = err == nil || judge(err) == lost
		return err
	}, out
}

// refused records whose fault a refusal was, and counts a final one against the recipient where it is theirs.
func refused(ctx context.Context, q querier, job zonewire.Job, out zonewire.Outcome, now time.Time) error {
	if _, err := q.exec(ctx, qVerdict, job.ID, string(out.Verdict)); err != nil {
		return err
	}
	if out.State.Open() {
		return nil
	}
	_, err := strike(ctx, q, zonewire.Act{At: now, By: "outbox"}, struck{
		digest: job.Digest, person: job.Subscriber, provider: job.Provider,
		judgement: zonewire.Judgement{Verdict: out.Verdict, Sure: out.Sure},
	})
	return err
}

var (
	unlease = tables(`
		UPDATE {table}
		SET state = CASE WHEN attempts = 0 THEN 0 ELSE 2 END, claim = 0, worker_id = 0, next_ms = ?1
		WHERE state IN (0, 1, 2) AND state = 1 AND began_ms = 0`)
	qWaiting       = sqlText(`SELECT COUNT(*) FROM delivery WHERE state IN (0, 1, 2)`)
	qNoticeWaiting = sqlText(`SELECT COUNT(*) FROM notice WHERE state IN (0, 1, 2)`)
	qUnmailed      = sqlText(`
		SELECT COUNT(DISTINCT a.id)
		FROM article a
		WHERE a.zone_id IS NOT NULL AND a.seq > (SELECT COALESCE(MIN(watermark), 0) FROM list WHERE removed_ms = 0 AND paused = 0)`)
	qToPresent = sqlText(`UPDATE list SET watermark = (SELECT n FROM counter WHERE name = 'item') WHERE removed_ms = 0`)
	expireOpen = tables(`
		UPDATE {table} ` + ending("9", "'resumed from now'", "?1") + `
		WHERE state IN (0, 1, 2)`)
)

// PauseSending stops all mail at once: what is with the mail server finishes, nothing else begins.
func (db *DB) PauseSending(ctx context.Context, act zonewire.Act, reason string) error {
	return db.write(ctx, "pause sending", func(q querier) error { return pauseSending(ctx, q, act, reason) })
}

func pauseSending(ctx context.Context, q querier, act zonewire.Act, reason string) error {
	var n int64
	if err := q.row(ctx, qCounterLock, []any{string(senders)}, &n); err != nil {
		return err
	}
	for _, step := range []struct {
		text query
		args []any
	}{
		{qMetaPut, []any{"paused", reason}},
		{qMetaPut, []any{"paused_at", strconv.FormatInt(toMs(act.At), 10)}},
		{unlease[zonewire.DigestJob], []any{toMs(act.At)}},
		{unlease[zonewire.NoticeJob], []any{toMs(act.At)}},
	} {
		if _, err := q.exec(ctx, step.text, step.args...); err != nil {
			return err
		}
	}
	return audit(ctx, q, act, "outbox.pause", "outbox", reason)
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
		if _, err := q.exec(ctx, qMetaPut, "paused", ""); err != nil {
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
		SELECT d.id, d.digest_id, d.subscriber_id, u.email, d.provider, d.state, d.reason, d.attempts, d.next_ms, d.done_ms,
			d.code, d.enhanced, d.reply, d.verdict
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
		SET state = 2, next_ms = ?3, done_ms = 0, losses = 0, reason = '',
			provider = (SELECT u.provider FROM subscriber u WHERE u.id = delivery.subscriber_id)
		WHERE (id = ?1 OR digest_id = ?2) AND state IN (4, 5, 9) AND variant_id IS NOT NULL
			AND subscription_id IN (SELECT id FROM subscription WHERE state = 'active')
			AND NOT EXISTS (
				SELECT 1
				FROM subscriber u
				JOIN suppression p ON p.address_hash = u.address_hash
				WHERE u.id = delivery.subscriber_id)`)
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
		err := rows.Scan(&d.ID, &d.Digest, &d.Subscriber, &d.Email, &d.Provider, &d.State, &d.Reason, &d.Attempts,
			&next, &done, &d.Code, &d.Enhanced, &d.Reply, &d.Verdict)
		if next != leasedUntil {
			d.Next = fromMs(next)
		}
		d.Done = fromMs(done)
		return d, err
	})
	return all, readError("deliveries", err)
}

// RetryDeliveries opens rejected, uncertain and expired deliveries again, of a digest or one by id, for people whose
// subscription is still active and whose address is not suppressed.
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
