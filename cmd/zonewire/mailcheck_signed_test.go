package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/google/go-cmp/cmp"
)

// signed gives the tags of each signature, from the top.
func (w *welcome) signed() []map[string]string {
	var all []map[string]string
	for _, v := range w.head["Dkim-Signature"] {
		tags := map[string]string{}
		for tag := range strings.SplitSeq(v, ";") {
			name, value, _ := strings.Cut(tag, "=")
			tags[strings.TrimSpace(name)] = strings.Join(strings.Fields(value), "")
		}
		all = append(all, tags)
	}
	return all
}

// verdicts are what each verifier says of each signature of a mail; "ok" is the only good one.
func (w *welcome) verdicts(t *testing.T, raw []byte) map[string][]string {
	t.Helper()
	needTool(t, runs("/usr/bin/python3", "-c", "import dkim"), "Debian's python3-dkim")
	all := map[string][]string{}
	checks, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: w.dns.lookup})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range checks {
		said := "ok"
		if v.Err != nil {
			said = v.Err.Error()
		}
		all["go-msgauth"] = append(all["go-msgauth"], said)
	}
	var said []string
	judgeJSON(t, &said, ".", raw, "/usr/bin/python3", absolute(t, "../../scripts/mail-check/verify.py"), w.dns.file(t))
	all["dkimpy"] = said
	var report authentication
	w.mailauth(t, &report, raw)
	for _, r := range report.DKIM.Results {
		said := "ok"
		if r.Status.Result != "pass" {
			said = r.Status.Result + " " + r.Status.Comment
		}
		all["mailauth"] = append(all["mailauth"], said)
	}
	return all
}

func (w *welcome) signatures(t *testing.T) {
	tags := w.signed()
	if len(tags) != 2 {
		t.Fatalf("%d signatures, want one of RSA and one of Ed25519", len(tags))
	}
	algorithms := map[string]string{}
	for _, s := range tags {
		algorithms[s["a"]] = s["s"] + "." + s["d"]
		if _, bounded := s["l"]; bounded {
			t.Error("a signature covers only the first bytes of the body")
		}
		signed := map[string]int{}
		for name := range strings.SplitSeq(s["h"], ":") {
			signed[strings.ToLower(name)]++
		}
		for _, name := range []string{"subject", "date", "to", "message-id", "mime-version", "content-type", "list-id", "list-unsubscribe", "list-unsubscribe-post", "feedback-id"} {
			if signed[name] == 0 {
				t.Errorf("%s does not sign %s", s["a"], name)
			}
		}
		if signed["from"] < 2 {
			t.Errorf("%s leaves room for a second From", s["a"])
		}
	}
	if diff := cmp.Diff(map[string]string{"rsa-sha256": "r1.example.com", "ed25519-sha256": "e1.example.com"}, algorithms); diff != "" {
		t.Errorf("signatures: -want +got:\n%s", diff)
	}

	for who, said := range w.verdicts(t, w.arrived(t)) {
		if !slices.Equal(said, []string{"ok", "ok"}) {
			t.Errorf("%s: %q, want both ok", who, said)
		}
	}
}

// unforgeable changes the mail as someone on its way might.
func (w *welcome) unforgeable(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"a second From above": func(m string) string { return "From: Bank <bank@example.org>\r\n" + m },
		"a second From below": func(m string) string {
			return strings.Replace(m, "\r\n\r\n", "\r\nFrom: Bank <bank@example.org>\r\n\r\n", 1)
		},
		"another link to leave": func(m string) string { return strings.Replace(m, "/unsubscribe/", "/unsubscribe/x", 1) },
		"no one-click any more": func(m string) string { return strings.Replace(m, "\r\nList-Unsubscribe-Post:", "\r\nX-Post:", 1) },
		"a line more":           func(m string) string { return m + "and more\r\n" },
	} {
		changed := change(string(w.Raw))
		if changed == string(w.Raw) {
			t.Fatalf("%s: nothing changed", name)
		}
		for who, said := range w.verdicts(t, []byte(changed)) {
			if slices.Contains(said, "ok") || len(said) != 2 {
				t.Errorf("%s: %s says %q, want no good signature", name, who, said)
			}
		}
	}
}

// authentication is the part of mailauth's report that is there for every mail.
type authentication struct {
	DKIM struct {
		Results []struct {
			Status struct {
				Result, Comment string
				Aligned         any // false, or the domain
			}
		}
	}
	SPF struct {
		Status struct{ Result, Comment string }
	}
}

// alignment is the part that is there for a mail with one From.
type alignment struct {
	DMARC struct {
		Status    struct{ Result, Comment string }
		Alignment struct{ SPF, DKIM struct{ Result any } } // false, or the domain
	}
}

func (w *welcome) mailauth(t *testing.T, into any, raw []byte) {
	t.Helper()
	judgeJSON(t, into, nodeDir(t), raw, "node_modules/.bin/mailauth", "report", "--dns-cache", w.dns.file(t), "--client-ip", senderIP,
		"--helo", "news.example.com", "--mta", "mx.example.net", "--sender", w.From)
}

func (w *welcome) authentic(t *testing.T) {
	var a struct {
		authentication
		alignment
	}
	w.mailauth(t, &a, w.arrived(t))
	if a.SPF.Status.Result != "pass" {
		t.Errorf("spf: %v", a.SPF.Status)
	}
	if len(a.DKIM.Results) != 2 {
		t.Errorf("dkim: %d signatures", len(a.DKIM.Results))
	}
	for i, r := range a.DKIM.Results {
		if r.Status.Result != "pass" || r.Status.Aligned != "example.com" {
			t.Errorf("dkim %d: %v", i, r.Status)
		}
	}
	if a.DMARC.Status.Result != "pass" {
		t.Errorf("dmarc: %v", a.DMARC.Status)
	}
	if spf, dkim := a.DMARC.Alignment.SPF.Result, a.DMARC.Alignment.DKIM.Result; spf != "bounce.example.com" || dkim != "example.com" {
		t.Errorf("dmarc aligns spf with %v and dkim with %v, want both", spf, dkim)
	}
}
