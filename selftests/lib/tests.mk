# SPDX-License-Identifier: GPL-2.0
# Backtraces name only what the dynamic linker knows.
$(OUTPUT)/overflow $(OUTPUT)/dump: LDFLAGS += -rdynamic
# Where tools/gdb is.
$(OUTPUT)/dump: CFLAGS += -DUF_TOP='"$(TOP)"'
# These calls fail when the test says so.
$(OUTPUT)/stack_fault: LDFLAGS += -Wl,--wrap=mmap,--wrap=munmap,--wrap=madvise,--wrap=mprotect,--wrap=ioctl,--wrap=syscall
$(OUTPUT)/fault: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=aligned_alloc,--wrap=free,--wrap=mmap,--wrap=munmap,--wrap=pthread_create,--wrap=io_uring_queue_init_params,--wrap=epoll_create1,--wrap=eventfd
# The harness's own variables, beside its setjmp().
$(OUTPUT)/stack_fault $(OUTPUT)/monitor $(OUTPUT)/fault: CFLAGS += -Wno-clobbered

# coro_inline is linked with inline/work.c compiled in many ways: COMPILER,FLAG...

comma := ,
levels := O0 O1 O2 O3 Os
ways := $(levels:%=$(CC),-%)
ifeq ($(SAN)$(filter-out $(HOST),$(MACHINE)),)
flags := -O2,-fPIC -O2,-fno-omit-frame-pointer -O0,-fomit-frame-pointer \
	 -O2,-mno-red-zone -O3,-funroll-all-loops
ways += $(flags:%=$(CC),%)
ifeq ($(MACHINE),x86_64)
ways += $(CC),-O2,-fcf-protection=none $(CC),-O0,-fcf-protection=full \
	$(CC),-O2,-fcf-protection=full $(CC),-O2,-mcmodel=large
endif
ifneq ($(shell command -v clang),)
ways += $(levels:%=clang,-%) clang,-O2,-fPIC clang,-O2,-fno-omit-frame-pointer
ifeq ($(MACHINE),x86_64)
ways += clang,-O2,-fcf-protection=full
endif
endif
cxx := $(foreach c,g++ clang++,$(if $(shell command -v $(c)),$(c)))
ways += $(foreach c,$(cxx),$(levels:%=$(c),-%) $(c),-O2,-fPIC,-fno-omit-frame-pointer)
endif

way_flags = $(subst $(comma), ,$(1))
way_object = $(OUTPUT)/inline-$(subst =,-,$(subst $(comma),,$(1))).o

# compile WAY
define compile
$(call way_object,$(1)): inline/work.c inline/work.h $(wildcard $(TOP)/lib/include/ufiber/*.h) tests.mk
	@mkdir -p $$(@D)
	$$(call msg,CC,,$$@)
	$$(Q)$(call way_flags,$(1)) $(if $(filter %++,$(firstword $(call way_flags,$(1)))),-x c++) \
		-g -Wall -Wextra $(filter -fsanitize% -DUF_CORO_CALLED -D_GNU_SOURCE,$(CFLAGS)) \
		-I$(TOP)/lib/include -DFLAVOUR='"$(call way_flags,$(1))"' -c -o $$@ $$<
endef
$(foreach w,$(ways),$(eval $(call compile,$(w))))

$(OUTPUT)/coro_inline: $(foreach w,$(ways),$(call way_object,$(w)))
$(OUTPUT)/coro_inline: LDLIBS += $(if $(cxx),-lstdc++)

# exception is linked with what throws.
$(OUTPUT)/throw.o: cxx/throw.cc cxx/throw.h $(wildcard $(TOP)/lib/include/ufiber/*.h) tests.mk
	@mkdir -p $(@D)
	$(call msg,CXX,,$@)
	$(Q)$(CXX) -std=c++17 -O2 -g -Wall -Wextra $(filter -fsanitize% -D_GNU_SOURCE,$(CFLAGS)) \
		-I$(TOP)/lib/include -c -o $@ $<

$(OUTPUT)/exception: $(OUTPUT)/throw.o
$(OUTPUT)/exception: LDLIBS += -lstdc++
