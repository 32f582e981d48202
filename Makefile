# The few commands a visitor needs; the build itself is CMake's (see CMakePresets.json).
#
# SPDX-License-Identifier: Apache-2.0

PRESET ?= release
DESTDIR ?=
CMAKE_ARGS ?=
C_FILES = $(shell find src tests bench fuzz -name '*.[ch]')

all: setup
	@cmake --preset $(PRESET) --log-level=WARNING $(CMAKE_ARGS)
	cmake --build build/$(PRESET)

setup: # Debian packages that are missing; silent when none is
	@sh tools/setup.sh

test: all
	ctest --test-dir build/$(PRESET) --output-on-failure

test-golden: all # FACET_FIXTURES=DIR takes the vectors from another place
	ctest --test-dir build/$(PRESET) --output-on-failure -L golden

demo: all
	build/$(PRESET)/facet demo

asan tsan debug:
	$(MAKE) test PRESET=$@

format:
	clang-format -i $(C_FILES)

format-check:
	@clang-format --dry-run -Werror $(C_FILES)

lint: setup
	CC=clang cmake --preset release -B build/clang
	cmake --build build/clang
	tools/lint.sh build/clang all 3600

install: all
	DESTDIR=$(DESTDIR) cmake --install build/$(PRESET)

clean:
	rm -rf build

.PHONY: all setup test test-golden demo asan tsan debug format format-check lint install clean
