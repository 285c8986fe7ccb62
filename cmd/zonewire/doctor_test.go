package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

// zone is what a DNS server knows: records by name and type. A name with the value "SERVFAIL" is broken.
type zone map[string][]string

// serveDNS answers from the zone over UDP, as far as doctor asks.
func serveDNS(t *testing.T, z zone) (addr string) {
	t.Helper()
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
		buf := make([]byte, 4096)
		for {
			n, peer, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(buf[:n]); err != nil {
				t.Error(err)
				return
			}
			reply, err := z.answer(m).Pack()
			if err == nil {
				_, err = conn.WriteTo(reply, peer)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	return conn.LocalAddr().String()
}

func (z zone) answer(m dnsmessage.Message) *dnsmessage.Message {
	m.Header.Response, m.Header.RecursionAvailable, m.Additionals = true, true, nil
	q := m.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	values, known := z[name+" "+strings.TrimPrefix(q.Type.String(), "Type")]
	if !known {
		m.Header.RCode = dnsmessage.RCodeNameError
	}
	for _, v := range values {
		if v == "SERVFAIL" {
			m.Header.RCode = dnsmessage.RCodeServerFailure
			continue
		}
		var body dnsmessage.ResourceBody
		if q.Type == dnsmessage.TypeMX {
			body = &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName(v)}
		} else {
			txt := &dnsmessage.TXTResource{}
			for part := range slices.Chunk([]byte(v), 255) {
				txt.TXT = append(txt.TXT, string(part))
			}
			body = txt
		}
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}, Body: body})
	}
	return &m
}

// doctorEnv is a configuration that signs, and whose returned mail comes back.
func doctorEnv(t *testing.T) []string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dkim.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"ZONEWIRE_MAIL_FROM=Zone News <news@news.example.com>", "ZONEWIRE_MAIL_HOST=smtp.example.net", "ZONEWIRE_MAIL_TRANSPORT=smtp",
		"ZONEWIRE_MAIL_HELO=mail.example.com", "ZONEWIRE_MAIL_BOUNCE_DOMAIN=bounce.example.com",
		"ZONEWIRE_MAIL_DKIM_DOMAIN=example.com", "ZONEWIRE_MAIL_DKIM_SELECTOR=zw1", "ZONEWIRE_MAIL_DKIM_KEY_FILE=" + path,
	}
}

// runDoctor gives what doctor prints, and its exit code.
func runDoctor(t *testing.T, env []string, args ...string) (stdout string, code int) {
	t.Helper()
	t.Chdir(t.TempDir()) // no configuration lies here
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	var out, errs bytes.Buffer
	code = run(context.WithoutCancel(t.Context()), append([]string{"doctor"}, args...), strings.NewReader(""), &out, &errs)
	if errs.Len() > 0 {
		t.Errorf("stderr: %s", &errs)
	}
	return out.String(), code
}

func TestDoctorChecksWhatIsPublished(t *testing.T) {
	env := doctorEnv(t)
	plan, code := runDoctor(t, env, "--offline", "-o", "json")
	var wanted struct{ Records []dnsRecord }
	if err := json.Unmarshal([]byte(plan), &wanted); err != nil || code != 0 {
		t.Fatalf("exit %d, %v: %s", code, err, plan)
	}
	published := zone{"bounce.example.com MX": {"mail.example.com."}}
	for _, r := range wanted.Records {
		if r.Type == "TXT" {
			published[r.Name+" TXT"] = []string{r.Value}
		}
	}
	const (
		spf, dkim, dmarc, mx = "SPF of bounce.example.com", "DKIM zw1._domainkey.example.com", "DMARC of news.example.com", "MX of bounce.example.com"
		spfAt, dkimAt        = "bounce.example.com TXT", "zw1._domainkey.example.com TXT"
		dmarcAt, mxAt        = "_dmarc.news.example.com TXT", "bounce.example.com MX"
	)
	key := published[dkimAt][0]
	if len(key) < 256 {
		t.Fatalf("the key's record has %d bytes: nothing that must be cut", len(key))
	}
	for _, tt := range []struct {
		name   string
		change zone // nil: the record is not there
		env    []string
		fails  map[string]string // the check's name: what it says
	}{
		{"all is published", zone{}, nil, nil},
		{"the SPF of another tool that allows the relay", zone{spfAt: {"google-site-verification=x", "V=SPF1 include:relay.example.net -all"}}, nil, nil},
		{"the policy of the organisation holds", zone{dmarcAt: nil, "_dmarc.example.com TXT": {"v=DMARC1;p=reject"}}, nil, nil},
		{"a key as others write it", zone{dkimAt: {strings.NewReplacer("v=DKIM1; ", "", "k=rsa; ", "", "p=", "p= ").Replace(key)}}, nil, nil},
		{"one MX of several leads here", zone{mxAt: {"backup.example.net.", "Mail.Example.com."}}, nil, nil},
		{"nothing is published", zone{spfAt: nil, dkimAt: nil, dmarcAt: nil, mxAt: nil}, nil, map[string]string{
			spf: "there is no record", dkim: "there is no record", dmarc: "there is no record", mx: "there is no record",
		}},
		{"the DNS is broken", zone{spfAt: {"SERVFAIL"}, dkimAt: {"SERVFAIL"}, dmarcAt: {"SERVFAIL"}, mxAt: {"SERVFAIL"}}, nil, map[string]string{
			spf: "the DNS does not answer", dkim: "the DNS does not answer", dmarc: "the DNS does not answer", mx: "the DNS does not answer",
		}},
		{"two SPF records", zone{spfAt: {"v=spf1 mx ~all", "v=spf1 a ~all"}}, nil, map[string]string{spf: "there are 2 records"}},
		{"an SPF for everybody", zone{spfAt: {"v=spf1 +all"}}, nil, map[string]string{spf: "lets everybody send"}},
		{"an SPF without an end", zone{spfAt: {"v=spf1 mx"}}, nil, map[string]string{spf: "lets everybody send"}},
		{"returned mail goes to another organisation", zone{"bounce.example.org TXT": {"v=spf1 mx ~all"}, "bounce.example.org MX": {"mail.example.com."}},
			[]string{"ZONEWIRE_MAIL_BOUNCE_DOMAIN=bounce.example.org"}, map[string]string{"SPF of bounce.example.org": "does not count for DMARC"}},
		{"another key", zone{dkimAt: {strings.Replace(key, "p=MII", "p=MIJ", 1)}}, nil, map[string]string{dkim: "another key"}},
		{"a key of another kind", zone{dkimAt: {strings.Replace(key, "k=rsa", "k=ed25519", 1)}}, nil, map[string]string{dkim: "another key"}},
		{"a revoked key", zone{dkimAt: {"v=DKIM1; p="}}, nil, map[string]string{dkim: "revoked"}},
		{"a key that is tested", zone{dkimAt: {key + "; t=s:y"}}, nil, map[string]string{dkim: "it is a test"}},
		{"a key of another version", zone{dkimAt: {strings.Replace(key, "DKIM1", "DKIM2", 1)}}, nil, map[string]string{dkim: "of version"}},
		{"two keys", zone{dkimAt: {key, "v=DKIM1; p="}}, nil, map[string]string{dkim: "there are 2 records"}},
		{"a DMARC record without a policy", zone{dmarcAt: {"v=DMARC1; rua=mailto:a@example.com"}}, nil, map[string]string{dmarc: "has no policy"}},
		{"two DMARC records", zone{dmarcAt: {"v=DMARC1; p=none", "v=DMARC1; p=reject"}}, nil, map[string]string{dmarc: "there are 2 records"}},
		{"the MX leads elsewhere", zone{mxAt: {"backup.example.net."}}, nil, map[string]string{mx: "leads to backup.example.net, not to mail.example.com"}},
		{"mail is not signed", zone{}, []string{"ZONEWIRE_MAIL_DKIM_SELECTOR=", "ZONEWIRE_MAIL_DKIM_KEY_FILE="}, map[string]string{"DKIM": "unsigned"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := zone{}
			for _, more := range []zone{published, tt.change} {
				for name, values := range more {
					if z[name] = values; values == nil {
						delete(z, name)
					}
				}
			}
			out, code := runDoctor(t, append(slices.Clone(env), tt.env...), "--resolver", serveDNS(t, z), "-o", "json")
			var got struct{ Checks []finding }
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if len(got.Checks) != 4 {
				t.Errorf("%d checks", len(got.Checks))
			}
			for _, c := range got.Checks {
				says, fails := tt.fails[c.Name]
				if c.OK == fails || !strings.Contains(c.Detail, says) || (c.Remedy != "") != fails {
					t.Errorf("%+v, want it to fail: %v, and to say %q", c, fails, says)
				}
				delete(tt.fails, c.Name)
			}
			if len(tt.fails) > 0 {
				t.Errorf("no check of %v", tt.fails)
			}
			if wantCode := map[bool]int{true: 1}[strings.Contains(out, `"ok": false`)]; code != wantCode {
				t.Errorf("exit %d, want %d", code, wantCode)
			}
		})
	}
}

func TestDoctorTellsPeople(t *testing.T) {
	env := []string{"ZONEWIRE_MAIL_FROM=Zone News <news@example.com>", "ZONEWIRE_MAIL_HOST=smtp.example.net", "ZONEWIRE_MAIL_REPLY_TO=desk@example.com"}
	out, code := runDoctor(t, env, "--resolver", serveDNS(t, zone{"example.com TXT": {"v=spf1 a:smtp.example.net ~all"}}))
	want := `NAME                TYPE  VALUE
example.com         TXT   v=spf1 a:smtp.example.net ~all
_dmarc.example.com  TXT   v=DMARC1; p=none; rua=mailto:desk@example.com

ok    SPF of example.com: found v=spf1 a:smtp.example.net ~all
FAIL  DKIM: mail goes out unsigned
      make a key with ` + "`openssl genrsa -out dkim.pem 2048`" + `, set mail.dkim_key_file and mail.dkim_selector, and run this again
FAIL  DMARC of example.com: there is no record
      publish _dmarc.example.com TXT v=DMARC1; p=none; rua=mailto:desk@example.com
`
	if diff := cmp.Diff(want, out); diff != "" || code != 1 {
		t.Errorf("exit %d, -want +got:\n%s", code, diff)
	}
}

func TestLongTextIsCutForTheDNS(t *testing.T) {
	for n, want := range map[int]int{255: 0, 256: 2, 510: 2, 511: 3} {
		long := strings.Repeat("x", n)
		got := chunked(long)
		if strings.Count(got, `"`) != 2*want || strings.NewReplacer(`"`, "", " ", "").Replace(got) != long {
			t.Errorf("%d characters: %s, want %d pieces", n, got, want)
		}
		for part := range strings.SplitSeq(got, " ") {
			if len(strings.Trim(part, `"`)) > 255 {
				t.Errorf("%d characters: a piece of %d", n, len(part))
			}
		}
	}
}
