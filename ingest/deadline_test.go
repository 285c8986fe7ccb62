package ingest_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/ingest"
)

// announcement is one case of testdata/deadline/cases.txt.
type announcement struct {
	name, want string
	article    zonewire.Article
}

func announcements(t testing.TB) []announcement {
	t.Helper()
	b, err := os.ReadFile("testdata/deadline/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []announcement
	for _, block := range strings.Split(string(b), "\n=== ")[1:] {
		name, rest, _ := strings.Cut(strings.TrimSpace(block), "\n")
		c := announcement{name: name}
		published := "2026-11-24"
		for _, field := range []struct {
			name string
			to   *string
		}{{"want ", &c.want}, {"published ", &published}, {"summary ", &c.article.Summary}} {
			if value, ok := strings.CutPrefix(rest, field.name); ok {
				*field.to, rest, _ = strings.Cut(value, "\n")
			}
		}
		if c.article.Suspect = published == "?"; c.article.Suspect {
			published = "2026-11-24"
		}
		var ok bool
		if c.article.Published, c.article.Precision, ok = ingest.ParseDate(published, now.AddDate(3, 0, 0)); !ok || c.want == "" {
			t.Fatalf("%s: published %q, want %q", name, published, c.want)
		}
		c.article.Title, rest, _ = strings.Cut(rest, "\n")
		c.article.ContentHTML = rest
		if !strings.HasPrefix(rest, "<") {
			c.article.ContentHTML = ingest.TextToHTML(rest)
		}
		all = append(all, c)
	}
	return all
}

func deadline(a zonewire.Article) string {
	t, day, ok := ingest.Deadline(a)
	switch {
	case !ok:
		return "none"
	case day:
		return t.Format("2006-01-02")
	}
	return t.Format("2006-01-02 15:04")
}

func TestDeadline(t *testing.T) {
	all := announcements(t)
	if len(all) < 90 {
		t.Errorf("%d cases were read", len(all))
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			if got := deadline(c.article); got != c.want {
				t.Errorf("got %s, want %s, of\n%s\n%s", got, c.want, c.article.Title, c.article.ContentHTML)
			}
		})
	}
}

// bounded holds what every deadline must be.
func bounded(t *testing.T, a zonewire.Article) {
	t.Helper()
	at, day, ok := ingest.Deadline(a)
	if !ok {
		if day || !at.IsZero() {
			t.Fatalf("none, and yet %v, %t", at, day)
		}
		return
	}
	a.Deadline, a.DeadlineDay = at, day
	if !a.Closes().After(a.Published) && !a.Suspect || at.After(a.Published.AddDate(2, 0, 0)) {
		t.Fatalf("published %v, closing %v: out of bounds", a.Published, at)
	}
	if _, offset := at.Zone(); offset != 8*3600 {
		t.Fatalf("closing %v is not in +08:00", at)
	}
	if day && at.Format("15:04:05.999") != "00:00:00" {
		t.Fatalf("the day begins at %v", at)
	}
}

func FuzzDeadline(f *testing.F) {
	for _, c := range announcements(f) {
		f.Add(c.article.Title, c.article.Summary, c.article.ContentHTML, c.article.Published.Unix(), c.article.Suspect)
	}
	f.Add("招标公告", "", strings.Repeat("投标截止时间：1月1日", 50), int64(0), false)
	f.Fuzz(func(t *testing.T, title, summary, body string, published int64, suspect bool) {
		const last = 253_370_764_800 // the year 9999
		bounded(t, zonewire.Article{Title: title, Summary: summary, ContentHTML: body, Published: time.Unix(published%last, 0), Suspect: suspect})
	})
}

// TestGivenDeadline gives the field of rows and objects, with a body that names another.
func TestGivenDeadline(t *testing.T) {
	const found = "2025-02-05 17:30"
	tests := []struct{ name, given, want, warning string }{
		{"absent: the text is searched", ``, found, ""},
		{"null", `"deadline": null,`, found, ""},
		{"empty", `"deadline": " ",`, found, ""},
		{"RFC 3339", `"deadline": "2025-02-10T09:30:00Z",`, "2025-02-10 17:30", ""},
		{"a local time", `"deadline": "2025-02-10 09:30",`, "2025-02-10 09:30", ""},
		{"as it is written", `"deadline": "2025年2月10日下午3时",`, "2025-02-10 15:00", ""},
		{"a day", `"deadline": "2025-02-10",`, "2025-02-10", ""},
		{"seconds since 1970", `"deadline": 1739151000,`, "2025-02-10 09:30", ""},
		{"one that has passed, since the publisher says so", `"deadline": "2025-01-02",`, "2025-01-02", ""},
		{"none", `"deadline": "none",`, "none", ""},
		{"none in Chinese", `"deadline": "无",`, "none", ""},
		{"no date", `"deadline": "soon",`, found, `deadline "soon" is no date and is ignored`},
		{"no year", `"deadline": "2月10日",`, found, `deadline "2月10日" has no year and is ignored`},
		{"too far ahead", `"deadline": "2205-02-10",`, found, `deadline "2205-02-10" is too long ago or too far ahead and is ignored`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := `"title": "云湖开发区招标公告", "published": "2025-01-14", "content_text": "投标截止时间：2025年2月5日17时30分"`
			rec := ingest.Object([]byte("{"+tt.given+body+"}"), ingest.Options{Now: now})
			if rec.Err != nil {
				t.Fatal(rec.Err)
			}
			if got := when(rec.Article); got != tt.want || strings.Join(rec.Warnings, "; ") != tt.warning {
				t.Errorf("got %s, warnings %q, want %s, %q", got, rec.Warnings, tt.want, tt.warning)
			}
			if without := ingest.Object([]byte("{"+body+"}"), ingest.Options{Now: now}); rec.Article.ContentHash != without.Article.ContentHash {
				t.Error("it changes the content hash")
			}
		})
	}
	t.Run("a column", func(t *testing.T) {
		for _, head := range []string{"deadline", "截止时间", "截止日期"} {
			table := "标题,发布时间," + head + "\n云湖开发区招标公告,2025-01-14,2025-02-10 09:30\n"
			for rec := range ingest.Read("a.csv", strings.NewReader(table), ingest.Options{Now: now}) {
				if got := when(rec.Article); rec.Err != nil || got != "2025-02-10 09:30" {
					t.Errorf("%s: got %s, %v", head, got, rec.Err)
				}
			}
		}
	})
	t.Run("a field of a form", func(t *testing.T) {
		rec := ingest.Form(map[string][]string{"title": {"云湖开发区招标公告"}, "截止时间": {"2025-02-10"}}, ingest.Options{Now: now})
		if got := when(rec.Article); rec.Err != nil || got != "2025-02-10" {
			t.Errorf("got %s, %v", got, rec.Err)
		}
	})
	t.Run("a page", func(t *testing.T) {
		page := "<h1>云湖开发区招标公告</h1><p>发布时间：2025-01-14</p><div class=content><p>投标截止时间：2025年2月5日17时30分，地点为云湖市公共资源交易中心。</p></div>"
		rec := ingest.ReadPage([]byte(page), ingest.Options{Now: now})
		if got := when(rec.Article); rec.Err != nil || got != found {
			t.Errorf("got %s, %v", got, rec.Err)
		}
	})
}

// when is the deadline that an article was stored with.
func when(a zonewire.Article) string {
	switch {
	case a.Deadline.IsZero():
		return "none"
	case a.DeadlineDay:
		return a.Deadline.Format("2006-01-02")
	}
	return a.Deadline.Format("2006-01-02 15:04")
}

func BenchmarkDeadline(b *testing.B) {
	all := announcements(b)
	news := zonewire.Article{Title: "云湖经济开发区举行重点项目集中开工活动", Published: now,
		ContentHTML: "<p>" + strings.Repeat("全区上下抢抓机遇，加快推进重点项目建设，截至目前已完成投资120亿元，同比增长8%。</p><p>", 80) + "</p>"}
	call := news
	call.Title = "云湖经济开发区招标公告"
	for name, articles := range map[string][]zonewire.Article{"news": {news}, "call": {call}, "fixture": {all[0].article}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for _, a := range articles {
					ingest.Deadline(a)
				}
			}
		})
	}
}
