package digest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"zonewire"
	"zonewire/digest"
)

// extra is the sample edition with what testdata/extra.json adds: moments at which something closes, notes of what was
// mailed before, and sources that could not be reached.
func extra(tb testing.TB) digest.Edition {
	tb.Helper()
	body, err := os.ReadFile("testdata/extra.json")
	if err != nil {
		tb.Fatal(err)
	}
	var more digest.Edition
	if err := json.Unmarshal(body, &more); err != nil {
		tb.Fatalf("testdata/extra.json: %v", err)
	}
	e := sample(tb)
	e.Articles = append(e.Articles, more.Articles...)
	slices.SortStableFunc(e.Articles, func(a, b zonewire.Article) int { return b.Published.Compare(a.Published) })
	maps.Copy(e.Copies, more.Copies)
	e.Notes, e.Silent = more.Notes, more.Silent
	return e
}

func TestGoldensOfAllThereMayBe(t *testing.T) {
	for _, locale := range zonewire.Locales() {
		e := extra(t)
		e.Locale = locale
		m, html, text := render(t, e)
		golden(t, "extra."+locale+".html", html)
		golden(t, "extra."+locale+".txt", "Subject: "+m.Subject+"\n\n"+text)

		withdraw(&e, 102, 114, 131)
		page, err := renderer(t).Page(e)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "extra-page."+locale+".html", page)
	}
}

// withdraw takes articles of the edition back after it was sent.
func withdraw(e *digest.Edition, ids ...int64) {
	for i := range e.Articles {
		if slices.Contains(ids, e.Articles[i].ID) {
			e.Articles[i].Withdrawn = e.Slot.Add(time.Hour)
		}
	}
}

// headlines are the texts of the headlines under a heading of the mail.
func headlines(doc *goquery.Document, heading string) []string {
	var all []string
	row := doc.Find("h2").FilterFunction(func(_ int, s *goquery.Selection) bool { return strings.HasPrefix(strings.TrimSpace(s.Text()), heading) }).Parent()
	row.Find("h3, li").Each(func(_ int, s *goquery.Selection) { all = append(all, s.Text()) })
	return all
}

func TestWhatClosesSoonComesFirstTheSoonestFirst(t *testing.T) {
	at := func(day, hour int) func(*zonewire.Article) {
		return func(a *zonewire.Article) { a.Deadline = time.Date(2026, 11, day, hour, 0, 0, 0, zonewire.Shanghai) }
	}
	allDay := func(day int) func(*zonewire.Article) {
		return func(a *zonewire.Article) { at(day, 0)(a); a.DeadlineDay = true }
	}
	tests := []struct {
		name   string
		max    int
		change []func(*zonewire.Article) // of article 0, 1 and so on
		want   []string
	}{
		{"the order is that of the moments, not of the news", 60, []func(*zonewire.Article){at(27, 9), at(25, 9), at(26, 9)}, []string{"标题 1", "标题 2", "标题 0"}},
		{"a day lasts to its end", 60, []func(*zonewire.Article){allDay(24), at(24, 9), at(25, 1)}, []string{"标题 1", "标题 0", "标题 2"}},
		{"at the same moment, the newest first", 60, []func(*zonewire.Article){at(25, 9), at(25, 9)}, []string{"标题 0", "标题 1"}},
		{"what is over is an ordinary headline", 60, []func(*zonewire.Article){at(24, 8), at(24, 7), allDay(23), at(25, 9)}, []string{"标题 3"}},
		{"nothing closes: no section", 60, nil, nil},
		{"no more than the list tells", 2, []func(*zonewire.Article){at(27, 9), at(25, 9), at(26, 9)}, []string{"标题 1", "标题 2"}},
	}
	for _, tt := range tests {
		e := big(t, 20, 4, "标题")
		e.List.MaxItems = tt.max
		for i, change := range tt.change {
			change(&e.Articles[i])
		}
		_, html, text := render(t, e)
		doc := document(t, html)
		if got := headlines(doc, "即将截止"); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if got := strings.Contains(text, "== 即将截止 =="); got != (tt.want != nil) {
			t.Errorf("%s: section in the text: %v", tt.name, got)
		}
		if first := strings.TrimSpace(doc.Find("h2").First().Text()); (first == "即将截止") != (tt.want != nil) {
			t.Errorf("%s: the first section is %s", tt.name, first)
		}
		for i := range e.Articles {
			if n := strings.Count(text, fmt.Sprintf("标题 %d\n", i)); n != 1 {
				t.Errorf("%s: article %d is told %d times", tt.name, i, n)
			}
		}
	}
}

func TestAtMostTwelveCloseSoon(t *testing.T) {
	e := big(t, 30, 3, "标题")
	for i := range e.Articles {
		e.Articles[i].Deadline = e.Slot.Add(time.Duration(i+1) * time.Hour)
	}
	_, html, _ := render(t, e)
	doc := document(t, html)
	if got := headlines(doc, "即将截止"); len(got) != 12 || got[11] != "标题 11" {
		t.Errorf("got %d, the last %q", len(got), got[len(got)-1])
	}
	if n := doc.Find("h3").Length(); n != 30 {
		t.Errorf("%d headlines, want 30: the others stay with their zones", n)
	}
}

// Of 12 stories told in full, 4 close soon, all in the first zone: the other zones have 4 each before it has a fifth.
func TestWhatClosesSoonIsOfItsZonesShare(t *testing.T) {
	e := big(t, 90, 3, "标题")
	e.List.MaxItems = 12
	for i := range 4 {
		e.Articles[3*i].Deadline = e.Slot.Add(time.Hour)
	}
	_, html, _ := render(t, e)
	got := map[string]int{}
	document(t, html).Find("h2").Each(func(_ int, s *goquery.Selection) {
		name, _, _ := strings.Cut(strings.TrimSpace(s.Text()), "\u2002")
		got[name] = s.Parent().Find("h3").Length()
	})
	want := map[string]int{"即将截止": 4, "第 1 经济技术开发区": 0, "第 2 经济技术开发区": 4, "第 3 经济技术开发区": 4}
	if !maps.Equal(got, want) {
		t.Errorf("told in full: got %v, want %v", got, want)
	}
}

func TestAZoneWhoseNewsAllClosesSoonIsCountedAndHasNoSection(t *testing.T) {
	e := big(t, 6, 3, "标题")
	for i := range e.Articles {
		if e.Articles[i].ZoneID == 2 {
			e.Articles[i].Deadline = e.Slot.Add(time.Hour)
		}
	}
	_, html, _ := render(t, e)
	doc := document(t, html)
	if n := doc.Find("h2").Length(); n != 3 {
		t.Errorf("%d sections, want 3: what closes soon, zone 1 and zone 3", n)
	}
	if line := doc.Find("h1 + p").Text(); !strings.Contains(line, "6 条") || !strings.Contains(line, "3 个开发区") {
		t.Errorf("the head says %q, want 6 stories of 3 zones", line)
	}
}

func TestTheBusiestZoneIsFirstAlsoWhereMostOfItClosesSoon(t *testing.T) {
	e := big(t, 5, 1, "标题")
	z := e.Zones[1]
	z.ID, z.Slug, z.Name = 2, "zone-2", "第 2 经济技术开发区"
	e.Zones[2] = z
	for i := range 3 {
		e.Articles[i].ZoneID = 2
	}
	e.Articles[0].Deadline, e.Articles[1].Deadline = e.Slot.Add(time.Hour), e.Slot.Add(time.Hour)
	_, html, _ := render(t, e)
	if first := document(t, html).Find("h2").Eq(1).Text(); !strings.Contains(first, z.Name) {
		t.Errorf("the first zone is %q, want %s", first, z.Name)
	}
}

func TestMomentsReadAsThePortalGaveThem(t *testing.T) {
	noon := time.Date(2026, 12, 15, 12, 0, 0, 0, zonewire.Shanghai)
	tests := []struct {
		name, locale, timezone string
		at                     time.Time
		day                    bool
		want                   string
	}{
		{"to the minute", "zh-CN", "", noon, false, "截止 12月15日（周二）12:00"},
		{"a day", "zh-CN", "", noon.Add(-12 * time.Hour), true, "截止 12月15日（周二）"},
		{"next year", "zh-CN", "", noon.AddDate(0, 1, 0), false, "截止 2027年1月15日（周五）12:00"},
		{"in English", "en", "", noon, false, "Closes Tuesday, 15 December, 12:00"},
		{"a day in English", "en", "", noon.Add(-12 * time.Hour), true, "Closes Tuesday, 15 December"},
		{"next year in English", "en", "", noon.AddDate(0, 1, 0), true, "Closes Friday, 15 January 2027"},
		{"the clock is told where it is another than the list's", "en", "Europe/Berlin", noon, false, "Closes Tuesday, 15 December, 12:00 (UTC+08:00)"},
		{"but not of a day", "en", "Europe/Berlin", noon.Add(-12 * time.Hour), true, "Closes Tuesday, 15 December"},
		{"nor where it is the same", "en", "Asia/Singapore", noon, false, "Closes Tuesday, 15 December, 12:00"},
	}
	for _, tt := range tests {
		e := big(t, 1, 1, "标题")
		e.Locale, e.List.Timezone = tt.locale, tt.timezone
		e.Articles[0].Deadline, e.Articles[0].DeadlineDay = tt.at, tt.day
		_, html, text := render(t, e)
		if got := document(t, html).Find("h3 + p span.red").Text(); got != tt.want || !strings.Contains(text, "\n"+tt.want+" · ") {
			t.Errorf("%s: got %q, want %q, in\n%s", tt.name, got, tt.want, text)
		}
	}
}

func TestWhatClosesSoonCanBeKeptInACalendar(t *testing.T) {
	e := extra(t)
	_, html, text := render(t, e)
	const want = "https://news.zonewire.example/articles/131/deadline.ics"
	if a := document(t, html).Find(`a[href="` + want + `"]`); a.Length() != 1 || a.Text() != "加入日历" || !strings.Contains(text, "\n加入日历 "+want+"\n") {
		t.Errorf("no link %s in HTML or text", want)
	}
	if strings.Contains(html+text, "/135/deadline.ics") {
		t.Error("what is over can be kept in a calendar")
	}
}

func TestNotesSayWhatBecameOfAnArticle(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, zonewire.Shanghai)
	a := zonewire.Article{ID: 90, ZoneID: 1, Title: "旧闻 <b>", Summary: "内容", ContentHTML: "<p>内容</p>", URL: "https://www.example.cn/90", Reason: "缘由"}
	tests := []struct {
		name   string
		give   zonewire.Note
		locale string
		want   string // of the text
	}{
		{"corrected", zonewire.Note{Article: a, Kind: zonewire.NoteCorrected, At: at}, "zh-CN",
			"== 更正与撤稿 ==\n\n旧闻 <b>\n更正 · 11月23日 · 云栖湖经济开发区\nhttps://news.zonewire.example/articles/90\n"},
		{"withdrawn: neither link, summary nor reason", zonewire.Note{Article: a, Kind: zonewire.NoteWithdrawn, At: at}, "zh-CN",
			"== 更正与撤稿 ==\n\n旧闻 <b>\n撤稿 · 11月23日 · 云栖湖经济开发区\n"},
		{"withdrawn and deleted", zonewire.Note{Article: zonewire.Article{ID: 90, ZoneID: 99}, Kind: zonewire.NoteWithdrawn, At: at}, "zh-CN",
			"== 更正与撤稿 ==\n\n（标题已删除）\n撤稿 · 11月23日\n"},
		{"in English, last year", zonewire.Note{Article: a, Kind: zonewire.NoteCorrected, At: at.AddDate(-1, 0, 0)}, "en",
			"== Corrections and withdrawals ==\n\n旧闻 <b>\nCorrected · 23 November 2025 · Yunqi Lake Economic Development Zone\nhttps://news.zonewire.example/articles/90\n"},
	}
	for _, tt := range tests {
		e := sample(t)
		e.Locale, e.Notes = tt.locale, []zonewire.Note{tt.give}
		_, html, text := render(t, e)
		if !strings.Contains(text, "\n\n\n"+tt.want+"\n\n--\n") {
			t.Errorf("%s: want %q in\n%s", tt.name, tt.want, text)
		}
		doc := document(t, html)
		row := doc.Find("h2").Last().Parent()
		if n := row.Find(`a[href="https://news.zonewire.example/articles/90"]`).Length(); n != row.Find("a").Length() || (n == 1) != strings.Contains(tt.want, "http") {
			t.Errorf("%s: the HTML has %d links to our page and %d in all", tt.name, n, row.Find("a").Length())
		}
		if strings.Contains(html+text, "缘由") || strings.Contains(row.Text(), "内容") {
			t.Errorf("%s: more is told than the title: %s", tt.name, row.Text())
		}
		if !strings.Contains(row.Text(), tt.give.Article.Title) {
			t.Errorf("%s: the title is not in the HTML: %s", tt.name, row.Text())
		}
	}
}

func TestSourcesThatCouldNotBeReachedAreNamed(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 23, 0, 0, 0, time.UTC) } // the next day in China
	silent := func(names string, since time.Time) (all []zonewire.Silence) {
		for name := range strings.SplitSeq(names, " ") {
			all = append(all, zonewire.Silence{Source: name, Since: since})
		}
		return all
	}
	tests := []struct {
		name, locale string
		give         []zonewire.Silence
		want         string
	}{
		{"all were", "zh-CN", nil, ""},
		{"one", "zh-CN", silent("甲报", day(20)), "以下来源自 11月21日起无法访问，可能有消息未收录：甲报。"},
		{"several of one day", "zh-CN", silent("甲报 乙报", day(20)), "以下来源自 11月21日起无法访问，可能有消息未收录：甲报、乙报。"},
		{"several days, the longest gone first", "zh-CN", append(silent("甲报", day(22)), silent("乙报", day(20))...), "以下来源目前无法访问，可能有消息未收录：乙报（11月21日起）、甲报（11月23日起）。"},
		{"a name twice", "zh-CN", silent("甲报 甲报", day(20)), "以下来源自 11月21日起无法访问，可能有消息未收录：甲报。"},
		{"more than eight", "zh-CN", silent("a b c d e f g h i j", day(20)), "以下来源自 11月21日起无法访问，可能有消息未收录：a、b、c、d、e、f、g、h 等 10 个来源。"},
		{"in English", "en", silent("a b c d e f g h i j", day(20)), "Could not be reached since 21 November, so news may be missing: a, b, c, d, e, f, g, h and 2 more."},
		{"several days in English", "en", append(silent("a", day(20)), silent("b", day(21))...), "Could not be reached, so news may be missing: a (since 21 November), b (since 22 November)."},
		{"a name that is none", "zh-CN", silent("\u202e 甲报", day(20)), "以下来源自 11月21日起无法访问，可能有消息未收录：甲报。"},
		{"only names that are none", "zh-CN", silent("\u202e", day(20)), ""},
	}
	for _, tt := range tests {
		e := sample(t)
		e.Locale, e.Silent = tt.locale, tt.give
		_, html, text := render(t, e)
		if tt.want == "" {
			if strings.Contains(text, "无法访问") || strings.Contains(html, "无法访问") {
				t.Errorf("%s: a source is named in\n%s", tt.name, text)
			}
			continue
		}
		if !strings.Contains(text, "\n\n\n"+tt.want+"\n\n\n--\n") || !strings.Contains(document(t, html).Find("td.grey").First().Text(), tt.want) {
			t.Errorf("%s: want %q in\n%s", tt.name, tt.want, text)
		}
	}
}

// Whatever was withdrawn is gone from the page: in its place stands only that.
func TestPageKeepsThePlaceOfWhatWasWithdrawn(t *testing.T) {
	e := extra(t)
	before, err := renderer(t).Page(e)
	if err != nil {
		t.Fatal(err)
	}
	all := document(t, before).Find("h3, li")
	for _, a := range e.Articles {
		e := extra(t)
		withdraw(&e, a.ID)
		page, err := renderer(t).Page(e)
		if err != nil {
			t.Fatal(err)
		}
		doc := document(t, page)
		gone := 0
		doc.Find("h3, li").Each(func(i int, s *goquery.Selection) {
			was := all.Eq(i)
			switch {
			case s.Text() == was.Text():
			case s.Text() == "〔撤稿〕" && was.Text() == a.Title && s.Is("h3") == was.Is("h3"):
				gone++
			default:
				t.Errorf("article %d withdrawn: place %d has %q, and had %q", a.ID, i, s.Text(), was.Text())
			}
		})
		if gone != 1 || strings.Contains(page, a.Title) || a.Summary != "" && strings.Contains(page, a.Summary) ||
			a.URL != "" && strings.Contains(page, a.URL) || strings.Contains(page, fmt.Sprintf("/articles/%d/", a.ID)) {
			t.Errorf("article %d withdrawn: %d places say so, or something of it is left", a.ID, gone)
		}
		if head := doc.Find("h1 + p").Text(); head != document(t, before).Find("h1 + p").Text() {
			t.Errorf("the head changed to %q", head)
		}
	}
}

func TestFootOfAMailLeadsToThePreferencesWithoutAToken(t *testing.T) {
	e := sample(t)
	_, html, text := render(t, e)
	const want = "https://news.zonewire.example/preferences"
	if document(t, html).Find(`a[href="`+want+`"]`).Text() != "管理订阅" || !strings.Contains(text, "\n管理订阅 "+want+"\n") {
		t.Errorf("no link to %s", want)
	}
	page, err := renderer(t).Page(e)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page, "/preferences") {
		t.Error("the page for everybody leads to somebody's preferences")
	}
}

// The bound of a part holds with all that may stand beside the news, and what is cut is counted.
func TestPartsStaySmallBesideTheNews(t *testing.T) {
	nasty := strings.Repeat(`<&"'`, 100)
	tests := []struct {
		name      string
		articles  int
		title     string
		change    func(*digest.Edition)
		closing   int
		summaries bool // are any left
		all       bool // is every story told
	}{
		{"60 stories", 60, "标题", nil, 12, true, true},
		{"500 stories", 500, "年产二十万套电驱系统项目开工", nil, 12, true, false},
		{"500 stories, 12 told in full", 500, "标题", func(e *digest.Edition) { e.List.MaxItems = 12 }, 12, false, false},
		{"500 long titles", 500, strings.Repeat("关于进一步优化营商环境的若干措施", 40), nil, 12, true, false},
		{"500 titles that escaping makes long", 500, nasty, nil, 12, false, false},
		{"at addresses as long as they may be", 500, "标题", func(e *digest.Edition) {
			for i := range e.Articles {
				e.Articles[i].URL = "https://www.example.cn/?" + strings.Repeat("&a", 480)
			}
		}, 12, false, false},
		{"all of it, at three places each", 500, nasty, func(e *digest.Edition) {
			tellAgain(e, "/?"+strings.Repeat("&a", 80))
			for i := range e.Articles {
				e.Articles[i].URL, e.Articles[i].Source = "https://www.example.cn/?"+strings.Repeat("&a", 480), nasty
			}
		}, 6, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := big(t, tt.articles, 12, tt.title)
			for i := range 12 {
				e.Articles[3*i].Deadline = e.Slot.Add(time.Duration(i+1) * 24 * time.Hour)
			}
			for i := range 20 {
				n := zonewire.Note{Article: e.Articles[0], Kind: zonewire.NoteCorrected, At: e.Slot}
				n.Article.ID = int64(9000 + i)
				e.Notes = append(e.Notes, n)
				e.Silent = append(e.Silent, zonewire.Silence{Source: fmt.Sprint(i, nasty), Since: e.Slot})
			}
			if tt.change != nil {
				tt.change(&e)
			}
			m, html, text := render(t, e)
			for part, body := range map[string]string{"HTML": html, "text": text} {
				if len(body) > 72_000 {
					t.Errorf("%s: %d bytes", part, len(body))
				}
				if !strings.Contains(body, "/unsubscribe/TOKEN") || !strings.Contains(body, e.PostalAddress) || !strings.Contains(body, "等 20 个来源。") {
					t.Errorf("%s: the end is cut", part)
				}
				if n := strings.Count(body, "https://news.zonewire.example/articles/90"); n != 20 {
					t.Errorf("%s: %d notes, want 20", part, n)
				}
			}
			if !strings.HasSuffix(m.Subject, fmt.Sprintf(" · %d 条", tt.articles)) {
				t.Errorf("the subject is %s", m.Subject)
			}
			doc := document(t, html)
			closing := len(headlines(doc, "即将截止"))
			if closing != tt.closing || strings.Count(text, "/deadline.ics\n") != closing {
				t.Errorf("%d close soon in the HTML, %d in the text, want %d", closing, strings.Count(text, "/deadline.ics\n"), tt.closing)
			}
			if got := doc.Find("h3 + p + p:not(.grey)").Length() > 0; got != tt.summaries {
				t.Errorf("summaries: got %v, want %v", got, tt.summaries)
			}
			told := doc.Find("h3, li").Length()
			if got := told == tt.articles; got != tt.all {
				t.Errorf("told %d of %d stories, want all: %v", told, tt.articles, tt.all)
			}
			if sum := told + counted(t, doc.Find("p a, td > a").Text()); sum != tt.articles {
				t.Errorf("stories told and counted: got %d, want %d", sum, tt.articles)
			}
			if sum := strings.Count(text, "\nhttp") - 20 + counted(t, text); sum != tt.articles {
				t.Errorf("text: stories told and counted: got %d, want %d", sum, tt.articles)
			}
			t.Logf("%d bytes of HTML, %d of text, %d told", len(html), len(text), told)
		})
	}
}

func TestMailsWithMuchBesideTheNewsAreEqualEachTime(t *testing.T) {
	e := extra(t)
	first, _, _ := render(t, e)
	for range 5 {
		again, _, _ := render(t, e)
		if first.HTML[0] != again.HTML[0] || first.Text[0] != again.Text[0] {
			t.Fatal("equal editions give other bytes")
		}
	}
}

func TestWhatStandsBesideTheNewsIsHarmless(t *testing.T) {
	for _, bad := range []string{
		`<script>alert(1)</script>`, `" onmouseover="alert(1)`, "</td></table><form action=//evil.example>", "{{.LeaveURL}}",
		"t\r\n\r\nhttps://evil.example/unsubscribe\n", "javascript:alert(1)", "THE-MARK", "a THE-MARK b", "THE-\u202eMARK",
	} {
		e := extra(t)
		e.Mark = "THE-MARK"
		for i := range e.Articles {
			e.Articles[i].Title, e.Articles[i].Source, e.Articles[i].URL = bad, bad, bad
		}
		for i := range e.Notes {
			e.Notes[i].Article.Title, e.Notes[i].Article.URL, e.Notes[i].Article.Language = bad, bad, bad
		}
		for i := range e.Silent {
			e.Silent[i].Source = bad
		}
		z := e.Zones[1]
		z.Name = bad
		e.Zones[1] = z
		m, html, text := render(t, e)
		if len(m.HTML) != 2 || len(m.Text) != 2 {
			t.Errorf("%q: got %d chunks of HTML and %d of text, want 2 and 2", bad, len(m.HTML), len(m.Text))
		}
		doc := document(t, html)
		if n := doc.Find("script, img, form, iframe, [onclick], [onmouseover]").Length(); n > 0 {
			t.Errorf("%q: %d elements that act", bad, n)
		}
		doc.Find("a").Each(func(_ int, a *goquery.Selection) {
			if href := a.AttrOr("href", ""); !strings.HasPrefix(href, "https://") && !strings.HasPrefix(href, "mailto:") {
				t.Errorf("%q: link %q", bad, href)
			}
		})
		if strings.Contains(text, "\nhttps://evil") || strings.Contains(text, "\r") {
			t.Errorf("%q: text:\n%s", bad, text)
		}
	}
}
