package store

import (
	"context"
	"database/sql"
	"time"

	"zonewire"
)

const providerColumns = `name, rate, ceiling, since_ms, booked_ms, hits, hits_ms, recent, opened_ms, open_ms, openings, probed_ms,
			frozen_ms, reason`

var (
	qProviders   = sqlText(`SELECT ` + providerColumns + ` FROM provider ORDER BY name`)
	qProvider    = sqlText(`SELECT ` + providerColumns + ` FROM provider WHERE name = ?1`)
	qProviderPut = sqlText(`
		INSERT INTO provider (` + providerColumns + `)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
		ON CONFLICT (name) DO UPDATE
		SET rate = excluded.rate, ceiling = excluded.ceiling, since_ms = excluded.since_ms, booked_ms = excluded.booked_ms,
			hits = excluded.hits, hits_ms = excluded.hits_ms, recent = excluded.recent, opened_ms = excluded.opened_ms,
			open_ms = excluded.open_ms, openings = excluded.openings, probed_ms = excluded.probed_ms,
			frozen_ms = excluded.frozen_ms, reason = excluded.reason`)
	// One row locks them all: of two who observe at once, one would lose the other's answer.
	qProviderLock = sqlText(`UPDATE counter SET n = n WHERE name = 'provider'`)
)

func scanProvider(rows *sql.Rows) (zonewire.Provider, error) {
	var p zonewire.Provider
	var since, booked, hits, opened, open, probed, frozen int64
	err := rows.Scan(&p.Name, &p.Rate, &p.Ceiling, &since, &booked, &p.Hits, &hits, &p.Recent, &opened, &open, &p.Openings,
		&probed, &frozen, &p.Reason)
	p.Since, p.Booked, p.HitsSince, p.Opened = fromMs(since), fromMs(booked), fromMs(hits), fromMs(opened)
	p.OpenUntil, p.Probed, p.Frozen = fromMs(open), fromMs(probed), fromMs(frozen)
	return p, err
}

func providersByName(ctx context.Context, q querier) (map[string]zonewire.Provider, error) {
	all, err := collect(ctx, q, qProviders, nil, scanProvider)
	byName := make(map[string]zonewire.Provider, len(all))
	for _, p := range all {
		byName[p.Name] = p
	}
	return byName, err
}

// provider reads a group's pace; one without trouble has none stored.
func provider(ctx context.Context, q querier, name string) (zonewire.Provider, error) {
	all, err := collect(ctx, q, qProvider, []any{name}, scanProvider)
	if err != nil || len(all) == 0 {
		return zonewire.Provider{Name: name}, err
	}
	return all[0], nil
}

func putProvider(ctx context.Context, q querier, p zonewire.Provider) error {
	_, err := q.exec(ctx, qProviderPut, p.Name, int64(p.Rate), int64(p.Ceiling), toMs(p.Since), toMs(p.Booked), int64(p.Hits),
		toMs(p.HitsSince), p.Recent, toMs(p.Opened), toMs(p.OpenUntil), int64(p.Openings), toMs(p.Probed), toMs(p.Frozen), p.Reason)
	return err
}

// lockedPaces are the paces as they are with their lock in hand: who claims elsewhere at this moment books first, or after.
// Where no group has a pace nothing is locked.
func lockedPaces(ctx context.Context, q querier) (map[string]zonewire.Provider, error) {
	paces, err := providersByName(ctx, q)
	if err != nil || len(paces) == 0 {
		return paces, err
	}
	if _, err := q.exec(ctx, qProviderLock); err != nil {
		return nil, err
	}
	return providersByName(ctx, q)
}

// book takes the tokens of what was claimed. Most groups have no pace, and cost nothing.
func book(ctx context.Context, q querier, paces map[string]zonewire.Provider, taken map[string]int, now time.Time) error {
	for name, n := range taken {
		if p, known := paces[name]; known && p.Take(n, now) {
			if err := putProvider(ctx, q, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// Observe takes a provider's answer into its pace and breaker, and reports whether the breaker opened.
func (db *DB) Observe(ctx context.Context, name string, a zonewire.Answer, now time.Time) (opened bool, err error) {
	err = db.transact(ctx, "observe provider", free, func(q querier) error {
		opened, err = observe(ctx, q, name, a, now)
		return err
	})
	return opened, err
}

func observe(ctx context.Context, q querier, name string, a zonewire.Answer, now time.Time) (opened bool, err error) {
	if _, err := q.exec(ctx, qProviderLock); err != nil {
		return false, err
	}
	p, err := provider(ctx, q, name)
	if err != nil {
		return false, err
	}
	before := p
	opened = p.Observe(a, now)
	if p == before {
		return false, nil
	}
	return opened, putProvider(ctx, q, p)
}

// Providers lists the groups that have, or had, trouble, by name.
func (db *DB) Providers(ctx context.Context) ([]zonewire.Provider, error) {
	all, err := collect(ctx, db.reader(), qProviders, nil, scanProvider)
	return all, readError("providers", err)
}

var qOpenByProvider = sqlText(`
		SELECT provider, state, COUNT(*)
		FROM delivery
		WHERE state IN (0, 1, 2)
		GROUP BY provider, state`)

// OpenByProvider counts the open deliveries of each provider group by state.
func (db *DB) OpenByProvider(ctx context.Context) (map[string]zonewire.Counts, error) {
	all := map[string]zonewire.Counts{}
	_, err := collect(ctx, db.reader(), qOpenByProvider, nil, func(rows *sql.Rows) (struct{}, error) {
		var name string
		var state, n int
		err := rows.Scan(&name, &state, &n)
		if err == nil {
			c := all[name]
			c[state] += n
			all[name] = c
		}
		return struct{}{}, err
	})
	return all, readError("deliveries by provider", err)
}
