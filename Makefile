# Elio's commands; `make help` lists them. Set-up speaks on standard error: standard output belongs to the program.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build demo test cross cross-test check bench bench-instructions bench-models bench-peers models-demo deb device-test device-test-arm64 install uninstall clean

# Rust as rustup puts it, also in a shell that has not read its profile.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
CARGO ?= cargo
FEATURES ?=
machine := $(shell uname -m)
# On a board whisper.cpp may use all that its processor has. A package is for other boards too: it gets the two programs that
# .ci/cross builds, unless GGML_NATIVE=ON is asked for.
ifeq ($(machine),aarch64)
package_of := $(if $(filter ON,$(GGML_NATIVE)),native,two)
export GGML_NATIVE ?= ON
endif
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
# Where systemd and udev look; the same under every PREFIX.
SYSLIBDIR ?= /usr/lib

features := $(if $(FEATURES),--features $(FEATURES))
unit := $(SYSLIBDIR)/systemd/system/elio.service
fault_unit := $(SYSLIBDIR)/systemd/system/elio-fault.service
tmpfiles := $(SYSLIBDIR)/tmpfiles.d/elio.conf
catalog := $(SYSLIBDIR)/systemd/catalog/elio.catalog
sysusers := $(SYSLIBDIR)/sysusers.d/elio.conf
udev := $(SYSLIBDIR)/udev/rules.d/60-elio.rules
onnxruntime = $(lastword $(sort $(wildcard target/onnxruntime/*/libonnxruntime.so)))

help: ## This list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 27

setup: ## Install what is missing: system packages, libonnxruntime (done by demo and test too)
	@.ci/setup

build: ## Build the program: target/release/elio (FEATURES=cuda for an NVIDIA board)
	@$(CARGO) build --release --locked $(features)

demo: setup build ## Hear, answer and speak recorded questions (options in ARGS="--json")
	@target/release/elio demo $(ARGS)

test: setup ## Every test (some of them in ARGS="turn::")
	@$(CARGO) test --locked $(features) $(ARGS)

cross: ## Build and test for arm64 boards, under an emulator (docs/cross.md)
	@.ci/cross

cross-test: ## The tests of arm64 alone, once make cross has built them (some in ARGS="--lib turn::")
	@.ci/cross test $(ARGS)

check: setup ## Format and lints, as .ci/run checks them
	@$(CARGO) fmt --check
	@$(CARGO) clippy --locked --all-targets -- -D warnings
	@$(CARGO) clippy --locked --all-targets --features rppal,instructions -- -D warnings

bench: setup ## Time the hot paths (minutes)
	@$(CARGO) bench --locked $(features) $(ARGS)

gungraun = $(shell sed -n 's/^gungraun = "=\(.*\)"/\1/p' Cargo.toml)

bench-instructions: ## Count the instructions of the hot paths (minutes; ARGS=--baseline=NAME compares)
	@.ci/setup valgrind
	@grep -qs '^"gungraun-runner $(gungraun) ' target/tools/.crates.toml || { \
	    echo "bench-instructions: installing gungraun-runner $(gungraun) in target/tools (minutes)" >&2; \
	    $(CARGO) install --quiet --locked --root target/tools --version $(gungraun) gungraun-runner; }
	@PATH="$(CURDIR)/target/tools/bin:$$PATH" \
	    $(CARGO) bench --locked --features instructions --bench instructions $(if $(ARGS),-- $(ARGS))

bench_venv := target/bench-models/venv

bench-models: ## Make models of random weights at real sizes (1.1 GB in target/bench-models)
	@python=python3; \
	if ! python3 -c 'import numpy, onnx' 2>/dev/null; then \
	    python=$(bench_venv)/bin/python; \
	    cmp -s benches/models/requirements.txt $(bench_venv)/requirements.txt || { \
	        echo "bench-models: installing numpy and onnx in $(bench_venv)" >&2; \
	        python3 -m venv --clear $(bench_venv) && $$python -m pip install --quiet --disable-pip-version-check \
	            --require-hashes -r benches/models/requirements.txt && \
	        cp benches/models/requirements.txt $(bench_venv)/; } || exit; \
	fi; \
	$$python benches/models/make $(ARGS)

bench-peers: setup build ## Compare with whisper.cpp, Piper and Silero, in turns (a part of it: ARGS="hearing")
	@benches/peers/make $(ARGS)

models-demo: build ## Train the demo's models anew (two hours; ARGS="--install" puts them into models/demo)
	@models/demo/train/make $(ARGS)

ifeq ($(package_of),two)
deb: setup
	@.ci/cross setup-board
	@FEATURES="$(FEATURES)" GGML_NATIVE=OFF .ci/cross build
	@.ci/cross run .ci/deb aarch64-unknown-linux-gnu
else
deb: setup build ## Make the Debian package of this machine's architecture (target/debian/)
	@.ci/deb
endif

device-test: deb ## Boot a whole device in User-Mode Linux and test the package on it (scenarios in ARGS="press-mode")
	@tests/device/run $(ARGS)

device-test-arm64: setup build ## Boot an emulated arm64 board, install the package for it and have a turn (docs/cross.md)
	@.ci/cross setup
	@.ci/cross build
	@.ci/cross run .ci/deb aarch64-unknown-linux-gnu
	@tests/device/run-arm64 $(ARGS)

install: ## Install what make build made, for every user (PREFIX, DESTDIR); as root
	@test -x target/release/elio || { echo "install: nothing is built yet: make setup build" >&2; exit 1; }
	@test -f "$(onnxruntime)" || { echo "install: libonnxruntime is not there yet: make setup" >&2; exit 1; }
	install -D -m 755 target/release/elio $(DESTDIR)$(PREFIX)/bin/elio
	install -D -m 644 $(onnxruntime) $(DESTDIR)$(PREFIX)/lib/elio/libonnxruntime.so
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/elio LICENSE-MIT LICENSE-APACHE
	install -D -m 644 $(dir $(onnxruntime))LICENSE $(DESTDIR)$(PREFIX)/share/doc/elio/LICENSE-onnxruntime
	install -D -m 644 $(dir $(onnxruntime))ThirdPartyNotices.txt $(DESTDIR)$(PREFIX)/share/doc/elio/NOTICES-onnxruntime
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/elio/configs configs/*.toml
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/elio/models models/manifest.toml
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/elio/models/demo models/demo/*.*
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/elio/models/demo/questions models/demo/questions/*.*
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/elio/models/demo/clips models/demo/clips/*.*
	install -d $(DESTDIR)$(SYSLIBDIR)/systemd/system
	sed 's|/usr/bin/elio|$(PREFIX)/bin/elio|' systemd/elio.service >$(DESTDIR)$(unit)
	chmod 644 $(DESTDIR)$(unit)
	sed 's|/usr/bin/elio|$(PREFIX)/bin/elio|' systemd/elio-fault.service >$(DESTDIR)$(fault_unit)
	chmod 644 $(DESTDIR)$(fault_unit)
	install -D -m 644 systemd/elio.sysusers $(DESTDIR)$(sysusers)
	install -D -m 644 systemd/elio.tmpfile $(DESTDIR)$(tmpfiles)
	install -D -m 644 systemd/elio.catalog $(DESTDIR)$(catalog)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/elio systemd/gpu.conf
	install -D -m 644 systemd/60-elio.rules $(DESTDIR)$(udev)
	@if [ -e $(DESTDIR)$(SYSCONFDIR)/elio/elio.toml ]; then \
	    echo "install: $(DESTDIR)$(SYSCONFDIR)/elio/elio.toml is yours and stays as it is" >&2; \
	else install -D -m 644 configs/elio.toml $(DESTDIR)$(SYSCONFDIR)/elio/elio.toml; fi
	@# A package makes the user and reads the rules in its own scripts; without systemd there is nobody to do it.
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then \
	    systemd-sysusers elio.conf && systemd-tmpfiles --create elio.conf && systemctl daemon-reload && \
	    journalctl --update-catalog && \
	    { ! command -v udevadm >/dev/null || { udevadm control --reload && udevadm trigger --subsystem-match=gpio; }; }; fi

uninstall: ## Remove what install put there; configuration, key and state stay
	rm -f $(DESTDIR)$(PREFIX)/bin/elio $(DESTDIR)$(unit) $(DESTDIR)$(fault_unit) $(DESTDIR)$(sysusers) $(DESTDIR)$(tmpfiles) \
	    $(DESTDIR)$(catalog) $(DESTDIR)$(udev)
	rm -rf $(DESTDIR)$(PREFIX)/lib/elio $(DESTDIR)$(PREFIX)/share/elio $(DESTDIR)$(PREFIX)/share/doc/elio

clean: ## Remove everything that was built or fetched
	@$(CARGO) clean
