package feed_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/feed"
)

const zoneAtom, zoneJSON = "/zones/jintan-edz/feed.atom", "/zones/jintan-edz/feed.json"

// followed is a server that runs, the store behind it, and what readers of it hold.
type followed struct {
	*feed.Server
	t     *testing.T
	src   *store
	first map[string]string // path: the entity tag of the version at the start
}

// follow starts a server whose readers have the present version, and a second later files one more article.
func follow(t *testing.T) *followed {
	f := &followed{t: t, src: newStore(), first: map[string]string{}}
	f.Server = running(t, f.src, quiet)
	for _, path := range []string{zoneRSS, zoneAtom, zoneJSON, "/feed.rss", allAtom, "/feed.json"} {
		f.first[path] = request(f, "GET", path).Header.Get("ETag")
	}
	f.pass(2 * time.Second)
	f.add(2001, "港口扩建完工")
	return f
}

func (f *followed) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (f *followed) add(id int64, title string) {
	f.src.file(zonewire.Article{ID: id, ZoneID: 7, Title: title, ContentHTML: "<p>正文</p>"}, time.Now())
	f.pass(2 * time.Second)
}

// delta asks for what is new since a version.
func (f *followed) delta(path, etag string, headers ...string) *http.Response {
	return request(f, "GET", path, append([]string{"A-IM", "feed", "If-None-Match", etag}, headers...)...)
}

func TestDeltas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t)
		for _, path := range []string{zoneRSS, zoneAtom, zoneJSON, "/feed.rss", allAtom, "/feed.json"} {
			full := request(f, "GET", path)
			text := string(body(t, full))
			r := f.delta(path, f.first[path])
			part := string(body(t, r))
			if r.StatusCode != 226 || !strings.Contains(part, "港口扩建完工") || strings.Contains(part, "没有网址也没有摘要的通知") {
				t.Errorf("%s: got %d and %s", path, r.StatusCode, part)
			}
			if !strings.Contains(text, "没有网址也没有摘要的通知") {
				t.Errorf("%s: the full document lacks an article", path)
			}
			got := map[string]string{}
			for _, name := range []string{"IM", "ETag", "Cache-Control", "Vary", "Content-Type", "Last-Modified", "Link"} {
				got[name] = r.Header.Get(name)
			}
			want := map[string]string{
				"IM": "feed", "ETag": full.Header.Get("ETag"), "Cache-Control": "no-store, im", "Vary": "A-IM, If-None-Match, Accept-Encoding",
				"Content-Type": full.Header.Get("Content-Type"), "Last-Modified": full.Header.Get("Last-Modified"), "Link": full.Header.Get("Link"),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: headers (-want +got):\n%s", path, diff)
			}
		}
	})
}

func TestWhoIsSentADelta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t)
		first := f.first[zoneRSS]
		f.add(2002, "新路通车")
		second := request(f, "GET", zoneRSS).Header.Get("ETag")
		f.add(2003, "夜校开班")
		now := request(f, "GET", zoneRSS).Header.Get("ETag")
		bare := strings.Trim(first, `"`)
		coded := func(mark string) string { return `"` + bare + mark + `"` }

		for _, c := range []struct {
			name    string
			headers []string
			want    int
			holds   string // titles that are in it
			lacks   string
		}{
			{"RFC 3229 10.5.3: feed", []string{"A-IM", "feed", "If-None-Match", first}, 226, "港口扩建完工 新路通车 夜校开班", "通知公告"},
			{"a later version", []string{"A-IM", "feed", "If-None-Match", second}, 226, "夜校开班", "港口扩建完工 新路通车"},
			{"of several versions the earliest", []string{"A-IM", "feed", "If-None-Match", second + ", " + first}, 226, "港口扩建完工", ""},
			{"a version and one that nobody knows", []string{"A-IM", "feed", "If-None-Match", `"other", ` + second}, 226, "夜校开班", "新路通车"},
			{"case does not count", []string{"A-IM", "Feed", "If-None-Match", first}, 226, "", ""},
			{"one of a list", []string{"A-IM", "vcdiff, feed;q=0.5, gzip", "If-None-Match", first}, 226, "", ""},
			{"one of several lines", []string{"A-IM", "vcdiff", "A-IM", "feed", "If-None-Match", first}, 226, "", ""},
			{"the tag of gzip", []string{"A-IM", "feed", "If-None-Match", coded("-gz")}, 226, "", ""},
			{"the tag of br", []string{"A-IM", "feed", "If-None-Match", coded("-br")}, 226, "", ""},
			{"the tag of zstd, weak", []string{"A-IM", "feed", "If-None-Match", "W/" + coded("-zs")}, 226, "", ""},
			{"Apache's suffix", []string{"A-IM", "feed", "If-None-Match", coded("-gzip")}, 226, "", ""},
			{"a date beside it does not count", []string{"A-IM", "feed", "If-None-Match", first, "If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"}, 226, "", ""},
			{"RFC 3229 10.5.3: refused", []string{"A-IM", "feed;q=0", "If-None-Match", first}, 200, "通知公告", ""},
			{"other manipulations", []string{"A-IM", "vcdiff, diffe", "If-None-Match", first}, 200, "通知公告", ""},
			{"a library that asks for all programs", []string{"A-IM", "feed", "If-None-Match", first, "User-Agent", "feedparser/6.0.10 +https://lib.example/"}, 200, "通知公告", ""},
			{"a program that takes 226 for an error", []string{"A-IM", "feed", "If-None-Match", first, "User-Agent", "rss2email/3.14"}, 200, "通知公告", ""},
			{"no A-IM", []string{"If-None-Match", first}, 200, "通知公告", ""},
			{"no base", []string{"A-IM", "feed"}, 200, "通知公告", ""},
			{"an unknown base", []string{"A-IM", "feed", "If-None-Match", `"0123"`}, 200, "通知公告", ""},
			{"a date alone", []string{"A-IM", "feed", "If-Modified-Since", "Fri, 02 Jan 1970 00:00:00 GMT"}, 200, "通知公告", ""},
			{"the present version", []string{"A-IM", "feed", "If-None-Match", now}, 304, "", "夜校开班"},
			{"the present version among others", []string{"A-IM", "feed", "If-None-Match", first + ", " + now}, 304, "", ""},
			{"any version", []string{"A-IM", "feed", "If-None-Match", "*"}, 304, "", ""},
			{"RFC 9110 13.2.2: If-Match goes first", []string{"A-IM", "feed", "If-None-Match", first, "If-Match", `"other"`}, 412, "", ""},
		} {
			r := request(f, "GET", zoneRSS, c.headers...)
			text := string(body(t, r))
			if r.StatusCode != c.want {
				t.Errorf("%s: got %d, want %d", c.name, r.StatusCode, c.want)
				continue
			}
			for title := range strings.FieldsSeq(c.holds) {
				if !strings.Contains(text, title) {
					t.Errorf("%s: %s is missing", c.name, title)
				}
			}
			for title := range strings.FieldsSeq(c.lacks) {
				if strings.Contains(text, title) {
					t.Errorf("%s: %s is told again", c.name, title)
				}
			}
			head := request(f, "HEAD", zoneRSS, c.headers...)
			if diff := cmp.Diff(r.Header, head.Header); diff != "" || head.StatusCode != c.want {
				t.Errorf("%s: HEAD got %d (-GET +HEAD):\n%s", c.name, head.StatusCode, diff)
			}
			if c.want != 226 && c.want != 412 && (r.Header.Get("IM") != "" || r.Header.Get("Vary") != "Accept-Encoding") {
				t.Errorf("%s: IM %q and Vary %q", c.name, r.Header.Get("IM"), r.Header.Get("Vary"))
			}
		}
	})
}

func TestDeltasInEveryCoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t)
		plain := body(t, f.delta(zoneAtom, f.first[zoneAtom]))
		for _, coding := range []string{"br", "zstd", "gzip"} {
			r := f.delta(zoneAtom, f.first[zoneAtom], "Accept-Encoding", coding)
			if got := r.Header.Get("Content-Encoding"); r.StatusCode != 226 || got != coding {
				t.Fatalf("%s: got %d in %q", coding, r.StatusCode, got)
			}
			if got := unpacked(t, coding, body(t, r)); string(got) != string(plain) {
				t.Errorf("%s: the bytes differ", coding)
			}
			full := request(f, "GET", zoneAtom, "Accept-Encoding", coding).Header.Get("ETag")
			if r.Header.Get("ETag") != full {
				t.Errorf("%s: tag %s, that of the full version in this coding is %s", coding, r.Header.Get("ETag"), full)
			}
			if again := f.delta(zoneAtom, full, "Accept-Encoding", coding); again.StatusCode != 304 {
				t.Errorf("%s: with the tag of a delta got %d, want 304", coding, again.StatusCode)
			}
		}
	})
}

func TestWhatADeltaCannotSay(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(f *followed)
		want   map[string]int
	}{
		{"a new article", func(*followed) {}, map[string]int{zoneRSS: 226, zoneAtom: 226, zoneJSON: 226}},
		{"a corrected article", func(f *followed) {
			f.src.edit(1006, time.Now(), func(a *zonewire.Article) { a.Title = "更正" })
		}, map[string]int{zoneRSS: 226, zoneAtom: 226, zoneJSON: 226}},
		{"a withdrawn article is told by Atom alone", func(f *followed) {
			f.src.withdraw(1006, time.Now())
		}, map[string]int{zoneRSS: 200, zoneAtom: 226, zoneJSON: 200}},
		{"an article that moved away", func(f *followed) {
			f.src.move(1006, 12, time.Now())
		}, map[string]int{zoneRSS: 200, zoneAtom: 200, zoneJSON: 200}},
		{"another name of the zone", func(f *followed) {
			f.src.alter(func() {
				f.src.zones[0].Name = "金坛新区"
				f.src.gen.Zones++
			})
		}, map[string]int{zoneRSS: 200, zoneAtom: 200, zoneJSON: 200}},
		{"nothing but new articles", func(f *followed) {
			f.src.edit(1006, time.Now(), func(*zonewire.Article) {})
			f.src.edit(1004, time.Now(), func(*zonewire.Article) {})
		}, map[string]int{zoneRSS: 200, zoneAtom: 200, zoneJSON: 200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := follow(t)
				c.change(f)
				f.pass(2 * time.Second)
				got := map[string]int{}
				for path := range c.want {
					got[path] = f.delta(path, f.first[path]).StatusCode
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestDeltaBringsTombstones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t)
		f.src.withdraw(1006, time.Now())
		f.pass(2 * time.Second)
		r := f.delta(zoneAtom, f.first[zoneAtom])
		text := string(body(t, r))
		if r.StatusCode != 226 || !strings.Contains(text, "deleted-entry") || !strings.Contains(text, "item/1006") || !strings.Contains(text, "item/2001") {
			t.Errorf("got %d and %s", r.StatusCode, text)
		}
		if strings.Contains(text, "产业园开园") {
			t.Error("the withdrawn article is in it")
		}
	})
}

func TestDeltasSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t)
		f.Server = feed.NewServer(f.src, site, feed.Options{})
		r := f.delta(zoneRSS, f.first[zoneRSS])
		if text := string(body(t, r)); r.StatusCode != 226 || !strings.Contains(text, "港口扩建完工") || strings.Contains(text, "通知公告") {
			t.Errorf("got %d and %s", r.StatusCode, text)
		}
	})
}

// What hubs send is cut from the same bytes.
func TestContentForSubscribers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t)
		hash := func(etag string) string { return strings.Trim(etag, `"`) }
		full := request(f, "GET", zoneAtom)
		text := string(body(t, full))
		topic := site.BaseURL + zoneAtom
		for _, c := range []struct {
			name, have string
			delta      bool
			body       string
		}{
			{"all of it for the first time", "", false, text},
			{"all of it for who has it", hash(full.Header.Get("ETag")), false, text},
			{"all of it for an unknown version", "0123", false, text},
			{"what is new for a known one", hash(f.first[zoneAtom]), true, string(body(t, f.delta(zoneAtom, f.first[zoneAtom])))},
		} {
			got, err := f.Content(t.Context(), topic, c.have)
			if err != nil {
				t.Fatal(err)
			}
			want := zonewire.FeedContent{
				Hash: hash(full.Header.Get("ETag")), Type: full.Header.Get("Content-Type"), Links: full.Header.Get("Link"), Body: []byte(c.body), Delta: c.delta,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
	})
}
