# SPDX-License-Identifier: GPL-2.0-only
# ufiber: the kernel module, the library, and everything around them.
#
#: make demo [NATIVE=1]   install what is missing, build, and show what it is for,
#:                        in a VM or, with NATIVE=1, on this machine
#: make check             install what is missing, build, run all tests
#: make check-long [CONTINUE=1]   the same and more: all kernels, all ways to build the
#:                        module; or what an interrupted run of it has left
#: make fuzz [SECONDS=60]  random programs for the device, guided by coverage, in a VM
#: make coverage          what the module's tests reach, in build/coverage.json
#: make bench-kernel      instruction counts of the module's paths, in a VM
#: make bench-kernel-profile WORK=hand-over   which functions they go to
#: make bench [ROUNDS=5] [WORK='yield-* ...']   ufiber beside its peers, some ten
#:                        minutes; tools/bench/run --help
#: make bench-switch      of it, a switch of context
#: make bench-parked      of it, the memory of a parked fiber
#: make bench-ticker      of it, how late a ticker is while its neighbours block unseen
#: make bench-growth      of it, how cost grows with fibers, timers and servers
#: make model             check the protocol's model with spin, and that it catches bugs
#: make lint              checkpatch, sparse, clang-format, cppcheck, shellcheck, man pages
#:
#: make all               module for each of Debian's kernels, library, tools, tests
#: make kmod [KDIR=dir | KERNEL=name]   the module for one kernel, by default the
#:                        running one, in build/kmod/VERSION; name is 6.1, 6.12, 6.12-rt
#:                        or, built by make -C tools/vm, debug, kcsan, plain-exports, nokvm
#: make kmod-install [KDIR=dir | KERNEL=name] [DESTDIR=dir]   install it, and a udev rule
#:                        that lets everybody use it (Documentation/security.rst)
#: make lib [CHECKED=1]   the library, in build/lib; or one that looks at what it is
#:                        passed, in build/lib-checked (Documentation/guide.rst)
#: make man               the library's man pages, in build/man
#: make install [DESTDIR=dir] [PREFIX=/usr/local]   library, headers, pkg-config file,
#:                        man pages
#: make deps              install what building and testing need (apt-get)
#: make clean             remove build/

KERNELS := 6.1 6.12 6.12-rt
BUILT_KERNELS := debug kcsan plain-exports nokvm
DEPS := tools/deps/install
BENCH := build/bench

native := $(filter 1,$(NATIVE))

# Compilers at a time, where building is only the beginning.
JOBS ?= $(shell nproc)

# The headers' directory of one of KERNELS.
headers = $(shell tools/vm/kernel $(1) headers)

help:
	@sed -n 's/^#: \?//p' Makefile

all: kmod-all lib demo-build bench-build selftests

# A bare `make kmod` is for the running kernel.
kmod:
	$(if $(KERNEL),$(if $(filter $(KERNELS) $(BUILT_KERNELS),$(KERNEL)),,\
		$(error KERNEL=$(KERNEL): there are $(KERNELS) $(BUILT_KERNELS))))
	$(if $(KERNEL),$(if $(KDIR),$(error either KERNEL= or KDIR=)))
	@$(MAKE) --no-print-directory -s -C kmod \
		$(if $(KERNEL),KDIR=$(or $(call headers,$(KERNEL)),$(error KERNEL=$(KERNEL): see above))) \
		$(if $(KDIR),KDIR=$(KDIR))

kmod-install: kmod
	@$(MAKE) --no-print-directory -s -C kmod install \
		$(if $(KERNEL),KDIR=$(call headers,$(KERNEL))) $(if $(KDIR),KDIR=$(KDIR))

kmod-all: $(KERNELS:%=kmod-%) $(KERNELS:%=kmod-fput-%) $(KERNELS:%=kmod-sched_switch-%)
kmod-all: kmod-delay-6.12

$(KERNELS:%=kmod-%): kmod-%:
	@$(MAKE) --no-print-directory -s -C kmod W=1 KDIR=$(call headers,$*)

# The other way to get at the return to user mode, whatever the kernel exports.
$(KERNELS:%=kmod-fput-%): kmod-fput-%:
	@$(MAKE) --no-print-directory -s -C kmod W=1 KDIR=$(call headers,$*) \
		UFIBER_RESUME=fput

# The other hook in the scheduler.
$(KERNELS:%=kmod-sched_switch-%): kmod-sched_switch-%:
	@$(MAKE) --no-print-directory -s -C kmod W=1 KDIR=$(call headers,$*) \
		UFIBER_HOOK=sched_switch

# With delay points, for tools/races/run.
$(KERNELS:%=kmod-delay-%): kmod-delay-%:
	@$(MAKE) --no-print-directory -s -C kmod W=1 KDIR=$(call headers,$*) \
		UFIBER_DELAY=y

lib:
	@$(MAKE) --no-print-directory -C lib

demo-build: lib
	@$(MAKE) --no-print-directory -C tools/demo

bench-build: lib
	@$(MAKE) --no-print-directory -C tools/bench

selftests: lib
	@$(MAKE) --no-print-directory -C selftests

man:
	@$(MAKE) --no-print-directory -C tools/man

install:
	@$(MAKE) --no-print-directory -C lib install
	@$(MAKE) --no-print-directory -C tools/man install

deps:
	@$(DEPS) build vm demo man lint bench trace model

demo:
	$(if $(filter-out 0 1,$(NATIVE)),$(error NATIVE=$(NATIVE): 0 or 1))
	@$(DEPS) build demo $(if $(native),,vm)
	@$(MAKE) --no-print-directory demo-build
	@$(if $(native),$(MAKE) --no-print-directory kmod || \
		echo "demo: no module for the running kernel" >&2, \
		$(MAKE) --no-print-directory kmod-6.12)
	@tools/demo/demo $(if $(native),--native)

# The module for a kernel that is built here, and with the other hook.
$(BUILT_KERNELS:%=built-%): built-%:
	@$(MAKE) --no-print-directory -C tools/vm $*-kernel
	@$(MAKE) --no-print-directory -s -C kmod W=1 KDIR=$$(tools/vm/kernel $* headers)
	@$(MAKE) --no-print-directory -s -C kmod W=1 KDIR=$$(tools/vm/kernel $* headers) \
		UFIBER_HOOK=sched_switch

check:
	@$(DEPS) build vm kernel demo bench trace model cross watch
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@$(MAKE) --no-print-directory built-debug kmod-kcov
	@tools/check/run

check-long:
	@$(DEPS) build vm kernel demo bench trace model cross watch
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@set -e; for k in $(BUILT_KERNELS); do $(MAKE) --no-print-directory built-$$k; done
	@$(MAKE) --no-print-directory kmod-kcov
	@$(MAKE) --no-print-directory kmod KERNEL=debug UFIBER_DELAY=y
	@tools/check/run $(if $(CONTINUE),--continue) --long

coverage:
	@$(DEPS) build vm kernel
	@$(MAKE) --no-print-directory selftests
	@$(MAKE) --no-print-directory -C tools/vm debug-kernel
	@tools/coverage/run

# The module with the fuzzer's instrumentation.
kmod-kcov:
	@$(MAKE) --no-print-directory -C tools/vm debug-kernel
	@$(MAKE) --no-print-directory -s -C kmod KDIR=$$(tools/vm/kernel debug headers) \
		BUILD=$(CURDIR)/build/kmod/kcov KCOV_INSTRUMENT=y
	@$(MAKE) --no-print-directory -C tools/fuzz

SECONDS ?= 60
fuzz:
	@$(DEPS) build vm kernel
	@$(MAKE) --no-print-directory kmod-kcov
	@tools/vm/run --kernel debug --module build/kmod/kcov/ufiber.ko \
		--timeout $$(($(SECONDS) + 1800)) -- \
		tools/fuzz/run --corpus tools/fuzz/corpus --seconds $(SECONDS)

model:
	@$(DEPS) model
	@tools/model/run

lint:
	@$(DEPS) build man lint
	@$(MAKE) --no-print-directory lib
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

# All of it, or a part that writes a file of its own.
bench: BENCH_ARGS = $(foreach w,$(WORK),'$(w)')
bench-switch: BENCH_ARGS := --name switch 'switch-*' coroutine-called
bench-parked: BENCH_ARGS := --name parked parked-fiber-bytes
bench-ticker: BENCH_ARGS := --name ticker 'tick-*'
bench-growth: BENCH_ARGS := --name growth 'yield-*' 'timers-*' 'servers-*'

ROUNDS ?= 5
bench bench-switch bench-parked bench-ticker bench-growth:
	@$(DEPS) build bench
	@$(MAKE) --no-print-directory bench-build
	@tools/bench/run --rounds '$(ROUNDS)' $(BENCH_ARGS)

clean:
	rm -rf build

.PHONY: help all kmod kmod-install kmod-all lib demo-build bench-build selftests install deps
.PHONY: $(BUILT_KERNELS:%=built-%)
.PHONY: man demo check check-long model coverage fuzz kmod-kcov lint clean
.PHONY: bench bench-switch bench-parked bench-ticker bench-growth
.PHONY: bench-kernel bench-kernel-profile
.PHONY: $(KERNELS:%=kmod-%) $(KERNELS:%=kmod-fput-%) $(KERNELS:%=kmod-sched_switch-%)
.PHONY: $(KERNELS:%=kmod-delay-%)
