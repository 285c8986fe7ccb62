package poll

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/temoto/robotstxt"

	"zonewire"
	"zonewire/internal/outbound"
)

const (
	robotsToken = "zonewire"
	maxRobots   = 500 << 10 // bytes; RFC 9309 section 2.5
	robotsFor   = day       // section 2.4
	minGap      = 2 * time.Second
	maxGap      = 30 * time.Second
)

// rules are what a host's robots.txt says to us.
type rules struct{ group *robotstxt.Group } // nil = all is allowed

// readRobots reads a robots.txt, or takes its absence for leave (RFC 9309 section 2.3.1). What cannot be read says nothing.
func readRobots(status int, body string) rules {
	if status != http.StatusOK {
		return rules{}
	}
	data, err := robotstxt.FromString(readable(body))
	if err != nil {
		return rules{}
	}
	return rules{data.FindGroup(robotsToken)}
}

// readable leaves out the lines for which the library would throw away the whole: rules before any User-agent, and a
// Crawl-delay that is no number.
func readable(body string) string {
	var lines []string
	grouped := false
	for line := range strings.FieldsFuncSeq(body, func(r rune) bool { return r == '\r' || r == '\n' }) {
		name, value, _ := strings.Cut(line, ":")
		value, _, _ = strings.Cut(value, "#")
		switch strings.ToLower(strings.Trim(name, " \t\ufeff")) {
		case "user-agent", "useragent":
			grouped = true
		case "allow", "disallow":
			if !grouped {
				continue
			}
		case "crawl-delay", "crawldelay":
			if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); !grouped || err != nil || n < 0 || n > day.Seconds() {
				continue
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// allows reports whether an address may be asked. The library compares bytes, so a rule written in Chinese matches only the
// path as it reads, and one that is percent-encoded only the path as it is sent: both must be allowed.
func (r rules) allows(u *url.URL) bool {
	if r.group == nil {
		return true
	}
	sent, read := u.EscapedPath(), u.Path
	if sent == "" {
		sent, read = "/", "/"
	}
	if u.RawQuery != "" {
		query, err := url.QueryUnescape(u.RawQuery)
		if err != nil {
			query = u.RawQuery
		}
		sent, read = sent+"?"+u.RawQuery, read+"?"+query
	}
	return r.group.Test(sent) && r.group.Test(read)
}

// gap is the time between two requests to the host.
func (r rules) gap() time.Duration {
	if r.group == nil {
		return minGap
	}
	return min(max(r.group.CrawlDelay, minGap), maxGap)
}

// errRobots means that a robots.txt cannot be had now, so that nothing may be asked of its host (RFC 9309 section 2.3.1.4).
type errRobots struct{ why string }

func (e errRobots) Error() string {
	return "its robots.txt cannot be read, so nothing is asked: " + e.why
}

// fetchRobots asks for the robots.txt of the host of u. The error is an [errRobots].
func (a asker) fetchRobots(ctx context.Context, u *url.URL, now time.Time) (zonewire.HostMemory, error) {
	h := zonewire.HostMemory{Host: zonewire.HostOf(u.String()), RobotsAt: now}
	at := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/robots.txt"}
	ans, err := a.get(ctx, request{url: at.String(), accept: acceptAny, limit: maxRobots})
	switch {
	case errors.Is(err, outbound.ErrRedirects): // section 2.3.1.2: as if there were none
		h.Status = http.StatusNotFound
		return h, nil
	case errors.Is(err, outbound.ErrTooLarge): // the rest does not count
		ans.body = ans.body[:bytes.LastIndexByte(ans.body, '\n')+1]
	case err != nil:
		return h, errRobots{outbound.Explain(err)}
	}
	switch h.Status = ans.status; {
	case ans.status == http.StatusOK:
		h.Robots = zonewire.CleanText(string(ans.body))
	case ans.status == http.StatusTooManyRequests, ans.status >= 500, ans.status < 400:
		return h, errRobots{fmt.Sprintf("it answers %d", ans.status)}
	}
	return h, nil
}

// current reports whether a robots.txt that is remembered still holds.
func current(h zonewire.HostMemory, now time.Time) bool {
	return h.Status != 0 && now.Sub(h.RobotsAt) < robotsFor
}
