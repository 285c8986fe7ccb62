// Package ingest turns bytes into articles: it decodes, parses, picks the fields, cleans and identifies. It is pure:
// no clock, no network, no database.
//
// The policy:
//
//   - One thing that cannot be used costs only itself. A bad row is a [Record] with its line and the reason, and the
//     next one goes on; only a read error ends a file.
//   - What the input says wins over what the caller assumes; what neither says stays empty, except the date: an
//     article without a usable date is dated by its arrival and marked suspect.
//   - Stored text is NFC and holds nothing that a feed reader cannot parse. It is never folded: full-width
//     punctuation and U+3000 are folded only in the copies that are matched.
//   - HTML is parsed, sanitised and written again, or recognised as already so: it is balanced, its links are absolute, and
//     no script or style is left.
//   - A zone is a name until the store files it. [NewMatcher] refuses rather than guesses.
package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"regexp"
	"strings"
	"time"

	"zonewire"
)

// Limits on hostile input. Characters are code points.
const (
	maxLine        = 10 << 20 // bytes of one NDJSON line or CSV row
	maxPage        = 10 << 20 // bytes of one page
	maxTitle       = 500      // characters
	maxSummary     = 1000     // characters of a summary that was given
	madeSummary    = 120      // characters of a summary that is made from the body
	maxField       = 200      // characters of a source, author, category, place or zone name
	maxURL         = 2048     // characters
	maxID          = 512      // characters of a publisher's id
	maxLinks       = 100      // links of one article; past it the words stay
	maxImages      = 200      // images of one article
	maxAttachments = 50
)

// Options is what the input itself does not tell.
type Options struct {
	Now    time.Time // when it was received; relative and implausible dates are judged by it
	Zone   string    // slug or name of the zone for articles that name none
	Format Format    // empty is Auto
	URL    string    // address of a page or feed, if known: its relative links resolve against it

	HTTPCharset string // charset of the Content-Type that the bytes came with, if any
	Charset     string // of the source's pages that say none; empty is gb18030

	Selectors zonewire.Selectors // of the source; see [CheckSelectors]
	Listed    Entry              // what the list that led to a page says of it, believed where the page is silent
}

// Format says how a file is read.
type Format string

// The formats. Auto looks at the content first and at the name of the file after.
const (
	Auto   Format = "auto"
	NDJSON Format = "ndjson"
	CSV    Format = "csv"
	Pages  Format = "page"
	Feed   Format = "feed"
)

// ParseFormat reads a format's name; the empty string is Auto. Any other name is a [zonewire.ErrInvalid].
func ParseFormat(s string) (Format, error) {
	switch f := Format(strings.ToLower(strings.TrimSpace(s))); f {
	case "":
		return Auto, nil
	case Auto, NDJSON, CSV, Pages, Feed:
		return f, nil
	}
	return "", zonewire.Invalidf("format %q is none of auto, ndjson, csv, page, feed", s)
}

// Record is one article read, or the reason why it cannot be used. An Err that is a [zonewire.ErrInvalid] is the fault
// of the input; any other is a failure to read, after which nothing follows.
type Record struct {
	Article  zonewire.Article
	Line     int // where it begins, counted from 1; 0 when the whole file is meant
	Err      error
	Warnings []string // what was mended or ignored in an article that can be used
}

// Read yields the articles of one file; name is only looked at, for its ending. NDJSON and CSV are streamed: no more
// than one line is held, and a line over 10 MB is a reject.
func Read(name string, r io.Reader, opts Options) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for parse := range Tasks(name, r, opts) {
			if !yield(parse()) {
				return
			}
		}
	}
}

// Tasks is [Read] for a caller with more than one processor: it only cuts a file into its articles, and what it yields
// parses one when it is called, wherever and whenever that is. Records keep their order if they are taken in that of the tasks.
func Tasks(name string, r io.Reader, opts Options) iter.Seq[func() Record] {
	return func(yield func(func() Record) bool) {
		in := newLines(r)
		format := opts.Format
		if format == "" || format == Auto {
			format = sniff(name, in.head)
		}
		switch format {
		case NDJSON:
			readNDJSON(in, opts, yield)
		case CSV:
			readCSV(in, opts, yield)
		case Feed:
			readFeedFile(in.raw, opts, func(rec Record) bool { return yield(func() Record { return rec }) })
		case Pages:
			readPage(in.raw, opts, yield)
		default: // nothing but white space
		}
	}
}

// failed is the task of what cannot be read.
func failed(line int, err error) func() Record {
	return func() Record { return Record{Line: line, Err: err} }
}

// readPage reads the one article of a page.
func readPage(r io.Reader, opts Options, yield func(func() Record) bool) {
	b, err := io.ReadAll(io.LimitReader(r, maxPage+1))
	if err != nil {
		yield(failed(0, fmt.Errorf("read page: %w", err)))
		return
	}
	yield(func() Record { return ReadPage(b, opts) })
}

var (
	jsonArray = regexp.MustCompile(`^\[\s*[{\]]`)
	// Some programs escape the slashes.
	jsonFeedVersion = regexp.MustCompile(`"version"\s*:\s*"https?:\\?/\\?/(?:www\.)?jsonfeed\.org\\?/version`)
)

// sniff tells the format by the first bytes, and by the name where they leave it open. It answers "" for an empty file.
func sniff(name string, head []byte) Format {
	text := strings.TrimSpace(string(bytes.TrimPrefix(head, bomUTF8)))
	if enc := bomEncoding(head); enc != nil {
		wide := head[:len(head)&^1] // whole units only
		if b, err := enc.NewDecoder().Bytes(wide); err == nil {
			text = strings.TrimSpace(string(b))
		}
	}
	ext := strings.ToLower(path.Ext(name))
	switch {
	case text == "":
		return ""
	case text[0] == '{' && jsonFeedVersion.MatchString(text):
		return Feed
	case text[0] == '{', jsonArray.MatchString(text):
		return NDJSON
	case isFeedRoot(feedRoot(text)):
		return Feed
	case strings.HasPrefix(text, "<"):
		return Pages
	}
	switch ext {
	case ".csv", ".tsv":
		return CSV
	case ".ndjson", ".jsonl", ".json":
		return NDJSON
	}
	if first, _, _ := strings.Cut(text, "\n"); looksLikeHeads(decodeHead(first)) {
		return CSV
	}
	return Pages
}

// lines gives the lines of a file as UTF-8 text. Each line is decoded by itself, the encoding of the beginning being
// the first guess, because files are put together from several sources and one bad line must not spoil the others.
type lines struct {
	head []byte    // the first bytes, as they are
	raw  io.Reader // the whole file, as it is
	r    *bufio.Reader
	hint string // charset of the head
	n    int    // lines read
	err  error
}

var errLongLine = zonewire.Invalidf("the line is longer than %d MB", maxLine>>20)

func newLines(r io.Reader) *lines {
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(64 << 10)
	in := &lines{head: head, raw: br}
	if err != nil && !errors.Is(err, io.EOF) {
		in.err = err
	}
	return in
}

// next returns the next line without its end, and what it was decoded from. The error is io.EOF after the last line, a
// [zonewire.ErrInvalid] for a line that must be skipped, or what the reader failed with.
func (in *lines) next() (Decoded, error) {
	if in.r == nil {
		in.open()
	}
	b, err := in.bytes()
	if err != nil {
		return Decoded{}, err
	}
	return Decode(b, in.hint)
}

// open chooses how lines are cut. A line feed is no part of any other character in UTF-8 and in GB18030, but it is
// in UTF-16, which therefore is decoded as a stream.
func (in *lines) open() {
	in.r, _ = in.raw.(*bufio.Reader)
	if enc := bomEncoding(in.head); enc != nil {
		in.r = bufio.NewReaderSize(enc.NewDecoder().Reader(in.raw), 64<<10)
		return
	}
	head := in.head
	if i := bytes.LastIndexByte(head, '\n'); i > 0 {
		head = head[:i] // the last character may be cut
	}
	if d, err := Decode(head, ""); err == nil && d.Charset != charsetUTF8 {
		in.hint = d.Charset
	}
}

func (in *lines) bytes() ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := in.r.ReadSlice('\n')
		if !long {
			line = append(line, part...)
			long = len(line) > maxLine
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return nil, fmt.Errorf("read line %d: %w", in.n+1, err)
		case err != nil && len(line) == 0:
			return nil, io.EOF
		}
		in.n++
		if long {
			return nil, errLongLine
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		return bytes.TrimSuffix(line, []byte("\r")), nil
	}
}

func replacedWarning(d Decoded) []string {
	if d.Replaced == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d characters could not be read as %s and are left out", d.Replaced, d.Charset)}
}
