package realnet

import (
	"context"
	crand "crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/compress"
	"github.com/heiban/heiban/core/config"
)

// Config says how to run a node.
type Config struct {
	// Properties have the keys of Kafka's server.properties.
	Properties map[string]string
	// ClusterID is for directories that are formatted on this start. Empty: a
	// random one.
	ClusterID string
	// MetricsAddress, as host:port, serves /metrics over HTTP, and under /groups/GROUP
	// what happened to a group, as an array of GroupEvents. Empty: it is not served.
	MetricsAddress string
	// Logger gets what happens. Nil: nothing is logged.
	Logger *slog.Logger
	// OpenFilesMax is how many log files are held open. Zero means 4,096.
	OpenFilesMax int
	// MappedFilesMax is how many log files are held mapped. Zero means 16,384:
	// Linux allows a process 65,530 mappings.
	MappedFilesMax int
}

// Server is a running node.
type Server struct {
	driver  *Driver
	network *network
	logger  *slog.Logger
	locks   []*dirLock
	bound   []boundListener
	groups  *groupHistory
	metrics *http.Server
	scraped net.Listener  // of metrics
	stop    chan struct{} // closed by Close
	closing sync.Once
	done    chan struct{} // closed when everything is given back
	err     error         // why, if the node stopped by itself; set before done is closed
}

// jobWorkersMin is how many jobs run at once on one log directory, at least. Most of
// them wait for syncs, which the file system carries out together.
const jobWorkersMin = 16

type boundListener struct {
	net.Listener
	name       string
	controller bool // serves from the start; the others once the node is ready
	exempt     bool // from the limit of connections
}

// Start starts a node. It returns once the configuration is checked, the addresses and
// log directories are taken and recovery has begun; Ready says when clients are
// served. Errors name what a person can change.
func Start(cfg Config) (*Server, error) {
	props, warnings, err := config.Parse(cfg.Properties)
	if err != nil {
		return nil, err
	}
	s := &Server{
		logger: cfg.Logger, stop: make(chan struct{}), done: make(chan struct{}),
		groups: newGroupHistory(),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	for _, w := range warnings {
		s.logger.Warn("configuration", "key", w.Name, "warning", w.Text)
	}
	if err := s.open(&cfg, props); err != nil {
		s.releaseAll()
		return nil, err
	}
	go s.watch()
	return s, nil
}

// open takes what the node needs and starts its driver.
func (s *Server) open(cfg *Config, props *config.Broker) error {
	if err := s.bindAll(props); err != nil {
		return err
	}
	dirs, err := s.lockAll(props.LogDirs)
	if err != nil {
		return err
	}
	codec := &compress.Codec{}
	options := core.Options{
		Properties: cfg.Properties, ClusterID: cfg.ClusterID, LogDirs: dirs, Codec: codec,
		NodeID: props.NodeID, Settings: props.LogSettings(), Seed: randomSeed(),
	}
	if options.ClusterID == "" {
		options.ClusterID = randomID()
	}
	options.Listeners = s.advertised(props)
	broker, err := core.New(options)
	if err != nil {
		return err
	}
	setDefault(&cfg.OpenFilesMax, 4096)
	setDefault(&cfg.MappedFilesMax, 16<<10)
	m := &metrics{}
	s.driver = newDriver(broker, codec, newHandles(cfg.OpenFilesMax, cfg.MappedFilesMax), m)
	m.driver = s.driver
	s.driver.onReports = s.logReports
	limits, err := limitsOf(props)
	if err != nil {
		return err
	}
	s.network = newNetwork(s.driver, limits, s.logger)
	if err := s.serveMetrics(cfg.MetricsAddress, m); err != nil {
		return err
	}
	for _, dir := range dirs {
		y, err := newSyncer(s.driver, dir)
		if err != nil {
			return err
		}
		s.driver.syncers = append(s.driver.syncers, y)
	}
	s.driver.start(len(dirs) * max(jobWorkersMin, int(props.NumRecoveryThreadsPerDataDir)))
	return nil
}

// limitsOf reads the limits of connections from the configuration.
func limitsOf(props *config.Broker) (connLimits, error) {
	l := connLimits{
		connectionsMax:      int(props.MaxConnections),
		connectionsPerIPMax: int(props.MaxConnectionsPerIP),
		perIPOverrides:      map[string]int{},
		idleMax:             time.Duration(props.ConnectionsMaxIdle),
		requestBytesMax:     props.SocketRequestMaxBytes,
		requestMemoryMax:    max(0, props.QueuedMaxRequestBytes),
		setupTimeout:        time.Duration(props.ConnectionSetupTimeout),
	}
	for _, e := range props.MaxConnectionsPerIPByHost {
		n, err := strconv.Atoi(e.Value)
		if err != nil {
			return l, fmt.Errorf("max.connections.per.ip.overrides: %s: %w", e.Name, err)
		}
		addresses, err := net.DefaultResolver.LookupHost(context.Background(), e.Name)
		if err != nil {
			return l, fmt.Errorf("max.connections.per.ip.overrides: %w", err)
		}
		for _, a := range addresses {
			l.perIPOverrides[a] = n
		}
	}
	return l, nil
}

func (s *Server) bindAll(props *config.Broker) error {
	forClients := 0
	for _, e := range props.Listeners {
		if e.Protocol != config.Plaintext {
			return fmt.Errorf("listeners: %s wants %s, and only PLAINTEXT is served", e, e.Protocol)
		}
		ln, err := bind(net.JoinHostPort(e.Host, fmt.Sprint(e.Port)))
		if err != nil {
			return err
		}
		controller := slices.Contains(props.ControllerListenerNames, e.Name)
		if !controller {
			forClients++
		}
		s.bound = append(s.bound, boundListener{Listener: ln, name: e.Name, controller: controller})
	}
	// Clients cannot keep the nodes from talking to each other (KIP-402).
	for i := range s.bound {
		ln := &s.bound[i]
		ln.exempt = ln.controller || forClients > 1 && ln.name == props.InterBrokerListenerName
	}
	return nil
}

// advertised is what clients are told to connect to, for each listener.
func (s *Server) advertised(props *config.Broker) []config.Endpoint {
	list := make([]config.Endpoint, 0, len(s.bound))
	for _, ln := range s.bound {
		if ln.controller {
			continue
		}
		e := config.Endpoint{Name: ln.name}
		for _, a := range props.AdvertisedListeners {
			if a.Name == ln.name {
				e = a
			}
		}
		if e.Host == "" {
			e.Host = "localhost"
			if name, err := os.Hostname(); err == nil {
				e.Host = name
			}
		}
		if e.Port == 0 {
			e.Port = port(ln)
		}
		list = append(list, e)
	}
	return list
}

// lockAll makes the paths of the log directories absolute and locks them.
func (s *Server) lockAll(paths []string) ([]string, error) {
	dirs := make([]string, 0, len(paths))
	for _, p := range paths {
		dir, err := filepath.Abs(p)
		if err != nil {
			return nil, fmt.Errorf("log.dirs: %s: %w", p, err)
		}
		lock, err := lockDir(dir)
		if err != nil {
			return nil, err
		}
		s.locks = append(s.locks, lock)
		dirs = append(dirs, filepath.ToSlash(dir))
	}
	return dirs, nil
}

func (s *Server) serveMetrics(address string, m *metrics) error {
	if address == "" {
		return nil
	}
	ln, err := bind(address)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /groups/{group}", s.groups)
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	s.scraped = ln
	s.metrics = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := s.metrics.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.logger.Error("metrics are not served any more", "err", err)
		}
	}()
	return nil
}

// watch accepts connections once the node is ready, and gives everything back when
// the core has stopped or somebody calls Close.
func (s *Server) watch() {
	defer close(s.done)
	defer s.releaseAll()
	d := s.driver
	s.network.running.Go(s.network.reap)
	s.accept(true)
	select {
	case <-d.ready:
		s.accept(false)
	case <-d.ended:
	case <-s.stop:
	}
	select {
	case <-d.ended:
		if d.fatal != nil {
			s.err = d.fatal
			s.logger.Error("the node cannot go on", "err", d.fatal)
			return
		}
		s.network.stopAccepting() // until here other nodes may have needed this one
		s.flush()
	case <-s.stop:
	}
}

// accept serves the listeners of controllers, or the others.
func (s *Server) accept(controller bool) {
	for i := range s.bound {
		if ln := &s.bound[i]; ln.controller == controller {
			s.network.accept(ln)
		}
	}
}

// flush gives clients a moment to take their last answers.
func (s *Server) flush() {
	const moment = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), moment)
	defer cancel()
	s.network.running.Go(func() {
		select {
		case <-s.stop:
			cancel()
		case <-ctx.Done():
		}
	})
	s.network.flush(ctx)
}

// Ready is closed when the node serves clients.
func (s *Server) Ready() <-chan struct{} { return s.driver.ready }

// Done is closed when the node has stopped, by Shutdown, Close or an error.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says why the node stopped by itself. It is nil before Done is closed, and after
// a Shutdown.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Addr returns the address of the first listener for clients, or of the first one if the
// node has none.
func (s *Server) Addr() string {
	i := slices.IndexFunc(s.bound, func(ln boundListener) bool { return !ln.controller })
	return s.bound[max(i, 0)].Addr().String()
}

// MetricsAddr returns the address that serves /metrics, or "" if none does.
func (s *Server) MetricsAddr() string {
	if s.scraped == nil {
		return ""
	}
	return s.scraped.Addr().String()
}

// Shutdown stops the node cleanly: it answers what it can, makes all logs durable and
// marks the log directories clean. When ctx is done it stops as Close does and
// returns the context's error.
func (s *Server) Shutdown(ctx context.Context) error {
	t := s.driver.newTurn()
	s.driver.step(t, &core.ShutdownRequested{}, nil)
	t.drain()
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		s.Close()
		return fmt.Errorf("shut down: %w", context.Cause(ctx))
	}
}

// Close stops the node at once. What it has acknowledged is as safe as after a crash of
// the process: recovery finds it. It may be called more than once.
func (s *Server) Close() {
	s.closing.Do(func() { close(s.stop) })
	<-s.done
}

// releaseAll gives back whatever open took.
func (s *Server) releaseAll() {
	if s.metrics != nil {
		s.metrics.Close()
	}
	if s.network != nil {
		s.network.close()
	}
	if s.driver != nil {
		s.driver.close()
	}
	for _, ln := range s.bound {
		ln.Close()
	}
	for _, l := range s.locks {
		l.unlock()
	}
}

// logReports logs what happened inside the core.
func (s *Server) logReports(reports []core.Report) {
	for i := range reports {
		r := &reports[i]
		args := make([]any, 0, 8)
		if r.Topic != "" {
			args = append(args, "topic", r.Topic, "partition", r.Partition)
		}
		if r.Text != "" {
			args = append(args, "text", r.Text)
		}
		switch r.Kind {
		case core.NodeReady:
			s.logger.Info("node is ready", args...)
		case core.LogDirOffline:
			s.logger.Error("log directory is offline", args...)
		case core.RequestRefused:
			s.logger.Debug("request refused", append(args, "error", r.Err)...)
		case core.TopicCreated:
			s.logger.Info("topic created", "topic", r.Topic)
		case core.TopicDeleted:
			s.logger.Info("topic deleted", "topic", r.Topic)
		case core.PartitionOnline:
			s.logger.Debug("partition is online", append(args, "logStartOffset", r.Offset,
				"logEndOffset", r.EndOffset, "leaderEpoch", r.Epoch)...)
		case core.PartitionRemoved:
			s.logger.Debug("partition removed", args...)
		case core.LogStartAdvanced:
			s.logger.Debug("log start advanced", append(args, "logStartOffset", r.Offset)...)
		case core.LogCompacted:
			s.logger.Debug("log compacted", args...)
		case core.LeaderStarted:
			s.logger.Debug("leading", append(args, "leaderEpoch", r.Epoch,
				"isr", r.ISR, "highWatermark", r.Offset, "logEndOffset", r.EndOffset)...)
		case core.FollowerStarted:
			s.logger.Debug("following", append(args, "leaderEpoch", r.Epoch,
				"leader", r.Leader, "highWatermark", r.Offset, "logEndOffset", r.EndOffset)...)
		case core.ISRExpanded, core.ISRShrunk:
			s.logger.Info("in-sync replicas changed", append(args, "leaderEpoch", r.Epoch,
				"isr", r.ISR)...)
		case core.LogTruncated:
			s.logger.Info("log truncated", append(args, "leaderEpoch", r.Epoch,
				"logEndOffset", r.EndOffset, "from", r.From)...)
		case core.ReplicationFailed:
			s.logger.Warn("replication failed", append(args, "leaderEpoch", r.Epoch,
				"logEndOffset", r.EndOffset)...)
		case core.ControllerStarted:
			s.logger.Info("controller is active", "epoch", r.Epoch)
		case core.GroupsLoaded:
			s.logger.Debug("coordinating groups", append(args, "leaderEpoch", r.Epoch,
				"logEndOffset", r.EndOffset)...)
		case core.GroupsNotLoaded:
			s.logger.Error("groups cannot be coordinated", append(args, "offset", r.Offset)...)
		case core.GroupChanged:
			s.noteGroups(r)
		case core.ControllerEnded:
			s.logger.Info("controller is not active any more", "epoch", r.Epoch)
		case core.BatchAppended, core.HighWatermarkAdvanced, core.RecordsReplicated,
			core.HighWatermarkLearned, core.MetadataHeld:
		}
	}
}

// randomSeed feeds the core's random choices.
func randomSeed() [2]uint64 {
	var b [16]byte
	_, _ = crand.Read(b[:]) // it never returns an error
	return [2]uint64{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

// randomID makes a cluster id as Kafka does: a random UUID in URL-safe base64, which
// does not begin with a dash.
func randomID() string {
	for {
		var b [16]byte
		_, _ = crand.Read(b[:]) // it never returns an error
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}
