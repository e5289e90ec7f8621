# Elio's commands; `make help` lists them. Set-up speaks on standard error: standard output belongs to the program.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build demo test check bench install uninstall clean

# Rust as rustup puts it, also in a shell that has not read its profile.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
CARGO ?= cargo
FEATURES ?=
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= /lib/systemd/system

features := $(if $(FEATURES),--features $(FEATURES))
onnxruntime = $(lastword $(sort $(wildcard target/onnxruntime/*/libonnxruntime.so)))

help: ## This list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: ## Install what is missing: system packages, libonnxruntime (done by demo and test too)
	@.ci/setup

build: ## Build the program: target/release/elio (FEATURES=cuda for an NVIDIA board)
	@$(CARGO) build --release --locked $(features)

demo: setup build ## Hear, answer and speak recorded questions (options in ARGS="--json")
	@target/release/elio demo $(ARGS)

test: setup ## Every test (some of them in ARGS="turn::")
	@$(CARGO) test --locked $(features) $(ARGS)

check: setup ## Format and lints, as .ci/run checks them
	@$(CARGO) fmt --check
	@$(CARGO) clippy --locked --all-targets -- -D warnings
	@$(CARGO) clippy --locked --all-targets --features rppal -- -D warnings

bench: setup ## Time the hot paths (minutes)
	@$(CARGO) bench --locked $(features) $(ARGS)

install: ## Install what make build made, for every user (PREFIX, DESTDIR); as root
	@test -x target/release/elio || { echo "install: nothing is built yet: make setup build" >&2; exit 1; }
	@test -f "$(onnxruntime)" || { echo "install: libonnxruntime is not there yet: make setup" >&2; exit 1; }
	install -D -m 755 target/release/elio $(DESTDIR)$(PREFIX)/bin/elio
	install -D -m 644 $(onnxruntime) $(DESTDIR)$(PREFIX)/lib/elio/libonnxruntime.so
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/elio LICENSE-MIT LICENSE-APACHE
	install -D -m 644 $(dir $(onnxruntime))LICENSE $(DESTDIR)$(PREFIX)/share/doc/elio/LICENSE-onnxruntime
	install -D -m 644 $(dir $(onnxruntime))ThirdPartyNotices.txt $(DESTDIR)$(PREFIX)/share/doc/elio/NOTICES-onnxruntime
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/elio/models/demo $(wildcard models/demo/*.*)
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/bin/elio|$(PREFIX)/bin/elio|' systemd/elio.service >$(DESTDIR)$(UNITDIR)/elio.service
	chmod 644 $(DESTDIR)$(UNITDIR)/elio.service
	@if [ -e $(DESTDIR)$(SYSCONFDIR)/elio/elio.toml ]; then \
	    echo "install: $(DESTDIR)$(SYSCONFDIR)/elio/elio.toml is yours and stays as it is" >&2; \
	else install -D -m 644 configs/elio.toml $(DESTDIR)$(SYSCONFDIR)/elio/elio.toml; fi

uninstall: ## Remove what install put there; the configuration stays
	rm -f $(DESTDIR)$(PREFIX)/bin/elio $(DESTDIR)$(UNITDIR)/elio.service
	rm -rf $(DESTDIR)$(PREFIX)/lib/elio $(DESTDIR)$(PREFIX)/share/elio $(DESTDIR)$(PREFIX)/share/doc/elio

clean: ## Remove everything that was built or fetched
	@$(CARGO) clean
