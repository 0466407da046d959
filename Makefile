# Stave's recipes. `make demo` and `make test` work on a bare Debian 12 with Swift 6.2 or later.
STAVE := .build/release/stave
BASES := $(or $(STAVE_BASE_IMAGES),.build/base-images)
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60

# What compiling needs, what the tests need, and the tools that must accept our images.
PACKAGES := libarchive-dev zlib1g-dev libssl-dev libzstd-dev libisal-dev libseccomp-dev libsqlite3-dev libcurl4-openssl-dev \
	busybox-static ca-certificates python3 xz-utils zstd openssl
TEST_PACKAGES := docker-registry uidmap mmdebstrap skopeo umoci podman runc tmux

.PHONY: deps test-deps build test demo golden fmt lint bench fuzz torture install bases integration
.DEFAULT_GOAL := build

deps:
	@dpkg-query -W -f '$${Status}\n' $(PACKAGES) >/dev/null 2>&1 || \
	  { $(SUDO) apt-get update -q && \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(PACKAGES); }

# The tools of the tests are welcome, not needed: a test that lacks its tool says so.
test-deps: deps
	@dpkg-query -W -f '$${Status}\n' $(TEST_PACKAGES) >/dev/null 2>&1 || \
	  { $(SUDO) apt-get update -q; for p in $(TEST_PACKAGES); do \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$p || \
	    echo "note: $$p can't be installed"; done; }

build:
	swift build -c release --static-swift-stdlib --product stave

bases:
	@python3 scripts/base-images.py $(BASES) busybox
	@python3 scripts/base-images.py $(BASES) debian node python golang || \
	  echo "note: tests that need the missing base images are skipped"

# The unit tests, then everything else with the release binary; the last line counts both.
test: test-deps
	@scripts/test.sh $(BASES)

# Only the tests with the release binary.
integration: bases
	@scripts/test.sh --integration $(BASES)

demo: deps build
	$(SUDO) sh scripts/demo.sh $(STAVE)

# Re-records the expected output of the cases under testdata/.
golden:
	STAVE_RECORD_GOLDENS=1 swift test --filter Golden

fmt:
	swift format --in-place --recursive --parallel Sources Tests Package.swift

lint:
	swift format lint --strict --recursive --parallel Sources Tests Package.swift

bench: deps build
	@python3 scripts/base-images.py $(BASES) busybox
	@STAVE_BASE_IMAGES=$(BASES) python3 scripts/bench.py --stave $(STAVE)

# Changed and random bytes for every reader of foreign input, through `stave debug` and `stave load`.
fuzz: deps build
	@python3 scripts/base-images.py $(BASES) busybox
	@STAVE_BASE_IMAGES=$(BASES) python3 scripts/fuzz.py --stave $(STAVE) --seconds $(FUZZ_SECONDS)

# What `make test` does a little of: kills, full disks, a large store, faulty registries. Takes most of an hour.
torture: build bases
	$(SUDO) env STAVE_BASE_IMAGES=$(realpath $(BASES)) sh -c 'cd Tests/integration && python3 faults_kill.py --rounds 500 && \
	  python3 faults_disk.py --points 50 && python3 scale.py --layers 10000 && \
	  python3 registries.py --only faults --schedules 1000 --kills 100'

install: build
	$(SUDO) install -D -m 755 $(STAVE) $(DESTDIR)$(PREFIX)/bin/stave
