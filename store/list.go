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

const listColumns = `id, slug, title, schedule, timezone, all_zones, province, city, category, keyword, max_items,
			max_age_ms, locale, catch_up_ms, mail_from, reply_to, private, hold_ms, paused, removed_ms, watermark,
			next_slot_ms, created_ms, workdays`

var (
	qLists    = sqlText(`SELECT ` + listColumns + ` FROM list WHERE removed_ms = 0 ORDER BY slug`)
	qList     = sqlText(`SELECT ` + listColumns + ` FROM list WHERE slug = ?1 AND removed_ms = 0`)
	qListByID = sqlText(`SELECT ` + listColumns + ` FROM list WHERE id = ?1`)
	qListsDue = sqlText(`
		SELECT ` + listColumns + `
		FROM list
		WHERE removed_ms = 0 AND paused = 0 AND next_slot_ms > 0 AND next_slot_ms <= ?1
			AND (schedule <> '@instant' OR EXISTS (SELECT 1 FROM article a WHERE a.seq > list.watermark AND +a.received_ms <= ?1))
		ORDER BY next_slot_ms, id`)
	qListZones = sqlText(`
		SELECT l.zone_id, z.slug
		FROM list_zone l
		JOIN zone z ON z.id = l.zone_id
		WHERE l.list_id = ?1
		ORDER BY z.slug`)
	qListInsert = sqlText(`
		INSERT INTO list (slug, title, schedule, timezone, all_zones, province, city, category, keyword, max_items,
			max_age_ms, locale, catch_up_ms, mail_from, reply_to, private, hold_ms, paused, removed_ms, watermark,
			next_slot_ms, created_ms, workdays)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, 0, ?19, ?20, ?21, ?22)
		RETURNING id`)
	qListUpdate = sqlText(`
		UPDATE list
		SET title = ?2, schedule = ?3, timezone = ?4, all_zones = ?5, province = ?6, city = ?7, category = ?8,
			keyword = ?9, max_items = ?10, max_age_ms = ?11, locale = ?12, catch_up_ms = ?13, mail_from = ?14,
			reply_to = ?15, private = ?16, hold_ms = ?17, paused = ?18, next_slot_ms = ?19, workdays = ?20
		WHERE id = ?1`)
	qListRemove     = sqlText(`UPDATE list SET removed_ms = ?2, next_slot_ms = 0 WHERE id = ?1`)
	qListZoneAdd    = sqlText(`INSERT INTO list_zone (list_id, zone_id) VALUES (?1, ?2)`)
	qListZonesClear = sqlText(`DELETE FROM list_zone WHERE list_id = ?1`)
	qListOpen       = sqlText(`
		UPDATE delivery ` + ending("7", "?2", "?3") + `
		WHERE state IN (0, 1, 2) AND digest_id IN (SELECT id FROM digest WHERE list_id = ?1)
		RETURNING began_ms`)
	qSeqBefore = sqlText(`SELECT COALESCE(MAX(seq), 0) FROM article WHERE received_ms < ?1`)
	qListSizes = sqlText(`
		SELECT l.slug, s.state, COUNT(*)
		FROM subscription s
		JOIN list l ON l.id = s.list_id
		WHERE l.removed_ms = 0
		GROUP BY l.slug, s.state`)
)

func scanList(rows interface{ Scan(...any) error }) (zonewire.List, error) {
	var l zonewire.List
	var all, maxAge, catchUp, private, hold, paused, removed, next, created int64
	err := rows.Scan(&l.ID, &l.Slug, &l.Title, &l.Schedule, &l.Timezone, &all, &l.Province, &l.City, &l.Category,
		&l.Keyword, &l.MaxItems, &maxAge, &l.Locale, &catchUp, &l.From, &l.ReplyTo, &private, &hold, &paused, &removed,
		&l.Watermark, &next, &created, &l.Workdays)
	l.All, l.Private, l.Paused = all == 1, private == 1, paused == 1
	l.MaxAge, l.CatchUp, l.Hold = fromDuration(maxAge), fromDuration(catchUp), fromDuration(hold)
	l.Removed, l.NextSlot, l.Created = fromMs(removed), fromMs(next), fromMs(created)
	return l, err
}

func fromDuration(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func withZones(ctx context.Context, q querier, l zonewire.List) (zonewire.List, error) {
	_, err := collect(ctx, q, qListZones, []any{l.ID}, func(rows *sql.Rows) (struct{}, error) {
		var id int64
		var slug string
		err := rows.Scan(&id, &slug)
		l.ZoneIDs, l.Zones = append(l.ZoneIDs, id), append(l.Zones, slug)
		return struct{}{}, err
	})
	slices.Sort(l.ZoneIDs)
	return l, err
}

func listsWhere(ctx context.Context, q querier, text query, args ...any) ([]zonewire.List, error) {
	all, err := collect(ctx, q, text, args, func(rows *sql.Rows) (zonewire.List, error) { return scanList(rows) })
	for i := range all {
		if err == nil {
			all[i], err = withZones(ctx, q, all[i])
		}
	}
	return all, err
}

func listWhere(ctx context.Context, q querier, text query, arg any) (zonewire.List, error) {
	all, err := listsWhere(ctx, q, text, arg)
	if err == nil && len(all) == 0 {
		err = zonewire.ErrNotFound
	}
	if err != nil {
		return zonewire.List{}, err
	}
	return all[0], nil
}

// Lists gives every list that was not removed, by slug.
func (db *DB) Lists(ctx context.Context) ([]zonewire.List, error) {
	all, err := listsWhere(ctx, db.reader(), qLists)
	return all, readError("lists", err)
}

// List gives a list by its slug. [zonewire.ErrNotFound].
func (db *DB) List(ctx context.Context, slug string) (zonewire.List, error) {
	l, err := listWhere(ctx, db.reader(), qList, slug)
	return l, readError("list "+slug, err)
}

// ListSizes counts each list's subscriptions by state.
func (db *DB) ListSizes(ctx context.Context) (map[string]map[zonewire.SubscriptionState]int, error) {
	sizes := map[string]map[zonewire.SubscriptionState]int{}
	_, err := collect(ctx, db.reader(), qListSizes, nil, func(rows *sql.Rows) (struct{}, error) {
		var slug, state string
		var n int
		err := rows.Scan(&slug, &state, &n)
		if sizes[slug] == nil {
			sizes[slug] = map[zonewire.SubscriptionState]int{}
		}
		sizes[slug][zonewire.SubscriptionState(state)] = n
		return struct{}{}, err
	})
	return sizes, readError("list sizes", err)
}

// AddList adds a list whose first digest holds what arrives from now on or, with since, also what arrived after that
// moment. The caller has checked the schedule and set NextSlot. [zonewire.ErrExists], [zonewire.ErrInvalid].
func (db *DB) AddList(ctx context.Context, act zonewire.Act, l zonewire.List, since time.Time) (added zonewire.List, err error) {
	err = db.write(ctx, "add list "+l.Slug, func(q querier) error {
		added = l
		// The counter is locked first: no article may slip between reading it and committing the watermark.
		if err := q.row(ctx, qCounterLock, []any{"item"}, &added.Watermark); err != nil {
			return err
		}
		if !since.IsZero() {
			if err := q.row(ctx, qSeqBefore, []any{toMs(since)}, &added.Watermark); err != nil {
				return err
			}
		}
		if err := resolveZones(ctx, q, &added); err != nil {
			return err
		}
		if err := added.Validate(); err != nil {
			return err
		}
		if _, err := listWhere(ctx, q, qList, l.Slug); err == nil {
			return zonewire.ErrExists
		} else if !errors.Is(err, zonewire.ErrNotFound) {
			return err
		}
		added.Created = act.At
		err := q.row(ctx, qListInsert, []any{l.Slug, l.Title, l.Schedule, l.Timezone, toFlag(l.All), l.Province, l.City,
			l.Category, l.Keyword, int64(l.MaxItems), l.MaxAge.Milliseconds(), l.Locale, l.CatchUp.Milliseconds(), l.From,
			l.ReplyTo, toFlag(l.Private), l.Hold.Milliseconds(), toFlag(l.Paused), added.Watermark, toMs(l.NextSlot),
			toMs(act.At), l.Workdays}, &added.ID)
		if err != nil {
			return err
		}
		if err := putListZones(ctx, q, added); err != nil {
			return err
		}
		return audit(ctx, q, act, "list.add", "list:"+l.Slug, l.Schedule)
	})
	return added, err
}

// resolveZones finds the ids of the zones that a list names.
func resolveZones(ctx context.Context, q querier, l *zonewire.List) error {
	ids, slugs, err := zoneIDs(ctx, q, l.Zones)
	l.ZoneIDs, l.Zones = ids, slugs
	return err
}

// zoneIDs finds open zones by slug, in the order of their ids and slugs.
func zoneIDs(ctx context.Context, q querier, slugs []string) (ids []int64, current []string, err error) {
	for _, slug := range slugs {
		z, err := zoneBySlug(ctx, q, slug)
		if err != nil {
			return nil, nil, fmt.Errorf("zone %s: %w", slug, err)
		}
		if !z.Closed.IsZero() {
			return nil, nil, fmt.Errorf("zone %s is closed: %w", slug, zonewire.ErrGone)
		}
		ids, current = append(ids, z.ID), append(current, z.Slug)
	}
	slices.Sort(ids)
	slices.Sort(current)
	return slices.Compact(ids), slices.Compact(current), nil
}

func putListZones(ctx context.Context, q querier, l zonewire.List) error {
	if _, err := q.exec(ctx, qListZonesClear, l.ID); err != nil {
		return err
	}
	for _, zone := range l.ZoneIDs {
		if _, err := q.exec(ctx, qListZoneAdd, l.ID, zone); err != nil {
			return err
		}
	}
	return nil
}

// EditList changes a list; change sets NextSlot anew when it touches the schedule. What is planned stays as it is.
// change must bear being run more than once.
func (db *DB) EditList(ctx context.Context, act zonewire.Act, slug string, change func(*zonewire.List) error) (edited zonewire.List, err error) {
	err = db.write(ctx, "edit list "+slug, func(q querier) error {
		l, err := listWhere(ctx, q, qList, slug)
		if err != nil {
			return err
		}
		if err := change(&l); err != nil {
			return err
		}
		if err := resolveZones(ctx, q, &l); err != nil {
			return err
		}
		if err := l.Validate(); err != nil {
			return err
		}
		_, err = q.exec(ctx, qListUpdate, l.ID, l.Title, l.Schedule, l.Timezone, toFlag(l.All), l.Province, l.City,
			l.Category, l.Keyword, int64(l.MaxItems), l.MaxAge.Milliseconds(), l.Locale, l.CatchUp.Milliseconds(), l.From,
			l.ReplyTo, toFlag(l.Private), l.Hold.Milliseconds(), toFlag(l.Paused), toMs(l.NextSlot), l.Workdays)
		if err != nil {
			return err
		}
		if err := putListZones(ctx, q, l); err != nil {
			return err
		}
		edited = l
		return audit(ctx, q, act, "list.edit", "list:"+slug, l.Schedule)
	})
	return edited, err
}

// RemoveList ends a list and cancels its deliveries that were not begun. Its digests stay on record.
func (db *DB) RemoveList(ctx context.Context, act zonewire.Act, slug string) (cancelled int, err error) {
	err = db.write(ctx, "remove list "+slug, func(q querier) error {
		l, err := listWhere(ctx, q, qList, slug)
		if err != nil {
			return err
		}
		if cancelled, _, err = changeOpen(ctx, q, qListOpen, l.ID, "list removed", toMs(act.At)); err != nil {
			return err
		}
		if err := moveReaders(ctx, q, act, l); err != nil { // no next digest comes that they could wait for
			return err
		}
		if _, err := q.exec(ctx, qSwitchEnd, l.ID); err != nil {
			return err
		}
		if _, err := q.exec(ctx, qListRemove, l.ID, toMs(act.At)); err != nil {
			return err
		}
		return audit(ctx, q, act, "list.remove", "list:"+slug, "")
	})
	return cancelled, err
}
