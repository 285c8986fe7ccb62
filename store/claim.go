package store

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"sync"
	"time"

	"zonewire"
)

// leasedUntil keeps a leased row out of the due index: it belongs to a worker that lives, not to a time.
const leasedUntil = int64(1<<63 - 1)

var (
	qPaused = sqlText(`SELECT COUNT(*) FROM meta WHERE name = 'paused' AND value <> ''`)
	// Groups that have open mail, by steps of the index from one to the next, and how much of each is due, as far as
	// anyone asks: a group with a million rows costs as much as a group with one.
	qGroups = sqlText(`
		WITH RECURSIVE g(name) AS (
			SELECT MIN(d.provider) FROM delivery d WHERE d.state IN (0, 1, 2) AND d.provider >= ?2
			UNION ALL
			SELECT (SELECT MIN(d.provider) FROM delivery d WHERE d.state IN (0, 1, 2) AND d.provider > g.name)
			FROM g
			WHERE g.name IS NOT NULL)
		SELECT g.name,
			(SELECT COUNT(*)
			FROM (SELECT 1 FROM delivery d WHERE d.state IN (0, 1, 2) AND d.provider = g.name AND d.next_ms <= ?1 LIMIT ?3) due)
		FROM g
		WHERE g.name IS NOT NULL
		LIMIT ?4`)
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

// claims is where the claims of this process have got to.
type claims struct {
	mu   sync.Mutex
	next string // the provider group to look at next
}

func (c *claims) at() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

func (c *claims) move(next string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = next
}

// Claim leases up to n mails that are due to a worker, notices first, and takes over what workers that are gone have
// left. The provider groups that have due mail take turns: those of one claim share n evenly, each within its pace and
// within room, which says how many more of a group the worker can use; nil is no bound. While sending is paused there
// are none. With nothing to do it only reads: an idle daemon that asks every second must not flush the disk as often.
// A claim looks at so many groups and no more: one without jobs whose FreeAt is now has not seen them all.
func (db *DB) Claim(ctx context.Context, worker int64, n int, room func(provider string) int, now time.Time) (zonewire.Claim, error) {
	c := claiming{worker: worker, n: n, room: room, now: now}
	// The driver watches a context that can end from a goroutine a statement; these are many, and short.
	quick := context.WithoutCancel(ctx)
	idle, gone, err := db.idle(quick, &c)
	if err != nil || idle {
		return c.result(), readError("claim", err)
	}
	err = db.write(ctx, "claim", func(q querier) error {
		c.jobs, c.left, c.number = nil, n, newClaim()
		if err := beat(quick, q, worker, now); err != nil {
			return err
		}
		if gone {
			if err := db.reap(quick, q, worker, now); err != nil {
				return err
			}
			if err := c.look(quick, q, db.claims.at()); err != nil {
				return err
			}
		}
		var paused int
		if err := q.row(quick, qPaused, nil, &paused); err != nil {
			return err
		}
		if paused > 0 {
			c.freeAt, c.more = time.Time{}, false
			return nil
		}
		if err := c.notices(quick, q); err != nil {
			return err
		}
		return c.deliveries(quick, q)
	})
	if err == nil {
		db.claims.move(c.next)
	}
	return c.result(), err
}

// claiming is one claim under way.
type claiming struct {
	worker, number int64
	n, left        int
	room           func(provider string) int
	now            time.Time
	open           []share
	freeAt         time.Time
	next           string // the first group that was not looked at
	more           bool   // there is one
	jobs           []zonewire.Job
}

func (c *claiming) result() zonewire.Claim {
	if len(c.jobs) == 0 && c.more {
		c.freeAt = c.now
	}
	return zonewire.Claim{Jobs: c.jobs, FreeAt: c.freeAt}
}

// idle reports whether a claim would find nothing, as far as it looks: no mail is due that may go now, and no worker is
// gone that may have left any.
func (db *DB) idle(ctx context.Context, c *claiming) (idle, gone bool, err error) {
	q := db.reader()
	notice := leasedUntil
	if err := q.row(ctx, qNoticeIsDue, []any{toMs(c.now), leasedUntil}, &notice); err != nil {
		return false, false, err
	}
	if err := c.look(ctx, q, db.claims.at()); err != nil {
		return false, false, err
	}
	left, err := goneWorkers(ctx, q, c.worker, c.now)
	if err != nil {
		return false, false, err
	}
	gone, idle = len(left) > 0, notice == leasedUntil && len(c.open) == 0 && len(left) == 0
	if idle {
		db.claims.move(c.next)
	}
	return idle, gone, nil
}

// share is a provider group with due mail, and how much of it may be claimed.
type share struct {
	zonewire.Provider
	most int
}

// Bounds of one look at the groups.
const (
	groupsShared = 8    // a claim is shared among as many, if there are as many
	groupsAtOnce = 32   // a query
	groupsLooked = 1000 // though most have nothing due: a few milliseconds
)

// look finds groups from which something may be claimed now, as many as the claim can use, and notes when those held
// back are free. It goes round once, from a name on.
func (c *claiming) look(ctx context.Context, q querier, from string) error {
	c.open, c.freeAt, c.next, c.more = nil, time.Time{}, from, false
	paces, err := providersByName(ctx, q)
	if err != nil {
		return err
	}
	type group struct {
		name string
		due  int
	}
	part := max(1, c.n/groupsShared)
	looked, found, round := 0, 0, from == ""
	for at := from; ; {
		// One more than is looked at: where to go on.
		groups, err := collect(ctx, q, qGroups, []any{toMs(c.now), at, int64(part), int64(groupsAtOnce + 1)}, func(rows *sql.Rows) (g group, err error) {
			return g, rows.Scan(&g.name, &g.due)
		})
		if err != nil {
			return err
		}
		for _, g := range groups[:min(len(groups), groupsAtOnce)] {
			if round && from != "" && g.name >= from {
				return nil
			}
			if found >= c.n || looked == groupsLooked {
				c.next, c.more = g.name, true
				return nil
			}
			looked++
			if g.due > 0 {
				found += c.weigh(paces, g.name, g.due)
			}
		}
		switch {
		case len(groups) > groupsAtOnce:
			at = groups[groupsAtOnce].name
		case round:
			return nil
		default:
			at, round = "", true
		}
	}
}

// weigh opens a group that has so much due, or notes when it is free. It gives how much the claim may count on.
func (c *claiming) weigh(paces map[string]zonewire.Provider, name string, due int) int {
	p, known := paces[name]
	if !known {
		p.Name = name
	}
	most := p.Allowance(c.n, c.now)
	if most == 0 {
		if at := p.FreeAt(c.now); c.freeAt.IsZero() || at.Before(c.freeAt) {
			c.freeAt = at
		}
		return 0
	}
	if c.room != nil {
		most = min(most, c.room(name))
	}
	if most <= 0 {
		return 0
	}
	c.open = append(c.open, share{p, most})
	return min(most, due)
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
	paces, err := providersByName(ctx, q) // as they are with the writer in hand
	if err != nil {
		return err
	}
	var open []share
	for _, g := range c.open {
		if p, known := paces[g.Name]; known {
			g.Provider, g.most = p, min(g.most, p.Allowance(c.n, c.now))
		}
		if g.most > 0 {
			open = append(open, g)
		}
	}
	if len(open) == 0 {
		return nil
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
	if err := book(ctx, q, paces, taken, c.now); err != nil {
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
