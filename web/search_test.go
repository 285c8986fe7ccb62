package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"zonewire"
)

func searchPath(path, q string, params ...string) string {
	query := url.Values{"q": {q}}
	for i := 0; i+1 < len(params); i += 2 {
		query.Set(params[i], params[i+1])
	}
	return path + "?" + query.Encode()
}

func TestSearch(t *testing.T) {
	st := sample()
	st.zones[0].Aliases = []string{"云河开发区", "Cloud River EDZ"}
	st.articles[9].Title, st.articles[9].Summary = "云河经开区光伏项目ＡＩ质检线投产", "首批 200 MW 组件下线。"
	h, _ := serve(t, st)
	for _, tt := range []struct {
		name, path string
		zones      []string
		articles   []string
	}{
		{"two characters are enough", searchPath("/", "光伏"), nil, []string{"/articles/10"}},
		{"every word must be there", searchPath("/", "光伏 云河"), nil, []string{"/articles/10"}},
		{"one that is not finds nothing", searchPath("/", "光伏 火星"), nil, nil},
		{"a word of the summary", searchPath("/", "组件下线"), nil, []string{"/articles/10"}},
		{"small and capital letters are the same", searchPath("/", "mw 组件"), nil, []string{"/articles/10"}},
		{"wide letters and the wide space are typed by accident", searchPath("/", "　ＭＷ　组件　"), nil, []string{"/articles/10"}},
		{"marks that turn the text are none of it", searchPath("/", "光\u202e伏\u200b"), nil, []string{"/articles/10"}},
		{"a zone by its former name", searchPath("/", "cloud river"), []string{"/zones/yunhe"}, nil},
		{"a zone by its English name", searchPath("/", "YUNHE"), []string{"/zones/yunhe"}, nil},
		{"a zone by its city", searchPath("/", "湖州"), []string{"/zones/qingtan"}, nil},
		{"a zone by its province and a part of its name", searchPath("/", "云南 边境"), []string{"/zones/nanshan"}, nil},
		{"a closed zone is not offered", searchPath("/", "石桥"), nil, nil},
		{"within a province", searchPath("/", "经开区 光伏", "province", "江苏省"), nil, []string{"/articles/10"}},
		{"within another", searchPath("/", "光伏", "province", "浙江省"), nil, nil},
		{"zones within a province", searchPath("/", "产业开发区", "province", "浙江省"), []string{"/zones/qingtan"}, nil},
		{"within a zone", searchPath("/zones/yunhe", "光伏"), nil, nil},
		{"within the right zone", searchPath("/zones/wuming", "光伏"), nil, []string{"/articles/10"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st.articles[9].ZoneID, st.articles[9].Zone, st.articles[9].Province = 1, "yunhe", "江苏省"
			if strings.HasPrefix(tt.path, "/zones/") {
				st.articles[9].ZoneID, st.articles[9].Zone = 6, "wuming"
			}
			w := get(h, tt.path)
			equal(t, "status", w.Code, http.StatusOK)
			checkHeaders(t, w)
			checkPage(t, w, zonewire.LocaleZH)
			doc := parse(t, w)
			equal(t, "zones", append([]string(nil), attrs(doc, ".matches a", "href")...), tt.zones)
			equal(t, "articles", append([]string(nil), attrs(doc, ".news h3 a", "href")...), tt.articles)
			if nothing := len(tt.zones)+len(tt.articles) == 0; (doc.Find(".nothing li").Length() > 1) != nothing {
				t.Errorf("advice on what to try: %t, want %t", !nothing, nothing)
			}
			equal(t, "for search engines", []string{w.Header().Get("X-Robots-Tag"), doc.Find(`meta[name="robots"]`).AttrOr("content", "")}, []string{"noindex", "noindex"})
			equal(t, "canonical addresses", doc.Find(`link[rel="canonical"]`).Length(), 0)
		})
	}
}

func TestSearchMarksWhatItFound(t *testing.T) {
	st := sample()
	st.articles[9].Title = `Ａi 与 AI：<b>ai</b> & "智能"`
	st.articles[9].Summary = strings.Repeat("前言。", 60) + "末尾才说到智能制造。"
	h, _ := serve(t, st)
	doc := parse(t, get(h, searchPath("/", `智能 ai`)))
	title := doc.Find(".news h3 a")
	equal(t, "title as it is", title.Text(), st.articles[9].Title)
	equal(t, "marks", texts(doc, ".news h3 mark"), []string{"Ａi", "AI", "ai", "智能"})
	equal(t, "tags of the title", title.Find("b").Length(), 0)
	if got := doc.Find(".news p").First().Text(); !strings.HasPrefix(got, "…") || !strings.Contains(got, "智能制造") {
		t.Errorf("the excerpt %q leaves out what was found", got)
	}
	equal(t, "marks of a zone", texts(parse(t, get(h, searchPath("/", "高新 湖州"))), ".matches mark"), []string{"高新", "湖州"})
}

func TestHostileSearchIsText(t *testing.T) {
	h, log := serve(t, sample())
	for _, q := range []string{
		`"><script>alert(1)</script>`, `' onfocus=alert(1) autofocus x='`, `</title><img src=x onerror=alert(1)>`, `javascript:alert(1)`,
		"\u202e\u2066反\u200f", "\x00\x1b[31m红", "\xff\xfe", `%' OR 1=1 --`, `{{.Secret}}`, strings.Repeat("长", 5000), strings.Repeat("字 ", 3000), "　 \t\n",
	} {
		for _, path := range []string{"/", "/zones/yunhe"} {
			w := get(h, searchPath(path, q))
			equal(t, "status", w.Code, http.StatusOK)
			checkHeaders(t, w)
			checkPage(t, w, zonewire.LocaleZH)
			doc := parse(t, w)
			box := doc.Find(`form[role="search"] input[type="search"]`)
			if got := box.AttrOr("value", ""); len([]rune(got)) > 100 || strings.ContainsAny(got, "\u202e\u2066\u200f\x00\x1b") {
				t.Errorf("%q stands in the box as %q", q, got)
			}
			equal(t, "attributes of the box", len(box.Get(0).Attr), 8)
			equal(t, "what it put into the page", doc.Find("main img, main script, [autofocus]").Length(), 0)
		}
	}
	equal(t, "log", log.String(), "")
}

func TestEmptySearchIsThePageItself(t *testing.T) {
	h, _ := serve(t, sample())
	for _, path := range []string{"/", "/zones/yunhe", "/?province=江苏省"} {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		equal(t, path, texts(parse(t, get(h, path+sep+"q=%E3%80%80")), "h1"), texts(parse(t, get(h, path)), "h1"))
	}
}

func TestSearchGoesOnPageByPage(t *testing.T) {
	h, _ := serve(t, sample())
	seen, pages := map[string]bool{}, 0
	for path := searchPath("/", "安全生产", "province", "江苏省", "lang", "en"); path != ""; pages++ {
		doc := parse(t, get(h, path))
		equal(t, "language", doc.Find("html").AttrOr("lang", ""), "en")
		links := attrs(doc, ".news h3 a", "href")
		if len(links) > 20 {
			t.Fatalf("%s has %d articles, want at most 20", path, len(links))
		}
		for _, href := range links {
			if seen[href] || !strings.HasSuffix(href, "?lang=en") {
				t.Errorf("%s shows %s again, or it forgets the language", path, href)
			}
			seen[href] = true
		}
		if hidden := fmt.Sprint(attrs(doc, `form input[type="hidden"]`, "value")); hidden != "[江苏省 en]" {
			t.Errorf("the box of %s keeps %s", path, hidden)
		}
		path = doc.Find(`a[rel="next"]`).AttrOr("href", "")
	}
	if len(seen) != 24 || pages != 2 {
		t.Errorf("%d articles on %d pages, want 24 on 2", len(seen), pages)
	}
	equal(t, "the page of a search that is no number", get(h, searchPath("/", "云河", "before", "x")).Code, 404)
}

// However many search at once, the database is asked by a few of them; the rest wait no longer than a search may take.
func TestFewSearchesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := slowFake{sample(), new(atomic.Int64), new(atomic.Int64)}
		h := serveAt(t, st, base)
		var all sync.WaitGroup
		began := time.Now()
		for range 50 {
			all.Go(func() { equal(t, "status", get(h, searchPath("/", "云河")).Code, http.StatusOK) })
		}
		all.Wait()
		if most := st.most.Load(); most != 4 {
			t.Errorf("%d searches at once, want 4", most)
		}
		equal(t, "time that 50 took", time.Since(began), 3*time.Second)
		equal(t, "a search after them", parse(t, get(h, searchPath("/", "云河"))).Find(".matches a").Length(), 1)
	})
}

// slowFake is a store that does not come to an end by itself.
type slowFake struct {
	*fake
	now, most *atomic.Int64 // how many ask it
}

func (f slowFake) Articles(ctx context.Context, q zonewire.ArticleQuery) ([]zonewire.Article, error) {
	n := f.now.Add(1)
	defer f.now.Add(-1)
	for most := f.most.Load(); n > most && !f.most.CompareAndSwap(most, n); most = f.most.Load() {
	}
	<-ctx.Done()
	return nil, fmt.Errorf("articles: %w", ctx.Err())
}

// A word that stands nowhere is looked for in every article: the reader gets the zones and a word of advice instead.
func TestSearchEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := get(serveAt(t, slowFake{sample(), new(atomic.Int64), new(atomic.Int64)}, base), searchPath("/", "云河"))
		equal(t, "status", w.Code, http.StatusOK)
		doc := parse(t, w)
		equal(t, "zones", attrs(doc, ".matches a", "href"), []string{"/zones/yunhe"})
		equal(t, "what it says", doc.Find(`[role="status"]`).Length(), 1)
	})
}
