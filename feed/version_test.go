package feed_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/feed"
)

// everyPath has a document of each kind that is recorded.
var everyPath = []string{zoneRSS, zoneAtom, zoneJSON, "/feed.rss", allAtom, "/feed.json", "/zones/linhai-port/feed.rss", "/zones/jintan-edz/archive/2026-03.atom", "/zones.opml"}

// validators are what caches and readers compare, of every document in every coding.
func validators(h http.Handler) map[string]string {
	v := map[string]string{}
	for _, path := range everyPath {
		for _, coding := range []string{"identity", "gzip", "br", "zstd"} {
			r := request(h, "GET", path, "Accept-Encoding", coding)
			v[path+" "+coding] = strconv.Itoa(r.StatusCode) + " " + r.Header.Get("ETag") + " " + r.Header.Get("Last-Modified") + " " + r.Header.Get("Content-Length")
		}
	}
	return v
}

func TestRestartAndReplicaKeepValidators(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		src := newStore()
		before := validators(feed.NewServer(src, site, feed.Options{}))
		time.Sleep(time.Hour)
		src.alter(func() { src.gen.Articles++ }) // a touch that changes nothing
		read, puts := src.read, src.puts
		again := feed.NewServer(src, site, feed.Options{})
		if diff := cmp.Diff(before, validators(again)); diff != "" {
			t.Errorf("validators differ (-before +after):\n%s", diff)
		}
		if src.read != read || src.puts != puts || again.Stats().Renderings != 0 {
			t.Errorf("a restart read %d articles, recorded %d versions and rendered %d times", src.read-read, src.puts-puts, again.Stats().Renderings)
		}
		for path, v := range before {
			if !strings.HasPrefix(v, "200 ") {
				t.Errorf("%s: got %s", path, v)
			}
		}
	})
}

// A newer program, or an older one beside it, would render other bytes. As long as the news is the same it serves those
// that are stored, or readers would see two feeds in turns.
func TestReplicasOfTwoVersionsServeTheSameBytes(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		src := newStore()
		validators(feed.NewServer(src, site, feed.Options{}))
		const ours, theirs = "没有网址也没有摘要的通知", "由另一个版本的程序所写出" // of one length, for the layout
		mark := func(b []byte) []byte {
			return append(bytes.ReplaceAll(b, []byte(ours), []byte(theirs)), "<!-- another version -->\n"...)
		}
		src.alter(func() {
			for name, v := range src.versions {
				z, err := gzip.NewReader(bytes.NewReader(v.Body))
				if err != nil {
					t.Fatal(err)
				}
				var plain, packed bytes.Buffer
				if _, err := plain.ReadFrom(z); err != nil {
					t.Fatal(err)
				}
				w := gzip.NewWriter(&packed)
				if _, err := w.Write(mark(plain.Bytes())); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				v.Body = packed.Bytes()
				src.versions[name] = v
			}
		})
		s := running(t, src, quiet)
		for _, path := range everyPath {
			for _, coding := range []string{"", "gzip", "br", "zstd"} {
				if b := unpacked(t, coding, body(t, request(s, "GET", path, "Accept-Encoding", coding))); !bytes.Contains(b, []byte("another version")) {
					t.Errorf("%s in %q: rendered anew", path, coding)
				}
			}
		}
		if got, want := body(t, request(s, "GET", zoneRSS, "Accept-Encoding", "gzip")), src.stored("zone/7.rss").Body; !bytes.Equal(got, want) {
			t.Error("gzip is not that of the other version, byte for byte, under one tag")
		}
		// With news there is a new version, and none of the old pieces are in it.
		time.Sleep(2 * time.Second)
		src.file(zonewire.Article{ID: 2000, ZoneID: 7, Title: "新闻"}, time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		for _, path := range []string{zoneRSS, zoneAtom, zoneJSON, allAtom} {
			b := body(t, request(s, "GET", path))
			if bytes.Contains(b, []byte("another version")) || bytes.Contains(b, []byte(theirs)) || !bytes.Contains(b, []byte("item/2000")) || !bytes.Contains(b, []byte(ours)) {
				t.Errorf("%s: after news the feed is still that of the other version", path)
			}
		}
	})
}

// Two servers over one store, of which one records what the other must serve.
func TestReplicaTakesOverWhatTheOtherHasRecorded(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		src := newStore()
		a, b := running(t, src, quiet), running(t, src, quiet)
		validators(a)
		validators(b)
		for i := range 3 {
			time.Sleep(1300 * time.Millisecond)
			src.file(zonewire.Article{ID: int64(2000 + i), ZoneID: 7, Title: "新闻"}, time.Now())
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if diff := cmp.Diff(validators(a), validators(b)); diff != "" {
				t.Errorf("the replicas differ:\n%s", diff)
			}
		}
	})
}

// late asks a server for a feed, and holds it up between reading what the feed is made of and all that follows, until the
// answer is called for.
func late(src *store) (answer func() *http.Response) {
	gate := make(chan struct{})
	src.gate = gate
	got := make(chan *http.Response)
	go func() { got <- request(feed.NewServer(src, site, feed.Options{}), "GET", zoneRSS) }()
	synctest.Wait()
	src.alter(func() { src.gate = nil })
	return func() *http.Response {
		close(gate)
		return <-got
	}
}

// Whoever has seen less of the store than the recorded version serves that one.
func TestOlderReadingDoesNotReplaceANewerVersion(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		src := newStore()
		answer := late(src)
		time.Sleep(time.Second)
		src.file(zonewire.Article{ID: 2000, ZoneID: 7, Title: "新闻"}, time.Now())
		newer := request(feed.NewServer(src, site, feed.Options{}), "GET", zoneRSS)
		got := answer()
		if got.Header.Get("ETag") != newer.Header.Get("ETag") || got.Header.Get("Last-Modified") != newer.Header.Get("Last-Modified") {
			t.Errorf("got %s of %s, recorded is %s of %s", got.Header.Get("ETag"), got.Header.Get("Last-Modified"), newer.Header.Get("ETag"), newer.Header.Get("Last-Modified"))
		}
		if src.stored("zone/7.rss").Hash != strings.Trim(newer.Header.Get("ETag"), `"`) {
			t.Error("the older one was recorded over it")
		}
	})
}

// A withdrawal takes the recorded document away, and its number stays: who comes late with an older one begins again.
func TestOlderReadingBeginsAgainAfterAWithdrawal(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		src := newStore()
		answer := late(src)
		src.file(zonewire.Article{ID: 2000, ZoneID: 7, Title: "新闻"}, time.Now())
		request(feed.NewServer(src, site, feed.Options{}), "GET", zoneRSS)
		src.withdraw(1006, time.Now())
		got := answer()
		text := body(t, got)
		if got.StatusCode != 200 || !bytes.Contains(text, []byte("item/2000")) || bytes.Contains(text, []byte("item/1006")) {
			t.Errorf("got %d and %s", got.StatusCode, text)
		}
	})
}

func TestModifiedAheadOfTheClockIsNotShown(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		src := newStore()
		request(feed.NewServer(src, site, feed.Options{}), "GET", zoneRSS)
		ahead := time.Now().Add(time.Minute).UTC()
		src.alter(func() {
			for name, v := range src.versions {
				v.Modified = ahead
				src.versions[name] = v
			}
		})
		s := feed.NewServer(src, site, feed.Options{})
		for range 3 {
			r := request(s, "GET", zoneRSS)
			if got := parseDate(t, r.Header); r.StatusCode != 200 || got.After(time.Now()) {
				t.Errorf("at %v got %d with Last-Modified %v", time.Now(), r.StatusCode, got)
			}
			// A reader must not be frozen on it.
			if again := request(s, "GET", zoneRSS, "If-Modified-Since", r.Header.Get("Last-Modified")); again.StatusCode != 200 {
				t.Errorf("before the moment has come: got %d", again.StatusCode)
			}
			time.Sleep(19 * time.Second)
		}
		time.Sleep(10 * time.Second)
		if got := parseDate(t, request(s, "GET", zoneRSS).Header); !got.Equal(ahead.Truncate(time.Second)) {
			t.Errorf("after the moment has come: got %v, want %v", got, ahead)
		}
	})
}

func TestOneNewArticleIsAllThatIsRead(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		src := newStore()
		src.articles = nil
		for i := range 80 {
			src.file(zonewire.Article{ID: int64(4000 + i), ZoneID: 7, Title: "旧闻"}, at("2026-03-01T00:00:00Z").Add(time.Duration(i)*time.Minute))
		}
		s := running(t, src, quiet)
		request(s, "GET", zoneRSS)
		time.Sleep(5 * time.Second)
		_, before := src.counts()
		rendered := s.Stats().Renderings
		src.file(zonewire.Article{ID: 5000, ZoneID: 7, Title: "新闻"}, time.Now())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !slices.Contains(itemsOf(t, request(s, "GET", zoneAtom)), 5000) {
			t.Fatal("the article is missing")
		}
		if _, read := src.counts(); read-before != 2 { // for the zone, and for all zones
			t.Errorf("%d articles were read", read-before)
		}
		if got := s.Stats().Renderings - rendered; got != 2 {
			t.Errorf("feeds were rendered %d times", got)
		}
	})
}

func TestFullDiskDoesNotStopFeeds(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		var text bytes.Buffer
		src := newStore()
		src.full = zonewire.ErrFull
		s := running(t, src, slog.New(slog.NewTextHandler(&text, nil)))
		for _, path := range everyPath {
			if r := request(s, "GET", path); r.StatusCode != 200 || r.Header.Get("Last-Modified") == "" {
				t.Errorf("%s: got %d, Last-Modified %q", path, r.StatusCode, r.Header.Get("Last-Modified"))
			}
		}
		src.alter(func() { src.full = nil })
		time.Sleep(10 * time.Second) // the version that readers have is recorded after all
		src.alter(func() { src.full = zonewire.ErrFull })
		first := request(s, "GET", zoneRSS)
		src.file(zonewire.Article{ID: 2000, ZoneID: 7, Title: "新闻"}, time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		shown := request(s, "GET", zoneRSS)
		if !bytes.Contains(body(t, shown), []byte("item/2000")) {
			t.Error("the news is missing while the disk is full")
		}
		if r := request(s, "GET", zoneRSS, "A-IM", "feed", "If-None-Match", first.Header.Get("ETag")); r.StatusCode != 226 {
			t.Errorf("a delta while the disk is full: got %d", r.StatusCode)
		}
		time.Sleep(time.Minute)
		src.alter(func() { src.full = nil })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if v := src.stored("zone/7.rss"); `"`+v.Hash+`"` != shown.Header.Get("ETag") || !v.Modified.Equal(parseDate(t, shown.Header)) {
			t.Errorf("after there is room: recorded %s of %v, served %s of %s", v.Hash, v.Modified, shown.Header.Get("ETag"), shown.Header.Get("Last-Modified"))
		}
		if src.toldOf(zoneRSS) == 0 {
			t.Error("who is subscribed is never told")
		}
		if n := strings.Count(text.String(), "level=ERROR"); n != 2 {
			t.Errorf("logged %d errors, want one each time that it was full:\n%s", n, text.String())
		}
	})
}

func TestWithdrawnArticleLeavesEveryDocument(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		src := newStore()
		s := running(t, src, quiet)
		before := map[string]*http.Response{}
		paths := []string{zoneRSS, zoneAtom, zoneJSON, "/feed.rss", allAtom, "/feed.json", "/zones/jintan-edz/archive/2026-03.atom", zoneAtom + "?limit=5", "/feed.json?city=常州市"}
		for _, path := range paths {
			before[path] = request(s, "GET", path)
			if !bytes.Contains(body(t, before[path]), []byte("item/1006")) {
				t.Fatalf("%s: the article is not there", path)
			}
		}
		time.Sleep(5 * time.Second)
		src.withdraw(1006, time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		for _, path := range paths {
			// Even for who asks by date alone, though the newest article's date has gone back.
			r := request(s, "GET", path, "If-Modified-Since", before[path].Header.Get("Last-Modified"))
			text := body(t, r)
			if r.StatusCode != 200 || bytes.Contains(text, []byte("产业园开园")) {
				t.Errorf("%s: got %d and the article", path, r.StatusCode)
			}
			tomb := path == zoneAtom || path == allAtom
			if bytes.Contains(text, []byte("deleted-entry")) != tomb || bytes.Contains(text, []byte("purl.org/atompub/tombstones")) != tomb {
				t.Errorf("%s: tombstone or its namespace where it does not belong, or not where it does", path)
			}
		}
		for _, name := range []string{"zone/7.rss", "zone/7.atom", "zone/7.json", "all.rss", "all.atom", "all.json", "zone/7/2026-03.atom"} {
			v := src.stored(name)
			if z, err := gzip.NewReader(bytes.NewReader(v.Body)); err == nil {
				var plain bytes.Buffer
				if _, err := plain.ReadFrom(z); err != nil || bytes.Contains(plain.Bytes(), []byte("产业园开园")) {
					t.Errorf("%s: stored with the withdrawn article, %v", v.Feed, err)
				}
			}
		}
	})
}

func TestTombstonesExpire(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		src := newStore()
		src.told = []int64{12} // nobody asks for that one
		src.withdraw(1006, time.Now())
		src.withdraw(1005, time.Now())
		time.Sleep(30*24*time.Hour - time.Minute)
		s := running(t, src, quiet)
		told := func() (bool, int) {
			text := body(t, request(s, "GET", zoneAtom))
			return bytes.Contains(text, []byte("deleted-entry")), src.toldOf("/zones/linhai-port/feed.atom")
		}
		before, versions := told()
		updated := func() string {
			_, after, _ := strings.Cut(string(body(t, request(s, "GET", zoneAtom))), "<updated>")
			return after[:strings.Index(after, "<")]
		}
		date := updated()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		after, later := told()
		if !before || after {
			t.Errorf("a minute before 30 days have passed it is told: %v; a minute after: %v", before, after)
		}
		if later != versions+1 {
			t.Errorf("of a feed that nobody asks for there were %d versions, then %d", versions, later)
		}
		if updated() < date {
			t.Errorf("the feed's date went back from %s to %s", date, updated())
		}
	})
}

func TestTurnOfTheMonth(t *testing.T) {
	// In +08:00 the month turns at 16:00 UTC.
	on(t, "2026-03-31T15:00:00Z", func(t *testing.T) {
		src := newStore()
		src.told = []int64{12}
		s := running(t, src, quiet)
		const march, april = "/zones/jintan-edz/archive/2026-03.atom", "/zones/jintan-edz/archive/2026-04.atom"
		look := func() map[string]any {
			feedText, archive := string(body(t, request(s, "GET", zoneAtom))), request(s, "GET", march)
			text := string(body(t, archive))
			return map[string]any{
				"feed has prev":    strings.Contains(feedText, `rel="prev-archive"`) && strings.Contains(feedText, site.BaseURL+march),
				"archive has next": strings.Contains(text, `rel="next-archive"`),
				"cache":            archive.Header.Get("Cache-Control"),
				"april":            request(s, "GET", april).StatusCode,
			}
		}
		before := map[string]any{"feed has prev": false, "archive has next": false, "cache": "public, max-age=300, stale-while-revalidate=600, stale-if-error=86400", "april": 404}
		for range 2 {
			if diff := cmp.Diff(before, look()); diff != "" {
				t.Errorf("before the month turned (-want +got):\n%s", diff)
			}
			time.Sleep(59 * time.Minute / 2)
			synctest.Wait()
		}
		time.Sleep(62 * time.Second)
		synctest.Wait()
		want := map[string]any{"feed has prev": true, "archive has next": true, "cache": "public, max-age=86400, stale-if-error=604800", "april": 200}
		if diff := cmp.Diff(want, look()); diff != "" {
			t.Errorf("after (-want +got):\n%s", diff)
		}
		if n := src.toldOf("/zones/linhai-port/feed.atom"); n != 2 {
			t.Errorf("a feed that nobody asks for had %d versions, want one a month", n)
		}
	})
}

// Readers keep the archive of a month that is over for good.
func TestClosedMonthsStandStill(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		src := newStore()
		src.articles = nil
		for i := range 120 {
			src.file(zonewire.Article{ID: int64(4000 + i), ZoneID: 7, Title: "旧闻"}, at("2026-03-01T00:00:00Z").Add(time.Duration(i)*time.Hour))
		}
		s := running(t, src, quiet)
		parts := []string{"/zones/jintan-edz/archive/2026-03.atom", "/zones/jintan-edz/archive/2026-03-2.atom"}
		tags := func() (tags []string) {
			for _, path := range parts {
				r := request(s, "GET", path)
				if r.StatusCode != 200 {
					t.Fatalf("%s: got %d", path, r.StatusCode)
				}
				tags = append(tags, r.Header.Get("ETag")+r.Header.Get("Last-Modified"))
			}
			return tags
		}
		before := tags()
		if n := len(itemsOf(t, request(s, "GET", parts[0]))); n != 100 {
			t.Errorf("the first part has %d articles", n)
		}
		if diff := cmp.Diff([]int{4119, 4118}, itemsOf(t, request(s, "GET", parts[1]))[:2]); diff != "" {
			t.Errorf("the second part (-want +got):\n%s", diff)
		}
		step := func(change func()) {
			change()
			time.Sleep(2 * time.Second)
			synctest.Wait()
		}
		step(func() { src.edit(4003, time.Now(), func(a *zonewire.Article) { a.Title = "更正" }) })
		step(func() { src.alter(func() { src.zones[0].Name = "金坛新区"; src.gen.Zones++ }) })
		step(func() { src.file(zonewire.Article{ID: 5000, ZoneID: 7, Title: "六月"}, time.Now()) })
		if diff := cmp.Diff(before, tags()); diff != "" {
			t.Errorf("a correction, a new name or new articles changed it:\n%s", diff)
		}
		step(func() { src.withdraw(4003, time.Now()) })
		after := tags()
		if after[0] == before[0] || after[1] != before[1] {
			t.Errorf("a withdrawal changed the first part: %v, the second: %v", after[0] != before[0], after[1] != before[1])
		}
		if slices.Contains(itemsOf(t, request(s, "GET", parts[0])), 4003) {
			t.Error("the withdrawn article is still there")
		}
	})
}

func TestTellsWhenThereIsSomethingToTell(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		for _, c := range []struct {
			name string
			told []int64
			hubs []string
			want int // versions of the port's feed
		}{
			{"nobody has asked for the feed", nil, nil, 0},
			{"somebody is subscribed to it", []int64{12}, nil, 2},
			{"a hub elsewhere is to know", nil, []string{"https://hub.example.com/"}, 2},
		} {
			src := newStore()
			src.told = c.told
			var calls atomic.Int64
			s := feed.NewServer(src, site, feed.Options{Hubs: c.hubs, Changed: func() { calls.Add(1) }})
			stop := start(t, s)
			time.Sleep(5 * time.Second)
			before := calls.Load()
			src.file(zonewire.Article{ID: 2000, ZoneID: 12, Title: "新闻"}, time.Now())
			start := time.Now()
			for time.Since(start) < 2*time.Second && calls.Load() == before {
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
			}
			if calls.Load() == before {
				t.Errorf("%s: not told of news within two seconds", c.name)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if got := src.toldOf("/zones/linhai-port/feed.rss"); got != c.want {
				t.Errorf("%s: %d versions were recorded, want %d", c.name, got, c.want)
			}
			after := calls.Load()
			time.Sleep(time.Hour)
			if calls.Load() != after {
				t.Errorf("%s: told of nothing", c.name)
			}
			stop()
		}
	})
}

// What changed while the daemon was down is told when it comes up.
func TestStartTellsWhatChangedMeanwhile(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		src := newStore()
		src.told = []int64{12}
		request(feed.NewServer(src, site, feed.Options{}), "GET", "/zones/linhai-port/feed.rss")
		time.Sleep(time.Hour)
		src.file(zonewire.Article{ID: 2000, ZoneID: 12, Title: "新闻"}, time.Now())
		src.due = nil
		running(t, src, quiet)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		for _, topic := range []string{"/zones/linhai-port/feed.rss", allAtom} {
			if src.toldOf(topic) == 0 {
				t.Errorf("nobody is told of %s", topic)
			}
		}
	})
}

func TestTopics(t *testing.T) {
	s := feed.NewServer(newStore(), site, feed.Options{})
	for _, c := range []struct {
		name, url string
		want      zonewire.Topic
	}{
		{"a zone's feed", site.BaseURL + zoneAtom, zonewire.Topic{URL: site.BaseURL + zoneAtom, Feed: "zone/7.atom", Zone: 7}},
		{"the feed of all", site.BaseURL + "/feed.json", zonewire.Topic{URL: site.BaseURL + "/feed.json", Feed: "all.json"}},
		{"a query", site.BaseURL + zoneAtom + "?limit=5", zonewire.Topic{}},
		{"a path alone", zoneAtom, zonewire.Topic{}},
		{"another host", "https://news.example.com" + zoneAtom, zonewire.Topic{}},
		{"another scheme", strings.Replace(site.BaseURL, "https", "http", 1) + zoneAtom, zonewire.Topic{}},
		{"a renamed zone", site.BaseURL + "/zones/jintan-park/feed.atom", zonewire.Topic{}},
		{"a closed zone", site.BaseURL + "/zones/old-park/feed.atom", zonewire.Topic{}},
		{"no zone", site.BaseURL + "/zones/nowhere/feed.atom", zonewire.Topic{}},
		{"an archive", site.BaseURL + "/zones/jintan-edz/archive/2026-03.atom", zonewire.Topic{}},
		{"OPML", site.BaseURL + "/zones.opml", zonewire.Topic{}},
		{"the site", site.BaseURL, zonewire.Topic{}},
		{"nothing", "", zonewire.Topic{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := s.Topic(t.Context(), c.url)
			if known := c.want != (zonewire.Topic{}); known != (err == nil) || known && got != c.want || !known && !errors.Is(err, zonewire.ErrNotFound) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
			if _, err := s.Content(t.Context(), c.url, ""); (err == nil) != (c.want != zonewire.Topic{}) || err != nil && !errors.Is(err, zonewire.ErrNotFound) {
				t.Errorf("its content: %v", err)
			}
		})
	}
}

// turning is a store that changes once, between two questions of one reading.
type turning struct {
	*store
	change func()
}

func (s *turning) Heads(ctx context.Context, q zonewire.ArticleQuery) ([]zonewire.Head, error) {
	if change := s.change; change != nil {
		s.change = nil
		s.alter(change)
	}
	return s.store.Heads(ctx, q)
}

// Else a replica that has read before the change could put its older version in the place of this one.
func TestAFeedThatChangesWhileItIsReadSaysOfWhichStateItIs(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		src := &turning{store: newStore()}
		src.change = func() { src.gen.Articles++ }
		request(feed.NewServer(src, site, feed.Options{}), "GET", allAtom)
		if v := src.versions[zonewire.FeedName(0, "atom")]; v.Hash == "" || v.Of != src.gen {
			t.Errorf("recorded as of %+v, want %+v", v.Of, src.gen)
		}
	})
}
