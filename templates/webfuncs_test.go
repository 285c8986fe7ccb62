package templates

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"zonewire"
)

func TestWebLink(t *testing.T) {
	tests := []struct {
		name string
		give string
		want string // empty: none
		host string
	}{
		{"plain", "https://www.yunhe.example.gov.cn/a/b.html?c=d&e=f#g", "https://www.yunhe.example.gov.cn/a/b.html?c=d&e=f#g", "yunhe.example.gov.cn"},
		{"a scheme in capitals", "HTTP://example.cn:8080/", "http://example.cn:8080/", "example.cn"},
		{"Chinese in the path", "http://www.example.cn/新闻.html", "http://www.example.cn/%E6%96%B0%E9%97%BB.html", "example.cn"},
		{"Chinese in the query", "http://www.example.cn/?q=新", "http://www.example.cn/?q=%E6%96%B0", "example.cn"},
		{"quotes and brackets", `https://e.cn/a"b'<c>`, "https://e.cn/a%22b%27%3Cc%3E", "e.cn"},
		{"Chinese in the host", "http://www.新闻.cn/1", "http://www.xn--efvy88h.cn/1", "新闻.cn"},
		{"a Chinese host in ASCII", "http://www.xn--efvy88h.cn/1", "http://www.xn--efvy88h.cn/1", "新闻.cn"},
		{"a quote in the host", `https://"`, "", `"`},
		{"script", "javascript:alert(1)", "", ""},
		{"script over two lines", "java\nscript:alert(1)", "", ""},
		{"data", "data:text/html,x", "", ""},
		{"mail", "mailto:a@example.cn", "", ""},
		{"relative", "/news/1.html", "", ""},
		{"no scheme", "//example.cn/1", "", "example.cn"},
		{"no host", "https:///no-host", "", ""},
		{"empty", "", "", ""},
	}
	for _, tt := range tests {
		if got := WebLink(tt.give); got != tt.want {
			t.Errorf("%s: WebLink(%q) = %q, want %q", tt.name, tt.give, got, tt.want)
		}
		if got := host(tt.give); got != tt.host {
			t.Errorf("%s: host(%q) = %q, want %q", tt.name, tt.give, got, tt.host)
		}
	}
}

func FuzzWebLink(f *testing.F) {
	for _, seed := range []string{"", "http://例.cn/新?q=\"", "javascript:x", "\xff\xfe", "http://[::1]:80/%zz", "https://a@b.cn/`{|}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		link := WebLink(s)
		if link == "" {
			return
		}
		u, err := url.Parse(link)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || strings.ContainsFunc(link, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '<' }) {
			t.Errorf("WebLink(%q) = %q: %v", s, link, err)
		}
		if again := WebLink(link); again != link {
			t.Errorf("WebLink(%q) = %q, and of that %q", s, link, again)
		}
	})
}

func TestArticleDate(t *testing.T) {
	at := time.Date(2026, 11, 24, 9, 5, 0, 0, time.FixedZone("", 9*3600))
	in := time.Date(2026, 11, 24, 23, 30, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		a    zonewire.Article
		want ArticleDate
	}{
		{"a day is no midnight", zonewire.Article{Published: at, Precision: zonewire.PrecisionDay}, ArticleDate{"2026-11-24", "2026年11月24日", false}},
		{"a minute keeps its own offset", zonewire.Article{Published: at, Precision: zonewire.PrecisionMinute}, ArticleDate{"2026-11-24T09:05:00+09:00", "2026年11月24日 09:05", false}},
		{"without a date, the day received in China", zonewire.Article{Published: in, Received: in}, ArticleDate{"2026-11-25", "2026年11月25日", true}},
		{"a suspect date is not shown", zonewire.Article{Published: at, Precision: zonewire.PrecisionDay, Suspect: true, Received: in}, ArticleDate{"2026-11-25", "2026年11月25日", true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := articleDate(zonewire.LocaleZH, tt.a); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[int64]string{-1: "", 0: "", 1: "1 KB", 45_300: "45 KB", 999_999: "999 KB", 1_000_000: "1.0 MB", 12_340_000: "12.3 MB"} {
		if got := size(in); got != want {
			t.Errorf("size(%d) = %q, want %q", in, got, want)
		}
	}
}
