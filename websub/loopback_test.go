package websub_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"zonewire/websub"
)

// served is a hub that serves and runs on loopback, over real connections.
type served struct {
	*world
	url string
}

func serve(t *testing.T, o websub.Options) *served {
	s := &served{world: newWorld(t)}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	s.url = server.URL
	o.HubURL, o.BaseURL, o.Log = server.URL+"/hub", server.URL, slog.New(slog.NewTextHandler(s.log, nil))
	s.hub = websub.New(s.store, s.feeds, o)
	handler = s.hub
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.hub.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return s
}

// post sends the hub a form and gives the status.
func (s *served) post(t *testing.T, form url.Values) int {
	t.Helper()
	resp, err := http.PostForm(s.url+"/hub", form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == 202 && len(body) > 0 {
		t.Errorf("answers %d %q, %v", resp.StatusCode, body, err)
	}
	return resp.StatusCode
}

func TestOverRealConnections(t *testing.T) {
	s := serve(t, websub.Options{AllowPrivate: true})
	asked, told := make(chan url.Values, 10), make(chan call, 10)
	reader := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodGet {
			asked <- r.URL.Query()
			willing(w, r)
			return
		}
		told <- call{header: r.Header, body: string(body)}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusAccepted)
	}))
	defer reader.Close()
	finished := s.store.on("FinishHubRequest")
	request := form("", "hub.callback", reader.URL+"/cb?id=7")
	if status := s.post(t, request); status != 202 {
		t.Fatalf("asking answers %d", status)
	}
	if q := <-asked; q.Get("hub.topic") != atomURL || q.Get("id") != "7" {
		t.Errorf("asked with %v", q)
	}
	<-finished
	s.store.record(s.atom, s.feeds.write(s.atom.Feed, "投产"), nil, time.Now())
	s.hub.Wake()
	c := <-told
	if c.body != "<feed>投产</feed>" || c.header.Get("X-Hub-Signature") != signature(secret, c.body) || c.header.Get("Content-Length") != fmt.Sprint(len(c.body)) {
		t.Errorf("told %+v", c)
	}
	if status := s.post(t, form("", "hub.callback", s.url+"/zones")); status != 400 {
		t.Errorf("a callback at our own address is answered %d", status)
	}
}

// resolver answers every question for an IPv4 address with 127.0.0.1, and others with nothing.
func resolver(t *testing.T) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		t.Cleanup(func() {
			theirs.Close()
			<-done
		})
		go func() {
			defer close(done)
			for answerOne(theirs) == nil {
			}
		}()
		return ours, nil
	}}
}

// answerOne answers one question as a name server does over TCP (RFC 1035 section 4.2.2).
func answerOne(conn net.Conn) error {
	var size uint16
	if err := binary.Read(conn, binary.BigEndian, &size); err != nil {
		return err
	}
	packed := make([]byte, size)
	if _, err := io.ReadFull(conn, packed); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(packed); err != nil {
		return err
	}
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}
	m.Additionals = nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	packed, err := m.AppendPack(make([]byte, 2))
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint16(packed, uint16(len(packed)-2))
	_, err = conn.Write(packed)
	return err
}

func TestAPrivateAddressIsNotReachedWhateverItsName(t *testing.T) {
	reached := make(chan string, 10)
	reader := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached <- r.Host
		willing(w, r)
	}))
	defer reader.Close()
	port := reader.Listener.Addr().(*net.TCPAddr).Port
	for _, c := range []struct {
		name, callback string
	}{
		{"an address", fmt.Sprintf("http://127.0.0.1:%d%s", port, path)},
		{"an address of IPv6", fmt.Sprintf("http://[::1]:%d%s", port, path)},
		{"a name that resolves to one", fmt.Sprintf("http://rebound.example:%d%s", port, path)},
	} {
		s := serve(t, websub.Options{Resolver: resolver(t)})
		finished := s.store.on("FinishHubRequest") // at once: it is not tried again
		if status := s.post(t, form("", "hub.callback", c.callback)); status != 202 {
			t.Fatalf("%s: asking answers %d", c.name, status)
		}
		<-finished
		if len(reached) > 0 || s.store.waiting() > 0 || len(s.store.all()) > 0 {
			t.Errorf("%s: was reached", c.name)
		}
	}
	s := serve(t, websub.Options{AllowPrivate: true, Resolver: resolver(t)})
	s.post(t, form("", "hub.callback", fmt.Sprintf("http://rebound.example:%d%s", port, path)))
	if host := <-reached; !strings.HasPrefix(host, "rebound.example:") {
		t.Errorf("reached as %s", host)
	}
}

// Confirmed while its name led to a public server, it is led elsewhere now.
func TestASubscriberThatMovesToAPrivateAddressIsToldNothing(t *testing.T) {
	reached := make(chan string, 10)
	reader := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.Host }))
	defer reader.Close()
	s := serve(t, websub.Options{Resolver: resolver(t)})
	callback := fmt.Sprintf("http://rebound.example:%d%s", reader.Listener.Addr().(*net.TCPAddr).Port, path)
	putOff := s.store.on("RetryHubDelivery")
	s.store.confirm(s.atom, callback)
	s.store.record(s.atom, s.feeds.write(s.atom.Feed, "投产"), nil, time.Now())
	s.hub.Wake()
	<-putOff
	if len(reached) > 0 {
		t.Error("it was reached")
	}
	if log := s.log.String(); !strings.Contains(log, "websub.allow_private") || strings.Contains(log, path) {
		t.Errorf("log:\n%s", log)
	}
}

// A hub elsewhere is the operator's word.
func TestAHubAtAPrivateAddressIsTold(t *testing.T) {
	told := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		told <- r.PostFormValue("hub.url")
	}))
	defer other.Close()
	s := serve(t, websub.Options{DisableHub: true})
	s.store.record(s.atom, s.feeds.write(s.atom.Feed, "投产"), []string{other.URL}, time.Now())
	s.hub.Wake()
	if got := <-told; got != atomURL {
		t.Errorf("told of %q", got)
	}
}
