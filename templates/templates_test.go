package templates_test

import (
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/templates"
)

// folder makes an operator's folder of these files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func phrases(t *testing.T, locale string) map[string]string {
	t.Helper()
	body, err := os.ReadFile("locales/" + locale + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(body)) {
		if key, phrase, ok := strings.Cut(line, " = "); ok && !strings.HasPrefix(line, "#") {
			if _, twice := all[key]; twice {
				t.Errorf("%s: %s is there twice", locale, key)
			}
			all[key] = strings.TrimSpace(phrase)
		}
	}
	return all
}

// Load itself fails on a phrase that a template asks for and a locale lacks.
func TestShippedTemplatesLoad(t *testing.T) {
	if _, err := templates.Load(""); err != nil {
		t.Fatal(err)
	}
}

func TestLocalesSayTheSameThings(t *testing.T) {
	verb := regexp.MustCompile(`%[a-z]`)
	first := phrases(t, zonewire.Locales()[0])
	for _, locale := range zonewire.Locales()[1:] {
		other := phrases(t, locale)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(other))); diff != "" {
			t.Errorf("keys: -%s +%s:\n%s", zonewire.Locales()[0], locale, diff)
		}
		for key, phrase := range first {
			if a, b := verb.FindAllString(phrase, -1), verb.FindAllString(other[key], -1); !slices.Equal(a, b) {
				t.Errorf("%s: %s takes %v, %s takes %v", key, zonewire.Locales()[0], a, locale, b)
			}
		}
	}
}

func TestChinesePhrasesHaveASpaceBesideLatinAndNumbers(t *testing.T) {
	tight := regexp.MustCompile(`\p{Han}(%d|[A-Za-z0-9])|(%d|[A-Za-z0-9])\p{Han}`)
	for key, phrase := range phrases(t, zonewire.LocaleZH) {
		if at := tight.FindString(strings.ReplaceAll(phrase, "%s", "《》")); at != "" {
			t.Errorf("%s = %s: no space in %q", key, phrase, at)
		}
	}
}

func TestFolderOverrides(t *testing.T) {
	dir := folder(t, map[string]string{
		"mail/digest.subject.txt": `{{t "mail.leave"}} {{n "mail.stories" .Count}}`,
		"locales/en.txt":          "# ours\nmail.leave = Stop it\n",
		"README":                  "not a template",
	})
	set, err := templates.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for locale, want := range map[string]string{"en": "Stop it 1 story", "zh-CN": "退订 1 条"} {
		var b strings.Builder
		if err := set.Text(&b, "mail/digest.subject.txt", locale, map[string]any{"Count": 1}); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("%s: got %q, want %q", locale, b.String(), want)
		}
	}
}

func TestBrokenFolderIsNamed(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"a page that does not parse", map[string]string{"mail/digest.html": "{{if}}"}, "mail/digest.html"},
		{"a shared piece that does not parse", map[string]string{"mail/_layout.html": "{{"}, "mail/_layout.html"},
		{"a text that does not parse", map[string]string{"mail/digest.txt": "{{range}}"}, "mail/digest.txt"},
		{"a function that does not exist", map[string]string{"mail/digest.txt": "{{shout .Title}}"}, "mail/digest.txt"},
		{"a phrase that does not exist", map[string]string{"mail/digest.txt": `{{t "mail.goodbye"}}`}, "mail.goodbye"},
		{"a plural that does not exist", map[string]string{"mail/digest.txt": `{{n "mail.leave" 2}}`}, "mail.leave.one"},
		{"a phrase without a value", map[string]string{"locales/en.txt": "\nmail.leave\n"}, "locales/en.txt: line 2"},
		{"a misspelt name", map[string]string{"mail/digets.html": "x"}, "mail/digets.html"},
	}
	for _, tt := range tests {
		if _, err := templates.Load(folder(t, tt.files)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error that names %s", tt.name, err, tt.want)
		}
	}
	if _, err := templates.Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is none: got %v", err)
	}
}

func TestUnknownTemplateIsNotFound(t *testing.T) {
	set, err := templates.Load("")
	if err != nil {
		t.Fatal(err)
	}
	if err := set.HTML(&strings.Builder{}, "mail/none.html", "en", nil); !errors.Is(err, zonewire.ErrNotFound) {
		t.Errorf("HTML: got %v", err)
	}
	if err := set.Text(&strings.Builder{}, "mail/digest.txt", "fr", nil); !errors.Is(err, zonewire.ErrNotFound) {
		t.Errorf("text: got %v", err)
	}
}

func TestDates(t *testing.T) {
	at := time.Date(2026, 11, 4, 8, 0, 0, 0, zonewire.Shanghai)
	tests := []struct {
		name   string
		format func(string, time.Time) string
		zh, en string
	}{
		{"long", templates.LongDate, "2026年11月4日 星期三", "Wednesday, 4 November 2026"},
		{"with the year", templates.Date, "2026年11月4日", "4 November 2026"},
		{"without the year", templates.Day, "11月4日", "4 November"},
	}
	for _, tt := range tests {
		if got := tt.format(zonewire.LocaleZH, at); got != tt.zh {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.zh)
		}
		if got := tt.format(zonewire.LocaleEN, at); got != tt.en {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.en)
		}
	}
}

// Every colour of text in a mail stands out from its ground by 4.5 to 1 (WCAG 2.2, 1.4.3), by day and by night.
func TestMailColoursCanBeRead(t *testing.T) {
	inline, dark := regexp.MustCompile(`[";]color:(#[0-9a-f]{6})"`), regexp.MustCompile(` color: (#[0-9a-f]{6}) !important`)
	files, err := filepath.Glob("mail/*.html")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for pattern, ground := range map[*regexp.Regexp]string{inline: "#fdfcf9", dark: "#181715"} {
			for _, m := range pattern.FindAllStringSubmatch(string(body), -1) {
				if m[1] == ground {
					continue // the hidden preheader
				}
				seen++
				if c := contrast(t, m[1], ground); c < 4.5 {
					t.Errorf("%s: %s on %s has a contrast of %.1f", file, m[1], ground, c)
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("found only %d colours: has the way they are written changed?", seen)
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(colour[1:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(v uint64) float64 {
		c := float64(v&255) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(n>>16) + 0.7152*linear(n>>8) + 0.0722*linear(n)
}
