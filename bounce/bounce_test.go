package bounce_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/bounce"
)

var update = flag.Bool("update", false, "write the wanted values anew")

// secret made the tokens of every mail in testdata. A new case can use these:
const (
	ofDigest     = "b-15-hm63iyh6fbv5adcd@bounce.example.com" // sender of delivery 41
	ofNotice     = "n-7-klcz7khl3wpwpjsy@bounce.example.com"  // sender of notice 7
	leave        = "u-5-vqirs4urvtjcclmw@bounce.example.com"  // leaves subscription 5
	idOfDigest   = "<d3.s12.41.2szxm6qd3j35g@news.example.com>"
	idOfNotice   = "<n.s12.7.kxm3nb3czwrtk@news.example.com>"
	bounceDomain = "bounce.example.com"
)

var secret = zonewire.Secret(bytes.Repeat([]byte{7}, 32))

func TestTokensOfTheFixtures(t *testing.T) {
	digest, notice := zonewire.Job{ID: 41, Digest: 3, Subscriber: 12}, zonewire.Job{Kind: zonewire.NoticeJob, ID: 7, Subscriber: 12}
	for got, want := range map[string]string{
		secret.ReturnPath(digest.Ref()) + "@" + bounceDomain:     ofDigest,
		secret.ReturnPath(notice.Ref()) + "@" + bounceDomain:     ofNotice,
		secret.LeaveAddress(5) + "@" + bounceDomain:              leave,
		"<" + secret.MessageID(digest, "news.example.com") + ">": idOfDigest,
		"<" + secret.MessageID(notice, "news.example.com") + ">": idOfNotice,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// want is a want.json: the envelope recipient, if anybody knew it, and what the mail is. Empty fields are left out.
type want struct {
	To           string              `json:"to,omitempty"`
	Kind         zonewire.BounceKind `json:"kind"`
	Verdict      zonewire.Verdict    `json:"verdict,omitempty"`
	Sure         bool                `json:"sure,omitempty"`
	Recipients   []string            `json:"recipients,omitempty"`
	Status       string              `json:"status,omitempty"`
	Code         int                 `json:"code,omitempty"`
	Text         string              `json:"text,omitempty"`
	Job          string              `json:"job,omitempty"` // "delivery 41" or "notice 7"
	Subscription int64               `json:"subscription,omitempty"`
}

func describe(to string, b zonewire.Bounce) want {
	w := want{to, b.Kind, b.Judgement.Verdict, b.Judgement.Sure, b.Recipients, b.Status, b.Code, b.Text, "", b.Subscription}
	if b.Job.ID != 0 {
		w.Job = fmt.Sprintf("%s %d", [...]string{"delivery", "notice"}[b.Job.Kind], b.Job.ID)
	}
	return w
}

// TestReader reads every testdata/<case>/mail.eml and compares with its want.json. A new case is a folder.
func TestReader(t *testing.T) {
	cases, err := filepath.Glob("testdata/*/mail.eml")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range cases {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join(dir, "want.json")
			text, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			var w want
			if err := json.Unmarshal(text, &w); err != nil {
				t.Fatalf("%s: %v", golden, err)
			}
			b := bounce.Reader{Secret: secret}.Parse(raw, w.To)
			got := describe(w.To, b)
			sound(t, raw, b)
			if *update {
				var out bytes.Buffer
				enc := json.NewEncoder(&out)
				enc.SetEscapeHTML(false)
				enc.SetIndent("", "  ")
				if err := enc.Encode(got); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(w, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// sound holds what every returned mail must be, whatever it was read from.
func sound(t *testing.T, raw []byte, b zonewire.Bounce) {
	t.Helper()
	for _, s := range append([]string{b.Text, b.Status}, b.Recipients...) {
		if !utf8.ValidString(s) || len(s) > 400 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }) {
			t.Errorf("%q is no line of clean text", s)
		}
	}
	if (b.Kind == zonewire.BounceReport) != (b.Judgement.Verdict != "") {
		t.Errorf("kind %q has verdict %q", b.Kind, b.Judgement.Verdict)
	}
	if kept := b.Kind == zonewire.BounceUnknown && len(raw) > 0; kept != (len(b.Raw) > 0) || len(b.Raw) > 256<<10 {
		t.Errorf("kind %q keeps %d of %d bytes", b.Kind, len(b.Raw), len(raw))
	}
	if b.Kind == zonewire.BounceLeave && b.Job.ID == 0 && b.Subscription == 0 || b.Kind != zonewire.BounceLeave && b.Subscription != 0 {
		t.Errorf("kind %q has job %v, subscription %d", b.Kind, b.Job, b.Subscription)
	}
	if len(b.Hash) != 64 {
		t.Errorf("hash %q", b.Hash)
	}
}
