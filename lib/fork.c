// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * After fork() the child has one thread and a copy of the memory. That thread is a
 * plain one in it, even if it was a fiber's, and what the runtimes of the parent would
 * have to do is refused: their threads are not there, their locks may be held by
 * these, and their rings are the parent's.
 */
#include <pthread.h>

#include "coro.h"

/* How many fork()s lie between this process and the first that used the library. */
uint32_t uf_forks;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int error;

static void in_parent(void)
{
	uf_debug_after_fork(false);
}

static void in_child(void)
{
	uf_thread_forget();
	uf_check_forked();
	uf_coro_after_fork();
	uf_local_after_fork();
	uf_forks++;
	uf_debug_after_fork(true);
}

static void init(void)
{
	error = -pthread_atfork(uf_debug_before_fork, in_parent, in_child);
}

/* Returns 0 or -ENOMEM. */
int uf_fork_init(void)
{
	pthread_once(&once, init);
	return error;
}
