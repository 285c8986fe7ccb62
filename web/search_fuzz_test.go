package web

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Whatever is typed and wherever it is looked for: the box holds one short clean line that reads back as itself, and a
// text cut into its hits is still that text.
func FuzzSearch(f *testing.F) {
	f.Add("光伏 招标", "云河经开区光伏项目招标公告")
	f.Add("　ＡＩ\u202e ai", "Ａi 与 AI：<b>ai</b> & \"智能\"")
	f.Add("a aa aaa", strings.Repeat("a", 200))
	f.Add("İ ß ǆ", "İSTANBUL straße ǅ")
	f.Add("\xff\x00", "\xff")
	f.Fuzz(func(t *testing.T, typed, text string) {
		q := readAsked(typed)
		if n := utf8.RuneCountInString(q.Text); n > searchRunes || !utf8.ValidString(q.Text) || strings.TrimSpace(q.Text) != q.Text {
			t.Errorf("%q stands in the box as %q", typed, q.Text)
		}
		if strings.ContainsFunc(q.Text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
			t.Errorf("%q brings marks into the box: %q", typed, q.Text)
		}
		if again := readAsked(q.Text); again.Text != q.Text || !slices.Equal(again.Words, q.Words) {
			t.Errorf("%q reads as %q, then as %q", typed, q, again)
		}
		text = strings.ToValidUTF8(text, "?") // as it is stored
		var whole strings.Builder
		marks := 0
		for _, p := range pieces(text, q.Words) {
			whole.WriteString(p.Text)
			if p.Hit {
				marks++
				if !slices.Contains(q.Words, fold(p.Text)) {
					t.Errorf("%q is marked for %q", p.Text, q.Words)
				}
			}
			if p.Text == "" {
				t.Errorf("an empty piece of %q for %q", text, q.Words)
			}
		}
		if whole.String() != text || marks > maxMarks {
			t.Errorf("%q for %q became %q with %d marks", text, q.Words, whole.String(), marks)
		}
		if got := excerptOf(text, q.Words, excerpt); utf8.RuneCountInString(got) > excerpt+1 {
			t.Errorf("an excerpt of %d characters: %q", utf8.RuneCountInString(got), got)
		}
	})
}
