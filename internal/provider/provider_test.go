package provider_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"zonewire/internal/provider"
)

func TestGroup(t *testing.T) {
	tests := []struct{ domain, want string }{
		{"qq.com", provider.QQ},
		{"foxmail.com", provider.QQ},
		{"vip.163.com", provider.NetEase},
		{"188.com", provider.NetEase},
		{"googlemail.com", provider.Gmail},
		{"passport.com", provider.Outlook},
		{"aol.com", provider.Yahoo},
		{"yahoo.com.hk", provider.Yahoo},
		{"qq.com.", provider.QQ}, // with the root
		{"sohu.com", "sohu.com"},
		{"exmail.qq.com", "exmail.qq.com"},
		{"notqq.com", "notqq.com"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := provider.Group(tt.domain); got != tt.want {
			t.Errorf("%q is of %q, want %q", tt.domain, got, tt.want)
		}
	}
}

// Addresses from before the migration got their group from SQL, later ones from Group: both must agree, or a provider is
// paced twice.
func TestGroupAgreesWithTheMigration(t *testing.T) {
	const file = "../../store/migrations/sqlite/0002_delivery.sql" // PostgreSQL came later, when there were no such addresses
	sql, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`provider = '(\w+)' WHERE provider IN \(([^)]+)\)`)
	got := map[string][]string{}
	for _, m := range line.FindAllStringSubmatch(string(sql), -1) {
		for domain := range strings.SplitSeq(m[2], ",") {
			domain = strings.Trim(strings.TrimSpace(domain), "'")
			got[m[1]] = append(got[m[1]], domain)
			if group := provider.Group(domain); group != m[1] {
				t.Errorf("%s: %s is of %q, Group says %q", file, domain, m[1], group)
			}
		}
	}
	want := map[string]int{provider.QQ: 3, provider.NetEase: 6, provider.Gmail: 2, provider.Outlook: 7, provider.Yahoo: 8}
	for group, n := range want {
		if domains := slices.Compact(slices.Sorted(slices.Values(got[group]))); len(domains) != n {
			t.Errorf("%s: %s has %d domains %v, want %d", file, group, len(domains), domains, n)
		}
	}
}

func TestLimitsOf(t *testing.T) {
	tests := []struct {
		group string
		want  provider.Limits
	}{
		{provider.QQ, provider.Limits{Connections: 4, MailsPerConnection: 8}},
		{provider.NetEase, provider.Limits{Connections: 4, MailsPerConnection: 7}},
		{provider.Gmail, provider.Limits{Connections: 5, MailsPerConnection: 50}},
		{provider.Outlook, provider.Limits{Connections: 5, MailsPerConnection: 50}},
		{provider.Yahoo, provider.Limits{Connections: 5, MailsPerConnection: 20}},
		{"example.net", provider.Limits{}},
		{"", provider.Limits{}},
	}
	for _, tt := range tests {
		if got := provider.LimitsOf(tt.group); got != tt.want {
			t.Errorf("%q: %+v, want %+v", tt.group, got, tt.want)
		}
	}
}
