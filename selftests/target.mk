# SPDX-License-Identifier: GPL-2.0
#
# Builds and runs one directory of tests by the kernel's lib.mk; the Makefile
# beside this one calls it there, with UF_PROGS, UF_BUILD, UF_KSFT and SAN set.

TOP := $(abspath ../..)
DIR := $(notdir $(CURDIR))
flavour := $(DIR)$(if $(SAN),-$(SAN))
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
LIBDIR := $(UF_BUILD)/lib$(if $(SAN),-$(SAN))
LOCAL_HDRS := $(wildcard *.h) $(TOP)/lib/include/ufiber.h
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
CFLAGS += -I$(TOP)/lib/include -I$(TOP)/lib -I$(TOP)/lib/arch/$(ARCH) -Iarch/$(ARCH)
ifeq ($(SAN),asan)
# The runner preloads stdbuf's library, which must not come before ASan's.
CFLAGS += -fsanitize=address -static-libasan -fno-omit-frame-pointer
else ifeq ($(SAN),ubsan)
CFLAGS += -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
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


$(OUTPUT)/settings: $(TOP)/selftests/target.mk
	@mkdir -p $(@D)
	@ln -sfn $(UF_KSFT)/kselftest $(UF_BUILD)/selftests/kselftest
	@echo timeout=600 >$@

ifeq ($(DIR),lib)
$(LIBDIR)/libufiber.a: lib
lib:
	@+$(MAKE) --no-print-directory -C $(TOP)/lib SAN=$(SAN)
.PHONY: lib
endif
