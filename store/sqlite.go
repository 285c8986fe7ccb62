package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mattn/go-sqlite3"

	"zonewire"
)

var sqliteDialect = &dialect{
	name: "sqlite",
	tokens: strings.NewReplacer(
		"{skip}", "", "{lock}", "", // there is one writer
		"{like}", "LIKE", // takes a capital for its small letter by itself
		"{over article_text}", "INDEXED BY article_text",
		"{tables}", "(SELECT name FROM sqlite_master WHERE type = 'table') tables",
	),
	schemaTable: `CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT; INSERT INTO schema_version (version) VALUES (0)`,
	groups:      true,
	parameters:  32_766, // SQLITE_MAX_VARIABLE_NUMBER
}

func judgeSQLite(err error) failure {
	if e, ok := errors.AsType[sqlite3.Error](err); ok && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked) {
		return again
	}
	return final
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
	case strings.Contains(dsn, "://"):
		return "", errNoAddress
	case strings.Contains(dsn, ":memory:"):
		return "", zonewire.Invalidf("database: it must be a file, not memory")
	}
	path, err := filepath.Abs(strings.TrimPrefix(dsn, "file:"))
	if err != nil {
		return "", fmt.Errorf("database %s: %w", dsn, err)
	}
	return path, nil
}

// openSQLite opens a file: one writer, so that commits queue in the process and not on the file's lock, and readers.
func openSQLite(ctx context.Context, db *DB, dsn string, create bool) (err error) {
	if db.path, err = filePath(dsn); err != nil {
		return err
	}
	_, statErr := os.Stat(db.path)
	switch {
	case statErr != nil && !errors.Is(statErr, os.ErrNotExist):
		return fmt.Errorf("open database %s: %w: %w", db.path, zonewire.ErrReadOnly, statErr)
	case statErr != nil && !create:
		return fmt.Errorf("open database %s: %w", db.path, zonewire.ErrNotFound)
	}
	if db.w, err = openPool(ctx, sqliteDSN(db.path, writerPragmas), 1, writerWants); err != nil {
		return fmt.Errorf("open database %s: %w", db.path, explainSQLite(err))
	}
	if err := db.migrate(ctx, create); err != nil {
		return errors.Join(fmt.Errorf("open database %s: %w", db.path, err), db.w.Close())
	}
	if db.r, err = openPool(ctx, sqliteDSN(db.path, readerPragmas), max(4, runtime.NumCPU()), readerWants); err != nil {
		return errors.Join(fmt.Errorf("open database %s: %w", db.path, explainSQLite(err)), db.w.Close())
	}
	return nil
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

func explainSQLite(err error) error {
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
