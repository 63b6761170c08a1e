# Every target sets up what it needs; in a fresh clone `make reproduce` is the first command.
PYTHON ?= python3
SETUP := $(PYTHON) -m experiments.setup
BIN := .venv/bin
BENCH ?= *
EMULATION := bpf bpftool clang ethtool gcc ifconfig ip iperf3 mn ping tc

.DEFAULT_GOAL := help
.PHONY: help reproduce vllm test test-fast bench lint docs claims lock clean

help:
	@echo 'make reproduce      every experiment at quick size, then build/report.html'
	@echo 'make vllm           vLLM in an environment of its own, .venv-vllm (2.5 GB)'
	@echo 'make test           all tests, on two processes; says what was skipped and why'
	@echo 'make test-fast      without the extensive ones, on two processes, under 2 minutes'
	@echo 'make bench BENCH=G  benchmarks whose names match the glob G; build/bench.json'
	@echo 'make lint           ruff and pyright'
	@echo 'make docs           build/docs/index.html'
	@echo "make claims         README's table of claims, from what is recorded"
	@echo 'make lock           resolve anew: constraints.txt and environment.yml'
	@echo 'make clean          remove build/ and caches; results/ and .venv stay'

reproduce:
	@$(SETUP) venv --wish congestion symbolic tuning
	@$(SETUP) programs g++ $(EMULATION)
	@$(BIN)/python -m experiments.compiling
	@status=0; $(BIN)/triptych reproduce '*' --size quick || status=$$?; \
	$(BIN)/triptych report && exit $$status

vllm:
	@$(SETUP) programs libnuma
	@$(SETUP) vllm

test: vllm
	@$(SETUP) venv --extras cluster congestion cutlass symbolic tuning --groups test
	@$(SETUP) programs chromium chromedriver g++ pkg-config ns3 $(EMULATION)
	@$(BIN)/python -m experiments.compiling
	$(BIN)/python -m pytest -n 2 --dist loadfile --junitxml=build/test.xml

test-fast:
	@$(SETUP) venv --extras cluster congestion cutlass symbolic tuning --groups test
	@$(SETUP) programs bpf bpftool clang g++ gcc
	@$(BIN)/python -m experiments.compiling
	$(BIN)/python -m pytest -m 'not extensive' -n 2

bench:
	@$(SETUP) venv --extras cluster congestion cutlass symbolic tuning --groups test
	@$(SETUP) programs g++ pkg-config ns3 $(EMULATION)
	$(BIN)/python -m tests.bench.run --select '$(BENCH)'

lint:
	@$(SETUP) venv --extras cluster congestion cutlass symbolic tuning --groups test lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

docs:
	@$(SETUP) venv --groups docs
	$(BIN)/sphinx-build -W -q -b html docs build/docs

claims:
	@$(SETUP) venv
	$(BIN)/python -m experiments.pages --readme

lock:
	@$(SETUP) lock

clean:
	rm -rf build .cache .pytest_cache .ruff_cache .hypothesis triptych.egg-info
