// Package outbound makes requests to addresses that strangers have named: it reaches public servers only, gives up in
// time, and takes in no more than it was told to.
//
// The policy:
//
//   - An address is judged when it is dialled, after its name is resolved, and at each redirect: a name that resolves to
//     somewhere else the second time gains nothing. Private, loopback, link-local, carrier-grade, metadata, translated
//     and multicast addresses are refused (IANA special-purpose registries); ports are 80, 443 and 1024 upwards.
//   - http and https only, no name or password in an address, at most five redirects.
//   - No proxy, since it would dial for us unjudged; no cookies; no Referer.
//   - TLS is always verified. [Explain] says in one line what is wrong with a server's.
//   - Ten seconds to connect, twenty for the whole; headers of 64 KiB; a body is counted as it is unpacked, see [ReadAll].
package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

const (
	dialTimeout  = 10 * time.Second
	wholeTimeout = 20 * time.Second
	maxRedirects = 5
	maxHeader    = 64 << 10 // bytes
)

var (
	// ErrRefused means that an address may not be asked; the message says why.
	ErrRefused = errors.New("refused")
	// ErrTooLarge means that a body is longer than it may be.
	ErrTooLarge = errors.New("too large")
	// ErrRedirects means that an answer led on more than five times.
	ErrRedirects = errors.New("more than 5 redirects")
)

// refusal is an [ErrRefused] whose message is all that is printed.
type refusal struct{ msg string }

func (r *refusal) Error() string { return r.msg }
func (r *refusal) Unwrap() error { return ErrRefused }

func refusef(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// Options of a client; the zero value is the strict one.
type Options struct {
	AllowPrivate bool          // addresses are not judged; schemes, ports and redirects are
	AllowedBy    string        // the setting that AllowPrivate is, for the words of a refusal; empty = ingest.allow_private
	Resolver     *net.Resolver // nil = the system's
}

// Client makes a client that holds to the policy. Requests may come from many goroutines.
func Client(o Options) *http.Client {
	guard := ssrf.New(ssrf.WithAnyPort())
	if o.AllowedBy == "" {
		o.AllowedBy = "ingest.allow_private"
	}
	dialer := &net.Dialer{Timeout: dialTimeout, Resolver: o.Resolver, Control: func(network, address string, _ syscall.RawConn) error {
		return check(guard, o, network, address)
	}}
	return &http.Client{
		Timeout:       wholeTimeout,
		CheckRedirect: checkRedirect,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    dialTimeout,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        30 * time.Second,
		},
	}
}

// check judges an address that is about to be dialled.
func check(guard *ssrf.Guardian, o Options, network, address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return refusef("%s is no address that may be asked", address)
	}
	if !portAllowed(int(to.Port())) {
		return refusef("port %d may not be asked: only 80, 443 and from 1024 upwards", to.Port())
	}
	if !o.AllowPrivate && guard.Safe(network, address, nil) != nil {
		return refusef("it is at %s, which is no public address (%s would allow it)", to.Addr(), o.AllowedBy)
	}
	return nil
}

func portAllowed(port int) bool { return port == 80 || port == 443 || port >= 1024 && port <= 65535 }

// checkRedirect is what [http.Client] asks before it follows an answer elsewhere.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return ErrRedirects
	}
	req.Header.Del("Referer") // the client has just added it
	_, err := CheckURL(req.URL.String())
	return err
}

// CheckURL reads an address and says why it may not be asked, as an [ErrRefused]. What its name resolves to is judged
// later, when it is dialled.
func CheckURL(raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil:
		return nil, refusef("this is no address")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, refusef("%q is neither http nor https", u.Scheme)
	case u.User != nil:
		return nil, refusef("the address holds a name or a password")
	case u.Hostname() == "":
		return nil, refusef("the address names no host")
	case strings.Contains(u.Hostname(), "%"):
		return nil, refusef("the address names an interface of this machine")
	case !isHost(u.Hostname()):
		return nil, refusef("%q is neither a name nor an address as it is usually written", u.Hostname())
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || !portAllowed(n) {
			return nil, refusef("port %s may not be asked: only 80, 443 and from 1024 upwards", port)
		}
	}
	return u, nil
}

// isHost refuses addresses in disguise: 2130706433, 0177.0.0.1 and 0x7f.1 are 127.0.0.1 to some resolvers. A name that ends
// in a number is no name (WHATWG URL, section 3.5).
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.TrimSuffix(host, ".")
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") != ""
	}
	return strings.Trim(last, "0123456789") != ""
}

// ReadAll reads up to limit bytes. [ErrTooLarge] if there are more: what was read comes along with it.
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(b)) > limit {
		return b[:limit], fmt.Errorf("more than %d bytes: %w", limit, ErrTooLarge)
	}
	return b, err
}

// Timeout reports whether err is of a server that took too long.
func Timeout(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}
