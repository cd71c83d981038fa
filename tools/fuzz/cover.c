// SPDX-License-Identifier: GPL-2.0
/*
 * Coverage by the kernel's KCOV: it writes the address of each basic block that a
 * thread passes through to memory that we map. Only the module is compiled for
 * that (KCOV_INSTRUMENT). A place is a pair of blocks passed one after the other.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcov.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define KCOV_FILE "/sys/kernel/debug/kcov"
#define KCOV_WORDS 65536UL

static __thread int kcov = -1;
static __thread unsigned long *trace;

bool fuzz_cover_init(struct fuzz_cover *cover)
{
	memset(cover, 0, sizeof(*cover));
	if (access(KCOV_FILE, R_OK | W_OK) == 0)
		return true;
	fprintf(stderr,
		"fuzz: %s: %s\n"
		"fuzz: this needs a kernel with CONFIG_KCOV, debugfs mounted, and root: make fuzz\n",
		KCOV_FILE, strerror(errno));
	return false;
}

void fuzz_cover_begin(void)
{
	kcov = open(KCOV_FILE, O_RDWR | O_CLOEXEC);
	if (kcov < 0)
		return;
	if (ioctl(kcov, KCOV_INIT_TRACE, KCOV_WORDS))
		goto close;
	trace = mmap(NULL, KCOV_WORDS * sizeof(*trace), PROT_READ | PROT_WRITE,
		     MAP_SHARED, kcov, 0);
	if (trace == MAP_FAILED)
		goto close;
	if (ioctl(kcov, KCOV_ENABLE, KCOV_TRACE_PC))
		goto unmap;
	__atomic_store_n(&trace[0], 0, __ATOMIC_RELAXED);
	return;

unmap:
	munmap(trace, KCOV_WORDS * sizeof(*trace));
close:
	close(kcov);
	kcov = -1;
}

static uint32_t place_of(uint64_t from, uint64_t to)
{
	uint64_t mixed = (from * 0x9e3779b97f4a7c15ULL) ^ to;

	return (mixed * 0xd6e8feb86659fd93ULL) >> 48;
}

void fuzz_cover_note(struct fuzz_cover *cover)
{
	unsigned long n, i, last = 0;

	if (kcov < 0)
		return;
	n = __atomic_load_n(&trace[0], __ATOMIC_RELAXED);
	for (i = 0; i < n && i < KCOV_WORDS - 1; i++) {
		cover->reached[place_of(last, trace[i + 1])] = 1;
		last = trace[i + 1];
	}
	__atomic_store_n(&trace[0], 0, __ATOMIC_RELAXED);
}

void fuzz_cover_end(void)
{
	if (kcov < 0)
		return;
	ioctl(kcov, KCOV_DISABLE, 0);
	munmap(trace, KCOV_WORDS * sizeof(*trace));
	close(kcov);
	kcov = -1;
}
