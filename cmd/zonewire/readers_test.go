package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
)

// Readers of other make follow a zone through its whole life, over every format that each takes. All must show the same
// articles at every moment, and none may fetch what it has.
func TestRealReadersFollowAZone(t *testing.T) {
	l := newLife(t)
	l.step("first fetch", func() {
		l.bring(1, "一号桥今日通车", "2026-03-01", "<p>一号桥今日通车。</p>")
		l.bring(2, "控制"+everyControl()+"字符]]>", "2026-03-02 08:30", "<p>起"+everyControl()+"]]>讫</p>")
		l.bring(3, "5G&6G 与 <AI> 企业", "2026-03-02 08:30", `<p>见<a href="/zt?a=1&b=2">专题</a>😀𠮷。</p>`)
	}, func(feedReader) []int { return []int{200} })
	for i := range l.readers {
		for range l.readers[i].warmUp - 1 {
			l.readers[i].fetch(t)
		}
		l.visits.of(l.readers[i])
	}
	l.step("nothing new", func() {}, func(feedReader) []int { return []int{304} })

	l.step("a new article", func() {
		l.bring(4, "二号桥开工", "2026-03-03", "<p>二号桥今日开工。</p>")
	}, delta)
	l.step("nothing new, again", func() {}, func(feedReader) []int { return []int{304} })

	l.step("a changed article", func() {
		l.run("article", "edit", "1", "--title", "一号桥昨日通车")
		l.retitle(1, "一号桥昨日通车")
	}, delta)

	l.step("a withdrawn article", func() {
		l.run("article", "withdraw", "4", "--reason", "误报", "--yes")
		l.leave(4)
	}, func(r feedReader) []int {
		if r.format != "atom" { // which alone can say so in a delta
			return []int{200}
		}
		return delta(r)
	})
	l.fresh("after a withdrawal")

	l.step("a renamed zone", func() {
		l.run("zone", "rename", "linhu", "linxi")
		l.slug = "linxi"
		l.eventually("the former address to lead on", func() bool {
			res, err := http.DefaultTransport.RoundTrip(httptest.NewRequest(http.MethodGet, l.daemonURL+"/zones/linhu/feed.atom", nil))
			if err != nil {
				l.t.Fatal(err)
			}
			defer res.Body.Close()
			return res.StatusCode == http.StatusMovedPermanently
		})
	}, func(feedReader) []int { return []int{301, 200} })
	l.fresh("after a renaming")

	l.run("zone", "close", "linxi", "--yes")
	l.eventually("the zone to be gone", func() bool {
		_, res := get(t, l.daemonURL+"/zones/linxi/feed.rss")
		return res.StatusCode == http.StatusGone
	})
	for _, r := range l.readers {
		before := l.shown(r)
		r.fetch(t)
		if got := statuses(l.visits.of(r)); len(got) == 0 || got[len(got)-1] != http.StatusGone {
			t.Errorf("a closed zone: %s got %v, want 410 in the end", r, got)
		}
		if diff := cmp.Diff(before, l.shown(r), sameStory); diff != "" {
			t.Errorf("a closed zone: %s shows another thing than before:\n%s", r, diff)
		}
	}
}

// delta is what a reader gets that knows the version before.
func delta(r feedReader) []int {
	if r.deltas {
		return []int{http.StatusIMUsed}
	}
	return []int{http.StatusOK}
}

// everyControl is every code point below U+0020, and half a surrogate pair as it is after reading.
func everyControl() string {
	var b strings.Builder
	for r := range rune(' ') {
		b.WriteRune(r)
	}
	return b.String() + "\ufffd"
}

func (r feedReader) String() string { return r.name + " over " + r.format }

// life is a zone, those who read it, and what they ought to show.
type life struct {
	*site
	t         *testing.T
	visits    *visits
	daemonURL string
	slug      string
	readers   []feedReader
	stories   []story // in the feed
	gone      []story // that were in it
	told      map[string]string
}

func newLife(t *testing.T) *life {
	for _, name := range []string{"newsboat", "r2e"} {
		_, err := exec.LookPath(name)
		needTool(t, err == nil, name)
	}
	needTool(t, runs(debianPython, "-c", "import feedparser"), "feedparser")
	addr := freeAddr(t)
	v := newVisits(t, addr)
	s := newSite(t, "ZONEWIRE_HTTP_LISTEN="+addr, "ZONEWIRE_HTTP_BASE_URL="+v.base, "ZONEWIRE_FEED_AUTHORITY=news.example.org")
	l := &life{site: s, t: t, visits: v, daemonURL: "http://" + addr, slug: "linhu", told: map[string]string{}}
	s.run("zone", "add", "linhu", "--name", "临湖经济开发区")
	s.daemon(addr)
	l.readers = realReaders(t, v.base+"/zones/linhu")
	return l
}

// bring imports the article that will have this number. Its text is what is left of the body without tags and space.
func (l *life) bring(id int, title, published, body string) {
	l.t.Helper()
	link := fmt.Sprintf("https://www.linhu.example.cn/%d.html", id)
	line, err := json.Marshal(map[string]string{"zone": "linhu", "id": fmt.Sprint(id), "url": link, "title": "TITLE", "content_html": "BODY", "published": published})
	if err != nil {
		l.t.Fatal(err)
	}
	l.write("news.ndjson", strings.NewReplacer("TITLE", jsonText(title), "BODY", jsonText(body)).Replace(string(line))+"\n")
	l.run("article", "import", "news.ndjson")
	at, err := time.ParseInLocation("2006-01-02 15:04", (published + " 00:00")[:16], zonewire.Shanghai)
	if err != nil {
		l.t.Fatal(err)
	}
	l.stories = append(l.stories, story{fmt.Sprintf("item/%d", id), strings.Join(strings.Fields(zonewire.CleanText(title)), " "), link, at, letters(zonewire.CleanText(body))})
}

// jsonText is a text inside a JSON string, with half a surrogate pair where it was one.
func jsonText(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\ufffd':
			b.WriteString(`\ud800`)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// letters are what is left of a body without its tags and white space.
func letters(body string) string {
	var b strings.Builder
	inTag := false
	for _, r := range html(body) {
		switch {
		case r == '<':
			inTag = true
		case r == '>' && inTag:
			inTag = false
		case !inTag && !strings.ContainsRune(" \t\r\n", r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (l *life) find(id int) int {
	return slices.IndexFunc(l.stories, func(s story) bool { return s.ID == fmt.Sprintf("item/%d", id) })
}

func (l *life) retitle(id int, title string) {
	s := &l.stories[l.find(id)]
	l.told[s.ID] = s.Title
	s.Title = title
}

func (l *life) leave(id int) {
	i := l.find(id)
	l.gone = append(l.gone, l.stories[i])
	l.stories = slices.Delete(l.stories, i, i+1)
}

// step changes the zone, waits until the daemon serves it, lets every reader fetch once, and holds each to what it got
// and shows.
func (l *life) step(name string, change func(), want func(feedReader) []int) {
	l.t.Helper()
	change()
	for _, format := range []string{"rss", "atom", "json"} {
		l.eventually(name+" in feed."+format, func() bool {
			path := "/zones/" + l.slug + "/feed." + format
			body, res := get(l.t, l.daemonURL+path)
			titles := func(s story) bool { return strings.Contains(html(html(plainReferences.Replace(body))), s.Title) }
			return res.StatusCode == http.StatusOK && strings.Contains(body, `"`+l.visits.base+path+`"`) && // it says itself where it is
				!slices.ContainsFunc(l.stories, func(s story) bool { return !titles(s) }) && !slices.ContainsFunc(l.gone, titles)
		})
	}
	for _, r := range l.readers {
		r.fetch(l.t)
		seen := l.visits.of(r)
		if got := statuses(seen); !slices.Equal(got, want(r)) {
			l.t.Errorf("%s: %s got %v, want %v: %+v", name, r, got, want(r), seen)
		}
		for _, v := range seen {
			if used := v.status == http.StatusIMUsed; used != (v.manipulation == "feed") || used && (v.wanted != "feed" || v.known == "") {
				l.t.Errorf("%s: %s asked for %q with %q and got %d, IM %q", name, r, v.wanted, v.known, v.status, v.manipulation)
			}
		}
		// Nobody but Atom's tombstone tells that an article left, and no reader of these listens to it.
		l.compare(name, r, r.keeps || slices.Equal(statuses(seen), []int{http.StatusIMUsed}))
	}
}

// compare holds what a reader shows to what it ought to; one that keeps has also what is gone.
func (l *life) compare(name string, r feedReader, keeps bool) {
	l.t.Helper()
	want := slices.Clone(l.stories)
	if keeps {
		want = append(want, l.gone...)
	}
	for i, s := range want {
		if before, changed := l.told[s.ID]; changed && r.mails {
			want[i].Title = before
		}
	}
	got := l.shown(r)
	slices.SortFunc(want, byID)
	if diff := cmp.Diff(want, got, sameStory); diff != "" {
		l.t.Errorf("%s: %s shows (-want +got):\n%s", name, r, diff)
		return
	}
	for i, s := range got {
		if !strings.Contains(letters(s.body), want[i].body) {
			l.t.Errorf("%s: %s shows %q, want %q in it", name, r, s.body, want[i].body)
		}
	}
}

// shown is what a reader shows, its ids without the part that names the site.
func (l *life) shown(r feedReader) []story {
	l.t.Helper()
	all := slices.Clone(r.stories(l.t))
	for i, s := range all {
		before, id, ok := strings.Cut(s.ID, ":item/")
		if !ok || !strings.HasPrefix(before, "tag:news.example.org,20") {
			l.t.Errorf("%s has the id %q", r, s.ID)
		}
		all[i].ID = "item/" + id
	}
	slices.SortFunc(all, byID)
	return all
}

var sameStory = cmp.Comparer(func(a, b story) bool {
	return a.ID == b.ID && a.Title == b.Title && a.Link == b.Link && a.Published.Equal(b.Published)
})

func byID(a, b story) int { return strings.Compare(a.ID, b.ID) }

// fresh lets readers that know nothing fetch the zone, and all zones.
func (l *life) fresh(name string) {
	l.t.Helper()
	gone := l.told
	l.told = map[string]string{} // they were told nothing before
	for _, feeds := range []string{"/zones/" + l.slug, ""} {
		for _, r := range realReaders(l.t, l.visits.base+feeds) {
			r.fetch(l.t)
			l.visits.of(r)
			l.compare(name+", "+feeds+"/feed afresh", r, false)
		}
	}
	l.told = gone
}

var plainReferences = strings.NewReplacer("&#x26;", "&", "&#x3C;", "<", "&#x3E;", ">", `\"`, `"`)

func decoded(msg *mail.Message) io.Reader {
	if msg.Header.Get("Content-Transfer-Encoding") == "base64" {
		return base64.NewDecoder(base64.StdEncoding, msg.Body)
	}
	return msg.Body
}
