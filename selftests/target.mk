# SPDX-License-Identifier: GPL-2.0
#
# Builds and runs one directory of tests by the kernel's lib.mk; the Makefile
# beside this one calls it there, with UF_PROGS, UF_BUILD, UF_KSFT, SAN and CHECKED
# set.

TOP := $(abspath ../..)
DIR := $(notdir $(CURDIR))
# The kernel's lib.mk has another ARCH.
ARCH := $(UF_ARCH)
include $(TOP)/lib/arch.mk
override UF_ARCH := $(ARCH)
unexport ARCH
flavour := $(DIR)$(variant)
OUTPUT := $(UF_BUILD)/selftests/$(flavour)

TEST_GEN_PROGS := $(UF_PROGS)
KHDR_INCLUDES := -I$(TOP)/include/uapi

CFLAGS := -g -O2 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	  -Wno-sign-compare -Wno-clobbered -I$(UF_KSFT) $(KHDR_INCLUDES)
LDLIBS := -luring -lpthread

ifeq ($(DIR),kmod)
LOCAL_HDRS := $(wildcard *.h) $(TOP)/include/uapi/linux/ufiber.h
CFLAGS += -DUF_TOP='"$(TOP)"'
# A thread under test must not block in the dynamic linker.
LDFLAGS := -Wl,-z,now
extra := $(wildcard uf_*.c)
else
LIBDIR := $(UF_BUILD)/lib$(variant)
LOCAL_HDRS := $(wildcard *.h) $(TOP)/lib/include/ufiber.h
CFLAGS += -I$(TOP)/lib/include -I$(TOP)/lib -I$(TOP)/lib/arch/$(UF_ARCH) -Iarch/$(MACHINE)
ifeq ($(UF_ARCH),ucontext)
CFLAGS += -DUF_CORO_CALLED
endif
ifeq ($(SAN),asan)
# The runner preloads stdbuf's library, which must not come before ASan's.
CFLAGS += -fsanitize=address -static-libasan -fno-omit-frame-pointer
else ifeq ($(SAN),tsan)
CFLAGS += -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan
else ifeq ($(SAN),ubsan)
CFLAGS += -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
ifneq ($(CHECKED),)
CFLAGS += -DUF_CHECKED
endif
extra := $(LIBDIR)/libufiber.a
endif

# Flags that single programs need.
-include tests.mk

include $(UF_KSFT)/lib.mk

# The layout of an installed kselftest: the runner beside the directories.
define RUN_TESTS
	BASE_DIR="$(UF_BUILD)/selftests";		\
	cd $(OUTPUT);				\
	. $(UF_KSFT)/kselftest/runner.sh;		\
	run_many $(1)
endef

$(TEST_GEN_PROGS): $(extra) | $(OUTPUT)/settings

all: $(OUTPUT)/settings

# Programs of another machine, or under valgrind: what may not be executed the
# runner starts by ksft_runner.sh. qemu-user insists on that as well, so there
# the dynamic linker is what it starts.
ifneq ($(MACHINE),$(HOST))
start := qemu-$(MACHINE) /lib/ld-linux-$(MACHINE).so.1
else ifeq ($(SAN),valgrind)
start := valgrind -q --error-exitcode=99 /lib64/ld-linux-x86-64.so.2
endif
ifneq ($(start),)
all: $(OUTPUT)/ksft_runner.sh
$(OUTPUT)/ksft_runner.sh: $(TOP)/selftests/target.mk $(TEST_GEN_PROGS)
	@printf '#!/bin/sh\nexec %s "$$@"\n' '$(start)' >$@
	@chmod 755 $@
	@chmod 644 $(TEST_GEN_PROGS)
endif


$(OUTPUT)/settings: $(TOP)/selftests/target.mk
	@mkdir -p $(@D)
	@ln -sfn $(UF_KSFT)/kselftest $(UF_BUILD)/selftests/kselftest
	@echo timeout=600 >$@

ifeq ($(DIR),lib)
# The recipe, though empty, has make look at the file's new time.
$(LIBDIR)/libufiber.a: lib ;
lib:
	@+$(MAKE) --no-print-directory -C $(TOP)/lib SAN=$(SAN) CHECKED=$(CHECKED) ARCH=$(UF_ARCH)
.PHONY: lib
endif
