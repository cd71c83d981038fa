// SPDX-License-Identifier: GPL-2.0
/* See uf_log.h. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uf_lib.h"
#include "uf_log.h"

/* Of one registration. */
struct account {
	__u64 blocks, unblocks, holds, preempts;
};

struct uf_log {
	struct uf_dom *d;
	pthread_t pthread;
	int end[2];
	struct account *accounts;
	size_t size;
	struct account all;
	__u64 time;		/* the last event's */
	atomic_uint read;	/* events that are in the log */
	char wrong[200];	/* the first that may not be */
};

#define WRONG(...)							\
	do {								\
		if (!*log->wrong)					\
			snprintf(log->wrong, sizeof(log->wrong), __VA_ARGS__); \
	} while (0)

static struct account *account_of(struct uf_log *log, __u64 cookie)
{
	size_t size = log->size ? log->size : 64;

	while (size <= cookie)
		size *= 2;
	if (size != log->size) {
		log->accounts = realloc(log->accounts, size * sizeof(*log->accounts));
		if (!log->accounts)
			abort();
		memset(log->accounts + log->size, 0,
		       (size - log->size) * sizeof(*log->accounts));
		log->size = size;
	}
	return &log->accounts[cookie];
}

/* A block and its end come in turns, in the order of time. */
static void note(struct uf_log *log, const struct ufiber_event *e)
{
	struct account *a = account_of(log, e->cookie), *all = &log->all;
	bool none = e->server == UFIBER_NONE;

	if (e->time < log->time)
		WRONG("an event of %llu after one of %llu", e->time, log->time);
	log->time = e->time;
	switch (e->reason) {
	case UFIBER_REASON_BLOCKED:
		if (a->blocks != a->unblocks || none)
			WRONG("registration %llu blocks a second time, server %d", e->cookie,
			      e->server);
		a->blocks++;
		all->blocks++;
		break;
	case UFIBER_REASON_UNBLOCKED:
		if (a->blocks != a->unblocks + 1)
			WRONG("registration %llu unblocks a second time", e->cookie);
		a->unblocks++;
		all->unblocks++;
		a->holds += none;
		all->holds += none;
		break;
	case UFIBER_REASON_PREEMPTED:
		if (a->blocks != a->unblocks)
			WRONG("registration %llu is preempted while blocked", e->cookie);
		a->preempts++;
		all->preempts++;
		break;
	case UFIBER_REASON_WOKEN:
	case UFIBER_REASON_YIELDED:
		if (a->blocks != a->unblocks)
			WRONG("registration %llu is woken while blocked", e->cookie);
		break;
	default:
		WRONG("an event of reason %u", e->reason);
	}
}

static void *log_main(void *arg)
{
	struct uf_log *log = arg;
	struct pollfd p[] = {
		{ .fd = log->d->fd, .events = POLLIN },
		{ .fd = log->end[0], .events = POLLIN },
	};
	struct ufiber_event e;

	while (!p[1].revents) {
		poll(p, 2, -1);
		while (uf_event(log->d, &e)) {
			note(log, &e);
			atomic_fetch_add(&log->read, 1);
		}
	}
	return NULL;
}

struct uf_log *uf_log_start(struct uf_dom *d)
{
	struct uf_log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->d = d;
	account_of(log, 0);
	if (pipe2(log->end, O_CLOEXEC) || pthread_create(&log->pthread, NULL, log_main, log)) {
		free(log);
		return NULL;
	}
	return log;
}

void uf_log_stop(struct uf_log *log)
{
	uf_put(log->end[1]);
	pthread_join(log->pthread, NULL);
	close(log->end[0]);
	close(log->end[1]);
	free(log->accounts);
	free(log);
}

static bool has_caught_up(void *arg)
{
	struct uf_log *log = arg;

	return atomic_load(&log->read) == log->d->shared->ring_tail;
}

bool uf_log_catch_up(struct uf_log *log)
{
	return uf_await(log->d, has_caught_up, log, "the reader of the events");
}

#define DIFFERS(is, be, fmt, ...)					\
	do {								\
		unsigned long long _is = (is), _be = (be);		\
									\
		if (_is != _be) {					\
			snprintf(why, len, fmt " are %llu, by the events %llu", \
				 ##__VA_ARGS__, _is, _be);		\
			return false;					\
		}							\
	} while (0)

bool uf_log_thread_agrees(struct uf_log *log, __u32 id, __u64 cookie, bool blocked,
			  char *why, size_t len)
{
	volatile struct ufiber_shared_thread *t = &log->d->threads[id];
	struct account *a = account_of(log, cookie);

	DIFFERS(t->blocks, a->blocks, "thread %u: blocks", id);
	DIFFERS(t->blocks - blocked, a->unblocks, "thread %u: ends of blocks", id);
	DIFFERS(t->holds, a->holds, "thread %u: holds", id);
	DIFFERS(t->preempts, a->preempts, "thread %u: preempts", id);
	return true;
}

bool uf_log_servers_agree(struct uf_log *log, char *why, size_t len)
{
	__u64 blocks = 0, takeovers = 0, preempts = 0, lost = log->d->shared->ring_lost;
	__u32 i;

	for (i = 0; i < log->d->max_servers; i++) {
		blocks += log->d->servers[i].blocks;
		takeovers += log->d->servers[i].takeovers;
		preempts += log->d->servers[i].preempts;
	}
	DIFFERS(lost, 0, "lost events");
	DIFFERS(blocks, log->all.blocks, "blocks");
	DIFFERS(takeovers, log->all.unblocks - log->all.holds, "take-overs");
	DIFFERS(preempts, log->all.preempts, "preempts");
	snprintf(why, len, "%s", log->wrong);
	return !*log->wrong;
}
