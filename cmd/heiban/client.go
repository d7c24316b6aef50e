package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// connection holds the flags that every client command has.
type connection struct {
	bootstrap string
	timeout   time.Duration
}

func (c *connection) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&c.bootstrap, "bootstrap", "127.0.0.1:9092",
		"brokers to connect to first, as HOST:PORT,HOST:PORT")
	cmd.PersistentFlags().DurationVar(&c.timeout, "timeout", 15*time.Second,
		"give up when no broker answers for this long")
}

// client connects with further options.
func (c *connection) client(options ...kgo.Opt) (*kgo.Client, error) {
	seeds := strings.Split(c.bootstrap, ",")
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(seeds...),
		kgo.ClientID("heiban"),
		kgo.RetryTimeout(c.timeout),
		kgo.DialTimeout(c.timeout),
	}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", c.bootstrap, err)
	}
	return client, nil
}

func (c *connection) admin() (*kadm.Client, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	admin := kadm.NewClient(client)
	admin.SetTimeoutMillis(int32(c.timeout.Milliseconds()))
	return admin, nil
}

// cobraUsage recognises the complaints of cobra about arguments, which have no type.
func cobraUsage(err error) bool {
	text := err.Error()
	for _, sign := range []string{"arg(s)", "required flag", "flags in the group"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// pairs parses repeated key=value flags.
func pairs(flag string, values []string) (map[string]string, error) {
	parsed := make(map[string]string, len(values))
	for _, v := range values {
		key, value, ok := strings.Cut(v, "=")
		if !ok || key == "" {
			return nil, wrongUse("--%s %q: want key=value", flag, v)
		}
		parsed[key] = value
	}
	return parsed, nil
}
