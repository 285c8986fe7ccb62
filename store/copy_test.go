package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/internal/pgtest"
	"zonewire/store"
)

// pairs are engines between which a database moves. The last say the same once more.
var pairs = []struct {
	name           string
	source, target func(*testing.T) *store.DB
}{
	{"sqlite to sqlite", openSQLite, openSQLite},
	{"sqlite to postgres", openSQLite, openPostgres},
	{"postgres to sqlite", openPostgres, openSQLite},
	{"postgres to postgres", openPostgres, openPostgres},
	{"sqlite to pgbouncer", openSQLite, openBouncer},
	{"pgbouncer to sqlite", openBouncer, openSQLite},
}

// onPairs runs a test on fresh databases of each pair of engines: the first, or with all every one.
func onPairs(t *testing.T, all bool, test func(t *testing.T, from, to *store.DB)) {
	t.Helper()
	few := pairs[:3]
	if all && !testing.Short() {
		few = pairs
	}
	for _, p := range few {
		t.Run(p.name, func(t *testing.T) { test(t, p.source(t), p.target(t)) })
	}
}

func openBouncer(t *testing.T) *store.DB {
	t.Helper()
	return mustOpen(t, pgtest.Bouncer(t), store.Options{Create: true, Matcher: exactNames})
}

// declared asks an engine for its tables with their primary keys, and for its foreign keys.
func declared(t *testing.T, db *store.DB) (keys map[string]string, refs [][3]string) {
	t.Helper()
	keyQuery, refQuery := `
		SELECT m.name, (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_table_info(m.name) WHERE pk > 0 ORDER BY pk))
		FROM sqlite_master m
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'`, `
		SELECT m.name, f."from", f."table"
		FROM sqlite_master m, pragma_foreign_key_list(m.name) f
		WHERE m.type = 'table'`
	if !isSQLite(db) {
		keyQuery, refQuery = `
			SELECT c.relname, (
				SELECT string_agg(a.attname, ', ' ORDER BY array_position(k.conkey, a.attnum))
				FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
				WHERE k.conrelid = c.oid AND k.contype = 'p')
			FROM pg_class c
			WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace`, `
			SELECT k.conrelid::regclass::text, a.attname, k.confrelid::regclass::text
			FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
			WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace`
	}
	keys = map[string]string{}
	each(t, db, keyQuery, func(rows *sql.Rows) {
		var table string
		var key sql.NullString
		check(t, rows.Scan(&table, &key))
		keys[table] = key.String
	})
	each(t, db, refQuery, func(rows *sql.Rows) {
		var r [3]string
		check(t, rows.Scan(&r[0], &r[1], &r[2]))
		refs = append(refs, r)
	})
	return keys, refs
}

func isSQLite(db *store.DB) bool { return store.Engine(db) == "sqlite" }

func each(t *testing.T, db *store.DB, text string, fn func(*sql.Rows)) {
	t.Helper()
	rows, err := store.Reader(db).QueryContext(t.Context(), text)
	check(t, err)
	defer rows.Close()
	for rows.Next() {
		fn(rows)
	}
	check(t, rows.Err())
}

// A migration that adds a table or a reference and does not name it for copies fails here.
func TestACopyKnowsEveryTableAndReference(t *testing.T) {
	names, keys := store.Tables()
	known := store.References()
	for _, r := range known {
		if from, to := slices.Index(names, r[0]), slices.Index(names, r[2]); from < to {
			t.Errorf("%s is copied before %s, to which its %s refers", r[0], r[2], r[1])
		}
	}
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		has, refs := declared(t, db)
		delete(has, "schema_version")
		known := known
		if !isSQLite(db) { // those of delivery are not declared there: see its 0001_first.sql
			known = slices.DeleteFunc(slices.Clone(known), func(r [3]string) bool { return r[0] == "delivery" })
		}
		for _, name := range names {
			if has[name] != keys[name] {
				t.Errorf("table %s has the key %q, known is %q", name, has[name], keys[name])
			}
			delete(has, name)
		}
		for name := range has {
			t.Errorf("table %s is not known", name)
		}
		for _, r := range refs {
			if !slices.Contains(known, r) {
				t.Errorf("the reference %v is not known", r)
			}
		}
		if len(refs) != len(known) {
			t.Errorf("the schema has %d references, known are %d", len(refs), len(known))
		}
	})
}

// fill puts rows with awkward values into every column of every table, right where they are: no method of the store
// would write most of them.
func fill(t *testing.T, db *store.DB) {
	t.Helper()
	names, _ := store.Tables()
	refers := map[string]string{}
	for _, r := range store.References() {
		refers[r[0]+"."+r[1]] = r[2]
	}
	numbers := []int64{math.MinInt64, -1, math.MaxInt64}
	texts := []string{"", "湖滨 'quoted' \"?1\" $1\n\t\\", strings.Repeat("长文", 1000)}
	blobs := [][]byte{{}, {0, 255, 10}, []byte(strings.Repeat("\x00", 3000))}
	for _, name := range names {
		rows, err := store.Reader(db).QueryContext(t.Context(), `SELECT * FROM "`+name+`" LIMIT 0`)
		check(t, err)
		types, err := rows.ColumnTypes()
		check(t, err)
		check(t, rows.Close())
		for i := range 3 {
			var columns, places []string
			var values []any
			for _, c := range types {
				columns = append(columns, `"`+c.Name()+`"`)
				places = append(places, fmt.Sprintf("$%d", len(columns)))
				to := refers[name+"."+c.Name()]
				switch kind := c.DatabaseTypeName(); {
				case c.Name() == "id":
					values = append(values, int64(10*i+10))
				case to == name:
					values = append(values, nil)
				case to != "":
					values = append(values, int64(10*i+10))
				case kind == "TEXT":
					values = append(values, texts[i])
				case kind == "BLOB", kind == "BYTEA":
					values = append(values, blobs[i])
				default:
					values = append(values, numbers[i])
				}
			}
			_, err := store.Writer(db).ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO "%s" (%s) VALUES (%s)`,
				name, strings.Join(columns, ", "), strings.Join(places, ", ")), values...)
			check(t, err)
		}
	}
	// To a row that comes later, to one before, to none.
	for column, table := range refers {
		if name, column, _ := strings.Cut(column, "."); name == table {
			behind(t, db, fmt.Sprintf(`UPDATE "%s" SET "%s" = 30 WHERE id = 10`, name, column))
			behind(t, db, fmt.Sprintf(`UPDATE "%s" SET "%s" = 10 WHERE id = 20`, name, column))
		}
	}
}

// hashes reads every table as a copy does.
func hashes(t *testing.T, db *store.DB) map[string]store.CopiedTable {
	t.Helper()
	names, _ := store.Tables()
	all := map[string]store.CopiedTable{}
	for _, name := range names {
		all[name] = must[store.CopiedTable](t)(store.TableHash(t.Context(), db, name))
	}
	return all
}

func TestACopyHoldsTheSame(t *testing.T) {
	onPairs(t, true, func(t *testing.T, from, to *store.DB) {
		fill(t, from)
		before := hashes(t, from)
		var last store.CopyStep
		copied, err := from.Copy(t.Context(), at(0), to, func(s store.CopyStep) { last = s })
		check(t, err)
		total := int64(0)
		for _, c := range copied {
			total += c.Rows
			if c != before[c.Name] {
				t.Errorf("%s: copied %+v, want %+v", c.Name, c, before[c.Name])
			}
			if c.Rows < 3 {
				t.Errorf("%s: the test puts only %d rows into it", c.Name, c.Rows)
			}
		}
		if last.What != "comparing" || last.Done != total || last.Total != total {
			t.Errorf("last step %+v, want all of %d rows compared", last, total)
		}
		for name, h := range hashes(t, to) {
			if h != before[name] && !slices.Contains([]string{"meta", "audit"}, name) { // sending was paused
				t.Errorf("%s: the target holds %+v, want %+v", name, h, before[name])
			}
		}
	})
}

func TestACopyDoesNotSend(t *testing.T) {
	onPairs(t, false, func(t *testing.T, from, to *store.DB) {
		d := planned(t, from, 3)
		w := worker(t, from, day)
		jobs := claim(t, from, w, 1, day)
		check(t, from.Begin(t.Context(), jobs[0], t0.Add(day)))
		if _, err := from.CheckHome(t.Context(), at(day), store.Home{Machine: "m", File: "1"}); err != nil {
			t.Fatal(err)
		}
		check(t, must0(from.InitMeta(t.Context(), "secret_fingerprint", "abc")))

		_, err := from.Copy(t.Context(), at(day+time.Minute), to, nil)
		check(t, err)
		if reason := must[string](t)(to.SendingPaused(t.Context())); reason != "the database was copied here" {
			t.Errorf("paused: %q", reason)
		}
		if log := must[[]zonewire.AuditEntry](t)(to.Audit(t.Context(), 1)); len(log) != 1 || log[0].Action != "outbox.pause" {
			t.Errorf("audit %+v", log)
		}
		if home := must[string](t)(to.Meta(t.Context(), "home")); home != "" {
			t.Errorf("the copy is at home in %q", home)
		}
		if mark := must[string](t)(to.Meta(t.Context(), "secret_fingerprint")); mark != "abc" {
			t.Errorf("the copy belongs to the secret %q", mark)
		}
		mine := worker(t, to, day+time.Minute)
		if jobs := claim(t, to, mine, 9, day+time.Minute); len(jobs) != 0 {
			t.Errorf("the copy sends %+v", jobs)
		}

		// It goes on from where the original stood: what was begun there is known to have been.
		check(t, to.ResumeSending(t.Context(), at(day+time.Minute), false))
		jobs = claim(t, to, mine, 9, day+time.Minute)
		losses := 0
		for _, j := range jobs {
			losses += j.Losses
			check(t, to.Begin(t.Context(), j, t0.Add(day+time.Minute)))
			check(t, to.Finish(t.Context(), j, accepted, t0.Add(day+time.Minute)))
		}
		if c := countsOf(t, to, d); c[zonewire.Accepted] != 3 || losses != 1 {
			t.Errorf("counts %v after %d losses", c, losses)
		}
		// New rows get numbers of their own.
		addZone(t, to, "b", "乙区")
		put(t, to, day+time.Minute, news("b", 2), news("a", 3))
		subscribe(t, to, "l", "new@example.com")
		next, ok := planNext(t, to, 2*day)
		if !ok || next.ID == d.ID || next.Items != 2 || next.Recipients != 4 || next.Lo != d.Hi {
			t.Errorf("the next digest is %+v", next)
		}
		if jobs := claim(t, to, worker(t, to, 2*day), 9, 2*day); len(jobs) != 4 {
			t.Errorf("claimed %d", len(jobs))
		}
	})
}

func TestACopyIsRefused(t *testing.T) {
	onPairs(t, false, func(t *testing.T, from, to *store.DB) {
		planned(t, from, 1)
		w := worker(t, from, day)
		refused := func(want string, err error) {
			t.Helper()
			if !errors.Is(err, zonewire.ErrInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
		_, err := from.Copy(t.Context(), at(day+19*time.Second), to, nil)
		refused("sends mail from the database", err)
		check(t, from.StopWorker(t.Context(), w, t0.Add(day)))

		changing := func(s store.CopyStep) {
			if s.What == "comparing" && s.Done == s.Total {
				check(t, must0(from.AddSuppression(context.WithoutCancel(t.Context()), at(day), "h"+fmt.Sprint(s.Total), "test")))
			}
		}
		_, err = from.Copy(t.Context(), at(day), to, changing)
		refused("was changed while it was copied", err)
		starting := func(s store.CopyStep) {
			if s.What == "comparing" && s.Done == s.Total {
				w = worker(t, from, day+time.Second)
			}
		}
		_, err = from.Copy(t.Context(), at(day), to, starting)
		refused("sends mail from the database", err)
		check(t, from.StopWorker(t.Context(), w, t0.Add(day)))

		stopping, stop := context.WithCancel(t.Context())
		defer stop()
		_, err = from.Copy(stopping, at(day), to, func(s store.CopyStep) {
			if s.What == "comparing" {
				stop()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}

		// Whatever went wrong, the target is as empty as before.
		_, err = from.Copy(t.Context(), at(day), to, nil)
		check(t, err)
		_, err = from.Copy(t.Context(), at(day), to, nil)
		refused("1 of digest", err)
		refused("name an empty database", err)

		behind(t, from, `UPDATE schema_version SET version = version + 1`)
		_, err = from.Copy(t.Context(), at(day), to, nil)
		refused("run zonewire db migrate", err)
	})
}

// A target that does not keep what it is given is not taken for a copy.
func TestACopyThatDiffersIsNotKept(t *testing.T) {
	from, to := openSQLite(t), mustOpen(t, filepath.Join(t.TempDir(), "to.db"), store.Options{Create: true, Matcher: exactNames})
	planned(t, from, 2)
	behind(t, to, `CREATE TRIGGER forget AFTER INSERT ON delivery BEGIN UPDATE delivery SET reason = 'x' WHERE id = NEW.id; END`)
	if _, err := from.Copy(t.Context(), at(day), to, nil); err == nil || !strings.Contains(err.Error(), "table delivery: wrote 2 rows") {
		t.Errorf("got %v", err)
	}
	if ds := must[[]zonewire.Digest](t)(to.Digests(t.Context(), "", 9)); len(ds) != 0 {
		t.Errorf("the target kept %+v", ds)
	}
	if _, err := from.Copy(t.Context(), at(day), from, nil); !errors.Is(err, zonewire.ErrInvalid) {
		t.Errorf("onto itself: %v", err)
	}
}

// More rows than a statement takes, references to later rows among them.
func TestACopyOfManyRows(t *testing.T) {
	onPairs(t, false, func(t *testing.T, from, to *store.DB) {
		addZone(t, from, "a", "甲区")
		for n := 0; n < 1500; n += 500 {
			var batch []zonewire.Article
			for i := range 500 {
				batch = append(batch, news("a", n+i))
			}
			put(t, from, 0, batch...)
		}
		behind(t, from, `UPDATE article SET dup_of = 1501 - id WHERE id % 7 = 0`)
		before := hashes(t, from)
		_, err := from.Copy(t.Context(), at(0), to, nil)
		check(t, err)
		if got := hashes(t, to)["article"]; got != before["article"] || got.Rows != 1500 {
			t.Errorf("got %+v, want %+v", got, before["article"])
		}
	})
}
