// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints: which events an operation makes, in which order; and that the
 * tools which people use read them (tools/trace/, perf).
 */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "uf_test.h"
#include "uf_see.h"

#define STANDBY		UFIBER_WAIT_STANDBY
#define HANDOVER	UFIBER_WAIT_HANDOVER
#define Q_WAITING	UFIBER_QUERY_WAITING
#define Q_HELD		UFIBER_QUERY_HELD

static struct uf_dom d;
static struct uf_thread a, b;
static int fds[2];

/* ----------------------------------------------------------------- the order */

static __u64 number;		/* the domain's */
static unsigned int checked;	/* events that have been compared */

/* Does the event have that name, and these "key=value"s? */
static bool event_is(const char *event, const char *wanted)
{
	char copy[256], *word, *state;

	snprintf(copy, sizeof(copy), "%s", wanted);
	word = strtok_r(copy, " ", &state);
	if (!uf_is_event(event, word))
		return false;
	while ((word = strtok_r(NULL, " ", &state))) {
		char *value = strchr(word, '=');
		const char *is;

		*value++ = 0;
		is = uf_value_of(event, word);
		if (!is || strcmp(is, value))
			return false;
	}
	return true;
}

/* The events since the last time are these, one per argument up to NULL. */
static bool events_are(const char *wanted, ...)
{
	char *trace = uf_trace();
	const char *at = trace, *event;
	unsigned int seen = 0;
	bool ok = true;
	va_list ap;

	va_start(ap, wanted);
	while (ok && (event = uf_trace_next(&at, number))) {
		if (seen++ < checked)
			continue;
		ok = wanted && event_is(event, wanted);
		if (!ok)
			fprintf(stderr, "# event %u is \"%s\", not \"%s\"\n", seen, event,
				wanted ?: "");
		else
			wanted = va_arg(ap, const char *);
	}
	va_end(ap);
	if (ok && wanted)
		fprintf(stderr, "# no event \"%s\"\n", wanted);
	checked = seen;
	free(trace);
	return ok && !wanted;
}

/* There is such an event somewhere. */
static bool has_event(const char *wanted)
{
	char *trace = uf_trace();
	const char *at = trace, *event;
	bool found = false;

	while (!found && (event = uf_trace_next(&at, number)))
		found = event_is(event, wanted);
	free(trace);
	return found;
}

#define ASSERT_EVENTS(...) \
	ASSERT_TRUE(events_are(__VA_ARGS__, NULL))

FIXTURE(trace)
{
};

FIXTURE_SETUP(trace)
{
	if (!uf_has_tracing())
		SKIP(return, "no " UF_TRACING "/events/ufiber: no tracing in this kernel, or no module");
	ASSERT_EQ(0, pipe(fds));
	ASSERT_TRUE(uf_trace_begin());
}

FIXTURE_TEARDOWN(trace)
{
	uf_trace_end();
}

#define OPEN(flags, servers, max_servers, threads)			\
	do {								\
		UF_OPEN_AS(&d, flags, servers, max_servers, threads);	\
		number = uf_domain_number(&d);				\
	} while (0)

TEST_F(trace, joining_and_leaving)
{
	char pid[80], all[80];

	OPEN(0, 1, 1, 4);
	UF_SPAWN(&d, &a);
	snprintf(pid, sizeof(pid), "join thread=0 pid=%d cookie=%p", a.tid, (void *)&a);
	ASSERT_EVENTS(pid);
	ASSERT_LE(0, uf_wait(&a, STANDBY, 0, 0));
	ASSERT_EVENTS("wait thread=0 server=-1 flags=STANDBY", "idle thread=0 server=-1",
		      "grant thread=0 server=0");
	/* One that ends gives its server to one that stands by. */
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	ASSERT_EVENTS("join thread=1", "wait thread=1 server=-1 flags=STANDBY",
		      "idle thread=1 server=-1");
	uf_join(&a);
	ASSERT_DONE(0, &b);
	snprintf(all, sizeof(all), "leave thread=0 server=0 pid=%d", a.tid);
	ASSERT_EVENTS(all, "grant thread=1 server=0");
	ASSERT_EQ(0, uf_unregister(&b));
	ASSERT_EVENTS("leave thread=1 server=0");
}

TEST_F(trace, blocking)
{
	OPEN(0, 1, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	checked = 4 + 3;
	uf_post_read(&a, fds[0]);
	ASSERT_DONE(0, &b);
	ASSERT_EVENTS("block thread=0 server=0", "grant thread=1 server=0", "handoff thread=1");
	/* Back, with no server free; then it has one. */
	ASSERT_EQ(0, uf_put(fds[1]));
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_EVENTS("unblock thread=0", "hold thread=0 reason=unblocked");
	uf_post_wait(&b, 0, 0, 0);
	ASSERT_DONE(1, &a);
	ASSERT_EVENTS("wait thread=1 server=0 flags=0", "idle thread=1 server=0",
		      "grant thread=0 server=0");
	/* Back to a server that has stayed VACANT. */
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_EVENTS("block thread=0 server=0");
	ASSERT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	ASSERT_EVENTS("unblock thread=0", "grant thread=0 server=0");
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	ASSERT_EQ(0, uf_interrupt(&a));
	ASSERT_DONE(-EINTR, &a);
	ASSERT_EVENTS("block thread=0 server=0", "interrupt thread=0", "unblock thread=0",
		      "grant thread=0 server=0");
}

TEST_F(trace, robbing_a_poller)
{
	OPEN(0, 1, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	uf_post_read(&a, fds[0]);
	ASSERT_STATE(&a, BLOCKED, 0);
	UF_SPAWN_RUNNING(&d, &b);
	checked = 4 + 1 + 4;
	d.servers[0].owner = UFIBER_OWNER(UFIBER_SERVER_POLLING, b.id);
	ASSERT_EQ(0, uf_put(fds[1]));
	ASSERT_DONE(1, &a);
	ASSERT_EVENTS("unblock thread=0", "idle thread=1 server=0", "grant thread=0 server=0");
}

TEST_F(trace, waking_and_handing_over)
{
	char next[80];

	OPEN(0, 1, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, 0);
	checked = 4 + 3;
	uf_post_wait(&a, HANDOVER, b.id, 0);
	ASSERT_DONE(0, &b);
	snprintf(next, sizeof(next), "handover thread=0 server=0 next=1 next_pid=%d", b.tid);
	ASSERT_EVENTS("wait thread=0 server=0 flags=HANDOVER", "idle thread=0 server=0", next,
		      "grant thread=1 server=0");
	ASSERT_STATE(&a, IDLE, Q_WAITING);
	ASSERT_EQ(0, uf_wake(&a, 0));
	ASSERT_EVENTS("wake thread=0 flags=0", "hold thread=0 reason=woken");
	ASSERT_EQ(0, uf_wake(&a, UFIBER_WAKE_CANCEL));
	ASSERT_DONE(-ECANCELED, &a);
	ASSERT_EVENTS("wake thread=0 flags=CANCEL", "idle thread=0 server=-1");
	ASSERT_EQ(-ETIMEDOUT, uf_wait(&a, STANDBY | UFIBER_WAIT_TIMEOUT, 0, 1));
	ASSERT_EVENTS("wait thread=0 server=-1 flags=STANDBY|TIMEOUT", "idle thread=0 server=-1",
		      "idle thread=0 server=-1");
}

TEST_F(trace, preempting)
{
	OPEN(0, 1, 2, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	checked = 4 + 3;
	ASSERT_EQ(0, uf_kick(&a));
	ASSERT_DONE(0, &b);
	ASSERT_STATE(&a, RUNNABLE, Q_HELD);
	ASSERT_EVENTS("kick thread=0 server=0 cause=kick",
		      "preempt thread=0 server=0 reason=preempted", "grant thread=1 server=0",
		      "hold thread=0 reason=preempted");
	uf_post_wait(&b, UFIBER_WAIT_YIELD, 0, 0);
	ASSERT_STATE(&a, RUNNING, 0);
	ASSERT_STATE(&b, RUNNABLE, Q_WAITING);
	ASSERT_EVENTS("wait thread=1 server=0 flags=YIELD",
		      "preempt thread=1 server=0 reason=yielded", "grant thread=0 server=0",
		      "hold thread=1 reason=yielded");
	ASSERT_EQ(0, uf_resize(&d, 2));
	ASSERT_DONE(1, &b);
	ASSERT_EVENTS("resize before=1 servers=2", "grant thread=1 server=1");
	ASSERT_EQ(0, uf_resize(&d, 1));
	ASSERT_STATE(&b, RUNNABLE, Q_HELD);
	ASSERT_EVENTS("resize before=2 servers=1", "kick thread=1 server=1 cause=resize",
		      "preempt thread=1 server=1 reason=preempted",
		      "hold thread=1 reason=preempted");
	/* Who is kicked by the quantum has run for one at least. */
	ASSERT_EQ(0, uf_quantum(&d, 0, UFIBER_MIN_QUANTUM));
	ASSERT_STATE(&b, RUNNING, 0);
	ASSERT_EQ(0, uf_quantum(&d, 0, 0));
	ASSERT_TRUE(has_event("kick thread=0 server=0 cause=quantum"));
}

/* Each event that there is has been asked for by name somewhere above. */
TEST(all_events_are_known)
{
	static const char * const known[] = {
		"block", "grant", "handoff", "handover", "hold", "idle", "interrupt", "join",
		"kick", "leave", "preempt", "resize", "unblock", "wait", "wake",
	};
	struct dirent *entry;
	unsigned int i, n = 0;
	DIR *dir;

	if (!uf_has_tracing())
		SKIP(return, "no " UF_TRACING "/events/ufiber");
	dir = opendir(UF_TRACING "/events/ufiber");
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "ufiber_", 7))
			continue;
		for (i = 0; i < ARRAY_SIZE(known); i++)
			if (!strcmp(entry->d_name + 7, known[i]))
				break;
		EXPECT_LT(i, ARRAY_SIZE(known))
			TH_LOG("no test of %s", entry->d_name);
		n++;
	}
	closedir(dir);
	EXPECT_EQ(ARRAY_SIZE(known), n);
}

/* ----------------------------------------------------------------- the tools */

/* Something for the tools to look at; on its own no more than a short test. */
TEST(workload)
{
	int i;

	ASSERT_EQ(0, pipe(fds));
	UF_OPEN(&d, 1, 4);
	UF_SPAWN_RUNNING(&d, &a);
	UF_SPAWN_WAITING(&d, &b, STANDBY);
	for (i = 0; i < 20; i++) {
		uf_post_read(&a, fds[0]);
		ASSERT_DONE(0, &b);
		ASSERT_STATE(&a, BLOCKED, 0);
		ASSERT_EQ(0, uf_put(fds[1]));
		ASSERT_STATE(&a, RUNNABLE, Q_HELD);
		uf_post_wait(&b, STANDBY, 0, 0);
		ASSERT_DONE(1, &a);
		ASSERT_STATE(&b, IDLE, Q_WAITING | UFIBER_QUERY_STANDBY);
	}
	ASSERT_ALL_AGREE(&d);
}

static const char *own_path(void)
{
	static char path[256];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[n < 0 ? 0 : n] = 0;
	return path;
}

static bool installed(const char *program)
{
	char command[64];

	snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", program);
	return !system(command);
}

/* The output of a command, to be freed; with what it said and its status if it failed. */
static char *output_of(const char *fmt, ...)
{
	char command[1024], path[] = "/tmp/ufiber-trace.XXXXXX", *text;
	int fd = mkstemp(path), status;
	size_t len;
	va_list ap;

	if (fd < 0)
		return NULL;
	close(fd);
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	len = strlen(command);
	snprintf(command + len, sizeof(command) - len, " >%s 2>&1 </dev/null", path);
	status = system(command);
	text = uf_slurp(path);
	unlink(path);
	if (status) {
		fprintf(stderr, "# %s: status %#x\n%s\n", command, status, text ?: "");
		free(text);
		text = NULL;
	}
	return text;
}

static bool has_part(const char *text, const char *part)
{
	bool has = strstr(text, part);

	if (!has)
		fprintf(stderr, "# no \"%s\" in:\n%s\n", part, text);
	return has;
}

FIXTURE(script)
{
};

FIXTURE_SETUP(script)
{
}

FIXTURE_TEARDOWN(script)
{
}

FIXTURE_VARIANT(script)
{
	const char *name;
	const char *expect;	/* stands in what it prints */
	bool always;
};

FIXTURE_VARIANT_ADD(script, handoff)
{
	.name = "handoff", .expect = "]: 20\n", .always = true,
};

FIXTURE_VARIANT_ADD(script, blockers)
{
	.name = "blockers", .expect = "pipe_read",
};

FIXTURE_VARIANT_ADD(script, held)
{
	.name = "held", .expect = "@total_us[",
};

FIXTURE_VARIANT_ADD(script, timeline)
{
	.name = "timeline", .expect = " hold 1\n",
};

/*
 * bpftrace compiles each script anew, which an emulated machine takes half a minute
 * for; so one of them stands for all, unless it is asked for more.
 */
TEST_F_TIMEOUT(script, runs, 600)
{
	char *text;

	if (!uf_has_tracing())
		SKIP(return, "no " UF_TRACING "/events/ufiber");
	if (!installed("bpftrace"))
		SKIP(return, "no bpftrace: tools/deps/install trace");
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		SKIP(return, "the kernel has no BTF, where bpftrace finds its types");
	if (!variant->always && !getenv("UFIBER_TEST_LONG"))
		SKIP(return, "takes long: UFIBER_TEST_LONG=1 for all scripts");
	text = output_of("bpftrace -c '%s -t workload' %s/tools/trace/%s.bt", own_path(), UF_TOP,
			 variant->name);
	ASSERT_NE(NULL, text);
	EXPECT_TRUE(has_part(text, "\nok 1 "));
	EXPECT_TRUE(has_part(text, variant->expect));
	free(text);
}

FIXTURE(perf)
{
	char data[64];
};

FIXTURE_SETUP(perf)
{
	snprintf(self->data, sizeof(self->data), "/tmp/ufiber-perf.%d", getpid());
}

FIXTURE_TEARDOWN(perf)
{
	unlink(self->data);
}

/*
 * perf finds the events, and knows how to print them: names, flags, reasons. Those
 * of all CPUs (-a): a thread's own are off by the time that the scheduler calls the
 * module, which a block is seen by.
 */
TEST_F_TIMEOUT(perf, records, 600)
{
	static const char * const parts[] = {
		"ufiber_join: domain=", "ufiber_block: domain=", "ufiber_handoff: domain=",
		" flags=STANDBY", " reason=unblocked",
	};
	unsigned int i;
	char *text;

	if (!uf_has_tracing())
		SKIP(return, "no " UF_TRACING "/events/ufiber");
	if (!installed("perf"))
		SKIP(return, "no perf: tools/deps/install trace");
	text = output_of("perf record -q -a -o %s -e 'ufiber:*' %s -t workload", self->data,
			 own_path());
	ASSERT_NE(NULL, text);
	free(text);
	text = output_of("perf script -i %s", self->data);
	ASSERT_NE(NULL, text);
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		EXPECT_TRUE(has_part(text, parts[i]));
	free(text);
}

TEST_HARNESS_MAIN
