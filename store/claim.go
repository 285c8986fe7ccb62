package store

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"time"

	"zonewire"
)

// leasedUntil keeps a leased row out of the due index: it belongs to a worker that lives, not to a time.
const leasedUntil = int64(1<<63 - 1)

var (
	qPaused = sqlText(`SELECT COUNT(*) FROM meta WHERE name = 'paused' AND value <> ''`)
	// The groups that have open mail, by steps of the index from one to the next, and when the first of each is due: a
	// group with a million rows costs as much as a group with one.
	qDueGroups = sqlText(`
		WITH RECURSIVE g(name) AS (
			SELECT MIN(provider) FROM delivery WHERE state IN (0, 1, 2)
			UNION ALL
			SELECT (SELECT MIN(d.provider) FROM delivery d WHERE d.state IN (0, 1, 2) AND d.provider > g.name)
			FROM g
			WHERE g.name IS NOT NULL)
		SELECT g.name
		FROM g
		WHERE g.name IS NOT NULL
			AND (SELECT MIN(d.next_ms) FROM delivery d WHERE d.state IN (0, 1, 2) AND d.provider = g.name) <= ?1`)
	qNoticeIsDue = sqlText(`SELECT COALESCE(MIN(next_ms), ?2) FROM notice WHERE state IN (0, 1, 2) AND next_ms <= ?1`)
	claimNotices = sqlText(`
		WITH c AS (
			SELECT id FROM notice
			WHERE state IN (0, 1, 2) AND next_ms <= ?1
			ORDER BY next_ms, id
			LIMIT ?2{skip})
		UPDATE notice
		SET state = 1, claim = ?3, worker_id = ?4, next_ms = ?5
		WHERE id IN (SELECT id FROM c)`)
	claimGroup = sqlText(`
		WITH c AS (
			SELECT id FROM delivery
			WHERE state IN (0, 1, 2) AND provider = ?6 AND next_ms <= ?1
			ORDER BY next_ms, id
			LIMIT ?2{skip})
		UPDATE delivery
		SET state = 1, claim = ?3, worker_id = ?4, next_ms = ?5
		WHERE id IN (SELECT id FROM c)`)
	qClaimedDeliveries = sqlText(`
		SELECT d.id, d.claim, d.digest_id, g.slot_ms, g.list_id, d.subscriber_id, d.subscription_id, d.variant_id, u.email,
			d.provider, d.attempts, d.losses
		FROM delivery d
		JOIN digest g ON g.id = d.digest_id
		JOIN subscriber u ON u.id = d.subscriber_id
		WHERE d.worker_id = ?1 AND d.state IN (0, 1, 2) AND d.claim = ?2
		ORDER BY d.id`)
	qClaimedNotices = sqlText(`
		SELECT id, claim, created_ms, COALESCE(subscriber_id, 0), email, attempts, losses, body
		FROM notice
		WHERE worker_id = ?1 AND state IN (0, 1, 2) AND claim = ?2
		ORDER BY id`)
	qDue       = sqlText(`SELECT COUNT(*) FROM delivery WHERE state IN (0, 1, 2) AND next_ms <= ?1`)
	qNoticeDue = sqlText(`SELECT COUNT(*) FROM notice WHERE state IN (0, 1, 2) AND next_ms <= ?1`)
)

// Claim leases up to n mails that are due to a worker, notices first, and takes over what workers that are gone have
// left. The provider groups that have due mail share n evenly, each within its pace and within room, which says how
// many more of a group the worker can use; nil is no bound. While sending is paused there are none. With nothing to do
// it only reads: an idle daemon that asks every second must not flush the disk as often.
func (db *DB) Claim(ctx context.Context, worker int64, n int, room func(provider string) int, now time.Time) (claim zonewire.Claim, err error) {
	c := claiming{worker: worker, n: n, room: room, now: now}
	if idle, err := db.idle(ctx, &c); err != nil || idle {
		return zonewire.Claim{FreeAt: c.freeAt}, readError("claim", err)
	}
	err = db.write(ctx, "claim", func(q querier) error {
		c.jobs, c.freeAt, c.left, c.number = nil, time.Time{}, n, newClaim()
		if err := beat(ctx, q, worker, now); err != nil {
			return err
		}
		if err := db.reap(ctx, q, worker, now); err != nil {
			return err
		}
		var paused int
		if err := q.row(ctx, qPaused, nil, &paused); err != nil || paused > 0 {
			return err
		}
		if err := c.notices(ctx, q); err != nil {
			return err
		}
		return c.deliveries(ctx, q)
	})
	return zonewire.Claim{Jobs: c.jobs, FreeAt: c.freeAt}, err
}

// claiming is one claim under way.
type claiming struct {
	worker, number int64
	n, left        int
	room           func(provider string) int
	now            time.Time
	jobs           []zonewire.Job
	freeAt         time.Time
}

// idle reports whether a claim would find nothing: no mail is due that may go now, and nobody has left any.
func (db *DB) idle(ctx context.Context, c *claiming) (bool, error) {
	q := db.reader()
	notice := leasedUntil
	if err := q.row(ctx, qNoticeIsDue, []any{toMs(c.now), leasedUntil}, &notice); err != nil || notice != leasedUntil {
		return false, err
	}
	groups, err := c.openGroups(ctx, q)
	if err != nil || len(groups) > 0 {
		return false, err
	}
	gone, err := goneWorkers(ctx, q, c.worker, c.now)
	return len(gone) == 0, err
}

// share is a provider group with due mail, and how much of it may be claimed.
type share struct {
	zonewire.Provider
	most int
}

// openGroups lists the groups from which something may be claimed now, and notes when those held back are free.
func (c *claiming) openGroups(ctx context.Context, q querier) ([]share, error) {
	names, err := collect(ctx, q, qDueGroups, []any{toMs(c.now)}, func(rows *sql.Rows) (string, error) {
		var name string
		return name, rows.Scan(&name)
	})
	if err != nil || len(names) == 0 {
		return nil, err
	}
	paces, err := providersByName(ctx, q)
	if err != nil {
		return nil, err
	}
	var open []share
	for _, name := range names {
		p, known := paces[name]
		if !known {
			p.Name = name
		}
		g := share{p, p.Allowance(c.n, c.now)}
		if g.most == 0 {
			if at := p.FreeAt(c.now); c.freeAt.IsZero() || at.Before(c.freeAt) {
				c.freeAt = at
			}
			continue
		}
		if c.room != nil {
			g.most = min(g.most, c.room(name))
		}
		if g.most > 0 {
			open = append(open, g)
		}
	}
	return open, nil
}

func (c *claiming) notices(ctx context.Context, q querier) error {
	got, err := q.exec(ctx, claimNotices, toMs(c.now), int64(c.left), c.number, c.worker, leasedUntil)
	if err != nil || got == 0 {
		return err
	}
	c.left -= int(got)
	c.jobs, err = collect(ctx, q, qClaimedNotices, []any{c.worker, c.number}, func(rows *sql.Rows) (zonewire.Job, error) {
		j := zonewire.Job{Kind: zonewire.NoticeJob, Mail: &zonewire.Mail{}}
		var created int64
		var body []byte
		if err := rows.Scan(&j.ID, &j.Claim, &created, &j.Subscriber, &j.Email, &j.Attempts, &j.Losses, &body); err != nil {
			return j, err
		}
		j.Slot = fromMs(created)
		return j, unpack(body, j.Mail)
	})
	return err
}

// deliveries shares what is left of the claim among the groups: each gets an even part, and what one cannot use goes
// round again. It begins anywhere, so that no group is always last.
func (c *claiming) deliveries(ctx context.Context, q querier) error {
	open, err := c.openGroups(ctx, q)
	if err != nil || len(open) == 0 {
		return err
	}
	rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	taken := make(map[string]int, len(open))
	troubled := map[string]bool{}
	for len(open) > 0 && c.left > 0 {
		part := max(1, c.left/len(open))
		var more []share
		for _, g := range open {
			want := min(part, g.most, c.left)
			if want == 0 {
				break
			}
			got, err := q.exec(ctx, claimGroup, toMs(c.now), int64(want), c.number, c.worker, leasedUntil, g.Name)
			if err != nil {
				return err
			}
			c.left -= int(got)
			taken[g.Name] += int(got)
			troubled[g.Name] = g.Troubled()
			if g.most -= int(got); g.most > 0 && int(got) == want {
				more = append(more, g)
			}
		}
		open = more
	}
	if err := book(ctx, q, taken, c.now); err != nil {
		return err
	}
	deliveries, err := collect(ctx, q, qClaimedDeliveries, []any{c.worker, c.number}, func(rows *sql.Rows) (zonewire.Job, error) {
		j := zonewire.Job{Kind: zonewire.DigestJob}
		var slot int64
		err := rows.Scan(&j.ID, &j.Claim, &j.Digest, &slot, &j.ListID, &j.Subscriber, &j.Subscription, &j.Variant, &j.Email,
			&j.Provider, &j.Attempts, &j.Losses)
		j.Slot, j.Troubled = fromMs(slot), troubled[j.Provider]
		return j, err
	})
	c.jobs = append(c.jobs, deliveries...)
	return err
}

// Due counts the mails that may be claimed now, if their providers let them.
func (db *DB) Due(ctx context.Context, now time.Time) (int, error) {
	var deliveries, notices int
	err := db.reader().row(ctx, qDue, []any{toMs(now)}, &deliveries)
	if err == nil {
		err = db.reader().row(ctx, qNoticeDue, []any{toMs(now)}, &notices)
	}
	return deliveries + notices, readError("due mail", err)
}
