package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/mattn/go-sqlite3"

	"zonewire"
)

//go:embed migrations
var migrations embed.FS

// dialect is what differs between engines; the queries do not.
type dialect struct {
	name    string
	rewrite func(text string) string // parameters and tokens
	ddl     func() (fs.FS, error)
	isRetry func(error) bool
}

var sqliteDialect = &dialect{
	name: "sqlite",
	// {skip} is FOR UPDATE SKIP LOCKED where several writers run at once.
	rewrite: func(text string) string { return strings.ReplaceAll(text, "{skip}", "") },
	ddl:     func() (fs.FS, error) { return fs.Sub(migrations, "migrations/sqlite") },
	isRetry: func(err error) bool {
		e, ok := errors.AsType[sqlite3.Error](err)
		return ok && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked)
	},
}

// Unknown keys of a DSN are ignored without a word, so what they set is read back after opening. The writer keeps 16 MB of
// pages: an import touches the indexes all over, and with the usual 2 MB reads each page twice.
var (
	writerPragmas = "_journal_mode=WAL&_synchronous=FULL&_busy_timeout=10000&_txlock=immediate&_foreign_keys=on&_stmt_cache_size=128&_cache_size=-16000"
	readerPragmas = "mode=ro&_query_only=on&_busy_timeout=10000&_stmt_cache_size=128"
	writerWants   = map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000", "query_only": "0", "cache_size": "-16000"}
	readerWants   = map[string]string{"journal_mode": "wal", "query_only": "1", "busy_timeout": "10000"}
)

// filePath gives the file that a DSN names.
func filePath(dsn string) (string, error) {
	switch {
	case dsn == "":
		return "", zonewire.Invalidf("database: the address is empty; give a file such as zonewire.db")
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		return "", zonewire.Invalidf("database: PostgreSQL is not supported yet; give a file such as zonewire.db")
	case strings.Contains(dsn, ":memory:"):
		return "", zonewire.Invalidf("database: it must be a file, not memory")
	}
	path, err := filepath.Abs(strings.TrimPrefix(dsn, "file:"))
	if err != nil {
		return "", fmt.Errorf("database %s: %w", dsn, err)
	}
	return path, nil
}

// sqliteDSN escapes the path: it is a URI, in which ? and # would cut it and %20 would be a space.
func sqliteDSN(path, pragmas string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + pragmas
}

func openPool(ctx context.Context, dsn string, size int, wants map[string]string) (*sql.DB, error) {
	pool, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	if err := checkPragmas(ctx, pool, wants); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return pool, nil
}

func checkPragmas(ctx context.Context, pool *sql.DB, wants map[string]string) error {
	var version string
	if err := pool.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return err
	}
	if _, n, _ := sqlite3.Version(); n < 3051003 {
		return zonewire.Invalidf("SQLite %s may corrupt a database in WAL mode; build with 3.51.3 or newer (without the tag libsqlite3)", version)
	}
	for name, want := range wants {
		var got string
		if err := pool.QueryRowContext(ctx, "PRAGMA "+name).Scan(&got); err != nil {
			return err
		}
		if got != want {
			return zonewire.Invalidf("pragma %s is %s, want %s", name, got, want)
		}
	}
	return nil
}

// mapError turns the driver's failures into the root's sentinels, once, by code.
func mapError(err error) error {
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return err
	}
	for _, m := range []struct {
		code     sqlite3.ErrNo
		sentinel error
		remedy   string
	}{
		{sqlite3.ErrFull, zonewire.ErrFull, "make room where the database is"},
		{sqlite3.ErrReadonly, zonewire.ErrReadOnly, "its user must be able to write the file and its folder"},
		{sqlite3.ErrCantOpen, zonewire.ErrReadOnly, "its user must be able to write the file and its folder"},
		{sqlite3.ErrPerm, zonewire.ErrReadOnly, "its user must be able to write the file and its folder"},
		{sqlite3.ErrBusy, zonewire.ErrBusy, "another process is writing: try again"},
		{sqlite3.ErrLocked, zonewire.ErrBusy, "another process is writing: try again"},
		{sqlite3.ErrNotADB, zonewire.ErrInvalid, "name a zonewire database"},
		{sqlite3.ErrCorrupt, zonewire.ErrInvalid, "restore it from a copy"},
	} {
		if e.Code == m.code {
			return fmt.Errorf("%w: %w: %s", m.sentinel, err, m.remedy)
		}
	}
	return err
}
