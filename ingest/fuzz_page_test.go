package ingest_test

import (
	"os"
	"path/filepath"
	"testing"

	"zonewire/ingest"
)

func FuzzPage(f *testing.F) {
	pages, err := filepath.Glob("testdata/page/*/page.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range pages {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("<frameset><frame src=x></frameset>"))
	f.Add([]byte("标题\n来源:\n发布时间:昨天\n\n正文"))
	f.Fuzz(func(t *testing.T, b []byte) {
		sound(t, ingest.ReadPage(b, ingest.Options{Now: now, URL: "https://x.example/a/1.html"}))
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
