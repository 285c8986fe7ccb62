package web

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"zonewire"
)

func TestCalendarEvent(t *testing.T) {
	moment := event{
		UID:     "article-42@news.example.org",
		Summary: "截止：标准厂房三期工程施工招标公告",
		URL:     "https://news.example.org/articles/42?a=1,2;b",
		Start:   time.Date(2026, 12, 5, 17, 30, 0, 0, zonewire.Shanghai),
		Stamp:   time.Date(2026, 11, 24, 8, 0, 0, 999, zonewire.Shanghai),
	}
	onDay := moment
	onDay.Start, onDay.Day = time.Date(2026, 12, 5, 0, 0, 0, 0, zonewire.Shanghai), true
	frame := func(start string) string {
		return `BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//zonewire//zonewire//ZH
CALSCALE:GREGORIAN
BEGIN:VEVENT
UID:article-42@news.example.org
DTSTAMP:20261124T000000Z
` + start + `
SUMMARY:截止：标准厂房三期工程施工招标公告
URL:https://news.example.org/articles/42?a=1,2;b
TRANSP:TRANSPARENT
BEGIN:VALARM
ACTION:DISPLAY
TRIGGER:-P1D
DESCRIPTION:截止：标准厂房三期工程施工招标公告
END:VALARM
END:VEVENT
END:VCALENDAR
`
	}
	noURL := moment
	noURL.URL = ""
	tests := []struct {
		name string
		e    event
		want string
	}{
		{"a moment is in UTC", moment, frame("DTSTART:20261205T093000Z")},
		{"a day is that of Shanghai, though in UTC it began the day before", onDay, frame("DTSTART;VALUE=DATE:20261205")},
		{"an article without an address", noURL, strings.Replace(frame("DTSTART:20261205T093000Z"), "URL:https://news.example.org/articles/42?a=1,2;b\n", "", 1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(calendarEvent(tt.e))
			if want := strings.ReplaceAll(tt.want, "\n", "\r\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestCalendarEventOfHostileTitles(t *testing.T) {
	tests := []struct{ name, title, want string }{
		{"commas, semicolons and backslashes", `a,b;c\d`, `SUMMARY:a\,b\;c\\d`},
		{"a colon stays", "截止:今天", "SUMMARY:截止:今天"},
		{"a line end begins no property", "x\r\nATTACH:https://evil.example/", "SUMMARY:x ATTACH:https://evil.example/"},
		{"a line end of Unicode", "x\u2028END:VEVENT\u0085y", "SUMMARY:x END:VEVENTy"},
		{"a written line end stays what it is", `x\nEND:VCALENDAR`, `SUMMARY:x\\nEND:VCALENDAR`},
		{"control characters and broken bytes are left out", "a\x00b\xffc\x1b[0m", "SUMMARY:abc[0m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines := strings.Split(unfold(calendarEvent(event{Summary: tt.title})), "\r\n")
			if got := lines[8]; got != tt.want {
				t.Errorf("title %q: got %q, want %q", tt.title, got, tt.want)
			}
			if len(lines) != 18 { // the last is empty
				t.Errorf("title %q: got %d lines, want 18", tt.title, len(lines))
			}
		})
	}
	t.Run("an address with a line end", func(t *testing.T) {
		e := event{URL: "https://example.org/\r\nATTENDEE:mailto:a@example.org x"}
		if got := unfold(calendarEvent(e)); !strings.Contains(got, "URL:https://example.org/ATTENDEE:mailto:a@example.orgx\r\n") {
			t.Errorf("got\n%s", got)
		}
	})
}

func unfold(b []byte) string { return strings.ReplaceAll(string(b), "\r\n ", "") }

// TestCalendarEventFolds draws titles: no line is longer than 75 octets, none cuts a character, and put together they say
// the title.
func TestCalendarEventFolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		title := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("开发区，a, ;\\𠮷é\r\n\u2028")))).Draw(t, "title")
		e := event{UID: "u", Summary: title, URL: "https://example.org/" + strings.Repeat("路", rapid.IntRange(0, 60).Draw(t, "url"))}
		got := calendarEvent(e)
		if !bytes.HasSuffix(got, []byte("END:VCALENDAR\r\n")) {
			t.Fatalf("it does not end as a calendar does:\n%s", got)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(got), "\r\n"), "\r\n") {
			if len(line) > 75 || !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n") {
				t.Fatalf("line of %d octets: %q", len(line), line)
			}
		}
		said := strings.NewReplacer(`\\`, `\`, `\;`, ";", `\,`, ",")
		want := strings.Join(strings.Fields(zonewire.CleanText(title)), " ")
		if _, after, _ := strings.Cut(unfold(got), "\r\nSUMMARY:"); said.Replace(after[:strings.Index(after, "\r\n")]) != want {
			t.Fatalf("got\n%s\nwant the title %q", got, want)
		}
	})
}
