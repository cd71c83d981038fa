// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * How much of a stack was ever used. The lowest page that has been touched tells
 * it to the page, what is in it to the word: it was zero when it was new.
 *
 * Which pages have been touched is read from /proc/self/pagemap, where a
 * process may see of itself whether a page is present or swapped out; mincore()
 * takes what is swapped out for untouched, so it is asked only if there is no
 * /proc.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stack.h"

/* Bits of a pagemap entry. */
#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_SWAPPED (1ULL << 62)

/* Pages looked at in one go. */
#define NR_PAGES 16

/* Of @nr pages, which have been touched; one byte each. */
static int read_pagemap(int fd, const char *start, unsigned int nr,
			unsigned char *touched)
{
	off_t offset = (uintptr_t)start / uf_page_size() * sizeof(uint64_t);
	uint64_t entries[NR_PAGES];
	unsigned int i;

	if (pread(fd, entries, nr * sizeof(*entries), offset) !=
	    (ssize_t)(nr * sizeof(*entries)))
		return -EIO;
	for (i = 0; i < nr; i++)
		touched[i] =
			!!(entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED));
	return 0;
}

static int read_touched(int fd, char *start, unsigned int nr,
			unsigned char *touched)
{
	if (fd >= 0 && !read_pagemap(fd, start, nr, touched))
		return 0;
	return mincore(start, nr * uf_page_size(), touched) ? -errno : 0;
}

/* The lowest page that has been touched, or NULL. */
static int find_touched(int fd, const struct uf_fiber *fiber, char **found)
{
	char *end = (char *)fiber->stack + fiber->stack_size;
	size_t page = uf_page_size();
	unsigned char touched[NR_PAGES];
	char *p = fiber->stack;
	unsigned int nr, i;
	int error;

	for (; p < end; p += nr * page) {
		nr = (size_t)(end - p) / page < NR_PAGES ? (end - p) / page :
							   NR_PAGES;
		error = read_touched(fd, p, nr, touched);
		if (error)
			return error;
		for (i = 0; i < nr; i++) {
			*found = p + i * page;
			if (touched[i] & 1)
				return 0;
		}
	}
	return -EIO; /* the fiber itself is there, so this cannot be */
}

/*
 * The first word in a page that is not zero; the page, if all are: it has been
 * touched. Its owner may be running and write to it; the words are single
 * loads, and sanitizers are not to mind.
 */
__attribute__((no_sanitize("address", "thread"))) static char *
first_used(char *page, const struct uf_fiber *fiber)
{
	char *end = page + uf_page_size();
	char *p;

	if (end > (const char *)fiber)
		end = (char *)fiber;
	for (p = page; p < end; p += sizeof(long))
		if (*(volatile long *)p)
			return p;
	return page;
}

ssize_t uf_stack_high_water(const struct uf_fiber *fiber)
{
	UF_CHECK_OR_NULL(FIBER, fiber);
	char *page;
	int fd, error;

	if (!fiber)
		fiber = uf_self();
	if (!fiber)
		return -EPERM;
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	error = find_touched(fd, fiber, &page);
	if (fd >= 0)
		close(fd);
	return error ? error : (const char *)fiber - first_used(page, fiber);
}

size_t uf_stack_size(const struct uf_fiber *fiber)
{
	UF_CHECK_OR_NULL(FIBER, fiber);
	if (!fiber)
		fiber = uf_self();
	return fiber ? (const char *)fiber - (const char *)fiber->stack : 0;
}

/**
 * uf_stack_clean - make a stack that has been used as good as new
 * @fiber: its fiber, of which what lies in it is kept.
 *
 * If all memory is locked, its pages stay and count as used.
 */
void uf_stack_clean(struct uf_fiber *fiber)
{
	char *top = (char *)((uintptr_t)fiber & -uf_page_size());

	if (madvise(fiber->stack, top - (char *)fiber->stack, MADV_DONTNEED))
		memset(fiber->stack, 0, top - (char *)fiber->stack);
	memset(top, 0, (char *)fiber - top);
}
