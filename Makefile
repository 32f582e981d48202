# The few commands a visitor needs; the build itself is CMake's (see CMakePresets.json).
#
# SPDX-License-Identifier: Apache-2.0

PRESET ?= release
DESTDIR ?=
CMAKE_ARGS ?=
C_FILES = $(shell find src tests bench fuzz -name '*.[ch]')

BUILD = build/$(PRESET)

facet: setup # the program alone
	@cmake --preset $(PRESET) --log-level=WARNING $(CMAKE_ARGS)
	cmake --build $(BUILD) --target facet

all: facet # and the tests, benches and fuzz targets
	cmake --build $(BUILD)

setup: # Debian packages that are missing; silent when none is
	@sh tools/setup.sh build look

setup-test:
	@sh tools/setup.sh test

setup-ci:
	@sh tools/setup.sh ci

test: setup-test all
	ctest --test-dir $(BUILD) --output-on-failure

test-golden: setup-test all # FACET_FIXTURES=DIR takes the vectors from another place
	ctest --test-dir $(BUILD) --output-on-failure -L golden

demo: facet
	$(BUILD)/facet demo

interop: facet # do the written files open in TensorBoard, SAELens, transformers, numpy, sqlite3?
	tests/interop/run.sh $(BUILD)/facet

bench-peers: all # alone on the machine; BENCH_ARGS="--rounds 7 --gemma-1b DIR"
	bench/peers/run.sh $(BUILD) $(BENCH_ARGS)

asan tsan debug:
	$(MAKE) test PRESET=$@

format: setup-ci
	clang-format -i $(C_FILES)

format-check: setup-ci
	@clang-format --dry-run -Werror $(C_FILES)

lint: setup setup-ci
	CC=clang cmake --preset release -B build/clang
	cmake --build build/clang
	tools/lint.sh build/clang all 3600

install: facet
	DESTDIR=$(DESTDIR) cmake --install $(BUILD)

clean:
	rm -rf build

.NOTPARALLEL:

.PHONY: facet all setup setup-test setup-ci test test-golden interop bench-peers demo asan tsan debug format format-check lint install clean
