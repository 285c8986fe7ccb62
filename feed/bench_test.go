package feed_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"zonewire"
	"zonewire/feed"
)

// discard is a response writer that keeps nothing, so that the handler is what is measured.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// fullFeed is a store whose first zone has a feed of as many articles as it holds.
func fullFeed() *store { return country(1, 50) }

const benchPath = "/zones/zone-1/feed.rss"

// hit is one of the answers that readers get most.
type hit struct {
	name    string
	headers http.Header // of the request
	answer  *http.Response
	body    []byte
}

func hits(b *testing.B, s http.Handler) []hit {
	etag := request(s, "GET", benchPath, "Accept-Encoding", "gzip").Header.Get("ETag")
	all := []hit{
		{name: "200 gzip", headers: http.Header{"Accept-Encoding": {"gzip"}}},
		{name: "304", headers: http.Header{"Accept-Encoding": {"gzip"}, "If-None-Match": {etag}}},
		{name: "200 plain", headers: http.Header{"Accept-Encoding": {"identity"}}},
	}
	for i := range all {
		r := httptest.NewRequest("GET", benchPath, nil)
		r.Header = all[i].headers
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		all[i].answer = w.Result()
		all[i].body = body(b, all[i].answer)
	}
	return all
}

// bare writes the same bytes.
func (h hit) bare(w http.ResponseWriter, _ *http.Request) {
	maps.Copy(w.Header(), h.answer.Header)
	w.WriteHeader(h.answer.StatusCode)
	_, _ = w.Write(h.body)
}

// lean writes the same body, and no header that it can do without.
func (h hit) lean(w http.ResponseWriter, _ *http.Request) {
	if h.answer.StatusCode == http.StatusOK {
		w.Header()["Content-Type"] = h.answer.Header["Content-Type"]
		w.Header()["Content-Length"] = h.answer.Header["Content-Length"] // or it would come in chunks
	}
	w.WriteHeader(h.answer.StatusCode)
	_, _ = w.Write(h.body)
}

// BenchmarkHit compares a hit with a bare handler that writes the same bytes, with one that leaves out all headers it can,
// and with nginx that serves the exported files, if there is one: over real connections and in turns. "of-bare" is the
// median of the bare handler's times as a share of ours: 0.9 and more is the goal. The last ones show the handler alone.
func BenchmarkHit(b *testing.B) {
	s := feed.NewServer(fullFeed(), site, feed.Options{})
	nginx := startNginx(b, s)
	for _, h := range hits(b, s) {
		b.Run(h.name, func(b *testing.B) {
			names := []string{"ours", "bare", "lean"}
			turns := []func() time.Duration{
				client(b, serve(b, s), h.headers), client(b, serve(b, http.HandlerFunc(h.bare)), h.headers), client(b, serve(b, http.HandlerFunc(h.lean)), h.headers),
			}
			if nginx != "" {
				headers := h.headers.Clone()
				if headers.Get("If-None-Match") != "" { // its tags are its own
					headers.Del("If-None-Match")
					headers.Set("If-Modified-Since", request(s, "GET", benchPath).Header.Get("Last-Modified"))
				}
				names, turns = append(names, "nginx"), append(turns, client(b, nginx, headers))
			}
			times := make([][]time.Duration, len(turns))
			random := rand.New(rand.NewPCG(1, 2))
			for b.Loop() { // in turns, so that all meet the same machine, and nobody always comes after the same one
				for _, k := range random.Perm(len(turns)) {
					times[k] = append(times[k], turns[k]())
				}
			}
			for k, name := range names {
				slices.Sort(times[k])
				if k > 0 {
					b.ReportMetric(float64(at50(times[k]))/float64(at50(times[0])), "of-"+name)
				}
			}
			b.ReportMetric(float64(at50(times[0])), "ns/hit")
			b.ReportMetric(0, "ns/op")
		})
		b.Run(h.name+" handler alone", func(b *testing.B) {
			r := httptest.NewRequest("GET", benchPath, nil)
			maps.Copy(r.Header, h.headers)
			w := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				s.ServeHTTP(w, r)
			}
		})
	}
}

func at50(sorted []time.Duration) time.Duration { return sorted[len(sorted)/2] }
func at99(sorted []time.Duration) time.Duration { return sorted[len(sorted)*99/100] }

// serve gives the address of a server of h that ends with the benchmark.
func serve(b *testing.B, h http.Handler) string {
	b.Helper()
	srv := httptest.NewServer(h)
	b.Cleanup(srv.Close)
	return srv.URL
}

// client gives a function that asks a server once over a kept connection, and tells how long it took. It does next to
// nothing, so that what is measured is the server.
func client(b *testing.B, address string, headers http.Header) func() time.Duration {
	b.Helper()
	host := strings.TrimPrefix(address, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() }) // all is read
	var ask bytes.Buffer
	fmt.Fprintf(&ask, "GET %s HTTP/1.1\r\nHost: %s\r\n", benchPath, host)
	if err := headers.Write(&ask); err != nil {
		b.Fatal(err)
	}
	ask.WriteString("\r\n")
	r := bufio.NewReaderSize(conn, 1<<16)
	once := func() (status string, err error) {
		length := 0
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return "", err
			}
			if status == "" {
				status = string(line[9:12])
			}
			if len(line) > 16 && bytes.EqualFold(line[:16], []byte("Content-Length: ")) {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(line[16:]))); err != nil {
					return "", err
				}
			}
			if len(line) == 2 {
				break
			}
		}
		if status == "304" {
			length = 0
		}
		_, err = r.Discard(length)
		return status, err
	}
	want := "200"
	if headers.Get("If-None-Match") != "" || headers.Get("If-Modified-Since") != "" {
		want = "304"
	}
	return func() time.Duration {
		start := time.Now()
		if _, err := conn.Write(ask.Bytes()); err != nil {
			b.Fatal(err)
		}
		status, err := once()
		took := time.Since(start)
		if err != nil || status != want {
			b.Fatalf("got %s, %v", status, err)
		}
		return took
	}
}

// startNginx serves the exported files on loopback until the benchmark ends, and gives the address. Without an nginx on the
// machine it is empty.
func startNginx(b *testing.B, s *feed.Server) string {
	b.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program = "/usr/sbin/nginx"; exec.Command(program, "-v").Run() != nil {
			b.Log("there is no nginx to compare with")
			return ""
		}
	}
	dir := b.TempDir()
	err = s.Files(b.Context(), func(f feed.File) error {
		path := filepath.Join(dir, "files", filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		for extension, body := range map[string][]byte{"": f.Body, ".gz": f.Codings[".gz"]} {
			if err := os.WriteFile(path+extension, body, 0o644); err != nil {
				return err
			}
			if !f.Modified.IsZero() {
				if err := os.Chtimes(path+extension, f.Modified, f.Modified); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := ln.Addr().String()
	if err := ln.Close(); err != nil {
		b.Fatal(err)
	}
	config := filepath.Join(dir, "nginx.conf")
	// What it may do to be fast, it does.
	text := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes auto; user root;
events { worker_connections 256; }
http {
	types { application/rss+xml rss; }
	access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 600; open_file_cache max=1000;
	client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
	server { listen %[2]s; root %[1]s/files; gzip_static on; if_modified_since before; }
}
`, dir, address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	cmd := exec.CommandContext(ctx, program, "-p", dir, "-c", config)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was told to end
	})
	for range 100 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close() // nothing was sent
			return "http://" + address
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatal("nginx does not answer")
	return ""
}

// BenchmarkNewArticle is what one new article costs in a feed of 50: reading, rendering three formats, recording, and
// coding each for readers.
func BenchmarkNewArticle(b *testing.B) {
	src := fullFeed()
	s := feed.NewServer(src, site, feed.Options{})
	request(s, "GET", benchPath)
	now := time.Now()
	for n := 0; b.Loop(); n++ {
		now = now.Add(2 * time.Second)
		src.file(zonewire.Article{ID: int64(1_000_000 + n), ZoneID: 1, Title: "快讯", ContentHTML: "<p>" + strings.Repeat("园区今日召开会议,部署下一步工作。", 20) + "</p>"}, now)
		if err := feed.Refresh(b.Context(), s, 1); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHitWhileArticlesPourIn is the time of a hit while a writer changes the feed that is asked for and others, and
// that of the bare handler in the same seconds.
func BenchmarkHitWhileArticlesPourIn(b *testing.B) {
	src := country(20, 50)
	s := feed.NewServer(src, site, feed.Options{Hubs: []string{"https://hub.example.com/"}})
	for id := range 20 {
		request(s, "GET", fmt.Sprintf("/zones/zone-%d/feed.rss", id+1))
	}
	h := hits(b, s)[0]
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 2)
	go func() { done <- s.Run(ctx) }()
	go func() {
		for n := 0; ctx.Err() == nil; n++ {
			src.file(zonewire.Article{ID: int64(1_000_000 + n), ZoneID: int64(n%20) + 1, Title: "快讯", ContentHTML: "<p>正文</p>"}, time.Now())
			time.Sleep(5 * time.Millisecond)
		}
		done <- nil
	}()
	ours, bare := client(b, serve(b, s), h.headers), client(b, serve(b, http.HandlerFunc(h.bare)), h.headers)
	var took, base []time.Duration
	for n := 0; b.Loop(); n++ {
		if n%2 == 0 {
			base = append(base, bare())
		}
		took = append(took, ours())
		if n%2 == 1 {
			base = append(base, bare())
		}
	}
	cancel()
	if err := errors.Join(<-done, <-done); err != nil {
		b.Fatal(err)
	}
	for _, m := range []struct {
		name  string
		times []time.Duration
	}{{"ours", took}, {"bare", base}} {
		slices.Sort(m.times)
		b.ReportMetric(float64(at50(m.times).Microseconds()), m.name+"-p50-us")
		b.ReportMetric(float64(at99(m.times).Microseconds()), m.name+"-p99-us")
	}
	b.ReportMetric(float64(s.Stats().Renderings), "renderings")
}

// indexed is a store that finds what belongs to a zone without looking at all others, as a database does.
type indexed struct {
	*store
	byZone map[int64][]zonewire.Article // newest change first
	byID   map[int64]zonewire.Article
}

func newIndexed(src *store) *indexed {
	x := &indexed{src, map[int64][]zonewire.Article{}, map[int64]zonewire.Article{}}
	for _, a := range slices.Backward(src.articles) {
		x.byZone[a.ZoneID], x.byID[a.ID] = append(x.byZone[a.ZoneID], a), a
	}
	return x
}

func (x *indexed) Heads(ctx context.Context, q zonewire.ArticleQuery) (heads []zonewire.Head, err error) {
	if q.ZoneID == 0 {
		return x.store.Heads(ctx, q)
	}
	for _, a := range x.byZone[q.ZoneID] {
		heads = append(heads, headOf(a))
	}
	return heads[:min(len(heads), q.Limit)], nil
}

func (x *indexed) ArticlesByID(_ context.Context, ids []int64) (found []zonewire.Article, err error) {
	for _, id := range ids {
		found = append(found, x.byID[id])
	}
	return found, nil
}

func (x *indexed) Arrivals(_ context.Context, zone int64) ([]zonewire.ArrivedIn, error) {
	return []zonewire.ArrivedIn{{Month: 202603, Articles: len(x.byZone[zone])}}, nil
}

// BenchmarkCountry asks for the feed of each of 2,543 zones, and reports what is in memory then, and how long a start over
// the same store takes until all of them have been served again.
func BenchmarkCountry(b *testing.B) {
	const zones = 2543
	src := newIndexed(country(zones, 50))
	ask := func(s *feed.Server) {
		for id := range zones {
			if r := request(s, "GET", fmt.Sprintf("/zones/zone-%d/feed.rss", id+1), "Accept-Encoding", "gzip"); r.StatusCode != 200 {
				b.Fatalf("got %s", r.Status)
			}
		}
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // what pools hold outlives one
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	ask(feed.NewServer(src, site, feed.Options{CacheBytes: 1}))
	before := heap()
	for b.Loop() {
		s := feed.NewServer(src, site, feed.Options{})
		start := time.Now()
		request(s, "GET", "/feed.rss")
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-to-first-feed")
		start = time.Now()
		ask(s)
		b.ReportMetric(float64(time.Since(start).Microseconds())/zones, "us/cold-feed")
		b.ReportMetric(float64(s.Stats().CachedBytes), "bytes-kept")
		b.ReportMetric(float64(heap()-before), "heap-bytes")
		b.ReportMetric(float64(s.Stats().Cached), "feeds-kept")
		if n := s.Stats().Renderings; n > 1 {
			b.Errorf("a start over what is recorded rendered %d times", n)
		}
	}
}
