# `make help` lists the targets. Needed: Go as go.mod names it, a C compiler (SQLite) and make.
.DEFAULT_GOAL := help
.PHONY: help build demo test test-crash test-cluster check bench pictures fuzz docker-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build ./zonewire
	@echo 'building ./zonewire (the first time compiles SQLite: about a minute)'
	@go build -o zonewire ./cmd/zonewire

demo: build ## run it with sample news, nothing to configure; Ctrl-C ends it
	@exec ./zonewire demo $(ARGS)

test: ## install what the tests need where it may, then run all tests
	@scripts/test-deps
	go test -timeout 30m ./...

check: ## gofmt, vet, staticcheck, and the race detector over the short tests
	@scripts/test-deps
	@unformatted=$$(gofmt -l .) && if [ -n "$$unformatted" ]; then echo "not gofmt'ed:" $$unformatted >&2; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	go test -race -short -timeout 30m ./...

test-crash: ## the long crash tests: 5,000 readers, 50 kill -9 and 3 freezes in one send, on SQLite and on PostgreSQL
	go test -count=1 -v -run CrashLong -timeout 30m ./cmd/zonewire -crash

test-cluster: ## three replicas on a PostgreSQL cluster that loses its primary in the middle of a send, some 4 minutes
	@scripts/test-deps
	go test -count=1 -v -run Cluster -timeout 20m ./internal/pgtest ./cmd/zonewire -cluster

bench: ## install the yardsticks where it may, then run the benchmarks
	@scripts/test-deps bench
	go test -run '^$$' -bench . -benchmem ./...

pictures: ## take the pictures of docs/pictures anew
	@mkdir -p docs/pictures
	ZONEWIRE_PICTURES=$(CURDIR)/docs/pictures go test -count=1 -run TestTheLifeOfASubscriber ./cmd/zonewire

fuzz: ## fuzz every parser for 20 s, or FUZZTIME
	@scripts/fuzz

docker-check: ## run the steps of the Dockerfile on the committed tree, without an engine (root on Linux)
	@scripts/dockerfile-check

clean: ## remove what building and the demo leave behind
	rm -rf zonewire dist zonewire-demo
