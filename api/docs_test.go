package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// command is a command of docs/api.md and the answer that the document promises, if it does.
type command struct{ sh, answer string }

func documentedCommands(t *testing.T) []command {
	t.Helper()
	text, err := os.ReadFile("../docs/api.md")
	fatal(t, err)
	var all []command
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```\n(?:\n```json\n(.*?)```\n)?").FindAllSubmatch(text, -1) {
		all = append(all, command{string(m[1]), string(m[2])})
	}
	return all
}

// values reads one JSON value after another.
func values(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var v any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		fmt.Fprintln(&out, v)
	}
}

func TestTheCommandsOfTheDocumentAnswerAsItSays(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "iconv"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	s := realSite(t)
	server := httptest.NewServer(s.handler)
	defer server.Close()
	commands := documentedCommands(t)
	if len(commands) != 9 {
		t.Errorf("the document has %d commands: did their form change?", len(commands))
	}
	for _, c := range commands {
		cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", c.sh)
		cmd.Env = append(os.Environ(), "SITE="+server.URL, "TOKEN="+tokenJintan, "no_proxy=*", "LC_ALL=C.UTF-8")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v %s", c.sh, err, stderr.String())
		}
		if c.answer == "" {
			if strings.Contains(string(out), "about:blank") {
				t.Errorf("%s\nfails: %s", c.sh, out)
			}
			continue
		}
		if got, want := values(t, string(out)), values(t, c.answer); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", c.sh, got, want)
		}
	}
	// The one in GBK has arrived, and was withdrawn after.
	a, err := s.store.ArticleByExternal(context.Background(), 1, "1002")
	if err != nil || a.Title != "青禾湖人才公寓交付" || a.Charset != "gb18030" || a.Reason != "数据有误" {
		t.Errorf("%+v, %v", a, err)
	}
}

// The PHP of the document cannot be run here: what it sends can be looked at.
func TestThePluginOfTheDocumentSendsWhatIsRead(t *testing.T) {
	text, err := os.ReadFile("../docs/api.md")
	fatal(t, err)
	php := regexp.MustCompile("(?s)```php\n(.*?)```").FindSubmatch(text)
	if php == nil {
		t.Fatal("the document has no PHP")
	}
	known, _ := openapi(t).at("components", "schemas", "NewArticle", "properties")
	_, body, _ := strings.Cut(string(php[1]), "wp_json_encode")
	names := regexp.MustCompile(`(?m)^\s*'(\w+)'\s+=>`).FindAllStringSubmatch(body, -1)
	if len(names) != 7 {
		t.Errorf("it sends %d fields: did their form change?", len(names))
	}
	for _, name := range names {
		if known[name[1]] == nil {
			t.Errorf("the API does not know %s", name[1])
		}
	}
}

func TestEveryStatusIsInTheTableOfErrors(t *testing.T) {
	text, err := os.ReadFile("../docs/api.md")
	fatal(t, err)
	statuses := map[string]bool{"405": true}
	for _, item := range openapi(t).doc["paths"].(map[string]any) {
		for _, op := range item.(map[string]any) {
			if op, ok := op.(map[string]any); ok {
				responses, _ := op["responses"].(map[string]any)
				for status := range responses {
					statuses[status] = status >= "400"
				}
			}
		}
	}
	for status, failure := range statuses {
		if failure && !strings.Contains(string(text), "\n| "+status+" |") {
			t.Errorf("docs/api.md does not say what %s means", status)
		}
	}
}
