package main

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

var (
	benchFeedZones = flag.Int("feedzones", 2543, "how many zones BenchmarkFeeds has")
	benchFeedNews  = flag.Int("feedarticles", 20_000, "how many articles BenchmarkFeeds has")
)

// BenchmarkFeeds is the daemon with every development zone of the country: how long it takes from start to ready, the
// first time and again; how long a reader that asks for every zone once takes, the first time, and when nothing has
// changed; how much memory it holds after all that; and how long a hit takes while articles pour in, beside the same hits
// while nothing happens.
func BenchmarkFeeds(b *testing.B) {
	bin, err := realBinary()
	if err != nil {
		b.Fatal(err)
	}
	w := &wire{b: b, bin: bin, dir: b.TempDir(), zones: *benchFeedZones, etags: map[string]string{}}
	w.fill(*benchFeedNews)
	more := filepath.Join(w.dir, "more.ndjson")
	err = writeTo(more, func(out io.Writer) error { return newsFile(out, *benchFeedNews, 10_000, w.zones) })
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		first := w.start()
		b.ReportMetric(first.Seconds(), "s-first-ready")
		b.ReportMetric(w.sweep(http.StatusOK).Seconds(), "s-first-sweep")
		b.ReportMetric(peakMB(w.cmd.Process.Pid), "MB-after-sweep")
		w.stop()
		b.ReportMetric(w.start().Seconds(), "s-ready-again")
		b.ReportMetric(w.sweep(http.StatusNotModified).Seconds(), "s-sweep-304")
		b.ReportMetric(peakMB(w.cmd.Process.Pid), "MB-after-restart")

		quiet := w.hits(func() bool { return false }, 3000)
		pour := exec.Command(w.bin, "--db", filepath.Join(w.dir, "zonewire.db"), "article", "import", more)
		if err := pour.Start(); err != nil {
			b.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- pour.Wait() }()
		over := false
		busy := w.hits(func() bool {
			select {
			case err := <-ended:
				if err != nil {
					b.Fatal(err)
				}
				over = true
			default:
			}
			return over
		}, 1<<20)
		b.ReportMetric(micros(quiet, 50), "µs-hit-p50")
		b.ReportMetric(micros(quiet, 99), "µs-hit-p99")
		b.ReportMetric(micros(busy, 50), "µs-pouring-p50")
		b.ReportMetric(micros(busy, 99), "µs-pouring-p99")
		b.ReportMetric(peakMB(w.cmd.Process.Pid), "MB-peak")
		w.stop()
	}
	b.ReportMetric(0, "ns/op")
}

// wire is an installation and its daemon.
type wire struct {
	b     *testing.B
	bin   string
	dir   string
	zones int
	addr  string
	cmd   *exec.Cmd
	etags map[string]string // as the last full sweep found them
}

func (w *wire) fill(n int) {
	w.b.Helper()
	table, news := filepath.Join(w.dir, "zones.csv"), filepath.Join(w.dir, "news.ndjson")
	err := writeTo(table, func(out io.Writer) error {
		c := csv.NewWriter(out)
		rows := [][]string{{"slug", "name", "province"}}
		for i := range w.zones {
			rows = append(rows, []string{fmt.Sprintf("zone-%d", i), fmt.Sprintf("第%d经济开发区", i), fmt.Sprintf("第%d省", i%31)})
		}
		return c.WriteAll(rows)
	})
	err = errors.Join(err, writeTo(news, func(out io.Writer) error { return newsFile(out, 0, n, w.zones) }))
	if err != nil {
		w.b.Fatal(err)
	}
	for _, args := range [][]string{{"zone", "import", table}, {"article", "import", news}} {
		cmd := exec.Command(w.bin, append([]string{"--db", filepath.Join(w.dir, "zonewire.db")}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			w.b.Fatalf("%v: %v: %s", cmd.Args, err, out)
		}
	}
}

// start starts the daemon and gives how long it takes until it is ready.
func (w *wire) start() time.Duration {
	w.b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.b.Fatal(err)
	}
	w.addr = ln.Addr().String()
	if err := ln.Close(); err != nil {
		w.b.Fatal(err)
	}
	w.cmd = exec.Command(w.bin, "--db", filepath.Join(w.dir, "zonewire.db"), "serve")
	w.cmd.Env = append(os.Environ(), "ZONEWIRE_HTTP_LISTEN="+w.addr, "ZONEWIRE_HTTP_BASE_URL=https://news.example.org", "ZONEWIRE_LOG_LEVEL=error")
	w.cmd.Dir, w.cmd.Stderr = w.dir, os.Stderr
	began := time.Now()
	if err := w.cmd.Start(); err != nil {
		w.b.Fatal(err)
	}
	for {
		res, err := http.Get("http://" + w.addr + "/readyz")
		if err == nil {
			if err := res.Body.Close(); err != nil {
				w.b.Fatal(err)
			}
			if res.StatusCode == http.StatusOK {
				return time.Since(began)
			}
		}
		if time.Since(began) > time.Minute {
			w.b.Fatal("the daemon is not ready after a minute")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *wire) stop() {
	w.b.Helper()
	if err := errors.Join(w.cmd.Process.Signal(syscall.SIGTERM), w.cmd.Wait()); err != nil {
		w.b.Fatal(err)
	}
}

// sweep asks for the feed of every zone with the tag that it had last, and wants this answer of each.
func (w *wire) sweep(want int) time.Duration {
	w.b.Helper()
	began := time.Now()
	for i := range w.zones {
		path := fmt.Sprintf("/zones/zone-%d/feed.atom", i)
		res := w.ask(path)
		if res.StatusCode != want {
			w.b.Fatalf("%s: %s, want %d", path, res.Status, want)
		}
		w.etags[path] = res.Header.Get("ETag")
	}
	return time.Since(began)
}

func (w *wire) ask(path string) *http.Response {
	w.b.Helper()
	r, err := http.NewRequestWithContext(w.b.Context(), http.MethodGet, "http://"+w.addr+path, nil)
	if err != nil {
		w.b.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	if tag := w.etags[path]; tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	res, err := http.DefaultClient.Do(r)
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
		err = errors.Join(err, res.Body.Close())
	}
	if err != nil {
		w.b.Fatal(err)
	}
	return res
}

// hits asks for the feed over all zones, which changes with each article, a thousand times a second until over says so, and
// gives how long each answer took. The pace is fixed, so that a slow answer does not hide those that wait behind it.
func (w *wire) hits(over func() bool, most int) []time.Duration {
	w.b.Helper()
	const pace = time.Millisecond
	var took []time.Duration
	due := time.Now()
	for len(took) < most && !over() {
		time.Sleep(time.Until(due))
		w.ask("/feed.rss")
		took = append(took, time.Since(due))
		due = due.Add(pace)
	}
	return took
}

func micros(all []time.Duration, percentile int) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[len(sorted)*percentile/100].Microseconds())
}
