package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

func verify(t *testing.T, db *store.DB) []store.Check {
	t.Helper()
	return must[[]store.Check](t)(db.Verify(t.Context(), nil))
}

func wantSound(t *testing.T, db *store.DB) {
	t.Helper()
	for _, c := range verify(t, db) {
		if c.Wrong != 0 || len(c.Examples) != 0 {
			t.Errorf("%s: %d wrong: %q", c.Name, c.Wrong, c.Examples)
		}
	}
}

// twoDigests leaves list 1 with two digests of two and three readers, of which the second is still to be sent.
func twoDigests(t *testing.T, db *store.DB) {
	t.Helper()
	planned(t, db, 2)
	w := worker(t, db, day)
	for _, j := range claim(t, db, w, 9, day) {
		check(t, db.Begin(t.Context(), j, t0.Add(day)))
		check(t, db.Finish(t.Context(), j, accepted, t0.Add(day)))
	}
	subscribe(t, db, "l", "third@example.com", "a")
	put(t, db, day, news("a", 2), news("a", 3))
	if d, ok := planNext(t, db, 2*day); !ok || d.ID != 2 || d.Recipients != 3 {
		t.Fatalf("planned %+v", d)
	}
	claim(t, db, w, 1, 2*day)
}

// loosen takes away what keeps a database sound.
func loosen(t *testing.T, db *store.DB) {
	t.Helper()
	texts := []string{
		`PRAGMA foreign_keys = off`,
		// The constraint is part of the table.
		`CREATE TABLE loose AS SELECT * FROM delivery`, `DROP TABLE delivery`, `ALTER TABLE loose RENAME TO delivery`,
		`CREATE UNIQUE INDEX delivery_id ON delivery (id)`, // bounce refers to it
	}
	if !isSQLite(db) {
		texts = []string{`
			DO $$
			DECLARE r record;
			BEGIN
				FOR r IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
					WHERE contype IN ('f', 'u') AND connamespace = current_schema()::regnamespace ORDER BY contype
				LOOP
					EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', r.t, r.conname);
				END LOOP;
			END $$`}
	}
	for _, text := range append(texts, `DROP INDEX article_seq`, `DROP INDEX article_change`) {
		_, err := store.Writer(db).ExecContext(t.Context(), text)
		check(t, err)
	}
}

// Whatever is broken is found, by the check that is for it, and what is mended is sound again.
func TestWhatIsBrokenIsFound(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		twoDigests(t, db)
		wantSound(t, db)
		loosen(t, db)
		wantSound(t, db)
		for _, c := range []struct{ check, found, harm, mend string }{
			{"deliveries sum to recipients", "digest 1 has 2 recipients, 1 deliveries and 0 of which only the count is kept",
				`UPDATE delivery SET digest_id = 2, subscriber_id = 99, variant_id = 2, subscription_id = 99 WHERE id = 1`,
				`UPDATE delivery SET digest_id = 1, subscriber_id = 1, variant_id = 1, subscription_id = 1 WHERE id = 1`},
			{"deliveries sum to recipients", "digest 1 has 2 recipients, 2 deliveries and 4 of which only",
				`INSERT INTO digest_count (digest_id, state, n) VALUES (1, 3, 4)`, `DELETE FROM digest_count`},
			{"deliveries sum to recipients", "delivery 1 is in state 10", `UPDATE delivery SET state = 10 WHERE id = 1`, `UPDATE delivery SET state = 3 WHERE id = 1`},
			{"nobody gets a digest twice", "subscriber 1 is 2 times in digest 1",
				`UPDATE delivery SET subscriber_id = 1 WHERE id = 2`, `UPDATE delivery SET subscriber_id = 2 WHERE id = 2`},
			{"references lead to a row", "delivery.variant_id is 77, and no variant has that id",
				`UPDATE delivery SET variant_id = 77 WHERE id = 1`, `UPDATE delivery SET variant_id = 1 WHERE id = 1`},
			{"references lead to a row", "zone.merged_into is 78, and no zone has that id", `UPDATE zone SET merged_into = 78`, `UPDATE zone SET merged_into = NULL`},
			{"zones that are chosen exist", "subscription 3 chooses zone 9, which does not exist",
				`UPDATE subscription SET zones = '1,9' WHERE id = 3`, `UPDATE subscription SET zones = '1' WHERE id = 3`},
			{"zones that are chosen exist", `subscription 3 chooses zones that cannot be read: "a"`,
				`UPDATE subscription SET zones = 'a' WHERE id = 3`, `UPDATE subscription SET zones = '1' WHERE id = 3`},
			{"open mail can be sent", "delivery 3 is open, but digest 2 is not to be sent",
				`UPDATE digest SET state = 'cancelled' WHERE id = 2`, `UPDATE digest SET state = 'planned' WHERE id = 2`},
			{"open mail can be sent", "delivery 4 of digest 2 is open and has no mail",
				`UPDATE delivery SET variant_id = NULL WHERE id = 4`, `UPDATE delivery SET variant_id = (SELECT MAX(id) FROM variant) WHERE id = 4`},
			{"open mail can be sent", "is leased to worker 55, which never was",
				`UPDATE delivery SET worker_id = 55 WHERE state = 1`, `UPDATE delivery SET worker_id = 1 WHERE state = 1`},
			{"mails are of their digest", "delivery 1 is of digest 1, its mail of digest 2",
				`UPDATE delivery SET variant_id = (SELECT MAX(id) FROM variant) WHERE id = 1`, `UPDATE delivery SET variant_id = 1 WHERE id = 1`},
			{"items are of their digest", "digest 2 says 7 items and has 2", `UPDATE digest SET items = 7 WHERE id = 2`, `UPDATE digest SET items = 2 WHERE id = 2`},
			{"items are of their digest", "article 1 is in digest 1, which is not of its list 9",
				`UPDATE digest_item SET list_id = 9 WHERE digest_id = 1`, `UPDATE digest_item SET list_id = 1 WHERE digest_id = 1`},
			{"windows follow each other", "digest 2 begins after 2 and ends with 1", `UPDATE digest SET lo = 2, hi = 1 WHERE id = 2`, `UPDATE digest SET lo = 1, hi = 3 WHERE id = 2`},
			{"windows follow each other", "digest 2 begins after 0, but list 1 had mailed up to 1", `UPDATE digest SET lo = 0 WHERE id = 2`, `UPDATE digest SET lo = 1 WHERE id = 2`},
			{"windows follow each other", "digest 2 begins after 2, but list 1 had mailed up to 1 only", `UPDATE digest SET lo = 2 WHERE id = 2`, `UPDATE digest SET lo = 1 WHERE id = 2`},
			{"lists stand where they have mailed", "list 1 stands at 2 and has mailed up to 3: it would mail again",
				`UPDATE list SET watermark = 2`, `UPDATE list SET watermark = 3`},
			{"lists stand where they have mailed", "list 1 stands at 3 and has mailed up to 2 only", `UPDATE digest SET hi = 2 WHERE id = 2`, `UPDATE digest SET hi = 3 WHERE id = 2`},
			{"lists stand where they have mailed", "list 1 stands at 9, which no article has yet",
				`UPDATE list SET watermark = 9`, `UPDATE list SET watermark = 3`},
			{"numbers of articles are counted", "article 3 has the numbers 3 and 8, beyond the counter", `UPDATE article SET change = 8 WHERE id = 3`, `UPDATE article SET change = 3 WHERE id = 3`},
			{"numbers of articles are counted", "the number 1 is that of 2 articles", `UPDATE article SET seq = 1 WHERE id = 2`, `UPDATE article SET seq = 2 WHERE id = 2`},
			{"numbers of articles are counted", "the change 1 is that of 2 articles", `UPDATE article SET change = 1 WHERE id = 2`, `UPDATE article SET change = 2 WHERE id = 2`},
			{"schema is this program's", "the database has schema 99", `UPDATE schema_version SET version = version + 93`, `UPDATE schema_version SET version = version - 93`},
		} {
			behind(t, db, c.harm)
			checks := verify(t, db)
			i := slices.IndexFunc(checks, func(got store.Check) bool { return got.Name == c.check })
			if i < 0 || checks[i].Wrong == 0 || !strings.Contains(strings.Join(checks[i].Examples, "\n"), c.found) {
				t.Errorf("%s\nfound %+v, want in %s: %s", c.harm, checks, c.check, c.found)
			}
			behind(t, db, c.mend)
		}
		wantSound(t, db)
	})
}

func TestOfManyFaultsSomeAreNamed(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		planned(t, db, 25)
		behind(t, db, `UPDATE delivery SET state = 11`)
		for _, c := range verify(t, db) {
			if c.Name == "deliveries sum to recipients" && (c.Wrong != 25 || len(c.Examples) != store.VerifyExamples) {
				t.Errorf("found %+v", c)
			}
		}
	})
}

// What moves a list on without a digest is no fault.
func TestExplainedGapsAreSound(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		planned(t, db, 1)
		put(t, db, day, news("a", 2))
		check(t, db.PauseSending(t.Context(), at(day), "test"))
		check(t, db.ResumeSending(t.Context(), at(day+time.Hour), true))
		wantSound(t, db)
		put(t, db, day+2*time.Hour, news("a", 3))
		if d, ok := planNext(t, db, 2*day); !ok || d.Lo != 2 || d.Items != 1 {
			t.Fatalf("planned %+v", d)
		}
		wantSound(t, db)
		// Of another time, it explains nothing.
		behind(t, db, fmt.Sprintf(`UPDATE audit SET at_ms = %d WHERE action = 'outbox.resume'`, t0.Add(day-time.Hour).UnixMilli()))
		gap := false
		for _, c := range verify(t, db) {
			gap = gap || c.Name == "windows follow each other" && c.Wrong == 1
		}
		if !gap {
			t.Error("a resume of long ago explains a gap of today")
		}
		check(t, must0(db.EditList(t.Context(), at(2*day), "l", func(l *zonewire.List) error { l.Schedule, l.Keyword = "@instant", "开工"; return nil })))
		wantSound(t, db)
	})
}

// Cancelling a digest leaves what is with the mail server.
func TestACancelledDigestWithAMailUnderWayIsSound(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		d := planned(t, db, 2)
		job := claim(t, db, worker(t, db, day), 9, day)[0]
		check(t, db.Begin(t.Context(), job, t0.Add(day)))
		check(t, must0(db.CancelDigest(t.Context(), at(day), d.ID)))
		wantSound(t, db)
		check(t, db.Finish(t.Context(), job, zonewire.Outcome{State: zonewire.Deferred, Next: t0.Add(2 * day), Code: 451}, t0.Add(day)))
		wantSound(t, db)
	})
}
