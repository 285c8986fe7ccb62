package feed_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mmcdole/gofeed"
	"pgregory.net/rapid"

	"zonewire"
	"zonewire/feed"
)

// markup is HTML of every kind that portals send, and what is none.
var markup = []string{
	"<p>", "</p>", "<div>", "</div>", "<br/>", "<b>", "<i>", "</b>", "<a href='x?a=1&b=2'>", "<a href=//h.example/>", "</a>", "<table>", "<tr>", "<td colspan=2>", "</table>",
	"<ul><li>", "<o:p>", "</o:p>", "<ucapcontent>", "<svg><path/><style>", "</svg>", "<math><mi>x</mi>", "</math>", "<script>alert(1)</script>", "<script>", "<iframe src=x>",
	"</iframe>", "<style>p{}</style>", "<object data=x>", "<!--", "-->", "<![CDATA[", "]]>", "]]&gt;", "<?xml version='1.0'?>", "<!DOCTYPE x [<!ENTITY y 'z'>]>", "&y;",
	"&amp;amp;lt;b&amp;gt;", "&nbsp;", "&#0;", "&#11;", "&#xD800;", "&#xFFFE;", "&lt;", "&", "<img src=1.jpg alt='\"'>", "<img data-src=/2.jpg onerror=x>", "<p style='font-family:宋体' class=a>",
	"<pre>\n\n", "</pre>", "<h2>", "<form>", "<textarea>", "<title>", "<template>", "<font color=red>", "<ruby>汉<rt>han</ruby>", "<details open>", "\"", "'", "<AI>", " ", "\r\n", "\r",
	strings.Repeat("<div>", 600), strings.Repeat("<a href=//h.example/><b>", 60), strings.Repeat("<table><tr><td>", 30),
}

// bytesOf are what no document may hold, and what every document must keep.
var bytesOf = []string{
	"\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\xbd\xed\xb8\x80", "\xff", "\xc0\x80", "\xf4\x90\x80\x80", "\ufffe", "\uffff", "\ufdd0", "\U0001fffe", "\ufffd", "\x7f", "\u0085", "\u009f",
	"\u202e", "\u200f", "\u2066", "\u200b", "\u2028", "\ufeff", "😀", "👨‍👩‍👧", "𠮷", "𡋟", "é", "é", "开发区", "招商引资", "2026年",
}

var (
	hostileText = rapid.Map(rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom(markup), rapid.SampledFrom(bytesOf), rapid.StringN(0, 3, -1),
		rapid.Map(rapid.IntRange(0, 0x1F), func(c int) string { return string(rune(c)) }),
	), 0, 10), func(s []string) string { return strings.Join(s, "") })
	hostileURL = rapid.OneOf(hostileText, rapid.Map(hostileText, func(s string) string { return "https://www.portal.example/" + s }),
		rapid.SampledFrom([]string{"http://港区.example/新闻?键=值", "https://[::1%25eth0]:80/", "//h.example/", "javascript:alert(1)", "https://u:p@h.example/"}))
	anyInstant = rapid.Map(rapid.Int64Range(-1<<40, 1<<42), func(ms int64) time.Time { return time.UnixMilli(ms).In(zonewire.Shanghai) })
)

// hostileArticle is one of which only the dates by which it is ordered can be trusted.
func hostileArticle(t *rapid.T, id, change int64) zonewire.Article {
	a := zonewire.Article{
		ID: id, Change: change, ZoneID: rapid.SampledFrom([]int64{7, 12, 31, 0}).Draw(t, "zone"),
		URL: hostileURL.Draw(t, "url"), Title: hostileText.Draw(t, "title"), Summary: hostileText.Draw(t, "summary"), ContentHTML: hostileText.Draw(t, "content"),
		Source: hostileText.Draw(t, "source"), Author: hostileText.Draw(t, "author"), Category: hostileText.Draw(t, "category"),
		Language: rapid.SampledFrom([]string{"", "en", "zh-CN", "x", "\x00", "zh_CN"}).Draw(t, "language"), Image: hostileURL.Draw(t, "image"),
		Published: anyInstant.Draw(t, "published"), Precision: rapid.SampledFrom([]zonewire.Precision{"", zonewire.PrecisionDay}).Draw(t, "precision"),
		Received: at("2026-03-01T00:00:00Z").Add(time.Duration(change) * time.Minute),
	}
	a.Updated = a.Received
	if rapid.Bool().Draw(t, "with files") {
		a.Attachments = []zonewire.Attachment{
			{URL: hostileURL.Draw(t, "file"), Name: hostileText.Draw(t, "name"), Type: hostileText.Draw(t, "type"), Length: rapid.Int64().Draw(t, "length")},
			{URL: "https://www.portal.example/f.pdf", Length: 5},
		}
	}
	return a
}

// hostileDocument is a feed of a zone or of all, with names as bad as its articles.
func hostileDocument(t *rapid.T) feed.Document {
	doc := feed.Document{Zones: map[int64]zonewire.Zone{7: jintan, 12: harbour, 31: closed}}
	if rapid.Bool().Draw(t, "of one zone") {
		z := jintan
		z.Name, z.Province, z.City = hostileText.Draw(t, "zone name"), hostileText.Draw(t, "province"), hostileText.Draw(t, "city")
		doc.Zone = &z
	}
	n := rapid.Int64Range(0, 6).Draw(t, "articles")
	for change := n; change > 0; change-- {
		a := hostileArticle(t, 5000+change, 10*change)
		if doc.Zone != nil {
			a.ZoneID = doc.Zone.ID
		}
		doc.Articles = append(doc.Articles, a)
	}
	for i := range rapid.Int64Range(0, 2).Draw(t, "withdrawn") {
		doc.Gone = append(doc.Gone, zonewire.Departure{Article: 900 + i, Change: 100 - i, At: at("2026-04-01T00:00:00Z").Add(-time.Duration(i) * time.Hour)})
	}
	doc.More = rapid.Bool().Draw(t, "more")
	return doc
}

func idsOf(articles []zonewire.Article) []string {
	ids := []string{}
	for _, a := range articles {
		ids = append(ids, site.ItemID(a.ID))
	}
	return ids
}

func TestEveryReaderReadsHostileNews(t *testing.T) {
	var all, atoms [][]byte
	rapid.Check(t, func(t *rapid.T) {
		doc, s := hostileDocument(t), site
		s.Title = hostileText.Draw(t, "site title")
		if got := agree(t, s, doc); !slices.Equal(got, idsOf(doc.Articles)) {
			t.Errorf("got items %q, want %q", got, idsOf(doc.Articles))
		}
		once, err := feed.RenderAll(s, doc, [feed.Places]*feed.Rendered{})
		if err != nil {
			t.Fatal(err)
		}
		for place, f := range feed.Formats() {
			b := once[place].Body()
			wellFormed(t, f, b)
			if again := render(t, s, f, doc); !bytes.Equal(b, again) {
				t.Errorf("%s is another a second time:\n%s", f, cmp.Diff(string(b), string(again)))
			}
			if f != feed.JSON {
				all = append(all, b)
			}
			if f == feed.Atom {
				atoms = append(atoms, b)
			}
		}
		names := []zonewire.Zone{{ID: 1, Slug: "a", Name: hostileText.Draw(t, "name"), Province: hostileText.Draw(t, "province")}, jintan, closed}
		opml := feed.RenderOPML(s, names)
		wellFormed(t, "opml", opml)
		all = append(all, opml)
	})
	xmllint(t, all)
	xmllint(t, atoms, "--relaxng", atomGrammar)
}

func TestCutIsADocumentOfWhatIsKept(t *testing.T) {
	var cuts [][]byte
	rapid.Check(t, func(t *rapid.T) {
		doc := hostileDocument(t)
		whole := renderAll(t, doc, [feed.Places]*feed.Rendered{})
		keep := map[int64]bool{}
		kept := doc
		kept.Articles, kept.Gone = nil, nil
		for _, a := range doc.Articles {
			if keep[a.ID] = rapid.Bool().Draw(t, "keep"); keep[a.ID] {
				kept.Articles = append(kept.Articles, a)
			}
		}
		for _, d := range doc.Gone {
			if keep[d.Article] = rapid.Bool().Draw(t, "keep"); keep[d.Article] {
				kept.Gone = append(kept.Gone, d)
			}
		}
		alone := renderAll(t, kept, [feed.Places]*feed.Rendered{})
		for place, f := range feed.Formats() {
			r := whole[place]
			if got := feed.Cut(f, r, func(feed.Piece) bool { return true }); !bytes.Equal(got, r.Body()) {
				t.Errorf("%s: a cut that keeps everything is another document:\n%s", f, cmp.Diff(string(r.Body()), string(got)))
			}
			part := feed.Cut(f, r, func(p feed.Piece) bool { return keep[p.ID] })
			wellFormed(t, f, part)
			if got := itemIDs(t, part); !slices.Equal(got, idsOf(kept.Articles)) {
				t.Errorf("%s: got items %q, want %q", f, got, idsOf(kept.Articles))
			}
			if got, want := links(t, f, part), links(t, f, r.Body()); !cmp.Equal(got, want) {
				t.Errorf("%s: got links %v, want those of the whole: %v", f, got, want)
			}
			wantTombstones := 0
			if f == feed.Atom {
				wantTombstones = len(kept.Gone)
			}
			if got := bytes.Count(part, []byte("<at:deleted-entry")); got != wantTombstones {
				t.Errorf("%s: got %d tombstones, want %d", f, got, wantTombstones)
			}
			if got := bytes.Contains(part, []byte("purl.org/atompub/tombstones")); got != (wantTombstones > 0) {
				t.Errorf("%s with %d tombstones: declares their namespace is %v", f, wantTombstones, got)
			}
			for _, p := range alone[place].Layout() {
				if text := alone[place].Body()[p.At:p.End]; !bytes.Contains(part, text) {
					t.Errorf("%s: a piece depends on the others:\n%s", f, text)
				}
			}
			if f != feed.JSON {
				cuts = append(cuts, part)
			}
		}
	})
	xmllint(t, cuts)
}

// A server renders only what it does not have. Nobody can tell.
func TestKnownPiecesChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := hostileDocument(t)
		old := renderAll(t, before, [feed.Places]*feed.Rendered{})
		after := before
		after.Articles = nil
		for _, a := range before.Articles {
			switch rapid.IntRange(0, 3).Draw(t, "what became of it") {
			case 0: // it left
			case 1:
				a.Change, a.Title = a.Change+1, hostileText.Draw(t, "new title")
				fallthrough
			default:
				after.Articles = append(after.Articles, a)
			}
		}
		if rapid.Bool().Draw(t, "another came") {
			fresh := hostileArticle(t, 6000, 999)
			if after.Zone != nil {
				fresh.ZoneID = after.Zone.ID
			}
			after.Articles = append([]zonewire.Article{fresh}, after.Articles...)
		}
		after.More, after.Updated = !before.More, at("2026-05-05T00:00:00Z")

		known := [feed.Places]*feed.Rendered{&old[0], &old[1], &old[2]}
		lean := after
		lean.Articles = slices.Clone(after.Articles)
		for i, a := range lean.Articles {
			if slices.ContainsFunc(old[0].Layout(), func(p feed.Piece) bool { return p.ID == a.ID && p.Change == a.Change }) {
				lean.Articles[i] = zonewire.Article{ID: a.ID, Change: a.Change, ZoneID: a.ZoneID, Updated: a.Updated}
			}
		}
		want := renderAll(t, after, [feed.Places]*feed.Rendered{})
		same(t, want, renderAll(t, lean, known))
		// What one format does not know is rendered in all: then all of the article is there.
		known[rapid.IntRange(0, feed.Places-1).Draw(t, "unknown format")] = nil
		same(t, want, renderAll(t, after, known))

		place := rapid.IntRange(0, feed.Places-1).Draw(t, "format of a view")
		one, err := feed.RenderOne(site, feed.Formats()[place], lean, &old[place])
		if err != nil || !bytes.Equal(one.Body(), want[place].Body()) {
			t.Errorf("alone: %v\n%s", err, cmp.Diff(string(want[place].Body()), string(one.Body())))
		}
	})
}

func same(t rapid.TB, want, got [feed.Places]feed.Rendered) {
	t.Helper()
	for place, f := range feed.Formats() {
		if diff := cmp.Diff(string(want[place].Body()), string(got[place].Body())); diff != "" {
			t.Errorf("%s (-rendered anew +of known pieces):\n%s", f, diff)
		}
		if diff := cmp.Diff(want[place].Layout(), got[place].Layout()); diff != "" || want[place].Channel() != got[place].Channel() {
			t.Errorf("%s: channel %s and %s, layout:\n%s", f, want[place].Channel(), got[place].Channel(), diff)
		}
	}
}

func TestPiecesLieWhereTheLayoutSays(t *testing.T) {
	doc := document(nil)
	doc.Gone = []zonewire.Departure{{Article: 900, Change: 99, At: at("2026-03-20T00:00:00Z")}}
	for place, r := range renderAll(t, doc, [feed.Places]*feed.Rendered{}) {
		f := feed.Formats()[place]
		var got []string
		for _, p := range r.Layout() {
			text := string(r.Body()[p.At:p.End])
			if !strings.Contains(text, site.ItemID(p.ID)) || strings.Contains(text, "deleted-entry") != p.Gone || strings.TrimSpace(text) == text {
				t.Errorf("%s: piece %+v is %q", f, p, text)
			}
			got = append(got, fmt.Sprint(p.ID, " ", p.Change))
		}
		want := []string{"900 99", "1006 96", "1005 95", "1004 94", "1003 93"}
		if f != feed.Atom {
			want = want[1:]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got pieces %q, want %q", f, got, want)
		}
	}
}

// The channel names what a delta cannot tell: a reader that has another takes the whole document.
func TestChannelIsWhatTheDocumentSaysOfItself(t *testing.T) {
	channels := func(s feed.Site, doc feed.Document) (names [feed.Places]string) {
		all, err := feed.RenderAll(s, doc, [feed.Places]*feed.Rendered{})
		if err != nil {
			t.Fatal(err)
		}
		for place, r := range all {
			names[place] = r.Channel()
		}
		return names
	}
	old := channels(site, document(&jintan))
	for _, c := range []struct {
		name   string
		change func(*feed.Site, *feed.Document)
		same   bool
	}{
		{"an article less", func(_ *feed.Site, d *feed.Document) { d.Articles = d.Articles[1:] }, true},
		{"no article at all", func(_ *feed.Site, d *feed.Document) { d.Articles = nil }, true},
		{"another date", func(_ *feed.Site, d *feed.Document) { d.Updated = at("2026-05-01T00:00:00Z") }, true},
		{"a tombstone", func(_ *feed.Site, d *feed.Document) { d.Gone = []zonewire.Departure{{Article: 1, Change: 9}} }, true},
		{"a next page", func(_ *feed.Site, d *feed.Document) { d.More = true }, true},
		{"an archive", func(_ *feed.Site, d *feed.Document) {
			d.Prev = "https://news.example.org/zones/jintan-edz/archive/2026-02.atom"
		}, true},
		{"another name of the zone", func(_ *feed.Site, d *feed.Document) { z := *d.Zone; z.Name = "新名"; d.Zone = &z }, false},
		{"another address", func(_ *feed.Site, d *feed.Document) { z := *d.Zone; z.Slug = "new"; d.Zone = &z }, false},
		{"a hub", func(s *feed.Site, _ *feed.Document) { s.Hubs = []string{"https://hub.example.com/"} }, false},
		{"another host", func(s *feed.Site, _ *feed.Document) { s.BaseURL = "https://other.example" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, doc := site, document(&jintan)
			c.change(&s, &doc)
			for place, got := range channels(s, doc) {
				if (got == old[place]) != c.same {
					t.Errorf("%s: channel %s, was %s", feed.Formats()[place], got, old[place])
				}
			}
		})
	}
}

func TestLayoutComesBackFromTheStore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var layout []feed.Piece
		end := 0
		for range rapid.IntRange(0, 60).Draw(t, "pieces") {
			p := feed.Piece{ID: rapid.Int64Min(0).Draw(t, "id"), Change: rapid.Int64Min(0).Draw(t, "change"), Gone: rapid.Bool().Draw(t, "gone"),
				At: end + rapid.IntRange(0, 1<<20).Draw(t, "gap")}
			p.End = p.At + rapid.IntRange(0, 1<<20).Draw(t, "length")
			end = p.End
			layout = append(layout, p)
		}
		b := feed.EncodeLayout(layout)
		got, err := feed.DecodeLayout(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(layout, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if _, err := feed.Restored(make([]byte, end), b, ""); err != nil {
			t.Errorf("a body of the very length: %v", err)
		}
		if _, err := feed.Restored(make([]byte, max(end-1, 0)), b, ""); end > 0 && err == nil {
			t.Error("a body that is too short is taken")
		}
	})
}

// FuzzLayout reads bytes that may be no layout: what is taken for one lies within the body, and is written as it was.
func FuzzLayout(f *testing.F) {
	for _, layout := range [][]feed.Piece{nil, {{ID: 7, Change: 9, At: 3, End: 8}, {ID: 6, Change: 8, Gone: true, At: 9, End: 9}}} {
		f.Add(feed.EncodeLayout(layout))
	}
	f.Add([]byte{})
	f.Add([]byte{2, 0})
	f.Add([]byte{1, 2, 2, 4, 2, 2})
	f.Add([]byte{1, 2, 2, 0, 1, 2})
	f.Add([]byte("\x01\x00\x00\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"))
	body := make([]byte, 1000)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := feed.Restored(body, b, "")
		if err != nil {
			return
		}
		at := 0
		for _, p := range r.Layout() {
			if p.At < at || p.End < p.At || p.End > len(body) {
				t.Fatalf("piece %+v behind %d", p, at)
			}
			at = p.End
		}
		again, err := feed.DecodeLayout(feed.EncodeLayout(r.Layout()))
		if err != nil || !slices.Equal(again, r.Layout()) {
			t.Errorf("%v, got %v, want %v", err, again, r.Layout())
		}
	})
}

func renderAll(t rapid.TB, doc feed.Document, known [feed.Places]*feed.Rendered) [feed.Places]feed.Rendered {
	t.Helper()
	all, err := feed.RenderAll(site, doc, known)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// itemIDs are the ids that a reader's parser finds in a document.
func itemIDs(t rapid.TB, doc []byte) []string {
	t.Helper()
	ids := []string{}
	for _, it := range parsed(t, doc).Items {
		ids = append(ids, it.GUID)
	}
	return ids
}

func parsed(t rapid.TB, doc []byte) *gofeed.Feed {
	t.Helper()
	f, err := gofeed.NewParser().Parse(bytes.NewReader(doc))
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	return f
}
