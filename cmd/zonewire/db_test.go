package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zonewire/store"
)

func TestAVerificationTellsWhatIsWrong(t *testing.T) {
	checks := []store.Check{
		{Name: "windows follow each other"},
		{Name: "deliveries sum to recipients", Wrong: 12, Examples: []string{"digest 1 has 2 recipients", "digest\n2"}},
	}
	var out bytes.Buffer
	if err := (printer{w: &out}).verified(checks); !errors.Is(err, errReported) {
		t.Errorf("got %v, want exit code 1", err)
	}
	want := `CHECK                         RESULT
windows follow each other     ok
deliveries sum to recipients  12 wrong

deliveries sum to recipients:
  digest 1 has 2 recipients
  digest 2
  and 10 more
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err := (printer{w: &out}).verified(checks[:1]); err != nil {
		t.Errorf("sound: %v", err)
	}
}

func TestACopyHidesThePassword(t *testing.T) {
	a := &app{settings: settings{cfg: Default()}}
	v := a.viewCopy(&session{}, "postgres://zonewire:geheim@db/zonewire?sslmode=require", []store.CopiedTable{{Name: "zone", Rows: 3, Hash: strings.Repeat("ab", 32)}})
	for _, json := range []bool{false, true} {
		var out bytes.Buffer
		if err := (printer{w: &out, json: json}).copied(v); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "geheim") || !strings.Contains(out.String(), "postgres://zonewire:********@db/zonewire?sslmode=require") {
			t.Errorf("printed %s", out.String())
		}
	}
}

// What a daemon does while a copy is made would be missing there, and be mailed again from there.
func TestACopyWaitsUntilTheDaemonIsStopped(t *testing.T) {
	addr := freeAddr(t)
	s := newSite(t, "ZONEWIRE_HTTP_LISTEN="+addr, "ZONEWIRE_HTTP_BASE_URL=http://"+addr)
	s.fill(3)
	stop := s.daemon(addr)
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(s.dir, name))
		return err == nil
	}
	s.eventually("the daemon's first sign of life", func() bool { return exists("zonewire.db-beat") })
	out, err := s.command("db", "copy", "--to", "copy.db").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "sends mail from the database, and gave a sign of life at") {
		t.Errorf("beside the daemon: %v, %s", err, out)
	}
	if exists("copy.db") || exists("copy.db-wal") {
		t.Error("what was refused has left a file")
	}
	s.run("db", "verify") // it may run beside
	stop()
	s.run("db", "copy", "--to", "copy.db")
	s.run("--db", "copy.db", "db", "verify")
}
