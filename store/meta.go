package store

import (
	"context"
	"database/sql"
	"errors"

	"zonewire"
)

var (
	qCounter    = sqlText(`SELECT n FROM counter WHERE name = ?1`)
	qCounterAll = sqlText(`SELECT name, n FROM counter`)
	// Touching the row holds its lock to the end of the transaction, so that the order of commits is the order of
	// sequence numbers: nobody can commit behind a digest's window.
	qCounterLock = sqlText(`UPDATE counter SET n = n WHERE name = ?1 RETURNING n`)
	qCounterSet  = sqlText(`UPDATE counter SET n = ?2 WHERE name = ?1`)
	qMeta        = sqlText(`SELECT value FROM meta WHERE name = ?1`)
	qMetaInit    = sqlText(`INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING`)
	qMetaPut     = sqlText(`
		INSERT INTO meta (name, value) VALUES (?1, ?2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
	qAuditAdd = sqlText(`INSERT INTO audit (at_ms, actor, action, target, detail) VALUES (?1, ?2, ?3, ?4, ?5)`)
	qAudit    = sqlText(`
		SELECT id, at_ms, actor, action, target, detail
		FROM audit
		ORDER BY id DESC
		LIMIT ?1`)
)

// sequence hands out numbers of the item counter within one transaction. The first use locks the counter, which is
// therefore the first statement of every transaction that files or changes articles.
type sequence struct {
	n, start int64
}

func lockSequence(ctx context.Context, q querier) (*sequence, error) {
	s := &sequence{}
	if err := q.row(ctx, qCounterLock, []any{"item"}, &s.n); err != nil {
		return nil, err
	}
	s.start = s.n
	return s, nil
}

func (s *sequence) next() int64 {
	s.n++
	return s.n
}

// save stores the counter; without a number handed out nothing changed, and readers see so.
func (s *sequence) save(ctx context.Context, q querier) error {
	if s.n == s.start {
		return nil
	}
	_, err := q.exec(ctx, qCounterSet, "item", s.n)
	return err
}

func bumpZones(ctx context.Context, q querier) error {
	var n int64
	if err := q.row(ctx, qCounterLock, []any{"zone"}, &n); err != nil {
		return err
	}
	_, err := q.exec(ctx, qCounterSet, "zone", n+1)
	return err
}

// Generation tells whether anything that readers see has changed since the last look.
func (db *DB) Generation(ctx context.Context) (zonewire.Generation, error) {
	var g zonewire.Generation
	_, err := collect(ctx, db.reader(), qCounterAll, nil, func(rows *sql.Rows) (struct{}, error) {
		var name string
		var n int64
		err := rows.Scan(&name, &n)
		switch name {
		case "item":
			g.Articles = n
		case "zone":
			g.Zones = n
		}
		return struct{}{}, err
	})
	return g, readError("generation", err)
}

// Meta reads a value of the installation, such as the secret's fingerprint; empty if there is none.
func (db *DB) Meta(ctx context.Context, name string) (string, error) {
	v, err := metaValue(ctx, db.reader(), name)
	return v, readError("meta "+name, err)
}

func metaValue(ctx context.Context, q querier, name string) (string, error) {
	var value string
	err := q.row(ctx, qMeta, []any{name}, &value)
	if errors.Is(err, zonewire.ErrNotFound) {
		return "", nil
	}
	return value, err
}

// InitMeta stores a value unless there is one already, and gives the one that stands: two processes that start at
// once agree. Where there is one it only reads.
func (db *DB) InitMeta(ctx context.Context, name, value string) (string, error) {
	stands, err := db.Meta(ctx, name)
	if err != nil || stands != "" {
		return stands, err
	}
	err = db.write(ctx, "meta "+name, func(q querier) error {
		if _, err := q.exec(ctx, qMetaInit, name, value); err != nil {
			return err
		}
		return q.row(ctx, qMeta, []any{name}, &stands)
	})
	return stands, err
}

// audit records a change within its transaction. People are named by number.
func audit(ctx context.Context, q querier, act zonewire.Act, action, target, detail string) error {
	_, err := q.exec(ctx, qAuditAdd, toMs(act.At), act.By, action, target, detail)
	return err
}

// Audit lists the latest changes, newest first.
func (db *DB) Audit(ctx context.Context, limit int) ([]zonewire.AuditEntry, error) {
	all, err := collect(ctx, db.reader(), qAudit, []any{int64(limit)}, func(rows *sql.Rows) (zonewire.AuditEntry, error) {
		var e zonewire.AuditEntry
		var at int64
		err := rows.Scan(&e.ID, &at, &e.By, &e.Action, &e.Target, &e.Detail)
		e.At = fromMs(at)
		return e, err
	})
	return all, readError("audit", err)
}
