package main

import (
	"errors"
	"net/http"
	"testing"

	"zonewire"
)

func TestWhereARequestComesFrom(t *testing.T) {
	for _, c := range []struct {
		name      string
		trusted   []string
		peer      string
		forwarded []string
		want      string
	}{
		{"no proxy", nil, "203.0.113.7:1000", nil, "203.0.113.7"},
		{"a stranger's claim", nil, "203.0.113.7:1000", []string{"198.51.100.1"}, "203.0.113.7"},
		{"a stranger's claim where proxies are trusted", []string{"127.0.0.1"}, "203.0.113.7:1000", []string{"198.51.100.1"}, "203.0.113.7"},
		{"our proxy", []string{"127.0.0.1"}, "127.0.0.1:1000", []string{"198.51.100.1"}, "198.51.100.1"},
		{"our proxy, whose client claims another", []string{"127.0.0.1"}, "127.0.0.1:1000", []string{"192.0.2.1, 198.51.100.1"}, "198.51.100.1"},
		{"two of our proxies", []string{"127.0.0.1", "10.0.0.0/8"}, "127.0.0.1:1000", []string{"192.0.2.1, 198.51.100.1, 10.1.2.3"}, "198.51.100.1"},
		{"several headers", []string{"127.0.0.1"}, "127.0.0.1:1000", []string{"192.0.2.1", "198.51.100.1"}, "198.51.100.1"},
		{"our proxy says nothing", []string{"127.0.0.1"}, "127.0.0.1:1000", nil, "127.0.0.1"},
		{"our proxy says nonsense", []string{"127.0.0.1"}, "127.0.0.1:1000", []string{"unknown"}, "127.0.0.1"},
		{"IPv6", []string{"::1"}, "[::1]:1000", []string{"2001:db8::7"}, "2001:db8::7"},
		{"IPv4 written as IPv6", []string{"127.0.0.1"}, "[::ffff:127.0.0.1]:1000", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := clientOf(c.trusted)
			if err != nil {
				t.Fatal(err)
			}
			if got := client(&http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}); got.String() != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if _, err := clientOf([]string{"our-proxy"}); !errors.Is(err, zonewire.ErrInvalid) {
		t.Errorf("a name: %v", err)
	}
}
