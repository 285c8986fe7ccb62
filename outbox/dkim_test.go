package outbox_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"zonewire"
	"zonewire/outbox"
)

// testKeys are made once: an RSA key takes a while.
var testKeys = sync.OnceValue(func() outbox.SignerConfig {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	_, second, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return outbox.SignerConfig{
		Domain:   "example.com",
		Selector: "r1", Key: pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)),
		Ed25519Selector: "e1", Ed25519Key: pkcs8(second),
	}
})

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(key any) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pemText("PRIVATE KEY", der)
}

func newSigner(t testing.TB, c outbox.SignerConfig) *outbox.Signer {
	t.Helper()
	s, err := outbox.NewSigner(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// verify checks a message with the records that the signer wants published, and gives the selectors' results in order.
func verify(t testing.TB, s *outbox.Signer, message []byte) []error {
	t.Helper()
	records, err := s.Records()
	if err != nil {
		t.Fatal(err)
	}
	found, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		for _, r := range records {
			if r.Name == name {
				return []string{r.Value}, nil
			}
		}
		return nil, fmt.Errorf("no record %s", name)
	}})
	if err != nil {
		t.Fatal(err)
	}
	var all []error
	for _, v := range found {
		if v.Domain != "example.com" {
			t.Errorf("signed for %s", v.Domain)
		}
		all = append(all, v.Err)
	}
	return all
}

func signedMail(t testing.TB, s *outbox.Signer, m zonewire.Mail, job zonewire.Job) []byte {
	t.Helper()
	c := composer
	c.BounceDomain, c.Sign = "bounce.example.com", s.Sign
	e, err := c.Compose(m, job, zonewire.Address{Wire: job.Email})
	if err != nil {
		t.Fatal(err)
	}
	return e.Message
}

func TestSignaturesVerify(t *testing.T) {
	both := testKeys()
	one := both
	one.Ed25519Selector, one.Ed25519Key = "", ""
	notice, noticeJob := enMail(), zonewire.Job{Kind: zonewire.NoticeJob, ID: 3, Subscriber: 12, Email: "reader@example.net"}
	notice.List, notice.HTML, notice.Text = "", []string{"<p>Please confirm.</p>\n"}, []string{"Please confirm.\n"}
	for _, tt := range []struct {
		name       string
		keys       outbox.SignerConfig
		mail       zonewire.Mail
		job        zonewire.Job
		signatures int
	}{
		{"a digest with both keys", both, zhMail(), digestJob(), 2},
		{"a digest of usual size", both, bigMail(), digestJob(), 2},
		{"a digest with RSA alone", one, enMail(), digestJob(), 1},
		{"a notice", both, notice, noticeJob, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSigner(t, tt.keys)
			message := signedMail(t, s, tt.mail, tt.job)
			if got := verify(t, s, message); len(got) != tt.signatures || errors.Join(got...) != nil {
				t.Errorf("%d signatures, want %d: %v", len(got), tt.signatures, errors.Join(got...))
			}
			checkMessage(t, message, tt.mail)
			c := composer
			c.BounceDomain = "bounce.example.com"
			bare, err := c.Compose(tt.mail, tt.job, zonewire.Address{Wire: tt.job.Email})
			if err != nil || !bytes.HasSuffix(message, bare.Message) {
				t.Errorf("signing changed the message: %v", err)
			}
		})
	}
}

// What anyone changes or adds on the way breaks both signatures; what servers add does not.
func TestSignaturesCoverTheMessage(t *testing.T) {
	s := newSigner(t, testKeys())
	message := signedMail(t, s, zhMail(), digestJob())
	changed := func(old, new string) func([]byte) []byte {
		return func(m []byte) []byte {
			if !bytes.Contains(m, []byte(old)) {
				t.Fatalf("no %q in the message", old)
			}
			return bytes.Replace(m, []byte(old), []byte(new), 1)
		}
	}
	added := func(field string) func([]byte) []byte {
		return func(m []byte) []byte { return append([]byte(field+"\r\n"), m...) }
	}
	for _, tt := range []struct {
		name   string
		change func([]byte) []byte
		holds  bool
	}{
		{"a trace is added", added("Received: from a by b; Mon, 02 Mar 2026 08:00:00 +0800"), true},
		{"a header is folded otherwise", changed("List-Unsubscribe-Post: ", "List-Unsubscribe-Post:\r\n "), true},
		{"a second From is added", added("From: x@example.org"), false},
		{"a second To is added", added("To: x@example.org"), false},
		{"a second Subject is added", added("Subject: x"), false},
		{"a second Date is added", added("Date: Mon, 02 Mar 2026 08:00:00 +0800"), false},
		{"a second Message-ID is added", added("Message-ID: <x@example.org>"), false},
		{"a Cc is added", added("Cc: x@example.org"), false},
		{"the link to leave is another", changed("/unsubscribe/x-", "/unsubscribe/y-"), false},
		{"one click is taken away", changed("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", ""), false},
		{"the list is another", changed("List-Id: <morning", "List-Id: <evening"), false},
		{"help is elsewhere", changed("List-Help: <mailto:desk", "List-Help: <mailto:disk"), false},
		{"the owner is another", changed("List-Owner: <mailto:desk", "List-Owner: <mailto:disk"), false},
		{"the archive is elsewhere", changed("List-Archive: <https://news", "List-Archive: <https://olds"), false},
		{"its page is elsewhere", changed("Archived-At: <https://news", "Archived-At: <https://olds"), false},
		{"the feedback is another's", changed("Feedback-ID: d7", "Feedback-ID: d8"), false},
		{"replies go elsewhere", changed("<desk@example.com>", "<disk@example.com>"), false},
		{"the boundary is another", changed("boundary=zw-", "boundary=zx-"), false},
		{"the text is another", changed("5LuK5pel", "5LuL5pel"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := verify(t, s, tt.change(bytes.Clone(message)))
			if len(got) != 2 {
				t.Fatalf("%d signatures", len(got))
			}
			for i, err := range got {
				if (err == nil) != tt.holds {
					t.Errorf("signature %d: %v, want it to hold: %v", i, err, tt.holds)
				}
			}
		})
	}
}

func TestSignerIsForMany(t *testing.T) {
	s := newSigner(t, testKeys())
	c := composer
	c.Sign = s.Sign
	p, err := c.Prepare(zhMail())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for id := range int64(20) {
		wg.Go(func() {
			e, err := p.Compose(zonewire.Job{ID: id, Digest: 7, Subscription: id + 1}, zonewire.Address{Wire: fmt.Sprintf("r%d@example.net", id)})
			if err != nil {
				t.Error(err)
			} else if err := errors.Join(verify(t, s, e.Message)...); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestMailThatCannotBeSignedIsNotItsReadersFault(t *testing.T) {
	c := composer
	broken := errors.New("broken")
	c.Sign = func([]byte) ([]byte, error) { return nil, broken }
	if _, err := c.Compose(zhMail(), digestJob(), zonewire.Address{Wire: "a@example.net"}); !errors.Is(err, broken) || errors.Is(err, outbox.ErrAddress) {
		t.Errorf("error %v", err)
	}
}

func TestSignerRefuses(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 768)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		edit func(*outbox.SignerConfig)
		want string
	}{
		{"no domain", func(c *outbox.SignerConfig) { c.Domain = "" }, "domain"},
		{"a domain that ends its tag", func(c *outbox.SignerConfig) { c.Domain = "example.com; l=0" }, "domain"},
		{"no selector", func(c *outbox.SignerConfig) { c.Selector = "" }, "selector"},
		{"no selector of the second key", func(c *outbox.SignerConfig) { c.Ed25519Selector = "" }, "selector"},
		{"no key", func(c *outbox.SignerConfig) { c.Key = "" }, "the RSA key: it is no PEM"},
		{"no second key", func(c *outbox.SignerConfig) { c.Ed25519Key = "" }, "the Ed25519 key: it is no PEM"},
		{"a key that is cut off", func(c *outbox.SignerConfig) { c.Key = pemText("PRIVATE KEY", []byte("x")) }, "the RSA key: it is damaged"},
		{"a key with a password", func(c *outbox.SignerConfig) { c.Key = pemText("ENCRYPTED PRIVATE KEY", []byte("x")) }, "without a password"},
		{"a public key", func(c *outbox.SignerConfig) { c.Key = pemText("PUBLIC KEY", []byte("x")) }, "not a private key"},
		{"the keys in each other's place", func(c *outbox.SignerConfig) { c.Key, c.Ed25519Key = c.Ed25519Key, c.Key }, "the RSA key: it is of another kind"},
		{"a second key that is RSA", func(c *outbox.SignerConfig) { c.Ed25519Key = c.Key }, "the Ed25519 key: it is of another kind"},
		{"a key on a curve that DKIM has not", func(c *outbox.SignerConfig) { c.Key = pkcs8(curve) }, "the RSA key: it is of another kind"},
		{"a key of 768 bits", func(c *outbox.SignerConfig) { c.Key = pkcs8(small) }, "768 bits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := testKeys()
			tt.edit(&c)
			if _, err := outbox.NewSigner(c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that says %q", err, tt.want)
			}
		})
	}
}

func TestSignerTakesAKeyOf1024BitsAndSaysThatItIsWeak(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	c := testKeys()
	if weak := newSigner(t, c).Weak(); weak != "" {
		t.Errorf("2048 bits: %s", weak)
	}
	c.Key = pkcs8(key)
	s := newSigner(t, c)
	if !strings.Contains(s.Weak(), "1024 bits") {
		t.Errorf("1024 bits: %q", s.Weak())
	}
	if err := errors.Join(verify(t, s, signedMail(t, s, enMail(), digestJob()))...); err != nil {
		t.Error(err)
	}
}

// BenchmarkSign signs a digest of usual size.
func BenchmarkSign(b *testing.B) {
	both := testKeys()
	one := both
	one.Ed25519Selector, one.Ed25519Key = "", ""
	message := compose(b, bigMail(), digestJob()).Message
	for name, keys := range map[string]outbox.SignerConfig{"rsa": one, "rsa and ed25519": both} {
		b.Run(name, func(b *testing.B) {
			s := newSigner(b, keys)
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign(message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
