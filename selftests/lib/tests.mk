# SPDX-License-Identifier: GPL-2.0
# Backtraces name only what the dynamic linker knows.
$(OUTPUT)/overflow: LDFLAGS += -rdynamic
# These calls fail when the test says so.
$(OUTPUT)/stack_fault: LDFLAGS += -Wl,--wrap=mmap,--wrap=munmap,--wrap=madvise,--wrap=mprotect,--wrap=ioctl,--wrap=syscall
# The harness's own variables, beside its setjmp().
$(OUTPUT)/stack_fault: CFLAGS += -Wno-clobbered
