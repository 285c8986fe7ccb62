package digest

import (
	"cmp"
	"slices"

	"zonewire"
)

// maxNotes is how many articles' corrections and withdrawals one digest tells; those of the others wait for the next.
const maxNotes = 20

// pickNotes gives the notes that a digest of these items tells, the newest first and one an article, and those that are
// settled by it, which need not be told any more.
//
// Who was corrected and withdrawn later is only withdrawn. What is an item is told anyway, as it is now.
func pickNotes(notes []zonewire.Note, items []zonewire.Article) (told, settled []zonewire.Note) {
	known := make(map[int64]bool, len(items))
	for _, a := range items {
		known[a.ID] = true
	}
	last := map[int64]zonewire.Note{}
	for _, n := range notes {
		n = asOfNow(n)
		if was, found := last[n.Article.ID]; !known[n.Article.ID] && (!found || outlasts(n, was)) {
			last[n.Article.ID] = n
		}
	}
	for _, n := range last {
		told = append(told, n)
	}
	slices.SortFunc(told, newestNote)
	told = told[:min(len(told), maxNotes)]
	for _, n := range told {
		known[n.Article.ID] = true
	}
	for _, n := range notes {
		if known[n.Article.ID] {
			settled = append(settled, n)
		}
	}
	slices.SortStableFunc(settled, newestNote)
	return told, settled
}

// asOfNow makes a correction of an article withdrawn since a withdrawal: the corrected text is gone, too.
func asOfNow(n zonewire.Note) zonewire.Note {
	if n.Kind != zonewire.NoteWithdrawn && !n.Article.Withdrawn.IsZero() {
		n.Kind, n.At = zonewire.NoteWithdrawn, n.Article.Withdrawn
	}
	return n
}

func outlasts(n, was zonewire.Note) bool {
	if n.Kind != was.Kind {
		return n.Kind == zonewire.NoteWithdrawn
	}
	return n.At.After(was.At)
}

func newestNote(a, b zonewire.Note) int {
	return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Article.ID, a.Article.ID))
}

// notesIn keeps the notes of the zones; no zones are all of them.
func notesIn(notes []zonewire.Note, ids []int64) []zonewire.Note {
	if len(ids) == 0 {
		return notes
	}
	var kept []zonewire.Note
	for _, n := range notes {
		if slices.Contains(ids, n.Article.ZoneID) {
			kept = append(kept, n)
		}
	}
	return kept
}

// silentIn keeps the sources of the zones, and those of several zones, which may be any; no zones are all of them.
func silentIn(silent []zonewire.Silence, ids []int64) []zonewire.Silence {
	if len(ids) == 0 {
		return silent
	}
	var kept []zonewire.Silence
	for _, s := range silent {
		if s.Zone == 0 || slices.Contains(ids, s.Zone) {
			kept = append(kept, s)
		}
	}
	return kept
}
