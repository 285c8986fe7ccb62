// Package store keeps everything: it is the only room with SQL. An exported method is one transaction and answers
// one question in its caller's words; it maps the driver's failures to the root package's sentinel errors.
//
// One text a query serves every engine: parameters are ?1, ?2, times INTEGER unix milliseconds, flags 0 or 1. On
// SQLite there is one writer, so that commits queue in the process and not on the file's lock, and a pool of readers.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"time"

	"zonewire"
)

// Options is what a store needs besides its address.
type Options struct {
	// Create makes the database if there is none, and brings an older schema up to date.
	Create bool
	// Matcher finds the zone that a name means, among the zones given.
	Matcher func([]zonewire.Zone) zonewire.Matcher
	// Uncertain says what becomes of a mail whose reply was lost; empty means [zonewire.Resend].
	Uncertain zonewire.UncertainPolicy
}

// DB is an open store, safe for concurrent use.
type DB struct {
	w, r      *sql.DB
	path      string
	dialect   *dialect
	texts     map[query]string
	matcher   func([]zonewire.Zone) zonewire.Matcher
	uncertain zonewire.UncertainPolicy
	group     group
	claims    claims
	created   bool

	mu       sync.Mutex // guards the cached matcher
	matchGen int64
	match    zonewire.Matcher
}

// Open opens the store at dsn: a file path, or file:PATH. It fails with [zonewire.ErrNotFound] if there is none and
// Options.Create is off, [zonewire.ErrInvalid] if it is no zonewire database or has another schema than this program
// (the message names both versions), [zonewire.ErrReadOnly] if the folder cannot be written.
func Open(ctx context.Context, dsn string, opts Options) (*DB, error) {
	path, err := filePath(dsn)
	if err != nil {
		return nil, err
	}
	_, statErr := os.Stat(path)
	if statErr != nil && !errors.Is(statErr, os.ErrNotExist) {
		return nil, fmt.Errorf("open database %s: %w: %w", path, zonewire.ErrReadOnly, statErr)
	}
	if statErr != nil && !opts.Create {
		return nil, fmt.Errorf("open database %s: %w", path, zonewire.ErrNotFound)
	}
	db := &DB{
		path:      path,
		dialect:   sqliteDialect,
		texts:     make(map[query]string, len(queries)),
		matcher:   opts.Matcher,
		uncertain: opts.Uncertain,
		matchGen:  -1,
		created:   statErr != nil,
	}
	for _, q := range queries {
		db.texts[q] = db.dialect.rewrite(string(q))
	}
	if db.w, err = openPool(ctx, sqliteDSN(path, writerPragmas), 1, writerWants); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, mapError(err))
	}
	if err := db.migrate(ctx, opts.Create); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.w.Close())
	}
	if db.r, err = openPool(ctx, sqliteDSN(path, readerPragmas), max(4, runtime.NumCPU()), readerWants); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, mapError(err)), db.w.Close())
	}
	return db, nil
}

// Created reports whether this Open made the database.
func (db *DB) Created() bool { return db.created }

// Close waits for running queries and closes the store. The readers go first: the last connection to close folds the
// log into the file, and only the writer may.
func (db *DB) Close() error {
	return errors.Join(db.r.Close(), db.w.Close())
}

// query is one SQL text, registered so that tests can prepare and lint every one.
type query string

var queries []query

// sqlText registers a query. It is called from package-level variables only.
func sqlText(text string) query {
	queries = append(queries, query(text))
	return query(text)
}

// querier is a transaction or the reader pool.
type querier struct {
	x interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
	db *DB
}

func (db *DB) reader() querier { return querier{db.r, db} }

func (q querier) text(text query) string {
	if t, ok := q.db.texts[text]; ok {
		return t
	}
	return q.db.dialect.rewrite(string(text)) // a generated IN list
}

// exec runs a statement and gives the number of rows it touched.
func (q querier) exec(ctx context.Context, text query, args ...any) (int64, error) {
	res, err := q.x.ExecContext(ctx, q.text(text), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// row reads one row; sql.ErrNoRows becomes [zonewire.ErrNotFound].
func (q querier) row(ctx context.Context, text query, args []any, dest ...any) error {
	err := q.x.QueryRowContext(ctx, q.text(text), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return zonewire.ErrNotFound
	}
	return err
}

// collect reads all rows before it returns: an open cursor would hold the only writer, or keep the log from shrinking.
func collect[T any](ctx context.Context, q querier, text query, args []any, scan func(*sql.Rows) (T, error)) ([]T, error) {
	rows, err := q.x.QueryContext(ctx, q.text(text), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

func scanInt(rows *sql.Rows) (int64, error) {
	var n int64
	err := rows.Scan(&n)
	return n, err
}

// errRollback ends a transaction without keeping it.
var errRollback = errors.New("roll back")

// write runs fn in one write transaction, again if the engine asks for it: fn must bear being run more than once.
func (db *DB) write(ctx context.Context, what string, fn func(q querier) error) error {
	const tries = 5
	for try := 1; ; try++ {
		err := db.writeOnce(ctx, fn)
		switch {
		case err == nil, errors.Is(err, errRollback):
			return nil
		case db.dialect.isRetry(err) && try < tries:
			select {
			case <-time.After(time.Duration(rand.Int64N(int64(50*time.Millisecond) * int64(try)))):
			case <-ctx.Done():
				return fmt.Errorf("%s: %w", what, ctx.Err())
			}
		default:
			return fmt.Errorf("%s: %w", what, mapError(err))
		}
	}
}

func (db *DB) writeOnce(ctx context.Context, fn func(q querier) error) error {
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit this does nothing
	if err := fn(querier{tx, db}); err != nil {
		return err
	}
	return tx.Commit()
}

// read wraps the error of a read-only question.
func readError(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, mapError(err))
}

// Ping answers whether the database can be read.
func (db *DB) Ping(ctx context.Context) error {
	var n int64
	return readError("ping", db.reader().row(ctx, qCounter, []any{"item"}, &n))
}

func toMs(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMs(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func toFlag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// nullID stores 0 as NULL.
func nullID(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}
