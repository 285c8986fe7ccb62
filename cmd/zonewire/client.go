package main

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"zonewire"
)

// clientOf says where a request comes from. A peer that is trusted speaks for others: it is asked for the last address of
// X-Forwarded-For that is no trusted proxy itself, since what stands before that anyone may have written. It fails with
// [zonewire.ErrInvalid] for what is neither an address nor a network.
func clientOf(trusted []string) (func(*http.Request) netip.Addr, error) {
	var proxies []netip.Prefix
	for _, text := range trusted {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, bad := netip.ParseAddr(text)
			if bad != nil {
				return nil, zonewire.Invalidf("%q is no address or network: write it as 127.0.0.1 or 10.0.0.0/8", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		proxies = append(proxies, p)
	}
	trusts := func(a netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return func(r *http.Request) netip.Addr {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		client := addr(host)
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for _, hop := range slices.Backward(hops) {
			next := addr(strings.TrimSpace(hop))
			if !trusts(client) || !next.IsValid() {
				break
			}
			client = next
		}
		return client
	}, nil
}

// addr is the zero address for what is none. An IPv4 address that is written as IPv6 is the same address.
func addr(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
