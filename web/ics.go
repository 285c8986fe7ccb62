package web

import (
	"strings"
	"time"
	"unicode/utf8"

	"zonewire"
)

// event is one moment for a reader's calendar.
type event struct {
	UID     string // stays the same when the moment is corrected
	Summary string // one line of text
	URL     string
	Start   time.Time
	Day     bool      // only the day of Start is known, in its location
	Stamp   time.Time // when what it says changed last
}

// calendarEvent writes the event as an iCalendar file (RFC 5545) that tells its reader a day before. It takes no time from
// what else the reader does, and asks for no answer. The same event is the same bytes.
func calendarEvent(e event) []byte {
	var f icsFile
	f.line("BEGIN", "VCALENDAR")
	f.line("VERSION", "2.0")
	f.line("PRODID", "-//zonewire//zonewire//ZH")
	f.line("CALSCALE", "GREGORIAN")
	f.line("BEGIN", "VEVENT")
	f.line("UID", icsText(e.UID))
	f.line("DTSTAMP", icsInstant(e.Stamp))
	if e.Day {
		// A day without an end lasts one day (section 3.6.1), and is that day wherever the reader is.
		f.line("DTSTART;VALUE=DATE", e.Start.Format("20060102"))
	} else {
		f.line("DTSTART", icsInstant(e.Start))
	}
	f.line("SUMMARY", icsText(e.Summary))
	if e.URL != "" {
		f.line("URL", icsURI(e.URL))
	}
	f.line("TRANSP", "TRANSPARENT")
	f.line("BEGIN", "VALARM")
	f.line("ACTION", "DISPLAY")
	f.line("TRIGGER", "-P1D")
	f.line("DESCRIPTION", icsText(e.Summary))
	f.line("END", "VALARM")
	f.line("END", "VEVENT")
	f.line("END", "VCALENDAR")
	return f.b
}

// icsFile is a file of content lines as it grows.
type icsFile struct{ b []byte }

// line writes one content line, folded at 75 octets without cutting a character (section 3.1): some readers undo the
// folds only after decoding.
func (f *icsFile) line(name, value string) {
	const longest = 75
	rest, room := name+":"+value, longest
	for len(rest) > room {
		cut := room
		for cut > 0 && !utf8.RuneStart(rest[cut]) {
			cut--
		}
		f.b = append(append(f.b, rest[:cut]...), "\r\n "...)
		rest, room = rest[cut:], longest-1 // the space counts
	}
	f.b = append(append(f.b, rest...), "\r\n"...)
}

// icsInstant is a moment in UTC, to the second.
func icsInstant(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

var icsEscapes = strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`)

// icsText is a value of type TEXT (section 3.3.11) on one line: a title that brings line ends along must not begin a
// property of its own.
func icsText(s string) string {
	return icsEscapes.Replace(strings.Join(strings.Fields(zonewire.CleanText(s)), " "))
}

// icsURI is an address: it is not escaped, and holds neither spaces nor control characters.
func icsURI(s string) string { return strings.Join(strings.Fields(zonewire.CleanText(s)), "") }
