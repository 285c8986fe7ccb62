package store

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"zonewire"
)

// leasedUntil keeps a leased row out of the due index: it belongs to a worker that lives, not to a time.
const leasedUntil = int64(1<<63 - 1)

var (
	qPaused = sqlText(`SELECT COUNT(*) FROM meta WHERE name = 'paused' AND value <> ''`)
	// Groups that have open mail, by steps of the index from one to the next, and what of each is due first: a group with a
	// million rows costs as much as a group with one.
	qGroups = sqlText(`
		WITH RECURSIVE g(name) AS (
			SELECT MIN(d.provider) FROM delivery d WHERE d.state IN (0, 1, 2) AND d.provider >= ?2
			UNION ALL
			SELECT (SELECT MIN(d.provider) FROM delivery d WHERE d.state IN (0, 1, 2) AND d.provider > g.name)
			FROM g
			WHERE g.name IS NOT NULL)
		SELECT g.name,
			(SELECT string_agg(CAST(due.id AS TEXT), ',')
			FROM (
				SELECT d.id FROM delivery d
				WHERE d.state IN (0, 1, 2) AND d.provider = g.name AND d.next_ms <= ?1
				ORDER BY d.next_ms, d.id
				LIMIT ?3) due)
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
	// One statement for the rows of many groups; unused places hold 0, which no row has.
	claimRows = sqlText(`
		WITH c AS (
			SELECT id FROM delivery
			WHERE id IN (` + parameters(5, rowsAtOnce) + `) AND state IN (0, 1, 2) AND next_ms <= ?1{skip})
		UPDATE delivery
		SET claim = ?2, state = 1, worker_id = ?3, next_ms = ?4
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
		WHERE d.worker_id = ?1 AND d.worker_id <> 0 AND d.state IN (0, 1, 2) AND d.claim = ?2
		ORDER BY d.id`)
	qClaimedNotices = sqlText(`
		SELECT id, claim, created_ms, COALESCE(subscriber_id, 0), email, attempts, losses, body
		FROM notice
		WHERE worker_id = ?1 AND worker_id <> 0 AND state IN (0, 1, 2) AND claim = ?2
		ORDER BY id`)
	qDue       = sqlText(`SELECT COUNT(*) FROM delivery WHERE state IN (0, 1, 2) AND next_ms <= ?1`)
	qNoticeDue = sqlText(`SELECT COUNT(*) FROM notice WHERE state IN (0, 1, 2) AND next_ms <= ?1`)
)

// claims is where the claims of this process have got to. Those that find nothing go on with one round together: only
// when it is closed there is nothing.
type claims struct {
	mu sync.Mutex
	at position
}

type position struct {
	next   string    // the provider group to look at next
	until  string    // where the round is closed
	freeAt time.Time // when the first group of the round that is held back is free
}

func (c *claims) position() position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *claims) move(to position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = to
}

// Claim leases up to n mails that are due to a worker, notices first, and takes over what workers that are gone have
// left. The provider groups that have due mail take turns: those of one claim share n evenly, each within its pace and
// within room, which says how many more of a group the worker can use; nil is no bound. While sending is paused there
// are none. With nothing to do it only reads: an idle daemon that asks every second must not flush the disk as often.
// A claim looks at so many groups and no more: one without jobs whose FreeAt is now has not seen them all, and the next
// one goes on.
func (db *DB) Claim(ctx context.Context, worker int64, n int, room func(provider string) int, now time.Time) (zonewire.Claim, error) {
	c := claiming{worker: worker, n: n, room: room, now: now}
	quick := ctx
	if db.dialect.groups { // SQLite's driver watches a context that can end from a goroutine a statement; these are many, and short
		quick = context.WithoutCancel(ctx)
	}
	idle, gone, err := db.idle(quick, &c)
	if err != nil || idle {
		return c.result(), readError("claim", err)
	}
	c.number = newClaim()
	ran := false
	err = db.transact(ctx, "claim", senders, func(q querier) error {
		c.jobs, c.left = nil, n
		if ran { // what the run before has taken, if it was kept, nobody else could take while this worker lives
			if err := c.taken(quick, q); err != nil || len(c.jobs) > 0 {
				return err
			}
		}
		ran = true
		if err := beat(quick, q, worker, now); err != nil {
			return err
		}
		if gone {
			if err := db.reap(quick, q, worker, now); err != nil {
				return err
			}
			if err := c.look(quick, q, db.claims.position()); err != nil {
				return err
			}
		}
		var paused int
		if err := q.row(quick, qPaused, nil, &paused); err != nil {
			return err
		}
		if paused > 0 {
			c.at.freeAt, c.more = time.Time{}, false
			return nil
		}
		if err := c.notices(quick, q); err != nil {
			return err
		}
		return c.deliveries(quick, q)
	})
	if err == nil {
		db.claims.move(c.at)
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
	at             position
	more           bool // the round is not closed
	jobs           []zonewire.Job
}

func (c *claiming) result() zonewire.Claim {
	if len(c.jobs) == 0 && c.more {
		return zonewire.Claim{FreeAt: c.now}
	}
	return zonewire.Claim{Jobs: c.jobs, FreeAt: c.at.freeAt}
}

// idle reports whether a claim would find nothing, as far as it looks: no mail is due that may go now, and no worker is
// gone that may have left any.
func (db *DB) idle(ctx context.Context, c *claiming) (idle, gone bool, err error) {
	q := db.reader()
	notice := leasedUntil
	if err := q.row(ctx, qNoticeIsDue, []any{toMs(c.now), leasedUntil}, &notice); err != nil {
		return false, false, err
	}
	if err := c.look(ctx, q, db.claims.position()); err != nil {
		return false, false, err
	}
	left, err := db.goneWorkers(ctx, q, c.worker, c.now)
	if err != nil {
		return false, false, err
	}
	gone, idle = len(left) > 0, notice == leasedUntil && len(c.open) == 0 && len(left) == 0
	if idle {
		db.claims.move(c.at)
	}
	return idle, gone, nil
}

// share is a provider group with due mail, and how much of it may be claimed.
type share struct {
	zonewire.Provider
	most int
	due  []int64 // the first rows that are due
	full bool    // there may be more
}

// Bounds of one look at the groups.
const (
	groupsShared = 8   // a claim is shared among as many, if there are as many
	rowsAtOnce   = 64  // a statement
	groupsAtOnce = 128 // a query, but in the first no more than are shared among
	groupsLooked = 500 // though most have nothing due: some milliseconds
)

// look finds groups from which something may be claimed now, as many as the claim can use, and notes when those held
// back are free. It goes on with the round, and begins a new one where it found something.
func (c *claiming) look(ctx context.Context, q querier, from position) error {
	c.open, c.at, c.more = nil, from, true
	defer func() {
		if len(c.open) > 0 || !c.more {
			c.at.until = c.at.next
		}
	}()
	paces, err := providersByName(ctx, q)
	if err != nil {
		return err
	}
	part := max(1, c.n/groupsShared)
	looked, found, wrap := 0, 0, from.next >= from.until
	if from.next == from.until {
		c.at.freeAt = time.Time{} // a new round
	}
	for atOnce := groupsShared + 2; ; atOnce = groupsAtOnce {
		// One more than is looked at: where to go on.
		groups, err := collect(ctx, q, qGroups, []any{toMs(c.now), c.at.next, int64(part), int64(atOnce + 1)}, scanShare)
		if err != nil {
			return err
		}
		for _, g := range groups[:min(len(groups), atOnce)] {
			c.at.next = g.Name
			if !wrap && from.until != "" && g.Name >= from.until {
				c.more = false
				return nil
			}
			if found >= c.n || looked == groupsLooked {
				return nil
			}
			looked++
			if len(g.due) > 0 {
				g.full = len(g.due) == part
				found += c.weigh(paces, g)
			}
		}
		if len(groups) > atOnce {
			c.at.next = groups[atOnce].Name
			continue
		}
		c.at.next = ""
		if !wrap || from.until == "" {
			c.more = false
			return nil
		}
		wrap = false
	}
}

func scanShare(rows *sql.Rows) (g share, err error) {
	var ids sql.NullString
	if err := rows.Scan(&g.Name, &ids); err != nil || !ids.Valid {
		return g, err
	}
	for text := range strings.SplitSeq(ids.String, ",") {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return g, err
		}
		g.due = append(g.due, id)
	}
	return g, nil
}

// weigh opens a group with due mail, or notes when it is free. It gives how much the claim may count on.
func (c *claiming) weigh(paces map[string]zonewire.Provider, g share) int {
	if p, known := paces[g.Name]; known {
		g.Provider = p
	}
	g.most = g.Allowance(c.n, c.now)
	if g.most == 0 {
		if at := g.FreeAt(c.now); c.at.freeAt.IsZero() || at.Before(c.at.freeAt) {
			c.at.freeAt = at
		}
		return 0
	}
	if c.room != nil {
		g.most = min(g.most, c.room(g.Name))
	}
	if g.most <= 0 {
		return 0
	}
	c.open = append(c.open, g)
	return min(g.most, len(g.due))
}

func (c *claiming) notices(ctx context.Context, q querier) error {
	got, err := q.exec(ctx, claimNotices, toMs(c.now), int64(c.left), c.number, c.worker, leasedUntil)
	if err != nil || got == 0 {
		return err
	}
	c.left -= int(got)
	return c.takenNotices(ctx, q)
}

// taken reads the jobs that the claim has.
func (c *claiming) taken(ctx context.Context, q querier) error {
	if err := c.takenNotices(ctx, q); err != nil {
		return err
	}
	paces, err := providersByName(ctx, q)
	if err != nil {
		return err
	}
	_, err = c.takenDeliveries(ctx, q, paces)
	return err
}

func (c *claiming) takenNotices(ctx context.Context, q querier) (err error) {
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
// round again.
func (c *claiming) deliveries(ctx context.Context, q querier) error {
	paces, err := lockedPaces(ctx, q)
	if err != nil {
		return err
	}
	var rows []int64
	var more []share
	for _, g := range c.open {
		if p, known := paces[g.Name]; known {
			g.Provider, g.most = p, min(g.most, p.Allowance(c.n, c.now))
		}
		got := g.due[:min(len(g.due), g.most, c.left)]
		rows, c.left = append(rows, got...), c.left-len(got)
		if g.most -= len(got); g.full && g.most > 0 {
			more = append(more, g)
		}
	}
	for chunk := range slices.Chunk(rows, rowsAtOnce) {
		args := []any{toMs(c.now), c.number, c.worker, leasedUntil}
		for i := range rowsAtOnce {
			id := int64(0)
			if i < len(chunk) {
				id = chunk[i]
			}
			args = append(args, id)
		}
		if _, err := q.exec(ctx, claimRows, args...); err != nil {
			return err
		}
	}
	if err := c.rounds(ctx, q, more); err != nil {
		return err
	}
	deliveries, err := c.takenDeliveries(ctx, q, paces)
	if err != nil {
		return err
	}
	taken := map[string]int{}
	for _, j := range deliveries {
		taken[j.Provider]++
	}
	return book(ctx, q, paces, taken, c.now)
}

func (c *claiming) takenDeliveries(ctx context.Context, q querier, paces map[string]zonewire.Provider) ([]zonewire.Job, error) {
	deliveries, err := collect(ctx, q, qClaimedDeliveries, []any{c.worker, c.number}, func(rows *sql.Rows) (zonewire.Job, error) {
		j := zonewire.Job{Kind: zonewire.DigestJob}
		var slot int64
		err := rows.Scan(&j.ID, &j.Claim, &j.Digest, &slot, &j.ListID, &j.Subscriber, &j.Subscription, &j.Variant, &j.Email,
			&j.Provider, &j.Attempts, &j.Losses)
		p := paces[j.Provider]
		j.Slot, j.Troubled = fromMs(slot), p.Troubled()
		return j, err
	})
	c.jobs = append(c.jobs, deliveries...)
	return deliveries, err
}

// rounds shares what is left among the groups that may have more. It begins anywhere, so that no group is always last.
func (c *claiming) rounds(ctx context.Context, q querier, open []share) error {
	rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
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
			if g.most -= int(got); g.most > 0 && int(got) == want {
				more = append(more, g)
			}
		}
		open = more
	}
	return nil
}

// parameters lists n of them for an IN list.
func parameters(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("?" + strconv.Itoa(first+i))
	}
	return b.String()
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
