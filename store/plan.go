package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"zonewire"
)

var errSlotTaken = errors.New("slot taken")

// Composing a digest takes some milliseconds a choice of zones; a planner that is frozen meanwhile holds its turn no longer.
const (
	renderFor  = 30 * time.Second
	renderEach = 20 * time.Millisecond

	manyRecipients = 5000 // of a digest, after which the planner's statistics are worth taking anew
)

// A digest needs no body, and a window may hold thousands of articles.
var (
	qWindow = sqlText(`
		SELECT ` + articleColumns + `, ''
		FROM article a
		JOIN zone z ON z.id = a.zone_id
		WHERE a.seq > ?1 AND a.seq <= ?2 AND a.withdrawn_ms = 0
			AND NOT EXISTS (SELECT 1 FROM digest_item i WHERE i.list_id = ?3 AND i.article_id = a.id)
		ORDER BY a.seq`)
	qAudiences = sqlText(`
		SELECT CASE WHEN u.locale = '' THEN ?2 ELSE u.locale END, s.zones, COALESCE(t.told, ''), COUNT(*)
		FROM subscription s
		JOIN subscriber u ON u.id = s.subscriber_id
		LEFT JOIN plan_told t ON t.subscription_id = s.id
		WHERE s.list_id = ?1 AND s.state = 'active'
		GROUP BY CASE WHEN u.locale = '' THEN ?2 ELSE u.locale END, s.zones, COALESCE(t.told, '')
		ORDER BY CASE WHEN u.locale = '' THEN ?2 ELSE u.locale END, s.zones, COALESCE(t.told, '')`)
	qDigestInsert = sqlText(`
		INSERT INTO digest (list_id, slot_ms, state, reason, lo, hi, items, recipients, created_ms)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?7)
		ON CONFLICT (list_id, slot_ms) DO NOTHING
		RETURNING id`)
	qDigestUpdate = sqlText(`UPDATE digest SET state = ?2, reason = ?3, items = ?4, recipients = ?5 WHERE id = ?1`)
	qItemInsert   = sqlText(`INSERT INTO digest_item (list_id, article_id, digest_id, position) VALUES (?1, ?2, ?3, ?4)`)
	qPlanAudience = sqlText(`
		INSERT INTO delivery (digest_id, subscriber_id, subscription_id, variant_id, provider, state, reason, attempts, losses,
			next_ms, claim, worker_id, began_ms, done_ms, code, enhanced, reply)
		SELECT CAST(?1 AS BIGINT), s.subscriber_id, s.id, CAST(?2 AS BIGINT), u.provider,
			CASE WHEN p.address_hash IS NULL THEN CAST(?3 AS BIGINT) ELSE 6 END,
			COALESCE(p.reason, ''), 0, 0, CAST(?4 AS BIGINT), 0, 0, 0, 0, 0, '', ''
		FROM subscription s
		JOIN subscriber u ON u.id = s.subscriber_id
		LEFT JOIN suppression p ON p.address_hash = u.address_hash
		LEFT JOIN plan_told t ON t.subscription_id = s.id
		WHERE s.list_id = ?5 AND s.state = 'active' AND s.zones = ?6
			AND CASE WHEN u.locale = '' THEN CAST(?7 AS TEXT) ELSE u.locale END = ?8 AND COALESCE(t.told, '') = ?9`)
	qPlanPaused = sqlText(`
		INSERT INTO delivery (digest_id, subscriber_id, subscription_id, variant_id, state, reason, attempts, losses,
			next_ms, claim, worker_id, began_ms, done_ms, code, enhanced, reply)
		SELECT CAST(?1 AS BIGINT), s.subscriber_id, s.id, NULL, 6, 'paused', 0, 0, CAST(?2 AS BIGINT), 0, 0, 0,
			CAST(?2 AS BIGINT), 0, '', ''
		FROM subscription s
		WHERE s.list_id = ?3 AND s.state = 'paused'`)
	qListAdvance = sqlText(`
		UPDATE list SET watermark = ?2, next_slot_ms = ?3
		WHERE id = ?1 AND next_slot_ms = ?4 AND watermark = ?5`)
)

// PlanNext plans the most overdue list for which that is possible, in one transaction: its slot, its frozen items, a
// delivery for every recipient, and the list's advance by compare-and-set. It answers false when no list is due. A
// list whose schedule cannot be read is left aside; its error comes back when nothing else is due.
func (db *DB) PlanNext(ctx context.Context, now time.Time, planning zonewire.Planning) (zonewire.Digest, bool, error) {
	due, err := db.DueLists(ctx, now)
	if err != nil {
		return zonewire.Digest{}, false, err
	}
	var broken []error
	for _, l := range due {
		d, err := db.planList(ctx, zonewire.Act{At: now, By: "daemon"}, l.Slug, planning, func(l zonewire.List) (slot, next time.Time, err error) {
			if l.NextSlot.IsZero() || l.NextSlot.After(now) || l.Paused {
				return slot, next, errSlotTaken // another planner was faster
			}
			return planning.Slots(l, now)
		})
		switch {
		case err == nil && d.ID == 0: // an instant list of whose news nothing matched
		case err == nil:
			return d, true, nil
		case errors.Is(err, errSlotTaken), errors.Is(err, zonewire.ErrNotFound):
		default:
			broken = append(broken, fmt.Errorf("list %s: %w", l.Slug, err))
		}
	}
	return zonewire.Digest{}, false, errors.Join(broken...)
}

// CutDigest plans a digest now, for a slot that the schedule does not know; the next scheduled slot stays.
// [zonewire.ErrExists] if the list has a digest for that moment.
func (db *DB) CutDigest(ctx context.Context, act zonewire.Act, list string, slot time.Time, planning zonewire.Planning) (zonewire.Digest, error) {
	d, err := db.planList(ctx, act, list, planning, func(l zonewire.List) (time.Time, time.Time, error) {
		return slot, l.NextSlot, nil
	})
	if errors.Is(err, errSlotTaken) {
		err = fmt.Errorf("list %s has a digest for %s: %w", list, slot.Format(time.RFC3339), zonewire.ErrExists)
	}
	return d, err
}

func (db *DB) planList(ctx context.Context, act zonewire.Act, slug string, planning zonewire.Planning, slots func(zonewire.List) (slot, next time.Time, err error)) (digest zonewire.Digest, err error) {
	err = db.write(ctx, "plan list "+slug, func(q querier) error {
		digest = zonewire.Digest{}
		var hi int64
		if err := q.row(ctx, qCounterLock, []any{"item"}, &hi); err != nil {
			return err
		}
		l, err := listWhere(ctx, q, qList, slug)
		if err != nil {
			return err
		}
		slot, next, err := slots(l)
		if err != nil {
			return err
		}
		scheduled := !next.Equal(l.NextSlot)
		if scheduled && l.IsInstant() {
			if some, err := matches(ctx, q, l, hi); err != nil || !some {
				return errors.Join(err, advance(ctx, q, l, hi, l.NextSlot))
			}
		}
		late := scheduled && zonewire.Late(l, slot, act.At)
		if late {
			hi = l.Watermark // the articles come with the next slot
		}
		var id int64
		switch err := q.row(ctx, qDigestInsert, []any{l.ID, toMs(slot), string(zonewire.DigestPlanned), "", l.Watermark, hi, toMs(act.At)}, &id); {
		case errors.Is(err, zonewire.ErrNotFound) && !scheduled:
			return errSlotTaken
		case errors.Is(err, zonewire.ErrNotFound): // the slot was cut by hand for this very moment: that digest is its
			if err := advance(ctx, q, l, l.Watermark, next); err != nil {
				return err
			}
			return q.digestAt(ctx, l.ID, slot, &digest)
		case err != nil:
			return err
		}
		if late {
			_, err = q.exec(ctx, qDigestUpdate, id, string(zonewire.DigestSkipped), "late", int64(0), int64(0))
		} else {
			err = fillDigest(ctx, q, act, l, id, slot, hi, planning)
		}
		if err != nil {
			return err
		}
		if scheduled && l.IsInstant() {
			if next, err = afterInstant(ctx, q, l, slot); err != nil {
				return err
			}
		}
		if err := advance(ctx, q, l, hi, next); err != nil {
			return err
		}
		if !late {
			if err := moveReaders(ctx, q, act, l); err != nil {
				return err
			}
		}
		if err := audit(ctx, q, act, "digest.plan", fmt.Sprintf("digest:%d", id), "list:"+slug); err != nil {
			return err
		}
		digest, err = digestByID(ctx, q, id)
		return err
	})
	return digest, err
}

var qDigestAt = sqlText(`SELECT id FROM digest WHERE list_id = ?1 AND slot_ms = ?2`)

// digestAt reads the digest that a list has for a slot.
func (q querier) digestAt(ctx context.Context, list int64, slot time.Time, digest *zonewire.Digest) error {
	var id int64
	err := q.row(ctx, qDigestAt, []any{list, toMs(slot)}, &id)
	if err == nil {
		*digest, err = digestByID(ctx, q, id)
	}
	return err
}

// advance moves the list on, if nobody else has.
func advance(ctx context.Context, q querier, l zonewire.List, hi int64, next time.Time) error {
	n, err := q.exec(ctx, qListAdvance, l.ID, hi, toMs(next), toMs(l.NextSlot), l.Watermark)
	if err == nil && n != 1 {
		err = errSlotTaken
	}
	return err
}

// planRequest gathers what a digest of the window (list.Watermark, hi] is planned from.
func planRequest(ctx context.Context, q querier, l zonewire.List, hi int64, now time.Time) (r zonewire.PlanRequest, err error) {
	r.List, r.Now = l, now
	r.Articles, err = collect(ctx, q, qWindow, []any{l.Watermark, hi, l.ID}, func(rows *sql.Rows) (zonewire.Article, error) { return scanArticle(rows) })
	if err != nil {
		return r, err
	}
	if r.Zones, err = zoneMap(ctx, q); err != nil {
		return r, err
	}
	r.Audiences, err = collect(ctx, q, qAudiences, []any{l.ID, l.Locale}, func(rows *sql.Rows) (zonewire.Audience, error) {
		var a zonewire.Audience
		err := rows.Scan(&a.Locale, &a.Zones, &a.Told, &a.Size)
		return a, err
	})
	if err != nil {
		return r, err
	}
	if r.Notes, err = notesDue(ctx, q, l, now); err != nil {
		return r, err
	}
	r.Silent, err = silentSources(ctx, q, l, r.Zones, now)
	return r, err
}

// fillDigest writes items, variants and a delivery for every recipient of this instant, and the operator's preview.
func fillDigest(ctx context.Context, q querier, act zonewire.Act, l zonewire.List, id int64, slot time.Time, hi int64, planning zonewire.Planning) error {
	if _, err := q.exec(ctx, qPauseOver, l.ID, toMs(act.At)); err != nil {
		return err
	}
	if err := noteTold(ctx, q, l, hi); err != nil {
		return err
	}
	r, err := planRequest(ctx, q, l, hi, act.At)
	if err != nil {
		return err
	}
	r.Digest, r.Slot = id, slot
	if err := q.wait(ctx, renderFor+time.Duration(len(r.Audiences))*renderEach); err != nil {
		return err
	}
	plan, err := planning.Plan(r)
	if err != nil {
		return err
	}
	if len(plan.Items) == 0 {
		if _, err := q.exec(ctx, qToldClear, l.ID); err != nil {
			return err
		}
		_, err := q.exec(ctx, qDigestUpdate, id, string(zonewire.DigestSkipped), "nothing new", int64(0), int64(0))
		return err
	}
	for i, article := range plan.Items {
		if _, err := q.exec(ctx, qItemInsert, l.ID, article, id, int64(i)); err != nil {
			return err
		}
	}
	if err := recordNotes(ctx, q, l, id, plan.Notes, r.Silent); err != nil {
		return err
	}
	recipients, err := addDeliveries(ctx, q, act, l, id, r.Audiences, plan)
	if err != nil {
		return err
	}
	if _, err := q.exec(ctx, qToldClear, l.ID); err != nil {
		return err
	}
	if recipients >= manyRecipients && q.db.dialect.afterPlan != "" {
		if _, err := q.x.ExecContext(ctx, q.db.dialect.afterPlan); err != nil {
			return err
		}
	}
	if plan.Preview != nil {
		if _, err := addNotice(ctx, q, act, "preview", 0, plan.Preview.Email, plan.Preview.Mail); err != nil {
			return err
		}
	}
	_, err = q.exec(ctx, qDigestUpdate, id, string(zonewire.DigestPlanned), "", int64(len(plan.Items)), recipients)
	return err
}

func addDeliveries(ctx context.Context, q querier, act zonewire.Act, l zonewire.List, digest int64, audiences []zonewire.Audience, plan zonewire.Plan) (int64, error) {
	variants := map[zonewire.Audience]int64{}
	for _, v := range plan.Variants {
		id, err := insertVariant(ctx, q, digest, v)
		if err != nil {
			return 0, err
		}
		variants[zonewire.Audience{Locale: v.Locale, Zones: v.Zones, Told: v.Told}] = id
	}
	from := toMs(act.At.Add(l.Hold))
	recipients, err := q.exec(ctx, qPlanPaused, digest, toMs(act.At), l.ID)
	if err != nil {
		return 0, err
	}
	for _, a := range audiences {
		state, variant := zonewire.Pending, variants[zonewire.Audience{Locale: a.Locale, Zones: a.Zones, Told: a.Told}]
		if slices.ContainsFunc(plan.Empty, a.Same) {
			state, variant = zonewire.Empty, 0
		} else if variant == 0 {
			return 0, fmt.Errorf("audience %s %q: no mail was composed", a.Locale, a.Zones)
		}
		n, err := q.exec(ctx, qPlanAudience, digest, nullID(variant), int64(state), from, l.ID, a.Zones, l.Locale, a.Locale, a.Told)
		if err != nil {
			return 0, err
		}
		if int(n) != a.Size { // never: it would be a recipient lost in silence
			return 0, fmt.Errorf("audience %s %q: %d deliveries for %d subscriptions", a.Locale, a.Zones, n, a.Size)
		}
		recipients += n
	}
	return recipients, nil
}

// PreviewDigest plans a digest of what has come since the list's last one and keeps nothing.
func (db *DB) PreviewDigest(ctx context.Context, list string, slot, now time.Time, audiences []zonewire.Audience, planning zonewire.Planning) (zonewire.Plan, error) {
	q := db.reader()
	l, err := listWhere(ctx, q, qList, list)
	if err != nil {
		return zonewire.Plan{}, readError("list "+list, err)
	}
	var hi int64
	if err := q.row(ctx, qCounter, []any{"item"}, &hi); err != nil {
		return zonewire.Plan{}, readError("preview "+list, err)
	}
	r, err := planRequest(ctx, q, l, hi, now)
	if err != nil {
		return zonewire.Plan{}, readError("preview "+list, err)
	}
	r.Slot, r.Audiences = slot, audiences
	return planning.Plan(r)
}
