package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"zonewire"
)

// turn is whose turn a transaction waits for.
//
// SQLite has one writer. On PostgreSQL many write at once, over all replicas, and most of what is written here is decided
// by what was read before: whether a person has a place, which articles a window holds. Such transactions take turns there
// too, by the lock of one row, and see what they would see on SQLite. What carries the load takes no turn: each row that a
// sender writes is fenced by its claim.
type turn string

const (
	writers turn = "writer"  // whoever reads before it writes
	feeds   turn = "feed"    // versions of feeds, and who is told of them
	senders turn = "sending" // claims, side by side; who pauses sending waits until none is under way
	free    turn = ""        // what needs no turn
)

// Bounds of trying again.
const (
	triesAgain = 5
	lostFor    = 5 * time.Second // a server that is away is waited for; then the caller hears of it
	lostFirst  = 50 * time.Millisecond
	lostMost   = time.Second
	quickFor   = 15 * time.Second // a statement of some microseconds
)

// errRollback ends a transaction without keeping it.
var errRollback = errors.New("roll back")

// write runs fn in one write transaction, in its turn. It is run again if the engine asks for it, and if the connection is
// lost, even while committing: then nobody knows whether it was kept. fn must bear being run more than once.
func (db *DB) write(ctx context.Context, what string, fn func(q querier) error) error {
	return db.transact(ctx, what, writers, fn)
}

func (db *DB) transact(ctx context.Context, what string, t turn, fn func(q querier) error) error {
	return retry(ctx, what, func() error { return db.transactOnce(ctx, t, fn) })
}

// waitsAside is how many transactions of a process stand at the server for one turn. The others wait in the process: while the
// digest of a large list is planned, whoever waits must not hold all connections, which senders need.
const waitsAside = 2

func newGates() map[turn]chan struct{} {
	return map[turn]chan struct{}{writers: make(chan struct{}, waitsAside), feeds: make(chan struct{}, waitsAside)}
}

// enter waits at the gate of a turn, where there is one.
func (db *DB) enter(ctx context.Context, t turn) (leave func(), err error) {
	gate := db.gates[t]
	if gate == nil {
		return func() {}, nil
	}
	select {
	case gate <- struct{}{}:
		return func() { <-gate }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (db *DB) transactOnce(ctx context.Context, t turn, fn func(q querier) error) error {
	leave, err := db.enter(ctx, t)
	if err != nil {
		return err
	}
	defer leave()
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit this does nothing
	if begin := db.dialect.begin[t]; begin != "" {
		if _, err := tx.ExecContext(ctx, begin); err != nil {
			return err
		}
	}
	if err := fn(querier{tx, db}); err != nil {
		return err
	}
	return tx.Commit()
}

// alone runs the statements of fn each by itself. Each must be fenced.
func (db *DB) alone(what string, fn func(ctx context.Context, q querier) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), quickFor)
	defer cancel()
	err := retry(ctx, what, func() error { return fn(ctx, querier{db.w, db}) })
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", zonewire.ErrUnavailable, err)
	}
	return err
}

// retry calls once until it succeeds, fails for good, or has been tried often enough.
func retry(ctx context.Context, what string, once func() error) error {
	began, pause := time.Now(), lostFirst
	for try := 1; ; try++ {
		err := once()
		kind := judge(err)
		switch {
		case err == nil, errors.Is(err, errRollback):
			return nil
		case kind == final, kind == again && try == triesAgain, kind == lost && time.Since(began) > lostFor:
			return fmt.Errorf("%s: %w", what, mapError(err))
		case kind == again:
			pause = time.Duration(rand.Int64N(int64(lostFirst) * int64(try)))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w", what, ctx.Err(), mapError(err))
		}
		if kind == lost {
			pause = min(2*pause, lostMost)
		}
	}
}

// steady is a pool whose reads are tried once more on another connection: after a server's restart each of them fails once.
type steady struct{ *sql.DB }

const steadyTries = 3

func (s steady) QueryContext(ctx context.Context, text string, args ...any) (rows *sql.Rows, err error) {
	for range steadyTries {
		if rows, err = s.DB.QueryContext(ctx, text, args...); judge(err) != lost {
			break
		}
	}
	return rows, err
}

func (s steady) QueryRowContext(ctx context.Context, text string, args ...any) (row *sql.Row) {
	for range steadyTries {
		if row = s.DB.QueryRowContext(ctx, text, args...); judge(row.Err()) != lost {
			break
		}
	}
	return row
}

// wait lets a transaction do without a statement for so long, while something is computed.
func (q querier) wait(ctx context.Context, most time.Duration) error {
	if q.db.dialect.patience == "" {
		return nil
	}
	_, err := q.x.ExecContext(ctx, q.db.dialect.patience, most.Milliseconds())
	return err
}
