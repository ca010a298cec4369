# resnet_bench: `make help` lists every target.

PYTHON ?= python3
PIP_ARGS ?=
SEEDS ?=
SEED ?= 0
DEPTH ?= 56
RESULTS ?= $(or $(RESNET_BENCH_RESULTS),results)
SWEEP_ARGS ?=
PIECE ?= yardsticks
BENCH_ARGS ?=
TORTURE_ARGS ?=

VENV := .venv
BENCH := $(VENV)/bin/python -m resnet_bench
ANALYSIS := $(VENV)/bin/python -m analysis
NAMES = $(foreach name,$(ONLY),--only "$(name)")
CHOSEN_RUNS = $(NAMES) $(if $(SEEDS),--seeds "$(SEEDS)")
# What `make sweep` trains; without SUITE= it depends on whether there is a GPU.
CHOSEN = $(or $(SUITE),$(shell $(BENCH) default-suite))
INSTALL := $(VENV)/bin/python -m pip install --disable-pip-version-check -c constraints.txt $(PIP_ARGS)

# A user's own cures need no types: rules are for the files that git tracks.
SHIPPED = $(or $(shell git ls-files '*.py'),.)

# Of pip's hundred lines, those about downloads of 10 MB and more; fails unless the last one is "done".
LARGE := awk '/Downloading .*(\([0-9][0-9].*MB|GB)\)/ {print "  " $$2, $$3, $$4; fflush()} {last = $$0} \
  END {exit last != "done"}'

.DEFAULT_GOAL := help
.PHONY: help setup sweep slurm run redo list cure shapes status witness figures compare verdict verify report deposit reference merge dashboard sync data test torture gpu-check preflight bench bench-gpu

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Without SUITE= a suite's commands take the one that make sweep does."
	@echo "  SUITE=digits  SEEDS=3  EXP=digits/plain-56  SEED=1  DATASET=cifar10  RESULTS=results"
	@echo "  SWEEP_ARGS='--time-limit 9m'  PIP_ARGS='...' (for pip)  PYTHON=python3.12"

setup: $(VENV)/.ready  ## make .venv from pyproject.toml and constraints.txt

sweep: $(VENV)/.ready  ## train a suite's networks and draw the comparison: SUITE=, SEEDS=, ONLY="plain-20 plain-56"
	@suite="$(CHOSEN)"; [ -n "$$suite" ] || exit; \
	RESNET_BENCH_SHELL=$$$$ $(BENCH) sweep "$$suite" $(CHOSEN_RUNS) --results "$(RESULTS)" $(SWEEP_ARGS); code=$$?; \
	[ $$code -eq 2 ] || $(ANALYSIS) "$$suite" --results "$(RESULTS)" || exit; \
	exit $$code

slurm: $(VENV)/.ready  ## print a script for sbatch that runs a sweep, a job a seed: SUITE=, SEEDS=20, SWEEP_ARGS=
	@$(BENCH) sweep "$(CHOSEN)" $(CHOSEN_RUNS) --results "$(RESULTS)" $(SWEEP_ARGS) --slurm

run: $(VENV)/.ready  ## train one experiment: EXP=cifar10/plain-56 SEED=1
	@RESNET_BENCH_SHELL=$$$$ $(BENCH) run "$(EXP)" --seed $(SEED) --results "$(RESULTS)" $(SWEEP_ARGS)

redo: $(VENV)/.ready  ## train a run again; its folder is kept in aside/: EXP=cifar10/plain-56 SEED=1
	@$(BENCH) run "$(EXP)" --seed $(SEED) --redo --results "$(RESULTS)" $(SWEEP_ARGS)

list: $(VENV)/.ready  ## list the suites, or one suite's experiments: SUITE=
	@$(BENCH) list $(SUITE)

cure: $(VENV)/.ready  ## write a new cure's file and a suite that tests it: NAME=my-idea
	@$(BENCH) cure "$(NAME)"

shapes: $(VENV)/.ready  ## print the shapes through a network, or one block: EXP=, INPUT=1x224x224, BLOCK=2.1
	@$(BENCH) shapes "$(EXP)" $(if $(INPUT),--input $(INPUT)) $(if $(BLOCK),--block $(BLOCK))

status: $(VENV)/.ready  ## say how far all suites are, or each run of one: SUITE=
	@$(BENCH) status $(SUITE) $(CHOSEN_RUNS) --results "$(RESULTS)"

witness: $(VENV)/.ready  ## build a deeper network equal to a trained one: EXP=, DEPTH=, SEED=, CONTINUE=1
	@$(BENCH) witness "$(EXP)" $(foreach depth,$(DEPTH),--depth $(depth)) --seed $(SEED) \
	  --results "$(RESULTS)" $(if $(filter-out 0 no false,$(CONTINUE)),--continue)

figures: $(VENV)/.ready  ## redraw a suite's figures and table from its CSVs: SUITE=
	@$(ANALYSIS) "$(CHOSEN)" --results "$(RESULTS)"

compare: $(VENV)/.ready  ## final errors of two suites' folders side by side: A=results/digits B=results/reference/digits
	@$(ANALYSIS).compare "$(A)" "$(B)"

verdict: $(VENV)/.ready  ## say whether depth degrades, with intervals: SUITE=
	@$(ANALYSIS).verdict "$(CHOSEN)" --results "$(RESULTS)"

verify: $(VENV)/.ready  ## hold a suite's runs against the paper and its own file: SUITE=
	@$(ANALYSIS).verify "$(CHOSEN)" --results "$(RESULTS)"

report: $(VENV)/.ready  ## write one self-contained HTML page: SUITE=
	@$(ANALYSIS).report "$(CHOSEN)" --results "$(RESULTS)"

deposit: $(VENV)/.ready-deposit  ## write a suite's records as Parquet, with a data card, to be cited: SUITE=
	@$(ANALYSIS).report.deposit "$(CHOSEN)" --results "$(RESULTS)"

reference: $(VENV)/.ready  ## take a suite's ended runs into results/reference, draw them, fill the pages: SUITE=
	@$(ANALYSIS).report.publish "$(CHOSEN)" --results "$(RESULTS)"
	@$(ANALYSIS) "$(CHOSEN)" --results results/reference
	@$(ANALYSIS).report.readme

merge: $(VENV)/.ready  ## take other folders' ended runs into one: FROM="a/results b/results", RESULTS=results
	@$(BENCH) merge $(FROM) "$(RESULTS)"

dashboard: $(VENV)/.ready  ## look at a suite's runs in W&B: SUITE=, DRY_RUN=1
	@$(MAKE) --silent $(VENV)/.ready-dashboards || echo "Going on without the extra, which saved workspaces need."
	@$(BENCH) dashboard "$(CHOSEN)" --results "$(RESULTS)" $(if $(filter-out 0 no false,$(DRY_RUN)),--dry-run)

sync: $(VENV)/.ready  ## upload a suite's offline runs to W&B: SUITE=, YES=1
	@$(BENCH) sync "$(CHOSEN)" --results "$(RESULTS)" $(if $(filter-out 0 no false,$(YES)),--yes)

data: $(VENV)/.ready  ## fetch and verify a data set: DATASET=cifar10
	@$(BENCH) data "$(DATASET)"

test: $(VENV)/.ready-dev  ## ruff, mypy and pytest
	@$(VENV)/bin/ruff check $(SHIPPED)
	@$(VENV)/bin/ruff format --check $(SHIPPED)
	@$(VENV)/bin/mypy $(SHIPPED)
	$(VENV)/bin/python -m pytest -n 2

torture: $(VENV)/.ready-dev  ## ten minutes of kills, full disks, changed files and odd machines: TORTURE_ARGS='--seed 1'
	@$(VENV)/bin/python -m tests.torture $(TORTURE_ARGS)

gpu-check: $(VENV)/.ready  ## check a GPU's bits and find its fastest setting, in minutes
	@$(BENCH) gpu-check --results "$(RESULTS)"

bench: $(VENV)/.ready  ## measure the speed of the sweep and of the training loop, in some ten minutes
	$(VENV)/bin/python -m resnet_bench.benchmarks.cpu

bench-gpu: $(VENV)/.ready  ## measure the paper's sweep on a GPU: PIECE=floors, ... (BENCH_ARGS=--help)
	$(VENV)/bin/python -m resnet_bench.benchmarks.gpu --piece "$(PIECE)" $(BENCH_ARGS)

# The oldest PyTorch that is supported, as CUDA's build, which imports without a GPU.
preflight:  ## run the GPU path's tests with CUDA's PyTorch 2.11 before there is a GPU (gigabytes): PYTHON=python3.12
	@$(PYTHON) -m venv .venv-preflight
	@.venv-preflight/bin/python -m pip install --disable-pip-version-check --quiet $(PIP_ARGS) \
	  'torch==2.11.*' 'torchvision==0.26.*' -e '.[dev]'
	@.venv-preflight/bin/python -c 'import torch; print("PyTorch", torch.__version__, "CUDA", torch.version.cuda)'
	.venv-preflight/bin/python -m pytest -n 2 $(addprefix tests/,gpu gpu_check benchmarks networks training \
	  sweeps/test_lockstep_runs.py sweeps/test_watchdog.py sweeps/test_run_layers.py)

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV) (once; PyTorch is a large download) ..."
	@$(PYTHON) -m venv $(VENV)
	@{ $(INSTALL) -e . && echo done; } | $(LARGE) || \
	  { $(VENV)/bin/python -c 'import torch, torchvision, seaborn, wandb' 2>/dev/null && \
	  echo "Without network, this $(VENV) can be kept: touch $@"; exit 1; }
	@touch $@

$(VENV)/.ready-dashboards $(VENV)/.ready-deposit: $(VENV)/.ready-%: $(VENV)/.ready
	@$(INSTALL) --quiet -e '.[$*]'
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@$(INSTALL) --quiet -e '.[dev,dashboards,deposit]'
	@touch $@
