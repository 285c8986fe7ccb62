package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/rivo/uniseg"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// printer writes results to stdout: tables and sentences for people, JSON for scripts.
type printer struct {
	w    io.Writer
	note io.Writer // what is for people only
	json bool
}

// list prints many things: a table of rows, or items, a slice, as one JSON array. none is told to people when there
// are no rows.
func (p printer) list(items any, head []string, rows [][]string, none string) error {
	if p.json {
		return p.object(items)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(p.note, none)
		return err
	}
	return p.write(table(append([][]string{head}, rows...)))
}

// field is one line of a record.
type field struct{ name, value string }

// record prints one thing: its fields that have a value, one a line, or item as a JSON object.
func (p printer) record(item any, fields ...field) error {
	if p.json {
		return p.object(item)
	}
	return p.write(recordText(fields))
}

// recordText writes the fields that have a value, one a line.
func recordText(fields []field) string {
	var rows [][]string
	for _, f := range fields {
		if f.value != "" {
			rows = append(rows, []string{f.name, f.value})
		}
	}
	return table(rows)
}

// say prints what a command did: a sentence, or item as a JSON object.
func (p printer) say(item any, format string, args ...any) error {
	if p.json {
		return p.object(item)
	}
	return p.write(oneLine(fmt.Sprintf(format, args...)) + "\n")
}

func (p printer) object(v any) error {
	if s := reflect.ValueOf(v); s.Kind() == reflect.Slice && s.IsNil() {
		v = []struct{}{} // an array, not null
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	return p.write(b.String())
}

func (p printer) write(s string) error {
	if _, err := io.WriteString(p.w, s); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}

// table aligns rows in columns, two spaces apart. Columns of numbers are aligned right. Width is that of a terminal:
// a Chinese character takes two columns.
func table(rows [][]string) string {
	var width []int
	var number []bool
	for r, row := range rows {
		for c, cell := range row {
			if c == len(width) {
				width, number = append(width, 0), append(number, true)
			}
			row[c] = oneLine(cell)
			width[c] = max(width[c], uniseg.StringWidth(row[c]))
			number[c] = number[c] && (r == 0 || cell != "" && strings.Trim(cell, "0123456789") == "")
		}
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for c, cell := range row {
			gap := strings.Repeat(" ", width[c]-uniseg.StringWidth(cell))
			if number[c] && len(rows) > 1 {
				cell, gap = gap+cell, ""
			}
			line.WriteString(cell + gap + "  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// clip cuts a cell to so many terminal columns.
func clip(s string, width int) string {
	if uniseg.StringWidth(s) <= width {
		return s
	}
	var b strings.Builder
	used, state := 0, -1
	for s != "" {
		var cluster string
		var w int
		cluster, s, w, state = uniseg.FirstGraphemeClusterInString(s, state)
		if used += w; used > width-1 {
			break
		}
		b.WriteString(cluster)
	}
	return b.String() + "…"
}

// count is "1 article" or "12 articles".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// stamp prints a moment in UTC, RFC 3339; empty if there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// stampOrNull is a moment for JSON: null if there is none.
func stampOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := stamp(t)
	return &s
}

// bar is a progress bar with rate and time left, on a terminal; on a pipe it writes nothing. total is -1 when nobody
// knows it; unit is what is counted, such as "mails", or empty for bytes. The caller calls Finish.
func (a *app) bar(total int, what, unit string) *progressbar.ProgressBar {
	options := []progressbar.Option{
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100 * time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetWriter(a.stderr),
	}
	if unit == "" {
		options = append(options, progressbar.OptionShowBytes(true))
	} else {
		options = append(options, progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit))
	}
	if f, ok := a.stderr.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		options = append(options, progressbar.OptionSetVisibility(false))
	}
	return progressbar.NewOptions(total, options...)
}
