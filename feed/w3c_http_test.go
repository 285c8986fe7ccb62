package feed_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"mime"
	"net/http"
	"strings"
	"testing"
	"time"
)

// w3cAnswer judges a document as it was served at an address, as the validator does, which asks for gzip and deflate.
func w3cAnswer(t testing.TB, address string, res *http.Response, now time.Time) []finding {
	t.Helper()
	c := &validation{}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		c.say("HttpError", res.Status)
		return c.found
	}
	switch coding := res.Header.Get("Content-Encoding"); coding {
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			body, err = io.ReadAll(z)
		}
		if err != nil {
			c.say("IOError", err.Error())
			return c.found
		}
	case "":
		c.say("Uncompressed", address)
	default:
		c.say("IOError", coding+", for which nobody asked")
		return c.found
	}
	root, err := new(validation).parse(body)
	if err != nil {
		c.say("SAXError", err.Error())
		return c.found
	}
	mediaType, params, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	types := map[string]string{"rss": "application/rss+xml", "feed": "application/atom+xml", "opml": "text/x-opml"}
	if err != nil || types[root.name] != mediaType {
		c.say("UnexpectedContentType", res.Header.Get("Content-Type"))
	}
	switch charset := params["charset"]; {
	case charset == "" && strings.HasPrefix(mediaType, "text/"):
		c.say("TextXml", mediaType)
	case charset != "" && !strings.EqualFold(charset, "utf-8"):
		c.say("EncodingMismatch", charset)
	}
	if self, told := selfOf(root); told && self != address {
		c.say("SelfDoesntMatchLocation", self)
	}
	return append(c.found, w3c(body, now)...)
}

// selfOf is where a document says that it is.
func selfOf(root *xmlNode) (address string, told bool) {
	links := root.all("link")
	for _, channel := range root.all("channel") {
		links = channel.all("atom:link")
	}
	for _, l := range links {
		if l.attr["rel"] == "self" {
			return l.attr["href"], true
		}
	}
	return "", false
}
