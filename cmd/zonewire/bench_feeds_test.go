package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
// changed; how much memory it holds after all that; and how long a hit takes while nothing happens and while articles pour
// in, beside a bare handler in this process that writes as many bytes, in turns: the import and both of them share the
// processors.
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

		bare := httptest.NewServer(http.HandlerFunc(w.bare))
		quiet, bareQuiet := w.hits(bare.URL, func() bool { return false }, 3000)
		pour := exec.Command(w.bin, "--db", filepath.Join(w.dir, "zonewire.db"), "article", "import", more)
		if err := pour.Start(); err != nil {
			b.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- pour.Wait() }()
		over := false
		busy, bareBusy := w.hits(bare.URL, func() bool {
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
		bare.Close()
		for name, took := range map[string][]time.Duration{"hit": quiet, "bare-hit": bareQuiet, "pouring": busy, "bare-pouring": bareBusy} {
			b.ReportMetric(micros(took, 50), "µs-"+name+"-p50")
			b.ReportMetric(micros(took, 99), "µs-"+name+"-p99")
		}
		b.ReportMetric(peakMB(w.cmd.Process.Pid), "MB-peak")
		w.stop()
	}
	b.ReportMetric(0, "ns/op")
}

// wire is an installation and its daemon.
type wire struct {
	b      *testing.B
	bin    string
	dir    string
	dsn    string // empty: a file in dir
	zones  int
	addr   string
	cmd    *exec.Cmd
	packed []byte            // what the bare handler writes
	etags  map[string]string // as the last full sweep found them
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
	w.cmd = exec.Command(w.bin, "--db", cmp.Or(w.dsn, filepath.Join(w.dir, "zonewire.db")), "serve")
	w.cmd.Env = append(os.Environ(), "ZONEWIRE_HTTP_LISTEN="+w.addr, "ZONEWIRE_HTTP_BASE_URL=https://news.example.org", "ZONEWIRE_LOG_LEVEL=error", "ZONEWIRE_SECRET_FILE="+filepath.Join(w.dir, "zonewire.secret"))
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
		res := w.ask("http://"+w.addr, path)
		if res.StatusCode != want {
			w.b.Fatalf("%s: %s, want %d", path, res.Status, want)
		}
		w.etags[path] = res.Header.Get("ETag")
	}
	return time.Since(began)
}

func (w *wire) ask(base, path string) *http.Response {
	w.b.Helper()
	r, err := http.NewRequestWithContext(w.b.Context(), http.MethodGet, base+path, nil)
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

// bare writes as many bytes as the feed over all zones has packed, and does nothing else.
func (w *wire) bare(out http.ResponseWriter, _ *http.Request) {
	out.Header().Set("Content-Encoding", "gzip")
	_, _ = out.Write(w.packed) // a client that has gone fails by itself
}

// hits asks for the feed over all zones, which changes with each article, and the bare handler in turns until over says so,
// and gives how long each answer took.
func (w *wire) hits(bare string, over func() bool, most int) (took, bareTook []time.Duration) {
	w.b.Helper()
	res := w.ask("http://"+w.addr, "/feed.rss")
	w.packed = make([]byte, res.ContentLength)
	for len(took) < most && !over() {
		began := time.Now()
		w.ask("http://"+w.addr, "/feed.rss")
		middle := time.Now()
		w.ask(bare, "/")
		took, bareTook = append(took, middle.Sub(began)), append(bareTook, time.Since(middle))
		time.Sleep(time.Millisecond)
	}
	return took, bareTook
}

func micros(all []time.Duration, percentile int) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[len(sorted)*percentile/100].Microseconds())
}
