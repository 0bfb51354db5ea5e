# `make demo` and `make test` need a Debian 12 and the Swift toolchain; they install every other package that is missing.

SHELL := /bin/bash -o pipefail

# What the Swift toolchain itself needs; an installer that unpacks the archive alone does not bring it.
TOOLCHAIN_PACKAGES := binutils git libc6-dev libcurl4 libgcc-12-dev libncurses6 libsqlite3-0 libstdc++-12-dev libxml2 tzdata \
    zlib1g-dev
BUILD_PACKAGES := $(TOOLCHAIN_PACKAGES) pkg-config libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libopenblas-dev \
    libsqlite3-dev libzmq3-dev
RUN_PACKAGES := gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav
BENCHMARK_PACKAGES := python3 python3-venv
TEST_PACKAGES := gstreamer1.0-plugins-ugly gstreamer1.0-tools python3-zmq qemu-user systemd util-linux

RELEASE := -c release
# Tests reach internal types; debug kernels crawl, so tests are built like the product.
TESTING := -c release -Xswiftc -enable-testing --scratch-path .build-tests
# OpenBLAS starts its pool when it is loaded; our own threads call it one at a time.
export OPENBLAS_NUM_THREADS := 1

# The long forms of tests, one target each.
LONG_TESTS := long-load

.PHONY: demo test test-older-cpus test-long $(LONG_TESTS) sanitize benchmark load experiments reproduce-loco reproduce-mvtec build install lint run-packages test-packages benchmark-packages clean

# Where `make install` puts the programs and the teacher; DESTDIR goes in front.
PREFIX ?= /usr

## demo: build, then replay a generated recording through the pipeline with the shipped model
demo: run-packages build
	@Tests/Demo/demo.sh "$$(swift build $(RELEASE) --show-bin-path)"

## test: build without warnings, check the formatting, run every test
test: test-packages lint
	@mkdir -p .build-tests
	@swift build --build-tests $(TESTING) 2>&1 | tee .build-tests/build.log
	@if grep -E '^$(CURDIR)/(Sources|Tests)/.*warning:' .build-tests/build.log; then \
	    echo 'the build has warnings in our targets' >&2; exit 1; fi
	@echo 'the load figure alone, because it wants both cores, in half a minute:'
	@swift test --skip-build $(TESTING) --disable-xctest --filter '^LineLoadTests\.' 2>&1 | grep -Ev $(PASSING)
	@swift test --skip-build $(TESTING) --disable-xctest --skip '^LineLoadTests\.'
	@$(MAKE) --no-print-directory test-older-cpus

# What a test runner says about tests that pass, less its closing line.
PASSING := ' started\.|^✔ (Suite|Test [^r])|Test case passing|^\[[0-9]+/'

# As qemu-user calls them, less what it would warn about: the first has no AVX2, the second has; no qemu has AVX-512.
OLDER_CPUS := Nehalem Haswell-noTSX,-pcid,-x2apic,-tsc-deadline,-invpcid

## test-older-cpus: the kernels' tests, as `test` has built them, on emulated CPUs; the last step of `test`
test-older-cpus:
	@bundle="$$(swift build $(TESTING) --show-bin-path)/beltwatchPackageTests.xctest"; \
	for cpu in $(OLDER_CPUS); do \
	    echo "the kernels on an emulated $${cpu%%[-,]*}, which takes a minute:"; \
	    env -u OPENBLAS_CORETYPE qemu-x86_64 -cpu "$$cpu" "$$bundle" --testing-library swift-testing \
	        --filter '^TensorKernelsTests\.' --skip ChangeNoBit 2>&1 | grep -Ev $(PASSING) || exit; \
	done

## test-long: the tests that take minutes to hours, each to its end
test-long: $(LONG_TESTS)

# 100,000 parts, nine minutes: the counts decide, the times are printed.
long-load: run-packages
	@$(LOAD) --parts 100000 --rounds 1 --hostile-only

# What each of them builds with, and the tests it runs. Undefined behaviour is looked for in C alone, where it ends the
# process: Swift checks itself. The thread sanitizer is for what threads share.
SANITIZE_address := --sanitize=address --filter TensorKernelsTests
SANITIZE_undefined := -Xcc -fsanitize=undefined -Xcc -fsanitize-trap=all --filter TensorKernelsTests
SANITIZE_thread := --sanitize=thread --filter DataParallelLoopTests --filter LockingTests

## sanitize: the kernels' tests under the address, undefined-behaviour and thread sanitizers, in some minutes
sanitize: test-packages
	@mkdir -p .build-sanitize/package && cd .build-sanitize/package && \
	    ln -sf ../../Tests/Sanitizers/Package.swift . && ln -sfn ../../Sources Sources && ln -sfn ../../Tests Tests
	@for sanitizer in address undefined thread; do $(MAKE) --no-print-directory sanitize-$$sanitizer || exit; done

sanitize-%:
	@echo "the $* sanitizer:"
	@swift test --package-path .build-sanitize/package --scratch-path .build-sanitize/$* $(RELEASE) \
	    -Xswiftc -enable-testing --disable-xctest $(SANITIZE_$*) 2>&1 | grep -Ev $(PASSING)

## benchmark: our engine beside ONNX Runtime and OpenVINO from PyPI; Tests/Benchmarks/benchmark.py lists the settings
benchmark: benchmark-packages
	@swift build $(RELEASE) --product EngineBenchmark >&2
	@python3 Tests/Benchmarks/benchmark.py "$$(swift build $(RELEASE) --show-bin-path)/EngineBenchmark"

# Models, figures and logs of trials: days of work, which `clean` leaves alone. What is finished there is not repeated.
WORK ?= .build-experiments
built = swift build $(RELEASE) --product $(1) >&2
LOAD = $(call built,LineLoad) && "$$(swift build $(RELEASE) --show-bin-path)/LineLoad"
EXPERIMENTS = $(call built,beltwatch) && $(call built,Experiments) && \
    bin="$$(swift build $(RELEASE) --show-bin-path)" && "$$bin/Experiments"
TRIALS = --program "$$bin/beltwatch" --work "$(WORK)" $(if $(JOBS),--jobs $(JOBS))

## load: from capture to verdict on the wire at 200 parts a second, with and without hostile subscribers; four minutes
load: run-packages
	@$(LOAD) $(if $(PARTS),--parts $(PARTS)) $(if $(ROUNDS),--rounds $(ROUNDS))

## experiments: every method trained and judged alike, with the papers' ablations in miniature; some hours
experiments: run-packages
	@$(EXPERIMENTS) report $(TRIALS) $(if $(BOTTLE),--bottle "$(BOTTLE)") $(if $(ITERATIONS),--iterations $(ITERATIONS)) \
	    $(if $(MEDIUM_ITERATIONS),--medium-iterations $(MEDIUM_ITERATIONS)) \
	    $(if $(BOTTLE_ITERATIONS),--bottle-iterations $(BOTTLE_ITERATIONS)) $(if $(SHOW),--show)

## reproduce-loco, reproduce-mvtec: the papers' protocol on the data set in DATASET, our column beside the published ones
reproduce-loco reproduce-mvtec: reproduce-%: run-packages
	@test -n "$(DATASET)" || { echo 'DATASET=… names the folder with the categories' >&2; exit 64; }
	@$(EXPERIMENTS) reproduce $* $(TRIALS) --dataset "$(DATASET)" $(if $(CATEGORIES),--categories "$(CATEGORIES)") \
	    $(if $(MODELS),--models "$(MODELS)") $(if $(ITERATIONS),--iterations $(ITERATIONS)) \
	    $(if $(TEACHERS),--teachers "$(TEACHERS)") $(if $(PENALTY),--penalty "$(PENALTY)")

build:
	@swift build $(RELEASE)

## install: the programs to PREFIX/bin, the teacher to PREFIX/share/beltwatch, the unit and an example station beside it
install: run-packages build
	@bin="$$(swift build $(RELEASE) --show-bin-path)"; \
	install -D -t "$(DESTDIR)$(PREFIX)/bin" "$$bin/beltwatch" "$$bin/beltwatchd"; \
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/beltwatch" Sources/Archive/Resources/* Systemd/example-station.yaml \
	    Pipelines/*.pipeline; \
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/lib/systemd/system" Systemd/beltwatchd@.service

## lint: formatting is strict, and a badly formatted line is seen to fail
lint:
	@swift format lint --strict --recursive Sources Tests Package.swift
	@if printf 'let  a=1;\n' | swift format lint --strict --assume-filename proof.swift - 2>/dev/null; then \
	    echo 'swift format lint accepts a badly formatted line: the lint proves nothing' >&2; exit 1; fi

run-packages:
	@$(call install,$(BUILD_PACKAGES) $(RUN_PACKAGES))

test-packages:
	@$(call install,$(BUILD_PACKAGES) $(RUN_PACKAGES) $(TEST_PACKAGES))

benchmark-packages:
	@$(call install,$(BUILD_PACKAGES) $(BENCHMARK_PACKAGES))

clean:
	rm -rf .build .build-tests .build-benchmark .build-sanitize

# Installs what is missing and nothing else; with sudo when not root.
define install
missing=(); for package in $(1); do \
    dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing+=($$package); done; \
if [ $${#missing[@]} -gt 0 ]; then \
    echo "installing $${missing[*]}"; \
    sudo=; if [ "$$(id -u)" -ne 0 ]; then sudo=sudo; fi; \
    $$sudo apt-get update -qq && \
    $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null; \
fi
endef
