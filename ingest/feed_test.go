package ingest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"zonewire"
	"zonewire/ingest"
)

// TestFeeds reads every testdata/feed/<case>/feed.xml or feed.json and compares with want.json. A new case is a folder.
// Beside it may stand the address that the feed came from, in the file url, and the charset of its header, in header.
func TestFeeds(t *testing.T) {
	cases, err := filepath.Glob("testdata/feed/*/feed.*")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range cases {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			beside := func(name string) string {
				b, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				return strings.TrimSpace(string(b))
			}
			opts := ingest.Options{Now: now, URL: beside("url"), HTTPCharset: beside("header"), Zone: "金坛经济开发区"}
			doc, err := ingest.ReadFeed(b, opts)
			for _, rec := range doc.Items {
				sound(t, rec)
			}
			got := feedJSON(t, doc, err)
			matchesGolden(t, filepath.Join(dir, "want.json"), got)
		})
	}
}

// matchesGolden compares what was got with the file that keeps what is wanted, or writes it under -update.
func matchesGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// feedJSON is a feed as want.json keeps it: empty fields left out, articles as the pages have them.
func feedJSON(t *testing.T, doc ingest.FeedDoc, err error) []byte {
	t.Helper()
	type item struct {
		Line    int             `json:"line"`
		ID      string          `json:"id,omitempty"`
		Article json.RawMessage `json:"article"`
	}
	type want struct {
		Error     string   `json:"error,omitempty"`
		Title     string   `json:"title,omitempty"`
		Link      string   `json:"link,omitempty"`
		Self      string   `json:"self,omitempty"`
		Hub       string   `json:"hub,omitempty"`
		Every     string   `json:"every,omitempty"`
		SkipHours []int    `json:"skip_hours,omitempty"`
		SkipDays  []string `json:"skip_days,omitempty"`
		Charset   string   `json:"charset,omitempty"`
		Left      int      `json:"left,omitempty"`
		Warnings  []string `json:"warnings,omitempty"`
		Items     []item   `json:"items"`
	}
	w := want{Title: doc.Title, Link: doc.Link, Self: doc.Self, Hub: doc.Hub, SkipHours: doc.Hints.SkipHours, Charset: doc.Charset,
		Left: doc.Left, Warnings: doc.Warnings}
	if err != nil {
		w.Error = err.Error()
	}
	if doc.Hints.Every > 0 {
		w.Every = doc.Hints.Every.String()
	}
	for _, d := range doc.Hints.SkipDays {
		w.SkipDays = append(w.SkipDays, d.String())
	}
	for _, rec := range doc.Items {
		w.Items = append(w.Items, item{Line: rec.Line, ID: rec.Article.ExternalID, Article: pageJSON(t, rec)})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(w); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFeedHints(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	for _, tt := range []struct {
		name, head string
		want       ingest.Hints
	}{
		{"none", "", ingest.Hints{}},
		{"ttl is in minutes", "<ttl>90</ttl>", ingest.Hints{Every: 90 * time.Minute}},
		{"a ttl of a year is a day", "<ttl>525600</ttl>", ingest.Hints{Every: day}},
		{"a ttl below zero says nothing", "<ttl>-5</ttl>", ingest.Hints{}},
		{"a ttl that is no number says nothing", "<ttl>1 hour</ttl>", ingest.Hints{}},
		{"hourly is an hour", "<sy:updatePeriod> hourly </sy:updatePeriod>", ingest.Hints{Every: hour}},
		{"four times a day is six hours", "<sy:updatePeriod>daily</sy:updatePeriod><sy:updateFrequency>4</sy:updateFrequency>", ingest.Hints{Every: 6 * hour}},
		{"a frequency alone is of a day", "<sy:updateFrequency>2</sy:updateFrequency>", ingest.Hints{Every: 12 * hour}},
		{"a frequency of nothing is one", "<sy:updatePeriod>hourly</sy:updatePeriod><sy:updateFrequency>0</sy:updateFrequency>", ingest.Hints{Every: hour}},
		{"a frequency past counting is no hint", "<sy:updatePeriod>hourly</sy:updatePeriod><sy:updateFrequency>99999999</sy:updateFrequency>", ingest.Hints{}},
		{"monthly is a day at most", "<sy:updatePeriod>monthly</sy:updatePeriod>", ingest.Hints{Every: day}},
		{"an unknown period says nothing", "<sy:updatePeriod>sometimes</sy:updatePeriod>", ingest.Hints{}},
		{"the rarer of two counts", "<ttl>30</ttl><sy:updatePeriod>hourly</sy:updatePeriod>", ingest.Hints{Every: hour}},
		{"hours are sorted, each once", "<skipHours><hour>3</hour><hour>0</hour><hour>3</hour></skipHours>", ingest.Hints{SkipHours: []int{0, 3}}},
		{"hour 24 is hour 0", "<skipHours><hour>24</hour></skipHours>", ingest.Hints{SkipHours: []int{0}}},
		{"hours that are none say nothing", "<skipHours><hour>25</hour><hour>-1</hour><hour>x</hour></skipHours>", ingest.Hints{}},
		{"every hour is none", "<skipHours>" + numbered(24, "<hour>%d</hour>") + "</skipHours>", ingest.Hints{}},
		{"days by their names", "<skipDays><day>Sunday</day><day>sat</day><day>周一</day></skipDays>", ingest.Hints{SkipDays: []time.Weekday{time.Sunday, time.Saturday}}},
		{"every day is none", "<skipDays><day>Mon</day><day>Tue</day><day>Wed</day><day>Thu</day><day>Fri</day><day>Sat</day><day>Sun</day></skipDays>", ingest.Hints{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := ingest.ReadFeed([]byte(`<rss version="2.0" xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"><channel>`+tt.head+`</channel></rss>`), ingest.Options{Now: now})
			if diff := cmp.Diff(tt.want, doc.Hints, cmpopts.EquateEmpty()); diff != "" || err != nil {
				t.Errorf("%v, hints of %s (-want +got):\n%s", err, tt.head, diff)
			}
		})
	}
}

// numbered repeats a format for the numbers from 0.
func numbered(n int, format string) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, format, i)
	}
	return out.String()
}

func rssOf(items string) []byte {
	return []byte(`<rss version="2.0"><channel><title>园区</title><link>https://x.example/</link>` + items + `</channel></rss>`)
}

func TestAFeedKeepsItsFirst500ItemsAndAFileAllOfThem(t *testing.T) {
	const item = "<item><title>第%[1]d条</title><link>https://x.example/%[1]d</link><pubDate>2024-05-01</pubDate></item>\n"
	feed := rssOf(numbered(620, item))
	doc, err := ingest.ReadFeed(feed, ingest.Options{Now: now})
	if err != nil || len(doc.Items) != 500 || doc.Left != 120 {
		t.Fatalf("%d items, %d left, %v", len(doc.Items), doc.Left, err)
	}
	if first, last := doc.Items[0].Article.Title, doc.Items[499].Article.Title; first != "第0条" || last != "第499条" {
		t.Errorf("from %s to %s", first, last)
	}
	n := 0
	for rec := range ingest.Read("a.xml", bytes.NewReader(feed), ingest.Options{Now: now}) {
		if n++; rec.Err != nil || rec.Line != n {
			t.Fatalf("record %d is of line %d: %v", n, rec.Line, rec.Err)
		}
	}
	if n != 620 {
		t.Errorf("%d records of the file", n)
	}
	jsonFeed := `{"version":"https://jsonfeed.org/version/1.1","items":[` + strings.TrimSuffix(numbered(501, `{"id":%d,"title":"条"},`), ",") + `]}`
	if doc, err := ingest.ReadFeed([]byte(jsonFeed), ingest.Options{Now: now}); err != nil || len(doc.Items) != 500 || doc.Left != 1 {
		t.Errorf("JSON Feed: %d items, %d left, %v", len(doc.Items), doc.Left, err)
	}
}

func TestAFileThatBreaksOffSaysSoWithItsLastItem(t *testing.T) {
	feed := `<rss><channel><item><title>甲</title></item><item><title>乙</title></item><item><tit`
	var got []string
	for rec := range ingest.Read("a.xml", strings.NewReader(feed), ingest.Options{Now: now}) {
		got = append(got, rec.Article.Title+": "+strings.Join(rec.Warnings, "; "))
	}
	want := []string{"甲: there is no date: the time of arrival is taken",
		"乙: there is no date: the time of arrival is taken; the feed breaks off: only its whole items are read"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFeedsThatAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, feed, want string }{
		{"nothing", "", "this is no feed: there is no element in it"},
		{"text", "没有尖括号", "this is no feed: there is no element in it"},
		{"a sitemap", "<urlset><url/></urlset>", "this is no feed: it begins with the element urlset"},
		{"more than 10 MB", strings.Repeat(" ", 10<<20+1), "the feed is larger than 10 MB"},
		{"a root of 9 KB", "<rss x='" + strings.Repeat("x", 9<<10) + "'>", "the feed's first elements are larger than 8 KB"},
		{"JSON that is none", "{]", "the feed is not JSON: invalid character ']'"},
		{"items that are no array", `{"version":"https://jsonfeed.org/version/1","items":{}}`, "the feed is not JSON: items is no array"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ingest.ReadFeed([]byte(tt.feed), ingest.Options{Now: now})
			if !errors.Is(err, zonewire.ErrInvalid) || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// TestAHostileItemCostsOnlyItself puts items that are made to hurt the parser between two that are not.
func TestAHostileItemCostsOnlyItself(t *testing.T) {
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	for _, tt := range []struct{ name, item, want string }{
		{"elements nested without end", many("<x:a>", 100_000), "the item is nested more than 256 deep"},
		{"elements nested and closed", many("<x:a>", 300) + many("</x:a>", 300), "the item is nested more than 256 deep"},
		{"elements without end", many("<x:a/>", 100_000), "the item has more than 10000 elements"},
		{"end tags of nothing", many("</b>", 100_000), ""},
		{"name spaces for each element to copy", `<x:a ` + numbered(5_000, `xmlns:n%d="u" `) + `>` + many("<x:b/>", 9000) + `</x:a>`, ""},
		{"one element with attributes without end", "<x:a " + many(`b="" `, 100_000) + "/>", ""},
		{"ampersands", "<description>" + many("&", 100_000) + "</description>", ""},
		{"brackets that mean themselves", "<description>" + many("< ", 100_000) + "</description>", ""},
		{"comments", many("<!---->", 100_000), ""},
		{"HTML nested past reading", "<description>" + many("&lt;div&gt;", 2000) + "</description>", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			feed := rssOf(`<item><title>前</title></item><item><title>坏</title>` + tt.item + `</item><item><title>后</title></item>`)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			doc, err := ingest.ReadFeed(feed, ingest.Options{Now: now})
			runtime.ReadMemStats(&after)
			if taken := after.TotalAlloc - before.TotalAlloc; taken > 128<<20 {
				t.Errorf("%d MB were allocated for %d KB", taken>>20, len(feed)>>10)
			}
			if err != nil || len(doc.Items) != 3 || doc.Items[0].Err != nil || doc.Items[2].Article.Title != "后" {
				t.Fatalf("%v, %d items", err, len(doc.Items))
			}
			if got := fmt.Sprint(doc.Items[1].Err); !strings.HasPrefix(got, tt.want) || tt.want == "" && doc.Items[1].Err != nil {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAHeadThatCannotBeParsedCostsNoItem(t *testing.T) {
	doc, err := ingest.ReadFeed([]byte("<rss><channel><title>园区<\u3400/></title><item><title>甲</title></item></channel></rss>"), ingest.Options{Now: now})
	if err != nil || len(doc.Items) != 1 || doc.Items[0].Err != nil || len(doc.Warnings) != 1 {
		t.Errorf("%v, %q, %+v", err, doc.Warnings, doc.Items)
	}
}

// TestAnEntityBombTakesNoMemory would take gigabytes if one entity were expanded.
func TestAnEntityBombTakesNoMemory(t *testing.T) {
	bomb := `<!DOCTYPE rss [<!ENTITY e0 "` + strings.Repeat("哈", 100) + `">`
	for i := range 12 {
		bomb += fmt.Sprintf(`<!ENTITY e%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&e%d;", i), 10))
	}
	feed := bomb + `]>` + string(rssOf(`<item><title>甲</title><description>&e12;</description></item>`))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	doc, err := ingest.ReadFeed([]byte(feed), ingest.Options{Now: now})
	runtime.ReadMemStats(&after)
	if err != nil || len(doc.Items) != 1 || doc.Items[0].Article.Summary != "&e12;" {
		t.Fatalf("%v, %+v", err, doc.Items)
	}
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 4<<20 {
		t.Errorf("%d KB were allocated", taken>>10)
	}
}

// TestOwnFeeds reads what the feeds of this program say: the same in each format.
func TestOwnFeeds(t *testing.T) {
	read := func(name string) ingest.FeedDoc {
		b, err := os.ReadFile("../feed/testdata/golden/" + name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := ingest.ReadFeed(b, ingest.Options{Now: now.AddDate(5, 0, 0)})
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	for _, name := range []string{"all", "zone"} {
		rss := read(name + ".rss")
		if len(rss.Items) == 0 || rss.Title == "" || rss.Link == "" || rss.Self == "" {
			t.Fatalf("%s.rss: %+v", name, rss)
		}
		for _, ending := range []string{".atom", ".json"} {
			doc := read(name + ending)
			if doc.Title != rss.Title || doc.Link != rss.Link || doc.Hub != rss.Hub || len(doc.Items) != len(rss.Items) {
				t.Errorf("%s%s: %q, %q, hub %q, %d items", name, ending, doc.Title, doc.Link, doc.Hub, len(doc.Items))
			}
			for i, rec := range doc.Items {
				a, b := rec.Article, rss.Items[i].Article
				if a.ExternalID != b.ExternalID || a.URL != b.URL || a.Title != b.Title || a.ContentHTML != b.ContentHTML || a.Summary != b.Summary ||
					!a.Published.Equal(b.Published) || a.Suspect || a.Image != b.Image || len(a.Attachments) != len(b.Attachments) || a.Category != b.Category {
					t.Errorf("%s%s: item %d (-rss +this):\n%s", name, ending, i, cmp.Diff(b, a))
				}
			}
		}
	}
}
