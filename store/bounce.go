package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"zonewire"
)

// mailedWithin is how long after a mail a report that names nothing but the address is still taken to be about it.
const mailedWithin = 14 * 24 * time.Hour

// A list whose readers complain is paused before its provider blocks it: three complaints or more within a week, being
// 0.3 % of what was accepted. Large providers ask for less than 0.1 %, and reject mail above 0.3 %.
const (
	complaintsLeast  = 3
	complaintsWithin = 7 * 24 * time.Hour
)

const bounceColumns = `id, received_ms, kind, verdict, recipients, status, code, reply, COALESCE(delivery_id, 0), COALESCE(subscriber_id, 0), effect`

var (
	qBounceAdd = sqlText(`
		INSERT INTO bounce (hash, received_ms, kind, verdict, recipients, status, code, reply, delivery_id, subscriber_id, effect, raw)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, '', ?11)
		ON CONFLICT (hash) DO NOTHING
		RETURNING id`)
	qBounceEffect = sqlText(`UPDATE bounce SET effect = ?2 WHERE id = ?1`)
	qBounceByHash = sqlText(`SELECT ` + bounceColumns + `, raw FROM bounce WHERE hash = ?1`)
	qBounces      = sqlText(`
		SELECT ` + bounceColumns + `, raw
		FROM bounce
		WHERE (CAST(?1 AS TEXT) = '' OR kind = ?1)
		ORDER BY id DESC
		LIMIT ?2`)
	qBounceKinds = sqlText(`SELECT kind, COUNT(*) FROM bounce GROUP BY kind`)
	qBouncesOf   = sqlText(`DELETE FROM bounce WHERE subscriber_id = ?1 OR recipients LIKE ?2 ESCAPE '\'`)
	qBouncesRaw  = sqlText(`SELECT id, raw FROM bounce WHERE raw <> ?1`)
	qBounceDrop  = sqlText(`DELETE FROM bounce WHERE id = ?1`)

	qBounced = sqlText(`
		SELECT d.id, d.digest_id, d.subscriber_id, d.subscription_id, d.provider, g.slot_ms
		FROM delivery d
		JOIN digest g ON g.id = d.digest_id
		WHERE d.id = ?1`)
	qNoticeKnown     = sqlText(`SELECT COALESCE(subscriber_id, 0), created_ms FROM notice WHERE id = ?1`)
	qLatestDelivered = sqlText(`
		SELECT COALESCE(MAX(d.id), 0)
		FROM subscriber u
		JOIN digest g ON g.slot_ms >= ?2
		JOIN delivery d ON d.digest_id = g.id AND d.subscriber_id = u.id AND d.state = 3
		WHERE u.email_key = ?1 AND u.erased_ms = 0`)
	// A report may come while a repeat of its mail is under way: that one's own outcome decides.
	qNotArrived = sqlText(`
		UPDATE delivery
		SET state = 4, reason = 'bounced', code = ?2, enhanced = ?3, reply = ?4, verdict = ?5, claim = 0, worker_id = 0,
			done_ms = CASE WHEN done_ms = 0 THEN CAST(?6 AS BIGINT) ELSE done_ms END
		WHERE id = ?1 AND began_ms = 0 AND state IN (0, 1, 2, 3, 5)`)
	qComplaints = sqlText(`
		SELECT COUNT(*)
		FROM bounce b
		JOIN delivery d ON d.id = b.delivery_id
		JOIN digest g ON g.id = d.digest_id
		WHERE b.kind = 'complaint' AND b.received_ms >= ?2 AND g.list_id = ?1`)
	qAcceptedOf = sqlText(`
		SELECT COUNT(*)
		FROM digest g
		JOIN delivery d ON d.digest_id = g.id
		WHERE g.list_id = ?1 AND g.slot_ms >= ?2 AND d.state IN (3, 4, 5)`)
	qListOf    = sqlText(`SELECT l.id, l.slug, l.paused FROM digest g JOIN list l ON l.id = g.list_id WHERE g.id = ?1`)
	qListPause = sqlText(`UPDATE list SET paused = 1 WHERE id = ?1`)
)

// likeAny is a LIKE pattern for texts that contain s, which is in lower case.
func likeAny(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}

// forgetBounces deletes what was returned about a person, and what nobody has understood and holds the address.
func forgetBounces(ctx context.Context, q querier, person int64, key string) error {
	if _, err := q.exec(ctx, qBouncesOf, person, likeAny(key)); err != nil || key == "" {
		return err
	}
	unread, err := collect(ctx, q, qBouncesRaw, []any{[]byte{}}, func(rows *sql.Rows) (int64, error) {
		var id int64
		var raw []byte
		err := rows.Scan(&id, &raw)
		if !bytes.Contains(bytes.ToLower(raw), []byte(key)) {
			id = 0
		}
		return id, err
	})
	if err != nil {
		return err
	}
	for _, id := range unread {
		if id == 0 {
			continue
		}
		if _, err := q.exec(ctx, qBounceDrop, id); err != nil {
			return err
		}
	}
	return nil
}

// RecordBounce stores a returned mail and acts on it, in one transaction: a report marks its delivery as rejected and
// counts against the recipient or the provider by its verdict, a complaint ends all that the person gets, a mail that
// asks to leave ends that subscription. The same mail again changes nothing and answers false.
func (db *DB) RecordBounce(ctx context.Context, act zonewire.Act, b zonewire.Bounce) (r zonewire.BounceRecord, added bool, err error) {
	err = db.write(ctx, "record bounce", func(q querier) error {
		about, err := whatBounced(ctx, q, act, b)
		if err != nil {
			return err
		}
		recipients := strings.ToLower(strings.Join(b.Recipients, ","))
		var id int64
		err = q.row(ctx, qBounceAdd, []any{b.Hash, toMs(act.At), string(b.Kind), string(b.Judgement.Verdict), recipients, b.Status,
			int64(b.Code), b.Text, nullID(about.delivery), nullID(about.person), append([]byte{}, b.Raw...)}, &id)
		added = err == nil
		if errors.Is(err, zonewire.ErrNotFound) {
			r, err = bounceWhere(ctx, q, b.Hash)
			return err
		}
		if err != nil {
			return err
		}
		effect, err := about.act(ctx, q, act, b)
		if err != nil {
			return err
		}
		if _, err := q.exec(ctx, qBounceEffect, id, effect); err != nil {
			return err
		}
		r, err = bounceWhere(ctx, q, b.Hash)
		return err
	})
	return r, added, err
}

// bounced is what a returned mail is about.
type bounced struct {
	delivery, subscription int64
	struck
}

// whatBounced finds the mail and the person, by the signs that the returned mail carries.
func whatBounced(ctx context.Context, q querier, act zonewire.Act, b zonewire.Bounce) (about bounced, err error) {
	about.judgement = b.Judgement
	about.subscription = b.Subscription
	id := b.Job.ID
	if b.Job.Kind == zonewire.NoticeJob && id != 0 {
		var created int64
		return about, ignoreMissing(q.row(ctx, qNoticeKnown, []any{id}, &about.person, &created))
	}
	if about.subscription != 0 {
		sub, err := subscriptionWhere(ctx, q, qSubscription, about.subscription)
		about.person = sub.Subscriber
		return about, ignoreMissing(err)
	}
	if id == 0 && (b.Kind == zonewire.BounceReport || b.Kind == zonewire.BounceComplaint) {
		for _, key := range b.Recipients {
			if id == 0 {
				err = q.row(ctx, qLatestDelivered, []any{strings.ToLower(key), toMs(act.At.Add(-mailedWithin))}, &id)
			}
			if err != nil {
				return about, err
			}
		}
	}
	if id == 0 {
		return about, nil
	}
	var slot int64
	err = q.row(ctx, qBounced, []any{id}, &about.delivery, &about.digest, &about.person, &about.subscription, &about.provider, &slot)
	return about, ignoreMissing(err)
}

// ignoreMissing passes over what retention has removed: there is nothing left to act on.
func ignoreMissing(err error) error {
	if errors.Is(err, zonewire.ErrNotFound) {
		return nil
	}
	return err
}

func (about bounced) act(ctx context.Context, q querier, act zonewire.Act, b zonewire.Bounce) (effect string, err error) {
	switch b.Kind {
	case zonewire.BounceReport:
		return about.report(ctx, q, act, b)
	case zonewire.BounceComplaint:
		return about.complaint(ctx, q, act)
	case zonewire.BounceLeave:
		return about.leave(ctx, q, act)
	}
	return "", nil
}

func (about bounced) report(ctx context.Context, q querier, act zonewire.Act, b zonewire.Bounce) (string, error) {
	if about.delivery == 0 {
		return "", nil
	}
	_, err := q.exec(ctx, qNotArrived, about.delivery, int64(b.Code), b.Status, b.Text, string(b.Judgement.Verdict), toMs(act.At))
	if err != nil {
		return "", err
	}
	switch b.Judgement.Verdict {
	case zonewire.VerdictPolicy, zonewire.VerdictRate:
		// Behind a relay, reports are all that tells how a provider takes our mail.
		_, err := observe(ctx, q, about.provider, zonewire.Answer{Verdict: b.Judgement.Verdict, Text: b.Reason, Began: act.At}, act.At)
		return "", err
	}
	return strike(ctx, q, act, about.struck)
}

func (about bounced) complaint(ctx context.Context, q querier, act zonewire.Act) (string, error) {
	if about.person == 0 {
		return "", nil
	}
	err := suppress(ctx, q, act, about.person, zonewire.SubUnsubscribed, "complaint")
	if errors.Is(err, zonewire.ErrGone) {
		return "", nil
	}
	if err != nil || about.digest == 0 {
		return effectSuppressed, err
	}
	return effectSuppressed, pauseOfComplaints(ctx, q, act, about.digest)
}

// pauseOfComplaints stops a list that too many of its readers call spam.
func pauseOfComplaints(ctx context.Context, q querier, act zonewire.Act, digest int64) error {
	var list int64
	var slug string
	var paused, complaints, accepted int
	if err := q.row(ctx, qListOf, []any{digest}, &list, &slug, &paused); err != nil {
		return err
	}
	since := toMs(act.At.Add(-complaintsWithin))
	if err := q.row(ctx, qComplaints, []any{list, since}, &complaints); err != nil {
		return err
	}
	if paused == 1 || complaints < complaintsLeast {
		return nil
	}
	if err := q.row(ctx, qAcceptedOf, []any{list, since}, &accepted); err != nil || complaints*1000 < 3*accepted {
		return err
	}
	if _, err := q.exec(ctx, qListPause, list); err != nil {
		return err
	}
	return audit(ctx, q, act, "list.pause", "list:"+slug, fmt.Sprintf("%d complaints within a week", complaints))
}

func (about bounced) leave(ctx context.Context, q querier, act zonewire.Act) (string, error) {
	if about.subscription == 0 {
		return "", nil
	}
	err := unsubscribe(ctx, q, act, about.subscription)
	return effectUnsubscribed, ignoreMissing(err)
}

func scanBounce(rows *sql.Rows) (zonewire.BounceRecord, error) {
	var r zonewire.BounceRecord
	var received int64
	var recipients string
	err := rows.Scan(&r.ID, &received, &r.Kind, &r.Verdict, &recipients, &r.Status, &r.Code, &r.Text, &r.Delivery, &r.Subscriber, &r.Effect, &r.Raw)
	r.Received = fromMs(received)
	if recipients != "" {
		r.Recipients = strings.Split(recipients, ",")
	}
	return r, err
}

func bounceWhere(ctx context.Context, q querier, hash string) (zonewire.BounceRecord, error) {
	all, err := collect(ctx, q, qBounceByHash, []any{hash}, scanBounce)
	if err == nil && len(all) == 0 {
		err = zonewire.ErrNotFound
	}
	if err != nil {
		return zonewire.BounceRecord{}, err
	}
	return all[0], nil
}

// Bounces lists returned mail, newest first; an empty kind means any.
func (db *DB) Bounces(ctx context.Context, kind zonewire.BounceKind, limit int) ([]zonewire.BounceRecord, error) {
	all, err := collect(ctx, db.reader(), qBounces, []any{string(kind), int64(limit)}, scanBounce)
	return all, readError("bounces", err)
}

// BounceCounts counts returned mail by kind.
func (db *DB) BounceCounts(ctx context.Context) (map[zonewire.BounceKind]int, error) {
	all := map[zonewire.BounceKind]int{}
	_, err := collect(ctx, db.reader(), qBounceKinds, nil, func(rows *sql.Rows) (struct{}, error) {
		var kind zonewire.BounceKind
		var n int
		err := rows.Scan(&kind, &n)
		all[kind] = n
		return struct{}{}, err
	})
	return all, readError("bounce counts", err)
}

// AddressKnown reports whether a mail, or a subscription, that an address of ours names is there and was mailed within
// maxAge: older addresses take no mail any more.
func (db *DB) AddressKnown(ctx context.Context, job zonewire.JobRef, subscription int64, maxAge time.Duration, now time.Time) (bool, error) {
	q := db.reader()
	var err error
	var at int64
	switch {
	case subscription != 0:
		_, err = subscriptionWhere(ctx, q, qSubscription, subscription)
		at = toMs(now)
	case job.Kind == zonewire.NoticeJob:
		var person int64
		err = q.row(ctx, qNoticeKnown, []any{job.ID}, &person, &at)
	default:
		var about bounced
		err = q.row(ctx, qBounced, []any{job.ID}, &about.delivery, &about.digest, &about.person, &about.subscription, &about.provider, &at)
	}
	if errors.Is(err, zonewire.ErrNotFound) {
		return false, nil
	}
	return now.Sub(fromMs(at)) <= maxAge, readError("address", err)
}
