package store

import (
	"database/sql"
	"io/fs"
)

// Queries gives every registered SQL text, for tests that prepare and lint them.
func Queries() []string {
	all := make([]string, len(queries))
	for i, q := range queries {
		all[i] = string(q)
	}
	return all
}

// Rewrite gives a text, written as queries are, the words of the database's engine.
func Rewrite(db *DB, text string) string { return db.dialect.rewrite(text) }

// Dollars is how parameters are written for PostgreSQL.
func Dollars(text string) string { return dollars(text) }

// Writer gives the writer's pool to tests that look behind the methods.
func Writer(db *DB) *sql.DB { return db.w }

// Reader gives the readers' pool.
func Reader(db *DB) *sql.DB { return db.r }

// MigrationFiles lists the migrations of an engine.
func MigrationFiles(engine string) ([]string, error) {
	return fs.Glob(migrations, "migrations/"+engine+"/*.sql")
}
