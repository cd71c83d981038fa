# SPDX-License-Identifier: GPL-2.0-only
# ufiber: the kernel module, the library, and everything around them.
#
#: make demo [NATIVE=1]   install what is missing, build, and show what it is for,
#:                        in a VM or, with NATIVE=1, on this machine
#: make check             install what is missing, build, run all tests
#: make bench-kernel      instruction counts of the module's paths, in a VM
#: make bench-kernel-profile WORK=hand-over   which functions they go to
#: make bench-switch      the fiber switch beside its peers
#: make lint              checkpatch, sparse, clang-format, cppcheck, shellcheck
#:
#: make all               module for each of Debian's kernels, library, tools, tests
#: make kmod [KDIR=dir | KERNEL=6.1|6.12|6.12-rt]   the module for one kernel,
#:                        by default the running one, in build/kmod/VERSION
#: make lib               the library, in build/lib
#: make install [DESTDIR=dir] [PREFIX=/usr/local]   library, headers, pkg-config file
#: make deps              install what building and testing need (apt-get)
#: make clean             remove build/

KERNELS := 6.1 6.12 6.12-rt
DEPS := tools/deps/install
BENCH := build/bench

native := $(filter 1,$(NATIVE))

# The headers' directory of one of KERNELS.
headers = $(shell tools/vm/kernel $(1) headers)

help:
	@sed -n 's/^#: \?//p' Makefile

all: kmod-all lib demo-build bench-build selftests

# A bare `make kmod` is for the running kernel.
kmod:
	$(if $(KERNEL),$(if $(filter $(KERNELS),$(KERNEL)),,\
		$(error KERNEL=$(KERNEL): there are $(KERNELS))))
	$(if $(KERNEL),$(if $(KDIR),$(error either KERNEL= or KDIR=)))
	@$(MAKE) --no-print-directory -s -C kmod \
		$(if $(KERNEL),KDIR=$(call headers,$(KERNEL))) $(if $(KDIR),KDIR=$(KDIR))

kmod-all: $(KERNELS:%=kmod-%) $(KERNELS:%=kmod-fput-%)

$(KERNELS:%=kmod-%): kmod-%:
	@$(MAKE) --no-print-directory -s -C kmod W=1 KDIR=$(call headers,$*)

# The other way to get at the return to user mode, whatever the kernel exports.
$(KERNELS:%=kmod-fput-%): kmod-fput-%:
	@$(MAKE) --no-print-directory -s -C kmod W=1 KDIR=$(call headers,$*) \
		UFIBER_RESUME=fput

lib:
	@$(MAKE) --no-print-directory -C lib

demo-build: lib
	@$(MAKE) --no-print-directory -C tools/demo

bench-build: lib
	@$(MAKE) --no-print-directory -C tools/bench

selftests: lib
	@$(MAKE) --no-print-directory -C selftests

install:
	@$(MAKE) --no-print-directory -C lib install

deps:
	@$(DEPS) build vm demo lint bench

demo:
	$(if $(filter-out 0 1,$(NATIVE)),$(error NATIVE=$(NATIVE): 0 or 1))
	@$(DEPS) build demo $(if $(native),,vm)
	@$(MAKE) --no-print-directory demo-build
	@$(if $(native),$(MAKE) --no-print-directory kmod || \
		echo "demo: no module for the running kernel" >&2, \
		$(MAKE) --no-print-directory kmod-6.12)
	@tools/demo/demo $(if $(native),--native)

check:
	@$(DEPS) build vm demo bench
	@$(MAKE) --no-print-directory all
	@tools/check/run

lint:
	@$(DEPS) build lint
	@tools/lint/run

bench-kernel:
	@$(DEPS) build vm bench
	@$(MAKE) --no-print-directory kmod-6.12 bench-build
	@tools/vm/run --kernel 6.12 --icount -- $(BENCH)/kernel \
		--module build/kmod/$$(tools/vm/kernel 6.12 release)/ufiber.ko

bench-kernel-profile:
	$(if $(WORK),,$(error WORK= one of those that $(BENCH)/kernel --help lists))
	@$(DEPS) build vm bench
	@$(MAKE) --no-print-directory kmod-6.12 bench-build
	@tools/bench/profile $(WORK)

bench-switch:
	@$(DEPS) build bench
	@$(MAKE) --no-print-directory bench-build
	@$(BENCH)/switch

clean:
	rm -rf build

.PHONY: help all kmod kmod-all lib demo-build bench-build selftests install deps
.PHONY: demo check lint bench-kernel bench-kernel-profile bench-switch clean
.PHONY: $(KERNELS:%=kmod-%) $(KERNELS:%=kmod-fput-%)
