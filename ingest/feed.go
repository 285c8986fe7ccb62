package ingest

import (
	"fmt"
	"io"
	"maps"
	"math"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"zonewire"
)

const (
	maxFeed      = 10 << 20 // bytes of a feed that was fetched
	maxFeedFile  = 64 << 20 // bytes of a feed in a file: exports of whole sites are larger than feeds
	maxFeedItems = 500      // items of a feed that was fetched
)

// FeedDoc is a feed read: what it says of itself, and its items.
type FeedDoc struct {
	Title string
	Link  string // of the site that it is of
	Self  string // its own address, by its word
	Hub   string // of WebSub, by its word; the Link header of the answer goes before
	Hints Hints
	Items []Record // at most 500, as they stand in the feed
	// Left counts the items past those.
	Left     int
	Charset  string
	Warnings []string // what was mended in the feed as a whole, as its breaking off
}

// Hints are what a feed says about when to ask it again; zero values say nothing.
type Hints struct {
	Every     time.Duration  // of ttl or sy:updatePeriod: not more often than this, a day at most
	SkipHours []int          // hours of the day in UTC, 0 to 23
	SkipDays  []time.Weekday // days of the week in UTC
}

// ReadFeed reads RSS 0.9 to 2.0, RDF, Atom 0.3 and 1.0, or JSON Feed, whatever the server called it. An item that cannot
// be used is a record with the reason. The article's id is the item's guid or id, byte for byte; where several items of
// different addresses have one id, it is id and address.
//
// What is no feed, is larger than 10 MB, or breaks off before its first item is whole, is a [zonewire.ErrInvalid].
func ReadFeed(b []byte, opts Options) (FeedDoc, error) {
	if len(b) > maxFeed {
		return FeedDoc{}, zonewire.Invalidf("the feed is larger than %d MB", maxFeed>>20)
	}
	return readFeed(b, maxFeedItems, opts)
}

// readFeedFile yields the items of a file, however many: a file is given by hand, a feed by anybody.
func readFeedFile(r io.Reader, opts Options, yield func(Record) bool) {
	b, err := io.ReadAll(io.LimitReader(r, maxFeedFile+1))
	if err != nil {
		yield(Record{Err: fmt.Errorf("read feed: %w", err)})
		return
	}
	if len(b) > maxFeedFile {
		yield(Record{Err: zonewire.Invalidf("the feed is larger than %d MB", maxFeedFile>>20)})
		return
	}
	doc, err := readFeed(b, math.MaxInt, opts)
	if err != nil {
		yield(Record{Err: err})
		return
	}
	for i, rec := range doc.Items {
		if i == len(doc.Items)-1 {
			rec.Warnings = append(rec.Warnings, doc.Warnings...)
		}
		if !yield(rec) {
			return
		}
	}
}

func readFeed(b []byte, limit int, opts Options) (FeedDoc, error) {
	text, err := DecodeAs(b, Charsets{HTTP: opts.HTTPCharset, Default: opts.Charset})
	if err != nil {
		return FeedDoc{}, err
	}
	read := readXMLFeed
	if strings.HasPrefix(trimSpace(text.Text), "{") {
		read = readJSONFeed
	}
	doc, items, err := read(text.Text, limit, opts)
	if err != nil {
		return FeedDoc{}, err
	}
	doc.Charset = text.Charset
	tellApart(items)
	seen := map[string]string{}
	for _, it := range items {
		rec := it.record(text, opts)
		if rec.Err == nil {
			a := &rec.Article
			key := strings.Join([]string{a.ExternalID, a.URLCanon, a.TitleKey}, "\x00")
			switch content, again := seen[key]; {
			case again && content == a.ContentHash:
				continue // the same item twice
			case again:
				rec = Record{Line: it.line, Err: zonewire.Invalidf("an item before this one has the same id and address")}
			default:
				seen[key] = a.ContentHash
			}
		}
		doc.Items = append(doc.Items, rec)
	}
	return doc, nil
}

// feedItem is an item on its way to a record.
type feedItem struct {
	fields   fields
	line     int
	replaced int // characters that could not be decoded
	warnings []string
	err      error
}

// record makes the record of an item. A note without a title is called by its first sentence.
func (it feedItem) record(text Decoded, opts Options) Record {
	if it.err != nil {
		return Record{Line: it.line, Err: it.err}
	}
	f, untitled := it.fields, false
	if PlainText(f.title) == "" {
		f.title, untitled = firstSentence(PlainText(first(f.html, f.text, f.summary))), true
	}
	a, warnings, err := f.article(opts)
	if err != nil {
		return Record{Line: it.line, Err: err}
	}
	text.Replaced = it.replaced
	warnings = slices.Concat(replacedWarning(text), it.warnings, warnings)
	if untitled {
		warnings = append(warnings, "title is missing: the first sentence is taken")
	}
	a.Charset, a.Replaced, a.Layers = text.Charset, it.replaced, map[string]string{"charset": text.By}
	return Record{Article: a, Line: it.line, Warnings: warnings}
}

// tellApart gives items that share an id, but not their address, the address as part of the id. All of them get it, the
// first too, for the next time the feed is read another may be first.
func tellApart(items []feedItem) {
	addresses, shared := map[string]string{}, map[string]bool{}
	address := func(f fields) string {
		canon, _ := CanonicalURL(f.url)
		return first(canon, f.url)
	}
	for _, it := range items {
		id, a := it.fields.id, address(it.fields)
		if other, again := addresses[id]; again && other != a {
			shared[id] = true
		}
		addresses[id] = a
	}
	for i := range items {
		switch f := &items[i].fields; {
		case f.id == "" || !shared[f.id]:
		case f.url == "":
			f.id = "" // nothing tells it apart but its title
		default:
			f.id += " " + f.url
		}
	}
}

// firstSentence is a title for a text that has none.
func firstSentence(text string) string {
	const enough = 60
	cut := truncate(text, enough)
	if end := strings.IndexAny(cut, "。！？!?；"); end > 0 {
		return cut[:end]
	}
	if cut != text {
		return strings.TrimRight(cut, ",，、:： ") + "…"
	}
	return cut
}

// absolute is an address as it was given if that is whole, else as it stands in base, which may be nil.
func absolute(base *url.URL, ref string) string {
	if _, whole := parseURL(ref); whole {
		return trimSpace(ref)
	}
	if abs, ok := resolveURL(base, ref); ok {
		return abs
	}
	return ref
}

// webAddress is the first of the addresses that is one of the web, made absolute, or nothing.
func webAddress(base *url.URL, refs ...string) string {
	for _, ref := range refs {
		abs := line(absolute(base, ref))
		if _, ok := parseURL(abs); ok {
			return abs
		}
	}
	return ""
}

// within is what addresses are relative to in a place whose own address is ref: base, if ref says nothing.
func within(base *url.URL, ref string) *url.URL {
	if u, ok := parseURL(absolute(base, ref)); ok {
		return u
	}
	return base
}

// feedLanguage is the language of items that name none. What is no language tag is left out here, so that it does not
// warn once for each item.
func feedLanguage(s string) string {
	if languageTag(s) == "" {
		return ""
	}
	return s
}

// likelyDate is the first of the dates that can be, or else the first that was given, for the warning to show.
func likelyDate(now time.Time, dates ...string) string {
	for _, s := range dates {
		if d, ok := parseDate(s, now); ok && plausible(d.t, now) {
			return s
		}
	}
	return first(dates...)
}

// enclose takes a file that goes with an item: a picture is the article's if it has none, a document is an attachment.
// Sound and film are left out.
func (f *fields) enclose(file zonewire.Attachment) {
	kind, _, _ := strings.Cut(strings.ToLower(file.Type), ";")
	file.Type = trimSpace(kind)
	ending := fileExt(file.URL)
	switch {
	case strings.HasPrefix(file.Type, "image/"), file.Type == "" && pictureEndings[ending]:
		f.image = first(f.image, file.URL)
	case fileTypes[ending] != "", slices.Contains(slices.Collect(maps.Values(fileTypes)), file.Type):
		for _, have := range f.attachments {
			if have.URL == file.URL {
				return
			}
		}
		if !slices.Contains(slices.Collect(maps.Values(fileTypes)), file.Type) {
			file.Type = "" // "application/octet-stream" says less than the name does
		}
		if u, ok := parseURL(file.URL); ok {
			file.Name = first(file.Name, path.Base(u.Path))
		}
		f.attachments = append(f.attachments, file)
	}
}

var pictureEndings = set("jpg", "jpeg", "png", "gif", "webp", "bmp")
