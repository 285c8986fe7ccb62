package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zonewire/internal/pgtest"
)

const deployed = "../../deploy/replicas"

// deployedFile is a file of deploy/replicas with what is of another machine replaced; each must be in it.
func deployedFile(t *testing.T, name string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deployed, name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			t.Fatalf("%s does not hold %q", name, replace[i])
		}
		text = []byte(strings.ReplaceAll(string(text), replace[i], replace[i+1]))
	}
	return string(text)
}

func TestTheConfigurationOfTheReplicasIsSound(t *testing.T) {
	s := newSite(t)
	s.write("zonewire.secret", strings.Repeat("0f", secretBytes)+"\n")
	s.write("pgpass", "*:*:*:zonewire:geheim\n")
	s.write("zonewire.toml", deployedFile(t, "zonewire.toml", "/run/secrets/zonewire_secret", "zonewire.secret", "/run/secrets/pgpass", filepath.Join(s.dir, "pgpass")))
	s.run("config", "check")
	shown := s.run("config", "show")
	dsn := regexp.MustCompile(`postgres://\S+?passfile=`).FindString(deployedFile(t, "zonewire.toml"))
	if config, err := pgx.ParseConfig(dsn + filepath.Join(s.dir, "pgpass")); err != nil || config.Password != "geheim" {
		t.Errorf("%s: the password is not that of the file: %v", dsn, err)
	}
	compose := deployedFile(t, "compose.yaml")
	for _, v := range regexp.MustCompile(`ZONEWIRE_[A-Z_]+`).FindAllString(compose, -1) {
		key := strings.ToLower(strings.Replace(strings.TrimPrefix(v, envPrefix), "_", ".", 1))
		if v != "ZONEWIRE_CONFIG" && !strings.Contains(shown, key) {
			t.Errorf("compose.yaml sets %s, which is no key", v)
		}
	}
	if subnet := regexp.MustCompile(`subnet: (\S+)`).FindStringSubmatch(compose); subnet == nil || !strings.Contains(shown, subnet[1]) {
		t.Errorf("http.trusted_proxies is not the network of compose.yaml, %v", subnet)
	}
}

func TestComposeTakesTheFile(t *testing.T) {
	if exec.Command("docker", "compose", "version").Run() != nil {
		t.Skip("no docker compose")
	}
	if out, err := exec.Command("docker", "compose", "--file", filepath.Join(deployed, "compose.yaml"), "config", "--quiet").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Readers are sent to replicas that are ready. One that is killed is not missed; and while the database is away they get the
// feeds from whoever has them.
func TestTheProxySendsReadersWhereTheyAreServed(t *testing.T) {
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("HAProxy is not installed (Debian: apt-get install haproxy)")
	}
	t.Parallel() // it mostly waits
	line := pgtest.Proxy(t, pgtest.Database(t))
	s := newPostgresSite(t, line.DSN(), "ZONEWIRE_HTTP_TRUSTED_PROXIES=127.0.0.1")
	s.run("zone", "add", "hubin", "--name", "湖滨经济开发区")
	s.writeSample(1)
	s.publish()
	all := s.replicas(2)
	site := freeAddr(t)
	s.write("haproxy.cfg", deployedFile(t, "haproxy.cfg",
		"bind :80\n", "bind "+site+"\n", "server a a:8080", "server a "+all[0].addr, "server b b:8080", "server b "+all[1].addr,
		"resolvers docker init-addr libc,none\n", "\n"))
	cmd := exec.Command(haproxy, "-db", "-f", "haproxy.cfg")
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()         // killed: how it ended is no news
		if t.Failed() {
			t.Log(log.String())
		}
	})
	paths := []string{"/zones/hubin", "/zones/hubin/feed.atom", "/feed.json"}
	ask := func(path string) (status int) {
		res, err := http.Get("http://" + site + path)
		if err != nil {
			return 0
		}
		if err := res.Body.Close(); err != nil {
			return 0
		}
		return res.StatusCode
	}
	answers := func(what ...int) func() bool {
		return func() bool {
			var got []int
			for _, path := range paths {
				got = append(got, ask(path))
			}
			return slices.Equal(got, what)
		}
	}
	s.within(time.Minute, "the proxy to find the replicas", answers(200, 200, 200))
	if status := ask("/metrics"); status != http.StatusNotFound {
		t.Errorf("/metrics through the proxy: %d", status)
	}

	all[0].kill()
	failed := 0
	for range 100 {
		for _, path := range paths {
			if ask(path) != http.StatusOK {
				failed++
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	if failed > 0 {
		t.Errorf("%d of 300 requests failed after a replica was killed", failed)
	}
	again := s.command("serve")
	again.Env = append(again.Env, "ZONEWIRE_HTTP_LISTEN="+all[0].addr, "ZONEWIRE_HTTP_BASE_URL=https://news.example.com")
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := again.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := again.Wait(); err != nil {
			t.Errorf("the replica that was started again ended with %v", err)
		}
	})
	s.within(time.Minute, "the replica to be ready again", all[0].ready)

	for _, path := range paths[1:] { // what nobody has asked for is not in its memory
		for _, r := range all {
			r.fetch(path)
		}
	}
	line.Cut()
	s.within(time.Minute, "feeds without the database, and no page", answers(503, 200, 200))
	line.Heal()
	s.within(time.Minute, "all of it again", answers(200, 200, 200))
}
