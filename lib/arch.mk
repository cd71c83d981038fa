# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Which architecture is built for, and what to call that; for the Makefiles of
# the library and of its tests.
#
#  MACHINE	what the compiler compiles for
#  ARCH		the directory of lib/arch that the switch is taken from
#  variant	what is appended to the build directory's name

ifneq ($(CROSS_COMPILE),)
CC := $(CROSS_COMPILE)gcc
CXX := $(CROSS_COMPILE)g++
AR := $(CROSS_COMPILE)ar
endif

MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
# Relative to this file.
arch_dir := $(dir $(lastword $(MAKEFILE_LIST)))arch
# The kernel's variable of that name has other values.
ifeq ($(origin ARCH),environment)
ARCH :=
endif
ifeq ($(ARCH),)
ARCH := $(if $(wildcard $(arch_dir)/$(MACHINE)),$(MACHINE),ucontext)
endif

HOST := $(shell uname -m)
variant := $(if $(SAN),-$(SAN))$(if $(CHECKED),-checked)
variant := $(variant)$(if $(filter $(HOST),$(MACHINE)),,-$(MACHINE))
variant := $(variant)$(if $(filter $(MACHINE),$(ARCH)),,-$(ARCH))
