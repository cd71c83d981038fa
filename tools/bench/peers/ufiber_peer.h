/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the parts of the program for ufiber share. */
#ifndef UFIBER_PEER_H
#define UFIBER_PEER_H

#include <ufiber.h>

#include "peer.h"

/* What main() was called for. */
extern const char *work_name;
extern long number;

/* Run @start as the first fiber of a runtime with so many servers. */
void run_fibers(unsigned int servers, const char *work, long n,
		void *(*start)(void *));
struct uf_fiber *create(void *(*start)(void *), void *arg);
void create_detached(void *(*start)(void *), void *arg);

void run_switch(const char *work, long n);
void run_coroutine_called(const char *work, long n);
void run_switch_inline(const char *work, long n);
void run_sleepers(const char *work, long n);
void run_timers(const char *work, long n);
void run_tree(const char *work, long n);

#endif /* UFIBER_PEER_H */
