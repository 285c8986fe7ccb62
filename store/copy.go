package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"zonewire"
)

// CopiedTable is a table that both sides hold alike.
type CopiedTable struct {
	Name string
	Rows int64
	Hash string // SHA-256 over every value in the order of the primary key, hexadecimal
}

// CopyStep is how far a copy is.
type CopyStep struct {
	What        string // "copying", then "comparing"
	Done, Total int64  // rows
}

var (
	// What changes with everything that a daemon or a command does.
	qLastChange = sqlText(`
		SELECT COALESCE((SELECT MAX(id) FROM audit), 0), (SELECT n FROM counter WHERE name = 'item'),
			(SELECT n FROM counter WHERE name = 'zone')`)
)

// copiedReason is why sending is paused in a copy.
const copiedReason = "the database was copied here"

// Copy copies everything to an empty database of either engine, and leaves sending paused there. One snapshot is read and one
// transaction writes, so that whatever goes wrong leaves the target as it was; what was written is read back and compared
// before it is kept. tell hears of progress and may be nil.
//
// It fails with [zonewire.ErrInvalid] while a daemon is at work on db, if db has changed meanwhile, if to holds anything, and
// if it has another schema.
func (db *DB) Copy(ctx context.Context, act zonewire.Act, to *DB, tell func(CopyStep)) ([]CopiedTable, error) {
	if tell == nil {
		tell = func(CopyStep) {}
	}
	if err := db.sameSchema(ctx, to); err != nil {
		return nil, err
	}
	if err := db.stopped(ctx, act); err != nil {
		return nil, err
	}
	snapshot, err := db.r.BeginTx(ctx, snapshotOptions)
	if err != nil {
		return nil, readError("copy", err)
	}
	defer func() { _ = snapshot.Rollback() }() // it has only read
	c := copier{from: querier{snapshot, db}, tell: tell}
	began, err := c.survey(ctx)
	if err != nil {
		return nil, mapError(err)
	}
	tx, err := to.w.BeginTx(ctx, nil)
	if err != nil {
		return nil, readError("copy", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit this does nothing
	c.to = querier{tx, to}
	copied, err := c.copy(ctx)
	// From here on only the target is read. A snapshot that waits might be ended by its server, and keeps old rows from being
	// cleared away.
	_ = snapshot.Rollback()
	for _, step := range []func() error{
		func() error { return c.compare(ctx, copied) },
		func() error { return c.identities(ctx) },
		func() error { return pauseSending(ctx, c.to, act, copiedReason) },
		func() error { return c.statistics(ctx) },
		func() error { return db.unchanged(ctx, act, began) },
		tx.Commit,
	} {
		if err == nil {
			err = step()
		}
	}
	switch {
	case err == nil:
		return copied, nil
	case ctx.Err() != nil: // what the drivers make of that is many things
		return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return nil, mapError(err)
}

// snapshotOptions make all reads of a transaction see one state. SQLite's do without being told.
var snapshotOptions = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}

func (db *DB) sameSchema(ctx context.Context, to *DB) error {
	if db.path != "" && db.path == to.path {
		return zonewire.Invalidf("%s cannot be copied onto itself", db.path)
	}
	from, err := db.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	there, err := to.SchemaVersion(ctx)
	if err == nil && from != there {
		err = zonewire.Invalidf("the database has schema %d, the target %d: run zonewire db migrate on the older one", from, there)
	}
	return err
}

func (db *DB) isSQLite() bool { return db.dialect.name == "sqlite" }

// stopped makes sure that no daemon and no drain is at work on the database: what it did after the snapshot would be missing
// in the copy, and mailed again from there.
func (db *DB) stopped(ctx context.Context, act zonewire.Act) error {
	all, err := collect(ctx, db.reader(), qWorkersAlive, []any{int64(0)}, scanWorker)
	if err != nil {
		return readError("workers", err)
	}
	for _, w := range all {
		if w.ended() || act.At.Sub(fromMs(w.beat)) >= silentAfter {
			continue
		}
		return zonewire.Invalidf("process %d sends mail from the database, and gave a sign of life at %s: stop it, then copy", w.pid, fromMs(w.beat).Format("15:04:05Z"))
	}
	return nil
}

// lastWrites is how far the audit and the counters are.
type lastWrites [3]int64

func lastChange(ctx context.Context, q querier) (s lastWrites, err error) {
	err = q.row(ctx, qLastChange, nil, &s[0], &s[1], &s[2])
	return s, err
}

// unchanged makes sure that nothing has happened in the database since the snapshot was taken.
func (db *DB) unchanged(ctx context.Context, act zonewire.Act, began lastWrites) error {
	if err := db.stopped(ctx, act); err != nil {
		return err
	}
	now, err := lastChange(ctx, db.reader())
	if err == nil && now != began {
		err = zonewire.Invalidf("the database was changed while it was copied: copy again when nothing else works on it")
	}
	return err
}

// copier moves rows from a snapshot into a transaction.
type copier struct {
	from, to querier
	tell     func(CopyStep)
	step     CopyStep
}

// survey counts what is to be copied.
func (c *copier) survey(ctx context.Context) (began lastWrites, err error) {
	for _, t := range schemaTables {
		var n int64
		if err := c.from.row(ctx, t.countText(), nil, &n); err != nil {
			return began, fmt.Errorf("table %s: %w", t.name, err)
		}
		c.step.Total += n
	}
	return lastChange(ctx, c.from)
}

func (c *copier) copy(ctx context.Context) ([]CopiedTable, error) {
	if err := c.empty(ctx); err != nil {
		return nil, err
	}
	c.step.What = "copying"
	copied := make([]CopiedTable, len(schemaTables))
	for i, t := range schemaTables {
		var err error
		if copied[i], err = c.table(ctx, t); err != nil {
			return nil, fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return copied, nil
}

// compare reads back what was written.
func (c *copier) compare(ctx context.Context, copied []CopiedTable) error {
	c.step.What, c.step.Done = "comparing", 0
	for i, t := range schemaTables {
		there, err := c.readBack(ctx, t)
		if err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
		if there != copied[i] {
			return fmt.Errorf("table %s: wrote %d rows with hash %s, read back %d with %s: nothing was kept",
				t.name, copied[i].Rows, copied[i].Hash, there.Rows, there.Hash)
		}
	}
	return nil
}

func (c *copier) advance() {
	c.step.Done++
	if c.step.Done%1000 == 0 || c.step.Done == c.step.Total {
		c.tell(c.step)
	}
}

// empty makes sure that the target holds nothing. Counters and what was said of the installation when the target was made are
// no content, and give way. They go first, since that keeps a second copy waiting until this one is done.
func (c *copier) empty(ctx context.Context) error {
	var holds []string
	for _, t := range schemaTables {
		if t.name == "counter" || t.name == "meta" {
			if _, err := c.to.exec(ctx, t.deleteText()); err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
			continue
		}
		var n int64
		if err := c.to.row(ctx, t.countText(), nil, &n); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
		if n > 0 {
			holds = append(holds, fmt.Sprintf("%d of %s", n, t.name))
		}
	}
	if len(holds) > 0 {
		return zonewire.Invalidf("the target holds rows already (%s): name an empty database", strings.Join(holds, ", "))
	}
	return nil
}

// table copies one table.
func (c *copier) table(ctx context.Context, t schemaTable) (CopiedTable, error) {
	columns, err := t.columns(ctx, c.from)
	if err != nil {
		return CopiedTable{}, err
	}
	there, err := t.columns(ctx, c.to)
	if err != nil {
		return CopiedTable{}, err
	}
	if !slices.Equal(columns, there) {
		return CopiedTable{}, zonewire.Invalidf("its columns are %s here and %s in the target", strings.Join(columns, ", "), strings.Join(there, ", "))
	}
	w := newTableWriter(c.to, t, columns)
	h := newTableHash(columns)
	err = eachRow(ctx, c.from, t.selectText(columns), func(row []any) error {
		if err := h.add(row); err != nil {
			return err
		}
		c.advance()
		return w.add(ctx, row)
	})
	if err == nil {
		err = w.close(ctx)
	}
	return h.sum(t), err
}

func (c *copier) readBack(ctx context.Context, t schemaTable) (CopiedTable, error) {
	columns, err := t.columns(ctx, c.to)
	if err != nil {
		return CopiedTable{}, err
	}
	h := newTableHash(columns)
	err = eachRow(ctx, c.to, t.selectText(columns), func(row []any) error {
		c.advance()
		return h.add(row)
	})
	return h.sum(t), err
}

// identities makes the next row of each table get a number of its own: PostgreSQL counts in a sequence that rows with a given
// number do not move. SQLite takes the highest.
func (c *copier) identities(ctx context.Context) error {
	set := c.to.db.dialect.setIdentity
	if set == "" {
		return nil
	}
	for _, t := range schemaTables {
		if !t.identity() {
			continue
		}
		if _, err := c.to.x.ExecContext(ctx, fmt.Sprintf(set, t.name, quoted(t.name))); err != nil {
			return fmt.Errorf("numbers of %s: %w", t.name, err)
		}
	}
	return nil
}

// statistics are for PostgreSQL: where they are stale, it claims mail by the wrong index. SQLite has none and needs none: see
// TestHotQueriesUseTheirIndexes.
func (c *copier) statistics(ctx context.Context) error {
	if c.to.db.dialect.afterCopy == "" {
		return nil
	}
	_, err := c.to.x.ExecContext(ctx, c.to.db.dialect.afterCopy)
	return err
}
