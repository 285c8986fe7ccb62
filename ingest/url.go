package ingest

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"zonewire"
)

// CanonicalURL is the form in which two addresses of one article are equal: scheme https (http and https are one place
// here), host lower-case and ASCII, no default port, no dots in the path, one way of percent-encoding, and without
// fragment, session ids and the marks that sharing leaves (utm_*, spm, from, isappinstalled). Parameters keep their
// order. It is for comparing only, never a link.
//
// It answers false for what cannot identify an article: no http or https, user-info, no host, or a site's front page.
func CanonicalURL(raw string) (canon string, ok bool) {
	u, ok := parseURL(raw)
	if !ok {
		return "", false
	}
	u.Scheme = "https"
	u.RawQuery = cleanQuery(u.RawQuery)
	if i := strings.Index(strings.ToLower(u.RawPath), ";jsessionid="); i >= 0 {
		setPath(u, u.RawPath[:i])
	}
	// A fragment names a part of a page, except where a script routes by it: then it is the only thing that tells
	// one article from another.
	fragment := u.EscapedFragment()
	if !strings.HasPrefix(fragment, "/") && !strings.HasPrefix(fragment, "%21") && !strings.HasPrefix(fragment, "!") {
		fragment = ""
	}
	if u.Host == "mp.weixin.qq.com" {
		weChat(u)
	}
	if (u.Path == "" || u.Path == "/") && u.RawQuery == "" && fragment == "" {
		return "", false
	}
	canon = "https://" + u.Host + u.RawPath
	if u.RawQuery != "" {
		canon += "?" + u.RawQuery
	}
	if fragment != "" {
		canon += "#" + fragment
	}
	return canon, true
}

// parseURL reads an http or https address as a browser would: spaces trimmed, stray characters percent-encoded, dots
// resolved, the host in lower-case ASCII without a default port. RawPath and RawQuery hold the text to write.
func parseURL(raw string) (*url.URL, bool) {
	raw = trimSpace(zonewire.CleanText(raw))
	if raw == "" || utf8.RuneCountInString(raw) > maxURL {
		return nil, false
	}
	u, err := url.Parse(percentEncode(raw))
	if err != nil {
		return nil, false
	}
	return finishURL(u)
}

// resolveURL makes ref absolute against base, which may be nil. It answers false for what is no http or https address
// then.
func resolveURL(base *url.URL, ref string) (string, bool) {
	ref = trimSpace(zonewire.CleanText(ref))
	if ref == "" || utf8.RuneCountInString(ref) > maxURL {
		return "", false
	}
	u, err := url.Parse(percentEncode(ref))
	if err != nil {
		return "", false
	}
	if base != nil {
		u = base.ResolveReference(u)
	}
	u, ok := finishURL(u)
	if !ok {
		return "", false
	}
	s := u.Scheme + "://" + u.Host + u.RawPath
	if u.RawQuery != "" {
		s += "?" + u.RawQuery
	}
	if u.Fragment != "" {
		s += "#" + u.EscapedFragment()
	}
	return s, len(s) <= 4*maxURL
}

func finishURL(u *url.URL) (*url.URL, bool) {
	u.Scheme = strings.ToLower(u.Scheme)
	if u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Opaque != "" {
		return nil, false
	}
	host, ok := asciiHost(u.Hostname())
	if !ok {
		return nil, false
	}
	port := u.Port()
	if port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
		port = ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	fragment, rawFragment := u.Fragment, u.RawFragment
	u = (&url.URL{Scheme: u.Scheme, Host: host, Path: "/"}).ResolveReference(&url.URL{Path: u.Path, RawPath: u.EscapedPath(), RawQuery: u.RawQuery})
	u.Fragment, u.RawFragment = fragment, rawFragment
	setPath(u, percentEncode(u.EscapedPath()))
	if u.RawPath == "" {
		setPath(u, "/")
	}
	u.RawQuery = percentEncode(u.RawQuery)
	return u, true
}

func setPath(u *url.URL, raw string) {
	u.RawPath = raw
	u.Path = raw
	if p, err := url.PathUnescape(raw); err == nil {
		u.Path = p
	}
}

func asciiHost(host string) (string, bool) {
	if strings.HasPrefix(host, ".") || strings.Contains(host, "..") {
		return "", false
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "" || strings.ContainsAny(host, "%<>\"'` \\^{}|") {
		return "", false
	}
	for i := 0; i < len(host); i++ {
		if host[i] >= utf8.RuneSelf {
			ascii, err := idna.Lookup.ToASCII(host)
			return ascii, err == nil && ascii != ""
		}
	}
	return host, true
}

// percentEncode gives text one spelling: unreserved characters plain, what may not stand in an address encoded, hex
// digits upper-case, and a percent sign that begins nothing as %25 (RFC 3986 sections 2.1 to 2.4).
func percentEncode(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		encode := c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}'", c) >= 0
		if c == '%' {
			if i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0 {
				c = byte(unhex(s[i+1])<<4 | unhex(s[i+2]))
				i += 2
				encode = !unreserved(c)
			} else {
				encode = true
			}
		}
		if encode {
			out.WriteByte('%')
			out.WriteByte(hexDigits[c>>4])
			out.WriteByte(hexDigits[c&15])
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// cleanQuery drops the parameters that name a reader or a way, not a page.
func cleanQuery(raw string) string {
	var kept []string
	for p := range strings.SplitSeq(raw, "&") {
		key, _, _ := strings.Cut(p, "=")
		switch key = strings.ToLower(key); key {
		case "", "spm", "from", "isappinstalled", "jsessionid", "phpsessid":
			continue
		}
		if !strings.HasPrefix(key, "utm_") {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "&")
}

// weChat keeps what identifies an article of mp.weixin.qq.com: /s/<id>, or /s with four parameters.
func weChat(u *url.URL) {
	if strings.HasPrefix(u.Path, "/s/") && len(u.Path) > len("/s/") {
		u.RawQuery = ""
		return
	}
	if u.Path != "/s" {
		return
	}
	given := u.Query()
	var kept []string
	for _, key := range []string{"__biz", "mid", "idx", "sn"} {
		if v := given.Get(key); v != "" {
			kept = append(kept, key+"="+url.QueryEscape(v))
		}
	}
	u.RawQuery = strings.Join(kept, "&")
}
