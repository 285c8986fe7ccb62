package store_test

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"zonewire"
	"zonewire/internal/pgtest"
	"zonewire/store"
)

func TestParametersAreWrittenForPostgreSQL(t *testing.T) {
	for text, want := range map[string]string{
		"a = ?1 AND b IN (?2, ?10)":   "a = $1 AND b IN ($2, $10)",
		"a = '?1' AND b = ?1":         "a = '?1' AND b = $1",
		"a = 'it''s ?1' AND b = ?2":   "a = 'it''s ?1' AND b = $2",
		`"why?1" = ?1`:                `"why?1" = $1`,
		"?1 -- why ?2\n= ?3":          "$1 -- why ?2\n= $3",
		"?1 /* why ?2 */ = ?3":        "$1 /* why ?2 */ = $3",
		"? = ?0":                      "? = ?0", // no parameters of ours: the lint finds them
		"ends in ?":                   "ends in ?",
		"a = 'never closed ?1":        "a = 'never closed ?1",
		"x LIKE ?1 ESCAPE '\\' OR ?2": "x LIKE $1 ESCAPE '\\' OR $2",
	} {
		if got := store.Dollars(text); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// Whatever stands between them: parameters are numbered as before, and what is quoted stays.
func TestWhatIsQuotedIsLeftAlone(t *testing.T) {
	piece := rapid.OneOf(
		rapid.Map(rapid.IntRange(1, 40), func(n int) [2]string { return [2]string{fmt.Sprintf(" ?%d ", n), fmt.Sprintf(" $%d ", n)} }),
		rapid.Map(rapid.StringMatching(`[a-z?0-9$"/*-]{0,9}`), func(s string) [2]string { return [2]string{"'" + s + "'", "'" + s + "'"} }),
		rapid.Map(rapid.StringMatching(`[a-z?0-9$'/*-]{0,9}`), func(s string) [2]string { return [2]string{`"` + s + `"`, `"` + s + `"`} }),
		rapid.Map(rapid.StringMatching(`[a-z?0-9$'"]{0,9}`), func(s string) [2]string { return [2]string{"--" + s + "\n", "--" + s + "\n"} }),
		rapid.Map(rapid.StringMatching(`[a-z?0-9$'"]{0,9}`), func(s string) [2]string { return [2]string{"/*" + s + "*/", "/*" + s + "*/"} }),
		rapid.Map(rapid.StringMatching(`[a-z0-9 =()]{0,9}`), func(s string) [2]string { return [2]string{s, s} }),
	)
	rapid.Check(t, func(t *rapid.T) {
		var text, want strings.Builder
		for _, p := range rapid.SliceOf(piece).Draw(t, "pieces") {
			text.WriteString(p[0])
			want.WriteString(p[1])
		}
		if got := store.Dollars(text.String()); got != want.String() {
			t.Fatalf("%q\ngot  %q\nwant %q", text.String(), got, want.String())
		}
	})
}

func TestAnAddressThatLeadsNowhere(t *testing.T) {
	open := func(dsn string) error {
		db, err := store.Open(t.Context(), dsn, store.Options{Create: true, Matcher: exactNames})
		if err == nil {
			check(t, db.Close())
		}
		return err
	}
	base := pgtest.Database(t)
	server, _, _ := strings.Cut(base, "?")
	port, err := pgtest.FreePort()
	check(t, err)
	for dsn, want := range map[string]error{
		fmt.Sprintf("postgres://u:geheim@127.0.0.1:%d/x", port): zonewire.ErrUnavailable,
		"postgres://u:geheim@127.0.0.1:port/x":                  zonewire.ErrInvalid,
		strings.TrimSuffix(server, "postgres") + "absent":       zonewire.ErrNotFound,
		server + "?pool_max_conns=many":                         zonewire.ErrInvalid,
	} {
		if err := open(dsn); !errors.Is(err, want) || strings.Contains(fmt.Sprint(err), "geheim") {
			t.Errorf("%s: got %v, want %v", dsn, err, want)
		}
	}
	if _, err := store.Open(t.Context(), base, store.Options{Matcher: exactNames}); !errors.Is(err, zonewire.ErrInvalid) {
		t.Errorf("an empty database that may not be made into one: %v", err)
	}
	if some, err := store.Exists(t.Context(), base); some || err != nil {
		t.Errorf("an empty database: exists %v, %v", some, err)
	}
	// Of several hosts the one that takes writes is found.
	several := strings.Replace(base, "@", fmt.Sprintf("@127.0.0.1:%d,", port), 1)
	if err := open(several); err != nil {
		t.Errorf("two hosts, the first of them down: %v", err)
	}
	if some, err := store.Exists(t.Context(), base); !some || err != nil {
		t.Errorf("after it was made: exists %v, %v", some, err)
	}
	pgtest.Query(t, base, "ALTER ROLE postgres SET default_transaction_read_only = on")
	defer pgtest.Query(t, base, "BEGIN READ WRITE; ALTER ROLE postgres RESET default_transaction_read_only; COMMIT")
	if err := open(base); !errors.Is(err, zonewire.ErrUnavailable) {
		t.Errorf("a server that takes no writes: %v", err)
	}
}

func TestADatabaseOfAnotherProgramIsLeftAlone(t *testing.T) {
	dsn := pgtest.Database(t)
	pgtest.Query(t, dsn, "CREATE TABLE theirs (n BIGINT)")
	_, err := store.Open(t.Context(), dsn, store.Options{Create: true, Matcher: exactNames})
	if !errors.Is(err, zonewire.ErrInvalid) || !strings.Contains(err.Error(), "another program") {
		t.Errorf("got %v", err)
	}
}

// A dump that is restored is another database, and must not mail what its original mails; a standby that takes over has
// the same number and is the same.
func TestARestoredDumpIsNotAtHome(t *testing.T) {
	db := openPostgres(t)
	home := must[store.Home](t)(db.ServerHome(t.Context()))
	if moved := must[string](t)(db.CheckHome(t.Context(), at(0), home)); moved != "" {
		t.Errorf("at its first start: %q", moved)
	}
	if moved := must[string](t)(db.CheckHome(t.Context(), at(0), home)); moved != "" {
		t.Errorf("at its second: %q", moved)
	}
	home.File += "1"
	if moved := must[string](t)(db.CheckHome(t.Context(), at(0), home)); moved == "" {
		t.Error("in another database of the server it took itself for at home")
	}
	if why := must[string](t)(db.SendingPaused(t.Context())); why == "" {
		t.Error("sending is not paused")
	}
}

func TestBothEnginesHaveTheSameMigrations(t *testing.T) {
	names := func(engine string) []string {
		var all []string
		for _, name := range must[[]string](t)(store.MigrationFiles(engine)) {
			all = append(all, path.Base(name))
		}
		return all
	}
	if a, b := names("sqlite"), names("postgres"); !slices.Equal(a, b) {
		t.Errorf("sqlite has %v, postgres %v", a, b)
	}
}

// The planner of PostgreSQL takes an index when tables are large, so it is told that everything else is dear.
func TestHotQueriesUseTheirIndexesOnPostgreSQL(t *testing.T) {
	db := openPostgres(t)
	conn, err := store.Writer(db).Conn(t.Context())
	check(t, err)
	defer conn.Close()
	set := func(what string) {
		_, err := conn.ExecContext(t.Context(), "SET "+what)
		check(t, err)
	}
	set("enable_seqscan = off")
	set("plan_cache_mode = force_generic_plan")
	for _, want := range []struct{ part, index string }{
		{"provider = ?6 AND next_ms <= ?1", "Index Scan using delivery_due"},
		{"WITH RECURSIVE g(name)", "Index Only Scan using delivery_due"},
		{"WHERE d.worker_id = ?1", "delivery_worker"},
		{"WHERE worker_id = ?1", "_worker"},
		{"a.seq > ?1 AND a.seq <= ?2", "article_seq"},
		{"WHERE a.zone_id = ?1", "article_zone_change"},
		{"WHERE a.change > 0", "Index Scan Backward using article_change"},
		{"WHERE a.month = ?2", "article_month"},
		{"external_id = ?1 AND external_id <> '' AND zone_id = ?2", "article_external"},
		{"url_canon = ?1 AND url_canon <> ''", "article_url"},
		{"SELECT DISTINCT url_canon", "article_url"},
		{"source_id = ?1 AND url_canon = ?2 UNION ALL", "source_page_url"},
		{"SELECT COUNT(*) FROM delivery WHERE state IN (0, 1, 2) AND next_ms", "delivery_due"},
		{"WHERE topic = ?1", "hub_subscription_topic"},
		{"reason = 'unsubscribed' AND done_ms", "delivery_digest_id_subscriber_id_key"},
		{"a.updated_ms > d.created_ms", "digest_item_digest"},
	} {
		found := false
		spaces := regexp.MustCompile(`\s+`)
		for i, text := range store.Queries() {
			if !strings.Contains(spaces.ReplaceAllString(text, " "), want.part) {
				continue
			}
			found = true
			set(fmt.Sprintf("enable_sort = %t", !strings.Contains(want.index, "Index")))
			name := fmt.Sprintf("q%d_%d", i, len(want.part))
			_, err := conn.ExecContext(t.Context(), "PREPARE "+name+" AS "+store.Rewrite(db, text))
			check(t, err)
			nulls := strings.TrimSuffix(strings.Repeat("NULL, ", parametersOf(text)), ", ")
			rows, err := conn.QueryContext(t.Context(), fmt.Sprintf("EXPLAIN EXECUTE %s (%s)", name, nulls))
			check(t, err)
			var plan strings.Builder
			for rows.Next() {
				var line string
				check(t, rows.Scan(&line))
				fmt.Fprintln(&plan, line)
			}
			check(t, errors.Join(rows.Err(), rows.Close()))
			if !strings.Contains(plan.String(), want.index) {
				t.Errorf("%s: want %s, got\n%s", want.part, want.index, plan.String())
			}
		}
		if !found {
			t.Errorf("no query holds %q", want.part)
		}
	}
}

// parametersOf is the highest number of a parameter.
func parametersOf(text string) int {
	most := 0
	for _, m := range regexp.MustCompile(`\?(\d+)`).FindAllStringSubmatch(text, -1) {
		var n int
		fmt.Sscan(m[1], &n)
		most = max(most, n)
	}
	return most
}
