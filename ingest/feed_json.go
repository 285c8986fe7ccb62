package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"zonewire"
)

// jsonCut is a JSON Feed taken apart (jsonfeed.org, versions 1 and 1.1). The library would lose all items for one field
// of another type than it should have, and knows no hubs.
type jsonCut struct {
	head  map[string]json.RawMessage // but its items
	items []jsonItem
	left  int // items past the limit
}

type jsonItem struct {
	raw  json.RawMessage
	line int
}

// cutJSON takes a feed apart as far as it is whole; with an error there still may be items.
func cutJSON(text string, limit int) (jsonCut, error) {
	cut := jsonCut{head: map[string]json.RawMessage{}}
	text = string(mendJSON([]byte(text)))
	dec := json.NewDecoder(strings.NewReader(text))
	if _, err := dec.Token(); err != nil { // the brace
		return cut, err
	}
	lines, counted := 1, 0
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return cut, err
		}
		var raw json.RawMessage
		name, _ := key.(string)
		if name != "items" {
			if err := dec.Decode(&raw); err != nil {
				return cut, err
			}
			cut.head[name] = raw
			continue
		}
		if bracket, err := dec.Token(); err != nil || bracket != json.Delim('[') {
			return cut, errors.Join(err, errors.New("items is no array"))
		}
		for dec.More() {
			if err := dec.Decode(&raw); err != nil {
				return cut, err
			}
			if len(cut.items) == limit {
				cut.left++
				continue
			}
			at := int(dec.InputOffset()) - len(raw)
			lines += strings.Count(text[counted:at], "\n")
			counted = at
			cut.items = append(cut.items, jsonItem{raw: append(json.RawMessage(nil), raw...), line: lines})
		}
		if _, err := dec.Token(); err != nil { // the bracket
			return cut, err
		}
	}
	_, err := dec.Token() // the brace
	return cut, err
}

// readJSONFeed reads a JSON Feed.
func readJSONFeed(body string, limit int, opts Options) (FeedDoc, []feedItem, error) {
	var doc FeedDoc
	cut, err := cutJSON(body, limit)
	if err != nil && len(cut.items) == 0 {
		return doc, nil, zonewire.Invalidf("the feed is not JSON: %v", err)
	}
	if err != nil {
		doc.Warnings = append(doc.Warnings, "the feed breaks off: only its whole items are read")
	}
	head := jsonObject{fields: cut.head}
	if version := head.text("version"); err == nil && !strings.Contains(version, "jsonfeed.org/version") {
		return doc, nil, zonewire.Invalidf("this is no feed: it is JSON, but no JSON Feed")
	}
	var hubs []struct{ URL string }
	head.value("hubs", &hubs)
	address := within(nil, opts.URL)
	doc.Title, doc.Left = truncate(PlainText(head.text("title")), maxTitle), cut.left
	doc.Link, doc.Self = webAddress(address, head.text("home_page_url")), webAddress(address, head.text("feed_url"))
	for _, h := range hubs {
		doc.Hub = first(doc.Hub, webAddress(address, h.URL))
	}
	place := feedPlace{base: within(address, doc.Link), language: feedLanguage(head.text("language")), now: opts.Now}
	items := make([]feedItem, len(cut.items))
	for i, raw := range cut.items {
		items[i] = readJSONItem(raw, place)
	}
	return doc, items, nil
}

func readJSONItem(raw jsonItem, place feedPlace) feedItem {
	it := feedItem{line: raw.line, replaced: strings.Count(string(raw.raw), "\ufffd")}
	var o jsonObject
	if err := json.Unmarshal(raw.raw, &o.fields); err != nil || o.fields == nil {
		it.err = zonewire.Invalidf("the item must be a JSON object")
		return it
	}
	f := fields{
		id: o.text("id"), title: o.text("title"), language: first(feedLanguage(o.text("language")), place.language),
		url:       absolute(place.base, first(o.text("url"), o.text("external_url"))),
		image:     absolute(place.base, first(o.text("image"), o.text("banner_image"))),
		published: likelyDate(place.now, o.text("date_published"), o.text("date_modified")),
	}
	if body := within(place.base, f.url); body != nil {
		f.base = body.String()
	}
	if f.html = o.text("content_html"); trimSpace(f.html) == "" {
		f.html, f.text = "", o.text("content_text")
	}
	if f.summary = o.text("summary"); f.html+f.text == "" {
		f.text, f.summary = f.summary, ""
	}
	type person struct{ Name string }
	var author person
	var authors []person
	o.value("author", &author) // of version 1
	o.value("authors", &authors)
	var names []string
	for _, a := range append(authors, author) {
		if len(names) == 0 || a != author {
			names = append(names, a.Name)
		}
	}
	f.author = strings.Join(nonEmpty(names), "、")
	var tags []string
	o.value("tags", &tags)
	f.category = first(tags...)
	var files []struct {
		URL    string  `json:"url"`
		Type   string  `json:"mime_type"`
		Title  string  `json:"title"`
		Length float64 `json:"size_in_bytes"`
	}
	o.value("attachments", &files)
	for _, file := range files {
		f.enclose(zonewire.Attachment{URL: absolute(place.base, file.URL), Name: file.Title, Type: file.Type, Length: int64(file.Length)})
	}
	it.fields, it.warnings = f, o.warnings
	return it
}

// jsonObject gives the fields of an object. One of another type than it should have is left out, with a warning.
type jsonObject struct {
	fields   map[string]json.RawMessage
	warnings []string
}

// text is a string, or the digits of a number: "If an id is presented as a number or other type, a JSON Feed reader must
// coerce it to a string."
func (o *jsonObject) text(name string) string {
	var s string
	if err := text(o.fields, name, &s, true); err != nil {
		o.warnings = append(o.warnings, err.Error()+", and is ignored")
	}
	return s
}

func (o *jsonObject) value(name string, to any) {
	raw := o.fields[name]
	if raw == nil {
		return
	}
	if err := json.Unmarshal(raw, to); err != nil {
		o.warnings = append(o.warnings, fmt.Sprintf("field %s is ignored: %v", name, typeError(err)))
	}
}
