package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"zonewire"
)

// notesFor is how long after a digest its readers are told what became of its articles.
const notesFor = 30 * 24 * time.Hour

var (
	// Articles of a list's digests that somebody got and that changed since. The mail of a reader whose turn had not come
	// when an article was withdrawn did not hold it.
	qChangedSince = sqlText(`
		SELECT ` + articleColumns + `, '', d.created_ms
		FROM digest d
		JOIN digest_item i ON i.digest_id = d.id
		JOIN article a ON a.id = i.article_id
		LEFT JOIN zone z ON z.id = a.zone_id
		WHERE d.list_id = ?1 AND d.created_ms >= ?2 AND (a.updated_ms > d.created_ms OR a.withdrawn_ms > d.created_ms)
			AND EXISTS (
				SELECT 1
				FROM delivery x
				WHERE x.digest_id = d.id AND x.state IN (3, 5) AND (a.withdrawn_ms = 0 OR x.done_ms <= a.withdrawn_ms))
		ORDER BY a.id`)
	qNotesTold = sqlText(`SELECT article_id, kind, at_ms FROM digest_note WHERE list_id = ?1`)
	qNotesOf   = sqlText(`SELECT article_id, kind, at_ms FROM digest_note WHERE digest_id = ?1 ORDER BY at_ms DESC, article_id`)
	qNoteTell  = sqlText(`INSERT INTO digest_note (list_id, article_id, kind, at_ms, digest_id) VALUES (?1, ?2, ?3, ?4, ?5)`)
	qSilentPut = sqlText(`UPDATE digest SET silent = ?2 WHERE id = ?1`)
	qSilentOf  = sqlText(`SELECT silent FROM digest WHERE id = ?1`)
	// When the digest before this moment was planned.
	qPlannedLast = sqlText(`SELECT COALESCE(MAX(created_ms), 0) FROM digest WHERE list_id = ?1 AND state <> 'skipped' AND created_ms < ?2`)
	// The sources that have failed since before a moment and are not given up by the operator.
	qSilent = sqlText(`
		SELECT s.id, s.title, s.url, COALESCE(s.zone_id, 0), CASE WHEN s.failing_ms > 0 THEN s.failing_ms ELSE s.since_ms END
		FROM source s
		WHERE s.removed_ms = 0 AND s.state IN ('failing', 'blocked', 'suspended')
			AND CASE WHEN s.failing_ms > 0 THEN s.failing_ms ELSE s.since_ms END <= ?1
		ORDER BY s.id`)
	qSourceZones = sqlText(`SELECT DISTINCT zone_id FROM article WHERE source_id = ?1 AND zone_id IS NOT NULL`)
)

// noteKey names a note for ever.
type noteKey struct {
	article int64
	kind    zonewire.NoteKind
	at      int64
}

func scanNoteKey(rows *sql.Rows) (noteKey, error) {
	var k noteKey
	err := rows.Scan(&k.article, &k.kind, &k.at)
	return k, err
}

// withMoment reads one column more than a scan knows of.
type withMoment struct {
	rows *sql.Rows
	more *int64
}

func (w withMoment) Scan(to ...any) error { return w.rows.Scan(append(to, w.more)...) }

// notesDue is what became of articles that the list has mailed, newest first, and has not told yet.
func notesDue(ctx context.Context, q querier, l zonewire.List, now time.Time) ([]zonewire.Note, error) {
	told := map[noteKey]bool{}
	keys, err := collect(ctx, q, qNotesTold, []any{l.ID}, scanNoteKey)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		told[k] = true
	}
	var notes []zonewire.Note
	_, err = collect(ctx, q, qChangedSince, []any{l.ID, toMs(now.Add(-notesFor))}, func(rows *sql.Rows) (struct{}, error) {
		var planned int64
		a, err := scanArticle(withMoment{rows, &planned})
		for _, n := range []zonewire.Note{{Article: a, Kind: zonewire.NoteCorrected, At: a.Updated}, {Article: a, Kind: zonewire.NoteWithdrawn, At: a.Withdrawn}} {
			if toMs(n.At) > planned && !told[noteKey{a.ID, n.Kind, toMs(n.At)}] {
				notes = append(notes, n)
			}
		}
		return struct{}{}, err
	})
	slices.SortStableFunc(notes, func(a, b zonewire.Note) int { return b.At.Compare(a.At) })
	return notes, err
}

// notesOf is what a digest told.
func notesOf(ctx context.Context, q querier, digest int64) ([]zonewire.Note, error) {
	keys, err := collect(ctx, q, qNotesOf, []any{digest}, scanNoteKey)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(keys))
	for i, k := range keys {
		ids[i] = k.article
	}
	articles, err := articlesByID(ctx, q, slices.Compact(slices.Sorted(slices.Values(ids))))
	if err != nil {
		return nil, err
	}
	byID := map[int64]zonewire.Article{}
	for _, a := range articles {
		byID[a.ID] = a
	}
	var notes []zonewire.Note
	for _, k := range keys {
		notes = append(notes, zonewire.Note{Article: byID[k.article], Kind: k.kind, At: fromMs(k.at)})
	}
	return notes, nil
}

// recordNotes keeps what a digest tells, so that no other of its list does.
func recordNotes(ctx context.Context, q querier, l zonewire.List, digest int64, notes []zonewire.Note, silent []zonewire.Silence) error {
	for _, n := range notes {
		if _, err := q.exec(ctx, qNoteTell, l.ID, n.Article.ID, string(n.Kind), toMs(n.At), digest); err != nil {
			return err
		}
	}
	if len(silent) == 0 {
		return nil
	}
	text, err := json.Marshal(silent)
	if err != nil {
		return fmt.Errorf("silent sources: %w", err)
	}
	_, err = q.exec(ctx, qSilentPut, digest, string(text))
	return err
}

func silentOf(ctx context.Context, q querier, digest int64) (silent []zonewire.Silence, err error) {
	var text string
	if err := q.row(ctx, qSilentOf, []any{digest}, &text); err != nil || text == "" {
		return nil, err
	}
	if err := json.Unmarshal([]byte(text), &silent); err != nil {
		return nil, fmt.Errorf("silent sources of digest %d: %w", digest, err)
	}
	return silent, nil
}

// silentSources are the sources of a list's zones that could not be reached since its last digest or longer, so that what
// this one lacks may be their news.
func silentSources(ctx context.Context, q querier, l zonewire.List, zones map[int64]zonewire.Zone, now time.Time) ([]zonewire.Silence, error) {
	var last int64
	if err := q.row(ctx, qPlannedLast, []any{l.ID, toMs(now)}, &last); err != nil {
		return nil, err
	}
	if last == 0 {
		last = toMs(now)
	}
	type source struct {
		id int64
		zonewire.Silence
	}
	sources, err := collect(ctx, q, qSilent, []any{last}, func(rows *sql.Rows) (source, error) {
		var s source
		var address string
		var since int64
		err := rows.Scan(&s.id, &s.Source, &address, &s.Zone, &since)
		if u, bad := url.Parse(address); bad == nil {
			s.Source = cmp.Or(s.Source, u.Hostname())
		}
		s.Since = fromMs(since)
		return s, err
	})
	if err != nil {
		return nil, err
	}
	var silent []zonewire.Silence
	for _, s := range sources {
		of := []int64{s.Zone}
		if s.Zone == 0 {
			if of, err = collect(ctx, q, qSourceZones, []any{s.id}, scanInt); err != nil {
				return nil, err
			}
		}
		if slices.ContainsFunc(of, func(id int64) bool { z, known := zones[id]; return known && l.Covers(z) }) {
			silent = append(silent, s.Silence)
		}
	}
	return silent, nil
}
