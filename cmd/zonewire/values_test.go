package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
)

func TestDurationsReadAsPeopleWriteThem(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		given   string
		want    time.Duration
		written string // by zonewire.FormatDuration; empty if it is no duration
	}{
		{"90m", 90 * time.Minute, "90m"},
		{"24h", day, "24h"},
		{"1d", day, "24h"},
		{"30d", 30 * day, "30d"},
		{"720h", 30 * day, "30d"},
		{"1h30m", 90 * time.Minute, "90m"},
		{"0", 0, "0"},
		{"0d", 0, "0"},
		{"1m30s", 90 * time.Second, "1m30s"},
		{"-1d", 0, ""},
		{"-5m", 0, ""},
		{"1.5d", 0, ""},
		{"9999999d", 0, ""},
		{"3 months", 0, ""},
		{"d", 0, ""},
		{"", 0, ""},
	} {
		got, err := parseDuration(c.given)
		if got != c.want || (err == nil) != (c.written != "") {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", c.given, got, err, c.want)
		}
		if err == nil && zonewire.FormatDuration(got) != c.written {
			t.Errorf("FormatDuration(%v) = %q, want %q", got, zonewire.FormatDuration(got), c.written)
		}
	}
}

func TestMomentsAreTimesOrDistancesFromNow(t *testing.T) {
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		given       string
		past, after time.Time
	}{
		{"7d", now.AddDate(0, 0, -7), now.AddDate(0, 0, 7)},
		{"90m", now.Add(-90 * time.Minute), now.Add(90 * time.Minute)},
		{"2026-11-01", time.Date(2026, 11, 1, 0, 0, 0, 0, zonewire.Shanghai), time.Date(2026, 11, 1, 0, 0, 0, 0, zonewire.Shanghai)},
		{"2026-11-01T12:00:00Z", time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)},
	} {
		past, err := ago(c.given, now)
		if err != nil || !past.Equal(c.past) {
			t.Errorf("ago(%q) = %v, %v; want %v", c.given, past, err, c.past)
		}
		after, err := ahead(c.given, now)
		if err != nil || !after.Equal(c.after) {
			t.Errorf("ahead(%q) = %v, %v; want %v", c.given, after, err, c.after)
		}
	}
	if _, err := ago("yesterday", now); err == nil {
		t.Error("yesterday was taken as a time")
	}
}

func TestTheNearestWordIsFoundOrNone(t *testing.T) {
	words := []string{"mail.host", "mail.helo", "http.listen"}
	for given, want := range map[string]string{"mail.hots": "mail.host", "mail.hello": "mail.helo", "http.lisen": "http.listen", "zzz": "", "": ""} {
		if got := nearest(given, words); got != want {
			t.Errorf("nearest(%q) = %q, want %q", given, got, want)
		}
	}
}

func TestTablesAlignByTerminalColumns(t *testing.T) {
	for _, c := range []struct {
		name string
		rows [][]string
		want string
	}{
		{"a Chinese character takes two columns",
			[][]string{{"NAME", "CITY"}, {"金坛", "常州"}, {"Jintan", "x"}},
			"NAME    CITY\n金坛    常州\nJintan  x\n"},
		{"a combining mark takes none",
			[][]string{{"A", "B"}, {"e\u0301", "x"}},
			"A  B\ne\u0301  x\n"},
		{"numbers are aligned right",
			[][]string{{"N", "WHAT"}, {"7", "a"}, {"12", "b"}},
			" N  WHAT\n 7  a\n12  b\n"},
		{"an empty cell ends no line with blanks",
			[][]string{{"A", "B"}, {"x", ""}},
			"A  B\nx\n"},
		{"a cell cannot break the line, nor write to the terminal",
			[][]string{{"A", "B"}, {"x\ny", "\x1b[31mred\u009b0m"}},
			"A    B\nx y  [31mred0m\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, table(c.rows)); diff != "" {
				t.Errorf("table(%q) (-want +got):\n%s", c.rows, diff)
			}
		})
	}
}

func TestLongCellsAreCutBetweenCharacters(t *testing.T) {
	for _, c := range []struct {
		given string
		width int
		want  string
	}{
		{"金坛经济开发区", 14, "金坛经济开发区"},
		{"金坛经济开发区", 13, "金坛经济开发…"},
		{"金坛经济开发区", 8, "金坛经…"},
		{"Jintan", 4, "Jin…"},
		{"", 4, ""},
	} {
		if got := clip(c.given, c.width); got != c.want {
			t.Errorf("clip(%q, %d) = %q, want %q", c.given, c.width, got, c.want)
		}
	}
}

func TestAPasswordIsNeverShown(t *testing.T) {
	for dsn, want := range map[string]string{
		"zonewire.db":                                "zonewire.db",
		"postgres://news@db/zonewire":                "postgres://news@db/zonewire",
		"postgres://news:geheim@db/zonewire":         "postgres://news:********@db/zonewire",
		"postgres://news:ge/h@im@db/zonewire":        "postgres://news:********@db/zonewire",
		"postgres://news:geheim@a:5432,b:5432/x?c=d": "postgres://news:********@a:5432,b:5432/x?c=d",
		"postgres://db/x?user=u&password=geheim&c=d": "postgres://db/x?user=u&password=********&c=d",
		"postgres://db/x?sslpassword=geheim":         "postgres://db/x?sslpassword=********",
	} {
		if got := maskPassword(dsn); got != want {
			t.Errorf("%s is shown as %s, want %s", dsn, got, want)
		}
	}
}
