package main

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"zonewire"
	"zonewire/internal/address"
)

// newConfig is "zonewire config".
func newConfig(a *app) *cobra.Command {
	cmd := noun("config", "The configuration: what is set, and from where", newConfigShow(a), newConfigCheck(a))
	cmd.Long = `The configuration is read from --config, $ZONEWIRE_CONFIG, ./zonewire.toml or
/etc/zonewire/zonewire.toml, the first that exists. Each key is also a variable,
ZONEWIRE_SECTION_KEY, such as ZONEWIRE_MAIL_HOST for mail.host. Flags win over
variables, variables over the file. Without any of them everything has a default.`
	cmd.Annotations = map[string]string{noConfig: "y"} // so that a broken one can be looked at
	return cmd
}

// setting is a key of the configuration as config show prints it.
type setting struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Origin string `json:"origin"`
}

func newConfigShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Print every key, its value and where it came from",
		Example: `  zonewire config show
  zonewire config show -o json`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			s, err := loadSettings(a.flags.config, a.flags.db, a.environ)
			if err != nil {
				return err
			}
			var items []setting
			var rows [][]string
			add := func(key string, value any, origin string) {
				items = append(items, setting{key, value, origin})
				rows = append(rows, []string{key, valueText(value), origin})
			}
			for _, key := range sortedKeys(s.values) {
				value := s.values[key]
				if key == "db" {
					value = maskPassword(s.cfg.DB)
				}
				add(key, value, s.origin[key])
			}
			for _, key := range secretKeys {
				if _, ok := lookup(s.environ, envName(key)); ok {
					add(key, "********", envName(key))
				}
			}
			return a.out.list(items, []string{"KEY", "VALUE", "FROM"}, rows, "")
		},
	}
}

func valueText(v any) string {
	if s, ok := v.(string); ok && s != "" {
		return s
	}
	if list, ok := v.([]string); ok {
		return "[" + strings.Join(list, ", ") + "]"
	}
	if v == "" {
		return `""`
	}
	return fmt.Sprint(v)
}

var (
	passwordInUser  = regexp.MustCompile(`(://[^:@/?]*:).*@`)
	passwordInQuery = regexp.MustCompile(`(?i)(password=)[^&]*`)
)

// maskPassword hides the password of a database's address. It goes by the text: an address with several hosts is no URL to
// Go, and what is mistyped must be hidden too.
func maskPassword(dsn string) string {
	return passwordInQuery.ReplaceAllString(passwordInUser.ReplaceAllString(dsn, "${1}********@"), "${1}********")
}

func newConfigCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "check",
		Short:   "Check every value, and that the files named exist",
		Example: "  zonewire --config /etc/zonewire/zonewire.toml config check",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := loadSettings(a.flags.config, a.flags.db, a.environ)
			if err != nil {
				return err
			}
			problems := append(s.problems(), s.missingFiles()...)
			texts, warnings := []string{}, []string{}
			if len(problems) == 0 { // else a key that is missing would be told twice
				signer, err := s.signer()
				if err != nil {
					problems = append(problems, err)
				} else if signer != nil && signer.Weak() != "" {
					warnings = append(warnings, "mail.dkim_key: "+signer.Weak())
				}
			}
			for _, p := range problems {
				texts = append(texts, p.Error())
			}
			for _, w := range warnings {
				fmt.Fprintf(a.out.note, "note: %s\n", w)
			}
			if a.out.json {
				err = a.out.object(map[string]any{"file": s.file, "problems": texts, "warnings": warnings})
			} else if len(texts) == 0 {
				file := s.file
				if file == "" {
					file = "no file, defaults only"
				}
				err = a.out.say(nil, "the configuration is fine (%s)", file)
			}
			if err != nil || len(texts) == 0 {
				return err
			}
			for _, text := range texts {
				fmt.Fprintf(a.stderr, "%s: %s\n", where(cmd), oneLine(text))
			}
			return errReported
		},
	}
}

// problems tells every value that cannot be used, as [zonewire.ErrInvalid], with the place it came from.
func (s settings) problems() []error {
	var all []error
	bad := func(key, format string, args ...any) {
		place := s.origin[key]
		if place == defaultOrigin {
			place = "configuration"
		}
		all = append(all, zonewire.Invalidf("%s: %s: %s", place, key, fmt.Sprintf(format, args...)))
	}
	oneOf := func(key, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			bad(key, "%q is none of %s", value, strings.Join(allowed, ", "))
		}
	}
	between := func(key string, n, low, high int) {
		if n < low || n > high {
			bad(key, "%d is not between %d and %d", n, low, high)
		}
	}
	addressLine := func(key, value string) {
		if _, err := mail.ParseAddress(value); err != nil {
			bad(key, "%q is no address: write it as %s", value, Default().Mail.From)
		}
	}
	duration := func(key, value string) {
		if _, err := parseDuration(value); err != nil {
			bad(key, "%v", err)
		}
	}

	c := s.cfg
	if c.DB == "" {
		bad("db", "it is empty")
	}
	if u, err := url.Parse(c.HTTP.BaseURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		bad("http.base_url", "%q is no address of a site: write it as https://news.example.org", c.HTTP.BaseURL)
	}
	between("http.proof_of_work", c.HTTP.ProofOfWork, 0, 22)
	if _, err := clientOf(c.HTTP.TrustedProxies); err != nil {
		bad("http.trusted_proxies", "%v", err)
	}
	oneOf("mail.transport", c.Mail.Transport, "maildir", "smtp")
	oneOf("mail.tls", c.Mail.TLS, "starttls", "implicit", "none")
	oneOf("mail.uncertain", c.Mail.Uncertain, string(zonewire.Resend), string(zonewire.Hold))
	if c.Mail.Transport == "smtp" && c.Mail.Host == "" {
		bad("mail.host", "it is empty, and mail.transport is smtp: name the server that takes the mail")
	}
	addressLine("mail.from", c.Mail.From)
	if c.Mail.ReplyTo != "" {
		addressLine("mail.reply_to", c.Mail.ReplyTo)
	}
	between("mail.port", c.Mail.Port, 1, 65535)
	between("mail.connections", c.Mail.Connections, 1, 1000)
	if !(c.Mail.Rate >= 0 && c.Mail.Rate <= 1e6) { // so that NaN is refused too
		bad("mail.rate", "%v is not between 0 (no limit) and 1000000", c.Mail.Rate)
	}
	if l := c.Bounce.Listen; l != "" {
		if c.Mail.BounceDomain == "" {
			bad("mail.bounce_domain", "it is empty, and bounce.listen receives for it: name the domain that returned mail goes to")
		}
		if _, _, err := net.SplitHostPort(l); err != nil && !strings.HasPrefix(l, "unix:/") {
			bad("bounce.listen", "%q is no address: write it as 127.0.0.1:2525, or as unix:/run/zonewire/lmtp.sock", l)
		}
	}
	if d := c.Mail.BounceDomain; d != "" {
		if _, err := address.Parse("b@" + d); err != nil {
			bad("mail.bounce_domain", "%q is no domain: write it as bounce.example.org", d)
		}
	}
	s.signingProblems(bad)
	between("feed.max_items", c.Feed.MaxItems, 1, 500)
	between("feed.max_bytes", c.Feed.MaxBytes, 10_000, 50_000_000)
	between("feed.cache_bytes", c.Feed.CacheSize, 1<<20, 1<<40)
	for _, hub := range c.WebSub.Hubs {
		if u, err := url.Parse(hub); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Fragment != "" {
			bad("websub.hubs", "%q is no address of a hub: write it as https://pubsubhubbub.appspot.com/", hub)
		}
	}
	between("backup.keep", c.Backup.Keep, 1, 10_000)
	if c.Operator.Email != "" {
		if _, err := address.Parse(c.Operator.Email); err != nil {
			bad("operator.email", "%v", err)
		}
	}
	oneOf("operator.locale", c.Operator.Locale, zonewire.Locales()...)
	duration("retention.content", c.Retention.Content)
	duration("retention.deliveries", c.Retention.Deliveries)
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf("log.format", c.Log.Format, "text", "json")
	return all
}

// missingFiles tells every file and folder that the configuration names and that cannot be read. The secret's is not
// among them: the first command makes it.
func (s settings) missingFiles() []error {
	var all []error
	for _, key := range secretKeys[1:] {
		if _, err := s.secretText(key); err != nil {
			all = append(all, err)
		}
	}
	for _, key := range []string{"templates.dir", "calendar.cn_file"} {
		if path, _ := s.values[key].(string); path != "" {
			if _, err := os.Stat(path); err != nil {
				all = append(all, fmt.Errorf("%s: %w", key, errors.Unwrap(err)))
			}
		}
	}
	return all
}
