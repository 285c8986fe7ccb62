package store

import (
	"context"
	"database/sql"
	"time"

	"zonewire"
)

var (
	qAlarms     = sqlText(`SELECT name, text, since_ms, told_ms FROM alarm ORDER BY since_ms, name`)
	qAlarmBegin = sqlText(`
		INSERT INTO alarm (name, text, since_ms, told_ms)
		VALUES (?1, ?2, ?3, 0)
		ON CONFLICT (name) DO NOTHING`)
	qAlarmText = sqlText(`UPDATE alarm SET text = ?2 WHERE name = ?1 AND text <> ?2`)
	qAlarmTold = sqlText(`UPDATE alarm SET told_ms = ?2 WHERE name = ?1 AND told_ms = 0`)
	qAlarmEnd  = sqlText(`DELETE FROM alarm WHERE name = ?1`)
)

func scanAlarm(rows *sql.Rows) (zonewire.Alarm, error) {
	var a zonewire.Alarm
	var since, told int64
	err := rows.Scan(&a.Name, &a.Text, &since, &told)
	a.Since, a.Told = fromMs(since), fromMs(told)
	return a, err
}

// Alarms lists the alarms that stand, oldest first.
func (db *DB) Alarms(ctx context.Context) ([]zonewire.Alarm, error) {
	all, err := collect(ctx, db.reader(), qAlarms, nil, scanAlarm)
	return all, readError("alarms", err)
}

// SettleAlarms makes the alarms that stand those that are present, in one transaction: it gives those that are new and
// those that ended. What stands untold is told in one notice, which notice composes for the operator's address; an empty
// address means that nobody is to be told, and leaves them untold. notice must bear being run more than once.
func (db *DB) SettleAlarms(ctx context.Context, act zonewire.Act, present []zonewire.Alarm,
	notice func(untold []zonewire.Alarm) (email string, m zonewire.Mail, err error)) (fresh, ended []zonewire.Alarm, err error) {
	err = db.write(ctx, "settle alarms", func(q querier) error {
		fresh, ended = nil, nil
		all, err := collect(ctx, q, qAlarms, nil, scanAlarm)
		if err != nil {
			return err
		}
		standing, now := alarmsByName(all), alarmsByName(present)
		for _, a := range all {
			if _, still := now[a.Name]; still {
				continue
			}
			if gone, err := endAlarm(ctx, q, act, a); err != nil {
				return err
			} else if gone {
				ended = append(ended, a)
			}
		}
		var untold []zonewire.Alarm
		for _, a := range present {
			old, stands := standing[a.Name]
			if stands {
				a.Since = old.Since
				if _, err := q.exec(ctx, qAlarmText, a.Name, a.Text); err != nil {
					return err
				}
			} else if begun, err := beginAlarm(ctx, q, act, a); err != nil {
				return err
			} else if begun {
				fresh = append(fresh, a)
			} else {
				continue // another daemon was faster, and tells it
			}
			if old.Told.IsZero() {
				untold = append(untold, a)
			}
		}
		return tell(ctx, q, act, untold, notice)
	})
	return fresh, ended, err
}

func beginAlarm(ctx context.Context, q querier, act zonewire.Act, a zonewire.Alarm) (begun bool, err error) {
	n, err := q.exec(ctx, qAlarmBegin, a.Name, a.Text, toMs(a.Since))
	if err != nil || n == 0 {
		return false, err
	}
	return true, audit(ctx, q, act, "alarm.begin", "alarm:"+a.Name, a.Text)
}

func endAlarm(ctx context.Context, q querier, act zonewire.Act, a zonewire.Alarm) (gone bool, err error) {
	n, err := q.exec(ctx, qAlarmEnd, a.Name)
	if err != nil || n == 0 {
		return false, err
	}
	return true, audit(ctx, q, act, alarmEnded, "alarm:"+a.Name, a.Text)
}

func alarmsByName(all []zonewire.Alarm) map[string]zonewire.Alarm {
	byName := make(map[string]zonewire.Alarm, len(all))
	for _, a := range all {
		byName[a.Name] = a
	}
	return byName
}

// tell queues the notice about alarms that nobody was told of.
func tell(ctx context.Context, q querier, act zonewire.Act, untold []zonewire.Alarm, notice func([]zonewire.Alarm) (string, zonewire.Mail, error)) error {
	if len(untold) == 0 {
		return nil
	}
	email, mail, err := notice(untold)
	if err != nil || email == "" {
		return err
	}
	for _, a := range untold {
		if _, err := q.exec(ctx, qAlarmTold, a.Name, toMs(act.At)); err != nil {
			return err
		}
	}
	_, err = addNotice(ctx, q, act, "alarm", 0, email, mail)
	return err
}

// alarmEnded is the audit's word for an alarm that is over.
const alarmEnded = "alarm.end"

// A list is paused by complaints if it is paused and the audit says so, after all that ended earlier alarms about it:
// whoever lets it go on and pauses it by hand much later raises none.
var qComplainedOf = sqlText(`
		SELECT l.slug, l.title, MAX(p.at_ms)
		FROM list l
		JOIN audit p ON p.target = 'list:' || l.slug AND p.action = 'list.pause' AND p.at_ms >= l.created_ms
		WHERE l.paused = 1 AND l.removed_ms = 0 AND NOT EXISTS (
			SELECT 1
			FROM audit e
			WHERE e.id > p.id AND e.action = ?1 AND e.target = CAST(?2 AS TEXT) || l.slug)
		GROUP BY l.slug, l.title
		ORDER BY l.slug`)

// Complained is a list that its readers' complaints have paused.
type Complained struct {
	List, Title string // List is the slug
	Since       time.Time
}

// ListsComplainedOf gives the lists that complaints have paused, by slug.
func (db *DB) ListsComplainedOf(ctx context.Context) ([]Complained, error) {
	about := "alarm:" + zonewire.AlarmName(zonewire.AlarmListComplaints, "") + ":"
	all, err := collect(ctx, db.reader(), qComplainedOf, []any{alarmEnded, about}, func(rows *sql.Rows) (Complained, error) {
		var c Complained
		var since int64
		err := rows.Scan(&c.List, &c.Title, &since)
		c.Since = fromMs(since)
		return c, err
	})
	return all, readError("lists complained of", err)
}

// What an operator let expire on resuming is no news to them. CROSS JOIN keeps SQLite to that order: by itself it reads
// every delivery there ever was, once a minute.
var qUndelivered = sqlText(`
		SELECT g.id, l.title, l.timezone, g.slot_ms, d.state, COUNT(*), MIN(d.done_ms)
		FROM digest g
		CROSS JOIN delivery d
		JOIN list l ON l.id = g.list_id
		WHERE g.slot_ms >= ?1 AND d.digest_id = g.id AND d.state IN (5, 9) AND d.reason <> 'resumed from now'
		GROUP BY g.id, l.title, l.timezone, g.slot_ms, d.state
		ORDER BY g.id, d.state`)

// Undelivered is how many deliveries of a digest ended without reaching anyone, for all that is known.
type Undelivered struct {
	Digest   int64
	Title    string // of the list
	Timezone string
	Slot     time.Time
	State    zonewire.DeliveryState // Expired or Uncertain
	Count    int
	Since    time.Time // the first of them
}

// UndeliveredSince counts what expired or is uncertain in digests whose slot is not before since.
func (db *DB) UndeliveredSince(ctx context.Context, since time.Time) ([]Undelivered, error) {
	all, err := collect(ctx, db.reader(), qUndelivered, []any{toMs(since)}, func(rows *sql.Rows) (Undelivered, error) {
		var u Undelivered
		var slot, first int64
		err := rows.Scan(&u.Digest, &u.Title, &u.Timezone, &slot, &u.State, &u.Count, &first)
		u.Slot, u.Since = fromMs(slot), fromMs(first)
		return u, err
	})
	return all, readError("undelivered mail", err)
}

// A day of Shanghai: 8 hours before that of UTC. Whole numbers divide alike in every engine.
const arrivalDay = `(a.received_ms + 28800000) / 86400000`

var (
	qArrivals = sqlText(`
		SELECT z.slug, z.name, z.name_en, ` + arrivalDay + `, MAX(a.received_ms)
		FROM article a
		JOIN zone z ON z.id = a.zone_id
		WHERE a.received_ms >= ?1 AND z.closed_ms = 0
		GROUP BY z.slug, z.name, z.name_en, ` + arrivalDay + `
		ORDER BY z.slug, MAX(a.received_ms)`)
	qSourceArrivals = sqlText(`
		SELECT a.source_id, ` + arrivalDay + `, MAX(a.received_ms)
		FROM article a
		WHERE a.source_id IS NOT NULL AND a.received_ms >= ?1
		GROUP BY a.source_id, ` + arrivalDay + `
		ORDER BY a.source_id, MAX(a.received_ms)`)
)

// Arrivals is when articles came in.
type Arrivals struct {
	Days []int64 // the days in Shanghai on which some came, counted from 1970, ascending
	Last time.Time
}

// ZoneArrivals is when articles of a zone came in.
type ZoneArrivals struct {
	Zone zonewire.Zone // its slug and names
	Arrivals
}

// ArrivalsSince gives the open zones that got articles since then, by slug. It reads every article of that time.
func (db *DB) ArrivalsSince(ctx context.Context, since time.Time) ([]ZoneArrivals, error) {
	var all []ZoneArrivals
	_, err := collect(ctx, db.reader(), qArrivals, []any{toMs(since)}, func(rows *sql.Rows) (struct{}, error) {
		var z zonewire.Zone
		var day, last int64
		err := rows.Scan(&z.Slug, &z.Name, &z.NameEn, &day, &last)
		if len(all) == 0 || all[len(all)-1].Zone.Slug != z.Slug {
			all = append(all, ZoneArrivals{Zone: z})
		}
		all[len(all)-1].add(day, last)
		return struct{}{}, err
	})
	return all, readError("arrivals", err)
}

// SourceArrivals is [DB.ArrivalsSince] by source. It reads every polled article of that time.
func (db *DB) SourceArrivals(ctx context.Context, since time.Time) (map[int64]Arrivals, error) {
	all := map[int64]Arrivals{}
	_, err := collect(ctx, db.reader(), qSourceArrivals, []any{toMs(since)}, func(rows *sql.Rows) (struct{}, error) {
		var id, day, last int64
		err := rows.Scan(&id, &day, &last)
		a := all[id]
		a.add(day, last)
		all[id] = a
		return struct{}{}, err
	})
	return all, readError("arrivals of sources", err)
}

func (a *Arrivals) add(day, last int64) {
	a.Days, a.Last = append(a.Days, day), fromMs(last)
}
