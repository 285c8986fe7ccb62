// Package store keeps everything: it is the only room with SQL. An exported method is one transaction and answers
// one question in its caller's words; it maps the driver's failures to the root package's sentinel errors.
//
// One text a query serves both engines, SQLite and PostgreSQL: parameters are ?1, ?2, times INTEGER unix milliseconds, flags
// 0 or 1. What reads before it writes takes turns, on SQLite because there is one writer, on PostgreSQL by a row's lock.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
	path      string // empty on a server
	dialect   *dialect
	texts     map[query]string
	matcher   func([]zonewire.Zone) zonewire.Matcher
	uncertain zonewire.UncertainPolicy
	group     group
	claims    claims
	sight     sight
	gates     map[turn]chan struct{} // of a server; nil where there is one writer
	created   bool

	mu       sync.Mutex // guards the cached matcher
	matchGen int64
	match    zonewire.Matcher
}

// Open opens the store at dsn: a file path, file:PATH, or postgres://… (libpq's form, with pool_max_conns besides). It
// fails with [zonewire.ErrNotFound] if there is none and Options.Create is off, [zonewire.ErrInvalid] if it is no zonewire
// database or has another schema than this program (the message names both versions), [zonewire.ErrReadOnly] if it cannot be
// written, [zonewire.ErrUnavailable] if the server does not answer.
func Open(ctx context.Context, dsn string, opts Options) (*DB, error) {
	db := &DB{
		dialect:   sqliteDialect,
		texts:     make(map[query]string, len(queries)),
		matcher:   opts.Matcher,
		uncertain: opts.Uncertain,
		matchGen:  -1,
	}
	open := openSQLite
	if isServer(dsn) {
		db.dialect, open = postgresDialect, openPostgres
	}
	for _, q := range queries {
		db.texts[q] = db.dialect.rewrite(string(q))
	}
	if err := open(ctx, db, dsn, opts.Create); err != nil {
		return nil, err
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

func (db *DB) reader() querier { return querier{steady{db.r}, db} }

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
