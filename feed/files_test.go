package feed_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/feed"
)

// The files are what the daemon serves, byte for byte.
func TestFilesAreWhatIsServed(t *testing.T) {
	on(t, "2026-04-15T00:00:00Z", func(t *testing.T) {
		src := newStore()
		for i := range 120 {
			src.file(zonewire.Article{ID: int64(4000 + i), ZoneID: 12, Title: "Berth"}, at("2026-02-20T00:00:00Z").Add(time.Duration(i)*time.Minute))
		}
		told := 0
		exporter := feed.NewServer(src, site, feed.Options{Changed: func() { told++ }})
		files := map[string]feed.File{}
		err := exporter.Files(t.Context(), func(f feed.File) error {
			if _, twice := files[f.Path]; twice {
				t.Errorf("%s comes twice", f.Path)
			}
			files[f.Path] = f
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"feed.atom", "feed.css", "feed.json", "feed.rss", "zones.opml",
			"zones/jintan-edz/archive/2026-03.atom", "zones/jintan-edz/archive/2026-04.atom",
			"zones/jintan-edz/feed.atom", "zones/jintan-edz/feed.json", "zones/jintan-edz/feed.rss",
			"zones/linhai-port/archive/2026-02-2.atom", "zones/linhai-port/archive/2026-02.atom", "zones/linhai-port/archive/2026-03.atom", "zones/linhai-port/archive/2026-04.atom",
			"zones/linhai-port/feed.atom", "zones/linhai-port/feed.json", "zones/linhai-port/feed.rss",
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(files))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if told == 0 || len(src.due) == 0 {
			t.Error("of what the export has rendered first nobody is told")
		}
		time.Sleep(time.Hour)
		s := feed.NewServer(src, site, feed.Options{})
		for path, f := range files {
			forms := map[string][]byte{"": f.Body, "gzip": f.Codings[".gz"], "br": f.Codings[".br"], "zstd": f.Codings[".zst"]}
			for coding, file := range forms {
				r := request(s, "GET", "/"+path, "Accept-Encoding", coding)
				if b := body(t, r); r.StatusCode != 200 || !bytes.Equal(b, file) || len(file) == 0 {
					t.Errorf("%s in %q: got %d, %d bytes; the file has %d", path, coding, r.StatusCode, len(b), len(file))
				}
				if path != "feed.css" && !parseDate(t, r.Header).Equal(f.Modified) {
					t.Errorf("%s: Last-Modified %s, the file's is %v", path, r.Header.Get("Last-Modified"), f.Modified)
				}
			}
		}
		if n := s.Stats().Renderings; n != 0 {
			t.Errorf("serving what was exported took %d renderings", n)
		}
	})
}

func TestFilesStopWithTheFirstError(t *testing.T) {
	src := newStore()
	full := errors.New("no room")
	n := 0
	err := feed.NewServer(src, site, feed.Options{}).Files(t.Context(), func(feed.File) error {
		n++
		return full
	})
	if !errors.Is(err, full) || n != 1 {
		t.Errorf("got %v after %d files", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = feed.NewServer(src, site, feed.Options{}).Files(ctx, func(feed.File) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
	src.down = errDown
	if err := feed.NewServer(src, site, feed.Options{}).Files(t.Context(), func(feed.File) error { return nil }); !errors.Is(err, src.down) {
		t.Errorf("without a store: %v", err)
	}
}
