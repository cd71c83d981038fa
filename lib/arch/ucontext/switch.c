// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <stddef.h>

#include "cpu.h"
#include "switch.h"

/* What makecontext() is told to be the stack: it uses the end of it only. */
#define ASSUMED_STACK 4096

extern __thread void *uf_this_thread;

/* Not inlined, for who calls it would keep the variable's address. */
void *uf_arch_this_thread(void)
{
	return uf_this_thread;
}

void *uf_arch_switch(void **save, void *load, void *pass)
{
	struct uf_arch_frame *to = load;
	struct uf_arch_frame here;

	/* cppcheck-suppress autoVariables; it is gone when we are back */
	*save = &here;
	to->pass = pass;
	swapcontext(&here.uc, &to->uc);
	/* cppcheck-suppress uninitvar; whoever came back has written it */
	return here.pass;
}

/* makecontext() passes ints. */
void uf_arch_start(unsigned int high, unsigned int low)
{
	struct uf_arch_frame *frame;

	frame = (void *)(uintptr_t)((uint64_t)high << 32 | low);
	frame->entry(frame->pass, frame->arg);
	__builtin_trap();
}

void *uf_arch_prepare(void *top, void (*entry)(void *, void *), void *arg)
{
	struct uf_arch_frame *frame = (struct uf_arch_frame *)top - 1;
	uint64_t address;

	frame = (struct uf_arch_frame *)((uintptr_t)frame & -(uintptr_t)64);
	address = (uintptr_t)frame;
	getcontext(&frame->uc);
	frame->uc.uc_stack.ss_sp = (char *)frame - ASSUMED_STACK;
	frame->uc.uc_stack.ss_size = ASSUMED_STACK;
	frame->uc.uc_link = NULL;
	frame->entry = entry;
	frame->arg = arg;
	makecontext(&frame->uc, (void (*)(void))uf_arch_start, 2,
		    (unsigned int)(address >> 32), (unsigned int)address);
	return frame;
}
