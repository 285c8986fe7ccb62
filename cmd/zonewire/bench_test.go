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
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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

// fillPeople makes n subscribers of a list over so many mail domains, past the store's methods: they commit one by one, as
// people come.
func fillPeople(b *testing.B, path string, list int64, n, domains int) {
	b.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_busy_timeout=10000&_foreign_keys=on")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	addPeople(b, db, list, n, domains)
}

// addPeople is one text for both engines: ?1 and $1 are the same to SQLite.
func addPeople(b *testing.B, db *sql.DB, list int64, n, domains int) {
	b.Helper()
	for _, insert := range []struct {
		text string
		args []any
	}{
		{`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < $1)
			INSERT INTO subscriber (email, email_key, address_hash, provider, name, locale, created_ms, erased_ms)
			SELECT 'reader' || i || '@' || (i % $2) || '.example.net', 'reader' || i || '@' || (i % $2) || '.example.net', 'h' || i,
				(i % $2) || '.example.net', '', '', 1, 0 FROM c`, []any{n, domains}},
		{`INSERT INTO subscription (subscriber_id, list_id, state, zones, confirmed_ms, consent, paused_until_ms, created_ms, ended_ms)
			SELECT id, $1, 'active', '', 1, 'bench', 0, 1, 0 FROM subscriber`, []any{list}},
	} {
		if _, err := db.Exec(insert.text, insert.args...); err != nil {
			b.Fatal(err)
		}
	}
}

// benchDigest makes a store with one list of n readers over so many mail domains, and articles that wait for its first
// digest.
func benchDigest(b *testing.B, n, domains, articles int) (*store.DB, *digest.Planner, zonewire.Secret) {
	b.Helper()
	db, _, planner, secret := benchDigestAt(b, n, domains, articles)
	return db, planner, secret
}

// benchDigestAt gives the file too.
func benchDigestAt(b *testing.B, n, domains, articles int) (*store.DB, string, *digest.Planner, zonewire.Secret) {
	b.Helper()
	db, path := benchStore(b, ingest.NewMatcher)
	list := addBenchList(b, db, articles)
	fillPeople(b, path, list, n, domains)
	planner, secret := benchPlanner(b)
	return db, path, planner, secret
}

// addBenchList adds a list without readers, and the articles of its first digest.
func addBenchList(b *testing.B, db *store.DB, articles int) int64 {
	b.Helper()
	addBenchZones(b, db)
	list, err := db.AddList(b.Context(), benchAct(), zonewire.List{
		Slug: "bench", Title: "开发区早报", Schedule: "0 8 * * *", Timezone: "Asia/Shanghai", All: true, Locale: zonewire.LocaleZH,
		MaxItems: 60, MaxAge: zonewire.DefaultMaxAge, CatchUp: zonewire.DefaultCatchUp, NextSlot: benchNow.Add(time.Hour),
	}, time.Time{})
	if err != nil {
		b.Fatal(err)
	}
	var all []zonewire.Article
	for r := range ingest.Read("bench.ndjson", bytes.NewReader(newsLines(articles)), ingest.Options{Now: benchNow, Format: ingest.NDJSON}) {
		all = append(all, r.Article)
	}
	if _, err := db.PutArticles(b.Context(), benchAct(), all); err != nil {
		b.Fatal(err)
	}
	return list.ID
}

func benchPlanner(b *testing.B) (*digest.Planner, zonewire.Secret) {
	b.Helper()
	set, err := templates.Load("")
	if err != nil {
		b.Fatal(err)
	}
	secret := zonewire.Secret(bytes.Repeat([]byte{7}, secretBytes))
	return &digest.Planner{Composer: digest.NewRenderer(set), Secret: secret, From: "News <news@example.com>", BaseURL: "https://news.example.com"}, secret
}

// BenchmarkDrain sends a digest to 2,000 readers over 10 connections to a server on loopback, every begin and outcome on
// disk; the yardstick sends the same bytes over as many connections and records nothing.
func BenchmarkDrain(b *testing.B) {
	const n, connections = 2000, 10
	var work, yard time.Duration
	for b.Loop() {
		db, planner, secret := benchDigest(b, n, 1, 60)
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

// benchCut plans the digest that waits.
func benchCut(b *testing.B, db *store.DB, planner *digest.Planner, n int) {
	b.Helper()
	if d, err := db.CutDigest(b.Context(), benchAct(), "bench", benchNow, planner); err != nil || d.Recipients != n {
		b.Fatalf("planned %d: %v", d.Recipients, err)
	}
}

// usual is a digest as most lists have it.
const (
	usualArticles = 12
	usualDomains  = 300
)

// startSink starts Postfix's smtp-sink, which takes every mail and keeps none, and gives its port.
func startSink(b *testing.B) int {
	b.Helper()
	if _, err := exec.LookPath("smtp-source"); err != nil {
		b.Skip("smtp-source is not installed (Debian: apt-get install postfix)")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	args := []string{addr, "100"}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "nobody"}, args...) // it refuses to serve as root
	}
	sink := exec.Command("smtp-sink", args...)
	if err := sink.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = sink.Process.Kill()
		_ = sink.Wait() // it was killed
	})
	for range 100 {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return port
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.Fatal("smtp-sink does not answer")
	return 0
}

// sized measures the mails that it passes on.
type sized struct {
	outbox.Transport
	bytes, mails atomic.Int64
}

func (s *sized) Dial(ctx context.Context) (outbox.Conn, error) {
	c, err := s.Transport.Dial(ctx)
	return sizedConn{c, s}, err
}

type sizedConn struct {
	outbox.Conn
	s *sized
}

func (c sizedConn) Send(ctx context.Context, e outbox.Envelope) outbox.Reply {
	c.s.bytes.Add(int64(len(e.Message)))
	c.s.mails.Add(1)
	return c.Conn.Send(ctx, e)
}

// BenchmarkDrainBesideSMTPSource sends a digest over 10 connections to Postfix's smtp-sink, every begin and outcome on
// disk; the yardstick is Postfix's smtp-source, which sends as many mails of the same size over as many connections to
// the same sink, makes none of them and records nothing. The two take turns; of-smtp-source is the median of the turns.
func BenchmarkDrainBesideSMTPSource(b *testing.B) {
	port := startSink(b)
	for _, size := range []struct {
		name        string
		articles, n int
		connections int
	}{{"12_articles", usualArticles, 10_000, 10}, {"60_articles", 60, 5000, 10}, {"12_articles_40_connections", usualArticles, 10_000, 40}} {
		b.Run(size.name, func(b *testing.B) { drainBeside(b, port, size.n, size.articles, size.connections) })
	}
}

func drainBeside(b *testing.B, port, n, articles, connections int) {
	tr, err := outbox.NewSMTP(outbox.SMTPConfig{Host: "127.0.0.1", Port: port, TLS: "none"})
	if err != nil {
		b.Fatal(err)
	}
	var rates, yards, ratios []float64
	for b.Loop() {
		db, planner, secret := benchDigest(b, n, usualDomains, articles)
		benchCut(b, db, planner, n)
		counted := &sized{Transport: tr}
		agent := outbox.New(db, counted, outbox.Composer{Secret: secret, Address: address.Parse}, outbox.Options{Connections: connections, Log: slog.New(slog.DiscardHandler)})
		began := time.Now()
		counts, err := agent.Drain(b.Context(), nil)
		work := time.Since(began).Seconds()
		if err != nil || counts[zonewire.Accepted] != n {
			b.Fatalf("sent %v: %v", counts, err)
		}
		size := counted.bytes.Load() / counted.mails.Load()
		began = time.Now()
		out, err := exec.Command("smtp-source", "-d", "-s", strconv.Itoa(connections), "-m", strconv.Itoa(n), "-l", strconv.FormatInt(size, 10),
			"-f", "a@example.com", "-t", "b@example.net", fmt.Sprintf("127.0.0.1:%d", port)).CombinedOutput()
		yard := time.Since(began).Seconds()
		if err != nil {
			b.Fatalf("smtp-source: %v: %s", err, out)
		}
		rates, yards, ratios = append(rates, float64(n)/work), append(yards, float64(n)/yard), append(ratios, yard/work)
		b.Logf("%d mails of %d bytes: %.0f/s, smtp-source %.0f/s, ratio %.2f", n, size, float64(n)/work, float64(n)/yard, yard/work)
	}
	b.ReportMetric(median(rates), "mails/s")
	b.ReportMetric(median(yards), "smtp-source-mails/s")
	b.ReportMetric(median(ratios), "of-smtp-source")
	b.ReportMetric(slices.Min(ratios), "of-smtp-source-min")
	b.ReportMetric(slices.Max(ratios), "of-smtp-source-max")
	b.ReportMetric(0, "ns/op")
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// discard takes so many mails and then stops who sends them; it measures from the first to the last.
type discard struct {
	want        int64
	stop        context.CancelFunc
	taken       atomic.Int64
	began, wall time.Duration
	busy        time.Duration // of the processor
}

func (d *discard) Dial(context.Context) (outbox.Conn, error) { return discardConn{d}, nil }

type discardConn struct{ d *discard }

func (c discardConn) Usable() bool { return true }
func (c discardConn) Close() error { return nil }

func (c discardConn) Send(context.Context, outbox.Envelope) outbox.Reply {
	switch c.d.taken.Add(1) {
	case 1:
		c.d.began, c.d.busy = time.Since(benchStart), -processorTime()
	case c.d.want:
		c.d.wall, c.d.busy = time.Since(benchStart)-c.d.began, c.d.busy+processorTime()
		c.d.stop()
	}
	return outbox.Reply{Stage: outbox.StageDot, Code: 250, Text: "2.0.0 Ok"}
}

var benchStart = time.Now()

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err) // no reason is known
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkCostPerMail shows that a mail costs the same whatever waits behind it: claim, composing, begin and outcome of
// 1,000 mails out of a backlog, over 10 connections that discard them. of-1k compares processor time, which other work
// on the machine changes least; 1.00 is flat.
func BenchmarkCostPerMail(b *testing.B) {
	const sent = 1000
	var base float64
	for _, size := range []struct {
		name string
		n    int
	}{{"1k", 1000}, {"10k", 10_000}, {"100k", 100_000}, {"1M", 1_000_000}} {
		b.Run(size.name, func(b *testing.B) {
			var (
				db          *store.DB
				secret      zonewire.Secret
				planner     *digest.Planner
				left        int
				walls, cpus []float64
			)
			for b.Loop() {
				if left < sent {
					b.StopTimer()
					db, planner, secret = benchDigest(b, size.n, usualDomains, usualArticles)
					benchCut(b, db, planner, size.n)
					left = size.n
					b.StartTimer()
				}
				ctx, cancel := context.WithCancel(b.Context())
				tr := &discard{want: sent, stop: cancel}
				agent := outbox.New(db, tr, outbox.Composer{Secret: secret, Address: address.Parse}, outbox.Options{Connections: 10, Log: slog.New(slog.DiscardHandler)})
				if err := agent.Run(ctx); err != nil {
					b.Fatal(err)
				}
				left -= int(tr.taken.Load())
				walls, cpus = append(walls, tr.wall.Seconds()*1e6/sent), append(cpus, tr.busy.Seconds()*1e6/sent)
			}
			if base == 0 {
				base = median(cpus)
			}
			b.ReportMetric(median(walls), "µs/mail")
			b.ReportMetric(median(cpus), "cpu-µs/mail")
			b.ReportMetric(median(cpus)/base, "of-1k")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkDrainMemory is the peak memory of the real program that sends a digest of 12 articles to 100,000 people.
func BenchmarkDrainMemory(b *testing.B) {
	const n = 100_000
	port := startSink(b)
	bin, err := realBinary()
	if err != nil {
		b.Fatal(err)
	}
	var peaks, rates []float64
	for b.Loop() {
		dir := b.TempDir()
		command := func(args ...string) *exec.Cmd {
			cmd := exec.Command(bin, args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "ZONEWIRE_MAIL_TRANSPORT=smtp", "ZONEWIRE_MAIL_HOST=127.0.0.1", fmt.Sprintf("ZONEWIRE_MAIL_PORT=%d", port),
				"ZONEWIRE_MAIL_TLS=none", "ZONEWIRE_MAIL_FROM=News <news@example.com>")
			return cmd
		}
		if err := os.WriteFile(filepath.Join(dir, "news.ndjson"), newsLines(usualArticles), 0o600); err != nil {
			b.Fatal(err)
		}
		setup := [][]string{{"list", "add", "bench", "--title", "开发区早报", "--schedule", "0 8 * * *", "--all"}}
		for i := range 10 {
			setup = append(setup, []string{"zone", "add", fmt.Sprintf("zone-%d", i), "--name", fmt.Sprintf("第%d经济开发区", i)})
		}
		for _, args := range append(setup, []string{"article", "import", "news.ndjson"}) {
			if out, err := command(args...).CombinedOutput(); err != nil {
				b.Fatalf("zonewire %v: %v: %s", args, err, out)
			}
		}
		fillPeople(b, filepath.Join(dir, "zonewire.db"), 1, n, usualDomains)
		if out, err := command("digest", "cut", "bench").CombinedOutput(); err != nil {
			b.Fatalf("zonewire digest cut: %v: %s", err, out)
		}
		drain := watched(b, command("outbox", "drain"))
		if !strings.Contains(drain.said, strconv.Itoa(n)+" accepted") {
			b.Fatalf("zonewire outbox drain: %s", drain.said)
		}
		peaks, rates = append(peaks, drain.peak), append(rates, n/drain.took.Seconds())
	}
	b.ReportMetric(median(peaks), "peak-MB")
	b.ReportMetric(median(rates), "mails/s")
	b.ReportMetric(0, "ns/op")
}

// ran is what became of a program.
type ran struct {
	said       string
	took, busy time.Duration // by the clock, and of processors
	peak       float64       // the most memory that it held, in MB
}

// watched runs a program to its end.
func watched(b *testing.B, cmd *exec.Cmd) (r ran) {
	b.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			r.took, r.said = time.Since(began), out.String()
			if err != nil {
				b.Fatalf("%v: %v: %s", cmd.Args, err, r.said)
			}
			r.busy = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			return r
		case <-time.After(20 * time.Millisecond):
			r.peak = max(r.peak, peakMB(cmd.Process.Pid))
		}
	}
}

// peakMB is the most memory that a process has held so far; 0 if it has ended. What the kernel tells of an ended child
// would count the memory of its parent too.
func peakMB(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kB float64
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		return 0 // it ends just now
	}
	return kB / 1000
}

// BenchmarkClaim claims the 100 mails that are due among a million that rest until later, over 5,000 domains: a claim
// looks at some groups and no more, so several go round once.
func BenchmarkClaim(b *testing.B) {
	const n, domains, due = 1_000_000, 5000, 100
	db, path, planner, _ := benchDigestAt(b, n, domains, 1)
	benchCut(b, db, planner, n)
	plain, err := sql.Open("sqlite3", "file:"+path+"?_busy_timeout=10000")
	if err != nil {
		b.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Exec(`UPDATE delivery SET state = 2, next_ms = ?1 WHERE id % ?2 <> 0`, benchNow.Add(time.Hour).UnixMilli(), n/due-1); err != nil {
		b.Fatal(err)
	}
	worker, err := db.StartWorker(b.Context(), benchNow)
	if err != nil {
		b.Fatal(err)
	}
	var each []float64
	for b.Loop() {
		for claimed := 0; claimed < due; {
			began := time.Now()
			claim, err := db.Claim(b.Context(), worker, 160, nil, benchNow)
			each = append(each, time.Since(began).Seconds()*1e3)
			if err != nil || len(claim.Jobs) == 0 && claim.FreeAt.IsZero() {
				b.Fatalf("claimed %d of %d, no more: %v", claimed, due, err)
			}
			claimed += len(claim.Jobs)
		}
		if _, err := db.Release(b.Context(), worker, benchNow); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(median(each), "ms/claim")
	b.ReportMetric(slices.Max(each), "ms/claim-max")
	b.ReportMetric(0, "ns/op")
}
