package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"zonewire"
	"zonewire/store"
)

// A database as the first schema left it, with a digest half sent, is brought up to date: every reader gets the
// provider group of their address, and what was open is still sent.
func TestTheFirstSchemaIsUpgraded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "z.db")
	first, err := os.ReadFile("migrations/sqlite/0001_first.sql")
	check(t, err)
	old, err := sql.Open("sqlite3", "file:"+path+"?_journal_mode=WAL&_foreign_keys=on")
	check(t, err)
	for _, text := range []string{
		`CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT; INSERT INTO schema_version (version) VALUES (1)`,
		string(first),
		`INSERT INTO list VALUES (1, 'l', '早报', '0 8 * * *', 'Asia/Shanghai', 1, '', '', '', '', 60, 0, 'zh-CN', 0, '', '', 0, 0, 0, 0, 0, 0, 1)`,
		`INSERT INTO subscriber VALUES (1, 'a@QQ.com', 'a@qq.com', 'h1', '', '', 1, 0), (2, 'b@foxmail.com', 'b@foxmail.com', 'h2', '', '', 1, 0),
			(3, 'c@yeah.net', 'c@yeah.net', 'h3', '', '', 1, 0), (4, 'd@example.org', 'd@example.org', 'h4', '', '', 1, 0), (5, '', '', '', '', '', 1, 9)`,
		`INSERT INTO subscription VALUES (1, 1, 1, 'active', '', 1, 'x', 0, 1, 0), (2, 2, 1, 'active', '', 1, 'x', 0, 1, 0),
			(3, 3, 1, 'active', '', 1, 'x', 0, 1, 0), (4, 4, 1, 'active', '', 1, 'x', 0, 1, 0)`,
		`INSERT INTO digest VALUES (1, 1, 1, 'planned', '', 0, 1, 1, 4, 1)`,
		`INSERT INTO variant VALUES (1, 1, 'zh-CN', '', 1, 0, x'')`,
		`INSERT INTO delivery (digest_id, subscriber_id, subscription_id, variant_id, state, reason, attempts, losses, next_ms, claim, worker_id, began_ms, done_ms, code, enhanced, reply)
			SELECT 1, id, id, 1, CASE id WHEN 4 THEN 3 ELSE 0 END, '', 0, 0, 1, 0, 0, 0, 0, 0, '', '' FROM subscriber WHERE id < 5`,
		`INSERT INTO zone VALUES (1, 'a', '', '甲区', '', '', '', '', '', '', 'zh-CN', 0, NULL, 7)`,
		// Received on 1 December in Shanghai; the second is withdrawn.
		`INSERT INTO article (id, seq, change, zone_id, zone_raw, province, city, external_id, url, url_canon, title_key, content_hash, title, summary, content_html, source,
			author, category, language, image, published_ms, published_offset, date_precision, date_suspect, received_ms, updated_ms, withdrawn_ms, withdrawn_reason, layers, charset)
			SELECT n, n, n, 1, '', '', '', '', '', '', '', 'h', '标题', '', '', '', '', '', '', '', 1, 480, 'day', 0, 1796054400000, 1, (n - 1) * 9, '', '', ''
			FROM (SELECT 1 AS n UNION SELECT 2)`,
	} {
		if _, err := old.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	check(t, old.Close())

	db := mustOpen(t, path, store.Options{Create: true, Matcher: exactNames})
	w := worker(t, db, day)
	want := map[string]string{"a@QQ.com": "qq", "b@foxmail.com": "qq", "c@yeah.net": "netease"}
	jobs := claim(t, db, w, 9, day)
	for _, j := range jobs {
		if j.Provider != want[j.Email] {
			t.Errorf("%s is of %q, want %q", j.Email, j.Provider, want[j.Email])
		}
	}
	if len(jobs) != 3 {
		t.Errorf("claimed %d, want what was open", len(jobs))
	}
	if c := must[zonewire.Digest](t)(db.Digest(t.Context(), 1)).Counts; c.Sum() != 4 || c[zonewire.Accepted] != 1 {
		t.Errorf("counts %v", c)
	}

	arrived := must[[]zonewire.ArrivedIn](t)(db.Arrivals(t.Context(), 1))
	if len(arrived) != 1 || arrived[0] != (zonewire.ArrivedIn{Month: 202612, Articles: 2}) {
		t.Errorf("arrivals %+v", arrived)
	}
	if gone := must[[]zonewire.Departure](t)(db.Departures(t.Context(), 1, 9)); len(gone) != 1 || gone[0].Article != 2 || gone[0].Moved {
		t.Errorf("departures %+v", gone)
	}
	check(t, db.RequestPlace(t.Context(), at(day), wishFor("l", "new@example.org")))
	if l := letterTo(t, db, day, "new@example.org"); l.kind != "confirm" || l.ticket != 1 {
		t.Errorf("a place is asked for: %+v", l)
	}
	if z := must[zonewire.Zone](t)(db.Zone(t.Context(), "a")); z.Changed.UnixMilli() != 7 {
		t.Errorf("zone changed %v", z.Changed)
	}
}
