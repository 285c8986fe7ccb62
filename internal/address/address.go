// Package address reads mail addresses: what a person typed in, the three forms of [zonewire.Address] out.
//
// It takes a bare addr-spec (RFC 5322 section 3.4.1) in the dot-atom form that providers give out: no display name, no
// comment, no quotes. The local part is ASCII, since a reader whose provider needs SMTPUTF8 (RFC 6531) cannot be served
// through every relay; the domain may be in any script.
package address

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"zonewire"
	"zonewire/internal/provider"
)

// Lengths in octets, RFC 5321 section 4.5.3.1: the path of 256 has two for its angle brackets.
const (
	maxLocal   = 64
	maxAddress = 254
)

// Parse reads one address. Every failure is a [zonewire.ErrInvalid] whose message can be shown to the person; it does
// not hold the address.
func Parse(s string) (zonewire.Address, error) {
	var none zonewire.Address
	if strings.ContainsAny(s, "\r\n\x00") {
		return none, zonewire.Invalidf("the address holds a line break or a NUL byte")
	}
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return none, zonewire.Invalidf("the address is empty")
	case !utf8.ValidString(s):
		return none, zonewire.Invalidf("the address is not UTF-8")
	case strings.ContainsAny(s, "<>\"(),:;[]\\ \t"):
		return none, zonewire.Invalidf("give the bare address, such as name@example.com, without a name, quotes or spaces")
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return none, zonewire.Invalidf("the address has no @")
	}
	local, domain := s[:at], s[at+1:]
	if err := checkLocal(local); err != nil {
		return none, err
	}
	ascii, err := asciiDomain(domain)
	if err != nil {
		return none, err
	}
	if len(local)+1+len(ascii) > maxAddress {
		return none, zonewire.Invalidf("the address is longer than %d characters", maxAddress)
	}
	return zonewire.Address{
		Given:    s,
		Key:      strings.ToLower(local) + "@" + ascii,
		Wire:     local + "@" + ascii,
		Provider: provider.Group(ascii),
	}, nil
}

// checkLocal holds the dot-atom of RFC 5322 section 3.2.3.
func checkLocal(local string) error {
	if local == "" {
		return zonewire.Invalidf("the address has nothing before the @")
	}
	if len(local) > maxLocal {
		return zonewire.Invalidf("the part before the @ is longer than %d characters", maxLocal)
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" {
			return zonewire.Invalidf("the part before the @ begins or ends with a dot, or has two in a row")
		}
	}
	for i := 0; i < len(local); i++ {
		c := local[i]
		switch {
		case c >= utf8.RuneSelf:
			return zonewire.Invalidf("the part before the @ must be of Latin letters, digits and signs: other scripts are not supported there")
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", c) >= 0:
		default:
			return zonewire.Invalidf("the part before the @ holds %q, which no address has", string(c))
		}
	}
	return nil
}

// asciiDomain is the domain in lower-case ASCII. Chinese input methods type the full stop 。, which IDNA reads as a dot.
func asciiDomain(domain string) (string, error) {
	if domain == "" {
		return "", zonewire.Invalidf("the address has nothing after the @")
	}
	ascii, err := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true), idna.StrictDomainName(true)).ToASCII(domain)
	if err != nil || ascii == "" {
		return "", zonewire.Invalidf("the part after the @ is no domain name")
	}
	if strings.HasSuffix(ascii, ".") {
		return "", zonewire.Invalidf("the domain ends with a dot")
	}
	if !strings.Contains(ascii, ".") && ascii != "localhost" {
		return "", zonewire.Invalidf("the domain has no dot: is its ending missing?")
	}
	return ascii, nil
}
