package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/web"
)

func TestArticlePageTellsWhatItSaidBefore(t *testing.T) {
	h, _ := serve(t, sample())
	doc := parse(t, get(h, "/articles/119"))
	equal(t, "corrections, the latest first", texts(doc, ".corrections li > p"), []string{
		"更正于 2026年11月24日 08:30",
		"更正于 2026年11月23日 20:30原标题：云河经开区 8 个项目<集中>开工",
	})
	equal(t, "former texts, each once", texts(doc, ".corrections details .body p"), []string{"此次开工的 8 个项目总投资 68 亿元。"})
	english := parse(t, get(h, "/articles/119?lang=en"))
	equal(t, "language of a former text on an English page", attrs(english, ".corrections details .body", "lang"), []string{"zh-CN"})
	equal(t, "an article that was not corrected", parse(t, get(h, "/articles/1")).Find(".corrections").Length(), 0)
}

// A wide table scrolls by itself, also for who has no mouse; a table within a table stays one.
func TestTablesScrollInABox(t *testing.T) {
	st := sample()
	st.articles[0].ContentHTML = `<p>前</p><table border="1"><tbody><tr><td><table><tbody><tr><td>内</td></tr></tbody></table></td></tr></tbody></table><p>后</p>`
	h, _ := serve(t, st)
	doc := parse(t, get(h, "/articles/1"))
	equal(t, "boxes", attrs(doc, `.body .wide[tabindex="0"] > table`, "border"), []string{"1", ""})
	equal(t, "names", attrs(doc, ".body .wide", "aria-label"), []string{"表格", "表格"})
	equal(t, "what follows stands outside", texts(doc, ".body > p"), []string{"前", "后"})
}

// However often and however much an article was corrected, its page stays one that a phone opens.
func TestFormerTextsDoNotFillThePage(t *testing.T) {
	st := sample()
	for i := range 50 {
		st.revisions[119] = append(st.revisions[119], zonewire.Revision{
			Replaced: now.Add(-time.Duration(i+1) * time.Hour), Title: fmt.Sprintf("第 %d 稿", 50-i), ContentHTML: fmt.Sprintf("<p>第 %d 稿%s</p>", 50-i, strings.Repeat("正文", 1500)),
		})
	}
	h, _ := serve(t, st)
	w := get(h, "/articles/119")
	checkPage(t, w, zonewire.LocaleZH)
	doc := parse(t, w)
	equal(t, "corrections", doc.Find(".corrections li").Length(), 10)
	if n := doc.Find(".corrections details").Length(); n == 0 || n == 10 {
		t.Errorf("%d former texts, want some of 10", n)
	}
}

func TestDeadline(t *testing.T) {
	for _, tt := range []struct {
		name, path, want, link string
	}{
		{"a moment", "/articles/119", "截止：2026年12月5日（周六）17:30 加入日历", "/articles/119/deadline.ics"},
		{"a moment in English", "/articles/119?lang=en", "Closes: Saturday, 5 December 2026, 17:30 (UTC+8) Add to calendar", "/articles/119/deadline.ics?lang=en"},
		{"a day", "/articles/1", "截止：2026年11月25日（周三） 加入日历", "/articles/1/deadline.ics"},
		{"a day in English", "/articles/1?lang=en", "Closes: Wednesday, 25 November 2026 Add to calendar", "/articles/1/deadline.ics?lang=en"},
		{"a day that has passed", "/articles/2", "已截止：2026年11月23日（周一）", ""},
		{"none", "/articles/3", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, _ := serve(t, sample())
			line := parse(t, get(h, tt.path)).Find(".deadline")
			equal(t, "what it says", strings.Join(strings.Fields(line.Text()), " "), tt.want)
			equal(t, "where the calendar is", line.Find("a").AttrOr("href", ""), tt.link)
		})
	}
}

func TestHeadlinesTellWhatCloses(t *testing.T) {
	st := sample()
	h, _ := serve(t, st)
	for path, want := range map[string][]string{
		"/zones/yunhe": {"截止：2026年12月5日（周六）17:30"},
		"/":            {"截止：2026年12月5日（周六）17:30"},
		searchPath("/", "边合区", "lang", "en"): {"Closes: Saturday, 5 December 2026, 17:30 (UTC+8)"},
		"/zones/qingtan": {}, // what has passed is no news
	} {
		equal(t, path, texts(parse(t, get(h, path)), ".closes"), want)
	}
}

func TestADeadlineOfADayPassesWithTheDay(t *testing.T) {
	end := time.Date(2026, 11, 24, 0, 0, 0, 0, zonewire.Shanghai)
	for at, past := range map[time.Time]bool{end: true, end.Add(-time.Second): false} {
		h := serveWith(t, sample(), func(c *web.Config) { c.Now = func() time.Time { return at } })
		equal(t, at.String(), parse(t, get(h, "/articles/2")).Find(".deadline .past").Length() == 1, past)
	}
}

func TestCalendarFile(t *testing.T) {
	st := sample()
	st.articles[118].Title = "招标公告\r\nBEGIN:VEVENT;,\\ " + strings.Repeat("长", 300)
	h, _ := serve(t, st)
	w := get(h, "/articles/119/deadline.ics?lang=en")
	equal(t, "type", w.Header().Get("Content-Type"), "text/calendar; charset=utf-8")
	equal(t, "for search engines", w.Header().Get("X-Robots-Tag"), "noindex")
	checkHeaders(t, w)
	body := strings.ReplaceAll(w.Body.String(), "\r\n ", "")
	for _, line := range []string{"UID:article-119@news.example.cn", "DTSTART:20261205T093000Z", "DTSTAMP:20261124T003000Z", "URL:" + base + "/articles/119?lang=en"} {
		if !strings.Contains(body, "\r\n"+line+"\r\n") {
			t.Errorf("no line %s in\n%s", line, body)
		}
	}
	if !strings.Contains(body, "\r\nSUMMARY:Closes: 招标公告") || strings.Count(body, "\r\nBEGIN:VEVENT\r\n") != 1 {
		t.Errorf("the title is not one line of text in\n%s", body)
	}
	if w := get(h, "/articles/119/deadline.ics?lang=en", "If-None-Match", w.Header().Get("ETag")); w.Code != http.StatusNotModified {
		t.Errorf("the same file again: status %d, want 304", w.Code)
	}
	if day := get(h, "/articles/1/deadline.ics").Body.String(); !strings.Contains(day, "\r\nDTSTART;VALUE=DATE:20261125\r\n") {
		t.Errorf("no day in\n%s", day)
	}
}
