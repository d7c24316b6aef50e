package sim

import (
	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/mutant"
)

// Scenario is a named cluster under a kind of load and a kind of faults. With a seed
// it is one run.
type Scenario struct {
	Name string
	Text string // what it is about, in one line
	// Draw fills in the setup of one run, out of random numbers of its own.
	Draw func(r *Rand, s *Setup)
}

// Setup is what a scenario makes of a seed: the world, who works in it and what they
// are promised.
type Setup struct {
	Config      Config
	Topics      []TopicSpec // made by the first administrator
	Admins      []AdminConfig
	Producers   []ProducerConfig
	Consumers   []ConsumerConfig
	Duplicators []Duplication
	Groups      []GroupSetup
	Policy      checker.Policy // of topics without one of their own
	Policies    []TopicPolicy
}

// TopicPolicy is what one topic promises.
type TopicPolicy struct {
	Topic  string
	Policy checker.Policy
}

// Duplication is a Duplicator and its victim, an index among the producers.
type Duplication struct {
	Victim   int
	Requests int
}

// RunOptions are what a run of a scenario may be given besides its seed.
type RunOptions struct {
	Codec     batch.Codec
	Plan      []Fault // in place of the scenario's; nil: leave that
	Observers []Observer
	Trace     func(line string)
	Mutant    mutant.ID
	Wire      bool // encode and decode every message
	Panics    bool // let panics pass, for their stack
}

// Outcome is what came of a run of a scenario.
type Outcome struct {
	*Result
	Excused checker.Excused
	Judge   *checker.Judge // knows the whole history
}

// Run runs the scenario with a seed. The outcome is a function of the scenario, the
// seed, the plan and the mutant alone. An error means that the scenario is wrong.
func (s *Scenario) Run(seed uint64, o *RunOptions) (*Outcome, error) {
	setup := s.Setup(seed)
	c := &setup.Config
	c.Codec, c.Trace, c.Mutant, c.Wire, c.Panics = o.Codec, o.Trace, o.Mutant, o.Wire, o.Panics
	if o.Plan != nil {
		c.Plan = o.Plan
	}
	var oracle *Oracle
	c.Done = func() bool { return oracle.Quiet() }
	w, err := New(*c)
	if err != nil {
		return nil, err
	}
	judge := checker.NewJudge(checker.Limits{
		SequenceMax: c.Tunables.Settings.SequenceMax, Voters: max(c.Nodes, 1),
	})
	oracle = NewOracle(w, judge, setup.policyOf, setup.populate(w, judge))
	w.Observe(oracle)
	for _, observer := range o.Observers {
		w.Observe(observer)
	}
	return &Outcome{Result: w.Run(), Excused: judge.Excused(), Judge: judge}, nil
}

// Setup draws what a seed makes of the scenario. It is the same every time.
func (s *Scenario) Setup(seed uint64) *Setup {
	setup := &Setup{Config: Config{Seed: seed, Tunables: DrawTunables(seed)}}
	s.Draw(NewRand(seed, "scenario "+s.Name, 0), setup)
	return setup
}

func (s *Setup) policyOf(topic string) checker.Policy {
	for _, p := range s.Policies {
		if p.Topic == topic {
			return p.Policy
		}
	}
	return s.Policy
}

// populate adds the actors to the world: administrators first, then producers,
// consumers, adversaries and groups.
func (s *Setup) populate(w *World, j *checker.Judge) []Pending {
	var pending []Pending
	client := func(c ClientConfig) ClientConfig {
		c.Client, c.Nodes, c.Seed = len(w.actors), int32(max(s.Config.Nodes, 1)), s.Config.Seed
		return c
	}
	for i, c := range s.Admins {
		if c.ClientConfig, c.Judge = client(c.ClientConfig), j; i == 0 {
			c.Setup = s.Topics
		}
		a := NewAdmin(c)
		pending = append(pending, a)
		w.AddActor(a)
	}
	var producers []*Producer
	for _, c := range s.Producers {
		c.ClientConfig, c.Judge, c.Codec = client(c.ClientConfig), j, s.Config.Codec
		c.SequenceMax = s.Config.Tunables.Settings.SequenceMax
		c.Compress = c.Compress && c.Codec != nil
		p := NewProducer(c)
		producers, pending = append(producers, p), append(pending, p)
		w.AddActor(p)
	}
	for _, c := range s.Consumers {
		c.ClientConfig, c.Judge, c.Codec = client(c.ClientConfig), j, s.Config.Codec
		k := NewConsumer(c)
		pending = append(pending, k)
		w.AddActor(k)
	}
	for _, d := range s.Duplicators {
		w.AddActor(NewDuplicator(client(ClientConfig{}), producers[d.Victim], d.Requests))
	}
	return append(pending, s.populateGroups(w, j, client)...)
}
