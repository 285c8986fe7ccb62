package ingest

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/text/language"

	"zonewire"
)

// fields are an article as a row gives it: raw text under the names of the columns.
type fields struct {
	zone, id, url, title, summary string
	html, text, body              string // body is either: a column named 正文 does not say which
	source, author, category      string
	city, province, language      string
	published, deadline, image    string
	base                          string // of the body's relative links, if not the url
	attachments                   []zonewire.Attachment
}

var errNoTitle = zonewire.Invalidf("title is missing")

// article makes the article of a row, and says what it mended or ignored.
func (f fields) article(opts Options) (zonewire.Article, []string, error) {
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	short := func(name, s string, limit int) string {
		s = line(s)
		if cut := truncate(s, limit); cut != s {
			warn("%s is longer than %d characters and was cut", name, limit)
			return cut
		}
		return s
	}
	a := zonewire.Article{
		ZoneRaw:    short("zone", first(f.zone, opts.Zone), maxField),
		Province:   short("province", f.province, maxField),
		City:       short("city", f.city, maxField),
		ExternalID: line(f.id),
		Title:      short("title", PlainText(f.title), maxTitle),
		Summary:    short("summary", PlainText(f.summary), maxSummary),
		Source:     short("source", PlainText(f.source), maxField),
		Author:     short("author", PlainText(f.author), maxField),
		Category:   short("category", PlainText(f.category), maxField),
	}
	if a.Title == "" {
		return a, nil, errNoTitle
	}
	if utf8.RuneCountInString(a.ExternalID) > maxID {
		return a, nil, zonewire.Invalidf("id is longer than %d characters", maxID)
	}
	a.URL = webURL("url", f.url, warn)
	a.Image = webURL("image", f.image, warn)
	for _, file := range f.attachments {
		file.URL = webURL("attachment", file.URL, warn)
		if file.URL == "" {
			continue
		}
		if len(a.Attachments) == maxAttachments {
			warn("more than %d attachments: the rest is left out", maxAttachments)
			break
		}
		file.Name, file.Type, file.Length = line(file.Name), line(file.Type), max(file.Length, 0)
		if file.Type == "" {
			file.Type = fileTypes[fileExt(file.URL)]
		}
		a.Attachments = append(a.Attachments, file)
	}
	if f.language != "" {
		if a.Language = languageTag(f.language); a.Language == "" {
			warn("language %q is no language tag and is ignored", truncate(line(f.language), 40))
		}
	}
	a.ContentHTML = f.content(first(f.base, a.URL), warn)
	setDate(&a, f.published, opts, warn)
	finish(&a, opts)
	setDeadline(&a, f.deadline, opts, warn)
	return a, warnings, nil
}

// content is the body in clean HTML.
func (f fields) content(pageURL string, warn func(string, ...any)) string {
	markup, text := f.html, f.text
	if f.body != "" {
		if looksLikeHTML(f.body) {
			markup = first(markup, f.body)
		} else {
			text = first(text, f.body)
		}
	}
	if strings.TrimSpace(markup) == "" {
		return TextToHTML(text)
	}
	base, _ := parseURL(pageURL)
	out, err := cleanHTML(markup, base)
	if err != nil {
		warn("the HTML cannot be used and its text is taken: %v", err)
		return TextToHTML(PlainText(markup))
	}
	return out
}

// setDate dates an article: by what was given if that is a date that can be, else by its arrival.
func setDate(a *zonewire.Article, given string, opts Options, warn func(string, ...any)) {
	given = strings.TrimSpace(given)
	d, ok := parseDate(given, opts.Now)
	a.Published, a.Precision, a.Suspect = opts.Now.In(zonewire.Shanghai), "", true
	switch shown := truncate(line(given), 60); {
	case given == "":
		warn("there is no date: the time of arrival is taken")
	case !ok:
		warn("published %q is no date: the time of arrival is taken", shown)
	case !plausible(d.t, opts.Now):
		warn("published %q is too long ago or in the future: the time of arrival is taken", shown)
	default:
		a.Published, a.Precision, a.Suspect = d.t, d.p, false
		if d.noYear {
			warn("published %q has no year: %d is taken", shown, d.t.Year())
		}
	}
}

// finish fills what follows from the other fields.
func finish(a *zonewire.Article, opts Options) {
	a.Received, a.Updated = opts.Now, opts.Now
	if a.Summary == "" {
		a.Summary = opening(a.ContentHTML)
	}
	if m := firstImage.FindStringSubmatch(a.ContentHTML); a.Image == "" && m != nil {
		a.Image = html.UnescapeString(m[1])
	}
	Identify(a)
}

// opening makes a summary of a body by as much of it as that can need: its first kilobyte mostly, more where that is
// pictures.
func opening(markup string) string {
	const few, enough = 1 << 10, 8 << 10
	if len(markup) > few {
		if text := PlainText(beginning(markup, few)); utf8.RuneCountInString(text) > 2*madeSummary {
			return summarize(text)
		}
	}
	return summarize(PlainText(beginning(markup, enough)))
}

// beginning is at most n bytes of a body, cut between two tags.
func beginning(markup string, n int) string {
	if len(markup) <= n {
		return markup
	}
	return markup[:max(0, strings.LastIndexByte(markup[:n], '<'))]
}

// firstImage finds the first picture of a body that CleanHTML has written.
var firstImage = regexp.MustCompile(`<img src="([^"]*)"`)

// webURL is an http or https address as it was given, or empty with a warning.
func webURL(name, raw string, warn func(string, ...any)) string {
	raw = trimSpace(clean(raw))
	if raw == "" {
		return ""
	}
	if _, ok := parseURL(raw); !ok {
		warn("%s %q is no http or https address and is ignored", name, truncate(raw, 80))
		return ""
	}
	return raw
}

func languageTag(s string) string {
	tag, err := language.Parse(strings.ReplaceAll(strings.TrimSpace(s), "_", "-"))
	if err != nil || tag == language.Und {
		return ""
	}
	return tag.String()
}

func first(values ...string) string {
	for _, v := range values {
		if strings.TrimSpace(v) != "" {
			return v
		}
	}
	return ""
}

// fileTypes are the endings that make a link an attachment, with their media types.
var fileTypes = map[string]string{
	"pdf":  "application/pdf",
	"doc":  "application/msword",
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"xls":  "application/vnd.ms-excel",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"ppt":  "application/vnd.ms-powerpoint",
	"pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	"wps":  "application/vnd.ms-works",
	"zip":  "application/zip",
	"rar":  "application/vnd.rar",
	"ofd":  "application/ofd",
}

// fileExt is the lower-case ending of an address' path, without the dot.
func fileExt(rawURL string) string {
	u, ok := parseURL(rawURL)
	if !ok {
		return ""
	}
	return strings.TrimPrefix(strings.ToLower(path.Ext(u.Path)), ".")
}

var someTag = regexp.MustCompile(`(?i)<(?:!doctype|html|head|body|div|p|br|span|table|section|article|ul|ol|h[1-6]|img|a|strong|b|font|center)(?:\s[^<>]*)?/?>`)

// looksLikeHTML reports whether text holds a tag of the ones that articles are made of.
func looksLikeHTML(s string) bool { return someTag.MatchString(s) }

// rejected reports whether err is the fault of the input, so that the next record can be tried.
func rejected(err error) bool { return errors.Is(err, zonewire.ErrInvalid) }
