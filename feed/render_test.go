package feed_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/mmcdole/gofeed"
	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"zonewire"
	"zonewire/feed"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGoldenFeeds(t *testing.T) {
	hubs := site
	hubs.Hubs = []string{"https://news.example.org/hub", "https://hub.example.com/?of=a&and=b"}
	gone := document(&jintan)
	gone.Gone = []zonewire.Departure{
		{Article: 1002, Change: 97, At: at("2026-03-15T01:02:03.004Z")},
		{Article: 1001, Change: 92, At: at("2026-03-09T00:00:00Z")},
	}
	gone.Updated = gone.Gone[0].At
	paged := document(nil)
	paged.Articles, paged.More, paged.Prev = paged.Articles[:2], true, "https://news.example.org/zones/jintan-edz/archive/2026-02.atom"
	page := document(nil)
	page.Articles, page.View.Before = page.Articles[2:], 95
	view := document(nil)
	view.Articles, view.More = view.Articles[:1], true
	view.View = feed.View{Category: "要闻", Text: "R&D <AI>", Province: "江苏省", Limit: 1}
	archived := func(m zonewire.Month, part, parts int, over bool, prev string) feed.Document {
		d := document(&jintan)
		d.Month, d.Part, d.Parts, d.Over, d.Prev = m, part, parts, over, prev
		return d
	}
	var documents [][]byte
	for _, c := range []struct {
		name    string
		site    feed.Site
		doc     feed.Document
		formats []feed.Format
	}{
		{"zone", site, document(&jintan), feed.Formats()},
		{"all", hubs, document(nil), feed.Formats()},
		{"empty", site, feed.Document{Zone: &harbour}, feed.Formats()},
		{"withdrawn", hubs, gone, feed.Formats()},
		{"first-page", hubs, paged, feed.Formats()},
		{"last-page", hubs, page, feed.Formats()},
		{"view", hubs, view, feed.Formats()},
		{"archive-first", hubs, archived(202602, 1, 1, true, ""), []feed.Format{feed.Atom}},
		{"archive-middle", hubs, archived(202603, 2, 3, true, ""), []feed.Format{feed.Atom}},
		{"archive-running", hubs, archived(202604, 1, 1, false, "https://news.example.org/zones/jintan-edz/archive/2026-03-3.atom"), []feed.Format{feed.Atom}},
	} {
		for _, f := range c.formats {
			t.Run(c.name+"."+string(f), func(t *testing.T) {
				got := render(t, c.site, f, c.doc)
				compareGolden(t, c.name+"."+string(f), got)
				wellFormed(t, f, got)
				if f != feed.JSON {
					documents = append(documents, got)
				}
			})
		}
	}
	xmllint(t, documents)
}

func TestFormatsAgreeOnItems(t *testing.T) {
	for _, doc := range []feed.Document{document(nil), document(&jintan), {}} {
		agree(t, site, doc)
	}
}

func TestUnknownFormatIsInvalid(t *testing.T) {
	if _, err := feed.Render(site, "opml", document(nil)); !errors.Is(err, zonewire.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestSizeIsBoundedAlikeInEveryFormat(t *testing.T) {
	many := func(n, size int) (doc feed.Document) {
		doc.Zone = &jintan
		for i := range n {
			now := at("2026-03-01T00:00:00Z").Add(-time.Duration(i) * time.Hour)
			doc.Articles = append(doc.Articles, zonewire.Article{ID: int64(9000 - i), ZoneID: 7, Title: "标题", Published: now, Received: now,
				Updated: now, ContentHTML: "<p>" + strings.Repeat(`<b>字</b>"&amp;`, size/20) + "</p>"})
		}
		return doc
	}
	for _, c := range []struct {
		name            string
		doc             feed.Document
		items, bytes    int
		atLeast, atMost int
	}{
		{"default item cap", many(80, 20), 0, 0, 50, 50},
		{"own item cap", many(80, 20), 7, 0, 7, 7},
		{"bytes cut the oldest", many(50, 4000), 50, 60 << 10, 3, 20},
		{"one item is always left", many(5, 400), 50, 100, 1, 1},
		{"a huge article does not push out the others", func() feed.Document {
			doc := many(5, 20)
			doc.Articles[0].ContentHTML = strings.Repeat("<p>很长的正文。</p>", 1<<20/20)
			return doc
		}(), 50, 64 << 10, 5, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site
			s.MaxItems, s.MaxBytes = c.items, c.bytes
			ids := agree(t, s, c.doc)
			if len(ids) < c.atLeast || len(ids) > c.atMost {
				t.Errorf("got %d items, want %d to %d", len(ids), c.atLeast, c.atMost)
			}
			for i, id := range ids {
				if want := site.ItemID(c.doc.Articles[i].ID); id != want {
					t.Errorf("item %d is %s, want the newest first: %s", i, id, want)
				}
			}
			for _, f := range feed.Formats() {
				if b := render(t, s, f, c.doc); c.bytes > 100 && len(b) > c.bytes {
					t.Errorf("%s has %d bytes, want at most %d", f, len(b), c.bytes)
				}
			}
		})
	}
}

// An item's entry must not change because another article came or went.
func TestEntryDoesNotDependOnItsNeighbours(t *testing.T) {
	all := document(nil)
	all.Articles = append(all.Articles, zonewire.Article{ID: 1000, ZoneID: 7, Title: "没有任何日期"})
	for i, a := range all.Articles {
		alone := all
		alone.Articles = []zonewire.Article{a}
		whole, err := gofeed.NewParser().ParseString(string(render(t, site, feed.Atom, all)))
		if err != nil {
			t.Fatal(err)
		}
		single, err := gofeed.NewParser().ParseString(string(render(t, site, feed.Atom, alone)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(whole.Items[i], single.Items[0]); diff != "" {
			t.Errorf("article %d alone differs (-among others +alone):\n%s", a.ID, diff)
		}
	}
}

func TestDatesShownAreUniqueAndPlausible(t *testing.T) {
	parsed, err := gofeed.NewParser().Parse(bytes.NewReader(render(t, site, feed.Atom, document(nil))))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, it := range parsed.Items {
		if seen[it.Updated] {
			t.Errorf("updated %s comes twice", it.Updated)
		}
		seen[it.Updated] = true
		if y := it.PublishedParsed.Year(); y != 2026 {
			t.Errorf("%s is shown as published in %d", it.Title, y)
		}
		if it.UpdatedParsed.After(*parsed.UpdatedParsed) {
			t.Errorf("%s is newer than its feed", it.Title)
		}
	}
}

func TestMachineZoneDoesNotShow(t *testing.T) {
	want := render(t, site, feed.RSS, document(nil))
	local := time.Local
	defer func() { time.Local = local }()
	time.Local = time.FixedZone("elsewhere", -5*3600)
	doc := document(nil)
	for i, a := range doc.Articles {
		doc.Articles[i].Updated, doc.Articles[i].Received = a.Updated.Local(), a.Received.Local()
	}
	if diff := cmp.Diff(string(want), string(render(t, site, feed.RSS, doc))); diff != "" {
		t.Errorf("differs (-UTC +elsewhere):\n%s", diff)
	}
}

func TestDiscoveryLinks(t *testing.T) {
	want := []feed.Link{
		{Format: feed.RSS, URL: "https://news.example.org/zones/jintan-edz/feed.rss", Type: "application/rss+xml", Title: "金坛经济开发区 · RSS"},
		{Format: feed.Atom, URL: "https://news.example.org/zones/jintan-edz/feed.atom", Type: "application/atom+xml", Title: "金坛经济开发区 · Atom"},
		{Format: feed.JSON, URL: "https://news.example.org/zones/jintan-edz/feed.json", Type: "application/feed+json", Title: "金坛经济开发区 · JSON Feed"},
	}
	if diff := cmp.Diff(want, site.URLs(&jintan)); diff != "" {
		t.Errorf("zone (-want +got):\n%s", diff)
	}
	if got := site.URLs(nil)[1].URL; got != "https://news.example.org/feed.atom" {
		t.Errorf("all zones: got %s", got)
	}
}

// FuzzRender puts hostile text into every field: every reader must still read every format, and see the same items.
func FuzzRender(f *testing.F) {
	var controls strings.Builder
	for r := range rune(0x20) {
		controls.WriteRune(r)
		fmt.Fprintf(&controls, "&#%d;&#x%x;", r, r)
	}
	for _, seed := range []string{
		controls.String(), "\xff\xfe\xed\xa0\x80 lone surrogate", "]]>", "<![CDATA[x]]>", "\u007f\u0085\ufdd0\ufffe\U0001ffff\ufffd", "&amp;amp;lt;b&gt;",
		"<p><a href=x><a href=y>", "<svg><script>x</script></svg>", "<table><p>x</table>", "</p></div><p/>", "<![endif]-->", "<pre>\n\n x</pre>",
		"http://例子.测试/路?键=值#片", "//x", "https://[::1%25eth0]:80/", "http://a b/", "javascript:x", "%zz", "<title>x</title>", "😀𠮷\u2028\u202e",
		strings.Repeat("<div>", 600), "zh-Hans-CN", "<AI>&nbsp;</b>", "\r\n\r",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		now := at("2026-03-01T00:00:00Z")
		z := zonewire.Zone{ID: 3, Slug: "z", Name: s, Province: s, Language: s}
		doc := feed.Document{Zones: map[int64]zonewire.Zone{3: z}, Articles: []zonewire.Article{
			{ID: 2, ZoneID: 3, URL: s, Title: s, Summary: s, ContentHTML: s, Source: s, Author: s, Category: s, Language: s, Image: s,
				Attachments: []zonewire.Attachment{{URL: s, Name: s, Type: s, Length: -1}, {URL: "http://a.example/x", Name: s, Type: s, Length: 5}},
				Published:   now, Received: now, Updated: now},
			{ID: 1, ZoneID: 3, URL: "https://a.example/n", Title: s, ContentHTML: "<p>" + s + "</p>"},
		}}
		hostile := site
		hostile.Title = s
		if ids := agree(t, hostile, doc); len(ids) != 2 {
			t.Errorf("got items %q of %q", ids, s)
		}
		doc.Zone = &z
		agree(t, hostile, doc)
		for _, format := range feed.Formats() {
			wellFormed(t, format, render(t, hostile, format, doc))
		}
	})
}

// A parser repeats open tags in every paragraph, so that a small body can grow without bound.
func TestHostileBodyDoesNotGrow(t *testing.T) {
	var b strings.Builder
	for i := 0; b.Len() < 100<<10; i++ {
		fmt.Fprintf(&b, "<script>x</script><b title=%d><p>字", i%70)
	}
	doc := document(&jintan)
	doc.Articles[0].ContentHTML, doc.Articles[0].Summary = b.String(), ""
	for _, f := range feed.Formats() {
		if got := render(t, site, f, doc); len(got) > feed.DefaultMaxBytes || !strings.Contains(string(got), "字 字") {
			t.Errorf("%s has %d bytes", f, len(got))
		}
	}
}

// atomGrammar is that of RFC 4287.
var atomGrammar = filepath.Join("testdata", "atom.rng")

func TestAtomKeepsTheGrammarOfRFC4287(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.atom")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d goldens: %v", len(files), err)
	}
	var docs [][]byte
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, b)
	}
	xmllint(t, docs, "--relaxng", atomGrammar)
}

func TestXMLLintReadsEveryControlCharacter(t *testing.T) {
	doc := document(&jintan)
	for r := range rune(0x20) {
		doc.Articles[0].ContentHTML += string(r) + "]]>"
		doc.Articles[0].Title += string(r)
		doc.Articles[0].Author += string(r)
	}
	doc.Articles[0].ContentHTML += "\xff\xed\xa0\x80"
	xmllint(t, [][]byte{render(t, site, feed.RSS, doc), render(t, site, feed.Atom, doc)})
}

func compareGolden(t rapid.TB, name string, got []byte) {
	t.Helper()
	golden := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got), re-make with -update:\n%s", golden, diff)
	}
}

func render(t rapid.TB, s feed.Site, f feed.Format, doc feed.Document) []byte {
	t.Helper()
	got, err := feed.Render(s, f, doc)
	if err != nil {
		t.Fatalf("render %s: %v", f, err)
	}
	return got
}

// agree reads all three formats with a reader's parser and gives the ids, which must be the same in each.
func agree(t rapid.TB, s feed.Site, doc feed.Document) []string {
	t.Helper()
	var first *gofeed.Feed
	var ids []string
	for _, f := range feed.Formats() {
		b := render(t, s, f, doc)
		parsed, err := gofeed.NewParser().Parse(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s is not read: %v\n%s", f, err, b)
		}
		var got []string
		for _, it := range parsed.Items {
			got = append(got, it.GUID)
		}
		if first == nil {
			first, ids = parsed, got
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%s has items %q, RSS has %q", f, got, ids)
			continue
		}
		for i, it := range parsed.Items {
			want := first.Items[i]
			if it.Title != want.Title || it.Link != want.Link || !it.PublishedParsed.Equal(*want.PublishedParsed) ||
				strings.TrimSpace(it.Content) != strings.TrimSpace(want.Content) || !slices.Equal(it.Categories, want.Categories) {
				t.Errorf("%s item %s is read otherwise than in RSS:\n%v\n%v", f, it.GUID, it, want)
			}
			if it.Title == "" || it.Link == "" || len(it.Authors) == 0 || it.Content == "" {
				t.Errorf("%s item %s lacks something: %v", f, it.GUID, it)
			}
			safe(t, it.Content)
		}
	}
	return ids
}

// safe fails for a body that runs something, or that a parser has to mend.
func safe(t rapid.TB, body string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(body))
	for z.Next() != html.ErrorToken {
		tok := z.Token()
		if tok.Type == html.CommentToken || slices.Contains([]string{"script", "style", "iframe", "svg", "math", "object", "title", "textarea"}, tok.Data) {
			t.Errorf("body holds %v: %q", tok, body)
		}
		for _, a := range tok.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || (a.Key == "src" || a.Key == "href") && !strings.Contains(a.Val, ":") ||
				strings.HasPrefix(strings.TrimSpace(a.Val), "javascript:") && a.Key == "href" {
				t.Errorf("body holds %s=%q: %q", a.Key, a.Val, body)
			}
		}
	}
}

// wellFormed reads a document with the strict parsers of the standard library and looks for characters that draw
// warnings.
func wellFormed(t rapid.TB, f feed.Format, b []byte) {
	t.Helper()
	if !utf8.Valid(b) {
		t.Errorf("%s is not UTF-8", f)
	}
	if i := bytes.IndexFunc(b, func(r rune) bool {
		return r < 0x20 && r != '\n' && r != '\t' || r >= 0x7F && r < 0xA0 || r >= 0xFDD0 && r <= 0xFDEF || r&0xFFFE == 0xFFFE || r == 0xFFFD
	}); i >= 0 {
		t.Errorf("%s holds a bad character at %d: %q", f, i, b[max(i-20, 0):i+5])
	}
	if f == feed.JSON {
		if !json.Valid(b) {
			t.Errorf("invalid JSON:\n%s", b)
		}
		return
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Errorf("%s: %v\n%s", f, err, b)
			return
		}
	}
}

// xmllint has the documents read by libxml2, all at once. JSON is none of its business.
func xmllint(t *testing.T, docs [][]byte, flags ...string) {
	t.Helper()
	if _, err := exec.LookPath("xmllint"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("xmllint is missing")
		}
		t.Skip("xmllint is missing (Debian: libxml2-utils)")
	}
	dir := t.TempDir()
	args := append([]string{"--noout", "--nonet"}, flags...)
	for i, doc := range docs {
		file := filepath.Join(dir, strconv.Itoa(i)+".xml")
		if err := os.WriteFile(file, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	out, err := exec.CommandContext(t.Context(), "xmllint", args...).CombinedOutput()
	said := strings.Split(strings.TrimSpace(string(out)), "\n")
	said = slices.DeleteFunc(said, func(s string) bool { return s == "" || strings.HasSuffix(s, " validates") })
	if err != nil || len(said) > 0 {
		t.Errorf("of %d documents: %v\n%.4000s", len(docs), err, strings.Join(said, "\n"))
	}
}
