// Package feed turns articles into RSS 2.0, Atom and JSON Feed documents, archives by month and a list of all feeds, and
// serves them from memory.
//
// [Render] is pure: the same values give the same bytes, with no clock, random number or map order in them. All three
// formats of a feed hold the same items under the same ids, and every field is cleaned on its way in, whatever the
// store holds: a single control character would make a feed that no reader can parse.
//
// A document is made of pieces, one for each article, of which none depends on another. A new version takes over those it
// knows, so that one new article costs one cleaning, and what is new for a reader is cut out of the bytes.
//
// [Server] renders when something changed, not when somebody asks, but for the first who does. What it serves is a snapshot:
// the bytes in every coding with their validators, swapped as one. A hit reads no database and runs no template. What a feed
// is made of has a name, its state; under the same state the store's bytes are served, whatever program has rendered them.
// ETag and Last-Modified move together, and only when the document does, over restarts and on every replica.
package feed

import (
	_ "embed"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"zonewire"
)

// Format is one of the formats a feed comes in; its text is the extension of the path.
type Format string

// The formats.
const (
	RSS  Format = "rss"  // RSS 2.0 and the RSS Advisory Board's profile
	Atom Format = "atom" // RFC 4287
	JSON Format = "json" // JSON Feed 1.1
)

// Formats lists every format in the order in which pages offer them.
func Formats() []Format { return []Format{RSS, Atom, JSON} }

// The places of the formats in a set of documents.
const (
	rssPlace = iota
	atomPlace
	jsonPlace
	places
)

func (f Format) place() (int, bool) {
	switch f {
	case RSS:
		return rssPlace, true
	case Atom:
		return atomPlace, true
	case JSON:
		return jsonPlace, true
	}
	return 0, false
}

// MediaType is the format's type without parameters.
func (f Format) MediaType() string {
	switch f {
	case RSS:
		return "application/rss+xml"
	case Atom:
		return "application/atom+xml"
	}
	return "application/feed+json"
}

// ContentType is the format's type with its charset, as HTTP says it.
func (f Format) ContentType() string { return f.MediaType() + "; charset=utf-8" }

// Label is the format's name for people.
func (f Format) Label() string {
	switch f {
	case RSS:
		return "RSS"
	case Atom:
		return "Atom"
	}
	return "JSON Feed"
}

// Site is what every feed of an installation shares. The zero values of Language, MaxItems and MaxBytes mean the
// defaults.
type Site struct {
	BaseURL   string   // without a trailing slash
	Authority string   // of the tag URIs (RFC 4151): a host name in lower case. Stored once: ids must outlive a move
	Year      int      // of the tag URIs: a year in which the authority was ours
	Title     string   // of the feed over all zones
	Language  string   // of the feed over all zones, and of zones that name none; default zh-CN
	MaxItems  int      // default 50
	MaxBytes  int      // of a document before compression; default 524288. One item is always left
	Hubs      []string // WebSub hubs, our own first
}

// The bounds that readers live well with.
const (
	DefaultMaxItems = 50
	DefaultMaxBytes = 512 << 10
)

func (s Site) withDefaults() Site {
	s.BaseURL = strings.TrimRight(s.BaseURL, "/")
	if s.Language = language(s.Language); s.Language == "" {
		s.Language = zonewire.LocaleZH
	}
	if s.MaxItems <= 0 {
		s.MaxItems = DefaultMaxItems
	}
	if s.MaxBytes <= 0 {
		s.MaxBytes = DefaultMaxBytes
	}
	return s
}

// Document is what one feed holds, or an archive of it.
type Document struct {
	Zone *zonewire.Zone // nil: the feed over all zones
	View View
	// Month makes it an archive (RFC 5005 section 4) of what arrived in that month: part Part of Parts, counted from 1.
	Month       zonewire.Month
	Part, Parts int
	Over        bool // the month is over

	// Articles come newest change first, in an archive newest arrival first. One whose piece is known may have no more
	// than ID, Change, ZoneID, Updated and Received.
	Articles []zonewire.Article
	Zones    map[int64]zonewire.Zone // the zones that the articles of a feed over all zones are from
	Gone     []zonewire.Departure    // withdrawals to be told, newest first: tombstones in Atom, nothing elsewhere
	Updated  time.Time               // the feed is at least as new: when an article left it last. Never the present
	More     bool                    // there are older articles than Articles holds
	Prev     string                  // address of the archive before; empty = none. Not needed for a later part of a month
}

// View is which part of a feed a document shows: the articles that match, and of them those before a change. The zero
// value is the feed's first page, unfiltered. Nothing here is checked or brought into bounds.
type View struct {
	Category string
	Text     string // in title or summary
	Province string // of the feed over all zones
	City     string
	Limit    int   // 0 = the site's
	Before   int64 // only changes before this one; 0 = from the newest
}

// Query is the view as it stands in an address, with its question mark: sorted, without what is empty. The zero value
// gives nothing.
func (v View) Query() string {
	q := url.Values{}
	for name, value := range map[string]string{"category": v.Category, "q": v.Text, "province": v.Province, "city": v.City} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if v.Limit > 0 {
		q.Set("limit", strconv.Itoa(v.Limit))
	}
	if v.Before > 0 {
		q.Set("before", strconv.FormatInt(v.Before, 10))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// Link is the address of a feed in one format.
type Link struct {
	Format Format
	URL    string
	Type   string // media type
	Title  string
}

// URLs lists the addresses of a zone's feed, or with nil of the feed over all zones: for the alternate links of a page.
func (s Site) URLs(zone *zonewire.Zone) []Link {
	s = s.withDefaults()
	title, slug := line(s.Title, maxTitle), ""
	if zone != nil {
		title, slug = zoneTitle(*zone, s.zoneLanguage(*zone)), zone.Slug
	}
	var links []Link
	for _, f := range Formats() {
		links = append(links, Link{Format: f, URL: s.BaseURL + Path(slug, f), Type: f.MediaType(), Title: title + " · " + f.Label()})
	}
	return links
}

// Path is the canonical path of a zone's feed; the empty slug means all zones.
func Path(slug string, f Format) string {
	if slug == "" {
		return "/feed." + string(f)
	}
	return "/zones/" + slug + "/feed." + string(f)
}

// ArchivePath is the path of one part, counted from 1, of what arrived in a zone in a month. The part stands in the path
// and not in a query, so that archives can lie as files on any web server.
func ArchivePath(slug string, m zonewire.Month, part int) string {
	file := m.String()
	if part > 1 {
		file += "-" + strconv.Itoa(part)
	}
	return "/zones/" + slug + "/archive/" + file + ".atom"
}

// parseArchive reads the file name that [ArchivePath] wrote: "2026-11.atom", "2026-11-2.atom". Any other spelling is none.
func parseArchive(file string) (m zonewire.Month, part int, ok bool) {
	name, ok := strings.CutSuffix(file, ".atom")
	if !ok || len(name) < len("2026-11") {
		return 0, 0, false
	}
	if m, ok = zonewire.ParseMonth(name[:len("2026-11")]); !ok {
		return 0, 0, false
	}
	rest := name[len("2026-11"):]
	if rest == "" {
		return m, 1, true
	}
	part, err := strconv.Atoi(strings.TrimPrefix(rest, "-"))
	return m, part, err == nil && part > 1 && rest == "-"+strconv.Itoa(part)
}

// parsePath reads what [Path] wrote.
func parsePath(path string) (slug string, f Format, ok bool) {
	file := path
	if after, zone := strings.CutPrefix(path, "/zones/"); zone {
		slash := strings.IndexByte(after, '/')
		if slash < 1 {
			return "", "", false
		}
		slug, file = after[:slash], after[slash:]
	}
	ext, ok := strings.CutPrefix(file, "/feed.")
	if ok {
		_, ok = Format(ext).place()
	}
	return slug, Format(ext), ok
}

// StylesheetPath is where [Stylesheet] is served.
const StylesheetPath = "/feed.css"

// Stylesheet shows RSS and Atom documents to people who open one in a browser.
//
//go:embed feed.css
var Stylesheet []byte

// page is the address of the page for people that a feed belongs to.
func (s Site) page(slug string) string {
	if slug == "" {
		return s.BaseURL + "/"
	}
	return s.BaseURL + "/zones/" + slug
}

// tag is a tag URI (RFC 4151). Only database ids take part: titles, slugs, addresses and dates all change.
func (s Site) tag(kind string, id int64) string {
	return fmt.Sprintf("tag:%s,%04d:%s/%s", s.Authority, s.Year, kind, strconv.FormatInt(id, 10))
}

// FeedID is the id of a zone's feed, or with 0 of the feed over all zones: the same in every format.
func (s Site) FeedID(zone int64) string {
	if zone == 0 {
		return fmt.Sprintf("tag:%s,%04d:all", s.Authority, s.Year)
	}
	return s.tag("zone", zone)
}

// ItemID is the id of an article in every feed and format.
func (s Site) ItemID(article int64) string { return s.tag("item", article) }

func (s Site) zoneLanguage(z zonewire.Zone) string {
	if lang := language(z.Language); lang != "" {
		return lang
	}
	return s.Language
}

// zoneTitle is the zone's name in the language of its feed.
func zoneTitle(z zonewire.Zone, lang string) string {
	locale := zonewire.LocaleZH
	if strings.HasPrefix(strings.ToLower(lang), "en") {
		locale = zonewire.LocaleEN
	}
	if title := line(z.DisplayName(locale), maxTitle); title != "" {
		return title
	}
	return z.Slug
}
