package outbound_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"zonewire/internal/outbound"
)

func TestCheckURL(t *testing.T) {
	for _, c := range []struct {
		name, url string
		refused   string // part of the reason, empty if it may be asked
	}{
		{"https", "https://portal.example/col/index.html?a=1", ""},
		{"http, with spaces around", " http://portal.example ", ""},
		{"a high port", "http://portal.example:8080/", ""},
		{"port 443 said aloud", "https://portal.example:443/", ""},
		{"a name that is not ASCII", "https://开发区.example/", ""},
		{"an IPv4 address", "http://192.0.2.1/", ""},
		{"an IPv6 address", "http://[2001:db8::1]/", ""},
		{"a name that ends in letters after digits", "http://a.1a/", ""},
		{"another scheme", "ftp://portal.example/", "neither http nor https"},
		{"a file", "file:///etc/passwd", "neither http nor https"},
		{"gopher", "gopher://portal.example/", "neither http nor https"},
		{"no scheme", "portal.example/feed", "neither http nor https"},
		{"a name and a password", "http://a:b@portal.example/", "a name or a password"},
		{"a name alone", "http://a@portal.example/", "a name or a password"},
		{"no host", "http:///feed", "names no host"},
		{"opaque", "http:portal.example", "names no host"},
		{"port 22", "http://portal.example:22/", "port 22"},
		{"port 0", "http://portal.example:0/", "port 0"},
		{"port 1023", "http://portal.example:1023/", "port 1023"},
		{"a port past the last", "http://portal.example:65536/", "port 65536"},
		{"decimal", "http://2130706433/", "as it is usually written"},
		{"octal", "http://0177.0.0.1/", "as it is usually written"},
		{"hexadecimal", "http://0x7f000001/", "as it is usually written"},
		{"hexadecimal parts", "http://127.0.0.0x1/", "as it is usually written"},
		{"an IPv4 address cut short", "http://127.1/", "as it is usually written"},
		{"a number with a dot behind", "http://2130706433./", "as it is usually written"},
		{"an interface", "http://[fe80::1%25eth0]/", "an interface"},
		{"rubbish", "http://[::1", "no address"},
		{"control characters", "http://portal.example/\x00", "no address"},
	} {
		_, err := outbound.CheckURL(c.url)
		switch {
		case c.refused == "" && err != nil:
			t.Errorf("%s: %q refused: %v", c.name, c.url, err)
		case c.refused != "" && (!errors.Is(err, outbound.ErrRefused) || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%s: %q gives %v, want a refusal for %q", c.name, c.url, err, c.refused)
		}
	}
}

func TestNoPrivateAddressIsDialled(t *testing.T) {
	client := outbound.Client(outbound.Options{})
	for _, host := range []string{
		"127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
		"192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255",
		"[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[::127.0.0.1]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]",
		"[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:db8::1]", "[ff02::1]",
	} {
		resp, err := client.Get("http://" + host + ":8080/")
		if err == nil {
			resp.Body.Close()
		}
		if !errors.Is(err, outbound.ErrRefused) || !strings.Contains(outbound.Explain(err), "no public address") {
			t.Errorf("%s: %v, want a refusal", host, err)
		}
	}
}

// nameServer answers every question for an IPv4 address with the given one, and for an IPv6 address with none.
func nameServer(t *testing.T, answer [4]byte) *net.Resolver {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m = dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
			if q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: answer},
				}}
			}
			if b, err := m.Pack(); err == nil {
				conn.WriteTo(b, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func TestANameThatResolvesToAPrivateAddressIsRefused(t *testing.T) {
	asked := false
	origin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer origin.Close()
	port := origin.Listener.Addr().(*net.TCPAddr).Port
	url := fmt.Sprintf("http://rebound.example:%d/", port)

	strict := outbound.Client(outbound.Options{Resolver: nameServer(t, [4]byte{127, 0, 0, 1})})
	resp, err := strict.Get(url)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, outbound.ErrRefused) || asked || !strings.Contains(outbound.Explain(err), "(ingest.allow_private would allow it)") {
		t.Errorf("%v, asked %v; want a refusal before anything is asked", err, asked)
	}
	lax := outbound.Client(outbound.Options{AllowPrivate: true, Resolver: nameServer(t, [4]byte{127, 0, 0, 1})})
	resp, err = lax.Get(url)
	if err != nil || !asked {
		t.Fatalf("%v, asked %v; AllowPrivate means to ask", err, asked)
	}
	resp.Body.Close()
}

// get asks with a client that may talk to loopback, and reads the body.
func get(t *testing.T, url string, limit int64) ([]byte, error) {
	t.Helper()
	resp, err := outbound.Client(outbound.Options{AllowPrivate: true}).Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return outbound.ReadAll(resp.Body, limit)
}

func TestRedirectsAreJudged(t *testing.T) {
	var referers []string
	mux := http.NewServeMux()
	origin := httptest.NewServer(mux)
	defer origin.Close()
	mux.HandleFunc("/to", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("u"))
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/hop/{n}", func(w http.ResponseWriter, r *http.Request) {
		referers = append(referers, r.Header.Values("Referer")...)
		referers = append(referers, r.Header.Values("Cookie")...)
		n := len(r.PathValue("n"))
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b", Path: "/"})
		if n > 1 {
			http.Redirect(w, r, "/hop/"+strings.Repeat("x", n-1), http.StatusFound)
		}
	})
	for _, c := range []struct {
		name, to string
		want     error // nil: it is followed
	}{
		{"five are followed", "/hop/xxxxx", nil},
		{"six are not", "/hop/xxxxxx", outbound.ErrRedirects},
		{"to a file", "file:///etc/passwd", outbound.ErrRefused},
		{"to gopher", "gopher://x.example/", outbound.ErrRefused},
		{"to an address with a password", "http://a:b@x.example/", outbound.ErrRefused},
		{"to port 25", "http://x.example:25/", outbound.ErrRefused},
		{"to an address in disguise", "http://2130706433/", outbound.ErrRefused},
	} {
		if _, err := get(t, origin.URL+"/to?u="+c.to, 100); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if len(referers) != 0 {
		t.Errorf("Referer or Cookie sent: %q", referers)
	}
}

// A redirect from a public host to a private one is judged when it is dialled.
func TestARedirectToAPrivateAddressIsRefused(t *testing.T) {
	asked := false
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer inside.Close()
	client := outbound.Client(outbound.Options{})
	strict := client.Transport
	client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "public.example" {
			return strict.RoundTrip(r)
		}
		return &http.Response{StatusCode: 302, Header: http.Header{"Location": {inside.URL}}, Body: http.NoBody, Request: r}, nil
	})
	resp, err := client.Get("http://public.example/")
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, outbound.ErrRefused) || asked {
		t.Errorf("%v, asked %v; want a refusal", err, asked)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestASlowServerIsGivenUpAfterTwentySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := outbound.Client(outbound.Options{})
		client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			body, drip := io.Pipe()
			go func() {
				defer drip.Close()
				for r.Context().Err() == nil {
					time.Sleep(time.Second)
					if _, err := drip.Write([]byte("x")); err != nil {
						return
					}
				}
				drip.CloseWithError(r.Context().Err())
			}()
			return &http.Response{StatusCode: 200, Body: body, Request: r}, nil
		})
		begun := time.Now()
		resp, err := client.Get("http://drip.example/")
		if err != nil {
			t.Fatal(err)
		}
		_, err = outbound.ReadAll(resp.Body, 1<<20)
		resp.Body.Close()
		if took := time.Since(begun); took < 20*time.Second || took > 22*time.Second || outbound.Explain(err) != "it takes too long to answer" {
			t.Errorf("given up after %v: %v", took, err)
		}
		synctest.Wait()
	})
}

func TestABodyIsCountedAsItIsUnpacked(t *testing.T) {
	const limit = 64 << 10
	packed := func(n int) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(make([]byte, n))
		z.Close()
		return b.Bytes()
	}
	fits, bomb := packed(limit), packed(200*limit)
	if len(bomb) > limit {
		t.Fatalf("the bomb has %d bytes packed", len(bomb))
	}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("Accept-Encoding %q", r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		switch r.URL.Path {
		case "/fits":
			w.Write(fits)
		case "/bomb":
			w.Write(bomb)
		default:
			w.Write([]byte("this is not gzip at all"))
		}
	}))
	defer origin.Close()
	if b, err := get(t, origin.URL+"/fits", limit); err != nil || len(b) != limit {
		t.Errorf("a body of the limit: %d bytes, %v", len(b), err)
	}
	if b, err := get(t, origin.URL+"/bomb", limit); !errors.Is(err, outbound.ErrTooLarge) || len(b) != limit {
		t.Errorf("a bomb: %d bytes, %v", len(b), err)
	}
	if _, err := get(t, origin.URL+"/broken", limit); outbound.Explain(err) != "its answer is packed wrongly" {
		t.Errorf("no gzip: %v", err)
	}
}

// raw serves what a broken or hostile server writes, whatever is asked.
func raw(t *testing.T, write func(w io.Writer)) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return // closed
			}
			c.Read(make([]byte, 4096))
			write(c)
			c.Close()
		}
	}()
	return "http://" + ln.Addr().String() + "/"
}

func TestWhatIsWrongIsSaidInOneLine(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for _, c := range []struct{ name, url, want string }{
		{"nobody listens", "http://" + closed.Addr().String() + "/", "it refuses connections"},
		{"endless headers", raw(t, func(w io.Writer) {
			io.WriteString(w, "HTTP/1.1 200 OK\r\n")
			for range 1 << 20 {
				if _, err := io.WriteString(w, "X-More: and more\r\n"); err != nil {
					return
				}
			}
		}), "its headers are too large"},
		{"no HTTP", raw(t, func(w io.Writer) { io.WriteString(w, "220 mail.example ESMTP\r\n") }), "it does not speak HTTP"},
		{"a body cut short", raw(t, func(w io.Writer) { io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") }), "it broke the connection off"},
		{"a certificate of nobody's", tls.URL, "its certificate cannot be verified"},
		{"TLS on a plain port", strings.Replace(plain.URL, "http", "https", 1), "it does not speak TLS on this port"},
		{"an old TLS", "https" + strings.TrimPrefix(raw(t, func(w io.Writer) { w.Write([]byte{21, 3, 1, 0, 2, 2, 40}) }), "http"), "its TLS is too old"},
	} {
		_, err := get(t, c.url, 100)
		if got := outbound.Explain(err); !strings.HasPrefix(got, c.want) || strings.ContainsAny(got, "\r\n") || strings.Contains(got, c.url) {
			t.Errorf("%s: %q (of %v), want %q", c.name, got, err, c.want)
		}
	}
	if got := outbound.Explain(&net.DNSError{IsNotFound: true}); got != "its host name does not exist" {
		t.Errorf("no such name: %q", got)
	}
}
