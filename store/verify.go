package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"zonewire"
)

// Check is one thing that always holds, and what speaks against it.
type Check struct {
	Name     string
	Wrong    int      // how many rows
	Examples []string // of them, at most [VerifyExamples]
}

// VerifyExamples is how many examples of one fault a verification gives.
const VerifyExamples = 10

// fault is a query for rows that must not be: a few numbers each, and last how many such rows there are.
type fault struct {
	text query
	says string // a sentence about the numbers of a row
}

// invariant is a check as queries; it holds if none finds a row.
type invariant struct {
	name   string
	faults []fault
}

// Explained gaps between the windows of a list: an instant list moves on without a digest when nothing of what has come is
// for it, and who resumes sending from now on skips what waited. Both are in the audit. Its clocks and those of the digests
// may be of two machines, which differ by 5 s at most from the database's.
const explained = `EXISTS (
		SELECT 1
		FROM audit a
		JOIN list l ON l.id = w.list_id
		WHERE a.action IN ('list.add', 'list.edit') AND a.target = 'list:' || l.slug AND a.detail = '@instant')
	OR EXISTS (
		SELECT 1
		FROM audit a
		WHERE a.action = 'outbox.resume' AND a.detail = 'from now' AND a.at_ms BETWEEN w.since - 10000 AND w.until + 10000)`

// invariants are checked in this order, besides the schema's version, the references and what the engine can say of itself.
// The lesser checks read one index each; the ledgers and the references read all deliveries.
var invariants = []invariant{
	{"deliveries sum to recipients", []fault{
		{sqlText(`
			SELECT d.id, d.recipients, COALESCE(x.n, 0), COALESCE(c.n, 0), COUNT(*) OVER ()
			FROM digest d
			LEFT JOIN (SELECT digest_id, COUNT(*) AS n FROM delivery GROUP BY digest_id) x ON x.digest_id = d.id
			LEFT JOIN (SELECT digest_id, CAST(SUM(n) AS BIGINT) AS n FROM digest_count GROUP BY digest_id) c ON c.digest_id = d.id
			WHERE d.recipients <> COALESCE(x.n, 0) + COALESCE(c.n, 0)
			ORDER BY d.id
			LIMIT ?1`), "digest %d has %d recipients, %d deliveries and %d of which only the count is kept"},
		{sqlText(`
			SELECT id, state, COUNT(*) OVER ()
			FROM delivery
			WHERE state NOT BETWEEN 0 AND 9
			ORDER BY id
			LIMIT ?1`), "delivery %d is in state %d, which does not exist"},
	}},
	{"nobody gets a digest twice", []fault{{sqlText(`
		SELECT subscriber_id, digest_id, COUNT(*), COUNT(*) OVER ()
		FROM delivery
		GROUP BY digest_id, subscriber_id
		HAVING COUNT(*) > 1
		ORDER BY digest_id, subscriber_id
		LIMIT ?1`), "subscriber %d is %[3]d times in digest %[2]d"}}},
	{"open mail can be sent", []fault{
		// Cancelling leaves what was begun: its reply is still to come, and may say that it is to be tried again.
		{sqlText(`
			SELECT x.id, x.digest_id, COUNT(*) OVER ()
			FROM delivery x
			JOIN digest d ON d.id = x.digest_id
			WHERE x.state IN (0, 1, 2) AND d.state <> 'planned' AND (d.state <> 'cancelled' OR x.attempts = 0)
			ORDER BY x.id
			LIMIT ?1`), "delivery %d is open, but digest %d is not to be sent"},
		{sqlText(`
			SELECT id, digest_id, COUNT(*) OVER ()
			FROM delivery
			WHERE state IN (0, 1, 2) AND variant_id IS NULL
			ORDER BY id
			LIMIT ?1`), "delivery %d of digest %d is open and has no mail"},
		{sqlText(`
			SELECT x.id, x.worker_id, COUNT(*) OVER ()
			FROM delivery x
			WHERE x.state IN (0, 1, 2) AND x.state = 1 AND NOT EXISTS (SELECT 1 FROM worker w WHERE w.id = x.worker_id)
			ORDER BY x.id
			LIMIT ?1`), "delivery %d is leased to worker %d, which never was"},
	}},
	{"mails are of their digest", []fault{{sqlText(`
		SELECT x.id, x.digest_id, v.digest_id, COUNT(*) OVER ()
		FROM delivery x
		JOIN variant v ON v.id = x.variant_id
		WHERE v.digest_id <> x.digest_id
		ORDER BY x.id
		LIMIT ?1`), "delivery %d is of digest %d, its mail of digest %d"}}},
	{"items are of their digest", []fault{
		{sqlText(`
			SELECT d.id, d.items, COALESCE(i.n, 0), COUNT(*) OVER ()
			FROM digest d
			LEFT JOIN (SELECT digest_id, COUNT(*) AS n FROM digest_item GROUP BY digest_id) i ON i.digest_id = d.id
			WHERE d.items <> COALESCE(i.n, 0)
			ORDER BY d.id
			LIMIT ?1`), "digest %d says %d items and has %d"},
		{sqlText(`
			SELECT i.article_id, i.digest_id, i.list_id, COUNT(*) OVER ()
			FROM digest_item i
			JOIN digest d ON d.id = i.digest_id
			WHERE d.list_id <> i.list_id
			ORDER BY i.digest_id, i.article_id
			LIMIT ?1`), "article %d is in digest %d, which is not of its list %d"},
	}},
	{"windows follow each other", []fault{
		{sqlText(`
			SELECT id, lo, hi, COUNT(*) OVER ()
			FROM digest
			WHERE hi < lo
			ORDER BY id
			LIMIT ?1`), "digest %d begins after %d and ends with %d"},
		{sqlText(`
			SELECT w.id, w.lo, w.list_id, w.before, COUNT(*) OVER ()
			FROM (SELECT id, list_id, lo, LAG(hi) OVER (PARTITION BY list_id ORDER BY id) AS before FROM digest) w
			WHERE w.lo < w.before
			ORDER BY w.id
			LIMIT ?1`), "digest %d begins after %d, but list %d had mailed up to %d"},
		{sqlText(`
			SELECT w.id, w.lo, w.list_id, w.before, COUNT(*) OVER ()
			FROM (
				SELECT id, list_id, lo, created_ms AS until, LAG(hi) OVER (PARTITION BY list_id ORDER BY id) AS before,
					LAG(created_ms) OVER (PARTITION BY list_id ORDER BY id) AS since
				FROM digest) w
			WHERE w.lo > w.before AND NOT (` + explained + `)
			ORDER BY w.id
			LIMIT ?1`), "digest %d begins after %d, but list %d had mailed up to %d only: what lies between was skipped"},
	}},
	{"lists stand where they have mailed", []fault{
		{sqlText(`
			SELECT l.id, l.watermark, d.hi, COUNT(*) OVER ()
			FROM list l
			JOIN (SELECT list_id, MAX(hi) AS hi FROM digest GROUP BY list_id) d ON d.list_id = l.id
			WHERE l.watermark < d.hi
			ORDER BY l.id
			LIMIT ?1`), "list %d stands at %d and has mailed up to %d: it would mail again"},
		{sqlText(`
			SELECT w.list_id, w.watermark, w.hi, COUNT(*) OVER ()
			FROM (
				SELECT l.id AS list_id, l.watermark, MAX(d.hi) AS hi, MAX(d.created_ms) AS since,
					CAST(9000000000000000000 AS BIGINT) AS until
				FROM list l
				JOIN digest d ON d.list_id = l.id
				GROUP BY l.id, l.watermark) w
			WHERE w.watermark > w.hi AND NOT (` + explained + `)
			ORDER BY w.list_id
			LIMIT ?1`), "list %d stands at %d and has mailed up to %d only: what lies between was skipped"},
		{sqlText(`
			SELECT id, watermark, COUNT(*) OVER ()
			FROM list
			WHERE watermark > (SELECT n FROM counter WHERE name = 'item')
			ORDER BY id
			LIMIT ?1`), "list %d stands at %d, which no article has yet: it would leave out what comes"},
	}},
	{"numbers of articles are counted", []fault{
		{sqlText(`
			SELECT id, seq, change, COUNT(*) OVER ()
			FROM article
			WHERE seq > (SELECT n FROM counter WHERE name = 'item') OR change > (SELECT n FROM counter WHERE name = 'item')
			ORDER BY id
			LIMIT ?1`), "article %d has the numbers %d and %d, beyond the counter"},
		{sqlText(`
			SELECT seq, COUNT(*), COUNT(*) OVER ()
			FROM article
			GROUP BY seq
			HAVING COUNT(*) > 1
			ORDER BY seq
			LIMIT ?1`), "the number %d is that of %d articles"},
		{sqlText(`
			SELECT change, COUNT(*), COUNT(*) OVER ()
			FROM article
			GROUP BY change
			HAVING COUNT(*) > 1
			ORDER BY change
			LIMIT ?1`), "the change %d is that of %d articles"},
	}},
}

// Sets of zones are text, of which the schema says nothing.
var zoneSets = []struct {
	of   string
	text query
}{
	{"subscription", sqlText(`SELECT zones, MIN(id), COUNT(*) FROM subscription WHERE zones <> '' GROUP BY zones ORDER BY MIN(id)`)},
	{"api_key", sqlText(`SELECT zones, MIN(id), COUNT(*) FROM api_key WHERE zones <> '' GROUP BY zones ORDER BY MIN(id)`)},
}

var qZoneIDs = sqlText(`SELECT id FROM zone`)

// broken finds the rows whose reference leads nowhere.
var broken = func() []fault {
	var all []fault
	for _, r := range references {
		all = append(all, fault{sqlText(`
			SELECT c.` + quoted(r.column) + `, COUNT(*) OVER ()
			FROM ` + quoted(r.table) + ` c
			WHERE c.` + quoted(r.column) + ` IS NOT NULL
				AND NOT EXISTS (SELECT 1 FROM ` + quoted(r.to) + ` p WHERE p.id = c.` + quoted(r.column) + `)
			ORDER BY c.` + quoted(r.column) + `
			LIMIT ?1`), r.table + "." + r.column + " is %d, and no " + r.to + " has that id"})
	}
	return all
}()

// Verify checks what always holds of a database, in one snapshot, and changes nothing. tell hears of each check before it
// begins, with how many there are, and may be nil. What is wrong is in the checks: an error means that they could not be made.
func (db *DB) Verify(ctx context.Context, tell func(name string, done, total int)) ([]Check, error) {
	tx, err := db.r.BeginTx(ctx, snapshotOptions)
	if err != nil {
		return nil, readError("verify", err)
	}
	defer func() { _ = tx.Rollback() }() // it has only read
	checks := db.checks()
	done := make([]Check, len(checks))
	for i, c := range checks {
		if tell != nil {
			tell(c.name, i, len(checks))
		}
		done[i] = Check{Name: c.name}
		if err := c.run(ctx, querier{tx, db}, &done[i]); err != nil {
			return nil, readError("verify: "+c.name, err)
		}
	}
	return done, nil
}

type runCheck struct {
	name string
	run  func(ctx context.Context, q querier, c *Check) error
}

// checks puts all checks in their order: what the rest stands on comes first.
func (db *DB) checks() []runCheck {
	all := []runCheck{{"schema is this program's", checkSchema}}
	if db.isSQLite() {
		all = append(all, runCheck{"file is sound", checkFile})
	}
	all = append(all, runCheck{"references lead to a row", checkFaults(broken)}, runCheck{"zones that are chosen exist", checkZoneSets})
	for _, i := range invariants {
		all = append(all, runCheck{i.name, checkFaults(i.faults)})
	}
	return all
}

// found notes rows that speak against a check.
func (c *Check) found(rows int, example string) {
	c.Wrong += rows
	if len(c.Examples) < VerifyExamples {
		c.Examples = append(c.Examples, example)
	}
}

func checkFaults(faults []fault) func(context.Context, querier, *Check) error {
	return func(ctx context.Context, q querier, c *Check) error {
		for _, f := range faults {
			all, err := collect(ctx, q, f.text, []any{int64(VerifyExamples)}, scanInts)
			if err != nil {
				return err
			}
			for i, row := range all {
				last := len(row) - 1
				total := 0
				if i == 0 { // each row has the same
					total = int(row[last].(int64))
				}
				c.found(total, fmt.Sprintf(f.says, row[:last]...))
			}
		}
		return nil
	}
}

// scanInts reads a row of numbers.
func scanInts(rows *sql.Rows) ([]any, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	row, into := make([]int64, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	for i, n := range row {
		into[i] = n
	}
	return into, nil
}

func checkSchema(ctx context.Context, q querier, c *Check) error {
	var version int
	if err := q.row(ctx, qSchemaVersion, nil, &version); err != nil {
		return err
	}
	steps, err := q.db.dialect.migrations()
	if err == nil && version != len(steps) {
		c.found(1, fmt.Sprintf("the database has schema %d, this program knows %d", version, len(steps)))
	}
	return err
}

// checkFile lets SQLite look at its own file. quick_check leaves out whether indexes and rows agree, which takes as long as
// building them anew.
func checkFile(ctx context.Context, q querier, c *Check) error {
	text := func(rows *sql.Rows) (string, error) {
		var s string
		err := rows.Scan(&s)
		return s, err
	}
	said, err := collect(ctx, q, "PRAGMA quick_check", nil, text)
	if err != nil {
		return err
	}
	for _, s := range said {
		if s != "ok" {
			c.found(1, s)
		}
	}
	said, err = collect(ctx, q, "PRAGMA foreign_key_check", nil, func(rows *sql.Rows) (string, error) {
		var table, parent string
		var row, key sql.NullInt64
		err := rows.Scan(&table, &row, &parent, &key)
		return fmt.Sprintf("%s row %d refers to no %s", table, row.Int64, parent), err
	})
	for _, s := range said {
		c.found(1, s)
	}
	return err
}

// checkZoneSets reads each different set once.
func checkZoneSets(ctx context.Context, q querier, c *Check) error {
	ids, err := collect(ctx, q, qZoneIDs, nil, scanInt)
	if err != nil {
		return err
	}
	slices.Sort(ids)
	type set struct {
		zones string
		first int64
		rows  int
	}
	for _, z := range zoneSets {
		all, err := collect(ctx, q, z.text, nil, func(rows *sql.Rows) (set, error) {
			var s set
			err := rows.Scan(&s.zones, &s.first, &s.rows)
			return s, err
		})
		if err != nil {
			return err
		}
		for _, s := range all {
			if wrong := wrongZone(s.zones, ids); wrong != "" {
				c.found(s.rows, fmt.Sprintf("%s %d chooses %s", z.of, s.first, wrong))
			}
		}
	}
	return nil
}

// wrongZone names what in a set is no zone; empty if all is well.
func wrongZone(set string, ids []int64) string {
	chosen, err := zonewire.ParseZoneSet(set)
	if err != nil {
		return fmt.Sprintf("zones that cannot be read: %.40q", set)
	}
	for _, id := range chosen {
		if _, ok := slices.BinarySearch(ids, id); !ok {
			return fmt.Sprintf("zone %d, which does not exist", id)
		}
	}
	return ""
}
