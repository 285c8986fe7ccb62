package feed

import (
	"bytes"
	"encoding/json"

	"github.com/gorilla/feeds"
)

// A field here hides that of the embedded struct with the same JSON name.
type jsonDoc struct {
	*feeds.JSONFeed
	Items []struct{} `json:"items"` // must be there, even if empty, and last
}

type jsonItem struct {
	*feeds.JSONItem
	Language    string       `json:"language,omitempty"`
	Published   string       `json:"date_published"`
	Modified    string       `json:"date_modified"`
	Attachments []attachment `json:"attachments,omitempty"`
	Zonewire    jsonOwn      `json:"_zonewire"`
}

// attachment has the key of the length right, which the library has not.
type attachment struct {
	URL    string `json:"url"`
	Type   string `json:"mime_type"`
	Title  string `json:"title,omitempty"`
	Length int64  `json:"size_in_bytes,omitempty"`
}

// jsonOwn is what JSON Feed has no word for. Keys of one's own begin with an underscore.
type jsonOwn struct {
	Zone      string `json:"zone,omitempty"` // slug
	ZoneName  string `json:"zone_name,omitempty"`
	Source    string `json:"source,omitempty"`
	Precision string `json:"date_precision,omitempty"` // "day": the time of date_published means nothing
}

func (p *page) jsonFrame() ([]byte, error) {
	d := jsonDoc{
		JSONFeed: &feeds.JSONFeed{
			Version:     "https://jsonfeed.org/version/1.1",
			Title:       p.title,
			Language:    p.lang,
			HomePageUrl: p.home(),
			FeedUrl:     p.self(JSON),
			Description: p.subtitle,
			NextUrl:     p.older(JSON),
		},
		Items: []struct{}{},
	}
	for _, hub := range p.hubs() {
		d.Hubs = append(d.Hubs, &feeds.JSONHub{Type: "WebSub", Url: hub})
	}
	return indentedJSON(d, "")
}

func indentedJSON(x any, prefix string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // \u003c for each bracket would double a body
	e.SetIndent(prefix, "  ")
	err := e.Encode(x)
	return b.Bytes(), err
}

func (p *page) jsonItem(it item) ([]byte, error) {
	x := jsonItem{
		JSONItem: &feeds.JSONItem{
			Id:          it.id,
			Url:         it.link,
			Title:       it.title,
			ContentHTML: it.body,
			Summary:     it.summary,
			Image:       it.image,
			Authors:     []*feeds.JSONAuthor{{Name: it.author}},
			Tags:        it.categories,
		},
		Language:  it.lang,
		Published: rfc3339(it.published),
		Modified:  instant(it.updated),
		Zonewire:  jsonOwn{Zone: p.slug, Source: it.source, Precision: string(it.precision)},
	}
	if p.slug != "" {
		x.Zonewire.ZoneName = p.name
	}
	if it.origin != nil {
		x.Zonewire.Zone, x.Zonewire.ZoneName = it.origin.slug, it.origin.title
	}
	for _, f := range it.files {
		x.Attachments = append(x.Attachments, attachment{f.url, f.mediaType, f.name, f.length})
	}
	const indent = "    "
	text, err := indentedJSON(x, indent)
	return append([]byte("\n"+indent), bytes.TrimSuffix(text, []byte("\n"))...), err
}
