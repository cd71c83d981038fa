// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include "membarrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sanitizer.h"

/* Old and sandboxed kernels; written before a runtime's first thread starts. */
bool uf_no_membarrier;

static int membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

/*
 * The process has to say once that it will want it; to say it again is nothing.
 * ThreadSanitizer does not know of it.
 */
void uf_membarrier_init(void)
{
	uf_no_membarrier =
		UF_SAN_THREAD ||
		membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0;
}

void uf_heavy_mb(void)
{
	if (unlikely(uf_no_membarrier))
		smp_mb();
	else
		membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
