package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// needTool skips the test where a tool of another make is missing; in CI that is a failure.
func needTool(t *testing.T, there bool, what string) {
	t.Helper()
	if there {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: see scripts/test-deps", what)
	}
	t.Skipf("%s is missing: see scripts/test-deps", what)
}

func runs(name string, args ...string) bool { return exec.Command(name, args...).Run() == nil }

// offline is the beginning of a command line that takes the network from what follows, where this machine lets us: the
// judges of a mail must come to their verdict without asking anyone.
var offline = sync.OnceValue(func() []string {
	if cut := []string{"unshare", "--net"}; runs(cut[0], cut[1], "true") {
		return cut
	}
	return []string{"env"}
})

// judge runs a tool of another make in a folder on some input, without a network, and gives what it prints. Its exit
// code is not asked: what it says is.
func judge(t *testing.T, dir string, stdin []byte, command ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	line := append(offline(), command...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if _, ended := err.(*exec.ExitError); !ended || len(out) == 0 {
			t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, stderr.String())
		}
	}
	return out
}

// judgeJSON is judge for a tool that prints JSON.
func judgeJSON(t *testing.T, into any, dir string, stdin []byte, command ...string) {
	t.Helper()
	out := judge(t, dir, stdin, command...)
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("%s: %v:\n%s", strings.Join(command, " "), err, out)
	}
}

func absolute(t *testing.T, path ...string) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// signingKeys writes an RSA and an Ed25519 key as an operator would have them, and gives the settings that name them.
func signingKeys(t *testing.T, dir string) (env []string) {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, key any) string {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return []string{
		"ZONEWIRE_MAIL_DKIM_DOMAIN=example.com",
		"ZONEWIRE_MAIL_DKIM_SELECTOR=r1", "ZONEWIRE_MAIL_DKIM_KEY_FILE=" + file("rsa.pem", rsaKey),
		"ZONEWIRE_MAIL_DKIM_ED25519_SELECTOR=e1", "ZONEWIRE_MAIL_DKIM_ED25519_KEY_FILE=" + file("ed25519.pem", edKey),
	}
}

// published is the DNS of an operator who published what the doctor prints.
func (s *site) published() records {
	s.t.Helper()
	var doctor struct{ Records []dnsRecord }
	if err := json.Unmarshal([]byte(s.run("doctor", "--offline", "-o", "json")), &doctor); err != nil {
		s.t.Fatal(err)
	}
	all := records{}
	for _, r := range doctor.Records {
		if r.Type == "TXT" {
			all[r.Name] = r.Value
		}
	}
	return all
}

// records are TXT records by name, in place of a DNS; it also knows where news.example.com is.
type records map[string]string

func (r records) lookup(name string) ([]string, error) {
	txt, ok := r[strings.TrimSuffix(name, ".")]
	if !ok {
		return nil, fmt.Errorf("no such name: %s", name)
	}
	return []string{txt}, nil
}

// file writes the records as mailauth and verify.py read them.
func (r records) file(t *testing.T) string {
	t.Helper()
	all := map[string]map[string]any{"news.example.com": {"A": []string{senderIP}}}
	for name, txt := range r {
		all[name] = map[string]any{"TXT": [][]string{{txt}}}
	}
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dns.json")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// senderIP is a public address as a sender would have: filters know the ones reserved for documentation as illegal.
const senderIP = "52.95.48.9"
