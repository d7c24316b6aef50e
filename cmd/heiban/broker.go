package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" // its handlers are served with --pprof only
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/magiconair/properties"
	"github.com/spf13/cobra"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/realnet"
)

type brokerFlags struct {
	configFile string
	clusterID  string
	data       string
	listen     string
	metrics    string
	pprof      string
	logLevel   string
	overrides  []string
	nodeID     int32
}

func brokerCommand() *cobra.Command {
	var f brokerFlags
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Run a node: broker and controller in one",
		Long: "Run a node. Without configuration it listens on 127.0.0.1:9092 " +
			"and keeps its data in\n" +
			"./heiban-data, which it formats on first start. A configuration is Kafka's\n" +
			"server.properties; KAFKA_* and KAFKA_CFG_* variables override it, -o and the other\n" +
			"flags override both.",
		Example: "  heiban broker\n" +
			"  heiban broker --config server.properties -o heiban.durability=page-cache",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			props, err := f.properties(os.Environ())
			if err != nil {
				return err
			}
			return f.serve(cmd.Context(), props, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&f.configFile, "config", "", "Kafka's server.properties")
	cmd.Flags().StringVar(&f.clusterID, "cluster-id", "",
		"cluster that a new data directory is formatted for (default: a cluster of its own)")
	cmd.Flags().StringVar(&f.data, "data", "", "log directory (log.dirs; default ./heiban-data)")
	cmd.Flags().StringVar(&f.listen, "listen", "",
		"HOST:PORT to listen on (listeners; default 127.0.0.1:9092)")
	cmd.Flags().Int32Var(&f.nodeID, "node-id", -1, "the node's id (node.id; default 1)")
	cmd.Flags().StringArrayVarP(&f.overrides, "override", "o", nil, "key=value; may be repeated")
	cmd.Flags().StringVar(&f.metrics, "metrics", "", "HOST:PORT to serve Prometheus metrics on")
	cmd.Flags().StringVar(&f.pprof, "pprof", "",
		"HOST:PORT to serve Go profiles on, under /debug/pprof")
	cmd.Flags().StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}

// properties merges what the node is started with: defaults, file, environment, flags.
func (f *brokerFlags) properties(environ []string) (map[string]string, error) {
	props := map[string]string{}
	if f.configFile != "" {
		loader := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
		loaded, err := loader.LoadFile(f.configFile)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		props = loaded.Map()
	}
	addEnvironment(props, environ)
	set, err := pairs("override", f.overrides)
	if err != nil {
		return nil, err
	}
	for key, value := range set {
		props[key] = value
	}
	if f.data != "" {
		delete(props, "log.dir")
		props["log.dirs"] = f.data
	}
	if f.listen != "" {
		props["listeners"] = "PLAINTEXT://" + f.listen
	}
	if f.nodeID >= 0 {
		props["node.id"] = fmt.Sprint(f.nodeID)
	}
	setDefault(props, "heiban-data", "log.dirs", "log.dir")
	setDefault(props, "PLAINTEXT://127.0.0.1:9092", "listeners")
	setDefault(props, "1", "node.id", "broker.id")
	return props, nil
}

// setDefault sets the first of keys, unless one of them is set.
func setDefault(props map[string]string, value string, keys ...string) {
	for _, key := range keys {
		if _, ok := props[key]; ok {
			return
		}
	}
	props[keys[0]] = value
}

// addEnvironment takes over variables such as KAFKA_LOG_DIRS and KAFKA_CFG_LOG_DIRS, as
// Kafka's container images do: one underscore is a dot, two are an underscore, three a
// dash. Variables that are no configuration, such as KAFKA_HEAP_OPTS, are left alone.
func addEnvironment(props map[string]string, environ []string) {
	replace := strings.NewReplacer("___", "-", "__", "_", "_", ".")
	environ = slices.Sorted(slices.Values(environ))
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		rest, ok := strings.CutPrefix(name, "KAFKA_CFG_")
		if !ok {
			if rest, ok = strings.CutPrefix(name, "KAFKA_"); !ok {
				continue
			}
		}
		key := strings.ToLower(replace.Replace(rest))
		if _, known := config.Lookup(key); known {
			props[key] = value
		}
	}
}

// serve runs the node until it is told to stop, or stops by itself.
func (f *brokerFlags) serve(ctx context.Context, props map[string]string, out io.Writer) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return wrongUse("--log-level %q: want debug, info, warn or error", f.logLevel)
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if f.pprof != "" {
		profiles, err := net.Listen("tcp", f.pprof)
		if err != nil {
			return fmt.Errorf("--pprof: %w", err)
		}
		defer profiles.Close()
		go func() { _ = http.Serve(profiles, nil) }() // ends when the listener is closed
	}
	start := time.Now()
	server, err := realnet.Start(realnet.Config{
		Properties: props, ClusterID: f.clusterID, MetricsAddress: f.metrics, Logger: logger,
	})
	if err != nil {
		return err
	}
	select {
	case <-server.Ready():
		fmt.Fprintf(out, "heiban %s is ready on %s after %s, data in %s\n", version, server.Addr(),
			time.Since(start).Round(time.Millisecond), props["log.dirs"]+props["log.dir"])
	case <-server.Done():
		return stopped(server)
	case <-ctx.Done():
		server.Close()
		return nil
	}
	select {
	case <-server.Done():
		return stopped(server)
	case <-ctx.Done():
	}
	cancel() // a second signal ends the process at once
	const patience = 5 * time.Minute
	stopping, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	return server.Shutdown(stopping)
}

// stopped says why a node stopped by itself.
func stopped(server *realnet.Server) error {
	if err := server.Err(); err != nil {
		return err
	}
	return fmt.Errorf("the node stopped by itself")
}
