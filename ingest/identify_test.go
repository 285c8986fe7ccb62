package ingest_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"zonewire"
	"zonewire/ingest"
)

func TestCanonicalURL(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"http is https for comparing", "http://x.example/a", "https://x.example/a"},
		{"scheme and host are small", "HTTPS://X.Example/A", "https://x.example/A"},
		{"a default port goes", "http://x.example:80/a", "https://x.example/a"},
		{"another port stays", "http://x.example:8080/a", "https://x.example:8080/a"},
		{"a fragment goes", "https://x.example/a#top", "https://x.example/a"},
		{"a fragment that a script routes by stays", "https://x.example/#/news/12", "https://x.example/#/news/12"},
		{"marks of sharing go", "https://x.example/a?utm_source=b&id=1&spm=c&from=timeline&isappinstalled=0&UTM_X=y", "https://x.example/a?id=1"},
		{"parameters keep their order", "https://x.example/a?z=1&b=2&a=3", "https://x.example/a?z=1&b=2&a=3"},
		{"session ids go", "https://x.example/a.jsp;jsessionid=AB12?id=1&PHPSESSID=x", "https://x.example/a.jsp?id=1"},
		{"dots are resolved", "https://x.example/a/./b/../c.html", "https://x.example/a/c.html"},
		{"Chinese is encoded", "https://x.example/新闻?q=园区", "https://x.example/%E6%96%B0%E9%97%BB?q=%E5%9B%AD%E5%8C%BA"},
		{"encodings have one spelling", "https://x.example/%e6%96%b0%E9%97%BB/%61", "https://x.example/%E6%96%B0%E9%97%BB/a"},
		{"a Chinese host is ASCII", "https://例子.中国/a", "https://xn--fsqu00a.xn--fiqs8s/a"},
		{"a query on the front page identifies", "https://x.example/?id=5", "https://x.example/?id=5"},
		{"a query without a path too", "https://x.example?id=5", "https://x.example/?id=5"},
		{"spaces around go, inside are encoded", " https://x.example/a b ", "https://x.example/a%20b"},
		{"a stray percent sign is encoded", "https://x.example/100%", "https://x.example/100%25"},
		{"WeChat's short form has no query", "https://mp.weixin.qq.com/s/AbC-1?scene=1&chksm=x", "https://mp.weixin.qq.com/s/AbC-1"},
		{"WeChat's long form has four parameters", "http://mp.weixin.qq.com/s?scene=1&sn=d&__biz=MzA%3D%3D&idx=1&mid=2#wechat_redirect", "https://mp.weixin.qq.com/s?__biz=MzA%3D%3D&mid=2&idx=1&sn=d"},
		{"the final dot of a host goes", "https://x.example./a", "https://x.example/a"},

		{"a front page identifies nothing", "https://x.example/", ""},
		{"nor does it with marks of sharing", "https://x.example/?utm_source=x", ""},
		{"nor without a path", "https://x.example", ""},
		{"another scheme", "ftp://x.example/a", ""},
		{"script", "javascript:alert(1)", ""},
		{"a relative address", "/a/b.html", ""},
		{"no host", "https:///a", ""},
		{"a host of dots", "https://../a", ""},
		{"a host that ends in two dots", "https://000../a", ""},
		{"user-info", "https://a:b@x.example/a", ""},
		{"nothing", "", ""},
		{"words", "not a url", ""},
		{"an address too long", "https://x.example/" + strings.Repeat("a", 2048), ""},
	} {
		got, ok := ingest.CanonicalURL(tt.in)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: CanonicalURL(%.80q) = %q, %t; want %q", tt.name, tt.in, got, ok, tt.want)
		}
		if again, _ := ingest.CanonicalURL(got); ok && again != got {
			t.Errorf("%s: again it is %q", tt.name, again)
		}
	}
}

func TestIdentify(t *testing.T) {
	base := func() zonewire.Article {
		return zonewire.Article{
			Title: "青禾湖开工", ContentHTML: `<p>一 二</p><p><a href="https://x.example/f">三</a></p>`,
			Published:   time.Date(2024, 5, 1, 8, 0, 0, 0, zonewire.Shanghai),
			Attachments: []zonewire.Attachment{{URL: "https://x.example/a.pdf", Name: "甲"}},
		}
	}
	plain := base()
	ingest.Identify(&plain)
	for _, tt := range []struct {
		name    string
		edit    func(a *zonewire.Article)
		content bool // the same content hash
		title   bool // the same title key
	}{
		{"nothing changed", func(*zonewire.Article) {}, true, true},
		{"tags and white space do not count", func(a *zonewire.Article) {
			a.ContentHTML = "<div>一\n<b>二</b></div>\n<a title=\"x\" href=\"https://x.example/f\">三</a>"
		}, true, true},
		{"source and summary do not count", func(a *zonewire.Article) { a.Source, a.Summary = "x", "y" }, true, true},
		{"a word counts", func(a *zonewire.Article) { a.ContentHTML = strings.Replace(a.ContentHTML, "二", "两", 1) }, false, true},
		{"where a link leads counts", func(a *zonewire.Article) { a.ContentHTML = strings.Replace(a.ContentHTML, "/f", "/g", 1) }, false, true},
		{"an attachment counts", func(a *zonewire.Article) { a.Attachments = nil }, false, true},
		{"the title counts", func(a *zonewire.Article) { a.Title += "了" }, false, false},
		{"the width of a title's signs counts as an edit, not as another article", func(a *zonewire.Article) { a.Title = " 青禾湖 开工" }, false, true},
		{"the day counts", func(a *zonewire.Article) { a.Published = a.Published.AddDate(0, 0, 1) }, true, false},
		{"the time of day does not", func(a *zonewire.Article) { a.Published = a.Published.Add(5 * time.Hour) }, true, true},
	} {
		a := base()
		tt.edit(&a)
		ingest.Identify(&a)
		if (a.ContentHash == plain.ContentHash) != tt.content || (a.TitleKey == plain.TitleKey) != tt.title {
			t.Errorf("%s: content hash equal %t, title key equal %t; want %t, %t", tt.name,
				a.ContentHash == plain.ContentHash, a.TitleKey == plain.TitleKey, tt.content, tt.title)
		}
	}
	withURL := base()
	withURL.URL = "https://x.example/1"
	ingest.Identify(&withURL)
	if withURL.TitleKey != "" || withURL.URLCanon == "" {
		t.Errorf("an article with an address has the title key %q, canonical %q", withURL.TitleKey, withURL.URLCanon)
	}
}

// Stored hashes are compared with new ones: another way of hashing would make an edit of every article that comes again.
func TestHashesStayAsTheyAreStored(t *testing.T) {
	for _, tt := range []struct {
		a              zonewire.Article
		content, title string
	}{
		{zonewire.Article{
			Title: "青禾湖开工", ContentHTML: `<p>一 二</p><p><a href="https://x.example/f">三</a></p>`,
			Published:   time.Date(2024, 5, 1, 8, 0, 0, 0, zonewire.Shanghai),
			Attachments: []zonewire.Attachment{{URL: "https://x.example/a.pdf", Name: "甲"}},
		}, "1949acd4f5714536a0752539e7494610", "34d18de208d4900aa015cd6517b7c3b8"},
		{zonewire.Article{Title: " 青禾湖　开工", Summary: "一 二"}, "3ad6db6acfab54d688785b12f947a111", "acaa457a9864c5b4e60e9202fb753a02"},
	} {
		ingest.Identify(&tt.a)
		if tt.a.ContentHash != tt.content || tt.a.TitleKey != tt.title {
			t.Errorf("%q: content hash %s, title key %s; stored are %s, %s", tt.a.Title, tt.a.ContentHash, tt.a.TitleKey, tt.content, tt.title)
		}
	}
}

// FuzzEachPart compares the quick reader of our own HTML with a tokenizer.
func FuzzEachPart(f *testing.F) {
	for _, s := range []string{
		`<p>一 &amp; 二</p><a href="https://x.example/?a=1&amp;b" rel="nofollow noopener">三</a><img src="https://x.example/a.png" alt="&#34;"/>`,
		"<p>一<br>二</p", "<P>一", "<p a='b'>一", "<script><p href=\"x\"></script>", "一 < 二 &copy 三", "<p>\r</p>", "<!-- <p> -->一", "<a href=x>", "</p >一",
		`<p a="1" b="2" c="3" d="4" href="5">一`, `<a href="a&lt=b">`, "<p>一\x00", "<b//>一",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, want strings.Builder
		ingest.EachPart(s, func(text string) { got.WriteString(text) }, func(address string) { got.WriteString("\x01" + address + "\x01") })
		z := html.NewTokenizer(strings.NewReader(s))
		for z.Next() != html.ErrorToken {
			token := z.Token()
			if token.Type == html.TextToken {
				want.WriteString(token.Data)
			}
			for _, a := range token.Attr {
				if (a.Key == "href" || a.Key == "src") && (token.Type == html.StartTagToken || token.Type == html.SelfClosingTagToken) {
					want.WriteString("\x01" + a.Val + "\x01")
				}
			}
		}
		if got.String() != want.String() {
			t.Fatalf("%q has the parts %q, want %q", s, got.String(), want.String())
		}
	})
}

func TestAnArticleWithoutDateIsTheSameOnAnotherDay(t *testing.T) {
	row := []byte(`{"title":"青禾湖开工","content_text":"一"}`)
	first := ingest.Object(row, ingest.Options{Now: now}).Article
	second := ingest.Object(row, ingest.Options{Now: now.AddDate(0, 0, 3)}).Article
	if first.TitleKey == "" || first.TitleKey != second.TitleKey || first.ContentHash != second.ContentHash {
		t.Errorf("title keys %q, %q; content hashes %q, %q", first.TitleKey, second.TitleKey, first.ContentHash, second.ContentHash)
	}
}

func TestSummaryIsMadeOfTheBody(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a short body is the summary", "一二三。", "一二三。"},
		{"paragraphs close up", "一。\n二。", "一。二。"},
		{"a long one ends with a sentence", strings.Repeat("长", 80) + "。" + strings.Repeat("尾", 80), strings.Repeat("长", 80) + "。"},
		{"and with the quote that the sentence ends", "“" + strings.Repeat("长", 80) + "。”" + strings.Repeat("尾", 80), "“" + strings.Repeat("长", 80) + "。”"},
		{"one without sentences ends in an ellipsis", strings.Repeat("长", 200), strings.Repeat("长", 120) + "…"},
		{"Latin words stay whole", strings.Repeat("longer ", 30), strings.TrimSpace(strings.Repeat("longer ", 17)) + "…"},
	} {
		a := ingest.Object([]byte(`{"title":"a","content_text":"`+strings.ReplaceAll(tt.text, "\n", `\n`)+`"}`), ingest.Options{Now: now}).Article
		if a.Summary != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, a.Summary, tt.want)
		}
	}
}

// The first kilobyte of a body is enough for its summary, or as much as can be needed is read.
func TestASummaryDoesNotDependOnHowMuchIsRead(t *testing.T) {
	picture := `<p><img src="https://x.example/a.png" alt=""/></p>`
	for _, tt := range []struct{ name, body, want string }{
		{"a long body", strings.Repeat("<p>"+strings.Repeat("长", 59)+"。</p>", 40), strings.Repeat("长", 59) + "。" + strings.Repeat("长", 59) + "。"},
		{"pictures first", strings.Repeat(picture, 40) + "<p>" + strings.Repeat("长", 59) + "。</p><p>尾。</p>", strings.Repeat("长", 59) + "。尾。"},
		{"a sentence that ends in many quotes", "<p>" + strings.Repeat("长", 119) + "。”』」</p>" + strings.Repeat("<p>"+strings.Repeat("尾", 200)+"</p>", 3), strings.Repeat("长", 119) + "。”』」"},
	} {
		r := ingest.Object([]byte(`{"title":"a","content_html":"`+strings.ReplaceAll(tt.body, `"`, `\"`)+`"}`), ingest.Options{Now: now})
		if r.Article.Summary != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, r.Article.Summary, tt.want)
		}
	}
}
