package poll

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"zonewire/internal/outbound"
)

const maxBody = 10 << 20 // bytes, unpacked

// What is asked for. A server that cannot choose sends what it has.
const (
	acceptFeed = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
	acceptPage = "text/html, application/xhtml+xml, */*;q=0.5"
	acceptAny  = "*/*"
)

// asker makes requests: no cookies, no Referer, nothing in the address that was not there.
type asker struct {
	client *http.Client
	agent  string
}

// request is one thing to ask for.
type request struct {
	url    string
	accept string
	limit  int64 // bytes of the body, unpacked
	// conditions gives the validators to send to an address, which may be one that redirects lead to; nil = none.
	conditions func(address string) (etag, lastModified string)
	// allow is asked about each address that redirects lead to; its error ends the request. nil = all.
	allow func(*url.URL) error
}

// answer is what came.
type answer struct {
	status      int
	header      http.Header
	body        []byte // of a 200 only
	final       string // the address that answered
	hops        []int  // the status of each redirect before it
	conditional bool   // the last request bore a condition
}

func (a answer) permanent() bool {
	for _, status := range a.hops {
		if status != http.StatusMovedPermanently && status != http.StatusPermanentRedirect {
			return false
		}
	}
	return true
}

// charsetOf is that of the Content-Type; empty if it names none.
func charsetOf(h http.Header) string {
	_, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return ""
	}
	return params["charset"]
}

// hash tells one body from another.
func (a answer) hash() string {
	sum := sha256.Sum256(a.body)
	return hex.EncodeToString(sum[:16])
}

// errClosed means that an address may not be asked: by robots.txt, or since it is of another site.
type errClosed struct{ why string }

func (e errClosed) Error() string { return e.why }

// get asks. With an error there may be an answer as well: a body too large or cut off, an address behind it that is refused.
func (a asker) get(ctx context.Context, r request) (ans answer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return ans, fmt.Errorf("make request: %w", err)
	}
	if _, err := outbound.CheckURL(r.url); err != nil {
		return ans, err
	}
	condition := func(req *http.Request) {
		req.Header.Del("If-None-Match")
		req.Header.Del("If-Modified-Since")
		ans.conditional = false
		if r.conditions == nil {
			return
		}
		etag, lastModified := r.conditions(req.URL.String())
		if etag != "" {
			req.Header.Set("If-None-Match", etag)
		}
		if lastModified != "" {
			req.Header.Set("If-Modified-Since", lastModified)
		}
		ans.conditional = etag != "" || lastModified != ""
	}
	req.Header.Set("User-Agent", a.agent)
	req.Header.Set("Accept", r.accept)
	condition(req)
	client := *a.client
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		ans.hops = append(ans.hops, req.Response.StatusCode)
		if err := mayFollow(a.client, req, via); err != nil {
			return err
		}
		if r.allow != nil {
			if err := r.allow(req.URL); err != nil {
				return err
			}
		}
		condition(req)
		return nil
	}
	resp, err := client.Do(req)
	if resp != nil {
		ans.status, ans.header, ans.final = resp.StatusCode, resp.Header, resp.Request.URL.String()
		defer resp.Body.Close()
	}
	if err != nil {
		return ans, err
	}
	if resp.StatusCode == http.StatusOK {
		ans.body, err = outbound.ReadAll(resp.Body, r.limit)
	}
	return ans, err
}

// mayFollow asks the client that was given whether a redirect may be followed.
func mayFollow(client *http.Client, req *http.Request, via []*http.Request) error {
	if client.CheckRedirect == nil {
		return nil
	}
	return client.CheckRedirect(req, via)
}

// judge says what an answer, or the want of one, means.
func judge(a answer, err error, now time.Time) verdict {
	var closed errClosed
	var robots errRobots
	switch {
	case errors.As(err, &closed):
		return verdict{class: blocked, reason: closed.why, closed: true}
	case errors.As(err, &robots):
		return verdict{class: failed, reason: robots.Error()}
	case err != nil:
		return verdict{class: failed, reason: outbound.Explain(err)}
	}
	v := verdict{class: classOf(a.status)}
	if v.class == busy {
		v.retry = retryAfter(a.header, now)
		v.slower = a.status == http.StatusTooManyRequests && v.retry == 0
	}
	switch {
	case a.status == http.StatusNotModified && !a.conditional:
		v.class, v.reason = failed, "it answers 304 to a request without a condition"
	case v.class != usable:
		v.reason = fmt.Sprintf("it answers %d: %s", a.status, meaning(a.status))
	}
	return v
}

const onlyBrowsers = "it lets only browsers in, and zonewire never poses as one; ask the publisher to push to the API, or import files"

// meaning explains a status to an operator, with what to do.
func meaning(status int) string {
	switch class := classOf(status); {
	case class == gone:
		return "the address is gone for good; look for its successor and add that"
	case class == missing:
		return "nothing is at this address; look for the new one and add that"
	case class == blocked:
		return onlyBrowsers
	case status == http.StatusTooManyRequests:
		return "it wants to be asked less often"
	case status == http.StatusServiceUnavailable:
		return "it is overloaded or under repair"
	case status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired:
		return "it asks for a password, and zonewire sends none"
	case status >= 500:
		return "the server is in trouble"
	case status >= 300 && status < 400:
		return "it leads on without saying where to"
	case status >= 200 && status < 300:
		return "that is no document"
	}
	return "it does not take the request"
}

// link finds the first address that the Link headers give for a relation (RFC 8288), absolute.
func link(a answer, rel string) string {
	base, err := url.Parse(a.final)
	if err != nil {
		return ""
	}
	for _, value := range a.header.Values("Link") {
		for _, l := range splitLinks(value) {
			target, params, ok := strings.Cut(strings.TrimSpace(l), ">")
			if !ok || !strings.HasPrefix(target, "<") || !hasRel(params, rel) {
				continue
			}
			if u, err := base.Parse(strings.TrimSpace(target[1:])); err == nil {
				return u.String()
			}
		}
	}
	return ""
}

// splitLinks cuts a Link header at the commas between links: an address and a quoted text may hold commas themselves.
func splitLinks(s string) []string {
	var links []string
	begin, inAddress, inQuotes := 0, false, false
	for i := range len(s) {
		switch c := s[i]; {
		case inQuotes:
			inQuotes = c != '"' || s[i-1] == '\\'
		case inAddress:
			inAddress = c != '>'
		case c == '"':
			inQuotes = true
		case c == '<':
			inAddress = true
		case c == ',':
			links, begin = append(links, s[begin:i]), i+1
		}
	}
	return append(links, s[begin:])
}

func hasRel(params, rel string) bool {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for word := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
			if strings.EqualFold(word, rel) {
				return true
			}
		}
	}
	return false
}
