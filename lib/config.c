// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What a runtime shall be, checked and completed; and what is wrong, in words. */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

/* Defaults. */
#define UF_STACK_SIZE ((size_t)65536)
#define UF_RING_ENTRIES 256U
#define UF_BLOCKED_THREADS 256U
#define UF_OFFLOAD_THREADS 64U

#define UF_CONFIG_FLAGS \
	(UF_NO_OVERFLOW_REPORT | UF_CALLER_SERVES | UF_REPORT_DEADLOCK)

static __thread char error_text[256];

/* Note why a runtime call fails, or "" that it did not. Returns the error. */
int uf_fail(int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(error_text, sizeof(error_text), fmt, args);
	va_end(args);
	return error;
}

const char *uf_strerror(void)
{
	return error_text;
}

static unsigned int count_cpus(void)
{
	cpu_set_t set;

	if (!sched_getaffinity(0, sizeof(set), &set))
		return CPU_COUNT(&set);
	return sysconf(_SC_NPROCESSORS_ONLN);
}

static int check_servers(struct uf_config *c)
{
	if (!c->servers) {
		c->servers = count_cpus();
		if (c->servers > UFIBER_MAX_SERVERS)
			c->servers = UFIBER_MAX_SERVERS;
	}
	if (c->servers > UFIBER_MAX_SERVERS)
		return uf_fail(-EINVAL, "config.servers is %u: at most %u",
			       c->servers, UFIBER_MAX_SERVERS);
	if (!c->max_servers)
		c->max_servers = c->servers;
	if (c->max_servers < c->servers || c->max_servers > UFIBER_MAX_SERVERS)
		return uf_fail(-EINVAL,
			       "config.max_servers is %u: from config.servers (%u) to %u",
			       c->max_servers, c->servers, UFIBER_MAX_SERVERS);
	if (c->policy && c->max_servers != c->servers)
		return uf_fail(-EINVAL,
			       "config.max_servers is %u, config.servers %u: with a policy they cannot differ",
			       c->max_servers, c->servers);
	if (!c->max_threads)
		c->max_threads = c->max_servers + UF_BLOCKED_THREADS;
	if (c->max_threads < c->max_servers ||
	    c->max_threads > UFIBER_MAX_THREADS)
		return uf_fail(-EINVAL,
			       "config.max_threads is %u: from config.max_servers (%u) to %u",
			       c->max_threads, c->max_servers,
			       UFIBER_MAX_THREADS);
	return 0;
}

static int check_stack(struct uf_config *c)
{
	if (!c->stack_size)
		c->stack_size = UF_STACK_SIZE;
	if (c->stack_size < UF_STACK_MIN || c->stack_size > SIZE_MAX / 2)
		return uf_fail(-EINVAL, "config.stack_size is %zu: at least %zu",
			       c->stack_size, UF_STACK_MIN);
	return 0;
}

static int check_quantum(const struct uf_config *c)
{
	if (!c->quantum || (c->quantum >= UFIBER_MIN_QUANTUM &&
			    c->quantum <= UFIBER_MAX_QUANTUM))
		return 0;
	return uf_fail(-EINVAL,
		       "config.quantum is %llu ns: 0, or from %llu to %llu",
		       (unsigned long long)c->quantum, UFIBER_MIN_QUANTUM,
		       UFIBER_MAX_QUANTUM);
}

/**
 * uf_config_read - check a configuration and fill in what it leaves open
 * @out: where to store it; only the backend may still be NULL.
 * @config: the user's, or NULL.
 *
 * Returns 0 or -EINVAL, with the reason in uf_strerror().
 */
int uf_config_read(struct uf_config *out, const struct uf_config *config)
{
	int error;

	*out = (struct uf_config)UF_CONFIG_INIT;
	if (config) {
		if (config->size != sizeof(*config))
			return uf_fail(-EINVAL,
				       "config.size is %zu: sizeof(struct uf_config) is %zu, UF_CONFIG_INIT sets it",
				       config->size, sizeof(*config));
		*out = *config;
	}
	if (!out->ring_entries)
		out->ring_entries = UF_RING_ENTRIES;
	if (!out->backend)
		out->backend = getenv("UFIBER_BACKEND");
	if (!out->offload_threads)
		out->offload_threads = UF_OFFLOAD_THREADS;
	if (out->offload_threads > UFIBER_MAX_THREADS)
		return uf_fail(-EINVAL,
			       "config.offload_threads is %u: at most %u",
			       out->offload_threads, UFIBER_MAX_THREADS);
	if (out->flags & ~UF_CONFIG_FLAGS)
		return uf_fail(-EINVAL, "config.flags is %#x: %#x is not known",
			       out->flags, out->flags & ~UF_CONFIG_FLAGS);
	error = check_servers(out);
	if (!error)
		error = check_stack(out);
	if (!error)
		error = check_quantum(out);
	return error ? error : uf_policy_check(out->policy);
}
