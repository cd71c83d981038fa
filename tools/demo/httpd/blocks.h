/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * URLs below /block/, whose handlers block in the kernel, each in its own way.
 */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stdbool.h>
#include <stdio.h>

#include "httpd.h"

int blocks_start(const char *slow_dir);
bool blocks_match(struct slice path);
int blocks_serve(struct conn *c, const struct request *rq);
void blocks_reset(void);
void blocks_report(FILE *out);

/* nameserver.c: returns its UDP port, or a negative errno */
int nameserver_start(uint64_t delay_ns);

#endif /* BLOCKS_H */
