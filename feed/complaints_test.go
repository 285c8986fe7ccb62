package feed_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mmcdole/gofeed"

	"zonewire"
	"zonewire/feed"
)

// What authors of readers complain of in the feeds of others. Those of HTTP are in http_test.go.
func TestNothingThatReaderAuthorsComplainOf(t *testing.T) {
	before := document(&jintan)
	for _, c := range []struct {
		complaint string
		change    func(*feed.Site, *feed.Document)
		holds     func(doc []byte, was, is *gofeed.Feed) bool
	}{
		{"the id of an item follows its title, address or date", func(_ *feed.Site, d *feed.Document) {
			a := &d.Articles[0]
			a.Title, a.URL, a.Published, a.Updated = "更正后的标题", "https://www.jintan.example.cn/moved", at("2026-03-13T00:00:00Z"), at("2026-03-20T00:00:00Z")
		}, func(_ []byte, was, is *gofeed.Feed) bool {
			return was.Items[0].GUID == is.Items[0].GUID && was.Items[0].Title != is.Items[0].Title
		}},
		{"the id of an item follows the slug or name of its zone", func(_ *feed.Site, d *feed.Document) {
			z := *d.Zone
			z.Slug, z.Name = "renamed", "更名后的开发区"
			d.Zone = &z
		}, func(_ []byte, was, is *gofeed.Feed) bool {
			return was.Items[0].GUID == is.Items[0].GUID && was.FeedLink != is.FeedLink
		}},
		{"all ids are equal", func(*feed.Site, *feed.Document) {}, func(_ []byte, _, is *gofeed.Feed) bool {
			return is.Items[0].GUID != is.Items[1].GUID
		}},
		{"an id that is no address is trusted as one", func(*feed.Site, *feed.Document) {}, func(doc []byte, _, is *gofeed.Feed) bool {
			return is.FeedType != "rss" || bytes.Count(doc, []byte(`<guid isPermaLink="false">`)) == len(is.Items)
		}},
		{"the channel has no title", func(s *feed.Site, d *feed.Document) {
			s.Title = ""
			d.Zone = &zonewire.Zone{ID: 7, Slug: "jintan-edz", Name: "\x00 <b></b>"}
		}, func(_ []byte, _, is *gofeed.Feed) bool { return is.Title == "jintan-edz" }},
		{"HTML in a title", func(_ *feed.Site, d *feed.Document) {
			d.Articles[0].Title = "<h1>通知&lt;br&gt;&amp;nbsp;公告</h1>"
		},
			func(_ []byte, _, is *gofeed.Feed) bool { return is.Items[0].Title == "通知 公告" }},
		{"pictures are refused to readers", func(_ *feed.Site, d *feed.Document) { d.Articles[0].ContentHTML = "<img src=/a.jpg>" },
			func(_ []byte, _, is *gofeed.Feed) bool {
				return strings.Contains(is.Items[0].Content, `src="https://www.jintan.example.cn/a.jpg"`) && strings.Contains(is.Items[0].Content, `referrerpolicy="no-referrer"`)
			}},
		{"summaries only", func(_ *feed.Site, d *feed.Document) {
			d.Articles[0].ContentHTML = "<p>" + strings.Repeat("很长。", 4000) + "完</p>"
		},
			func(_ []byte, _, is *gofeed.Feed) bool { return strings.HasSuffix(is.Items[0].Content, "完</p>") }},
		{"a date ahead freezes the item on top", func(_ *feed.Site, d *feed.Document) { d.Articles[0].Published = at("2099-01-01T00:00:00Z") },
			func(_ []byte, _, is *gofeed.Feed) bool {
				return !is.Items[0].PublishedParsed.After(at("2026-03-14T09:31:00Z"))
			}},
		{"control characters and bytes that are no text", func(_ *feed.Site, d *feed.Document) { d.Articles[0].Title = "a\x00\x0b\x1b\xff\xed\xa0\x80b" },
			func(_ []byte, _, is *gofeed.Feed) bool { return is.Items[0].Title == "ab" }},
	} {
		t.Run(c.complaint, func(t *testing.T) {
			s, after := site, document(&jintan)
			c.change(&s, &after)
			for _, f := range feed.Formats() {
				doc := render(t, s, f, after)
				if !c.holds(doc, parsed(t, render(t, site, f, before)), parsed(t, doc)) {
					t.Errorf("%s:\n%s", f, doc)
				}
			}
		})
	}
}
