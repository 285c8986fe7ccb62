package store

import "database/sql"

// Queries gives every registered SQL text, for tests that prepare and lint them.
func Queries() []string {
	all := make([]string, len(queries))
	for i, q := range queries {
		all[i] = string(q)
	}
	return all
}

// Writer gives the writer's pool to tests that look behind the methods.
func Writer(db *DB) *sql.DB { return db.w }

// Reader gives the readers' pool.
func Reader(db *DB) *sql.DB { return db.r }
