package ingest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"zonewire/ingest"
)

// addSeeds begins with the files that match the pattern.
func addSeeds(f *testing.F, pattern string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// FuzzFeed reads anything as a feed: what comes out is sound.
func FuzzFeed(f *testing.F) {
	addSeeds(f, "testdata/feed/*/feed.*")
	f.Add([]byte("<!DOCTYPE a [<!ENTITY b '<c>'>]><rss><channel><item><title>&b;<![CDATA[]]]]><![CDATA[>"))
	f.Add([]byte("<rdf:RDF><item/><item rdf:about='x'/><channel/><channel><item>"))
	f.Add([]byte("<feed xml:base='http://[::1'><entry xml:base='a'><content xml:base='../..'/><link href='%zz'/>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		opts := ingest.Options{Now: now, URL: "https://x.example/a/feed.xml"}
		doc, err := ingest.ReadFeed(b, opts)
		if err != nil {
			return
		}
		for name, s := range map[string]string{"title": doc.Title, "link": doc.Link, "self": doc.Self, "hub": doc.Hub} {
			storable(t, name, s)
		}
		if len(doc.Items) > 500 {
			t.Fatalf("%d items", len(doc.Items))
		}
		for _, rec := range doc.Items {
			sound(t, rec)
			if rec.Line < 1 || rec.Line > bytes.Count(b, []byte("\n"))+1 && len(b) > 1 && b[0] < 0xfe {
				t.Fatalf("line %d", rec.Line)
			}
		}
	})
}
