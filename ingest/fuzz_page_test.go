package ingest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zonewire"
	"zonewire/ingest"
)

func FuzzPage(f *testing.F) {
	for _, file := range fixtures(f, "testdata/page/*/page.*") {
		b, opts := fixture(f, file)
		f.Add(b, opts.Listed.Title, opts.Listed.Date, opts.Selectors.Body)
	}
	f.Add([]byte("<frameset><frame src=x></frameset>"), "a", "昨天", "")
	f.Add([]byte("标题\n来源:\n发布时间:昨天\n\n正文"), "标…", "12-29", "p")
	f.Add([]byte("<td><!--<$[正文]>begin--><b>x<!--<$[正文]>end--><a href=a.pdf>"), "", "", "td, b")
	f.Fuzz(func(t *testing.T, b []byte, title, date, selector string) {
		opts := ingest.Options{Now: now, URL: "https://x.example/a/1.html", Listed: ingest.Entry{Title: title, Date: date}}
		for _, s := range []zonewire.Selectors{{}, {Body: selector, Title: selector, Image: selector, Attachments: selector}} {
			opts.Selectors = s
			rec := ingest.ReadPage(b, opts)
			if rec.Err != nil && !errors.Is(rec.Err, zonewire.ErrInvalid) {
				t.Fatalf("%v is the fault of nobody", rec.Err)
			}
			sound(t, rec)
		}
	})
}

func FuzzReadList(f *testing.F) {
	for _, file := range fixtures(f, "testdata/list/*/list.*") {
		b, opts := fixture(f, file)
		f.Add(b, opts.URL, opts.Selectors.List)
	}
	f.Add([]byte("<ul><li onclick=\"open('//x')\">一二三四五六<li><a href=b?id=1 title='七八九十百千…'>七八…</a>(2025/1/1)"), "http://x.example/", "li")
	f.Add([]byte(`[{"title":"a","url":"b"},{"list":[{"NAME":"<b>c","Href":"/d?id=2","time":1736475600}]}]`), "http://x.example/", "")
	f.Fuzz(func(t *testing.T, b []byte, address, selector string) {
		opts := ingest.Options{Now: now, URL: address, Selectors: zonewire.Selectors{List: selector}}
		list, err := ingest.ReadList(b, opts)
		if err != nil {
			if !errors.Is(err, zonewire.ErrInvalid) {
				t.Fatalf("%v is the fault of nobody", err)
			}
			return
		}
		storable(t, "title", list.Title)
		if len(list.Entries) > 200 {
			t.Fatalf("%d entries", len(list.Entries))
		}
		seen := map[string]bool{}
		for _, e := range list.Entries {
			storable(t, "title", e.Title)
			storable(t, "url", e.URL)
			canon, ok := ingest.CanonicalURL(e.URL)
			if !ok || canon != e.Canon || seen[canon] || !strings.HasPrefix(e.URL, "http") {
				t.Fatalf("entry %+v: canonical %q %t, seen %t", e, canon, ok, seen[canon])
			}
			seen[canon] = true
			if _, _, ok := ingest.ParseDate(e.Date, now); e.Date != "" && !ok {
				t.Fatalf("entry %+v has a date that is none", e)
			}
		}
		for _, u := range append(list.Feeds, list.Next) {
			if u != "" && !strings.HasPrefix(u, "http") {
				t.Fatalf("address %q", u)
			}
		}
	})
}

func BenchmarkReadPage(b *testing.B) {
	for _, name := range []string{"gov-meta/page.html", "portal-gbk-table/page.html", "portal-half-width/page.txt"} {
		b.Run(filepath.Dir(name), func(b *testing.B) {
			page, err := os.ReadFile("testdata/page/" + name)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if rec := ingest.ReadPage(page, ingest.Options{Now: now}); rec.Err != nil {
					b.Fatal(rec.Err)
				}
			}
		})
	}
}
