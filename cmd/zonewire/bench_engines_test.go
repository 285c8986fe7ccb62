package main

import (
	"database/sql"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"zonewire"
	"zonewire/ingest"
	"zonewire/internal/pgtest"
	"zonewire/store"
)

var benchRecipients = flag.Int("recipients", 100_000, "how many readers BenchmarkPlan and BenchmarkClaims have")

// engineBench is a fresh database of one engine: the store on it, and a plain connection past the store. PostgreSQL flushes each
// commit, as SQLite does.
type engineBench struct {
	name, dsn string
	db        *store.DB
	plain     *sql.DB
}

// onBenchEngines runs a benchmark on each engine. open makes another database.
func onBenchEngines(b *testing.B, run func(b *testing.B, open func() engineBench)) {
	b.Helper()
	open := func(b *testing.B, name, dsn, driver, plain string) engineBench {
		e := engineBench{name: name, dsn: dsn}
		var err error
		if e.db, err = store.Open(b.Context(), dsn, store.Options{Create: true, Matcher: ingest.NewMatcher}); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := e.db.Close(); err != nil {
				b.Error(err)
			}
		})
		if e.plain, err = sql.Open(driver, plain); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = e.plain.Close() })
		return e
	}
	b.Run("sqlite", func(b *testing.B) {
		run(b, func() engineBench {
			path := filepath.Join(b.TempDir(), "bench.db")
			return open(b, "sqlite", path, "sqlite3", "file:"+path+"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate&_foreign_keys=on&_busy_timeout=10000&_stmt_cache_size=64")
		})
	})
	b.Run("postgres", func(b *testing.B) {
		server := pgtest.Start(b, "fsync=on", "shared_buffers=512MB", "max_wal_size=4GB")
		run(b, func() engineBench {
			dsn := server.Database(b)
			return open(b, "postgres", dsn, "pgx", dsn)
		})
	})
}

func (e engineBench) exec(b *testing.B, text string, args ...any) {
	b.Helper()
	if _, err := e.plain.Exec(text, args...); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPlan plans a digest of 60 articles for 100,000 readers; the yardstick inserts as many bare delivery rows.
func BenchmarkPlan(b *testing.B) {
	onBenchEngines(b, func(b *testing.B, open func() engineBench) {
		n := *benchRecipients
		var work, yard time.Duration
		for b.Loop() {
			e := open()
			addPeople(b, e.plain, addBenchList(b, e.db, 60), n, 300)
			planner, _ := benchPlanner(b)
			began := time.Now()
			benchCut(b, e.db, planner, n)
			work += time.Since(began)

			e.exec(b, `CREATE TABLE bare (id INTEGER PRIMARY KEY, digest INTEGER, subscriber INTEGER, state INTEGER, next INTEGER, UNIQUE (digest, subscriber))`)
			began = time.Now()
			e.exec(b, `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < $1)
				INSERT INTO bare (id, digest, subscriber, state, next) SELECT i, 1, i, 0, 1 FROM c`, n)
			yard += time.Since(began)
		}
		reportRatio(b, work, yard, "recipients", n*b.N)
	})
}

// BenchmarkClaims is how many mails a second can be claimed, 160 a claim, by one worker and by ten at once.
func BenchmarkClaims(b *testing.B) {
	for _, workers := range []int{1, 10} {
		b.Run(fmt.Sprintf("%d_workers", workers), func(b *testing.B) {
			onBenchEngines(b, func(b *testing.B, open func() engineBench) {
				n := *benchRecipients
				var took time.Duration
				total := 0
				for b.Loop() {
					e := open()
					addPeople(b, e.plain, addBenchList(b, e.db, 1), n, usualDomains)
					planner, _ := benchPlanner(b)
					benchCut(b, e.db, planner, n)
					began := time.Now()
					total += claimAtOnce(b, e.db, workers, min(n, 16_000))
					took += time.Since(began)
				}
				b.ReportMetric(float64(total)/took.Seconds(), "claimed/s")
				b.ReportMetric(0, "ns/op")
			})
		})
	}
}

// claimAtOnce claims at least so many mails by several workers.
func claimAtOnce(b *testing.B, db *store.DB, workers, most int) (claimed int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			w, err := db.StartWorker(b.Context(), benchNow)
			if err != nil {
				b.Error(err)
				return
			}
			for got := 0; got < most/workers; {
				c, err := db.Claim(b.Context(), w, 160, nil, benchNow)
				if err != nil {
					b.Error(err)
					return
				}
				got += len(c.Jobs)
				mu.Lock()
				claimed += len(c.Jobs)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return claimed
}

// BenchmarkLedger is how many mails a second can be recorded, over 1, 10 and 50 connections: each was claimed, is begun, and its
// end is recorded together with the begin of the next, as the outbox does. The yardstick commits as many updates of one bare row
// each: by one connection on SQLite, which has one writer, and by as many as the store's with pgbench on PostgreSQL.
func BenchmarkLedger(b *testing.B) {
	for _, conns := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("%d_connections", conns), func(b *testing.B) {
			onBenchEngines(b, func(b *testing.B, open func() engineBench) {
				n := min(2000*conns, 10_000)
				var rates, yards, ratios []float64
				for b.Loop() {
					e := open()
					addPeople(b, e.plain, addBenchList(b, e.db, 1), n, usualDomains)
					planner, _ := benchPlanner(b)
					benchCut(b, e.db, planner, n)
					rate, yard := float64(n)/recordAtOnce(b, e.db, n, conns).Seconds(), e.updates(b, n, conns)
					rates, yards, ratios = append(rates, rate), append(yards, yard), append(ratios, rate/yard)
				}
				b.ReportMetric(median(rates), "mails/s")
				b.ReportMetric(median(yards), "bare-commits/s")
				b.ReportMetric(median(ratios), "of-bare")
				b.ReportMetric(0, "ns/op")
			})
		})
	}
}

// recordAtOnce records n mails over so many connections and gives how long that takes, without the claims.
func recordAtOnce(b *testing.B, db *store.DB, n, conns int) time.Duration {
	b.Helper()
	w, err := db.StartWorker(b.Context(), benchNow)
	if err != nil {
		b.Fatal(err)
	}
	var jobs []zonewire.Job
	for len(jobs) < n {
		c, err := db.Claim(b.Context(), w, 160, nil, benchNow)
		if err != nil {
			b.Fatal(err)
		}
		jobs = append(jobs, c.Jobs...)
	}
	taken := zonewire.Outcome{State: zonewire.Accepted, Code: 250, Reply: "2.0.0 Ok"}
	began := time.Now()
	var all sync.WaitGroup
	for i := range conns {
		mine := jobs[i*n/conns : (i+1)*n/conns]
		all.Go(func() {
			err := db.Begin(b.Context(), mine[0], benchNow)
			for k := 1; k < len(mine) && err == nil; k++ {
				_, _, err = db.Turn(b.Context(), mine[k-1], taken, mine[k], benchNow)
			}
			if err == nil {
				err = db.Finish(b.Context(), mine[len(mine)-1], taken, benchNow)
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

// updates gives how many commits of one small update the engine does a second.
func (e engineBench) updates(b *testing.B, n, conns int) float64 {
	b.Helper()
	e.exec(b, `CREATE TABLE bare (id INTEGER PRIMARY KEY, n INTEGER)`)
	e.exec(b, `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 10000) INSERT INTO bare SELECT i, 0 FROM c`)
	if e.name == "sqlite" {
		e.plain.SetMaxOpenConns(1)
		began := time.Now()
		for i := range n {
			e.exec(b, `UPDATE bare SET n = n + 1 WHERE id = $1`, i%10000+1)
		}
		return float64(n) / time.Since(began).Seconds()
	}
	script := filepath.Join(b.TempDir(), "update.sql")
	if err := os.WriteFile(script, []byte("\\set id random(1, 10000)\nUPDATE bare SET n = n + 1 WHERE id = :id;\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("pgbench", "--no-vacuum", "--protocol=prepared", "--file", script, "--client", strconv.Itoa(conns),
		"--transactions", strconv.Itoa(max(n/conns, 200)), e.dsn)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Skipf("pgbench: %v: %s", err, out)
	}
	found := regexp.MustCompile(`tps = ([0-9.]+)`).FindSubmatch(out)
	if found == nil {
		b.Fatalf("pgbench says %s", out)
	}
	tps, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return tps
}

// BenchmarkHits asks the real daemon for a feed 20,000 times, on each engine. A hit touches no SQL: what PostgreSQL commits
// meanwhile is what it commits while nobody asks: commits/hit is what is more, and near 0.
func BenchmarkHits(b *testing.B) {
	onBenchEngines(b, func(b *testing.B, open func() engineBench) {
		bin, err := realBinary()
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			e := open()
			addBenchList(b, e.db, 60)
			w := &wire{b: b, bin: bin, dir: b.TempDir(), dsn: e.dsn, etags: map[string]string{}}
			if err := os.WriteFile(filepath.Join(w.dir, "zonewire.secret"), []byte(strings.Repeat("07", secretBytes)+"\n"), 0o600); err != nil {
				b.Fatal(err)
			}
			w.start()
			w.ask("http://"+w.addr, "/feed.rss")
			commits := func() float64 {
				if e.name == "sqlite" {
					return 0
				}
				n, err := strconv.ParseFloat(pgtest.Query(b, e.dsn, "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"), 64)
				if err != nil {
					b.Fatal(err)
				}
				return n
			}
			const hits, settled = 20_000, 11 * time.Second // a connection that is idle tells its counts after ten
			time.Sleep(settled)
			before, began := commits(), time.Now()
			time.Sleep(settled)
			idle := (commits() - before) / time.Since(began).Seconds()
			before, began = commits(), time.Now()
			var took []time.Duration
			for range hits {
				at := time.Now()
				delete(w.etags, "/feed.rss") // or the answer is 304
				w.ask("http://"+w.addr, "/feed.rss")
				took = append(took, time.Since(at))
			}
			time.Sleep(settled)
			more := commits() - before - idle*time.Since(began).Seconds()
			w.stop()
			b.ReportMetric(micros(took, 50), "µs-p50")
			b.ReportMetric(micros(took, 99), "µs-p99")
			b.ReportMetric(idle, "commits/s-idle")
			b.ReportMetric(more/hits, "commits/hit")
		}
		b.ReportMetric(0, "ns/op")
	})
}

// copied is how long psql takes to COPY the rows of a table into another of the same form, indexes included.
func (e engineBench) copied(b *testing.B, table string) time.Duration {
	b.Helper()
	file := filepath.Join(b.TempDir(), "rows")
	pgtest.Query(b, e.dsn, "CREATE TABLE copied (LIKE "+table+" INCLUDING ALL)")
	pgtest.Query(b, e.dsn, `\copy `+table+` TO '`+file+`'`)
	began := time.Now()
	pgtest.Query(b, e.dsn, `\copy copied FROM '`+file+`'`)
	took := time.Since(began)
	if a, c := pgtest.Query(b, e.dsn, "SELECT count(*) FROM "+table), pgtest.Query(b, e.dsn, "SELECT count(*) FROM copied"); a != c {
		b.Fatalf("copied %s of %s rows", c, a)
	}
	return took
}

// BenchmarkImportPostgres is [BenchmarkImport] on PostgreSQL. The yardsticks are psql: one COPY of the rows that came of it, the
// quickest way in that there is, and the same rows as INSERT statements, 500 a transaction; both with every index.
func BenchmarkImportPostgres(b *testing.B) {
	bin, err := realBinary()
	if err != nil {
		b.Fatal(err)
	}
	n := *benchArticles
	news := filepath.Join(b.TempDir(), "news.ndjson")
	f, err := os.Create(news)
	if err != nil {
		b.Fatal(err)
	}
	if err := newsFile(f, 0, n, 10); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	server := pgtest.Start(b, "fsync=on", "shared_buffers=512MB", "max_wal_size=4GB")
	var rates, copies, inserts, ratios []float64
	for b.Loop() {
		e := engineBench{name: "postgres", dsn: server.Database(b)}
		dir := b.TempDir()
		run := func(args ...string) ran {
			cmd := exec.Command(bin, append([]string{"--db", e.dsn}, args...)...)
			cmd.Dir = dir
			return watched(b, cmd)
		}
		for i := range 10 {
			run("zone", "add", fmt.Sprintf("zone-%d", i), "--name", fmt.Sprintf("第%d经济开发区", i))
		}
		work := run("article", "import", news)
		if !strings.Contains(work.said, fmt.Sprintf("read %d: %d added", n, n)) {
			b.Fatal(work.said)
		}
		copied, inserted := e.copied(b, "article"), e.inserted(b, "article", n)
		per := func(d time.Duration) float64 { return float64(n) / d.Seconds() }
		rates, copies, inserts = append(rates, per(work.took)), append(copies, per(copied)), append(inserts, per(inserted))
		ratios = append(ratios, inserted.Seconds()/work.took.Seconds())
		b.Logf("%.0f articles/s, COPY %.0f/s, INSERT %.0f/s, ratio %.2f", per(work.took), per(copied), per(inserted), inserted.Seconds()/work.took.Seconds())
	}
	b.ReportMetric(median(rates), "articles/s")
	b.ReportMetric(median(copies), "copy-articles/s")
	b.ReportMetric(median(inserts), "insert-articles/s")
	b.ReportMetric(median(ratios), "of-inserts")
	b.ReportMetric(0, "ns/op")
}

// inserted is how long psql takes to run the rows of a table as INSERT statements, 500 a transaction, into another of the same
// form.
func (e engineBench) inserted(b *testing.B, table string, n int) time.Duration {
	b.Helper()
	dump, err := exec.Command("pg_dump", "--data-only", "--inserts", "--table", table, e.dsn).Output()
	if err != nil {
		b.Fatalf("pg_dump: %v", err)
	}
	pgtest.Query(b, e.dsn, "CREATE TABLE inserted (LIKE "+table+" INCLUDING ALL)")
	var script strings.Builder
	script.WriteString("BEGIN;\n")
	rows := 0
	for statement := range strings.SplitAfterSeq(string(dump), ");\n") {
		i := strings.Index(statement, "INSERT INTO public."+table+" ")
		if i < 0 {
			continue
		}
		script.WriteString("INSERT INTO inserted " + strings.TrimPrefix(statement[i:], "INSERT INTO public."+table+" "))
		if rows++; rows%importBatch == 0 {
			script.WriteString("COMMIT;\nBEGIN;\n")
		}
	}
	script.WriteString("COMMIT;\n")
	cmd := exec.Command("psql", "--no-psqlrc", "-q", "-v", "ON_ERROR_STOP=1", "-d", e.dsn)
	cmd.Stdin = strings.NewReader(script.String())
	took := watched(b, cmd).took
	if got := pgtest.Query(b, e.dsn, "SELECT count(*) FROM inserted"); got != strconv.Itoa(n) || rows != n {
		b.Fatalf("inserted %s of %d rows", got, n)
	}
	return took
}

// BenchmarkWriters is how many small transactions a second take the writers' turn, by one connection and by ten: an address that
// is to get no mail, with its line in the audit.
func BenchmarkWriters(b *testing.B) {
	for _, conns := range []int{1, 10} {
		b.Run(fmt.Sprintf("%d_connections", conns), func(b *testing.B) {
			onBenchEngines(b, func(b *testing.B, open func() engineBench) {
				const n = 500
				var rates []float64
				for b.Loop() {
					e := open()
					began := time.Now()
					var all sync.WaitGroup
					for c := range conns {
						all.Go(func() {
							for i := range n / conns {
								if _, err := e.db.AddSuppression(b.Context(), benchAct(), fmt.Sprint(c, " ", i), "bench"); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					all.Wait()
					rates = append(rates, n/time.Since(began).Seconds())
				}
				b.ReportMetric(median(rates), "transactions/s")
				b.ReportMetric(0, "ns/op")
			})
		})
	}
}
