package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"zonewire/internal/smtptest"
)

// postfix is a mail server of its own in a folder of its own: it takes mail on its port, passes it to one next server,
// and returns what that refuses. It asks no DNS and ends with its test.
type postfix struct {
	dir  string
	port int
}

// newPostfix starts one. returns names the transport for mail to bounce.example.com, as transport(5) has it, and may
// hold DIR for the server's folder, which its user may read.
func newPostfix(t *testing.T, next *smtptest.Server, returns string) postfix {
	t.Helper()
	if testing.Short() {
		t.Skip("a mail server is not short")
	}
	const program = "/usr/sbin/postfix"
	_, err := os.Stat(program)
	needTool(t, err == nil && os.Geteuid() == 0, "postfix, or root to start it,")

	// Not t.TempDir: only its owner may enter that one, and most of Postfix runs as somebody else.
	dir, err := os.MkdirTemp("", "zonewire-postfix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"etc", "spool", "data"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "postfix", filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v: %s", err, out)
	}
	_, port, err := net.SplitHostPort(freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	p := postfix{dir: dir}
	fmt.Sscan(port, &p.port)

	for name, text := range map[string]string{"main.cf": postfixMain, "master.cf": postfixMaster} {
		text = strings.NewReplacer("RETURNS", strings.ReplaceAll(returns, "DIR", dir), "NEXT", fmt.Sprintf("[%s]:%d", next.Host, next.Port), "DIR", dir, "PORT", port).Replace(text)
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	etc := filepath.Join(dir, "etc")
	// Not `postfix start`: so it ends after two minutes even if this process is killed before its clean-up.
	for _, line := range [][]string{{program, "-c", etc, "check"}, {"/usr/lib/postfix/sbin/master", "-c", etc, "-e", "120", "-w"}} {
		if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s%s", strings.Join(line, " "), err, out, p.log())
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command(program, "-c", etc, "stop").CombinedOutput(); err != nil {
			t.Errorf("stop postfix: %v: %s", err, out)
		}
		if t.Failed() {
			t.Logf("postfix:\n%s", p.log())
		}
	})
	return p
}

func (p postfix) log() string {
	text, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

const postfixMain = `compatibility_level = 3.6
queue_directory = DIR/spool
data_directory = DIR/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.example.com
mydestination =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_dns_support_level = disabled
smtp_tls_security_level = none
relayhost = NEXT
transport_maps = inline:{ bounce.example.com=RETURNS }
maillog_file = DIR/log
maillog_file_prefixes = DIR
`

const postfixMaster = `127.0.0.1:PORT inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// refusing is a last server that takes all mail but that for two people.
func refusing(e smtptest.Event) smtptest.Action {
	switch {
	case e.Stage != smtptest.Rcpt:
	case strings.Contains(e.Arg, "<gone@example.net>"):
		return smtptest.Action{Reply: "550 5.1.1 <gone@example.net>: no such user"}
	case strings.Contains(e.Arg, "<chen@qq.com>"):
		return smtptest.Action{Reply: "550 Mail content denied"}
	}
	return smtptest.Action{}
}

// What the last server refuses comes back to the port that mail to our return domain goes to.
func TestARejectionComesBackThroughPostfix(t *testing.T) {
	last, sink := smtptest.New(t, smtptest.Options{Script: refusing}), smtptest.New(t, smtptest.Options{})
	p := newPostfix(t, last, fmt.Sprintf("smtp:[%s]:%d", sink.Host, sink.Port))
	s := newSite(t, append(smtpEnv(last), fmt.Sprintf("ZONEWIRE_MAIL_PORT=%d", p.port), "ZONEWIRE_MAIL_FROM=news@bounce.example.com")...)
	s.run("zone", "add", "hubin", "--name", "湖滨经济开发区")
	s.run("list", "add", "morning", "--title", "园区早报", "--schedule", "0 8 * * *", "--all")
	for _, email := range []string{"wang@example.net", "gone@example.net", "chen@qq.com"} {
		s.run("subscriber", "add", email, "--list", "morning", "--confirmed", "--consent", "test")
	}
	s.issue("湖滨开发区新项目开工")
	s.run("outbox", "drain")
	s.eventually("the reports", func() bool { return len(sink.Mails()) == 2 })
	for _, m := range sink.Mails() {
		if m.From != "" || m.To != "news@bounce.example.com" || !bytes.Contains(m.Raw, []byte("\r\nAction: failed\r\n")) {
			t.Errorf("no report of failure from <%s> to <%s>:\n%.3000s", m.From, m.To, m.Raw)
		}
	}
	if n := len(last.Mails()); n != 1 {
		t.Errorf("the last server took %d mails, want one", n)
	}
}

// issue makes a digest of one article.
func (s *site) issue(title string) {
	s.t.Helper()
	s.write("news.ndjson", fmt.Sprintf(`{"zone":"hubin","id":%q,"title":%[1]q,"content_text":"项目今日开工。"}`+"\n", title))
	s.run("article", "import", "news.ndjson")
	s.run("digest", "cut", "morning")
}
