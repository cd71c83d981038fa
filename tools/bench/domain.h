/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The module's calls, on one domain at a time. What fails ends the program with a
 * message.
 */
#ifndef DOMAIN_H
#define DOMAIN_H

#include <linux/ufiber.h>
#include <stdint.h>

/* The descriptor, or that of the last one. */
extern int domain;

_Noreturn void die(const char *what);

void open_domain(uint32_t servers);
void open_domain_of(uint32_t servers, uint32_t threads);
void close_domain(void);

volatile struct ufiber_shared_domain *domain_words(void);
volatile struct ufiber_shared_thread *thread_words(uint32_t id);

uint32_t join_domain(void);
void leave_domain(void);

/* Return the server, or -1 if cancelled. */
int wait_for_server(uint32_t flags, uint32_t next);
int hand_over(uint32_t next);

void cancel_wait(uint32_t thread);

#endif /* DOMAIN_H */
