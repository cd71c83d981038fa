// SPDX-License-Identifier: GPL-2.0
/* See uf_see.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "uf_see.h"

/* ---------------------------------------------------------------- the text */

/* A whole file, to be freed; NULL if it cannot be read. */
char *uf_slurp(const char *path)
{
	size_t size = 0, room = 1 << 16;
	char *text = malloc(room);
	int fd = open(path, O_RDONLY);
	ssize_t n;

	while (fd >= 0 && (n = read(fd, text + size, room - size - 1)) > 0) {
		size += n;
		if (size + 1 == room)
			text = realloc(text, room *= 2);
	}
	if (fd < 0 || n < 0) {
		free(text);
		text = NULL;
	} else {
		text[size] = 0;
	}
	close(fd);
	return text;
}

char *uf_fdinfo(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return uf_slurp(path);
}

/* The line that begins so, up to its end, in a buffer of its own; or NULL. */
const char *uf_line_of(const char *text, const char *fmt, ...)
{
	static char line[1024];
	char start[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(start, sizeof(start), fmt, ap);
	va_end(ap);
	while (text && *text) {
		size_t len = strcspn(text, "\n");

		if (!strncmp(text, start, strlen(start))) {
			snprintf(line, sizeof(line), "%.*s", (int)len, text);
			return line;
		}
		text += len + !!text[len];
	}
	return NULL;
}

/* What stands behind " key=" in a line, or NULL. */
const char *uf_value_of(const char *line, const char *key)
{
	static char value[256];
	char start[64];
	const char *at;

	snprintf(start, sizeof(start), " %s=", key);
	at = line ? strstr(line, start) : NULL;
	if (!at)
		return NULL;
	at += strlen(start);
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, " \n"), at);
	return value;
}

/* The number there; "-" is UFIBER_NONE. */
__u64 uf_number_of(const char *line, const char *key)
{
	const char *value = uf_value_of(line, key);

	if (!value)
		return ~0ULL;
	return *value == '-' ? UFIBER_NONE : strtoull(value, NULL, 0);
}

/* The value of a line "key:\tvalue". */
__u64 uf_summary_of(const char *text, const char *key)
{
	const char *line = uf_line_of(text, "%s:\t", key);

	return line ? strtoull(strchr(line, '\t') + 1, NULL, 0) : ~0ULL;
}

__u64 uf_domain_number(struct uf_dom *dom)
{
	char *text = uf_fdinfo(dom->fd);
	__u64 number = uf_summary_of(text, "domain");

	free(text);
	return number;
}

/* The part of debugfs that is about that domain, to be freed; or NULL. */
char *uf_debugfs_of(__u64 number)
{
	char *all = uf_slurp(UF_DOMAINS), *part = NULL, *at = all;
	char start[64];

	snprintf(start, sizeof(start), "domain:\t%llu\n", number);
	while (at && strncmp(at, start, strlen(start))) {
		at = strstr(at, "\n\n");
		at = at ? at + 2 : NULL;
	}
	if (at) {
		char *end = strstr(at, "\n\n");

		part = strndup(at, end ? (size_t)(end + 1 - at) : strlen(at));
	}
	free(all);
	return part;
}

static bool mounted(const char *where, const char *probe, const char *type)
{
	return !access(probe, F_OK) ||
	       (!mount(type, where, type, 0, NULL) && !access(probe, F_OK));
}

bool uf_has_debugfs(void)
{
	return mounted("/sys/kernel/debug", UF_DOMAINS, "debugfs");
}

/* ----------------------------------------------------------- what they say */

#define DIFFERS(cond, ...) \
	do { if (cond) { snprintf(why, len, __VA_ARGS__); return false; } } while (0)

static const char * const thread_states[] = {
	"FREE", "RUNNING", "BLOCKED", "RUNNABLE", "IDLE",
};

static const char * const server_states[] = {
	"VACANT", "HELD", "POLLING", "OFFLINE",
};

static const char *flags_text(__u32 flags)
{
	static const char * const names[] = {
		"WAITING", "HELD", "WAKE_PENDING", "STANDBY", "KICKED", "WORK",
	};
	static char text[128];
	int bit;

	strcpy(text, flags ? "" : "0");
	for (bit = 0; bit < 32; bit++) {
		if (!(flags & (1U << bit)))
			continue;
		if (*text)
			strcat(text, "|");
		strcat(text, bit < 6 ? names[bit] : "?");
	}
	return text;
}

static bool thread_agrees(struct uf_dom *dom, const char *text, __u32 id, char *why, size_t len)
{
	const char *line = uf_line_of(text, "thread:\t%u ", id);
	volatile struct ufiber_shared_thread *t = &dom->threads[id];
	struct ufiber_query q;
	struct ufiber_stats s;
	long ret = uf_query(dom, id, UFIBER_NONE, &q);

	if (ret == -ESRCH) {
		DIFFERS(line, "thread %u is not there: %s", id, line);
		return true;
	}
	DIFFERS(!line, "thread %u has no line", id);
	uf_stats(dom, id, UFIBER_NONE, &s);
	DIFFERS(strcmp(uf_value_of(line, "state"), thread_states[q.thread_state]) ||
		q.thread_state != t->state, "state %u: %s", q.thread_state, line);
	DIFFERS(uf_number_of(line, "server") != q.thread_server || q.thread_server != t->server,
		"server %d: %s", q.thread_server, line);
	DIFFERS(uf_number_of(line, "tid") != q.thread_tid, "tid %u: %s", q.thread_tid, line);
	DIFFERS(strcmp(uf_value_of(line, "flags"), flags_text(q.thread_flags)),
		"flags %s: %s", flags_text(q.thread_flags), line);
	DIFFERS(uf_number_of(line, "critical") != t->critical ||
		uf_number_of(line, "priority") != t->priority, "user's words: %s", line);
	DIFFERS(uf_number_of(line, "blocks") != s.thread_blocks || s.thread_blocks != t->blocks,
		"%llu blocks: %s", s.thread_blocks, line);
	DIFFERS(uf_number_of(line, "holds") != s.thread_holds || s.thread_holds != t->holds,
		"%llu holds: %s", s.thread_holds, line);
	DIFFERS(uf_number_of(line, "preempts") != s.thread_preempts ||
		s.thread_preempts != t->preempts, "%llu preempts: %s", s.thread_preempts, line);
	return true;
}

static bool server_agrees(struct uf_dom *dom, const char *text, __u32 id, char *why, size_t len)
{
	const char *line = uf_line_of(text, "server:\t%u ", id);
	volatile struct ufiber_shared_server *v = &dom->servers[id];
	struct ufiber_query q;
	struct ufiber_stats s;

	DIFFERS(!line, "server %u has no line", id);
	uf_query(dom, UFIBER_NONE, id, &q);
	uf_stats(dom, UFIBER_NONE, id, &s);
	DIFFERS(strcmp(uf_value_of(line, "state"), server_states[q.server_state]) ||
		UFIBER_OWNER_STATE(v->owner) != q.server_state,
		"state %u, owner %#x: %s", q.server_state, v->owner, line);
	DIFFERS(uf_number_of(line, "thread") != q.server_thread, "thread %d: %s",
		q.server_thread, line);
	DIFFERS(uf_number_of(line, "waiting") != v->waiting ||
		uf_number_of(line, "dispatches") != v->dispatches, "user's words: %s", line);
	DIFFERS(uf_number_of(line, "blocks") != s.server_blocks || s.server_blocks != v->blocks,
		"%llu blocks: %s", s.server_blocks, line);
	DIFFERS(uf_number_of(line, "handoffs") != s.server_handoffs ||
		s.server_handoffs != v->handoffs, "%llu handoffs: %s", s.server_handoffs, line);
	DIFFERS(uf_number_of(line, "takeovers") != s.server_takeovers ||
		s.server_takeovers != v->takeovers, "%llu takeovers: %s",
		s.server_takeovers, line);
	DIFFERS(uf_number_of(line, "grants") != s.server_grants || s.server_grants != v->grants,
		"%llu grants: %s", s.server_grants, line);
	DIFFERS(uf_number_of(line, "preempts") != s.server_preempts ||
		s.server_preempts != v->preempts, "%llu preempts: %s", s.server_preempts, line);
	return true;
}

static bool latency_agrees(struct uf_dom *dom, const char *text, char *why, size_t len)
{
	const char *at = uf_line_of(text, "latency:\t");
	struct ufiber_stats s;
	unsigned int i;

	DIFFERS(!at, "no latency");
	uf_stats(dom, UFIBER_NONE, UFIBER_NONE, &s);
	at += strlen("latency:\t");
	for (i = 0; i < UFIBER_LATENCIES; i++) {
		char *end;

		DIFFERS(strtoull(at, &end, 10) != s.latency[i] || end == at,
			"latency[%u] is %llu: %s", i, s.latency[i], at);
		at = end;
	}
	DIFFERS(*at, "more than the latencies: %s", at);
	return true;
}

static bool text_agrees(struct uf_dom *dom, const char *text, char *why, size_t len)
{
	struct ufiber_query q;
	__u32 id;

	DIFFERS(!text, "no text");
	uf_query(dom, UFIBER_NONE, UFIBER_NONE, &q);
#define SUMMARY(key, value) \
	DIFFERS(uf_summary_of(text, key) != (value), "%s is %llu, not %llu", key, \
		uf_summary_of(text, key), (unsigned long long)(value))
	SUMMARY("process", (__u64)getpid());
	SUMMARY("servers", q.nr_servers);
	SUMMARY("servers", dom->shared->nr_servers);
	SUMMARY("max_servers", dom->max_servers);
	SUMMARY("threads", q.nr_threads);
	SUMMARY("max_threads", dom->setup.max_threads);
	SUMMARY("runnable", q.nr_runnable);
	SUMMARY("runnable", dom->shared->nr_runnable);
	SUMMARY("standby", q.nr_standby);
	SUMMARY("standby", dom->shared->nr_standby);
	SUMMARY("vacant", q.nr_vacant);
	SUMMARY("ring_tail", dom->shared->ring_tail);
	SUMMARY("ring_head", dom->shared->ring_head);
	SUMMARY("ring_lost", dom->shared->ring_lost);
#undef SUMMARY
	for (id = 0; id < dom->max_servers; id++)
		if (!server_agrees(dom, text, id, why, len))
			return false;
	for (id = 0; id < dom->setup.max_threads; id++)
		if (!thread_agrees(dom, text, id, why, len))
			return false;
	return latency_agrees(dom, text, why, len);
}

/* ---------------------------------------------------------------- the trace */

/* An instance of the tracer with this domain's events, in their strict order. */
static char instance[128];

static bool put(const char *file, const char *text)
{
	char path[256];
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", instance, file);
	fd = open(path, O_WRONLY | O_TRUNC);
	ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

bool uf_has_tracing(void)
{
	return mounted(UF_TRACING, UF_TRACING "/events/ufiber", "tracefs");
}

bool uf_trace_begin(void)
{
	snprintf(instance, sizeof(instance), UF_TRACING "/instances/ufiber-%d", getpid());
	if (mkdir(instance, 0700) || !put("trace_clock", "counter") ||
	    !put("buffer_size_kb", "1024") || !put("events/ufiber/enable", "1")) {
		fprintf(stderr, "# %s: %s\n", instance, strerror(errno));
		return false;
	}
	return true;
}

void uf_trace_end(void)
{
	if (!*instance)
		return;
	put("events/ufiber/enable", "0");
	rmdir(instance);
	*instance = 0;
}

/* All events so far, to be freed. */
char *uf_trace(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/trace", instance);
	return uf_slurp(path);
}

/* The next event of the domain in *trace, as "name: fields"; or NULL. */
const char *uf_trace_next(const char **trace, __u64 number)
{
	static char event[512];

	while (*trace && **trace) {
		size_t len = strcspn(*trace, "\n");
		const char *line = *trace, *at;

		*trace += len + !!line[len];
		if (*line == '#')
			continue;
		snprintf(event, sizeof(event), "%.*s", (int)len, line);
		at = strstr(event, ": ufiber_");
		if (!at)
			continue;
		memmove(event, at + strlen(": ufiber_"), strlen(at + strlen(": ufiber_")) + 1);
		if (uf_number_of(event, "domain") == number)
			return event;
	}
	return NULL;
}

bool uf_is_event(const char *event, const char *name)
{
	return !strncmp(event, name, strlen(name)) && event[strlen(name)] == ':';
}

/* What the events say that a thread and a server are by now. */
struct told {
	__u32 state;
	__u32 server;
	__u64 blocks, holds, preempts;
};

static struct told threads_told[64];
static struct {
	__u64 blocks, grants, preempts;
} servers_told[64];

static bool tell(const char *event, char *why, size_t len)
{
	__u64 id = uf_number_of(event, "thread"), server = (__u32)uf_number_of(event, "server");
	const char *reason = uf_value_of(event, "reason");
	bool unblocked = reason && !strcmp(reason, "unblocked");
	bool preempted = reason && !strcmp(reason, "preempted");
	struct told *t = &threads_told[id % 64];

	if (uf_is_event(event, "resize") || uf_is_event(event, "wait") || uf_is_event(event, "wake") ||
	    uf_is_event(event, "kick") || uf_is_event(event, "interrupt") ||
	    uf_is_event(event, "handover") || uf_is_event(event, "handoff"))
		return true;
	DIFFERS(uf_is_event(event, "join") != (t->state == UFIBER_THREAD_FREE),
		"the thread was %s: %s", thread_states[t->state], event);
	if (uf_is_event(event, "grant")) {
		DIFFERS(t->state == UFIBER_THREAD_RUNNING, "it has one: %s", event);
		t->state = UFIBER_THREAD_RUNNING;
		t->server = server;
		servers_told[server % 64].grants++;
		return true;
	}
	/* All others say what it has lost. */
	if (uf_value_of(event, "server"))
		DIFFERS(server != t->server, "it had server %d: %s", t->server, event);
	t->server = UFIBER_NONE;
	if (uf_is_event(event, "join") || uf_is_event(event, "idle")) {
		t->state = UFIBER_THREAD_IDLE;
	} else if (uf_is_event(event, "leave")) {
		memset(t, 0, sizeof(*t));
		t->server = UFIBER_NONE;
	} else if (uf_is_event(event, "block")) {
		t->state = UFIBER_THREAD_BLOCKED;
		t->blocks += server != UFIBER_NONE;
		if (server != UFIBER_NONE)
			servers_told[server % 64].blocks++;
	} else if (uf_is_event(event, "unblock")) {
		DIFFERS(t->state != UFIBER_THREAD_BLOCKED, "it was not BLOCKED: %s", event);
	} else if (uf_is_event(event, "hold")) {
		t->state = UFIBER_THREAD_RUNNABLE;
		t->holds += unblocked;
	} else if (uf_is_event(event, "preempt")) {
		t->state = UFIBER_THREAD_RUNNABLE;
		t->preempts += preempted;
		servers_told[server % 64].preempts += preempted;
	} else {
		DIFFERS(true, "unknown: %s", event);
	}
	return true;
}

/* Replay the trace: it must lead to what QUERY and STATS say. */
static bool trace_agrees(struct uf_dom *dom, char *why, size_t len)
{
	__u64 number = uf_domain_number(dom);
	const char *at, *event;
	char *trace;
	struct ufiber_query q;
	struct ufiber_stats s;
	__u64 handoffs = 0;
	bool ok = true;
	__u32 i;

	memset(threads_told, 0, sizeof(threads_told));
	memset(servers_told, 0, sizeof(servers_told));
	for (i = 0; i < 64; i++)
		threads_told[i].server = UFIBER_NONE;
	at = trace = uf_trace();
	DIFFERS(!trace, "no trace");
	while (ok && (event = uf_trace_next(&at, number))) {
		ok = tell(event, why, len);
		handoffs += uf_is_event(event, "handoff");
	}
	free(trace);
	if (!ok)
		return false;
	for (i = 0; i < dom->setup.max_threads; i++) {
		struct told *t = &threads_told[i];
		long ret = uf_query(dom, i, UFIBER_NONE, &q);

		DIFFERS(ret == -ESRCH && t->state, "thread %u is not there, the trace says %s",
			i, thread_states[t->state]);
		if (ret)
			continue;
		uf_stats(dom, i, UFIBER_NONE, &s);
		DIFFERS(t->state != q.thread_state || t->server != q.thread_server,
			"thread %u is %s with server %d, the trace says %s, %d", i,
			thread_states[q.thread_state], q.thread_server,
			thread_states[t->state], t->server);
		DIFFERS(t->blocks != s.thread_blocks || t->holds != s.thread_holds ||
			t->preempts != s.thread_preempts,
			"thread %u: %llu blocks, %llu holds, %llu preempts, the trace has %llu, %llu, %llu",
			i, s.thread_blocks, s.thread_holds, s.thread_preempts, t->blocks,
			t->holds, t->preempts);
	}
	for (i = 0; i < dom->max_servers; i++) {
		uf_stats(dom, UFIBER_NONE, i, &s);
		DIFFERS(servers_told[i].blocks != s.server_blocks ||
			servers_told[i].grants != s.server_grants ||
			servers_told[i].preempts != s.server_preempts,
			"server %u: %llu blocks, %llu grants, %llu preempts, the trace has %llu, %llu, %llu",
			i, s.server_blocks, s.server_grants, s.server_preempts,
			servers_told[i].blocks, servers_told[i].grants,
			servers_told[i].preempts);
	}
	for (i = 0; i < UFIBER_LATENCIES; i++)
		handoffs -= s.latency[i];
	DIFFERS(handoffs, "%lld hand-offs in the trace more than in STATS", handoffs);
	return true;
}

/* All of it, after an operation whose effect has been waited for. */
static bool all_agree_now(struct uf_dom *dom, char *why, size_t len)
{
	char *text = uf_fdinfo(dom->fd), *debug;
	bool ok = text_agrees(dom, text, why, len);

	free(text);
	if (ok && uf_has_debugfs()) {
		debug = uf_debugfs_of(uf_domain_number(dom));
		ok = text_agrees(dom, debug, why, len);
		free(debug);
	}
	return ok && (!*instance || trace_agrees(dom, why, len));
}

/* Some of it may be on its way: a thread sleeps a moment after it is RUNNABLE. */
bool uf_all_agree(struct uf_dom *dom)
{
	__u64 end = uf_now() + UF_BOUND * 1000000000ULL;
	char why[1500];

	if (!uf_agrees(dom))
		return false;
	while (!all_agree_now(dom, why, sizeof(why))) {
		if (uf_now() > end) {
			uf_dump(dom, why);
			return false;
		}
		sched_yield();
	}
	return true;
}
