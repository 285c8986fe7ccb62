package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"zonewire"
)

var qSentInHour = sqlText(`
		SELECT COUNT(*)
		FROM digest
		WHERE list_id = ?1 AND slot_ms >= ?2 AND slot_ms <= ?3 AND state <> 'skipped'`)

// matches reports whether anything in the window (l.Watermark, hi] is for the list.
func matches(ctx context.Context, q querier, l zonewire.List, hi int64) (bool, error) {
	articles, err := collect(ctx, q, qWindow, []any{l.Watermark, hi, l.ID}, func(rows *sql.Rows) (zonewire.Article, error) { return scanArticle(rows) })
	if err != nil || len(articles) == 0 {
		return false, err
	}
	zones, err := zoneMap(ctx, q)
	return slices.ContainsFunc(articles, func(a zonewire.Article) bool { return l.Takes(a, zones[a.ZoneID]) }), err
}

// afterInstant is the earliest slot after one that an instant list has just had.
func afterInstant(ctx context.Context, q querier, l zonewire.List, slot time.Time) (time.Time, error) {
	var sent int
	err := q.row(ctx, qSentInHour, []any{l.ID, toMs(slot.Truncate(time.Hour)), toMs(slot)}, &sent)
	return zonewire.AfterInstant(slot, sent), err
}
