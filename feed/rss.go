package feed

import (
	"bytes"
	"encoding/xml"
	"regexp"
	"strconv"
	"strings"

	"github.com/gorilla/feeds"
)

// The namespaces of the elements that RSS 2.0 lacks.
const (
	nsContent = "http://purl.org/rss/1.0/modules/content/"
	nsAtom    = "http://www.w3.org/2005/Atom"
	nsDC      = "http://purl.org/dc/elements/1.1/"
	nsMedia   = "http://search.yahoo.com/mrss/" // with its final slash
)

const (
	generator = "zonewire" // without a version: an upgrade changes no feed
	rssDocs   = "https://www.rssboard.org/rss-specification"
)

// rssDoc is a root of our own: that of the library declares one namespace only.
type rssDoc struct {
	XMLName xml.Name `xml:"rss"`
	Version string   `xml:"version,attr"`
	Content string   `xml:"xmlns:content,attr"`
	Atom    string   `xml:"xmlns:atom,attr"`
	DC      string   `xml:"xmlns:dc,attr"`
	Media   string   `xml:"xmlns:media,attr"`
	Channel *rssChannel
}

// A field here hides that of the embedded struct with the same XML name.
type rssChannel struct {
	*feeds.RssFeed
	Title       plain     `xml:"title"`
	Description plain     `xml:"description"`
	Links       []rssLink `xml:"atom:link"`
}

// FeedXml hides the embedded method, which would leave out all that is added here.
func (c *rssChannel) FeedXml() interface{} {
	return &rssDoc{Version: "2.0", Content: nsContent, Atom: nsAtom, DC: nsDC, Media: nsMedia, Channel: c}
}

type rssLink struct {
	Href string `xml:"href,attr"`
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr,omitempty"`
}

type rssItem struct {
	*feeds.RssItem
	Title      plain       `xml:"title"`
	Creator    string      `xml:"dc:creator"`
	Publisher  string      `xml:"dc:publisher,omitempty"` // not dc:source, which validators take for the element source
	Language   string      `xml:"dc:language,omitempty"`  // empty: that of the channel
	Categories []plain     `xml:"category"`
	Source     *rssSource  `xml:"source"`
	Thumbnail  *mediaThumb `xml:"media:thumbnail"`
	Media      []mediaFile `xml:"media:content"`
}

type rssSource struct {
	URL  string `xml:"url,attr"`
	Name string `xml:",innerxml"` // as in plain
}

type mediaThumb struct {
	URL string `xml:"url,attr"`
}

type mediaFile struct {
	URL    string `xml:"url,attr"`
	Type   string `xml:"type,attr"`
	Length string `xml:"fileSize,attr,omitempty"`
	Medium string `xml:"medium,attr"`
}

// plain is text without markup. RSS does not say whether a title is HTML; hexadecimal references are read as text by
// readers of both minds (RSS Board profile, "Character Data").
type plain struct {
	XML string `xml:",innerxml"`
}

var hexadecimal = strings.NewReplacer("&", "&#x26;", "<", "&#x3C;", ">", "&#x3E;")

func newPlain(s string) plain { return plain{hexadecimal.Replace(s)} }

func (p *page) rssFrame() ([]byte, error) {
	c := &rssChannel{
		RssFeed: &feeds.RssFeed{
			Link:          p.home(),
			Language:      p.lang,
			LastBuildDate: rfc822(p.updated.UTC()),
			Generator:     generator,
			Docs:          rssDocs,
			Ttl:           int(maxAge.Minutes()),
		},
		Title:       newPlain(p.title),
		Description: newPlain(p.subtitle),
		Links:       []rssLink{{Href: p.self(RSS), Rel: "self", Type: RSS.MediaType()}},
	}
	for _, hub := range p.hubs() {
		c.Links = append(c.Links, rssLink{Href: hub, Rel: "hub"})
	}
	if older := p.older(RSS); older != "" {
		c.Links = append(c.Links, rssLink{Href: older, Rel: "next", Type: RSS.MediaType()})
	}
	return p.document(c)
}

// document is an XML document that shows itself in a browser by our stylesheet.
func (p *page) document(root feeds.XmlFeed) ([]byte, error) {
	text, err := feeds.ToXML(root)
	if err != nil {
		return nil, err
	}
	declaration := strings.TrimSpace(xml.Header)
	style := `<?xml-stylesheet type="text/css" href="` + escapeAttribute.Replace(p.site.BaseURL) + StylesheetPath + `"?>`
	return []byte(xml.Header + style + strings.Replace(text, declaration, "\n", 1) + "\n"), nil
}

// element is one element of a document by itself, as it stands there at a depth.
func element(x any, depth int) ([]byte, error) {
	const indent = "  "
	b := bytes.NewBufferString("\n")
	e := xml.NewEncoder(b)
	e.Indent(strings.Repeat(indent, depth), indent)
	err := e.Encode(x)
	return b.Bytes(), err
}

func (p *page) rssItem(it item) ([]byte, error) {
	x := rssItem{
		RssItem: &feeds.RssItem{
			Link:        it.link,
			Description: escapeText.Replace(it.summary), // readers take it as HTML
			Content:     &feeds.RssContent{Content: it.body},
			Guid:        &feeds.RssGuid{Id: it.id, IsPermaLink: "false"}, // absent would mean true
			PubDate:     rfc822(it.published),
		},
		Title:     newPlain(it.title),
		Creator:   it.author, // author would have to be an address
		Publisher: it.source,
		Language:  it.lang,
	}
	for _, c := range it.categories {
		x.Categories = append(x.Categories, newPlain(c))
	}
	if it.origin != nil {
		x.Source = &rssSource{URL: p.site.BaseURL + Path(it.origin.slug, RSS), Name: hexadecimal.Replace(it.origin.title)}
	}
	if it.image != "" {
		x.Thumbnail = &mediaThumb{it.image}
	}
	for _, f := range it.files {
		// One enclosure an item, and it must know its length and be on a host of the DNS; the others are media.
		if f.length > 0 && x.Enclosure == nil && publicHost.MatchString(f.url) {
			x.Enclosure = &feeds.RssEnclosure{Url: f.url, Length: strconv.FormatInt(f.length, 10), Type: f.mediaType}
			continue
		}
		x.Media = append(x.Media, mediaFile{URL: f.url, Type: f.mediaType, Length: lengthText(f.length), Medium: medium(f.mediaType)})
	}
	return element(x, 2)
}

// publicHost is the beginning of an address as validators want it of an enclosure: no single word, no underscore.
var publicHost = regexp.MustCompile(`^https?://([a-z0-9-]+\.)+[a-z0-9][a-z0-9-]*(:[0-9]+)?/`)

// lengthText is a length in bytes, nothing if it is unknown.
func lengthText(n int64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func medium(mediaType string) string {
	switch kind, _, _ := strings.Cut(mediaType, "/"); kind {
	case "image", "audio", "video":
		return kind
	}
	return "document"
}
