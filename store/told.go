package store

import (
	"context"
	"database/sql"

	"zonewire"
)

var (
	// The stories of a window that the list has told before, and in which of its digests and zones. An article that was
	// withdrawn is not told by what goes out after.
	qToldStories = sqlText(`
		SELECT DISTINCT COALESCE(a.dup_of, a.id), i.digest_id, COALESCE(b.zone_id, 0), b.withdrawn_ms
		FROM article a
		JOIN zone z ON z.id = a.zone_id
		JOIN article b ON b.id = COALESCE(a.dup_of, a.id) OR b.dup_of = COALESCE(a.dup_of, a.id)
		JOIN digest_item i ON i.list_id = ?3 AND i.article_id = b.id
		WHERE a.seq > ?1 AND a.seq <= ?2 AND a.withdrawn_ms = 0
		ORDER BY 1, 2, 3`)
	// Who got that digest, or will, with that zone in it.
	qToldReaders = sqlText(`
		SELECT d.subscription_id
		FROM delivery d
		LEFT JOIN variant v ON v.id = d.variant_id
		WHERE d.digest_id = ?1 AND d.state IN (0, 1, 2, 3, 5)
			AND (v.zones IS NULL OR v.zones = '' OR ',' || v.zones || ',' LIKE '%,' || CAST(CAST(?2 AS BIGINT) AS TEXT) || ',%')
			AND (CAST(?3 AS BIGINT) = 0 OR (d.done_ms > 0 AND d.done_ms <= ?3))`)
	qToldPut   = sqlText(`INSERT INTO plan_told (subscription_id, told) VALUES (?1, ?2)`)
	qToldClear = sqlText(`DELETE FROM plan_told WHERE subscription_id IN (SELECT id FROM subscription WHERE list_id = ?1)`)
)

// noteTold notes, for the digest being planned, which of its stories each subscription had in an earlier mail of the list,
// or of the list from which its reader moved here: another portal's copy is no news to those readers, and it is to the
// others.
func noteTold(ctx context.Context, q querier, l zonewire.List, hi int64) error {
	told, err := toldBy(ctx, q, l, hi, l.ID)
	if err != nil {
		return err
	}
	places, err := movedTo(ctx, q, l.ID)
	if err != nil {
		return err
	}
	var by map[int64][]int64
	for i, m := range places {
		if i == 0 || m.list != places[i-1].list {
			if by, err = toldBy(ctx, q, l, hi, m.list); err != nil {
				return err
			}
		}
		told[m.here] = append(told[m.here], by[m.from]...)
	}
	for id, stories := range told {
		if len(stories) == 0 {
			continue
		}
		if _, err := q.exec(ctx, qToldPut, id, zonewire.ZoneSet(stories)); err != nil {
			return err
		}
	}
	return nil
}

// toldBy is which stories of the window (l.Watermark, hi] the mails of a list have told, by subscription to that list.
func toldBy(ctx context.Context, q querier, l zonewire.List, hi, list int64) (map[int64][]int64, error) {
	type telling struct{ story, digest, zone, withdrawn int64 }
	tellings, err := collect(ctx, q, qToldStories, []any{l.Watermark, hi, list}, func(rows *sql.Rows) (telling, error) {
		var t telling
		err := rows.Scan(&t.story, &t.digest, &t.zone, &t.withdrawn)
		return t, err
	})
	if err != nil {
		return nil, err
	}
	told := map[int64][]int64{}
	for _, t := range tellings {
		readers, err := collect(ctx, q, qToldReaders, []any{t.digest, t.zone, t.withdrawn}, scanInt)
		if err != nil {
			return nil, err
		}
		for _, id := range readers {
			told[id] = append(told[id], t.story)
		}
	}
	return told, nil
}
