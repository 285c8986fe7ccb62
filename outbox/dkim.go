package outbox

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// SignerConfig names the keys that mail is signed with.
type SignerConfig struct {
	Domain   string // in ASCII; DMARC wants it under the organisation of the mail's From
	Selector string
	Key      string // RSA, PEM of PKCS #1 or #8; required: every receiver verifies it
	// A second signature for those who verify Ed25519 (RFC 8463); both or neither.
	Ed25519Selector string
	Ed25519Key      string // PEM of PKCS #8
}

// Signer signs mail with DKIM (RFC 6376), so that its receivers know that it comes from our domain and was not changed.
// It is safe for concurrent use. go-mail's own signer breaks a long h= within a name: that verifies nowhere.
type Signer struct{ keys []dkim.SignOptions }

// Bits of RSA keys: receivers must verify 1024 to 2048 bits (RFC 8301 section 3.2).
const (
	leastBits = 1024
	goodBits  = 2048
)

// NewSigner reads the keys. Its errors hold nothing of them.
func NewSigner(c SignerConfig) (*Signer, error) {
	if !validName(c.Domain) {
		return nil, fmt.Errorf("dkim: domain %q is no name of a domain", c.Domain)
	}
	key, err := parseKey(c.Key)
	if err != nil {
		return nil, fmt.Errorf("dkim: the RSA key: %w", err)
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("dkim: the RSA key: it is of another kind")
	}
	if bits := private.N.BitLen(); bits < leastBits {
		return nil, fmt.Errorf("dkim: the RSA key: no receiver trusts %d bits: make one of %d", bits, goodBits)
	}
	s := &Signer{}
	if err := s.add(c.Domain, c.Selector, private); err != nil {
		return nil, err
	}
	if c.Ed25519Selector == "" && c.Ed25519Key == "" {
		return s, nil
	}
	if key, err = parseKey(c.Ed25519Key); err != nil {
		return nil, fmt.Errorf("dkim: the Ed25519 key: %w", err)
	}
	second, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("dkim: the Ed25519 key: it is of another kind")
	}
	return s, s.add(c.Domain, c.Ed25519Selector, second)
}

func (s *Signer) add(domain, selector string, key crypto.Signer) error {
	if !validName(selector) {
		return fmt.Errorf("dkim: selector %q is none: use letters, digits and hyphens", selector)
	}
	s.keys = append(s.keys, dkim.SignOptions{
		Domain: domain, Selector: selector, Signer: key, Hash: crypto.SHA256,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	})
	return nil
}

// parseKey reads a private key from PEM.
func parseKey(text string) (any, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("it is no PEM")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("PEM holds %q, not a private key without a password", block.Type)
	}
	if err != nil {
		return nil, errors.New("it is damaged") // what x509 says could quote it
	}
	return key, nil
}

// validName reports whether s can stand in a signature as a domain or selector.
func validName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i] | 0x20
			if (c < 'a' || c > 'z') && (label[i] < '0' || label[i] > '9') && label[i] != '-' && label[i] != '_' {
				return false
			}
		}
	}
	return len(s) <= 253
}

// Headers that are signed. A name that stands once more often than the mail has it says that there are no more: nobody
// can add another on the way (RFC 6376 section 8.15).
var (
	alwaysSigned = []string{
		"From", "From", "To", "To", "Subject", "Subject", "Date", "Date", "Message-ID", "Message-ID",
		"Reply-To", "Cc", "MIME-Version", "Content-Type",
	}
	// Signed if they are there: a mailing list that passes a notice on may add its own. Gmail and Yahoo want both headers
	// of one-click unsubscribe signed.
	signedIfThere = []string{
		"List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Help", "List-Owner", "List-Archive", "Archived-At",
		"Auto-Submitted", "Feedback-ID",
	}
)

// signedHeaders are the names of the headers to sign of a message that is spelt as [Prepared.Compose] does.
func signedHeaders(message []byte) []string {
	head, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	names := append(make([]string, 0, len(alwaysSigned)+len(signedIfThere)), alwaysSigned...)
	for _, name := range signedIfThere {
		field := []byte(name + ":")
		if bytes.HasPrefix(head, field) || bytes.Contains(head, append([]byte("\r\n"), field...)) {
			names = append(names, name)
		}
	}
	return names
}

// Sign puts a signature of each key before a message with CRLF line ends. The signatures cover the message, not each
// other, and hold the time: they differ at each call.
func (s *Signer) Sign(message []byte) ([]byte, error) {
	names := signedHeaders(message)
	signed := make([][]byte, 0, len(s.keys)+1)
	for _, options := range s.keys {
		options.HeaderKeys = names
		signer, err := dkim.NewSigner(&options)
		if err != nil {
			return nil, err
		}
		_, err = signer.Write(message)
		if closed := signer.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return nil, fmt.Errorf("dkim: sign: %w", err)
		}
		signed = append(signed, []byte(signer.Signature()))
	}
	return bytes.Join(append(signed, message), nil), nil
}

// KeyRecord is the TXT record that publishes a key (RFC 6376 section 3.6.1).
type KeyRecord struct{ Name, Value string }

// Records are the records to publish, one for each key.
func (s *Signer) Records() ([]KeyRecord, error) {
	var all []KeyRecord
	for _, k := range s.keys {
		record := "v=DKIM1; k=ed25519; p="
		public, ok := k.Signer.Public().(ed25519.PublicKey) // RFC 8463 section 4: the bare key
		if !ok {
			der, err := x509.MarshalPKIXPublicKey(k.Signer.Public())
			if err != nil {
				return nil, fmt.Errorf("dkim: encode key: %w", err)
			}
			record, public = "v=DKIM1; k=rsa; p=", der
		}
		all = append(all, KeyRecord{
			Name:  k.Selector + "._domainkey." + k.Domain,
			Value: record + base64.StdEncoding.EncodeToString(public),
		})
	}
	return all, nil
}

// Weak tells what is wrong with keys that still work; empty if nothing is.
func (s *Signer) Weak() string {
	if key, ok := s.keys[0].Signer.(*rsa.PrivateKey); ok && key.N.BitLen() < goodBits {
		return fmt.Sprintf("the RSA key has %d bits: receivers trust %d more", key.N.BitLen(), goodBits)
	}
	return ""
}
