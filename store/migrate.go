package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"zonewire"
)

// migration is one numbered file NNNN_name.sql. Files are appended, never edited.
type migration struct {
	version int
	name    string
	ddl     string
}

func (d *dialect) migrations() ([]migration, error) {
	files, err := d.ddl()
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	slices.Sort(names)
	all := make([]migration, len(names))
	for i, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want number %04d", name, i+1)
		}
		ddl, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		all[i] = migration{version, name, string(ddl)}
	}
	return all, nil
}

var (
	qSchemaTables  = sqlText(`SELECT COUNT(*), COUNT(CASE WHEN name = 'schema_version' THEN 1 END) FROM {tables}`)
	qSchemaVersion = sqlText(`SELECT version FROM schema_version`)
	qSchemaLock    = sqlText(`SELECT version FROM schema_version{lock}`)
	qSchemaSet     = sqlText(`UPDATE schema_version SET version = ?1`)
)

// SchemaVersion gives the version that the database has.
func (db *DB) SchemaVersion(ctx context.Context) (int, error) {
	var v int
	return v, readError("schema version", db.reader().row(ctx, qSchemaVersion, nil, &v))
}

// migrate brings the schema up to date, each step in a transaction of its own, or checks that it is.
func (db *DB) migrate(ctx context.Context, apply bool) error {
	steps, err := db.dialect.migrations()
	if err != nil {
		return err
	}
	version, err := db.version(ctx, apply)
	if err != nil {
		return err
	}
	switch want := len(steps); {
	case version > want:
		return zonewire.Invalidf("the database has schema %d, this program knows %d: run the newer zonewire that wrote it", version, want)
	case version < want && !apply:
		return zonewire.Invalidf("the database has schema %d, this program needs %d: run zonewire db migrate", version, want)
	}
	for _, m := range steps[min(version, len(steps)):] {
		err := db.transact(ctx, "migration "+m.name, free, func(q querier) error {
			var now int
			if err := q.row(ctx, qSchemaLock, nil, &now); err != nil {
				return err
			}
			if now >= m.version { // another process was faster
				return errRollback
			}
			if _, err := q.x.ExecContext(ctx, m.ddl); err != nil {
				return err
			}
			_, err := q.exec(ctx, qSchemaSet, m.version)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// version reads the schema's version, making its table in an empty database if asked to. Where there is one it takes no
// lock: a command that only reads must work while another process writes.
func (db *DB) version(ctx context.Context, create bool) (int, error) {
	var version, all, ours int
	q := querier{db.w, db}
	if err := q.row(ctx, qSchemaTables, nil, &all, &ours); err != nil {
		return 0, readError("schema version", err)
	}
	if ours > 0 {
		err := q.row(ctx, qSchemaVersion, nil, &version)
		return version, readError("schema version", err)
	}
	err := db.transact(ctx, "schema version", free, func(q querier) error {
		db.created = false
		if err := q.row(ctx, qSchemaTables, nil, &all, &ours); err != nil {
			return err
		}
		switch {
		case ours > 0: // another process was faster
			return q.row(ctx, qSchemaVersion, nil, &version)
		case all > 0:
			return zonewire.Invalidf("it is a database of another program")
		case !create:
			return zonewire.Invalidf("it holds no zonewire database: run zonewire db migrate")
		}
		db.created = true
		_, err := q.x.ExecContext(ctx, db.dialect.schemaTable)
		return err
	})
	if err != nil && errors.Is(err, zonewire.ErrInvalid) {
		return 0, errors.Unwrap(err)
	}
	return version, err
}
