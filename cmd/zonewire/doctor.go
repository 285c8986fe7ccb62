package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zonewire/outbox"
)

// dnsRecord is a DNS record to publish.
type dnsRecord struct {
	Name  string `json:"name"` // without the dot at its end
	Type  string `json:"type"`
	Value string `json:"value"` // of a TXT record in one piece
}

// finding is what doctor found about one thing.
type finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy"` // empty if nothing is wrong
}

// newDoctor is "zonewire doctor".
func newDoctor(a *app) *cobra.Command {
	var offline bool
	var resolver string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Print the DNS records that mail needs, and check them",
		Long: `Print the DNS records that receivers of the mail look for, as the configuration wants
them, and check what is published. docs/mail.md says what each is for. A check that
fails says what to do, and the command exits 1.`,
		Example: `  zonewire doctor
  zonewire doctor --resolver 1.1.1.1
  zonewire doctor --offline -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			signer, err := a.signer()
			if err != nil {
				return err
			}
			p, err := a.mailPlan(signer)
			if err != nil {
				return err
			}
			checks := []finding{}
			if !offline {
				dns, err := newDNS(resolver)
				if err != nil {
					return usagef(cmd, "--resolver: %w", err)
				}
				checks = p.checks(cmd.Context(), dns)
			}
			return a.out.diagnosis(p.records, checks)
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "only print the records, ask nobody")
	cmd.Flags().StringVar(&resolver, "resolver", "", "the DNS server to ask, as `ADDR` or ADDR:PORT (default the system's)")
	return cmd
}

// diagnosis prints records and checks. Its error is [errReported] if a check failed.
func (p printer) diagnosis(records []dnsRecord, checks []finding) error {
	text := ""
	if !p.json {
		rows := [][]string{{"NAME", "TYPE", "VALUE"}}
		for _, r := range records {
			value := r.Value
			if r.Type == "TXT" {
				value = chunked(value)
			}
			rows = append(rows, []string{r.Name, r.Type, value})
		}
		text = table(rows)
	}
	healthy := true
	for i, c := range checks {
		healthy = healthy && c.OK
		if i == 0 {
			text += "\n"
		}
		verdict := "ok  "
		if !c.OK {
			verdict = "FAIL"
		}
		text += oneLine(fmt.Sprintf("%s  %s: %s", verdict, c.Name, c.Detail)) + "\n"
		if c.Remedy != "" {
			text += "      " + oneLine(c.Remedy) + "\n"
		}
	}
	var err error
	if p.json {
		err = p.object(map[string]any{"records": records, "checks": checks})
	} else {
		err = p.write(text)
	}
	if err == nil && !healthy {
		return errReported
	}
	return err
}

// chunked is a TXT value as a zone file wants one that is longer than a string of DNS may be (RFC 1035 section 3.3.14).
func chunked(value string) string {
	const most = 255
	if len(value) <= most {
		return value
	}
	var parts []string
	for part := range slices.Chunk([]byte(value), most) {
		parts = append(parts, `"`+string(part)+`"`)
	}
	return strings.Join(parts, " ")
}

// mailPlan is what the configuration says about who sends mail, and the records that follow from it.
type mailPlan struct {
	from    string // the domain of mail.from
	sender  string // the domain of the envelope's sender
	host    string // the name of this machine
	bounces bool   // returned mail is received here
	signs   bool
	records []dnsRecord
}

// mailPlan reads the configuration. signer may be nil.
func (s settings) mailPlan(signer *outbox.Signer) (mailPlan, error) {
	from, err := mail.ParseAddress(s.cfg.Mail.From)
	if err != nil {
		return mailPlan{}, fmt.Errorf("mail.from: %w", err)
	}
	contact := from
	if s.cfg.Mail.ReplyTo != "" {
		if contact, err = mail.ParseAddress(s.cfg.Mail.ReplyTo); err != nil {
			return mailPlan{}, fmt.Errorf("mail.reply_to: %w", err)
		}
	}
	base, err := url.Parse(s.cfg.HTTP.BaseURL)
	if err != nil {
		return mailPlan{}, fmt.Errorf("http.base_url: %w", err)
	}
	p := mailPlan{
		from:    domainOf(from.Address),
		host:    asciiName(cmp.Or(s.cfg.Mail.HELO, base.Hostname())),
		bounces: s.cfg.Mail.BounceDomain != "",
		signs:   signer != nil,
	}
	p.sender = cmp.Or(asciiName(s.cfg.Mail.BounceDomain), p.from)
	p.add(p.sender, "TXT", spf(s.cfg.Mail.Host, p.host))
	if signer != nil {
		keys, err := signer.Records()
		if err != nil {
			return p, err
		}
		for _, k := range keys {
			p.add(k.Name, "TXT", k.Value)
		}
	}
	p.add("_dmarc."+p.from, "TXT", "v=DMARC1; p=none; rua=mailto:"+localOf(contact.Address)+"@"+domainOf(contact.Address))
	if p.bounces {
		p.add(p.sender, "MX", "10 "+p.host+".")
	}
	return p, nil
}

func (p *mailPlan) add(name, kind, value string) {
	p.records = append(p.records, dnsRecord{name, kind, value})
}

// spf allows the relay to send, by its name or address. A relay on this machine sends from this machine's; whether a
// provider's relay sends from others as well, only the provider knows.
func spf(relay, host string) string {
	relay = strings.Trim(relay, "[]")
	mechanism := "a:" + asciiName(relay)
	if ip, err := netip.ParseAddr(relay); err == nil && !ip.IsLoopback() {
		mechanism = "ip4:" + relay
		if ip.Is6() {
			mechanism = "ip6:" + relay
		}
	} else if relay == "" || relay == "localhost" || err == nil {
		mechanism = "a:" + host
	}
	return "v=spf1 " + mechanism + " ~all"
}

// dnsTimeout bounds one question.
const dnsTimeout = 10 * time.Second

// newDNS asks one server, or the system's if addr is empty.
func newDNS(addr string) (*net.Resolver, error) {
	if addr == "" {
		return net.DefaultResolver, nil
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(strings.Trim(addr, "[]"), "53")
	}
	if _, err := netip.ParseAddrPort(addr); err != nil {
		return nil, fmt.Errorf("%q is no IP address", addr)
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}, nil
}

// checks asks the DNS for every record.
func (p mailPlan) checks(ctx context.Context, dns *net.Resolver) []finding {
	d := dnsClient{ctx, dns}
	all := []finding{p.checkSPF(d)}
	if !p.signs {
		all = append(all, failed("DKIM", "mail goes out unsigned",
			"make a key with `openssl genrsa -out dkim.pem 2048`, set mail.dkim_key_file and mail.dkim_selector, and run this again"))
	}
	for _, r := range p.records {
		if strings.Contains(r.Name, "._domainkey.") {
			all = append(all, checkKey(d, r))
		}
	}
	all = append(all, p.checkDMARC(d))
	for _, r := range p.records {
		if r.Type == "MX" {
			all = append(all, p.checkMX(d, r))
		}
	}
	return all
}

func passed(name, format string, args ...any) finding {
	return finding{Name: name, OK: true, Detail: fmt.Sprintf(format, args...)}
}

func failed(name, detail, remedy string) finding {
	return finding{Name: name, Detail: detail, Remedy: remedy}
}

func publish(r dnsRecord) string {
	return fmt.Sprintf("publish %s %s %s", r.Name, r.Type, chunked(r.Value))
}

// dnsClient asks the DNS.
type dnsClient struct {
	ctx context.Context
	dns *net.Resolver
}

// txt gives the TXT records of a name that begin with a version tag, whatever its case.
func (d dnsClient) txt(name, version string) ([]string, error) {
	ctx, cancel := context.WithTimeout(d.ctx, dnsTimeout)
	defer cancel()
	all, err := d.dns.LookupTXT(ctx, name+".")
	return slices.DeleteFunc(all, func(s string) bool {
		tag, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(s)), ";")
		word, _, _ := strings.Cut(tag, " ")
		return strings.ReplaceAll(tag, " ", "") != version && word != version
	}), missing(err)
}

// missing is nil for the answer that there is no such record: an empty list says that.
func missing(err error) error {
	var e *net.DNSError
	if errors.As(err, &e) && e.IsNotFound {
		return nil
	}
	return err
}

// unanswered is the check whose question failed.
func unanswered(name string, err error) finding {
	var e *net.DNSError
	detail := err.Error()
	if errors.As(err, &e) {
		detail = "the DNS does not answer: " + e.Err
	}
	return failed(name, detail, "try again, or ask another server with --resolver")
}

func (p mailPlan) checkSPF(d dnsClient) finding {
	name, want := "SPF of "+p.sender, p.records[0]
	found, err := d.txt(p.sender, "v=spf1")
	switch {
	case err != nil:
		return unanswered(name, err)
	case len(found) == 0:
		return failed(name, "there is no record", publish(want))
	case len(found) > 1: // RFC 7208 section 4.5: a permanent error
		return failed(name, fmt.Sprintf("there are %d records, and receivers then take none", len(found)), "leave one: join them in one record")
	}
	terms := strings.Fields(strings.ToLower(found[0]))[1:]
	closed := slices.ContainsFunc(terms, func(t string) bool { return t == "-all" || t == "~all" || strings.HasPrefix(t, "redirect=") })
	switch {
	case !closed:
		return failed(name, fmt.Sprintf("%q lets everybody send", found[0]), "end it with ~all")
	case !aligned(p.sender, p.from):
		return failed(name, fmt.Sprintf("%s is not of the organisation of %s, so it does not count for DMARC", p.sender, p.from),
			"set mail.bounce_domain to a name below "+organisation(p.from))
	case found[0] == want.Value:
		return passed(name, "found %s", found[0])
	}
	return passed(name, "found %s; see that it allows the relay", found[0])
}

func checkKey(d dnsClient, want dnsRecord) finding {
	name := "DKIM " + want.Name
	ctx, cancel := context.WithTimeout(d.ctx, dnsTimeout)
	defer cancel()
	found, err := d.dns.LookupTXT(ctx, want.Name+".")
	switch err = missing(err); {
	case err != nil:
		return unanswered(name, err)
	case len(found) == 0:
		return failed(name, "there is no record", publish(want))
	case len(found) > 1: // RFC 6376 section 3.6.2.2: undefined
		return failed(name, fmt.Sprintf("there are %d records, and receivers may take any", len(found)), "leave one: "+publish(want))
	}
	got, wanted := tags(found[0]), tags(want.Value)
	if v, there := got["v"]; there && v != "DKIM1" {
		return failed(name, fmt.Sprintf("it is of version %q", v), publish(want))
	}
	switch {
	case got["p"] == "":
		return failed(name, "the key is revoked: p= is empty", publish(want))
	case got["p"] != wanted["p"] || cmp.Or(got["k"], "rsa") != wanted["k"]:
		return failed(name, "it holds another key than the one that signs", publish(want))
	case slices.Contains(strings.Split(got["t"], ":"), "y"):
		return failed(name, "t=y says that it is a test: receivers treat the mail as unsigned", "take t=y out of the record")
	}
	return passed(name, "found, with the key that signs")
}

// checkDMARC looks at From's domain and then at its organisation's, as receivers do.
func (p mailPlan) checkDMARC(d dnsClient) finding {
	name := "DMARC of " + p.from
	at := p.from
	found, err := d.txt("_dmarc."+at, "v=dmarc1")
	if org := organisation(p.from); err == nil && len(found) == 0 && org != at {
		at = org
		found, err = d.txt("_dmarc."+at, "v=dmarc1")
	}
	switch {
	case err != nil:
		return unanswered(name, err)
	case len(found) == 0:
		i := slices.IndexFunc(p.records, func(r dnsRecord) bool { return strings.HasPrefix(r.Name, "_dmarc.") })
		return failed(name, "there is no record", publish(p.records[i]))
	case len(found) > 1:
		return failed(name, fmt.Sprintf("there are %d records, and receivers then take none", len(found)), "leave one of _dmarc."+at)
	}
	switch policy := strings.ToLower(tags(found[0])["p"]); policy {
	case "none", "quarantine", "reject":
		return passed(name, "found %s", found[0])
	}
	return failed(name, fmt.Sprintf("%q has no policy", found[0]), "add p=none")
}

func (p mailPlan) checkMX(d dnsClient, want dnsRecord) finding {
	name := "MX of " + want.Name
	ctx, cancel := context.WithTimeout(d.ctx, dnsTimeout)
	defer cancel()
	found, err := d.dns.LookupMX(ctx, want.Name+".")
	if err = missing(err); err != nil {
		return unanswered(name, err)
	}
	var hosts []string
	for _, mx := range found {
		hosts = append(hosts, strings.ToLower(strings.TrimSuffix(mx.Host, ".")))
	}
	switch {
	case len(hosts) == 0:
		return failed(name, "there is no record: returned mail does not come", publish(want))
	case !slices.Contains(hosts, p.host):
		return failed(name, "it leads to "+strings.Join(hosts, ", ")+", not to "+p.host,
			publish(want)+", unless that host hands the mail on to this one; mail.helo is this host's name")
	}
	return passed(name, "it leads to %s", p.host)
}

// tags reads a list of tags (RFC 6376 section 3.2). White space within a value does not count: keys are wrapped.
func tags(list string) map[string]string {
	all := map[string]string{}
	for tag := range strings.SplitSeq(list, ";") {
		name, value, _ := strings.Cut(tag, "=")
		all[strings.TrimSpace(name)] = strings.Join(strings.Fields(value), "")
	}
	return all
}
