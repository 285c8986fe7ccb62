package templates

import (
	"testing"
	"time"

	"zonewire"
)

func TestWebLink(t *testing.T) {
	for _, tt := range []struct {
		in, want, host string
	}{
		{"https://www.yunhe.example.gov.cn/a?b=1", "https://www.yunhe.example.gov.cn/a?b=1", "yunhe.example.gov.cn"},
		{"HTTP://example.cn:8080/", "HTTP://example.cn:8080/", "example.cn"},
		{"javascript:alert(1)", "", ""},
		{"java\nscript:alert(1)", "", ""},
		{"data:text/html,x", "", ""},
		{"/relative", "", ""},
		{"https:///no-host", "", ""},
		{"", "", ""},
	} {
		if got := WebLink(tt.in); got != tt.want {
			t.Errorf("WebLink(%q) = %q, want %q", tt.in, got, tt.want)
		}
		if got := host(tt.in); got != tt.host {
			t.Errorf("host(%q) = %q, want %q", tt.in, got, tt.host)
		}
	}
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
