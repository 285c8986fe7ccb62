package feed_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zonewire"
	"zonewire/feed"
)

func TestDatabaseDownBeforeAnythingIsLoaded(t *testing.T) {
	src := newStore()
	src.down = errDown
	s := feed.NewServer(src, site, feed.Options{})
	for _, path := range []string{zoneRSS, allAtom} {
		r := request(s, "GET", path)
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s: got %d, Retry-After %q", path, r.StatusCode, r.Header.Get("Retry-After"))
		}
	}
	if s.Ready() {
		t.Error("ready without a feed")
	}
	src.alter(func() { src.down = nil })
	if r := request(s, "GET", allAtom); r.StatusCode != 200 || !s.Ready() {
		t.Errorf("after the database came back: got %d, ready %v", r.StatusCode, s.Ready())
	}
}

func TestManyFirstReadersCauseOneRendering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newStore()
		src.gate = make(chan struct{})
		s := feed.NewServer(src, site, feed.Options{})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if r := request(s, "GET", zoneRSS); r.StatusCode != 200 {
					t.Errorf("got %d", r.StatusCode)
				}
			})
		}
		synctest.Wait() // all of them wait
		close(src.gate)
		wg.Wait()
		if src.heads != 1 {
			t.Errorf("articles were read %d times", src.heads)
		}
	})
}

func TestFirstReaderDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newStore()
		src.gate = make(chan struct{})
		s := feed.NewServer(src, site, feed.Options{})
		var wg sync.WaitGroup
		wg.Go(func() { request(s, "GET", zoneRSS) })
		synctest.Wait()
		if r := request(s, "GET", zoneRSS); r.StatusCode != 503 {
			t.Errorf("got %d, want 503", r.StatusCode)
		}
		close(src.gate)
		wg.Wait()
	})
}

// running gives a server that follows src until the test ends.
func running(t *testing.T, src *store, log *slog.Logger) *feed.Server {
	t.Helper()
	s := feed.NewServer(src, site, feed.Options{Log: log})
	t.Cleanup(start(t, s))
	synctest.Wait()
	return s
}

// start runs a server until it is stopped.
func start(t *testing.T, s *feed.Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestRunShowsChangesWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newStore()
		s := running(t, src, quiet)
		if !s.Ready() {
			t.Fatal("the feeds over all zones are not rendered at once")
		}
		get := func(path string) (string, http.Header) {
			r := request(s, "GET", path)
			return string(body(t, r)), r.Header
		}
		_, other := get("/zones/linhai-port/feed.json")
		_, before := get(zoneRSS)
		// Changes that follow each other fast, at every part of a second.
		last := before
		for i, pause := range []time.Duration{3 * time.Second, 10 * time.Millisecond, 400 * time.Millisecond, 990 * time.Millisecond, 70 * time.Millisecond} {
			time.Sleep(pause)
			title := "快讯" + strconv.Itoa(i)
			src.file(zonewire.Article{ID: int64(2000 + i), ZoneID: 7, Title: title, ContentHTML: "<p>正文</p>"}, time.Now())
			time.Sleep(time.Second)
			synctest.Wait()
			for _, path := range []string{zoneRSS, allAtom} {
				if text, _ := get(path); !strings.Contains(text, title) {
					t.Errorf("%s does not show %s after a second", path, title)
				}
			}
			_, now := get(zoneRSS)
			if now.Get("ETag") == last.Get("ETag") || !parseDate(t, now).After(parseDate(t, last)) || parseDate(t, now).After(time.Now()) {
				t.Errorf("at %v validators went from %s %s to %s %s", time.Now(), last.Get("ETag"), last.Get("Last-Modified"), now.Get("ETag"), now.Get("Last-Modified"))
			}
			last = now
		}
		if _, now := get("/zones/linhai-port/feed.json"); now.Get("ETag") != other.Get("ETag") || now.Get("Last-Modified") != other.Get("Last-Modified") {
			t.Error("another zone's feed changed")
		}
	})
}

// Two versions in one second would share a Last-Modified, and a reader without ETags would stay on the first.
func TestTwoVersionsNeverShareALastModified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newStore()
		s := running(t, src, quiet)
		seen := map[string]string{}
		for i := range 60 {
			src.file(zonewire.Article{ID: int64(2000 + i), ZoneID: 7, Title: "快讯"}, time.Now())
			time.Sleep(130 * time.Millisecond)
			synctest.Wait()
			h := request(s, "GET", "/feed.rss").Header
			if tag, ok := seen[h.Get("Last-Modified")]; ok && tag != h.Get("ETag") {
				t.Fatalf("%s has the tags %s and %s", h.Get("Last-Modified"), tag, h.Get("ETag"))
			}
			seen[h.Get("Last-Modified")] = h.Get("ETag")
		}
		if len(seen) < 6 {
			t.Errorf("in 8 seconds of changes there were %d versions", len(seen))
		}
	})
}

func parseDate(t *testing.T, h http.Header) time.Time {
	t.Helper()
	d, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRunFollowsZonesAndWithdrawals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newStore()
		s := running(t, src, quiet)
		step := func(change func()) {
			src.alter(change)
			time.Sleep(time.Second)
			synctest.Wait()
		}
		status := func(path string) int { return request(s, "GET", path).StatusCode }
		before := request(s, "GET", zoneRSS)
		time.Sleep(5 * time.Second)

		step(func() {
			src.articles[0].Withdrawn, src.articles[0].Change = time.Now(), 97
			src.gen.Articles++
		})
		after := request(s, "GET", zoneRSS, "If-Modified-Since", before.Header.Get("Last-Modified"))
		if after.StatusCode != 200 || strings.Contains(string(body(t, after)), "item/1006") {
			t.Errorf("a withdrawn article: got %d and the article", after.StatusCode)
		}

		step(func() {
			src.zones[0].Name = "金坛国家级开发区"
			src.gen.Zones++
		})
		for _, path := range []string{zoneRSS, allAtom} {
			if !strings.Contains(string(body(t, request(s, "GET", path))), "金坛国家级开发区") {
				t.Errorf("%s does not show the zone's new name", path)
			}
		}

		step(func() {
			src.zones[0].Slug, src.former["jintan-edz"] = "jintan", "jintan"
			src.gen.Zones++
		})
		if got := status(zoneRSS); got != 301 {
			t.Errorf("a renamed zone: got %d, want 301", got)
		}
		if got := status("/zones/jintan/feed.rss"); got != 200 {
			t.Errorf("its new name: got %d, want 200", got)
		}

		step(func() {
			src.zones[0].Closed = time.Now()
			src.gen.Zones++
		})
		if got := status("/zones/jintan/feed.rss"); got != 410 {
			t.Errorf("a closed zone: got %d, want 410", got)
		}

		status("/zones/new/feed.rss")
		step(func() {
			src.zones = append(src.zones, zonewire.Zone{ID: 40, Slug: "new", Name: "新区", Created: time.Now()})
			src.gen.Zones++
		})
		if got := status("/zones/new/feed.rss"); got != 200 {
			t.Errorf("a zone that was asked for before it was there: got %d, want 200", got)
		}

		step(func() { // a backup is restored: the counters go back
			src.articles = src.articles[2:]
			src.gen.Articles = 94
			clear(src.versions)
		})
		if strings.Contains(string(body(t, request(s, "GET", allAtom))), "item/1005") {
			t.Error("after a restore the feed shows what is no more")
		}
	})
}

func TestChangeDuringTheFirstRenderingIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newStore()
		s := running(t, src, quiet)
		gate := make(chan struct{})
		src.alter(func() { src.gate = gate })
		var wg sync.WaitGroup
		wg.Go(func() { request(s, "GET", zoneRSS) })
		synctest.Wait() // it has read, and renders
		src.file(zonewire.Article{ID: 2000, ZoneID: 7, Title: "迟到的新闻"}, time.Now())
		time.Sleep(2 * time.Second)
		src.alter(func() { src.gate = nil })
		close(gate)
		wg.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		if !strings.Contains(string(body(t, request(s, "GET", zoneRSS))), "迟到的新闻") {
			t.Error("the feed stays as it was before the change")
		}
	})
}

func TestRunSurvivesADatabaseThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		src := newStore()
		s := running(t, src, slog.New(slog.NewTextHandler(&text, nil)))
		before := request(s, "GET", allAtom).Header
		src.alter(func() { src.down = errDown })
		src.file(zonewire.Article{ID: 2000, ZoneID: 7, Title: "故障期间的新闻"}, time.Now())
		asked := 0
		src.alter(func() { asked = src.queries })
		time.Sleep(time.Minute)
		synctest.Wait()
		if r := request(s, "GET", allAtom); r.StatusCode != 200 || r.Header.Get("ETag") != before.Get("ETag") {
			t.Errorf("while it is down: got %d %s", r.StatusCode, r.Header.Get("ETag"))
		}
		if r := request(s, "GET", allAtom, "If-None-Match", before.Get("ETag")); r.StatusCode != 304 {
			t.Errorf("while it is down, a reader that has the feed: got %d", r.StatusCode)
		}
		src.alter(func() { asked, src.down = src.queries-asked, nil })
		if asked > 20 {
			t.Errorf("a database that was down for a minute was asked %d times", asked)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !strings.Contains(string(body(t, request(s, "GET", allAtom))), "故障期间的新闻") {
			t.Error("after it came back the news is missing")
		}
		if n := strings.Count(text.String(), "level=ERROR"); n != 1 {
			t.Errorf("logged %d errors, want one:\n%s", n, text.String())
		}
	})
}

// Readers, a writer and Run at once, for the race detector. What a reader gets is whole: headers and body of one version.
func TestReadersNeverSeeHalfAVersion(t *testing.T) {
	src := newStore()
	s := feed.NewServer(src, site, feed.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	var mu sync.Mutex
	bodies := map[string]string{}
	var readers sync.WaitGroup
	for i := range 4 {
		path := []string{zoneRSS, allAtom, "/zones/linhai-port/feed.json", "/zones/nowhere/feed.rss"}[i]
		readers.Go(func() {
			for range 300 {
				r := request(s, "GET", path)
				b := string(body(t, r))
				if r.StatusCode != 200 {
					continue
				}
				mu.Lock()
				if old, ok := bodies[r.Header.Get("ETag")]; ok && old != b {
					t.Errorf("%s: one tag, two bodies", path)
				}
				bodies[r.Header.Get("ETag")] = b
				mu.Unlock()
			}
		})
	}
	for i := range 50 {
		src.file(zonewire.Article{ID: int64(2000 + i), ZoneID: 7 + 5*int64(i%2), Title: "快讯"}, time.Now())
		src.alter(func() { src.gen.Zones++ })
		time.Sleep(5 * time.Millisecond)
	}
	readers.Wait()
	cancel()
	wg.Wait()
}
