package store

import (
	"context"
	"database/sql"
	"time"

	"zonewire"
)

const (
	callbackColumns = `id, feed, zone_id, topic, callback, host, secret`

	// What is due at ?1 and nobody has.
	hubRequestDue  = `next_ms <= ?1 AND until_ms <= ?1`
	hubDeliveryDue = `next_ms > 0 AND next_ms <= ?1 AND until_ms <= ?1 AND lease_ms > ?1`
	pingDue        = `next_ms <= ?1 AND until_ms <= ?1`
)

var (
	qHubRequestAdd = sqlText(`
		INSERT INTO hub_request (mode, feed, zone_id, topic, callback, host, secret, lease_ms, created_ms, next_ms, attempts, until_ms)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, 0, 0)
		ON CONFLICT (callback, topic) DO UPDATE
		SET mode = excluded.mode, secret = excluded.secret, lease_ms = excluded.lease_ms, created_ms = excluded.created_ms,
			next_ms = excluded.next_ms, attempts = 0, until_ms = 0`)
	// Asked before a claim: a look each second must not take the lock of the only writer.
	qHubRequestsDue   = sqlText(`SELECT COUNT(*) FROM hub_request WHERE ` + hubRequestDue)
	qHubDeliveriesDue = sqlText(`SELECT COUNT(*) FROM hub_subscription WHERE ` + hubDeliveryDue)
	qPingsDue         = sqlText(`SELECT COUNT(*) FROM hub_ping WHERE ` + pingDue)
	qHubRequestClaim  = sqlText(`
		WITH c AS (SELECT id FROM hub_request WHERE ` + hubRequestDue + ` ORDER BY next_ms, id LIMIT ?3{skip})
		UPDATE hub_request
		SET until_ms = ?2, attempts = attempts + 1
		WHERE id IN (SELECT id FROM c)
		RETURNING ` + callbackColumns + `, mode, lease_ms, attempts, created_ms`)
	// The newest word of a callback stands: one that came while this was being verified is another.
	qHubRequestEnd   = sqlText(`DELETE FROM hub_request WHERE id = ?1 AND created_ms = ?2 AND mode = ?3 AND secret = ?4`)
	qHubRequestRetry = sqlText(`UPDATE hub_request SET next_ms = ?2, until_ms = 0 WHERE id = ?1`)
	qHubSubscribe    = sqlText(`
		INSERT INTO hub_subscription (feed, zone_id, topic, callback, host, secret, lease_ms, created_ms, hash, next_ms, attempts, until_ms)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, COALESCE((SELECT hash FROM feed_version WHERE feed = ?1), ''), 0, 0, 0)
		ON CONFLICT (callback, topic) DO UPDATE SET secret = excluded.secret, lease_ms = excluded.lease_ms, attempts = 0`)
	qHubUnsubscribe   = sqlText(`DELETE FROM hub_subscription WHERE callback = ?1 AND topic = ?2`)
	qHubDeliveryClaim = sqlText(`
		WITH c AS (SELECT id FROM hub_subscription WHERE ` + hubDeliveryDue + ` ORDER BY next_ms, id LIMIT ?3{skip})
		UPDATE hub_subscription
		SET until_ms = ?2
		WHERE id IN (SELECT id FROM c)
		RETURNING ` + callbackColumns + `, lease_ms, hash, attempts, created_ms`)
	// What was recorded while this version was on its way makes it due again.
	qHubDelivered = sqlText(`
		UPDATE hub_subscription
		SET hash = ?2, attempts = 0, until_ms = 0,
			next_ms = CASE WHEN COALESCE((SELECT v.hash FROM feed_version v WHERE v.feed = hub_subscription.feed), ?2) = ?2 THEN 0 ELSE CAST(?3 AS BIGINT) END
		WHERE id = ?1`)
	qHubDeliveryRetry = sqlText(`UPDATE hub_subscription SET next_ms = ?2, attempts = attempts + 1, until_ms = 0 WHERE id = ?1`)
	qHubEnd           = sqlText(`DELETE FROM hub_subscription WHERE id = ?1`)
	qHubExpire        = sqlText(`DELETE FROM hub_subscription WHERE lease_ms <= ?1`)
	qHubTopics        = sqlText(`SELECT DISTINCT topic FROM hub_subscription WHERE lease_ms > ?1 ORDER BY topic`)
	qHubZones         = sqlText(`SELECT DISTINCT zone_id FROM hub_subscription WHERE lease_ms > ?1 ORDER BY zone_id`)
	qHubOf            = sqlText(`
		SELECT ` + callbackColumns + `, lease_ms, hash, attempts, created_ms
		FROM hub_subscription
		WHERE topic = ?1
		ORDER BY id
		LIMIT ?2`)
	qHubLoad = sqlText(`
		SELECT
			(SELECT COUNT(*) FROM hub_subscription),
			(SELECT COUNT(*) FROM hub_subscription WHERE host = ?1),
			(SELECT COUNT(*) FROM hub_subscription WHERE feed = ?2),
			(SELECT COUNT(*) FROM hub_request WHERE host = ?1),
			(SELECT COUNT(*) FROM hub_subscription WHERE host = ?1 AND created_ms > ?3)`)
	qHubDue = sqlText(`UPDATE hub_subscription SET next_ms = ?2 WHERE feed = ?1 AND next_ms = 0 AND lease_ms > ?2`)
	// A change that comes while the hub is being told is told again.
	qPingAdd = sqlText(`
		INSERT INTO hub_ping (hub, topic, next_ms, attempts, until_ms, again)
		VALUES (?1, ?2, ?3, 0, 0, 0)
		ON CONFLICT (hub, topic) DO UPDATE SET again = CASE WHEN hub_ping.until_ms > ?3 THEN 1 ELSE hub_ping.again END`)
	qPingClaim = sqlText(`
		WITH c AS (SELECT hub, topic FROM hub_ping WHERE ` + pingDue + ` ORDER BY next_ms LIMIT ?3{skip})
		UPDATE hub_ping
		SET until_ms = ?2, attempts = attempts + 1
		WHERE (hub, topic) IN (SELECT hub, topic FROM c)
		RETURNING hub, topic, attempts`)
	qPingDone  = sqlText(`DELETE FROM hub_ping WHERE hub = ?1 AND topic = ?2 AND again = 0`)
	qPingAgain = sqlText(`UPDATE hub_ping SET again = 0, attempts = 0, next_ms = ?3, until_ms = 0 WHERE hub = ?1 AND topic = ?2`)
	qPingRetry = sqlText(`UPDATE hub_ping SET again = 0, next_ms = ?3, until_ms = 0 WHERE hub = ?1 AND topic = ?2`)
	qPingDrop  = sqlText(`DELETE FROM hub_ping WHERE hub = ?1 AND topic = ?2`)
)

// tellHubs makes due whoever is to be told of a new version, in the transaction that records it. Whoever waits already,
// because a delivery failed, waits on: the next one brings all.
func tellHubs(ctx context.Context, q querier, p zonewire.FeedPut, now time.Time) error {
	if _, err := q.exec(ctx, qHubDue, p.Feed, toMs(now)); err != nil {
		return err
	}
	for _, hub := range p.Hubs {
		if _, err := q.exec(ctx, qPingAdd, hub, p.Topic, toMs(now)); err != nil {
			return err
		}
	}
	return nil
}

func callbackArgs(c *zonewire.Callback) []any {
	return []any{&c.ID, &c.Feed, &c.Zone, &c.Topic, &c.URL, &c.Host, &c.Secret}
}

func scanHubRequest(rows *sql.Rows) (zonewire.HubRequest, error) {
	var r zonewire.HubRequest
	var lease, created int64
	err := rows.Scan(append(callbackArgs(&r.Callback), &r.Mode, &lease, &r.Attempts, &created)...)
	r.Lease, r.Created = time.Duration(lease)*time.Millisecond, fromMs(created)
	return r, err
}

func scanHubSubscription(rows *sql.Rows) (zonewire.HubSubscription, error) {
	var s zonewire.HubSubscription
	var until, created int64
	err := rows.Scan(append(callbackArgs(&s.Callback), &until, &s.Hash, &s.Attempts, &created)...)
	s.Until, s.Created = fromMs(until), fromMs(created)
	return s, err
}

// HubLoad tells how much the hub has taken on, of callbacks on a host and for a feed.
func (db *DB) HubLoad(ctx context.Context, host, feed string, now time.Time) (zonewire.HubLoad, error) {
	var l zonewire.HubLoad
	dayAgo := toMs(now.Add(-24 * time.Hour))
	err := db.reader().row(ctx, qHubLoad, []any{host, feed, dayAgo}, &l.Total, &l.OfHost, &l.OfFeed, &l.Waiting, &l.NewOfHost)
	l.NewOfHost += l.Waiting
	return l, readError("hub", err)
}

// AddHubRequest notes what a callback is said to want, to be verified at once. It replaces what the same callback was said
// to want of the same topic and has not confirmed.
func (db *DB) AddHubRequest(ctx context.Context, r zonewire.HubRequest, now time.Time) error {
	return db.transact(ctx, "hub request", feeds, func(q querier) error {
		_, err := q.exec(ctx, qHubRequestAdd, string(r.Mode), r.Feed, r.Zone, r.Topic, r.URL, r.Host, r.Secret, r.Lease.Milliseconds(), toMs(now))
		return err
	})
}

// ClaimHubRequests takes requests that are to be verified now and that nobody else has, until the claim ends. Attempts counts
// this try.
func (db *DB) ClaimHubRequests(ctx context.Context, now, until time.Time, limit int) (claimed []zonewire.HubRequest, err error) {
	return hubClaim(ctx, db, "hub requests", qHubRequestsDue, qHubRequestClaim, now, until, limit, scanHubRequest)
}

// hubClaim runs the query of a claim if something is due.
func hubClaim[T any](ctx context.Context, db *DB, what string, due, text query, now, until time.Time, limit int, scan func(*sql.Rows) (T, error)) (claimed []T, err error) {
	var waiting int
	if err := db.reader().row(ctx, due, []any{toMs(now)}, &waiting); err != nil || waiting == 0 {
		return nil, readError(what, err)
	}
	err = db.transact(ctx, "claim "+what, free, func(q querier) error {
		claimed, err = collect(ctx, q, text, []any{toMs(now), toMs(until), int64(limit)}, scan)
		return err
	})
	return claimed, err
}

// FinishHubRequest ends a request. Confirmed, it takes effect: the subscription is added, renewed or ended; a new one has
// what its feed serves at this moment. Else it is forgotten. What the callback has asked since stays.
func (db *DB) FinishHubRequest(ctx context.Context, r zonewire.HubRequest, confirmed bool, now time.Time) error {
	return db.transact(ctx, "hub request", feeds, func(q querier) error {
		if _, err := q.exec(ctx, qHubRequestEnd, r.ID, toMs(r.Created), string(r.Mode), r.Secret); err != nil {
			return err
		}
		var err error
		switch {
		case !confirmed:
		case r.Mode == zonewire.HubUnsubscribe:
			_, err = q.exec(ctx, qHubUnsubscribe, r.URL, r.Topic)
		default:
			_, err = q.exec(ctx, qHubSubscribe, r.Feed, r.Zone, r.Topic, r.URL, r.Host, r.Secret, toMs(now.Add(r.Lease)), toMs(now))
		}
		return err
	})
}

// RetryHubRequest lets a request be verified again at a later moment.
func (db *DB) RetryHubRequest(ctx context.Context, id int64, next time.Time) error {
	return db.hubWrite(ctx, "hub request", qHubRequestRetry, id, toMs(next))
}

func (db *DB) hubWrite(ctx context.Context, what string, text query, args ...any) error {
	return db.transact(ctx, what, feeds, func(q querier) error {
		_, err := q.exec(ctx, text, args...)
		return err
	})
}

// ClaimHubDeliveries takes subscriptions that wait for a version and that nobody else has, until the claim ends.
func (db *DB) ClaimHubDeliveries(ctx context.Context, now, until time.Time, limit int) ([]zonewire.HubSubscription, error) {
	return hubClaim(ctx, db, "hub deliveries", qHubDeliveriesDue, qHubDeliveryClaim, now, until, limit, scanHubSubscription)
}

// FinishHubDelivery notes which version a subscriber has taken. If its feed has moved on meanwhile it is due again at once.
func (db *DB) FinishHubDelivery(ctx context.Context, id int64, hash string, now time.Time) error {
	return db.hubWrite(ctx, "hub delivery", qHubDelivered, id, hash, toMs(now))
}

// RetryHubDelivery lets a subscription wait for another try.
func (db *DB) RetryHubDelivery(ctx context.Context, id int64, next time.Time) error {
	return db.hubWrite(ctx, "hub delivery", qHubDeliveryRetry, id, toMs(next))
}

// EndHubSubscription ends a subscription.
func (db *DB) EndHubSubscription(ctx context.Context, id int64) error {
	return db.hubWrite(ctx, "hub subscription", qHubEnd, id)
}

// ExpireHubSubscriptions removes the subscriptions whose lease has ended and counts them.
func (db *DB) ExpireHubSubscriptions(ctx context.Context, now time.Time) (n int, err error) {
	err = db.transact(ctx, "hub subscriptions", feeds, func(q querier) error {
		rows, err := q.exec(ctx, qHubExpire, toMs(now))
		n = int(rows)
		return err
	})
	return n, err
}

// HubTopics lists the topics that somebody is subscribed to.
func (db *DB) HubTopics(ctx context.Context, now time.Time) ([]string, error) {
	all, err := collect(ctx, db.reader(), qHubTopics, []any{toMs(now)}, func(rows *sql.Rows) (string, error) {
		var topic string
		err := rows.Scan(&topic)
		return topic, err
	})
	return all, readError("hub topics", err)
}

// HubZones lists the zones whose feeds somebody is subscribed to; 0 is the feed over all zones.
func (db *DB) HubZones(ctx context.Context, now time.Time) ([]int64, error) {
	ids, err := collect(ctx, db.reader(), qHubZones, []any{toMs(now)}, scanInt)
	return ids, readError("hub zones", err)
}

// HubSubscriptionsOf lists the subscriptions to a topic, the oldest first.
func (db *DB) HubSubscriptionsOf(ctx context.Context, topic string, limit int) ([]zonewire.HubSubscription, error) {
	all, err := collect(ctx, db.reader(), qHubOf, []any{topic, int64(limit)}, scanHubSubscription)
	return all, readError("hub subscriptions", err)
}

// ClaimHubPings takes hubs that are to be told now and that nobody else tells, until the claim ends. Attempts counts this try.
func (db *DB) ClaimHubPings(ctx context.Context, now, until time.Time, limit int) ([]zonewire.HubPing, error) {
	return hubClaim(ctx, db, "hub pings", qPingsDue, qPingClaim, now, until, limit, func(rows *sql.Rows) (zonewire.HubPing, error) {
		var p zonewire.HubPing
		err := rows.Scan(&p.Hub, &p.Topic, &p.Attempts)
		return p, err
	})
}

// FinishHubPing notes that a hub was told. If the feed has changed meanwhile it is to be told again at once.
func (db *DB) FinishHubPing(ctx context.Context, p zonewire.HubPing, now time.Time) error {
	return db.transact(ctx, "hub ping", feeds, func(q querier) error {
		done, err := q.exec(ctx, qPingDone, p.Hub, p.Topic)
		if err != nil || done > 0 {
			return err
		}
		_, err = q.exec(ctx, qPingAgain, p.Hub, p.Topic, toMs(now))
		return err
	})
}

// RetryHubPing lets a hub be told at a later moment.
func (db *DB) RetryHubPing(ctx context.Context, p zonewire.HubPing, next time.Time) error {
	return db.hubWrite(ctx, "hub ping", qPingRetry, p.Hub, p.Topic, toMs(next))
}

// DropHubPing gives up on telling a hub.
func (db *DB) DropHubPing(ctx context.Context, p zonewire.HubPing) error {
	return db.hubWrite(ctx, "hub ping", qPingDrop, p.Hub, p.Topic)
}
