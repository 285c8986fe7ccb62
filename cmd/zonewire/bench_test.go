package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net"
	"net/textproto"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zonewire"
	"zonewire/digest"
	"zonewire/ingest"
	"zonewire/internal/address"
	"zonewire/internal/smtptest"
	"zonewire/outbox"
	"zonewire/store"
	"zonewire/templates"
)

// Machines are noisy, so each benchmark runs a yardstick beside the work, on the same data in the same run, and reports
// the ratio: "of-bare" 0.50 means half as fast as the bare thing.
func reportRatio(b *testing.B, work, bare time.Duration, unit string, n int) {
	b.Helper()
	b.ReportMetric(float64(n)/work.Seconds(), unit+"/s")
	b.ReportMetric(bare.Seconds()/work.Seconds(), "of-bare")
	b.ReportMetric(0, "ns/op")
}

var benchNow = time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC)

func benchStore(b *testing.B, matcher func([]zonewire.Zone) zonewire.Matcher) (*store.DB, string) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bench.db")
	db, err := store.Open(b.Context(), path, store.Options{Create: true, Matcher: matcher})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return db, path
}

// bare opens a second database with the same schema and durability, to write to without the store.
func bare(b *testing.B) *sql.DB {
	b.Helper()
	_, path := benchStore(b, ingest.NewMatcher)
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate&_foreign_keys=on&_stmt_cache_size=64")
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { _ = db.Close() })
	return db
}

func benchAct() zonewire.Act { return zonewire.Act{At: benchNow, By: "bench"} }

// newsLines makes n articles of about 7 KB as NDJSON, over ten zones.
func newsLines(n int) []byte {
	body := strings.Repeat("<p>开发区今年新签约项目四十二个，其中先进制造业项目三十个，总投资逾百亿元。</p>", 60)
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"zone":"zone-%d","id":"%d","url":"https://news.example.com/%d.html","title":"第%d条开发区新闻","content_html":"%s","source":"融媒体中心","published":"2026-11-23"}`+"\n", i%10, i, i, i, body)
	}
	return b.Bytes()
}

func addBenchZones(b *testing.B, db *store.DB) {
	b.Helper()
	for i := range 10 {
		_, _, err := db.AddZone(b.Context(), benchAct(), zonewire.Zone{Slug: fmt.Sprintf("zone-%d", i), Name: fmt.Sprintf("第%d经济开发区", i), Province: "江苏"})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkImport reads NDJSON, cleans it and stores it; the yardstick inserts the rows that came of it, 500 a commit.
func BenchmarkImport(b *testing.B) {
	const n = 2000
	lines := newsLines(n)
	b.SetBytes(int64(len(lines)))
	var work, yard time.Duration
	for b.Loop() {
		db, _ := benchStore(b, ingest.NewMatcher)
		addBenchZones(b, db)
		began := time.Now()
		var all, batch []zonewire.Article
		for r := range ingest.Read("bench.ndjson", bytes.NewReader(lines), ingest.Options{Now: benchNow, Format: ingest.NDJSON}) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
			if batch = append(batch, r.Article); len(batch) == importBatch {
				if _, err := db.PutArticles(b.Context(), benchAct(), batch); err != nil {
					b.Fatal(err)
				}
				all, batch = append(all, batch...), nil
			}
		}
		work += time.Since(began)
		yard += insertBare(b, bare(b), all)
	}
	reportRatio(b, work, yard, "articles", n*b.N)
}

func insertBare(b *testing.B, db *sql.DB, all []zonewire.Article) time.Duration {
	b.Helper()
	began := time.Now()
	for lo := 0; lo < len(all); lo += importBatch {
		tx, err := db.Begin()
		if err != nil {
			b.Fatal(err)
		}
		for i, a := range all[lo:min(lo+importBatch, len(all))] {
			_, err := tx.Exec(`INSERT INTO article (seq, change, zone_raw, province, city, external_id, url, url_canon, title_key, content_hash, title,
				summary, content_html, source, author, category, language, image, published_ms, published_offset, date_precision, date_suspect,
				received_ms, updated_ms, withdrawn_ms, withdrawn_reason, layers, charset)
				VALUES (?1, ?1, ?2, '', '', ?3, ?4, ?5, '', ?6, ?7, ?8, ?9, ?10, '', '', '', '', ?11, 480, 'day', 0, ?11, ?11, 0, '', '', '')`,
				lo+i+1, a.ZoneRaw, a.ExternalID, a.URL, a.URLCanon, a.ContentHash, a.Title, a.Summary, a.ContentHTML, a.Source, a.Published.UnixMilli())
			if err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began)
}

// fillPeople makes n subscribers of a list, past the store's methods: they commit one by one, as people come.
func fillPeople(b *testing.B, path string, list int64, n int) {
	b.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_busy_timeout=10000&_foreign_keys=on")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, text := range []string{
		`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?1)
			INSERT INTO subscriber (id, email, email_key, address_hash, name, locale, created_ms, erased_ms)
			SELECT i, 'reader' || i || '@example.net', 'reader' || i || '@example.net', 'h' || i, '', '', 1, 0 FROM c`,
		`INSERT INTO subscription (subscriber_id, list_id, state, zones, confirmed_ms, consent, paused_until_ms, created_ms, ended_ms)
			SELECT id, ?2, 'active', '', 1, 'bench', 0, 1, 0 FROM subscriber WHERE id <= ?1`,
	} {
		if _, err := db.Exec(text, n, list); err != nil {
			b.Fatal(err)
		}
	}
}

// benchDigest makes a store with one list of n readers and 60 articles that wait for its first digest.
func benchDigest(b *testing.B, n int) (*store.DB, *digest.Planner, zonewire.Secret) {
	b.Helper()
	db, path := benchStore(b, ingest.NewMatcher)
	addBenchZones(b, db)
	list, err := db.AddList(b.Context(), benchAct(), zonewire.List{
		Slug: "bench", Title: "开发区早报", Schedule: "0 8 * * *", Timezone: "Asia/Shanghai", All: true, Locale: zonewire.LocaleZH,
		MaxItems: 60, MaxAge: zonewire.DefaultMaxAge, CatchUp: zonewire.DefaultCatchUp, NextSlot: benchNow.Add(time.Hour),
	}, time.Time{})
	if err != nil {
		b.Fatal(err)
	}
	fillPeople(b, path, list.ID, n)
	var articles []zonewire.Article
	for r := range ingest.Read("bench.ndjson", bytes.NewReader(newsLines(60)), ingest.Options{Now: benchNow, Format: ingest.NDJSON}) {
		articles = append(articles, r.Article)
	}
	if _, err := db.PutArticles(b.Context(), benchAct(), articles); err != nil {
		b.Fatal(err)
	}
	set, err := templates.Load("")
	if err != nil {
		b.Fatal(err)
	}
	secret := zonewire.Secret(bytes.Repeat([]byte{7}, secretBytes))
	return db, &digest.Planner{Composer: digest.NewRenderer(set), Secret: secret, From: "News <news@example.com>", BaseURL: "https://news.example.com"}, secret
}

// BenchmarkPlan plans a digest of 60 articles for 100,000 readers; the yardstick inserts as many bare delivery rows.
func BenchmarkPlan(b *testing.B) {
	const n = 100_000
	var work, yard time.Duration
	for b.Loop() {
		db, planner, _ := benchDigest(b, n)
		began := time.Now()
		d, err := db.CutDigest(b.Context(), benchAct(), "bench", benchNow, planner)
		if err != nil || d.Recipients != n {
			b.Fatalf("planned %d: %v", d.Recipients, err)
		}
		work += time.Since(began)

		plain := bare(b)
		if _, err := plain.Exec(`CREATE TABLE row (id INTEGER PRIMARY KEY, digest INTEGER, subscriber INTEGER, state INTEGER, next INTEGER, UNIQUE (digest, subscriber)) STRICT`); err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		if _, err := plain.Exec(`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?1)
			INSERT INTO row (digest, subscriber, state, next) SELECT 1, i, 0, 1 FROM c`, n); err != nil {
			b.Fatal(err)
		}
		yard += time.Since(began)
	}
	reportRatio(b, work, yard, "recipients", n*b.N)
}

// BenchmarkDrain sends a digest to 2,000 readers over 10 connections to a server on loopback, every begin and outcome on
// disk; the yardstick sends the same bytes over as many connections and records nothing.
func BenchmarkDrain(b *testing.B) {
	const n, connections = 2000, 10
	var work, yard time.Duration
	for b.Loop() {
		db, planner, secret := benchDigest(b, n)
		if _, err := db.CutDigest(b.Context(), benchAct(), "bench", benchNow, planner); err != nil {
			b.Fatal(err)
		}
		srv := smtptest.New(b, smtptest.Options{})
		tr, err := outbox.NewSMTP(outbox.SMTPConfig{Host: srv.Host, Port: srv.Port, TLS: "none"})
		if err != nil {
			b.Fatal(err)
		}
		agent := outbox.New(db, tr, outbox.Composer{Secret: secret, Address: address.Parse}, outbox.Options{Connections: connections, Log: slog.New(slog.DiscardHandler)})
		began := time.Now()
		counts, err := agent.Drain(b.Context(), nil)
		if err != nil || counts[zonewire.Accepted] != n {
			b.Fatalf("sent %v: %v", counts, err)
		}
		work += time.Since(began)
		yard += sendBare(b, srv.Mails()[0].Raw, n, connections)
	}
	reportRatio(b, work, yard, "mails", n*b.N)
}

// sendBare sends one message n times over so many pipelined connections.
func sendBare(b *testing.B, raw []byte, n, connections int) time.Duration {
	b.Helper()
	srv := smtptest.New(b, smtptest.Options{})
	began := time.Now()
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			if err := sendRaw(b.Context(), fmt.Sprintf("%s:%d", srv.Host, srv.Port), raw, n/connections); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

func sendRaw(ctx context.Context, addr string, raw []byte, n int) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	text := textproto.NewConn(conn)
	if _, _, err := text.ReadResponse(220); err != nil {
		return err
	}
	if err := text.PrintfLine("EHLO bench"); err != nil {
		return err
	}
	if _, _, err := text.ReadResponse(250); err != nil {
		return err
	}
	for range n {
		w := bufio.NewWriter(conn)
		fmt.Fprint(w, "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
		if err := w.Flush(); err != nil {
			return err
		}
		for _, want := range []int{250, 250, 354} {
			if _, _, err := text.ReadResponse(want); err != nil {
				return err
			}
		}
		dot := text.DotWriter()
		if _, err := dot.Write(raw); err != nil {
			return err
		}
		if err := dot.Close(); err != nil {
			return err
		}
		if _, _, err := text.ReadResponse(250); err != nil {
			return err
		}
	}
	return nil
}
