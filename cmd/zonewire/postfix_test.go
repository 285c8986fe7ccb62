package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

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
smtp_connection_cache_on_demand = no
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

// lastServer takes all mail but that for two people. asked counts how often it was asked about each.
type lastServer struct {
	mu    sync.Mutex
	asked map[string]int
}

func (l *lastServer) script(e smtptest.Event) smtptest.Action {
	if e.Stage != smtptest.Rcpt {
		return smtptest.Action{}
	}
	_, to, _ := strings.Cut(e.Arg, "<")
	to, _, _ = strings.Cut(to, ">")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[to]++
	switch to {
	case "gone@example.net":
		return smtptest.Action{Reply: "550 5.1.1 no such user"}
	case "chen@qq.com":
		return smtptest.Action{Reply: "550 Mail content denied"}
	}
	return smtptest.Action{}
}

func (l *lastServer) count(to string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[to]
}

// A relay takes every mail, so what the recipient's server says of it comes back as a mail: by SMTP, or by LMTP from a
// mail server on the same machine. An address that does not exist gets nothing more; what was said of our mail is no
// reader's fault.
func TestARejectionComesBackThroughPostfix(t *testing.T) {
	for _, tt := range []struct{ name, listen, transport string }{
		{"by SMTP", "ADDR", "smtp:[127.0.0.1]:PORT"},
		{"by LMTP", "unix:DIR/bounce.sock", "lmtp:unix:DIR/bounce.sock"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rejected(t, tt.listen, tt.transport)
		})
	}
}

func rejected(t *testing.T, listen, transport string) {
	guard, addr := lastServer{asked: map[string]int{}}, freeAddr(t)
	last, bounces := smtptest.New(t, smtptest.Options{Script: guard.script}), freeAddr(t)
	_, port, err := net.SplitHostPort(bounces)
	if err != nil {
		t.Fatal(err)
	}
	p := newPostfix(t, last, strings.ReplaceAll(transport, "PORT", port))
	s := newSite(t, append(smtpEnv(last), fmt.Sprintf("ZONEWIRE_MAIL_PORT=%d", p.port), "ZONEWIRE_HTTP_LISTEN="+addr,
		"ZONEWIRE_MAIL_BOUNCE_DOMAIN=bounce.example.com", "ZONEWIRE_BOUNCE_LISTEN="+strings.NewReplacer("ADDR", bounces, "DIR", p.dir).Replace(listen))...)
	s.run("zone", "add", "hubin", "--name", "湖滨经济开发区")
	s.run("list", "add", "morning", "--title", "园区早报", "--schedule", "0 8 * * *", "--all")
	for _, email := range []string{"wang@example.net", "gone@example.net", "chen@qq.com"} {
		s.run("subscriber", "add", email, "--list", "morning", "--confirmed", "--consent", "test")
	}
	s.daemon(addr)

	s.issue("湖滨开发区新项目开工")
	s.eventually("both reports", func() bool { return len(s.bounces()) == 2 })
	type said struct {
		Kind, Verdict, Recipient, Status string
		Code                             int
		Known                            bool // the delivery that it is about
	}
	got := map[said]bool{}
	for _, b := range s.bounces() {
		got[said{b.Kind, b.Verdict, strings.Join(b.Recipients, " "), b.Status, b.Code, b.Delivery != 0}] = true
	}
	want := map[said]bool{
		{"bounce", "hard", "gone@example.net", "5.1.1", 550, true}: true,
		{"bounce", "policy", "chen@qq.com", "5.0.0", 550, true}:    true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("returned mail: -want +got:\n%s", diff)
	}
	for email, want := range map[string]string{"wang@example.net": "active", "gone@example.net": "bounced", "chen@qq.com": "active"} {
		if got := s.subscription(email); got != want {
			t.Errorf("%s is %s, want %s", email, got, want)
		}
	}
	if c := s.counts(); c["accepted"] != 1 || c["rejected"] != 2 {
		t.Errorf("counts %v, want one accepted and two rejected", c)
	}

	// The next issue goes to those who are left.
	s.issue("湖滨开发区又一个新项目开工")
	s.eventually("the next issue", func() bool { return len(last.Mails()) == 2 && len(s.bounces()) == 3 })
	if gone, chen := guard.count("gone@example.net"), guard.count("chen@qq.com"); gone != 1 || chen != 2 {
		t.Errorf("the last server was asked %d times about the address that does not exist, want once, and %d times about the one that exists, want twice", gone, chen)
	}
	if got := s.subscription("chen@qq.com"); got != "active" {
		t.Errorf("who was refused for our mail twice is %s, want active", got)
	}
}

// issue makes a digest of one article.
func (s *site) issue(title string) {
	s.t.Helper()
	s.write("news.ndjson", fmt.Sprintf(`{"zone":"hubin","id":%q,"title":%[1]q,"content_text":"项目今日开工。"}`+"\n", title))
	s.run("article", "import", "news.ndjson")
	s.run("digest", "cut", "morning")
}

func (s *site) bounces() []bounceView {
	s.t.Helper()
	var all []bounceView
	if err := json.Unmarshal([]byte(s.run("bounce", "ls", "-o", "json")), &all); err != nil {
		s.t.Fatal(err)
	}
	return all
}

// subscription is where the reader's only one stands.
func (s *site) subscription(email string) string {
	s.t.Helper()
	var v subscriberView
	if err := json.Unmarshal([]byte(s.run("subscriber", "show", email, "-o", "json")), &v); err != nil || len(v.Subscriptions) != 1 {
		s.t.Fatalf("subscriber %s: %v, %+v", email, err, v)
	}
	return v.Subscriptions[0].State
}
