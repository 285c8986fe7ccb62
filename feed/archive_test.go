package feed_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zonewire"
	"zonewire/feed"
)

const november = zonewire.Month(202611)

// archive is a part of what arrived in one zone in November 2026.
func archive(part, parts int, over bool, articles ...zonewire.Article) feed.Document {
	return feed.Document{Zone: &jintan, Month: november, Part: part, Parts: parts, Over: over, Articles: articles}
}

// links are the links of a feed by relation, in any format, without those to other formats and to pages for people.
func links(t rapid.TB, f feed.Format, doc []byte) map[string]string {
	t.Helper()
	got := map[string]string{}
	add := func(rel, href string) {
		if rel == "alternate" || href == "" {
			return
		}
		got[rel] += strings.TrimPrefix(href, site.BaseURL) + " "
	}
	if f == feed.JSON {
		var d struct {
			Self string `json:"feed_url"`
			Next string `json:"next_url"`
			Hubs []struct{ URL string }
		}
		if err := json.Unmarshal(doc, &d); err != nil {
			t.Fatal(err)
		}
		add("self", d.Self)
		add("next", d.Next)
		for _, h := range d.Hubs {
			add("hub", h.URL)
		}
	} else {
		type link struct {
			Rel  string `xml:"rel,attr"`
			Href string `xml:"href,attr"`
		}
		var d struct {
			Links   []link `xml:"http://www.w3.org/2005/Atom link"`
			Channel struct {
				Links []link `xml:"http://www.w3.org/2005/Atom link"`
			} `xml:"channel"`
		}
		if err := xml.Unmarshal(doc, &d); err != nil {
			t.Fatal(err)
		}
		for _, l := range append(d.Links, d.Channel.Links...) {
			add(l.Rel, l.Href)
		}
	}
	for rel, hrefs := range got {
		got[rel] = strings.TrimSpace(hrefs)
	}
	return got
}

func TestLinksOfEveryKindOfDocument(t *testing.T) {
	const (
		self     = "/zones/jintan-edz/feed.atom"
		archives = "/zones/jintan-edz/archive/"
		october  = "https://news.example.org/zones/jintan-edz/archive/2026-10-2.atom"
	)
	hubs := site
	hubs.Hubs = []string{"https://news.example.org/hub", "https://hub.example.com/"}
	with := func(d feed.Document, change func(*feed.Document)) feed.Document {
		change(&d)
		return d
	}
	for _, c := range []struct {
		name string
		doc  feed.Document
		want map[string]string
	}{
		{"the subscription document", with(document(&jintan), func(d *feed.Document) { d.Prev, d.More = october, true }),
			map[string]string{"self": self, "hub": "/hub https://hub.example.com/", "next": self + "?before=94", "prev-archive": archives + "2026-10-2.atom"}},
		{"all of a feed", document(&jintan), map[string]string{"self": self, "hub": "/hub https://hub.example.com/"}},
		{"a page", with(document(&jintan), func(d *feed.Document) { d.View.Before, d.Prev, d.More = 200, october, true }),
			map[string]string{"self": self + "?before=200", "next": self + "?before=94"}},
		{"a filtered view", with(document(&jintan), func(d *feed.Document) {
			d.View = feed.View{Category: "要 闻", Text: "a&b", Limit: 1}
			d.Prev = october
		}),
			map[string]string{"self": self + "?category=%E8%A6%81+%E9%97%BB&limit=1&q=a%26b",
				"next": self + "?before=96&category=%E8%A6%81+%E9%97%BB&limit=1&q=a%26b"}},
		{"an empty feed with older articles", feed.Document{Zone: &jintan, More: true}, map[string]string{"self": self, "hub": "/hub https://hub.example.com/"}},
		{"the first archive", archive(1, 1, true),
			map[string]string{"self": archives + "2026-11.atom", "current": self, "next-archive": archives + "2026-12.atom"}},
		{"the first part of a month", with(archive(1, 3, true), func(d *feed.Document) { d.Prev = october }),
			map[string]string{"self": archives + "2026-11.atom", "current": self, "prev-archive": archives + "2026-10-2.atom", "next-archive": archives + "2026-11-2.atom"}},
		{"a part between", with(archive(2, 3, false), func(d *feed.Document) { d.Prev = october }),
			map[string]string{"self": archives + "2026-11-2.atom", "current": self, "prev-archive": archives + "2026-11.atom", "next-archive": archives + "2026-11-3.atom"}},
		{"the last part of a month that is over", archive(3, 3, true),
			map[string]string{"self": archives + "2026-11-3.atom", "current": self, "prev-archive": archives + "2026-11-2.atom", "next-archive": archives + "2026-12.atom"}},
		{"the last part of a month that runs", archive(3, 3, false),
			map[string]string{"self": archives + "2026-11-3.atom", "current": self, "prev-archive": archives + "2026-11-2.atom"}},
		{"an archive of a December", with(archive(1, 1, true), func(d *feed.Document) { d.Month = 202612 }),
			map[string]string{"self": archives + "2026-12.atom", "current": self, "next-archive": archives + "2027-01.atom"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := gocmp.Diff(c.want, links(t, feed.Atom, render(t, hubs, feed.Atom, c.doc))); diff != "" {
				t.Errorf("Atom (-want +got):\n%s", diff)
			}
			if c.doc.Month != 0 {
				return
			}
			delete(c.want, "prev-archive") // for Atom only
			for _, f := range []feed.Format{feed.RSS, feed.JSON} {
				want := map[string]string{}
				for rel, href := range c.want {
					want[rel] = strings.ReplaceAll(href, "feed.atom", "feed."+string(f))
				}
				if diff := gocmp.Diff(want, links(t, f, render(t, hubs, f, c.doc))); diff != "" {
					t.Errorf("%s (-want +got):\n%s", f, diff)
				}
			}
		})
	}
}

func TestArchivesAreInAtomOnly(t *testing.T) {
	for _, f := range []feed.Format{feed.RSS, feed.JSON} {
		if _, err := feed.Render(site, f, archive(1, 1, true)); !errors.Is(err, zonewire.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", f, err)
		}
	}
}

// What an archive left out would stand nowhere: a feed's bounds are not for it.
func TestArchiveHoldsAllThatItIsGiven(t *testing.T) {
	s := site
	s.MaxItems, s.MaxBytes = 2, 4000
	if got := bytes.Count(render(t, s, feed.Atom, archive(1, 1, true, numbered(100)...)), []byte("<entry>")); got != 100 {
		t.Errorf("got %d entries, want 100", got)
	}
}

func TestPartOfAMonthStandsStillWhileTheMonthGrows(t *testing.T) {
	first := render(t, site, feed.Atom, archive(1, 2, false, numbered(3)...))
	if later := render(t, site, feed.Atom, archive(1, 9, true, numbered(3)...)); !bytes.Equal(first, later) {
		t.Errorf("differs (-as the first of two +as the first of nine):\n%s", gocmp.Diff(string(first), string(later)))
	}
}

// numbered gives articles of zone 7, newest change first, the last with change 1.
func numbered(n int) (articles []zonewire.Article) {
	for i := n; i >= 1; i-- {
		when := at("2026-11-02T00:00:00Z").Add(time.Duration(i) * time.Minute)
		articles = append(articles, zonewire.Article{ID: int64(4000 + i), Change: int64(i), ZoneID: 7, Title: fmt.Sprintf("第%d号公告", i),
			ContentHTML: "<p>" + strings.Repeat("正文。", i%40) + "</p>", Published: when, Received: when, Updated: when})
	}
	return articles
}

// A reader that follows next gets every article once, whatever the bounds, in every format.
func TestPagesReachEveryArticle(t *testing.T) {
	all := numbered(65)
	for _, c := range []struct {
		name                 string
		view                 feed.View
		items, bytes, atMost int
	}{
		{"pages of 50", feed.View{}, 0, 0, 2},
		{"pages bounded in bytes", feed.View{}, 0, 6000, 30},
		{"no page has room for its article", feed.View{}, 0, 1, 65},
		{"pages of a view with a limit", feed.View{Limit: 9, Category: "公告"}, 0, 0, 8},
		{"the last page is full", feed.View{Limit: 13}, 0, 0, 5},
	} {
		for _, f := range feed.Formats() {
			t.Run(c.name+" in "+string(f), func(t *testing.T) {
				s := site
				s.MaxItems, s.MaxBytes = c.items, c.bytes
				var got []string
				view := c.view
				for pages := 1; ; pages++ {
					if pages > c.atMost {
						t.Fatalf("more than %d pages", c.atMost)
					}
					doc := feed.Document{Zone: &jintan, View: view, Articles: all}
					if view.Before > 0 {
						i := slices.IndexFunc(all, func(a zonewire.Article) bool { return a.Change < view.Before })
						doc.Articles = all[i:]
					}
					if limit := cmp.Or(view.Limit, feed.DefaultMaxItems); len(doc.Articles) > limit { // as a store answers
						doc.Articles, doc.More = doc.Articles[:limit], true
					}
					page := render(t, s, f, doc)
					got = append(got, itemIDs(t, page)...)
					next := links(t, f, page)["next"]
					if next == "" {
						break
					}
					before := int64(0)
					if _, err := fmt.Sscanf(next[strings.Index(next, "before="):], "before=%d", &before); err != nil {
						t.Fatalf("%s: %v", next, err)
					}
					view.Before = before
					if want := feed.Path("jintan-edz", f) + view.Query(); next != want {
						t.Fatalf("next is %s, want %s", next, want)
					}
				}
				var want []string
				for _, a := range all {
					want = append(want, site.ItemID(a.ID))
				}
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("ids (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestViewsAreFeedsOfTheirOwnAndPagesAreNot(t *testing.T) {
	for _, c := range []struct {
		name      string
		doc       feed.Document
		id, title string
	}{
		{"the feed", document(&jintan), ":zone/7", "金坛经济开发区"},
		{"a page of it", feed.Document{Zone: &jintan, View: feed.View{Before: 9, Limit: 3}}, ":zone/7", "金坛经济开发区"},
		{"a category", feed.Document{Zone: &jintan, View: feed.View{Category: "要闻", Before: 9}}, ":zone/7?category=%E8%A6%81%E9%97%BB", "金坛经济开发区 · 要闻"},
		{"a search over a province", feed.Document{View: feed.View{Province: "江苏省", City: "常州市", Text: "<b>新\x00区"}},
			":all?city=%E5%B8%B8%E5%B7%9E%E5%B8%82&province=%E6%B1%9F%E8%8B%8F%E7%9C%81&q=%3Cb%3E%E6%96%B0%00%E5%8C%BA", "全国开发区新闻 · 江苏省 · 常州市 · “ 新区”"},
		{"an archive", archive(1, 4, true), ":zone/7", "金坛经济开发区 · 2026-11"},
		{"a later part of it", archive(3, 4, true), ":zone/7", "金坛经济开发区 · 2026-11 · 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got struct {
				ID    string `xml:"id"`
				Title string `xml:"title"`
			}
			if err := xml.Unmarshal(render(t, site, feed.Atom, c.doc), &got); err != nil {
				t.Fatal(err)
			}
			if want := "tag:news.example.org,2026" + c.id; got.ID != want || got.Title != c.title {
				t.Errorf("got %s %q, want %s %q", got.ID, got.Title, want, c.title)
			}
		})
	}
}

// The date of a feed is that of whatever changed it last, and never goes back.
func TestDateOfAFeed(t *testing.T) {
	gone := []zonewire.Departure{{Article: 900, Change: 99, At: at("2026-03-20T00:00:00.5Z")}}
	for _, c := range []struct {
		name string
		doc  feed.Document
		want string
	}{
		{"that of its newest article", document(&jintan), "2026-03-14T09:30:00.456001006Z"},
		{"that of a zone without articles", feed.Document{Zone: &harbour}, "2026-02-01T08:00:00.000000000Z"},
		{"that of a zone that is younger than the articles it took over",
			feed.Document{Zone: &zonewire.Zone{ID: 7, Slug: "new", Name: "新区", Created: at("2026-04-01T00:00:00Z")}, Articles: articles()}, "2026-04-01T00:00:00.000000000Z"},
		{"that of a tombstone", feed.Document{Zone: &jintan, Articles: articles(), Gone: gone}, "2026-03-20T00:00:00.500000000Z"},
		{"that of a departure of which nothing is told any more", feed.Document{Zone: &jintan, Articles: articles(), Updated: at("2026-03-21T00:00:00Z")}, "2026-03-21T00:00:00.000000000Z"},
		{"an empty feed over all zones has that of the site, whatever zones there are", feed.Document{Zones: map[int64]zonewire.Zone{7: jintan}}, "2026-01-01T00:00:00.000000000Z"},
		{"an empty archive has that of its month", archive(1, 1, true), "2026-10-31T16:00:00.000000000Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got struct {
				Updated string `xml:"updated"`
			}
			if err := xml.Unmarshal(render(t, site, feed.Atom, c.doc), &got); err != nil || got.Updated != c.want {
				t.Errorf("got %s, %v, want %s", got.Updated, err, c.want)
			}
		})
	}
}

func TestTombstonesStandBeforeTheFirstEntry(t *testing.T) {
	doc := document(&jintan)
	doc.Gone = []zonewire.Departure{{Article: 900, Change: 99, At: at("2026-03-20T00:00:00Z")}, {Article: 901, Change: 98, At: at("2026-03-19T00:00:00Z")}}
	b := render(t, site, feed.Atom, doc)
	tombstone, entry := bytes.LastIndex(b, []byte("<at:deleted-entry")), bytes.Index(b, []byte("<entry"))
	if tombstone < 0 || entry < tombstone {
		t.Errorf("tombstone at %d, entry at %d", tombstone, entry)
	}
	for _, f := range []feed.Format{feed.RSS, feed.JSON} {
		if bytes.Contains(render(t, site, f, doc), []byte("item/900")) {
			t.Errorf("%s speaks of an article that is gone", f)
		}
	}
}

// Namespaces that validators do not know, or that mean something, are declared only where they are used.
func TestNamespacesAreDeclaredWhereTheyAreUsed(t *testing.T) {
	for name, doc := range map[string]feed.Document{"feed": document(&jintan), "archive": archive(1, 1, true)} {
		b := string(render(t, site, feed.Atom, doc))
		if strings.Contains(b, "tombstones") {
			t.Errorf("%s declares tombstones and has none:\n%s", name, b)
		}
		if got := strings.Contains(b, "<fh:archive"); got != (name == "archive") || got != strings.Contains(b, "syndication/history") {
			t.Errorf("%s: fh:archive is %v:\n%s", name, got, b)
		}
	}
}
