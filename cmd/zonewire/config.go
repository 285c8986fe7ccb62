package main

// Config is the configuration: one field a key of the file, sections as structs. Default shows every value.
type Config struct {
	DB         string `koanf:"db"`
	SecretFile string `koanf:"secret_file"`

	HTTP struct {
		Listen         string   `koanf:"listen"`
		BaseURL        string   `koanf:"base_url"`
		TrustedProxies []string `koanf:"trusted_proxies"`
		MetricsListen  string   `koanf:"metrics_listen"`
		ProofOfWork    int      `koanf:"proof_of_work"` // leading zero bits, 0 = none
	} `koanf:"http"`

	Mail struct {
		Transport           string  `koanf:"transport"`
		Maildir             string  `koanf:"maildir"`
		From                string  `koanf:"from"`
		ReplyTo             string  `koanf:"reply_to"`
		PostalAddress       string  `koanf:"postal_address"`
		Host                string  `koanf:"host"`
		Port                int     `koanf:"port"`
		TLS                 string  `koanf:"tls"`
		Username            string  `koanf:"username"`
		PasswordFile        string  `koanf:"password_file"`
		HELO                string  `koanf:"helo"`
		Connections         int     `koanf:"connections"`
		Rate                float64 `koanf:"rate"` // mails a second over all connections, 0 = no limit
		DKIMDomain          string  `koanf:"dkim_domain"`
		DKIMSelector        string  `koanf:"dkim_selector"`
		DKIMKeyFile         string  `koanf:"dkim_key_file"`
		DKIMEd25519Selector string  `koanf:"dkim_ed25519_selector"`
		DKIMEd25519KeyFile  string  `koanf:"dkim_ed25519_key_file"`
		BounceDomain        string  `koanf:"bounce_domain"`
		Uncertain           string  `koanf:"uncertain"`
	} `koanf:"mail"`

	Bounce struct {
		Listen string `koanf:"listen"`
	} `koanf:"bounce"`

	Feed struct {
		Authority string `koanf:"authority"`
		MaxItems  int    `koanf:"max_items"`
		MaxBytes  int    `koanf:"max_bytes"`
		CacheSize int    `koanf:"cache_bytes"`
	} `koanf:"feed"`

	Ingest struct {
		AllowPrivate bool `koanf:"allow_private"`
	} `koanf:"ingest"`

	WebSub struct {
		Enabled      bool     `koanf:"enabled"`
		Hubs         []string `koanf:"hubs"`
		AllowPrivate bool     `koanf:"allow_private"`
	} `koanf:"websub"`

	Operator struct {
		Email  string `koanf:"email"`
		Locale string `koanf:"locale"`
		Report string `koanf:"report"`
	} `koanf:"operator"`

	Backup struct {
		Dir      string `koanf:"dir"`
		Schedule string `koanf:"schedule"`
		Keep     int    `koanf:"keep"`
	} `koanf:"backup"`

	Retention struct {
		Content    string `koanf:"content"`    // a duration, 0 = for ever
		Deliveries string `koanf:"deliveries"` // a duration, 0 = for ever
	} `koanf:"retention"`

	Templates struct {
		Dir string `koanf:"dir"`
	} `koanf:"templates"`

	Calendar struct {
		CNFile string `koanf:"cn_file"`
	} `koanf:"calendar"`

	API struct {
		QueryToken bool `koanf:"query_token"`
	} `koanf:"api"`

	Log struct {
		Level  string `koanf:"level"`
		Format string `koanf:"format"`
	} `koanf:"log"`
}

// defaultSecretFile lies beside a database file, so that a command finds both from any folder.
const defaultSecretFile = "zonewire.secret"

// Default is the configuration of an empty file: everything on this machine, mail into a Maildir.
func Default() Config {
	var c Config
	c.DB = "zonewire.db"
	c.SecretFile = defaultSecretFile
	c.HTTP.Listen = "127.0.0.1:8080"
	c.HTTP.BaseURL = "http://localhost:8080"
	c.HTTP.TrustedProxies = []string{}
	c.Mail.Transport = "maildir"
	c.Mail.Maildir = "mail"
	c.Mail.From = "Zone News <news@localhost>"
	c.Mail.Port = 587
	c.Mail.TLS = "starttls"
	c.Mail.Connections = 10
	c.Mail.Uncertain = "resend"
	c.Feed.MaxItems = 50
	c.Feed.MaxBytes = 512 * 1024
	c.Feed.CacheSize = 128 << 20
	c.WebSub.Enabled = true
	c.WebSub.Hubs = []string{}
	c.Operator.Locale = "zh-CN"
	c.Backup.Keep = 7
	c.Retention.Content = "0"
	c.Retention.Deliveries = "90d"
	c.Log.Level = "info"
	c.Log.Format = "text"
	return c
}
