# Targets for people; `make help` lists them.
GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
TOOLS    := $(CURDIR)/.bin
SEEDS    ?= 1:1000

export CGO_ENABLED ?= 0

.PHONY: help build run test test-race lint fmt sim mutants fuzz explore bench crash chaos failover clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## build bin/heiban, one static binary
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/heiban ./cmd/heiban

run: build ## build and start a broker on 127.0.0.1:9092
	./bin/heiban broker

test: ## everything a change must pass: vet, tests, a short sweep, the mutants
	$(GO) vet ./...
	$(GO) vet -tags mutants ./...
	$(GO) test ./...
	$(GO) test -tags mutants ./core/... ./scenarios

test-race: ## the concurrent packages under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race ./realnet ./cmd/... ./scenarios

lint: $(TOOLS)/golangci-lint ## static analysis and formatting
	$(TOOLS)/golangci-lint run ./...

fmt: $(TOOLS)/golangci-lint ## format the code
	$(TOOLS)/golangci-lint fmt ./...

$(TOOLS)/golangci-lint:
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

sim: build ## sweep all scenarios for a minute
	./bin/heiban sim sweep --seeds 1:1000000 --time 60s

mutants: ## switch on each known bug and demand that its checker notices
	$(GO) build -tags mutants -trimpath -ldflags '$(LDFLAGS)' -o bin/heiban-mutants ./cmd/heiban
	./bin/heiban-mutants sim mutants

FUZZTIME ?= 30s
fuzz: ## fuzz every decoder for FUZZTIME each
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

CHECKS ?= 1000
explore: ## run the property tests with fresh seeds, CHECKS times each
	RAPID_SEED=0 RAPID_CHECKS=$(CHECKS) $(GO) test -count=1 -timeout 60m \
	  $(sort $(dir $(shell grep -rl --include='*_test.go' '"pgregory.net/rapid"$$' .)))

bench: build ## measure a real broker beside a peer, and the cost and allocations of a Step
	$(GO) test ./core -run '^$$' -bench . -benchtime 1s
	$(GO) run ./benchmarks/run -broker ./bin/heiban

crash: build ## kill -9 under load: every acknowledged line once and in order
	$(GO) run ./benchmarks/crash -broker ./bin/heiban

chaos: build ## five minutes of kill -9 and pauses in a cluster of three under load
	$(GO) run ./benchmarks/chaos -broker ./bin/heiban

failover: build ## how long a cluster with 3,000 partitions takes to start and to fail over
	$(GO) run ./benchmarks/failover -broker ./bin/heiban

clean: ## remove what was built
	rm -rf bin .bin
