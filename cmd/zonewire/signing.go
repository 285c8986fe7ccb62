package main

import (
	"fmt"
	"net/mail"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"zonewire"
	"zonewire/internal/address"
	"zonewire/outbox"
)

// domainOf is the domain of a mail address in ASCII, lower case.
func domainOf(addr string) string { return asciiName(addr[strings.LastIndexByte(addr, '@')+1:]) }

func localOf(addr string) string { return addr[:strings.LastIndexByte(addr, '@')] }

// asciiName is a host or domain name in ASCII, lower case. One that has no such form is left to who looks it up.
func asciiName(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if ascii, err := idna.Lookup.ToASCII(name); err == nil {
		return ascii
	}
	return name
}

// aligned reports whether two domains belong to one organisation, as relaxed alignment of DMARC wants (RFC 7489 section
// 3.1).
func aligned(a, b string) bool { return organisation(a) == organisation(b) }

func organisation(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return domain // such as localhost
	}
	return org
}

// dkimDomain is the domain that signs: that of mail.from if none is set.
func (s settings) dkimDomain() string {
	if d := s.cfg.Mail.DKIMDomain; d != "" {
		return asciiName(d)
	}
	from, err := mail.ParseAddress(s.cfg.Mail.From)
	if err != nil {
		return "" // a problem of mail.from
	}
	return domainOf(from.Address)
}

// signer signs mail with the keys of the configuration; nil if it names none.
func (s settings) signer() (*outbox.Signer, error) {
	key, err := s.secretText("mail.dkim_key")
	if err != nil || key == "" {
		return nil, err
	}
	second, err := s.secretText("mail.dkim_ed25519_key")
	if err != nil {
		return nil, err
	}
	m := s.cfg.Mail
	signer, err := outbox.NewSigner(outbox.SignerConfig{
		Domain: s.dkimDomain(), Selector: m.DKIMSelector, Key: key, Ed25519Selector: m.DKIMEd25519Selector, Ed25519Key: second,
	})
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return signer, nil
}

// signingProblems tells what of the settings of DKIM does not fit together.
func (s settings) signingProblems(bad func(key, format string, args ...any)) {
	m := s.cfg.Mail
	given := func(key string) bool {
		text, set := lookup(s.environ, envName(key))
		path, _ := s.values[key+"_file"].(string)
		return text != "" || !set && path != ""
	}
	pair := func(key, selectorKey, selector string) {
		switch {
		case given(key) && selector == "":
			bad(selectorKey, "it is empty, and %s_file is set: name the record that holds the public half, such as zw1", key)
		case selector != "" && !given(key):
			bad(key+"_file", "it is empty, and %s is set: name the file with the private key", selectorKey)
		}
	}
	pair("mail.dkim_key", "mail.dkim_selector", m.DKIMSelector)
	pair("mail.dkim_ed25519_key", "mail.dkim_ed25519_selector", m.DKIMEd25519Selector)
	if given("mail.dkim_ed25519_key") && !given("mail.dkim_key") {
		bad("mail.dkim_key_file", "it is empty, and mail.dkim_ed25519_key_file is set: not every receiver verifies Ed25519, so give an RSA key too")
	}
	if m.DKIMSelector != "" && m.DKIMSelector == m.DKIMEd25519Selector {
		bad("mail.dkim_ed25519_selector", "%q is the RSA key's as well: each key needs its own", m.DKIMSelector)
	}
	if from, err := mail.ParseAddress(m.From); err == nil && !aligned(s.dkimDomain(), domainOf(from.Address)) {
		bad("mail.dkim_domain", "%q is not of the organisation of mail.from, %s: receivers would not count the signature for DMARC",
			m.DKIMDomain, organisation(domainOf(from.Address)))
	}
}

// composer makes each reader's copy as the configuration says.
func (a *app) composer(secret zonewire.Secret) (outbox.Composer, error) {
	c := outbox.Composer{Secret: secret, Address: address.Parse, BounceDomain: asciiName(a.cfg.Mail.BounceDomain)}
	signer, err := a.signer()
	if signer != nil {
		c.Sign = signer.Sign
	}
	return c, err
}
