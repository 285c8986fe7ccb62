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

const digestColumns = `d.id, d.list_id, l.slug, d.slot_ms, d.state, d.reason, d.lo, d.hi, d.items, d.recipients, d.created_ms`

var (
	qDigests = sqlText(`
		SELECT ` + digestColumns + `
		FROM digest d
		JOIN list l ON l.id = d.list_id
		WHERE (CAST(?1 AS TEXT) = '' OR l.slug = ?1)
		ORDER BY d.id DESC
		LIMIT ?2`)
	qDigest = sqlText(`
		SELECT ` + digestColumns + `
		FROM digest d
		JOIN list l ON l.id = d.list_id
		WHERE d.id = ?1`)
	qDigestCounts = sqlText(`
		SELECT state, COUNT(*) FROM delivery WHERE digest_id = ?1 GROUP BY state
		UNION ALL
		SELECT state, n FROM digest_count WHERE digest_id = ?1`)
	qVariant    = sqlText(`SELECT id, digest_id, locale, zones, told, items, body FROM variant WHERE id = ?1`)
	qWebVariant = sqlText(`
		SELECT id, digest_id, locale, zones, told, items, body
		FROM variant
		WHERE digest_id = ?1 AND web = 1
		ORDER BY CASE WHEN locale = ?2 THEN 0 ELSE 1 END, id DESC
		LIMIT 1`)
	qDigestCancel = sqlText(`UPDATE digest SET state = 'cancelled' WHERE id = ?1`)
	qCancelDigest = sqlText(`
		UPDATE delivery ` + ending("7", "'cancelled'", "?2") + `
		WHERE digest_id = ?1 AND state IN (0, 1, 2)
		RETURNING began_ms`)
	qDigestItems = sqlText(`SELECT article_id FROM digest_item WHERE digest_id = ?1 ORDER BY position`)
	qStateTotals = sqlText(`SELECT state, COUNT(*) FROM delivery GROUP BY state UNION ALL SELECT state, CAST(SUM(n) AS BIGINT) FROM digest_count GROUP BY state`)
)

func digestsWhere(ctx context.Context, q querier, text query, args ...any) ([]zonewire.Digest, error) {
	all, err := collect(ctx, q, text, args, func(rows *sql.Rows) (zonewire.Digest, error) {
		var d zonewire.Digest
		var slot, created int64
		err := rows.Scan(&d.ID, &d.ListID, &d.List, &slot, &d.State, &d.Reason, &d.Lo, &d.Hi, &d.Items, &d.Recipients, &created)
		d.Slot, d.Created = fromMs(slot), fromMs(created)
		return d, err
	})
	for i := range all {
		if err != nil {
			break
		}
		all[i].Counts, err = counts(ctx, q, qDigestCounts, all[i].ID)
		all[i].State = shownState(all[i])
	}
	return all, err
}

// shownState reads sending and sent off the deliveries.
func shownState(d zonewire.Digest) zonewire.DigestState {
	switch open := d.Counts.Open(); {
	case d.State != zonewire.DigestPlanned:
		return d.State
	case open == 0:
		return zonewire.DigestSent
	case d.Counts[zonewire.Accepted]+d.Counts[zonewire.Rejected]+d.Counts[zonewire.Leased] > 0:
		return zonewire.DigestSending
	}
	return d.State
}

func counts(ctx context.Context, q querier, text query, args ...any) (zonewire.Counts, error) {
	var c zonewire.Counts
	_, err := collect(ctx, q, text, args, func(rows *sql.Rows) (struct{}, error) {
		var state, n int
		err := rows.Scan(&state, &n)
		if err == nil && (state < 0 || state >= len(c)) {
			err = zonewire.Invalidf("delivery state %d is unknown", state)
		}
		if err == nil {
			c[state] += n
		}
		return struct{}{}, err
	})
	return c, err
}

// Digests lists digests, newest first; an empty list means of every list.
func (db *DB) Digests(ctx context.Context, list string, limit int) ([]zonewire.Digest, error) {
	all, err := digestsWhere(ctx, db.reader(), qDigests, list, int64(limit))
	return all, readError("digests", err)
}

// Digest gives a digest with its counts, which sum to its recipients. [zonewire.ErrNotFound].
func (db *DB) Digest(ctx context.Context, id int64) (zonewire.Digest, error) {
	d, err := digestByID(ctx, db.reader(), id)
	return d, readError("digest "+strconv.FormatInt(id, 10), err)
}

func digestByID(ctx context.Context, q querier, id int64) (zonewire.Digest, error) {
	all, err := digestsWhere(ctx, q, qDigest, id)
	if err == nil && len(all) == 0 {
		err = zonewire.ErrNotFound
	}
	if err != nil {
		return zonewire.Digest{}, err
	}
	return all[0], nil
}

// DeliveryCounts counts all deliveries by state.
func (db *DB) DeliveryCounts(ctx context.Context) (zonewire.Counts, error) {
	c, err := counts(ctx, db.reader(), qStateTotals)
	return c, readError("delivery counts", err)
}

// storedVariant is what a variant's body packs.
type storedVariant struct {
	Mail zonewire.Mail `json:"mail"`
	Web  string        `json:"web,omitempty"`
}

func variantWhere(ctx context.Context, q querier, text query, args ...any) (zonewire.Variant, error) {
	var v zonewire.Variant
	var body []byte
	if err := q.row(ctx, text, args, &v.ID, &v.Digest, &v.Locale, &v.Zones, &v.Told, &v.Items, &body); err != nil {
		return v, err
	}
	var s storedVariant
	if err := unpack(body, &s); err != nil {
		return v, fmt.Errorf("variant %d: %w", v.ID, err)
	}
	v.Mail, v.Web = s.Mail, s.Web
	return v, nil
}

// Variant gives a composed mail; it never changes. [zonewire.ErrNotFound].
func (db *DB) Variant(ctx context.Context, id int64) (zonewire.Variant, error) {
	v, err := variantWhere(ctx, db.reader(), qVariant, id)
	return v, readError("variant "+strconv.FormatInt(id, 10), err)
}

// WebVariant gives a digest as a page, in the locale if it was made in it. [zonewire.ErrNotFound].
func (db *DB) WebVariant(ctx context.Context, digest int64, locale string) (zonewire.Variant, error) {
	v, err := variantWhere(ctx, db.reader(), qWebVariant, digest, locale)
	return v, readError("digest "+strconv.FormatInt(digest, 10), err)
}

// changeOpen runs a statement on open mail that returns began_ms, and gives how many mails it has changed at once, and how many
// are under way, whose next try it has changed.
func changeOpen(ctx context.Context, q querier, text query, args ...any) (changed, under int, err error) {
	began, err := collect(ctx, q, text, args, scanInt)
	for _, ms := range began {
		if ms == 0 {
			changed++
		}
	}
	return changed, len(began) - changed, err
}

// CancelDigest cancels the deliveries of a digest that were not begun.
func (db *DB) CancelDigest(ctx context.Context, act zonewire.Act, id int64) (cancelled int, err error) {
	name := "digest:" + strconv.FormatInt(id, 10)
	err = db.write(ctx, "cancel "+name, func(q querier) error {
		d, err := digestByID(ctx, q, id)
		if err != nil {
			return err
		}
		if d.State == zonewire.DigestSkipped {
			return zonewire.Invalidf("digest %d was skipped: there is nothing to cancel", id)
		}
		var under int
		if cancelled, under, err = changeOpen(ctx, q, qCancelDigest, id, toMs(act.At)); err != nil || cancelled+under == 0 {
			return err
		}
		if _, err := q.exec(ctx, qDigestCancel, id); err != nil {
			return err
		}
		return audit(ctx, q, act, "digest.cancel", name, strconv.Itoa(cancelled)+" deliveries")
	})
	return cancelled, err
}

var (
	qWithdraw = sqlText(`UPDATE article SET withdrawn_ms = ?2, withdrawn_reason = ?3, change = ?4 WHERE id = ?1`)
	qPurge    = sqlText(`UPDATE article SET title = '', summary = '', content_html = '', image = '' WHERE id = ?1`)
	qPurgeRev = sqlText(`DELETE FROM article_revision WHERE article_id = ?1`)
	// The digests that carry an article, or tell what became of it.
	qCarriers = sqlText(`
		SELECT digest_id FROM digest_item WHERE article_id = ?1
		UNION
		SELECT digest_id FROM digest_note WHERE article_id = ?1
		ORDER BY 1`)
	// The newest variant of each audience: those before it were replaced by earlier withdrawals.
	qVariantsOf = sqlText(`
		SELECT MAX(id)
		FROM variant
		WHERE digest_id = ?1
		GROUP BY locale, zones, told
		ORDER BY MAX(id)`)
	qRepoint = sqlText(`
		UPDATE delivery
		SET variant_id = ?2, state = CASE WHEN state = 1 AND began_ms = 0 THEN 0 ELSE state END,
			next_ms = CASE WHEN state = 1 AND began_ms = 0 THEN ?3 ELSE next_ms END, claim = CASE WHEN began_ms = 0 THEN 0 ELSE claim END
		WHERE variant_id = ?1 AND state IN (0, 1, 2)
		RETURNING began_ms`)
	qEmptied = sqlText(`
		UPDATE delivery ` + ending("8", "'withdrawn'", "?2") + `,
			variant_id = CASE WHEN began_ms = 0 THEN NULL ELSE variant_id END
		WHERE variant_id = ?1 AND state IN (0, 1, 2)
		RETURNING began_ms`)
	qWordsAt      = sqlText(`SELECT title, summary FROM article_revision WHERE article_id = ?1 AND replaced_ms > ?2 ORDER BY replaced_ms, id LIMIT 1`)
	qVariantOpen  = sqlText(`SELECT COUNT(*) FROM delivery WHERE variant_id = ?1 AND state IN (0, 1, 2)`)
	qVariantWeb   = sqlText(`UPDATE variant SET web = 0 WHERE id = ?1`)
	qVariantBlank = sqlText(`DELETE FROM variant WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE variant_id = ?1)`)
)

// WithdrawArticle takes an article back: it leaves the feeds, the archive and every delivery not begun, whose mail is
// composed again without it (or closed as empty if nothing is left); it never comes back. purge also deletes its text.
// recut counts the deliveries whose mail changed.
func (db *DB) WithdrawArticle(ctx context.Context, act zonewire.Act, id int64, reason string, purge bool, planning zonewire.Planning) (recut int, err error) {
	name := "article:" + strconv.FormatInt(id, 10)
	err = db.write(ctx, "withdraw "+name, func(q querier) error {
		recut = 0
		seq, err := lockSequence(ctx, q)
		if err != nil {
			return err
		}
		a, err := article(ctx, q, id)
		if err != nil {
			return err
		}
		if a.Withdrawn.IsZero() {
			if _, err := q.exec(ctx, qWithdraw, id, toMs(act.At), reason, seq.next()); err != nil {
				return err
			}
			if err := depart(ctx, q, act, a, seq.n, false); err != nil {
				return err
			}
		} else if !purge {
			return fmt.Errorf("withdrawn on %s: %w", a.Withdrawn.Format("2006-01-02"), zonewire.ErrGone)
		}
		digests, err := collect(ctx, q, qCarriers, []any{id}, scanInt)
		if err != nil {
			return err
		}
		for _, d := range digests {
			n, err := recutDigest(ctx, q, act, d, purge, planning)
			if err != nil {
				return fmt.Errorf("digest %d: %w", d, err)
			}
			recut += n
		}
		if purge {
			for _, text := range []query{qPurge, qPurgeRev, qAttachmentsClear} {
				if _, err := q.exec(ctx, text, id); err != nil {
					return err
				}
			}
		}
		if err := seq.save(ctx, q); err != nil {
			return err
		}
		return audit(ctx, q, act, "article.withdraw", name, reason)
	})
	return recut, err
}

// recutDigest composes a digest's mails again from the frozen items, of which some no longer stand. Mails long sent are left alone,
// but for the page of the archive.
func recutDigest(ctx context.Context, q querier, act zonewire.Act, digest int64, purge bool, planning zonewire.Planning) (int, error) {
	d, err := digestByID(ctx, q, digest)
	if err != nil {
		return 0, err
	}
	r := zonewire.PlanRequest{Digest: digest, Slot: d.Slot, Now: act.At}
	if r.List, err = listWhere(ctx, q, qListByID, d.ListID); err != nil {
		return 0, err
	}
	if r.Zones, err = zoneMap(ctx, q); err != nil {
		return 0, err
	}
	ids, err := collect(ctx, q, qDigestItems, []any{digest}, scanInt)
	if err != nil {
		return 0, err
	}
	if r.Articles, err = articlesByID(ctx, q, ids); err != nil {
		return 0, err
	}
	for i := range r.Articles {
		if err := asPlanned(ctx, q, d, &r.Articles[i]); err != nil {
			return 0, err
		}
	}
	if r.Notes, err = notesOf(ctx, q, digest); err != nil {
		return 0, err
	}
	if r.Silent, err = silentOf(ctx, q, digest); err != nil {
		return 0, err
	}
	variants, err := collect(ctx, q, qVariantsOf, []any{digest}, scanInt)
	if err != nil {
		return 0, err
	}
	recut := 0
	for _, id := range variants {
		n, err := recutVariant(ctx, q, r, id, purge, planning)
		if err != nil {
			return 0, err
		}
		recut += n
	}
	return recut, nil
}

// asPlanned gives an article the words that it had when a digest was planned: what another's withdrawal composes anew
// brings no correction with it.
func asPlanned(ctx context.Context, q querier, d zonewire.Digest, a *zonewire.Article) error {
	if !a.Updated.After(d.Created) {
		return nil
	}
	err := q.row(ctx, qWordsAt, []any{a.ID, toMs(d.Created)}, &a.Title, &a.Summary)
	if errors.Is(err, zonewire.ErrNotFound) {
		return nil
	}
	return err
}

func recutVariant(ctx context.Context, q querier, r zonewire.PlanRequest, id int64, purge bool, planning zonewire.Planning) (int, error) {
	old, err := variantWhere(ctx, q, qVariant, id)
	if err != nil {
		return 0, err
	}
	var open int
	if err := q.row(ctx, qVariantOpen, []any{id}, &open); err != nil {
		return 0, err
	}
	if open == 0 && old.Web == "" && !purge {
		return 0, nil
	}
	now := old
	if now.Zones, err = presentZones(old.Zones, r.Zones); err != nil {
		return 0, err
	}
	v, some, err := planning.Recompose(r, now)
	if err != nil {
		return 0, err
	}
	v.Zones, v.Told = old.Zones, old.Told
	n := 0
	if some {
		if v.ID, err = insertVariant(ctx, q, r.Digest, v); err != nil {
			return 0, err
		}
		if n, _, err = changeOpen(ctx, q, qRepoint, old.ID, v.ID, toMs(r.Now)); err != nil {
			return 0, err
		}
	} else {
		if n, _, err = changeOpen(ctx, q, qEmptied, old.ID, toMs(r.Now)); err != nil {
			return 0, err
		}
		if v.Web != "" { // the archive still says that something stood there
			if _, err := insertVariant(ctx, q, r.Digest, v); err != nil {
				return 0, err
			}
		}
	}
	if _, err := q.exec(ctx, qVariantWeb, old.ID); err != nil {
		return 0, err
	}
	_, err = q.exec(ctx, qVariantBlank, old.ID)
	return n, err
}

// presentZones adds to a set the zones into which some of it were merged since: that is where their articles are now.
func presentZones(set string, zones map[int64]zonewire.Zone) (string, error) {
	ids, err := zonewire.ParseZoneSet(set)
	if err != nil {
		return "", err
	}
	bySlug := make(map[string]int64, len(zones))
	for id, z := range zones {
		bySlug[z.Slug] = id
	}
	for i := 0; i < len(ids) && i < len(zones); i++ { // a merged zone may have been merged again
		if into := bySlug[zones[ids[i]].MergedInto]; into != 0 {
			ids = append(ids, into)
		}
	}
	return zonewire.ZoneSet(ids), nil
}

func zoneMap(ctx context.Context, q querier) (map[int64]zonewire.Zone, error) {
	all, err := zones(ctx, q)
	byID := make(map[int64]zonewire.Zone, len(all))
	for _, z := range all {
		byID[z.ID] = z
	}
	return byID, err
}

var qVariantInsert = sqlText(`
		INSERT INTO variant (digest_id, locale, zones, told, items, web, body)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
		RETURNING id`)

func insertVariant(ctx context.Context, q querier, digest int64, v zonewire.Variant) (int64, error) {
	body, err := pack(storedVariant{v.Mail, v.Web})
	if err != nil {
		return 0, err
	}
	var id int64
	return id, q.row(ctx, qVariantInsert, []any{digest, v.Locale, v.Zones, v.Told, int64(v.Items), toFlag(v.Web != ""), body}, &id)
}

// DueLists gives the lists whose next slot has come: an instant list, if an article waits for it that had come by now.
func (db *DB) DueLists(ctx context.Context, now time.Time) ([]zonewire.List, error) {
	all, err := listsWhere(ctx, db.reader(), qListsDue, toMs(now))
	return all, readError("due lists", err)
}

var qRecipients = sqlText(`SELECT CAST(COALESCE(SUM(recipients), 0) AS BIGINT) FROM digest`)

// Recipients counts the recipients of all digests: the sum of [DB.DeliveryCounts], always.
func (db *DB) Recipients(ctx context.Context) (n int, err error) {
	return n, readError("recipients", db.reader().row(ctx, qRecipients, nil, &n))
}
