package pgtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Nodes is how many servers a [Cluster] has: one that writes, one that has all the first has told its clients (it may take
// over), and one that becomes such when the second has taken over.
const Nodes = 3

// Nodes of a cluster need some 20 s to notice that the primary is gone, and a busy machine takes longer.
const clusterPatience = 2 * time.Minute

// Cluster is a PostgreSQL primary and its replicas under Patroni, which makes a replica the primary when that is lost.
type Cluster struct {
	dir   string // each node, and etcd, lives in a folder of its own in it
	nodes [Nodes]clusterNode
}

type clusterNode struct {
	name         string
	port, api    int // of PostgreSQL; of Patroni
	dir          string
	lost, frozen bool
}

// StartCluster starts three nodes and waits until each follows the primary and one of them synchronously. It ends with
// the test.
//
// Replication is synchronous but not strict: Patroni promotes nobody who may lack a commit that a client has seen
// acknowledged, and the primary goes on alone when nobody is left to follow it. With the strict mode one more loss would
// only stop the writing. The times are the shortest that Patroni's manual allows: the primary's lease of 20 s runs out before
// another may take over. etcd, which holds the lease, is one node: it is not what is tried here.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	need(t)
	for _, program := range []string{"patroni", "etcd"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed: run scripts/test-deps", program)
			}
			t.Skipf("%s is not installed: run scripts/test-deps", program)
		}
	}
	dir, err := Folder()
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{dir: dir}
	t.Cleanup(func() {
		if t.Failed() {
			c.logs(t)
		}
		if err := c.remove(); err != nil {
			t.Error(err)
		}
	})
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	c.WaitForReplicas(t, Nodes-1)
	return c
}

func (c *Cluster) start() error {
	client, err := FreePort()
	if err != nil {
		return err
	}
	peer, err := FreePort()
	if err != nil {
		return err
	}
	etcd := fmt.Sprintf("127.0.0.1:%d", client)
	peers := fmt.Sprintf("http://127.0.0.1:%d", peer)
	if err := c.daemon("etcd", "etcd", "--name", "etcd", "--data-dir", "data", "--log-level", "warn",
		"--listen-client-urls", "http://"+etcd, "--advertise-client-urls", "http://"+etcd,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "etcd="+peers); err != nil {
		return err
	}
	for i := range c.nodes {
		n := &c.nodes[i]
		n.name = fmt.Sprintf("node%d", i+1)
		n.dir = filepath.Join(c.dir, n.name)
		if n.port, err = FreePort(); err != nil {
			return err
		}
		if n.api, err = FreePort(); err != nil {
			return err
		}
		// Patroni and initdb make what else they need.
		config := n.dir + ".yml"
		if err := os.WriteFile(config, []byte(n.config(etcd)), 0o644); err != nil {
			return err
		}
		if err := c.daemon(n.name, "patroni", config); err != nil {
			return err
		}
	}
	return nil
}

// config is Patroni's. What PostgreSQL shares between its processes lies in its folder, so that a kill leaves nothing
// elsewhere. Commits are flushed to the disk on each node, as they should be.
func (n *clusterNode) config(etcd string) string {
	return fmt.Sprintf(`scope: zonewire
name: %[1]s
restapi: {listen: "127.0.0.1:%[2]d", connect_address: "127.0.0.1:%[2]d"}
etcd3: {host: "%[3]s"}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 5
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters: {max_connections: 200}
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}]
postgresql:
  listen: "127.0.0.1:%[4]d"
  connect_address: "127.0.0.1:%[4]d"
  data_dir: "%[5]s/data"
  bin_dir: "%[6]s"
  pgpass: "%[5]s/pgpass"
  pg_hba: ["local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"]
  authentication: {superuser: {username: postgres}, replication: {username: postgres}}
  parameters: {unix_socket_directories: "%[5]s", dynamic_shared_memory_type: mmap}
watchdog: {mode: "off"}
`, n.name, n.api, etcd, n.port, n.dir, bindir())
}

// daemon starts a program in a folder of its own. All that comes of it works there, which is how it is found again:
// Patroni's PostgreSQL is nobody's child.
func (c *Cluster) daemon(name, program string, args ...string) error {
	cmd, err := Command(program, args...)
	if err != nil {
		return err
	}
	cmd.Dir = filepath.Join(c.dir, name)
	if err := os.Mkdir(cmd.Dir, 0o700); err != nil {
		return err
	}
	if as := cmd.SysProcAttr.Credential; as != nil {
		if err := os.Chown(cmd.Dir, int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	log, err := os.Create(cmd.Dir + ".log")
	if err != nil {
		return err
	}
	defer log.Close() // the daemon has its own
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM // Patroni then stops its PostgreSQL
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // ends with remove, which kills it
	return nil
}

// DSN is the address of a database on whichever node takes writes.
func (c *Cluster) DSN(database string) string {
	var hosts []string
	for _, n := range c.nodes {
		hosts = append(hosts, "127.0.0.1:"+strconv.Itoa(n.port))
	}
	return "postgres://postgres@" + strings.Join(hosts, ",") + "/" + database + "?target_session_attrs=read-write"
}

// Database makes an empty database in the cluster and gives its DSN.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	Query(t, c.DSN("postgres"), "CREATE DATABASE "+name)
	return c.DSN(name)
}

// Primary names the node that takes writes now, or nothing. It asks PostgreSQL itself, not Patroni.
func (c *Cluster) Primary() string {
	for _, n := range c.nodes {
		if n.lost || n.frozen {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		out, err := exec.CommandContext(ctx, "psql", "--no-psqlrc", "-qAt", "-c", "SELECT pg_is_in_recovery()",
			fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres", n.port)).Output()
		cancel()
		if err == nil && strings.TrimSpace(string(out)) == "f" {
			return n.name
		}
	}
	return ""
}

// WaitForPrimary waits until a node takes writes and names it.
func (c *Cluster) WaitForPrimary(t testing.TB) string {
	t.Helper()
	for end := time.Now().Add(clusterPatience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if name := c.Primary(); name != "" {
			return name
		}
	}
	t.Fatal("the cluster has no primary")
	return ""
}

// WaitForReplicas waits until as many nodes follow the primary, one of them synchronously: only that one may take over.
func (c *Cluster) WaitForReplicas(t testing.TB, want int) {
	t.Helper()
	var err error
	var roles map[string]int
	for end := time.Now().Add(clusterPatience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for _, n := range c.nodes {
			if n.lost || n.frozen {
				continue
			}
			if roles, err = n.roles(); err == nil && roles["leader"] == 1 && roles["sync_standby"] == 1 && roles["replica"] == want-1 {
				return
			}
		}
	}
	t.Fatalf("the cluster has %v, want %d replicas; %v", roles, want, err)
}

// roles counts what the nodes are that run, as Patroni knows it.
func (n *clusterNode) roles() (map[string]int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/cluster", n.api), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var cluster struct {
		Members []struct{ Role, State string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&cluster); err != nil {
		return nil, err
	}
	roles := map[string]int{}
	for _, m := range cluster.Members {
		if m.State == "running" || m.State == "streaming" {
			roles[m.Role]++
		}
	}
	return roles, nil
}

// KillPrimary ends all of the primary's node at once, as a machine that loses power, and names it. The node does not
// come back.
func (c *Cluster) KillPrimary(t testing.TB) string {
	t.Helper()
	n := c.primaryNode(t)
	n.lost = true
	if err := n.powerOff(); err != nil {
		t.Fatal(err)
	}
	return n.name
}

// FreezePrimary stops all of the primary's node and names it: it holds its connections and answers nothing, as a machine
// behind a cable that was cut.
func (c *Cluster) FreezePrimary(t testing.TB) string {
	t.Helper()
	n := c.primaryNode(t)
	n.frozen = true
	if err := n.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	return n.name
}

// Thaw lets a frozen node go on, which does not know that time has passed. It never counts as the primary again.
func (c *Cluster) Thaw(t testing.TB, name string) {
	t.Helper()
	for i := range c.nodes {
		if n := &c.nodes[i]; n.name == name && n.frozen {
			if err := n.signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%s is not frozen", name)
}

func (n *clusterNode) signal(sig syscall.Signal) error {
	for _, pid := range processesIn(n.dir) {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("%v to %d: %w", sig, pid, err)
		}
	}
	return nil
}

func (c *Cluster) primaryNode(t testing.TB) *clusterNode {
	t.Helper()
	name := c.Primary()
	for i := range c.nodes {
		if c.nodes[i].name == name {
			return &c.nodes[i]
		}
	}
	t.Fatal("the cluster has no primary")
	return nil
}

// powerOff kills a node and removes the one thing that a killed PostgreSQL leaves outside its folder.
func (n *clusterNode) powerOff() error {
	err := killIn(n.dir)
	pidfile, gone := os.ReadFile(filepath.Join(n.dir, "data", "postmaster.pid"))
	if gone != nil {
		return err // it did not run
	}
	// The seventh line is the key and the number of a bit of shared memory by which a server knows that it is alone.
	if lines := strings.Split(string(pidfile), "\n"); len(lines) > 6 {
		if f := strings.Fields(lines[6]); len(f) == 2 {
			out, failed := exec.Command("ipcrm", "-m", f[1]).CombinedOutput()
			if failed != nil && !strings.Contains(string(out), "invalid id") && !strings.Contains(string(out), "already removed") {
				err = errors.Join(err, fmt.Errorf("ipcrm: %w: %s", failed, out))
			}
		}
	}
	return err
}

func (c *Cluster) remove() error {
	var err error
	for i := range c.nodes {
		if n := &c.nodes[i]; n.dir != "" && !n.lost {
			err = errors.Join(err, n.powerOff())
		}
	}
	return errors.Join(err, killIn(c.dir), os.RemoveAll(c.dir))
}

// logs shows the end of what the daemons said.
func (c *Cluster) logs(t testing.TB) {
	files, _ := filepath.Glob(filepath.Join(c.dir, "*.log")) // fails for a bad pattern only
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s: …%s", filepath.Base(f), text[max(0, len(text)-3000):])
	}
}

// processesIn lists the processes whose working directory is this folder or below.
func processesIn(dir string) []int {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd") // fails for a bad pattern only
	var pids []int
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil {
			continue // it has ended, or is another user's
		}
		if cwd == dir || strings.HasPrefix(cwd, dir+"/") {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// killIn kills the processes that work in a folder until there are none: the last may just have started another.
func killIn(dir string) error {
	for range 500 {
		pids := processesIn(dir)
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill %d: %w", pid, err)
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("processes in %s do not end", dir)
}
