package digest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
)

// noted is a note of an article of a zone, so many hours before the slot; kind is c for corrected, w for withdrawn.
func noted(id, zone int64, kind string, hours int) zonewire.Note {
	n := zonewire.Note{Article: zonewire.Article{ID: id, ZoneID: zone, Title: "t"}, Kind: zonewire.NoteCorrected, At: slot.Add(-time.Duration(hours) * time.Hour)}
	if kind == "w" {
		n.Kind, n.Article.Withdrawn = zonewire.NoteWithdrawn, n.At
	}
	return n
}

func notesSaid(notes []zonewire.Note) []string {
	var all []string
	for _, n := range notes {
		all = append(all, fmt.Sprintf("%d %s %d", n.Article.ID, n.Kind, int(slot.Sub(n.At).Hours())))
	}
	return all
}

func TestNotes(t *testing.T) {
	since := func(n zonewire.Note, hours int) zonewire.Note {
		n.Article.Withdrawn = slot.Add(-time.Duration(hours) * time.Hour)
		return n
	}
	var many, settled, shown []zonewire.Note
	for i := range 25 {
		many = append(many, noted(int64(100+i), 1, "c", i+1))
	}
	settled, shown = many[:20], many[:20]
	tests := []struct {
		name  string
		notes []zonewire.Note
		zones string
		told  []string // in the mail of the zones
		plan  []string // recorded as told
	}{
		{"none", nil, "", nil, nil},
		{"the newest first", []zonewire.Note{noted(11, 1, "c", 9), noted(12, 2, "w", 3), noted(13, 1, "c", 5)}, "",
			[]string{"12 withdrawn 3", "13 corrected 5", "11 corrected 9"}, []string{"12 withdrawn 3", "13 corrected 5", "11 corrected 9"}},
		{"only those of the reader's zones", []zonewire.Note{noted(11, 1, "c", 9), noted(12, 2, "w", 3)}, "1",
			[]string{"11 corrected 9"}, []string{"12 withdrawn 3", "11 corrected 9"}},
		{"who was corrected and then withdrawn is withdrawn, and neither is told later",
			[]zonewire.Note{since(noted(11, 1, "c", 9), 3), noted(11, 1, "w", 3)}, "", []string{"11 withdrawn 3"}, []string{"11 withdrawn 3", "11 corrected 9"}},
		{"whichever of them comes first", []zonewire.Note{noted(11, 1, "w", 3), noted(11, 1, "c", 2)}, "",
			[]string{"11 withdrawn 3"}, []string{"11 corrected 2", "11 withdrawn 3"}},
		{"who was corrected twice was corrected lately", []zonewire.Note{noted(11, 1, "c", 9), noted(11, 1, "c", 3)}, "",
			[]string{"11 corrected 3"}, []string{"11 corrected 3", "11 corrected 9"}},
		{"a correction of what is withdrawn by now is a withdrawal", []zonewire.Note{since(noted(11, 1, "c", 9), 2)}, "",
			[]string{"11 withdrawn 2"}, []string{"11 corrected 9"}},
		{"what is news of this digest is told anyway", []zonewire.Note{noted(1, 1, "c", 9), noted(11, 1, "c", 3)}, "",
			[]string{"11 corrected 3"}, []string{"11 corrected 3", "1 corrected 9"}},
		{"no more than twenty; the others wait", many, "", notesSaid(shown), notesSaid(settled)},
		{"twenty articles, however many notes", append(slices.Clone(many), noted(100, 1, "c", 50)), "", notesSaid(shown), append(notesSaid(settled), "100 corrected 50")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &plainComposer{}
			before := slices.Clone(tt.notes)
			got, err := planner(c).Plan(zonewire.PlanRequest{List: zonewire.List{ID: 5, All: true, Locale: "zh-CN"}, Digest: 17, Slot: slot, Zones: zones,
				Articles: []zonewire.Article{news(1, 1, time.Hour)}, Notes: tt.notes, Audiences: []zonewire.Audience{{Locale: "en", Zones: tt.zones}}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.told, notesSaid(c.editions[len(c.editions)-1].Notes)); diff != "" {
				t.Errorf("in the mail (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.plan, notesSaid(got.Notes)); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tt.notes); diff != "" {
				t.Errorf("the question was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestNotesAloneMakeNoDigest(t *testing.T) {
	got, err := planner(&plainComposer{}).Plan(zonewire.PlanRequest{List: zonewire.List{ID: 5, All: true, Locale: "zh-CN"}, Slot: slot, Zones: zones,
		Notes: []zonewire.Note{noted(11, 1, "w", 3)}, Silent: []zonewire.Silence{{Source: "甲报"}}, Audiences: []zonewire.Audience{{Locale: "en"}}})
	if err != nil || len(got.Variants) > 0 || len(got.Notes) > 0 || len(got.Empty) != 1 {
		t.Errorf("got %d mails, %d notes told, %d empty, %v, want nothing told and the audience empty", len(got.Variants), len(got.Notes), len(got.Empty), err)
	}
}

func TestASilentSourceIsNamedToItsReaders(t *testing.T) {
	silent := []zonewire.Silence{{Source: "a", Zone: 1}, {Source: "b", Zone: 2}, {Source: "c"}}
	for zone, want := range map[string]string{"": "abc", "1": "ac", "2": "bc", "1,2": "abc", "1,3": "ac"} {
		c := &plainComposer{}
		_, err := planner(c).Plan(zonewire.PlanRequest{List: zonewire.List{ID: 5, All: true, Locale: "zh-CN"}, Slot: slot, Zones: zones, Silent: silent,
			Articles: []zonewire.Article{news(1, 1, time.Hour), news(2, 2, time.Hour)}, Audiences: []zonewire.Audience{{Locale: "en", Zones: zone}}})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, s := range c.editions[len(c.editions)-1].Silent {
			got += s.Source
		}
		if got != want {
			t.Errorf("readers of zones %q are told of %s, want %s", zone, got, want)
		}
	}
}
