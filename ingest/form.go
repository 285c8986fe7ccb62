package ingest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"zonewire"
)

// pushedHeads are the names of fields by which publishers push: those of an article table, and the flat names of
// collector tools and of WordPress. There are no tags and no keywords in an article, so these are not among them.
var pushedHeads = withHeads(articleHeads, map[string]string{
	"source":    "origin",
	"published": "publish_time",
	"category":  "cate_name",
	"summary":   "description excerpt",
})

func withHeads(known, columns map[string]string) map[string]string {
	all := maps.Clone(known)
	maps.Copy(all, heads(columns))
	return all
}

// Form reads one article of the fields of a form. The names are those of a table's columns, the Chinese ones too, and what
// collector tools write. Names and values are bytes as they were sent: one charset is found for all of them, the one that the
// field _charset_ or opts.HTTPCharset says where they are no UTF-8.
func Form(values map[string][]string, opts Options) Record {
	said := opts.HTTPCharset
	if v := values["_charset_"]; len(v) > 0 {
		said = first(v[0], said) // HTML, section 4.10.21.5
	}
	names := slices.Sorted(maps.Keys(values))
	var sent []string // name, value, name, value
	for _, name := range names {
		if v := first(values[name]...); v != "" && name != "_charset_" {
			sent = append(sent, name, v)
		}
	}
	texts, d, err := decodeTogether(sent, said)
	if err != nil {
		return Record{Err: err}
	}
	cells := map[string]string{}
	for i := 0; i < len(texts); i += 2 {
		name := head(texts[i])
		if column := pushedHeads[name]; column != "" && (cells[column] == "" || name == column) {
			cells[column] = texts[i+1]
		}
	}
	return row{cells: cells, charset: d.Charset, replaced: d.Replaced}.record(opts)
}

// decodeTogether decodes texts that are of one charset: each alone may be too short to tell which. No charset that Decode
// finds by itself has a line feed inside another character, so lines mark where each text ends.
func decodeTogether(sent []string, said string) ([]string, Decoded, error) {
	d, err := Decode([]byte(strings.Join(sent, "\n")), said)
	if err != nil {
		return nil, d, err
	}
	lines := strings.Split(d.Text, "\n")
	out := make([]string, len(sent))
	for i, s := range sent {
		n := strings.Count(s, "\n") + 1
		if n > len(lines) {
			return nil, d, zonewire.Invalidf("the form cannot be read as %s", d.Charset)
		}
		out[i] = strings.Join(lines[:n], "\n")
		lines = lines[n:]
	}
	return out, d, nil
}

// Posted is [Object] for a body as a publisher sends it: in any charset, and under any of the names that [Form] knows.
func Posted(b []byte, opts Options) Record {
	d, err := Decode(b, opts.HTTPCharset)
	if err != nil {
		return Record{Err: err}
	}
	rec := Object(withKnownNames([]byte(d.Text)), opts)
	rec.Article.Charset, rec.Article.Replaced = d.Charset, d.Replaced
	if rec.Err == nil {
		rec.Warnings = append(replacedWarning(d), rec.Warnings...)
	}
	return rec
}

// withKnownNames gives the fields of a JSON object the names that Object knows. What is no object stays as it is: Object says what
// is wrong with it.
func withKnownNames(b []byte) []byte {
	var object map[string]json.RawMessage
	if json.Unmarshal(mendJSON(b), &object) != nil {
		return b
	}
	out := map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		folded, value := head(name), object[name]
		column := pushedHeads[folded]
		if column == "" || string(value) == "null" || string(value) == `""` {
			continue
		}
		if column == "content" { // either kind of body
			column = "content_text"
			var text string
			if json.Unmarshal(value, &text) == nil && looksLikeHTML(text) {
				column = "content_html"
			}
		}
		if out[column] == nil || name == column {
			out[column] = value
		}
	}
	b, err := json.Marshal(out)
	if err != nil { // the values were read as JSON a moment ago
		return nil
	}
	return b
}
