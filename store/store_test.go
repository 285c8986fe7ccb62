package store_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/internal/pgtest"
	"zonewire/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// onEachEngine runs a test of the suite on a fresh database of every engine that the store speaks: the test knows no engine.
func onEachEngine(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, openSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, openPostgres(t)) })
	if *behindBouncer || bounced[t.Name()] {
		t.Run("pgbouncer", func(t *testing.T) {
			test(t, mustOpen(t, pgtest.Bouncer(t), store.Options{Create: true, Matcher: exactNames}))
		})
	}
}

// Behind PgBouncer parameters go with the types that Go gives them, and connections change hands after each transaction. The
// whole suite has nothing to add to some broad tests, and takes minutes.
var behindBouncer = flag.Bool("pgbouncer", false, "run the whole suite behind PgBouncer as well")

var bounced = map[string]bool{
	"TestPutArticlesTellsWhatItDid": true, "TestAMergedZoneHandsOverArticlesListsAndChoices": true,
	"TestADigestTakesWhatCameSinceTheLastOne": true, "TestAWithdrawalIsCutFromMailNotBegun": true, "TestManyConnectionsShareCommits": true,
	"TestABreakerHoldsBackOneProviderOnly": true, "TestAFeedVersionIsGivenBackWhole": true, "TestVersionsThatComeWhileOneIsDeliveredAreOneMore": true,
	"TestWhatAVisitBringsIsStoredWhole": true, "TestUndoGivesThePlaceBackAsItWasOnce": true, "TestAnAddressChangesWhenBothAgree": true,
	"TestWhoErasesThemselvesLeavesANumber": true, "TestWhatBecameOfAMailedArticleIsToldOnce": true, "TestARepeatedRequestGetsTheSameAnswerForADay": true,
	"TestTheValveClosesWhenAProviderTurnsOnUs": true, "TestListsComplainedOf": true, "TestASearchFindsWordsInTitleAndSummary": true,
}

func openPostgres(t *testing.T) *store.DB {
	t.Helper()
	return mustOpen(t, pgtest.Database(t), store.Options{Create: true, Matcher: exactNames})
}

// behind runs a statement behind the methods.
func behind(t *testing.T, db *store.DB, text string, args ...any) {
	t.Helper()
	if _, err := store.Writer(db).ExecContext(t.Context(), store.Rewrite(db, text), args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func openSQLite(t *testing.T) *store.DB {
	t.Helper()
	return mustOpen(t, filepath.Join(t.TempDir(), "zone wire?#%20.db"), store.Options{Create: true, Matcher: exactNames})
}

func mustOpen(t *testing.T, path string, opts store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// exactNames matches slugs, names and aliases to the letter; the real rules live with ingest.
func exactNames(zones []zonewire.Zone) zonewire.Matcher {
	ids := map[string]int64{}
	for _, z := range zones {
		if !z.Closed.IsZero() {
			continue
		}
		ids[z.Slug], ids[z.Name] = z.ID, z.ID
		for _, a := range z.Aliases {
			ids[a] = z.ID
		}
	}
	return func(name, _, _ string) (int64, bool) {
		id, ok := ids[name]
		return id, ok
	}
}

var t0 = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) zonewire.Act { return zonewire.Act{At: t0.Add(d), By: "test"} }

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func addZone(t *testing.T, db *store.DB, slug, name string) zonewire.Zone {
	t.Helper()
	z, _, err := db.AddZone(t.Context(), at(0), zonewire.Zone{Slug: slug, Name: name, Province: "江苏", City: "常州"})
	check(t, err)
	return z
}

// news makes an article that nothing identifies but its id.
func news(zone string, n int) zonewire.Article {
	return zonewire.Article{
		ZoneRaw: zone, ExternalID: fmt.Sprint(n), Title: fmt.Sprintf("第%d条新闻", n), ContentHash: fmt.Sprintf("%s %d", zone, n),
		ContentHTML: "<p>正文</p>", Published: t0, Precision: zonewire.PrecisionDay, Received: t0,
	}
}

func put(t *testing.T, db *store.DB, when time.Duration, as ...zonewire.Article) []zonewire.Stored {
	t.Helper()
	for i := range as {
		as[i].Received = t0.Add(when)
	}
	return must[[]zonewire.Stored](t)(db.PutArticles(t.Context(), at(when), as))
}

func TestEveryQueryPrepares(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		w := store.Writer(db)
		for _, text := range store.Queries() {
			stmt, err := w.PrepareContext(t.Context(), store.Rewrite(db, text))
			if err != nil {
				t.Errorf("%v in%s", err, text)
				continue
			}
			check(t, stmt.Close())
		}
	})
}

func TestEveryQueryRunsOnAnyEngine(t *testing.T) {
	strings_ := regexp.MustCompile(`'[^']*'`)
	for name, forbidden := range map[string]*regexp.Regexp{
		"a parameter without a number": regexp.MustCompile(`\?\D|\?$`),
		"a dollar parameter":           regexp.MustCompile(`\$\d`),
		"every column":                 regexp.MustCompile(`(?i)select \*`),
		"replace":                      regexp.MustCompile(`(?i)insert or|replace into`),
		"rowid":                        regexp.MustCompile(`(?i)\browid\b`),
		"a JSON function":              regexp.MustCompile(`(?i)json_`),
		"max of two":                   regexp.MustCompile(`(?i)\b(max|min)\([^()]*,`),
		"a clock":                      regexp.MustCompile(`(?i)current_timestamp|now\(\)|strftime|datetime\(`),
	} {
		for _, text := range store.Queries() {
			if forbidden.MatchString(strings_.ReplaceAllString(text, "''")) {
				t.Errorf("%s in%s", name, text)
			}
		}
	}
}

func TestHotQueriesUseTheirIndexes(t *testing.T) {
	db := openSQLite(t)
	w := store.Writer(db)
	for _, want := range []struct{ part, index string }{
		{"UPDATE delivery\n\t\tSET state = 1, claim", "delivery_due (provider=? AND next_ms<?)"},
		{"WITH RECURSIVE g(name)", "SEARCH d USING INDEX delivery_due (provider>?)"},
		{"WITH RECURSIVE g(name)", "SEARCH d USING INDEX delivery_due (provider=? AND next_ms<?)"},
		{"WHERE d.worker_id = ?1", "delivery_worker (worker_id=?)"},
		{"WHERE worker_id = ?1", "_worker (worker_id=?)"},
		{"a.seq > ?1 AND a.seq <= ?2", "article_seq"},
		{"WHERE a.zone_id = ?1", "article_zone_change"},
		{"WHERE a.change > 0", "article_text"},
		{"WHERE a.month = ?2", "article_month (zone_id=? AND month=?)"},
		{"GROUP BY month", "COVERING INDEX article_month"},
		{"DELETE FROM hub_subscription WHERE lease_ms", "hub_subscription_lease"},
		{"external_id = ?1 AND external_id <> '' AND zone_id = ?2", "article_external"},
		{"url_canon = ?1", "article_url"},
		{"schedule <> '@instant'", "article_seq"},
		{"reason = 'unsubscribed' AND done_ms", "sqlite_autoindex_delivery_1 (digest_id=? AND subscriber_id=?)"},
		{"CROSS JOIN delivery x", "sqlite_autoindex_delivery_1 (digest_id=? AND subscriber_id=?)"},
		{"a.updated_ms > d.created_ms", "digest_item_digest"},
	} {
		found := false
		for _, text := range store.Queries() {
			if !strings.Contains(text, want.part) {
				continue
			}
			found = true
			if plan := explain(t, w, store.Rewrite(db, text)); !strings.Contains(plan, want.index) {
				t.Errorf("%s: want index %s, got\n%s", want.part, want.index, plan)
			}
		}
		if !found {
			t.Errorf("no query holds %q", want.part)
		}
	}
}

func explain(t *testing.T, w *sql.DB, text string) string {
	t.Helper()
	rows, err := w.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	check(t, err)
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var a, b, c int
		var detail string
		check(t, rows.Scan(&a, &b, &c, &detail))
		fmt.Fprintln(&plan, detail)
	}
	check(t, rows.Err())
	return plan.String()
}

func TestOpen(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "z.db")

	if _, err := store.Open(ctx, path, store.Options{Matcher: exactNames}); !errors.Is(err, zonewire.ErrNotFound) {
		t.Errorf("no file: got %v, want not found", err)
	}
	db := mustOpen(t, path, store.Options{Create: true, Matcher: exactNames})
	if !db.Created() {
		t.Error("the first open must say that it created the database")
	}
	w := store.Writer(db)
	if _, err := w.Exec(`UPDATE schema_version SET version = 99`); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(ctx, path, store.Options{Create: true, Matcher: exactNames})
	if !errors.Is(err, zonewire.ErrInvalid) || !strings.Contains(err.Error(), "schema 99") {
		t.Errorf("newer schema: got %v, want both versions named", err)
	}

	check(t, os.WriteFile(filepath.Join(dir, "text.db"), []byte(strings.Repeat("not a database ", 100)), 0o600))
	if _, err := store.Open(ctx, filepath.Join(dir, "text.db"), store.Options{Create: true, Matcher: exactNames}); !errors.Is(err, zonewire.ErrInvalid) {
		t.Errorf("a text file: got %v, want invalid", err)
	}
	if _, err := store.Open(ctx, filepath.Join(dir, "text.db", "z.db"), store.Options{Create: true, Matcher: exactNames}); !errors.Is(err, zonewire.ErrReadOnly) {
		t.Errorf("a path below a file: got %v, want read-only", err)
	}
	if _, err := store.Open(ctx, filepath.Join(dir, "none", "z.db"), store.Options{Create: true, Matcher: exactNames}); !errors.Is(err, zonewire.ErrReadOnly) {
		t.Errorf("a missing folder: got %v, want read-only", err)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	db := openSQLite(t)
	r := store.Reader(db)
	if _, err := r.Exec(`UPDATE counter SET n = 7`); err == nil {
		t.Error("a write through the readers succeeded")
	}
}

func TestAFullDiskHalfWritesNothing(t *testing.T) {
	db := openSQLite(t)
	w := store.Writer(db)
	var pages int
	check(t, w.QueryRow(`PRAGMA page_count`).Scan(&pages))
	room := func(more int) {
		t.Helper()
		if _, err := w.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+more)); err != nil {
			t.Fatal(err)
		}
	}
	var batch []zonewire.Article
	for i := range 100 {
		a := news("x", i)
		a.ContentHTML = strings.Repeat("正文", 2000)
		batch = append(batch, a)
	}
	room(10)
	if _, err := db.PutArticles(t.Context(), at(0), batch); !errors.Is(err, zonewire.ErrFull) {
		t.Errorf("got %v, want disk full", err)
	}
	all := must[[]zonewire.Article](t)(db.Articles(t.Context(), zonewire.ArticleQuery{Unfiled: true, Limit: 9}))
	if len(all) != 0 {
		t.Errorf("%d articles of the failed batch were kept", len(all))
	}
	room(10_000)
	if stored := put(t, db, 0, batch...); len(stored) != 100 {
		t.Errorf("with room again: stored %d", len(stored))
	}
}
