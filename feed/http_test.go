package feed_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/feed"
)

var quiet = slog.New(slog.DiscardHandler)

// request asks a handler as a reader does; headers are name, value, name, value. Headers whose name is the same are sent
// as several lines.
func request(h http.Handler, method, target string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, r *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	zoneRSS = "/zones/jintan-edz/feed.rss"
	allAtom = "/feed.atom"
)

func TestConditionalRequests(t *testing.T) {
	s := feed.NewServer(newStore(), site, quiet)
	first := request(s, "GET", zoneRSS)
	etag := first.Header.Get("ETag")
	packed := request(s, "GET", zoneRSS, "Accept-Encoding", "gzip").Header.Get("ETag")
	modified, err := http.ParseTime(first.Header.Get("Last-Modified"))
	if err != nil || etag == packed || !strings.HasPrefix(etag, `"`) || len(etag) < 34 {
		t.Fatalf("validators: ETag %s and %s, Last-Modified %v %v", etag, packed, modified, err)
	}
	date := func(d time.Duration) string { return modified.Add(d).UTC().Format(http.TimeFormat) }
	apache := strings.TrimSuffix(etag, `"`) + `-gzip"`

	for _, c := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"13.1.2: the same tag", []string{"If-None-Match", etag}, 304},
		{"13.1.2: another tag", []string{"If-None-Match", `"other"`}, 200},
		{"13.1.2: one of a list", []string{"If-None-Match", `"other", W/"else" ,,` + etag}, 304},
		{"5.3: one of several lines", []string{"If-None-Match", `"other"`, "If-None-Match", etag}, 304},
		{"13.1.2: a comma inside a tag", []string{"If-None-Match", `"a,b", ` + etag}, 304},
		{"13.1.2: any", []string{"If-None-Match", "*"}, 304},
		{"13.1.2: weak comparison", []string{"If-None-Match", "W/" + etag}, 304},
		{"8.8.3: a tag needs its quotes", []string{"If-None-Match", strings.Trim(etag, `"`)}, 200},
		{"8.8.3: a tag needs its end", []string{"If-None-Match", strings.TrimSuffix(etag, `"`)}, 200},
		{"8.8.3: W/ is case-sensitive", []string{"If-None-Match", "w/" + etag}, 200},
		{"8.8.3: the empty tag", []string{"If-None-Match", `""`}, 200},
		{"8.8.3.3: the tag of the coding sent", []string{"If-None-Match", packed, "Accept-Encoding", "gzip"}, 304},
		{"8.8.3.3: the tag of another coding is the same document", []string{"If-None-Match", packed}, 304},
		{"8.8.3.3: and the other way", []string{"If-None-Match", etag, "Accept-Encoding", "gzip"}, 304},
		{"Apache's suffix", []string{"If-None-Match", apache}, 304},
		{"Apache's suffix, weak", []string{"If-None-Match", "W/" + apache}, 304},
		{"13.1.3: the same date", []string{"If-Modified-Since", date(0)}, 304},
		{"13.1.3: a later date", []string{"If-Modified-Since", date(time.Hour)}, 304},
		{"13.1.3: a date to come", []string{"If-Modified-Since", date(1e6 * time.Hour)}, 304},
		{"13.1.3: an earlier date", []string{"If-Modified-Since", date(-time.Second)}, 200},
		{"13.1.3: no date", []string{"If-Modified-Since", "yesterday"}, 200},
		{"5.6.7: the RFC 850 form", []string{"If-Modified-Since", modified.UTC().Format("Monday, 02-Jan-06 15:04:05 GMT")}, 304},
		{"5.6.7: the asctime form", []string{"If-Modified-Since", modified.UTC().Format(time.ANSIC)}, 304},
		{"13.1.3: ignored beside another tag", []string{"If-None-Match", `"other"`, "If-Modified-Since", date(0)}, 200},
		{"13.2.2: a tag that matches, an old date", []string{"If-None-Match", etag, "If-Modified-Since", date(-time.Hour)}, 304},
		{"13.1.1: If-Match holds", []string{"If-Match", `"x", ` + etag}, 200},
		{"13.1.1: If-Match any", []string{"If-Match", "*"}, 200},
		{"13.1.1: If-Match fails", []string{"If-Match", `"other"`}, 412},
		{"13.1.1: If-Match compares strongly", []string{"If-Match", "W/" + etag}, 412},
		{"13.2.2: If-Match goes first", []string{"If-Match", `"other"`, "If-None-Match", etag}, 412},
		{"13.1.4: unmodified since", []string{"If-Unmodified-Since", date(0)}, 200},
		{"13.1.4: modified since", []string{"If-Unmodified-Since", date(-time.Second)}, 412},
		{"13.1.4: ignored beside If-Match", []string{"If-Match", etag, "If-Unmodified-Since", date(-time.Second)}, 200},
		{"14.2: a range is not served", []string{"Range", "bytes=0-9"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD"} {
				r := request(s, method, zoneRSS, c.headers...)
				b := body(t, r)
				if r.StatusCode != c.want {
					t.Errorf("%s %q: got %d, want %d", method, c.headers, r.StatusCode, c.want)
				}
				if (r.StatusCode == 304 || method == "HEAD") && len(b) > 0 {
					t.Errorf("%s %d has a body of %d bytes", method, r.StatusCode, len(b))
				}
			}
		})
	}
}

// RFC 9110 section 15.4.5: a 304 has the headers that the 200 would have had, of those that caches use.
func TestNotModifiedHeaders(t *testing.T) {
	s := feed.NewServer(newStore(), site, quiet)
	for _, coding := range []string{"identity", "gzip"} {
		full := request(s, "GET", zoneRSS, "Accept-Encoding", coding)
		r := request(s, "GET", zoneRSS, "Accept-Encoding", coding, "If-Modified-Since", full.Header.Get("Last-Modified"))
		for _, name := range []string{"ETag", "Cache-Control", "Vary", "Access-Control-Allow-Origin"} {
			if got, want := r.Header.Get(name), full.Header.Get(name); got != want || want == "" {
				t.Errorf("%s: 304 has %s %q, 200 has %q", coding, name, got, want)
			}
		}
		for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding"} {
			if r.Header.Get(name) != "" {
				t.Errorf("304 has %s", name)
			}
		}
	}
	weak := "W/" + request(s, "GET", zoneRSS, "Accept-Encoding", "gzip").Header.Get("ETag")
	if got := request(s, "GET", zoneRSS, "If-None-Match", weak).Header.Get("ETag"); got != weak {
		t.Errorf("a reader behind a proxy that unpacks gets tag %s, sent %s", got, weak)
	}
}

func TestCodings(t *testing.T) {
	s := feed.NewServer(newStore(), site, quiet)
	plain := body(t, request(s, "GET", zoneRSS))
	for _, c := range []struct {
		name   string
		accept []string
		want   string
	}{
		{"12.5.3: no header", nil, ""},
		{"12.5.3: empty header", []string{""}, ""},
		{"gzip", []string{"gzip"}, "gzip"},
		{"what newsboat sends", []string{"gzip, deflate"}, "gzip"},
		{"what Miniflux sends", []string{"br,gzip"}, "gzip"},
		{"8.4.1: case does not count", []string{"GZip"}, "gzip"},
		{"8.4.1.3: x-gzip", []string{"x-gzip"}, "gzip"},
		{"unknown coding", []string{"zstd, compress"}, ""},
		{"12.5.3: refused", []string{"gzip;q=0"}, ""},
		{"12.5.3: refused with digits", []string{"gzip ; q=0.000"}, ""},
		{"12.4.2: weighed", []string{"gzip;q=0.2, deflate;q=1"}, "gzip"},
		{"12.5.3: the identity is wanted more", []string{"gzip;q=0.5, identity;q=0.8"}, ""},
		{"12.5.3: the identity is wanted less", []string{"identity;q=0.5, gzip;q=0.8"}, "gzip"},
		{"12.5.3: equal weights", []string{"identity, gzip"}, "gzip"},
		{"12.5.3: any", []string{"*"}, "gzip"},
		{"12.5.3: any but gzip", []string{"gzip;q=0, *"}, ""},
		{"12.5.3: nothing but gzip", []string{"gzip, *;q=0"}, "gzip"},
		{"12.5.3: nothing at all", []string{"*;q=0"}, ""},
		{"5.3: several lines", []string{"br", "gzip"}, "gzip"},
		{"12.4.2: a weight that is none", []string{"gzip;q=much"}, ""},
		{"12.4.2: a weight out of range", []string{"gzip;q=2"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			for _, a := range c.accept {
				headers = append(headers, "Accept-Encoding", a)
			}
			r := request(s, "GET", zoneRSS, headers...)
			b := body(t, r)
			if got := r.Header.Get("Content-Encoding"); got != c.want {
				t.Fatalf("%q: got coding %q, want %q", c.accept, got, c.want)
			}
			if r.Header.Get("Vary") != "Accept-Encoding" || r.Header.Get("Content-Length") != strconv.Itoa(len(b)) {
				t.Errorf("Vary %q, Content-Length %q of %d", r.Header.Get("Vary"), r.Header.Get("Content-Length"), len(b))
			}
			if c.want == "gzip" {
				z, err := gzip.NewReader(bytes.NewReader(b))
				if err != nil {
					t.Fatal(err)
				}
				if b, err = io.ReadAll(z); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(b, plain) {
				t.Error("the bytes differ from the identity's")
			}
			head := request(s, "HEAD", zoneRSS, headers...)
			if diff := cmp.Diff(r.Header, head.Header); diff != "" {
				t.Errorf("9.3.2: HEAD has other headers (-GET +HEAD):\n%s", diff)
			}
		})
	}
}

func TestHeadersOfAFeed(t *testing.T) {
	hub := site
	hub.Hub = "https://news.example.org/hub"
	s := feed.NewServer(newStore(), hub, quiet)
	for _, c := range []struct{ path, mediaType, self string }{
		{zoneRSS, "application/rss+xml; charset=utf-8", "https://news.example.org" + zoneRSS},
		{allAtom, "application/atom+xml; charset=utf-8", "https://news.example.org/feed.atom"},
		{"/feed.json?_=123&utm_source=x", "application/feed+json; charset=utf-8", "https://news.example.org/feed.json"},
	} {
		r := request(s, "GET", c.path, "Accept", "text/html, application/xml;q=0.9")
		if r.StatusCode != 200 {
			t.Errorf("%s: got %d", c.path, r.StatusCode)
		}
		got := map[string]string{}
		for _, name := range []string{"Content-Type", "X-Content-Type-Options", "Access-Control-Allow-Origin", "Link", "Cache-Control", "Content-Disposition", "Set-Cookie"} {
			got[name] = r.Header.Get(name)
		}
		want := map[string]string{
			"Content-Type": c.mediaType, "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "*",
			"Link":                `<` + c.self + `>; rel="self", <https://news.example.org/hub>; rel="hub"`,
			"Cache-Control":       "public, max-age=300, stale-while-revalidate=600, stale-if-error=86400",
			"Content-Disposition": "", "Set-Cookie": "",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
		if b := body(t, r); !bytes.Contains(b, []byte(c.self)) || !bytes.Contains(b, []byte(hub.Hub)) {
			t.Errorf("%s: self and hub of the header are not in the document", c.path)
		}
	}
	if a, b := request(s, "GET", zoneRSS+"?_=123").Header, request(s, "GET", zoneRSS).Header; a.Get("ETag") != b.Get("ETag") {
		t.Error("an unknown parameter changes the ETag")
	}
}

func TestPathsAndMethods(t *testing.T) {
	for _, c := range []struct {
		name, method, path string
		want               int
		header, value      string
	}{
		{"feed of a zone", "GET", "/zones/jintan-edz/feed.json", 200, "", ""},
		{"feed of all", "HEAD", "/feed.rss", 200, "", ""},
		{"renamed zone", "GET", "/zones/jintan-park/feed.atom", 301, "Location", "https://news.example.org/zones/jintan-edz/feed.atom"},
		{"renamed zone with a query", "GET", "/zones/jintan-park/feed.atom?limit=5", 301, "Location", "https://news.example.org/zones/jintan-edz/feed.atom?limit=5"},
		{"closed zone", "GET", "/zones/old-park/feed.rss", 410, "", ""},
		{"unknown zone", "GET", "/zones/nowhere/feed.rss", 404, "", ""},
		{"no slug", "GET", "/zones/..%2F/feed.rss", 404, "", ""},
		{"empty slug", "GET", "/zones//feed.rss", 404, "", ""},
		{"unknown format", "GET", "/zones/jintan-edz/feed.xml", 404, "", ""},
		{"deeper path", "GET", "/zones/jintan-edz/x/feed.rss", 404, "", ""},
		{"POST", "POST", zoneRSS, 405, "Allow", "GET, HEAD, OPTIONS"},
		{"DELETE", "DELETE", zoneRSS, 405, "Allow", "GET, HEAD, OPTIONS"},
		{"OPTIONS", "OPTIONS", zoneRSS, 204, "Allow", "GET, HEAD, OPTIONS"},
		{"preflight", "OPTIONS", zoneRSS, 204, "Access-Control-Allow-Headers", "If-None-Match, If-Modified-Since, A-IM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(feed.NewServer(newStore(), site, quiet), c.method, c.path)
			if r.StatusCode != c.want || r.Header.Get(c.header) != c.value {
				t.Errorf("%s %s: got %d, %s %q; want %d, %q", c.method, c.path, r.StatusCode, c.header, r.Header.Get(c.header), c.want, c.value)
			}
			if b := body(t, r); r.StatusCode >= 300 && len(b) > 4096 {
				t.Errorf("%d has %d bytes", r.StatusCode, len(b))
			}
		})
	}
}

func TestDatabaseDownBeforeAnythingIsLoaded(t *testing.T) {
	src := newStore()
	src.down = errors.New("database is down")
	s := feed.NewServer(src, site, quiet)
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

func TestFullDiskDoesNotStopFeeds(t *testing.T) {
	src := newStore()
	src.full = zonewire.ErrFull
	if r := request(feed.NewServer(src, site, quiet), "GET", zoneRSS); r.StatusCode != 200 || r.Header.Get("Last-Modified") == "" {
		t.Errorf("got %d, Last-Modified %q", r.StatusCode, r.Header.Get("Last-Modified"))
	}
}

func TestRestartAndReplicaKeepValidators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newStore()
		validators := func() map[string]string {
			s := feed.NewServer(src, site, quiet)
			v := map[string]string{}
			for _, path := range []string{zoneRSS, allAtom, "/feed.json"} {
				for _, coding := range []string{"identity", "gzip"} {
					h := request(s, "GET", path, "Accept-Encoding", coding).Header
					v[path+coding] = h.Get("ETag") + h.Get("Last-Modified")
				}
			}
			return v
		}
		before := validators()
		time.Sleep(time.Hour)
		src.alter(func() { src.gen.Articles++ }) // a touch that changes nothing
		if diff := cmp.Diff(before, validators()); diff != "" {
			t.Errorf("validators differ (-before +after):\n%s", diff)
		}
	})
}

func TestManyFirstReadersCauseOneRendering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newStore()
		src.gate = make(chan struct{})
		s := feed.NewServer(src, site, quiet)
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
		if src.reads != 1 {
			t.Errorf("articles were read %d times", src.reads)
		}
	})
}

func TestFirstReaderDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newStore()
		src.gate = make(chan struct{})
		s := feed.NewServer(src, site, quiet)
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
	s := feed.NewServer(src, site, log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
	return s
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
		src.alter(func() { src.down = errors.New("database is down") })
		src.file(zonewire.Article{ID: 2000, ZoneID: 7, Title: "故障期间的新闻"}, time.Now())
		time.Sleep(time.Minute)
		synctest.Wait()
		if r := request(s, "GET", allAtom); r.StatusCode != 200 || r.Header.Get("ETag") != before.Get("ETag") {
			t.Errorf("while it is down: got %d %s", r.StatusCode, r.Header.Get("ETag"))
		}
		src.alter(func() { src.down = nil })
		time.Sleep(time.Second)
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
	s := feed.NewServer(src, site, quiet)
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

// discard is a response writer that keeps nothing, so that the handler is what is measured.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkHit compares a hit with a bare handler that writes the same bytes, over real connections: the ratio is what
// the handler adds. The last two show the handler alone.
func BenchmarkHit(b *testing.B) {
	s := feed.NewServer(newStore(), site, quiet)
	full := request(s, "GET", zoneRSS, "Accept-Encoding", "gzip")
	packed := body(b, full)
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed)
	})
	for _, c := range []struct {
		name string
		etag string
	}{{"gzip 200", ""}, {"304", full.Header.Get("ETag")}} {
		headers := http.Header{"Accept-Encoding": {"gzip"}}
		if c.etag != "" {
			headers.Set("If-None-Match", c.etag)
		}
		b.Run(c.name, func(b *testing.B) {
			ours, theirs := client(b, s, headers), client(b, bare, headers)
			ours()
			theirs()
			var spent, base time.Duration
			for b.Loop() { // in turns, so that both meet the same machine
				start := time.Now()
				theirs()
				middle := time.Now()
				ours()
				base += middle.Sub(start)
				spent += time.Since(middle)
			}
			b.ReportMetric(float64(spent)/float64(base), "ratio")
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "ns/hit")
		})
		b.Run(c.name+" handler", func(b *testing.B) {
			r := httptest.NewRequest("GET", zoneRSS, nil)
			maps.Copy(r.Header, headers)
			w := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				s.ServeHTTP(w, r)
			}
		})
	}
}

// client gives a function that asks h once over a kept connection.
func client(b *testing.B, h http.Handler, headers http.Header) func() {
	b.Helper()
	srv := httptest.NewServer(h)
	b.Cleanup(srv.Close)
	r, err := http.NewRequestWithContext(b.Context(), "GET", srv.URL+zoneRSS, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header = headers
	return func() {
		resp, err := srv.Client().Do(r)
		if err != nil {
			b.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			b.Fatal(err)
		}
	}
}
