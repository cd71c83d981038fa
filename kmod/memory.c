// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that a domain consists of: how it is got, and how it is mapped.
 *
 * All of it is charged to the memory cgroup of whoever sets the domain up, as
 * it is the user who says how much. Where the limit is reached the call fails:
 * the kernel may reclaim, but neither kills a process for it nor writes to the
 * log, since a user may repeat the call as often as it likes.
 */
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "ufiber.h"

/* The shared pages: zeroed, or NULL. The pages are single ones. */
void *uf_memory_alloc(size_t size)
{
	return __vmalloc(size, UF_GFP_DOMAIN | __GFP_ZERO);
}

void uf_memory_free(void *memory)
{
	vfree(memory);
}

/*
 * Map all of the shared pages. On failure the caller, mmap(), takes away what
 * has been mapped until then.
 */
int uf_memory_map(struct vm_area_struct *vma, void *memory)
{
	unsigned long addr;
	int ret;

	/* It cannot grow, and is no part of a core dump. */
	uf_vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	for (addr = vma->vm_start; addr < vma->vm_end; addr += PAGE_SIZE) {
		ret = vm_insert_page(vma, addr, vmalloc_to_page(memory));
		if (ret)
			return ret;
		memory += PAGE_SIZE;
	}
	return 0;
}
