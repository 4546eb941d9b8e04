# SPDX-License-Identifier: Apache-2.0
SHELL := /bin/bash
.DEFAULT_GOAL := help

# make setup PYTHON=python3.12  picks another interpreter than the first that fits.
# make demo SOURCE=...          takes a video, image folder, rosbag2 or camera device.
# make demo SOURCE=drive        takes the generated drive that is here, and measures against its truth.
# make test PYTEST_ARGS="-k x"  passes options on to pytest.
# make bench BENCH_ARGS="--largest 1024 --networks lite0"  measures less.
PYTHON ?=
SOURCE ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
export PYTHON SOURCE

.PHONY: help setup setup-rendering test lint demo bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## what the other targets need: .venv, ROS 2, the built messages
	@scripts/setup

test: setup-rendering lint ## linters, types, import rules and every test
	scripts/run pytest $(PYTEST_ARGS)

setup-rendering:
	@scripts/setup --rendering

lint: setup ## only the linters, types and import rules
	scripts/run ruff check
	scripts/run ruff format --check
	scripts/run mypy
	scripts/run lint-imports

demo: setup ## player and node on a real clip, into out/demo; SOURCE=... for yours
	@source=$${SOURCE:-$$(scripts/fetch_demo_clip)} && \
	scripts/run python -m depthlab_ros.demo --source "$$source" --out out/demo

bench: setup ## ours against the plain forms, into out/bench.json; ~20 minutes
	scripts/run python -m benchmarks.bench --out out/bench.json $(BENCH_ARGS)

clean: ## remove what was built and made; .venv and the downloads stay
	@rm -rf build install out .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
