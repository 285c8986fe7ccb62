package ingest_test

import (
	"path/filepath"
	"testing"

	"zonewire/ingest"
)

// TestLists reads every testdata/list/<case>/list.html or list.json and compares with want.json. A new case is a folder,
// with the same files beside the page as TestPages knows.
func TestLists(t *testing.T) {
	for _, file := range fixtures(t, "testdata/list/*/list.*") {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			b, opts := fixture(t, file)
			golden(t, file, listJSON(t, b, opts))
		})
	}
}

// listJSON is a list as want.json keeps it: an entry a line.
func listJSON(t *testing.T, b []byte, opts ingest.Options) []byte {
	t.Helper()
	type want struct {
		Error   string   `json:"error,omitempty"`
		Title   string   `json:"title,omitempty"`
		Entries []string `json:"entries,omitempty"` // date | title | address
		Next    string   `json:"next,omitempty"`
		Feeds   []string `json:"feeds,omitempty"`
		Charset string   `json:"charset,omitempty"`
	}
	list, err := ingest.ReadList(b, opts)
	w := want{Title: list.Title, Next: list.Next, Feeds: list.Feeds, Charset: list.Charset}
	if err != nil {
		w.Error = err.Error()
	}
	for _, e := range list.Entries {
		w.Entries = append(w.Entries, e.Date+" | "+e.Title+" | "+e.URL)
	}
	return readableJSON(t, w)
}
