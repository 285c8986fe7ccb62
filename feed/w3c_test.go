package feed_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mmcdole/gofeed"
	"pgregory.net/rapid"

	"zonewire"
	"zonewire/feed"
)

// today is when the documents of these tests are judged: dates of theirs must not lie ahead of it.
var today = at("2026-06-01T00:00:00Z")

// reporter is a test, or one run of a property.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// w3cFeed judges a document of any format, which must draw what is expected and nothing else.
func w3cFeed(t reporter, f feed.Format, doc []byte, expected ...string) {
	t.Helper()
	var found []finding
	if f == feed.JSON {
		found = jsonFeed(doc, "")
	} else {
		found = w3c(doc, today)
	}
	if got := findingNames(found); fmt.Sprint(got) != fmt.Sprint(expected) {
		t.Errorf("%s: the validator finds %v, want %v:\n%v", f, got, expected, found)
	}
}

func TestW3CFindsNothingInGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d goldens, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			doc, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			expected := []string{}
			if strings.Contains(string(doc), "<at:deleted-entry") {
				expected = append(expected, "UnknownNamespace") // the price of a tombstone
			}
			w3cFeed(t, feed.Format(strings.TrimPrefix(filepath.Ext(file), ".")), doc, expected...)
		})
	}
}

func TestW3CFindsNothingInGeneratedFeeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, doc := someSite.Draw(t, "site"), someDocument(t)
		for _, f := range feed.Formats() {
			b, err := feed.Render(s, f, doc)
			if err != nil {
				t.Fatal(err)
			}
			expected := []string{}
			if f == feed.Atom && len(doc.Gone) > 0 {
				expected = append(expected, "UnknownNamespace")
			}
			w3cFeed(t, f, b, expected...)
		}
	})
}

// snippets are what the text of portals is made of, the odd ones first.
var snippets = []string{
	"5G&6G", "AT&T", "R&D", "&", "&&", "A&B2", "&amp;amp;", "&lt;AI&gt;", "<AI>", "<AI企业>", "</b>", "<b>", "</data>", "</m>", "<o:p>", "&nbsp;", "&sum", "&pi;", "&image",
	"]]>", "<![CDATA[", "<!--", "-->", "<?php", "\x00", "\x0b", "\x1b", "\r\n", "\t", "\u0085", "\ufffe", "\ufffd", "\u202e", "\u2028", "\xed\xa0\x80", "😀", "𠮷", "\"", "'",
	"Ã©", "Â©", "caf\u00e9", "开发区", "招商引资", "2026年", "#1", "100%", "<", ">", " ", "= src=x ", "a:b",
	"<p>", "</p>", "<div>", "</div>", "<table>", "<tr>", "<td>", "</table>", "<a href=\"x?a=1&b=2\">", "<a href='//h.example/x'>", "</a>", "<img src=1.jpg alt=\"a src=b c\">",
	"<ruby>汉<rt>han</rt></ruby>", "<ruby><b><rt>x</rt></b></ruby>", "<rp>(", "<ul><li>一<li>二</ul>", "<h2><h3>", "<select><option>x", "<svg><p>", "<pre>\n\n", "<pre>", "<center>",
	"<font color=red>", "<p style=\"margin: 0px\" title=a title=b onclick=x>", "<iframe src=x></iframe>", "<script>x</script>", "<br/>", "</br>", "<button><p>", "<form><form>",
	"<caption>", "<col>", "<tbody>", "<dd>", "<details>", "<object><p></object>", "<nobr>", "<i><p></i>", "<a href=y><div><a href=z>",
}

var (
	someText    = rapid.OneOf(hostileText, rapid.Map(rapid.SliceOfN(rapid.SampledFrom(snippets), 0, 8), func(parts []string) string { return strings.Join(parts, "") }))
	someAddress = rapid.SampledFrom([]string{
		"", "https://www.zone.example.cn/a.html", "http://园区.example.com/新闻?a=1&b=[2]|3%#x y", "//h.example/x", "/rel.htm", "ftp://h.example/x", "javascript:alert(1)",
		"http://a_b.example.com/f.pdf", "http://localhost:8080/f.pdf", "http://intranet/f.pdf", "http://[2001:db8::1]/f.pdf", "http://user:pw@h.example/f.pdf", "https://h.example./f.pdf",
		"http://192.0.2.7:81/f.pdf", "https://h.example/%zz/{x}\"<>`", "http://-.example/", "http://h.example:port/", "mailto:a@h.example", "HTTPS://H.EXAMPLE/F.PDF?",
	})
	someLanguage = rapid.SampledFrom([]string{"", "zh-CN", "en", "zh-Hans-CN", "cn", "cmn", "yue-Hant", "jp", "xx-bad", "en_US", "EN-us", "x"})
	someTime     = rapid.Map(rapid.Int64Range(at("1969-01-01T00:00:00Z").Unix(), at("2060-01-01T00:00:00Z").Unix()), func(s int64) time.Time { return time.Unix(s, 0) })
	someZone     = rapid.SampledFrom([]*time.Location{time.UTC, zonewire.Shanghai, time.FixedZone("", 20700), time.FixedZone("", -12600), time.FixedZone("", 29143)})
	someSite     = rapid.Custom(func(t *rapid.T) feed.Site {
		s := site
		s.Title, s.Language = someText.Draw(t, "title"), someLanguage.Draw(t, "language")
		s.Hubs = rapid.SampledFrom([][]string{nil, {"https://news.example.org/hub", "https://hub.example.com/?a=1&b=2"}}).Draw(t, "hubs")
		return s
	})
)

func someArticle(t *rapid.T, id int64, zones []zonewire.Zone) zonewire.Article {
	received := rapid.Map(rapid.Int64Range(at("2026-01-01T00:00:00Z").Unix(), today.Unix()), func(s int64) time.Time { return time.Unix(s, 0) })
	a := zonewire.Article{
		ID: id, Change: id, ZoneID: rapid.SampledFrom(zones).Draw(t, "zone").ID,
		URL: someAddress.Draw(t, "url"), Title: someText.Draw(t, "title"), Summary: someText.Draw(t, "summary"), ContentHTML: someText.Draw(t, "content"),
		Source: someText.Draw(t, "source"), Author: someText.Draw(t, "author"), Category: someText.Draw(t, "category"), Language: someLanguage.Draw(t, "language"),
		Image: someAddress.Draw(t, "image"), Published: someTime.Draw(t, "published").In(someZone.Draw(t, "offset")), Received: received.Draw(t, "received"),
	}
	a.Updated = a.Received
	for range rapid.IntRange(0, 3).Draw(t, "attachments") {
		a.Attachments = append(a.Attachments, zonewire.Attachment{
			URL: someAddress.Draw(t, "file"), Name: someText.Draw(t, "name"), Type: rapid.SampledFrom([]string{"", "application/pdf", "bad type", "image/png; q=1"}).Draw(t, "type"),
			Length: rapid.Int64Range(-1, 5).Draw(t, "length"),
		})
	}
	return a
}

// someDocument is a feed of a zone, of all zones, a page of either, or an archive (in Atom only; the others are then the feed).
func someDocument(t *rapid.T) feed.Document {
	zones := []zonewire.Zone{jintan, harbour, closed}
	zones[0].Name, zones[0].Province, zones[0].City = someText.Draw(t, "name"), someText.Draw(t, "province"), someText.Draw(t, "city")
	zones[0].Language = someLanguage.Draw(t, "language")
	doc := feed.Document{Zones: map[int64]zonewire.Zone{}, More: rapid.Bool().Draw(t, "more")}
	if rapid.Bool().Draw(t, "of a zone") {
		zones = zones[:1]
		doc.Zone = &zones[0]
		doc.Prev = rapid.SampledFrom([]string{"", "https://news.example.org" + feed.ArchivePath("jintan-edz", zonewire.Month(202604), 2)}).Draw(t, "prev")
	}
	for _, z := range zones {
		doc.Zones[z.ID] = z
	}
	n := rapid.Int64Range(0, 4).Draw(t, "articles")
	for id := n + 1000; id > 1000; id-- {
		doc.Articles = append(doc.Articles, someArticle(t, id, zones))
	}
	if rapid.Bool().Draw(t, "withdrawn") {
		doc.Gone = []zonewire.Departure{{Article: 90, Change: 2000, At: today.Add(-time.Hour)}, {Article: 91, Change: 1999, At: today.Add(-2 * time.Hour)}}
		doc.Updated = doc.Gone[0].At
	}
	if rapid.Bool().Draw(t, "page") {
		doc.View = feed.View{Before: 5000, Text: "a&b<c>", Category: "要闻"}
	}
	return doc
}

func TestW3CFindsNothingInArchives(t *testing.T) {
	month := zonewire.Month(202603)
	doc := document(&jintan)
	for _, c := range []struct {
		name  string
		shape func(*feed.Document)
	}{
		{"the only month, which still runs", func(*feed.Document) {}},
		{"a first month that is over", func(d *feed.Document) { d.Over = true }},
		{"a first part", func(d *feed.Document) { d.Parts = 3 }},
		{"a part between", func(d *feed.Document) { d.Part, d.Parts = 2, 3 }},
		{"a later month", func(d *feed.Document) {
			d.Over, d.Prev = true, "https://news.example.org/zones/jintan-edz/archive/2026-02.atom"
		}},
		{"an empty month", func(d *feed.Document) { d.Over, d.Articles = true, nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := doc
			d.Month, d.Part, d.Parts = month, 1, 1
			c.shape(&d)
			b, err := feed.Render(site, feed.Atom, d)
			if err != nil {
				t.Fatal(err)
			}
			w3cFeed(t, feed.Atom, b)
		})
	}
}

func TestW3CFindsNothingInOPML(t *testing.T) {
	odd := zonewire.Zone{ID: 40, Slug: "odd", Name: "R&D<AI>园区 \"5G&6G\"", Province: "<江苏>&省", City: "a&b", Language: "cn", Homepage: "http://园区.example.com/a b"}
	for name, zones := range map[string][]zonewire.Zone{"no zone": nil, "one": {jintan}, "several": {jintan, harbour, closed, odd}} {
		t.Run(name, func(t *testing.T) {
			w3cFeed(t, "opml", feed.RenderOPML(site, zones))
		})
	}
}

func TestW3CFindsNothingInAnswers(t *testing.T) {
	s := feed.NewServer(newStore(), site, feed.Options{})
	for _, path := range []string{
		"/feed.rss", "/feed.atom", "/zones/jintan-edz/feed.rss", "/zones/jintan-edz/feed.atom", feed.ListPath, feed.ArchivePath("jintan-edz", 202603, 1),
		"/feed.rss?limit=1&province=" + url.QueryEscape("江苏省"), "/feed.atom?before=95&q=%26", "/zones/jintan-edz/feed.atom?category=" + url.QueryEscape("要闻"),
	} {
		res := request(s, "GET", path, "Accept-Encoding", "gzip, deflate")
		if found := w3cAnswer(t, site.BaseURL+path, res, today); len(found) > 0 {
			t.Errorf("%s: the validator finds %v", path, found)
		}
	}
	for _, path := range []string{"/feed.json", "/zones/jintan-edz/feed.json"} {
		res := request(s, "GET", path)
		if found := jsonFeed(body(t, res), site.BaseURL+path); len(found) > 0 || res.Header.Get("Content-Type") != "application/feed+json; charset=utf-8" {
			t.Errorf("%s: %s, %v", path, res.Header.Get("Content-Type"), found)
		}
	}
}

func TestW3CFindsNothingInDeltas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t)
		f.src.withdraw(1004, time.Now()) // which Atom tells
		f.pass(2 * time.Second)
		f.add(2002, "5G&6G 产业园开园")
		for _, path := range []string{zoneAtom, allAtom} {
			r := f.delta(path, f.first[path])
			if r.StatusCode != http.StatusIMUsed {
				t.Fatalf("%s: got %d", path, r.StatusCode)
			}
			w3cFeed(t, feed.Atom, body(t, r), "UnknownNamespace")
		}
		for _, format := range []feed.Format{feed.RSS, feed.JSON} { // after the withdrawal
			path := feed.Path("jintan-edz", format)
			before := request(f, "GET", path).Header.Get("ETag")
			f.add(3000+int64(len(path)), "新路通车")
			r := f.delta(path, before)
			if r.StatusCode != http.StatusIMUsed {
				t.Fatalf("%s: got %d", path, r.StatusCode)
			}
			w3cFeed(t, format, body(t, r))
		}
	})
}

// What portals write, and the title that it becomes: one that no validator warns of, and that says the same.
func TestTitlesAreMended(t *testing.T) {
	for _, c := range []struct{ name, given, want string }{
		{"an ampersand before a word or a number stays", "5G&6G 与 AT&T", "5G&6G 与 AT&T"},
		{"a name of HTML without its semicolon stays", "A&sum", "A&sum"},
		{"UTF-8 taken for Latin-1", "cafÃ© Â© 2026", "café © 2026"},
		{"taken so twice", "cafÃ\u0083Â©", "café"},
		{"letters that look like it", "«MANH\u00c3» SÃO", "«MANH\u00c3» SÃO"},
		{"tags of old and new elements", "<xmp>一号</xmp><data value=1>桥</data>", "一号 桥"},
		{"tags of no element stay", "<AI>园区", "<AI>园区"},
	} {
		doc := document(&jintan)
		doc.Articles = doc.Articles[:1]
		doc.Articles[0].Title = c.given
		for _, f := range feed.Formats() {
			b := render(t, site, f, doc)
			parsed, err := gofeed.NewParser().ParseString(string(b))
			if err != nil {
				t.Fatal(err)
			}
			if got := parsed.Items[0].Title; got != c.want {
				t.Errorf("%s: %s: %q became %q, want %q", c.name, f, c.given, got, c.want)
			}
			w3cFeed(t, f, b)
		}
	}
}

// The validator reads HTML with html5lib, and so, in its strictest way, do we: what our own rules miss it does not.
func TestHTML5LibMendsNoBody(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's, which alone has Debian's modules
	if exec.Command(python, "-c", "import html5lib").Run() != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("html5lib is missing")
		}
		t.Skip("html5lib is missing (Debian: python3-html5lib)")
	}
	var bodies []string
	rapid.Check(t, func(t *rapid.T) {
		doc := someDocument(t)
		b, err := feed.Render(site, feed.JSON, doc)
		if err != nil {
			t.Fatal(err)
		}
		var read struct {
			Items []struct {
				HTML string `json:"content_html"`
			}
		}
		if err := json.Unmarshal(b, &read); err != nil {
			t.Fatal(err)
		}
		for _, it := range read.Items {
			bodies = append(bodies, it.HTML)
		}
	})
	in, err := json.Marshal(bodies)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", `
import html5lib, json, sys
for body in json.load(sys.stdin):
    try:
        html5lib.HTMLParser(strict=True).parseFragment(body)
    except Exception as e:
        print(repr(e), body)
`)
	cmd.Stdin = strings.NewReader(string(in))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("html5lib, of %d bodies: %v\n%s", len(bodies), err, out)
	}
}
