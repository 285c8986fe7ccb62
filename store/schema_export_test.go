package store

import "context"

// Tables gives what a copy knows of the schema: table names in its order, with their keys.
func Tables() (names []string, keys map[string]string) {
	keys = map[string]string{}
	for _, t := range schemaTables {
		names, keys[t.name] = append(names, t.name), t.key
	}
	return names, keys
}

// References gives the foreign keys: table, column, and the table referred to.
func References() (all [][3]string) {
	for _, r := range references {
		all = append(all, [3]string{r.table, r.column, r.to})
	}
	return all
}

// TableHash reads a table as a copy does.
func TableHash(ctx context.Context, db *DB, name string) (CopiedTable, error) {
	c := copier{to: db.reader(), tell: func(CopyStep) {}}
	for _, t := range schemaTables {
		if t.name == name {
			return c.readBack(ctx, t)
		}
	}
	return CopiedTable{}, nil
}

// Engine names the engine of a database.
func Engine(db *DB) string { return db.dialect.name }
