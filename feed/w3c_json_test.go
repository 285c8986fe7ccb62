package feed_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// jsonFeed judges a document by the text of JSON Feed 1.1 (jsonfeed.org/version/1.1), for which the W3C has no validator.
// The findings name the key, and what is wrong with it in words.
func jsonFeed(doc []byte, address string) []finding {
	c := &validation{seen: map[string]bool{}}
	var root map[string]any
	if err := json.Unmarshal(doc, &root); err != nil {
		c.say("no JSON", err.Error())
		return c.found
	}
	j := jsonPart{c, "", root}
	j.text("version", "home_page_url", "feed_url", "title", "description", "language", "next_url")
	j.keys("version title home_page_url feed_url description user_comment next_url icon favicon authors language expired hubs items")
	if root["version"] != "https://jsonfeed.org/version/1.1" {
		c.say("version", fmt.Sprint(root["version"]))
	}
	if title, ok := root["title"].(string); !ok || title == "" {
		c.say("title", "missing")
	}
	if address != "" && root["feed_url"] != address {
		c.say("feed_url", fmt.Sprintf("%v, served at %s", root["feed_url"], address))
	}
	j.addresses("home_page_url", "feed_url", "next_url")
	if next, told := root["next_url"]; told && next == root["feed_url"] {
		c.say("next_url", "is the feed itself")
	}
	j.people()
	for _, h := range j.parts("hubs") {
		if h.get("type") == "" || h.get("url") == "" {
			c.say(h.at+"type, url", "missing")
		}
		h.addresses("url")
	}
	if _, ok := root["items"].([]any); !ok {
		c.say("items", "missing or no list")
	}
	for _, item := range j.parts("items") {
		item.item()
	}
	return c.found
}

// jsonPart is an object in a document, and where.
type jsonPart struct {
	c  *validation
	at string
	v  map[string]any
}

func (j jsonPart) get(key string) string {
	s, _ := j.v[key].(string)
	return s
}

// parts are the objects of a list. It may be missing, but not empty, nor hold anything else.
func (j jsonPart) parts(key string) (all []jsonPart) {
	list, told := j.v[key]
	values, ok := list.([]any)
	if told && (!ok || len(values) == 0 && key != "items") {
		j.c.say(j.at+key, "no list, or an empty one")
	}
	for i, v := range values {
		object, ok := v.(map[string]any)
		if !ok || len(object) == 0 {
			j.c.say(j.at+key, "no object, or an empty one")
			continue
		}
		all = append(all, jsonPart{j.c, fmt.Sprintf("%s%s[%d].", j.at, key, i), object})
	}
	return all
}

// keys are those that there may be, and those of one's own, which begin with an underscore and hold an object.
func (j jsonPart) keys(known string) {
	for _, key := range slices.Sorted(maps.Keys(j.v)) {
		_, object := j.v[key].(map[string]any)
		if !slices.Contains(strings.Fields(known), key) && (!strings.HasPrefix(key, "_") || !object || strings.Contains(key, ".")) {
			j.c.say(j.at+key, "no such key")
		}
	}
}

func (j jsonPart) text(keys ...string) {
	for _, key := range keys {
		if v, told := j.v[key]; told {
			if s, ok := v.(string); !ok || s == "" {
				j.c.say(j.at+key, fmt.Sprintf("no text: %v", v))
			}
		}
	}
}

func (j jsonPart) addresses(keys ...string) {
	for _, key := range keys {
		if v := j.get(key); v != "" {
			if u, err := url.Parse(v); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
				j.c.say(j.at+key, "no address: "+v)
			}
		}
	}
}

func (j jsonPart) people() {
	for _, a := range j.parts("authors") {
		a.keys("name url avatar")
		if a.get("name") == "" && a.get("url") == "" && a.get("avatar") == "" {
			j.c.say(a.at, "an author without anything")
		}
	}
}

var (
	someTag      = regexp.MustCompile(`(?i)</?(?:b|i|p|a|br|div|span|img|em|strong)(?:[\s/][^<>]*)?>|&(?:amp|lt|gt|nbsp|#\d+);`)
	languageForm = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)
)

func (j jsonPart) item() {
	j.keys(`id url external_url title content_html content_text summary image banner_image date_published date_modified authors tags
		language attachments`)
	j.text("id", "url", "title", "content_html", "content_text", "summary", "image", "language")
	j.addresses("url", "external_url", "image", "banner_image")
	id := j.get("id")
	if id == "" || j.c.seen[id] {
		j.c.say(j.at+"id", "missing, or there twice: "+id)
	}
	j.c.seen[id] = true
	if j.get("content_html") == "" && j.get("content_text") == "" {
		j.c.say(j.at+"content_html", "neither it nor content_text")
	}
	for _, key := range []string{"title", "summary", "content_text"} { // which are plain
		if s := j.get(key); someTag.MatchString(s) {
			j.c.say(j.at+key, "HTML: "+s)
		}
	}
	if fault := notHTML(j.get("content_html")); fault != "" {
		j.c.say(j.at+"content_html", fault)
	}
	for _, key := range []string{"date_published", "date_modified"} {
		if v, told := j.v[key]; told {
			if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(v)); err != nil {
				j.c.say(j.at+key, err.Error())
			}
		}
	}
	if v := j.get("language"); v != "" && !languageForm.MatchString(v) {
		j.c.say(j.at+"language", v)
	}
	j.people()
	if tags, told := j.v["tags"]; told {
		list, ok := tags.([]any)
		for _, tag := range list {
			if s, plain := tag.(string); !plain || s == "" {
				ok = false
			}
		}
		if !ok {
			j.c.say(j.at+"tags", fmt.Sprint(tags))
		}
	}
	for _, a := range j.parts("attachments") {
		a.keys("url mime_type title size_in_bytes duration_in_seconds")
		a.text("url", "mime_type", "title")
		a.addresses("url")
		if a.get("url") == "" || a.get("mime_type") == "" {
			j.c.say(a.at, "lacks url or mime_type")
		}
		if size, told := a.v["size_in_bytes"]; told {
			if n, ok := size.(float64); !ok || n < 1 {
				j.c.say(a.at+"size_in_bytes", fmt.Sprint(size))
			}
		}
	}
}
