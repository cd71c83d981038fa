/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What there is to see of a domain from outside, for the tests of that: fdinfo,
 * debugfs, the tracepoints. What is returned is to be freed, or in a buffer of the
 * function's own, until its next call.
 */
#ifndef UF_SEE_H
#define UF_SEE_H

#include "uf_lib.h"

#define UF_TRACING	"/sys/kernel/tracing"
#define UF_DOMAINS	"/sys/kernel/debug/ufiber/domains"

/* Text: to be freed, NULL if there is none. */
char *uf_slurp(const char *path);
char *uf_fdinfo(int fd);				/* of this process */
char *uf_debugfs_of(__u64 domain);

/* Its lines, and "key=value" in them; NULL, or all ones, if that is not there. */
const char *uf_line_of(const char *text, const char *fmt, ...);
const char *uf_value_of(const char *line, const char *key);
__u64 uf_number_of(const char *line, const char *key);	/* "-": UFIBER_NONE */
__u64 uf_summary_of(const char *text, const char *key);	/* "key:\tvalue" */
__u64 uf_domain_number(struct uf_dom *dom);

/* Is it there? Mounts it if need be. */
bool uf_has_debugfs(void);
bool uf_has_tracing(void);

/* An instance of the tracer with all of ufiber's events, in their strict order. */
bool uf_trace_begin(void);
void uf_trace_end(void);
char *uf_trace(void);					/* to be freed */
/* Takes the next event of that domain, "name: key=value ...", from the text. */
const char *uf_trace_next(const char **trace, __u64 domain);
bool uf_is_event(const char *event, const char *name);

/*
 * QUERY, STATS, the shared words, fdinfo, debugfs and the trace since it was begun,
 * before the domain was set up, all say the same; the latter two if they are there.
 */
bool uf_all_agree(struct uf_dom *dom);

#define ASSERT_ALL_AGREE(dom) \
	ASSERT_TRUE(uf_all_agree(dom))

#endif /* UF_SEE_H */
