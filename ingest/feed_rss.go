package ingest

import (
	"html"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	ext "github.com/mmcdole/gofeed/extensions"
	"github.com/mmcdole/gofeed/rss"

	"zonewire"
)

// rssFields are the fields of an item of RSS or RDF.
func rssFields(it *rss.Item, extra besideItem, place feedPlace) fields {
	x := it.Extensions
	links := embeddedLinks(x)
	f := fields{
		title: first(it.Title, extension(x, "dc", "title")),
		url:   first(first(it.Links...), links.page()),
		author: person(first(it.Author, extension(x, "dc", "creator"), extension(x, "dc", "author"), extension(x, "itunes", "author"),
			embeddedAuthor(x))),
		language: feedLanguage(extension(x, "dc", "language")),
		published: likelyDate(place.now, it.PubDate, extension(x, "dc", "date"), extension(x, "atom", "published"),
			extension(x, "dcterms", "issued"), extension(x, "dcterms", "created"), extension(x, "atom", "updated"), extension(x, "dcterms", "modified")),
	}
	if it.GUID != nil {
		f.id = it.GUID.Value
		if !strings.EqualFold(it.GUID.IsPermalink, "false") && f.url == "" {
			f.url = webAddress(nil, f.id) // a permanent link is whole, and a guid of another kind often forgets to say so
		}
	}
	f.url = first(f.url, extra.About)
	if it.Source != nil {
		f.source = it.Source.Title
	}
	if s := extension(x, "dc", "source"); webAddress(nil, s) == "" {
		f.source = first(f.source, s)
	}
	for _, c := range it.Categories {
		if c.Domain != "post_tag" { // of WordPress
			f.category = first(f.category, c.Value)
		}
	}
	f.category = first(f.category, extension(x, "dc", "subject"), links.category)
	f.describe(first(it.Content, it.Custom["encoded"], it.Custom["content"], extension(x, "atom", "content")),
		first(it.Description, extension(x, "dc", "description"), extension(x, "atom", "summary")))
	for _, e := range it.Enclosures {
		f.enclose(zonewire.Attachment{URL: absolute(place.base, e.URL), Type: e.Type, Length: byteLength(e.Length)})
	}
	for _, l := range links.enclosures() {
		f.enclose(l.attachment(place))
	}
	for _, m := range media(x) {
		f.enclose(m.attachment(place))
	}
	return f
}

// describe takes the two texts of an item. The shorter one is a summary if it is short, and not just what the whole says.
func (f *fields) describe(content, description string) {
	if trimSpace(content) == "" {
		f.setBody(description)
		return
	}
	f.setBody(content)
	text := PlainText(description)
	if utf8.RuneCountInString(text) <= maxSummary && text != PlainText(content) {
		f.summary = text
	}
}

// setBody takes a text of which RSS does not say whether it is HTML. Without tags it is text, but its entities are still
// those of HTML.
func (f *fields) setBody(s string) {
	if stripTags(s) != s {
		f.html = s
	} else {
		f.text = html.UnescapeString(s)
	}
}

// extension is the text of the first element of that name in a vocabulary, by the prefix that it commonly has.
func extension(x ext.Extensions, prefix, name string) string {
	for _, e := range x[prefix][name] {
		if trimSpace(e.Value) != "" {
			return e.Value
		}
	}
	return ""
}

var mailAddress = regexp.MustCompile(`[(<]?[^\s()<>]+@[^\s()<>]+[)>]?`)

// person is the name in "a@b.example (name)", which RSS asks for, and in what else stands there. Addresses are not taken.
func person(s string) string {
	if !strings.Contains(s, "@") {
		return trimSpace(s)
	}
	return strings.Trim(mailAddress.ReplaceAllString(s, " "), " \t\r\n()<>,;\"")
}

// mediaFile is an element of Media RSS.
type mediaFile ext.Extension

// media are the files that Media RSS names, those of a group among them.
func media(x ext.Extensions) []mediaFile {
	var files []mediaFile
	add := func(from map[string][]ext.Extension) {
		for _, name := range []string{"content", "thumbnail"} {
			for _, e := range from[name] {
				files = append(files, mediaFile(e))
				for _, thumb := range e.Children["thumbnail"] {
					files = append(files, mediaFile(thumb))
				}
			}
		}
	}
	add(x["media"])
	for _, group := range x["media"]["group"] {
		add(group.Children)
	}
	return files
}

func (m mediaFile) attachment(place feedPlace) zonewire.Attachment {
	kind := m.Attrs["type"]
	if kind == "" && (m.Name == "thumbnail" || m.Attrs["medium"] == "image") {
		kind = "image/*"
	}
	name := ""
	for _, title := range m.Children["title"] {
		name = first(name, title.Value)
	}
	return zonewire.Attachment{URL: absolute(place.base, m.Attrs["url"]), Name: name, Type: kind, Length: byteLength(m.Attrs["fileSize"])}
}

// byteLength is a length as feeds give it, 0 if they do not.
func byteLength(s string) int64 {
	n, err := strconv.ParseInt(trimSpace(s), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
