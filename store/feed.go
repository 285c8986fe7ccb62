package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"zonewire"
)

const headColumns = `a.id, COALESCE(a.zone_id, 0), a.change, a.updated_ms, a.withdrawn_ms`

var (
	qHeadsAll = sqlText(`
		SELECT ` + headColumns + `
		FROM article a {over article_text}
		LEFT JOIN zone z ON z.id = a.zone_id
		WHERE a.change > 0 AND CAST(?1 AS BIGINT) = 0` + articleFilters)
	qHeadsZone = sqlText(`
		SELECT ` + headColumns + `
		FROM article a
		JOIN zone z ON z.id = a.zone_id
		WHERE a.zone_id = ?1` + articleFilters)
	qArrivedMonths = sqlText(`SELECT month, COUNT(*) FROM article WHERE zone_id = ?1 AND month > 0 GROUP BY month ORDER BY month`)
	qArrivedHeads  = sqlText(`
		SELECT ` + headColumns + `
		FROM article a
		WHERE a.month = ?2 AND a.zone_id = ?1
		ORDER BY a.seq`)
	qChangedZones = sqlText(`
		SELECT zone_id FROM article WHERE change > ?1 AND zone_id IS NOT NULL
		UNION
		SELECT zone_id FROM departure WHERE change > ?1
		ORDER BY 1`)
	qDepart = sqlText(`
		INSERT INTO departure (change, zone_id, article_id, at_ms, moved)
		VALUES (?1, ?2, ?3, ?4, ?5)`)
	qDepartures = sqlText(`
		SELECT article_id, change, at_ms, moved
		FROM departure
		WHERE zone_id = ?1
		ORDER BY change DESC
		LIMIT ?2`)
	qWithdrawals = sqlText(`
		SELECT article_id, change, at_ms, moved
		FROM departure
		WHERE moved = 0
		ORDER BY change DESC
		LIMIT ?1`)
	qFeedVersion = sqlText(`
		SELECT hash, modified_ms, state, channel, articles, zones, gone, layout, body
		FROM feed_version
		WHERE feed = ?1`)
	qFeedVersionPut = sqlText(`
		INSERT INTO feed_version (feed, hash, modified_ms, state, channel, articles, zones, gone, layout, body)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
		ON CONFLICT (feed) DO UPDATE
		SET hash = excluded.hash, modified_ms = excluded.modified_ms, state = excluded.state, channel = excluded.channel,
			articles = excluded.articles, zones = excluded.zones, gone = excluded.gone, layout = excluded.layout, body = excluded.body`)
	// '-' and '.' come before '/', so that the ranges hold the feeds of one zone and the parts of one month, and no others.
	qFeedsForget = sqlText(`
		UPDATE feed_version
		SET state = '', layout = ?3, body = ?3
		WHERE feed >= 'all.' AND feed < 'all/' OR feed >= ?1 || '.' AND feed < ?1 || '/' OR feed >= ?2 || '-' AND feed < ?2 || '/'`)
	qArticleMonth    = sqlText(`SELECT month FROM article WHERE id = ?1`)
	qLatestDeparture = sqlText(`SELECT COALESCE(MAX(change), 0) FROM departure`)
	qFeedBases       = sqlText(`SELECT hash, change, channel FROM feed_base WHERE feed = ?1 ORDER BY id DESC LIMIT ?2`)
	qFeedBaseAdd     = sqlText(`
		INSERT INTO feed_base (feed, hash, change, channel)
		VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (feed, hash) DO UPDATE SET change = excluded.change, channel = excluded.channel`)
	qFeedBasesCut = sqlText(`
		DELETE FROM feed_base
		WHERE feed = ?1 AND id <= (SELECT id FROM feed_base WHERE feed = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`)
)

func scanHead(rows *sql.Rows) (zonewire.Head, error) {
	var h zonewire.Head
	var updated, withdrawn int64
	err := rows.Scan(&h.ID, &h.ZoneID, &h.Change, &updated, &withdrawn)
	h.Updated, h.Withdrawn = fromMs(updated), withdrawn > 0
	return h, err
}

// Heads lists what feeds must know of the articles that [DB.Articles] would give.
func (db *DB) Heads(ctx context.Context, aq zonewire.ArticleQuery) ([]zonewire.Head, error) {
	text := qHeadsAll
	if aq.ZoneID != 0 {
		text = qHeadsZone
	}
	all, err := collect(ctx, db.reader(), text, articleArgs(aq), scanHead)
	return all, readError("heads of articles", err)
}

// Arrivals counts what arrived in a zone month by month, the oldest first. Months in which nothing did are left out.
func (db *DB) Arrivals(ctx context.Context, zone int64) ([]zonewire.ArrivedIn, error) {
	all, err := collect(ctx, db.reader(), qArrivedMonths, []any{zone}, func(rows *sql.Rows) (zonewire.ArrivedIn, error) {
		var a zonewire.ArrivedIn
		err := rows.Scan(&a.Month, &a.Articles)
		return a, err
	})
	return all, readError("arrivals", err)
}

// ArrivedHeads lists what arrived in a zone in a month, in the order of arrival. Withdrawn articles are marked.
func (db *DB) ArrivedHeads(ctx context.Context, zone int64, m zonewire.Month) ([]zonewire.Head, error) {
	all, err := collect(ctx, db.reader(), qArrivedHeads, []any{zone, int64(m)}, scanHead)
	return all, readError("arrivals of "+m.String(), err)
}

// ChangedZones lists the zones with an article that was filed, changed, withdrawn or moved away after the counter value.
// A zone that was merged is not among them: its feed is gone, and the counter of zones says so.
func (db *DB) ChangedZones(ctx context.Context, since int64) ([]int64, error) {
	ids, err := collect(ctx, db.reader(), qChangedZones, []any{since}, scanInt)
	return ids, readError("changed zones", err)
}

// depart notes that an article has left its zone's feed, and drops the documents that may hold it. One that was in no zone
// leaves none.
func depart(ctx context.Context, q querier, act zonewire.Act, a zonewire.Article, change int64, moved bool) error {
	if a.ZoneID == 0 {
		return nil
	}
	var n int64 // a version that is being recorded must not hold it for ever: see PutFeedVersions
	if err := q.row(ctx, qCounterLock, []any{string(feeds)}, &n); err != nil {
		return err
	}
	if _, err := q.exec(ctx, qDepart, change, a.ZoneID, a.ID, toMs(act.At), toFlag(moved)); err != nil {
		return err
	}
	return forgetFeeds(ctx, q, a)
}

// Departures lists what left a zone's feed, the latest first. With zone 0 it is what left the feed over all zones: a move
// is none there.
func (db *DB) Departures(ctx context.Context, zone int64, limit int) ([]zonewire.Departure, error) {
	text, args := qDepartures, []any{zone, int64(limit)}
	if zone == 0 {
		text, args = qWithdrawals, []any{int64(limit)}
	}
	all, err := collect(ctx, db.reader(), text, args, func(rows *sql.Rows) (zonewire.Departure, error) {
		var d zonewire.Departure
		var at, moved int64
		err := rows.Scan(&d.Article, &d.Change, &at, &moved)
		d.At, d.Moved = fromMs(at), moved == 1
		return d, err
	})
	return all, readError("departures", err)
}

// FeedVersions gives what feeds serve, in the order asked. One that was never recorded has an empty Hash.
func (db *DB) FeedVersions(ctx context.Context, feeds []string) ([]zonewire.FeedVersion, error) {
	all := make([]zonewire.FeedVersion, len(feeds))
	for i, feed := range feeds {
		var err error
		if all[i], err = feedVersion(ctx, db.reader(), feed); err != nil {
			return nil, readError("feed version "+feed, err)
		}
	}
	return all, nil
}

func feedVersion(ctx context.Context, q querier, feed string) (zonewire.FeedVersion, error) {
	v := zonewire.FeedVersion{Feed: feed}
	var modified int64
	err := q.row(ctx, qFeedVersion, []any{feed}, &v.Hash, &modified, &v.State, &v.Channel, &v.Of.Articles, &v.Of.Zones, &v.Gone, &v.Layout, &v.Body)
	if errors.Is(err, zonewire.ErrNotFound) {
		return v, nil
	}
	if err != nil {
		return v, err
	}
	v.Modified = fromMs(modified)
	v.Bases, err = feedBases(ctx, q, feed)
	return v, err
}

func feedBases(ctx context.Context, q querier, feed string) ([]zonewire.FeedBase, error) {
	return collect(ctx, q, qFeedBases, []any{feed, int64(zonewire.MaxFeedBases)}, func(rows *sql.Rows) (zonewire.FeedBase, error) {
		var b zonewire.FeedBase
		err := rows.Scan(&b.Hash, &b.Change, &b.Channel)
		return b, err
	})
}

// PutFeedVersions records what feeds serve from now on and gives what stands, in the same order. The moment is in whole
// seconds: the same hash keeps its moment, over restarts and on every replica, and a new one gets a moment later than the
// one before it. What was made of an older store than the version that stands is not taken, nor what was made of the same
// state by another. A document that may hold an article which has left since is not kept, only its validators.
//
// Whoever is to be told of a new version is noted with it: a crash right after forgets nobody.
func (db *DB) PutFeedVersions(ctx context.Context, puts []zonewire.FeedPut, now time.Time) (stands []zonewire.FeedVersion, err error) {
	err = db.transact(ctx, "feed version", feeds, func(q querier) error {
		stands = make([]zonewire.FeedVersion, len(puts))
		for i, p := range puts {
			if stands[i], err = putFeedVersion(ctx, q, p, now); err != nil {
				return fmt.Errorf("%s: %w", p.Feed, err)
			}
		}
		return nil
	})
	return stands, err
}

func putFeedVersion(ctx context.Context, q querier, p zonewire.FeedPut, now time.Time) (zonewire.FeedVersion, error) {
	old, err := feedVersion(ctx, q, p.Feed)
	if err != nil {
		return old, err
	}
	if old.Of.Articles > p.Of.Articles || old.Of.Zones > p.Of.Zones || old.State != "" && old.State == p.State {
		return old, nil
	}
	v := p.FeedVersion
	var departed int64
	if err := q.row(ctx, qLatestDeparture, nil, &departed); err != nil {
		return old, err
	}
	if departed > v.Of.Articles { // it may hold what has left since it was made
		v.State, v.Layout, v.Body = "", nil, nil
	}
	v.Bases, v.Modified = old.Bases, now.UTC().Truncate(time.Second)
	switch {
	case old.Hash == v.Hash:
		v.Modified = old.Modified
	case old.Hash != "":
		// Two versions within a second would share a date, and a reader that has the first would keep it.
		if !v.Modified.After(old.Modified) {
			v.Modified = old.Modified.Add(time.Second)
		}
		if _, err := q.exec(ctx, qFeedBaseAdd, v.Feed, old.Hash, old.Of.Articles, old.Channel); err != nil {
			return old, err
		}
		if _, err := q.exec(ctx, qFeedBasesCut, v.Feed, int64(zonewire.MaxFeedBases)); err != nil {
			return old, err
		}
	}
	_, err = q.exec(ctx, qFeedVersionPut, v.Feed, v.Hash, toMs(v.Modified), v.State, v.Channel, v.Of.Articles, v.Of.Zones, v.Gone, blob(v.Layout), blob(v.Body))
	if err != nil || old.Hash == v.Hash {
		return v, err
	}
	if p.Topic != "" {
		if err := tellHubs(ctx, q, p, now); err != nil {
			return old, err
		}
	}
	v.Bases, err = feedBases(ctx, q, v.Feed)
	return v, err
}

// blob is never NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// forgetFeeds drops the documents that may hold an article: its zone's feeds, those over all zones, and the archive of the
// month in which it came. Their hashes stay, and what replaces them is newer. The archives of other months are left alone:
// made again, they would hold the corrections that have come since.
func forgetFeeds(ctx context.Context, q querier, a zonewire.Article) error {
	var month zonewire.Month
	if err := q.row(ctx, qArticleMonth, []any{a.ID}, &month); err != nil {
		return err
	}
	zone := fmt.Sprintf("zone/%d", a.ZoneID)
	_, err := q.exec(ctx, qFeedsForget, zone, zone+"/"+month.String(), []byte{})
	return err
}
