// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The dump of all fibers: what it says of each state, that it is right while they
 * run, who may ask for it, and the report of deadlocks.
 */
#include "sync_test.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "debug.h"
#include "frames.h"
#include "hold.h"

/* What was written last. */
static char text[1 << 20];

static void read_back(int fd)
{
	ssize_t n, len = 0;

	while ((n = pread(fd, text + len, sizeof(text) - 1 - len, len)) > 0)
		len += n;
	text[len] = '\0';
}

static int dump(struct uf_runtime *rt)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	int error;

	MUST(fd >= 0);
	error = uf_dump(rt, fd);
	read_back(fd);
	close(fd);
	return error;
}

/* Is there such a line? Or, with \n, such lines. */
static bool said(const char *regex)
{
	regex_t compiled;
	bool found;

	MUST(!regcomp(&compiled, regex, REG_EXTENDED | REG_NEWLINE | REG_NOSUB));
	found = !regexec(&compiled, text, 0, NULL, 0);
	regfree(&compiled);
	return found;
}

#define EXPECT_SAID(regex) \
	EXPECT_TRUE(said(regex)) TH_LOG("%s\n%s", regex, text)
#define EXPECT_NOT_SAID(regex) \
	EXPECT_FALSE(said(regex)) TH_LOG("%s\n%s", regex, text)

static void await_state(const struct uf_fiber *fiber, enum uf_state state)
{
	while (uf_state(fiber) != state || fiber->on_cpu)
		let_others_run();
}

/* Backtraces name what is not static. */
int dump_inner(void), dump_outer(void);
void *dump_start(void *arg);

/* ----------------------------------------------------------------- states */

static struct uf_mutex mutex;
static struct uf_sem sem, go;
static struct uf_channel *channel;
static int sockets[2];

static void *hold_mutex(void *arg)
{
	uf_mutex_lock(&mutex);
	uf_sem_wait(&go);
	uf_mutex_unlock(&mutex);
	return NULL;
}

static void *want_mutex(void *arg)
{
	uf_mutex_lock(&mutex);
	uf_mutex_unlock(&mutex);
	return NULL;
}

static void *want_sem(void *arg)
{
	uf_sem_wait_until(&sem, uf_now() + 1000000000000);
	return NULL;
}

static void *want_sleep(void *arg)
{
	uf_sleep(1000000000000);
	return NULL;
}

static void *want_read(void *arg)
{
	char c;

	uf_recv(sockets[0], &c, 1, 0);
	return NULL;
}

static void *want_value(void *arg)
{
	char value;

	uf_channel_receive(channel, &value);
	return arg;
}

static void *want_join(void *arg)
{
	uf_join(arg, NULL);
	return NULL;
}

static void *want_select(void *arg)
{
	uf_select(NULL, 0);
	return NULL;
}

static void *nothing(void *arg)
{
	return NULL;
}

static struct uf_fiber *make(struct uf_runtime *rt, const char *name,
			     unsigned int flags, void *(*start)(void *),
			     void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber;

	attr.name = name;
	attr.flags = flags;
	MUST(!uf_create(rt, &fiber, &attr, start, arg));
	return fiber;
}

static struct uf_fiber *make_waiting(struct uf_runtime *rt, const char *name,
				     void *(*start)(void *), void *arg)
{
	struct uf_fiber *fiber = make(rt, name, 0, start, arg);

	await_state(fiber, UF_STATE_WAITING);
	return fiber;
}

static void end(struct uf_fiber *fiber)
{
	uf_cancel(fiber);
	MUST(!uf_join(fiber, NULL));
}

TEST(waiting)
{
	struct uf_fiber *fiber[9];
	struct uf_runtime *rt;
	char line[200];
	int i, n = 0;

	CREATE_RUNTIME(&rt, 2);
	ASSERT_EQ(0, uf_channel_create(&channel, 1, 0));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	fiber[n++] = make_waiting(rt, "the holder", hold_mutex, NULL);
	fiber[n++] = make_waiting(rt, "the second", want_mutex, NULL);
	fiber[n++] = make_waiting(rt, "a\nb", want_sem, NULL);
	fiber[n++] = make_waiting(rt, "sleeper", want_sleep, NULL);
	fiber[n++] = make_waiting(rt, "reader", want_read, NULL);
	fiber[n++] = make_waiting(rt, "receiver", want_value, NULL);
	fiber[n++] = make_waiting(rt, "selector", want_select, NULL);
	fiber[n++] = make_waiting(rt, "joiner", want_join, fiber[6]);
	ASSERT_EQ(0, dump(rt));

	EXPECT_SAID("^ufiber: runtime 0x[0-9a-f]+, backend [a-z]+, 2 servers, "
		    "[0-9]+ threads, 8 fibers$");
	snprintf(line, sizeof(line),
		 "^fiber %lu \"the holder\" \\(%p\\) waits for semaphore %p, "
		 "since [0-9]+\\.[0-9]{3} s, server [01]$",
		 uf_id(fiber[0]), fiber[0], &go);
	EXPECT_SAID(line);
	snprintf(line, sizeof(line),
		 "^fiber %lu \"the second\" .* waits for mutex %p of %p, since ",
		 uf_id(fiber[1]), &mutex, fiber[0]);
	EXPECT_SAID(line);
	snprintf(line, sizeof(line),
		 "\"a\\?b\" .* semaphore %p, since .*, for 9[0-9]{2}\\.[0-9]{3} s "
		 "more at most, server ",
		 &sem);
	EXPECT_SAID(line);
	EXPECT_SAID("\"sleeper\" .* waits for sleep, since [^,]*, for 9");
	snprintf(line, sizeof(line),
		 "\"reader\" .* waits for io: recv of fd %d, since ",
		 sockets[0]);
	EXPECT_SAID(line);
	snprintf(line, sizeof(line), "\"receiver\" .* waits for channel %p, ",
		 channel);
	EXPECT_SAID(line);
	EXPECT_SAID("\"selector\" .* waits for select, ");
	snprintf(line, sizeof(line), "\"joiner\" .* waits for fiber %p, ",
		 fiber[6]);
	EXPECT_SAID(line);
	EXPECT_SAID("^ufiber: end of runtime 0x");

	end(fiber[7]);
	for (i = 0; i < 7; i++)
		end(fiber[i]);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
	uf_channel_destroy(channel);
}

static struct uf_cond cond;

static void *want_condition(void *arg)
{
	uf_mutex_lock(&mutex);
	uf_cond_wait(&cond, &mutex);
	uf_mutex_unlock(&mutex);
	return NULL;
}

/* Who has been signalled, but waits on for the mutex. */
TEST(condition_and_mutex)
{
	struct uf_fiber *fiber;
	struct uf_runtime *rt;
	char line[100];

	CREATE_RUNTIME(&rt, 1);
	fiber = make_waiting(rt, "waits", want_condition, NULL);
	ASSERT_EQ(0, dump(rt));
	snprintf(line, sizeof(line), "\"waits\" .* waits for condition %p, ",
		 &cond);
	EXPECT_SAID(line);
	ASSERT_EQ(0, uf_mutex_lock(&mutex));
	ASSERT_EQ(0, uf_cond_signal(&cond));
	EXPECT_EQ(UF_STATE_WAITING, uf_state(fiber));
	ASSERT_EQ(0, dump(rt));
	snprintf(line, sizeof(line), "\"waits\" .* waits for mutex %p of ",
		 &mutex);
	EXPECT_SAID(line);
	ASSERT_EQ(0, uf_mutex_unlock(&mutex));
	JOIN(fiber);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

static atomic_bool stop;

static void *spin(void *arg)
{
	while (!stop)
		;
	return NULL;
}

static void *yield(void *arg)
{
	while (!stop)
		uf_yield();
	return NULL;
}

/* One server; the one that spins keeps it, so the other stays ready. */
TEST(not_waiting)
{
	struct uf_fiber *parked, *ended, *spins, *ready;
	struct uf_runtime *rt;

	CREATE_RUNTIME(&rt, 1);
	parked = make(rt, "parked", UF_PARKED, dump_start, NULL);
	ended = make(rt, "ended", 0, nothing, NULL);
	await_state(ended, UF_STATE_ENDED);
	spins = make(rt, "spins", 0, spin, NULL);
	while (!spins->on_cpu)
		sched_yield();
	ready = make(rt, "pinned", UF_PINNED, yield, NULL);
	ASSERT_EQ(0, dump(rt));
	EXPECT_SAID("\"parked\" .* is parked\n.*dump_start\\+0x0");
	EXPECT_SAID("\"ended\" .* has ended, and is not joined$");
	EXPECT_SAID("\"spins\" .* runs, thread [1-9][0-9]*, server 0$");
	EXPECT_SAID("\"pinned\" .* is ready, server 0$");
	stop = true;
	JOIN(ended);
	JOIN(spins);
	JOIN(ready);
	/* Who has been joined is no fiber, though its stack is there. */
	ASSERT_EQ(0, dump(rt));
	EXPECT_SAID(", 1 fiber$");
	EXPECT_NOT_SAID("\"(ended|spins|pinned)\"");
	uf_cancel(parked);
	ASSERT_EQ(0, uf_start(parked));
	JOIN(parked);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/* ----------------------------------------------------------------- frames */

/* Not inlined, no tail calls: each has a frame. */

__attribute__((noinline)) int dump_inner(void)
{
	int error = uf_sem_wait(&sem);

	barrier();
	return error;
}

__attribute__((noinline)) int dump_outer(void)
{
	int error = dump_inner();

	barrier();
	return error + 1;
}

void *dump_start(void *arg)
{
	return (void *)(intptr_t)dump_outer();
}

/* What ends with a wait has jumped there, and is not among them. */
#define FRAMES \
	"\\(\\+0x.*\n.*dump_inner\\+.*\n.*dump_outer\\+.*\n.*dump_start\\+"

static void skip_without_holding(void)
{
	if (UF_SAN_THREAD)
		lib_test_skip(
			"ThreadSanitizer knows no membarrier(): none is held");
}

static void skip_without_frames(void)
{
	if (UF_ARCH_BY_LIBC)
		lib_test_skip("the switch is the C library's: no frames");
	skip_without_holding();
}

TEST(frames)
{
	char *looks = (char *)uf_arch_unwind;
	struct uf_frames frames;
	unsigned int i;
	struct uf_fiber *fiber;
	struct uf_runtime *rt;

	skip_without_frames();
	CREATE_RUNTIME(&rt, 1);
	fiber = make_waiting(rt, "deep", dump_start, NULL);
	ASSERT_TRUE(uf_hold(fiber));
	uf_frames_of_context(&frames, fiber->ctx.sp);
	uf_unhold(fiber);
	ASSERT_LT(3, frames.nr);
	/* They begin in it, not in who looks. */
	for (i = 0; i < frames.nr; i++)
		EXPECT_FALSE((char *)frames.address[i] >= looks &&
			     (char *)frames.address[i] < looks + 64);
	ASSERT_EQ(0, dump(rt));
	EXPECT_SAID("\"deep\" .*\n(.*\n)*.*" FRAMES);
	/* They are all of them the fiber's. */
	EXPECT_NOT_SAID("uf_dump\\+");
	/* They end where it began. */
	EXPECT_SAID("dump_start\\+.*\n.*uf_fiber_main.*\n.*\nufiber: end|"
		    "dump_start\\+.*\n.*\n.*\nufiber: end");
	end(fiber);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

void *dump_coroutine(struct uf_coro *self, void *arg, void *value);
void *dump_coroutine(struct uf_coro *self, void *arg, void *value)
{
	return (void *)(intptr_t)dump_outer();
}

static void *run_coroutine(void *arg)
{
	struct uf_coro *co;
	void *result;

	MUST(!uf_coro_create(&co, NULL, dump_coroutine, NULL));
	MUST(!uf_coro_resume(co, NULL, &result));
	MUST(!uf_coro_destroy(co));
	return NULL;
}

/* What waits in a coroutine is on the coroutine's stack. */
TEST(frames_of_coroutine)
{
	struct uf_fiber *fiber;
	struct uf_runtime *rt;

	skip_without_frames();
	CREATE_RUNTIME(&rt, 1);
	fiber = make_waiting(rt, "deep", run_coroutine, NULL);
	ASSERT_EQ(0, dump(rt));
	EXPECT_SAID("\\(\\+0x.*\n.*dump_inner\\+.*\n.*dump_outer\\+.*\n"
		    ".*dump_coroutine\\+");
	end(fiber);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

void *dump_myself(void *arg);
void *dump_myself(void *arg)
{
	return (void *)(intptr_t)dump(NULL);
}

TEST(by_a_fiber)
{
	struct uf_fiber *fiber;
	struct uf_runtime *rt;
	void *error;

	CREATE_RUNTIME(&rt, 1);
	fiber = make(rt, "self", 0, dump_myself, NULL);
	ASSERT_EQ(0, uf_join(fiber, &error));
	EXPECT_EQ(NULL, error);
	EXPECT_SAID("\"self\" .* runs, thread .*\n(.*\n)*.*uf_dump\\+.*\n"
		    "(.*\n)*.*dump_myself\\+");
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/* ------------------------------------------------------------------ since */

static double seconds_since(void)
{
	char *since = strstr(text, ", since ");

	return since ? strtod(since + 8, NULL) : 0;
}

/* The time of a wait grows, and is no longer than the runtime is old. */
TEST(since)
{
	uint64_t begun = uf_now();
	struct uf_fiber *fiber;
	struct uf_runtime *rt;

	CREATE_RUNTIME(&rt, 1);
	fiber = make_waiting(rt, "waits", want_sem, NULL);
	do {
		ASSERT_EQ(0, dump(rt));
	} while (seconds_since() < 0.05);
	/* The kernel's tick takes 10 ms at most. */
	EXPECT_GE((uf_now() - begun) / 1e9 + 0.010, seconds_since());
	end(fiber);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/* --------------------------------------------------------------- bad input */

TEST(bad_input)
{
	struct uf_runtime *rt;

	EXPECT_EQ(0, dump(NULL));
	EXPECT_STREQ("", text);
	EXPECT_EQ(-EINVAL, dump((struct uf_runtime *)text));
	EXPECT_EQ(-EBADF, uf_dump(NULL, -1));
	EXPECT_EQ(-EINVAL, uf_dump_on_signal(SIGKILL));
	EXPECT_EQ(-EINVAL, uf_dump_on_signal(NSIG + 1));
	EXPECT_EQ(-EINVAL, uf_dump_on_signal(-1));
	CREATE_RUNTIME(&rt, 1);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
	EXPECT_EQ(-EINVAL, dump(rt));
}

/* ------------------------------------------------------- while they are busy */

static struct uf_sem ping, pong;
static atomic_uint nr_dumps;

/* Who read its frames while it ran would read this. */
static __attribute__((noinline)) void scribble(void)
{
	char waste[2000];

	memset(waste, 0x5a, sizeof(waste));
	__asm__ __volatile__("" ::"r"(waste) : "memory");
}

void *dump_play(void *arg);
void *dump_play(void *arg)
{
	struct uf_sem *mine = arg ? &ping : &pong, *other = arg ? &pong : &ping;

	while (!stop) {
		uf_sem_post(other);
		uf_sem_wait_until(mine, uf_now() + 1000000);
		scribble();
	}
	return NULL;
}

static void *read_some(void *arg)
{
	char c = 0;

	while (!stop) {
		uf_send(sockets[0], &c, 1, 0);
		uf_recv(sockets[1], &c, 1, 0);
	}
	return NULL;
}

/* Fibers of all sizes come and go; chunks of large stacks are unmapped. */
static void *spawn(void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber[20];
	int i;

	attr.name = "child";
	while (!stop) {
		for (i = 0; i < 20; i++) {
			attr.stack_size = i < 18 ? 0 : 2 << 20;
			MUST(!uf_create(NULL, &fiber[i], &attr, nothing, NULL));
		}
		for (i = 0; i < 20; i++)
			MUST(!uf_join(fiber[i], NULL));
	}
	return NULL;
}

static void *lock_and_signal(void *arg)
{
	static struct uf_cond cond;
	static unsigned int turn;

	while (!stop) {
		uf_mutex_lock(&mutex);
		turn++;
		uf_cond_broadcast(&cond);
		uf_cond_wait_until(&cond, &mutex, uf_now() + 1000000);
		uf_mutex_unlock(&mutex);
	}
	return NULL;
}

static void *dump_often(void *arg)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	while (!stop) {
		MUST(!uf_dump(NULL, fd));
		nr_dumps++;
		if (uf_self())
			uf_yield();
	}
	close(fd);
	return NULL;
}

/* Of each that plays: if its frames are told, they lead to where it began. */
static bool frames_are_whole(void)
{
	bool plays = false, framed = false, whole = false;
	const char *line = text, *end;

	for (; (end = strchr(line, '\n')); line = end + 1) {
		if (strncmp(line, "fiber ", 6) && strncmp(line, "ufiber: ", 8)) {
			framed = true;
			whole |= !!memmem(line, end - line, "dump_play+", 10);
			continue;
		}
		if (plays && framed && !whole)
			return false;
		plays = memmem(line, end - line, "\"play\"", 6);
		framed = whole = false;
	}
	return true;
}

static void churn(struct __test_metadata *_metadata, unsigned int servers)
{
	void *(*const start[])(void *) = { spawn, lock_and_signal, read_some,
					   yield };
	struct uf_fiber *fiber[24];
	struct uf_runtime *rt;
	pthread_t thread;
	unsigned int i;
	uint64_t rounds;

	stop = false;
	nr_dumps = 0;
	CREATE_RUNTIME(&rt, servers);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	for (i = 0; i < 4; i++)
		fiber[i] = make(rt, "play", 0, dump_play,
				(void *)(uintptr_t)(i & 1));
	fiber[i++] = make(rt, "dumps", 0, dump_often, NULL);
	for (; i < ARRAY_SIZE(fiber); i++)
		fiber[i] = make(rt, "churn", 0, start[i % ARRAY_SIZE(start)],
				NULL);
	ASSERT_EQ(0, pthread_create(&thread, NULL, dump_often, NULL));
	for (rounds = 0; rounds < 20 || nr_dumps < 60; rounds++) {
		ASSERT_EQ(0, dump(rt));
		EXPECT_SAID("^ufiber: runtime 0x");
		EXPECT_SAID("^ufiber: end of runtime 0x");
		EXPECT_SAID("\"play\"");
		/* A wait that is told of is a wait. */
		EXPECT_NOT_SAID("\"play\" .* waits for (mutex|io|channel)");
		EXPECT_NOT_SAID("\"child\" .* waits for");
		EXPECT_TRUE(frames_are_whole()) TH_LOG("%s", text);
	}
	stop = true;
	ASSERT_EQ(0, pthread_join(thread, NULL));
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		ASSERT_EQ(0, uf_join(fiber[i], NULL));
	ASSERT_EQ(0, uf_runtime_destroy(rt));
	close(sockets[0]);
	close(sockets[1]);
}

TEST(while_busy)
{
	churn(_metadata, 1);
	churn(_metadata, 3);
}

/* ---------------------------------------------------------------- holding */

static struct uf_cond held_cond;
static atomic_bool has_run;

static void *run_after_sem(void *arg)
{
	uf_sem_wait(&sem);
	has_run = true;
	return NULL;
}

static void *run_after_sem_until(void *arg)
{
	uf_sem_wait_until(&sem, uf_now() + 1000000000000);
	has_run = true;
	return NULL;
}

static void *run_after_sleep(void *arg)
{
	uf_sleep(50000000);
	has_run = true;
	return NULL;
}

static void *run_after_recv(void *arg)
{
	char c;

	uf_recv(sockets[0], &c, 1, 0);
	has_run = true;
	return NULL;
}

static void *run_after_condition(void *arg)
{
	uf_mutex_lock(&mutex);
	uf_cond_wait(&held_cond, &mutex);
	has_run = true;
	uf_mutex_unlock(&mutex);
	return NULL;
}

static void *post_sem(void *arg)
{
	uf_sem_post(&sem);
	return NULL;
}

static void *send_one(void *arg)
{
	MUST(send(sockets[1], "", 1, 0) == 1);
	return NULL;
}

static void *cancel_it(void *fiber)
{
	uf_cancel(fiber);
	return NULL;
}

static void *unlock_mutex(void *arg)
{
	uf_mutex_unlock(&mutex);
	return NULL;
}

/* Who has a mutex that somebody waits for again who was signalled. */
static void *signal_it(void *arg)
{
	uf_mutex_lock(&mutex);
	uf_cond_signal(&held_cond);
	uf_sem_wait(&go);
	return unlock_mutex(NULL);
}

static void *let_go(void *arg)
{
	uf_sem_post(&go);
	return NULL;
}

/* It has been woken, and does not run. */
static void expect_held(struct __test_metadata *_metadata,
			struct uf_fiber *fiber)
{
	void *sp = fiber->ctx.sp;
	unsigned int i;

	while (uf_state(fiber) == UF_STATE_WAITING)
		sched_yield();
	for (i = 0; i < 2000; i++) {
		ASSERT_FALSE(has_run);
		ASSERT_EQ(UF_HELD, READ_ONCE(fiber->on_cpu));
		ASSERT_EQ(NULL, READ_ONCE(fiber->queue));
		ASSERT_EQ(sp, fiber->ctx.sp);
		if (i % 100)
			uf_cpu_relax();
		else
			sched_yield();
	}
}

/* Held, then woken by a plain thread, by a fiber, or by itself. */
static void hold_one(struct __test_metadata *_metadata, struct uf_runtime *rt,
		     void *(*start)(void *), void *(*wake)(void *),
		     bool by_fiber)
{
	struct uf_fiber *fiber, *other = NULL, *waker = NULL;
	pthread_t thread;

	has_run = false;
	fiber = make_waiting(rt, "held", start, NULL);
	if (wake == let_go)
		other = make_waiting(rt, "other", signal_it, NULL);
	/* Nobody wakes it yet, but for the sleeper, who may be too fast. */
	while (!uf_hold(fiber)) {
		ASSERT_EQ(NULL, wake);
		JOIN(fiber);
		has_run = false;
		fiber = make_waiting(rt, "held", start, NULL);
	}
	if (by_fiber)
		waker = make(rt, "wakes", 0, wake ? wake : nothing, fiber);
	else
		ASSERT_EQ(0, pthread_create(&thread, NULL,
					    wake ? wake : nothing, fiber));
	expect_held(_metadata, fiber);
	uf_unhold(fiber);
	if (!by_fiber)
		ASSERT_EQ(0, pthread_join(thread, NULL));
	if (waker) {
		JOIN(waker);
	}
	if (other) {
		JOIN(other);
	}
	JOIN(fiber);
	ASSERT_TRUE(has_run);
}

/* Who is held stays where it is, whoever wakes it. */
TEST(held)
{
	static const struct {
		void *(*start)(void *);
		void *(*wake)(void *);
	} ways[] = {
		{ run_after_sem, post_sem },
		{ run_after_sem, cancel_it },
		{ run_after_sem_until, post_sem },
		{ run_after_sem_until, cancel_it },
		{ run_after_sleep, NULL },
		{ run_after_recv, send_one },
		{ run_after_condition, let_go },
	};
	struct uf_runtime *rt;
	unsigned int i;

	skip_without_holding();
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	CREATE_RUNTIME(&rt, 2);
	for (i = 0; i < 2 * ARRAY_SIZE(ways); i++) {
		hold_one(_metadata, rt, ways[i / 2].start, ways[i / 2].wake,
			 i % 2);
	}
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/* It is not held, and nothing of the attempt remains. */
static void expect_not_held(struct __test_metadata *_metadata,
			    struct uf_fiber *fiber)
{
	ASSERT_FALSE(uf_hold(fiber)) TH_LOG("%s", uf_name(fiber));
	ASSERT_NE(UF_HELD, READ_ONCE(fiber->on_cpu));
}

static atomic_bool spin_on;

static void *spin_once(void *arg)
{
	while (spin_on)
		;
	return NULL;
}

/* One server, kept by the one that spins. */
TEST(not_held)
{
	struct uf_fiber *parked, *ended, *spins, *ready, *woken;
	struct uf_runtime *rt;

	skip_without_holding();
	CREATE_RUNTIME(&rt, 1);
	spin_on = true;
	parked = make(rt, "parked", UF_PARKED, nothing, NULL);
	ended = make(rt, "ended", 0, nothing, NULL);
	await_state(ended, UF_STATE_ENDED);
	woken = make_waiting(rt, "woken", run_after_sem, NULL);
	spins = make(rt, "spins", 0, spin_once, NULL);
	while (!spins->on_cpu)
		sched_yield();
	ready = make(rt, "ready", UF_PINNED, nothing, NULL);
	expect_not_held(_metadata, parked);
	expect_not_held(_metadata, ended);
	expect_not_held(_metadata, spins);
	expect_not_held(_metadata, ready);
	ASSERT_TRUE(uf_hold(woken));
	uf_unhold(woken);
	uf_sem_post(&sem);
	expect_not_held(_metadata, woken);
	spin_on = false;
	JOIN(ended);
	JOIN(spins);
	JOIN(ready);
	JOIN(woken);
	ASSERT_EQ(0, uf_start(parked));
	JOIN(parked);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

static void *wait_twice(void *arg)
{
	uf_sem_wait(&sem);
	uf_sem_wait(&sem);
	return NULL;
}

/* A mark that was set on one that was ready says nothing of its next wait. */
TEST(ready_when_marked)
{
	struct uf_fiber *spins, *fiber;
	struct uf_runtime *rt;

	skip_without_holding();
	CREATE_RUNTIME(&rt, 1);
	spin_on = true;
	fiber = make_waiting(rt, "waits twice", wait_twice, NULL);
	spins = make(rt, "spins", 0, spin_once, NULL);
	while (!spins->on_cpu)
		sched_yield();
	uf_sem_post(&sem);
	ASSERT_TRUE(uf_hold_mark(fiber));
	/* As nobody sees a mark that means nothing. */
	ASSERT_EQ(UF_STATE_READY, uf_state(fiber));
	spin_on = false;
	JOIN(spins);
	await_state(fiber, UF_STATE_WAITING);
	ASSERT_FALSE(uf_hold_confirm(fiber));
	ASSERT_EQ(0, READ_ONCE(fiber->on_cpu));
	uf_sem_post(&sem);
	JOIN(fiber);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

#define RING 8

static struct uf_sem ring[RING];

/* Each wakes the next, and at its end once more: then that one ends, too. */
static void *pass_on(void *arg)
{
	uintptr_t self = (uintptr_t)arg;
	struct uf_sem *next = &ring[(self + 1) % RING];

	while (!stop) {
		uf_sem_wait(&ring[self]);
		uf_sem_post(next);
	}
	uf_sem_post(next);
	return NULL;
}

/* Returns whether it was held. */
static bool try_to_hold(struct __test_metadata *_metadata,
			struct uf_fiber *fiber)
{
	unsigned int i;
	void *sp;

	if (!uf_hold(fiber))
		return false;
	sp = fiber->ctx.sp;
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(UF_HELD, READ_ONCE(fiber->on_cpu));
		ASSERT_EQ(NULL, READ_ONCE(fiber->queue));
		ASSERT_EQ(sp, READ_ONCE(fiber->ctx.sp));
		uf_cpu_relax();
	}
	uf_unhold(fiber);
	return true;
}

static void hold_many(struct __test_metadata *_metadata, unsigned int servers)
{
	struct uf_fiber *fiber[RING + 4];
	unsigned int held = 0, i;
	struct uf_runtime *rt;

	stop = false;
	CREATE_RUNTIME(&rt, servers);
	for (i = 0; i < RING; i++) {
		ring[i] = (struct uf_sem)UF_SEM_INIT(0);
		fiber[i] =
			make(rt, "passes on", 0, pass_on, (void *)(uintptr_t)i);
	}
	for (; i < ARRAY_SIZE(fiber); i++)
		fiber[i] = make(rt, "yields", 0, yield, NULL);
	uf_sem_post(&ring[0]);
	uf_sem_post(&ring[RING / 2]);
	for (i = 0; i < 4000; i++)
		held += try_to_hold(_metadata, fiber[i % ARRAY_SIZE(fiber)]);
	TH_LOG("%u servers: %u of %u held", servers, held, i);
	stop = true;
	for (i = 0; i < ARRAY_SIZE(fiber); i++)
		JOIN(fiber[i]);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/* Whether or not one is caught while it waits, nobody is forgotten. */
TEST(held_while_busy)
{
	skip_without_holding();
	hold_many(_metadata, 1);
	hold_many(_metadata, 2);
	hold_many(_metadata, 8);
}

/* What a walk has seen stays mapped until its end, and not longer. */
static void *large_stack;

static void free_large(void *stack, size_t size, void *arg)
{
	struct uf_fiber **fiber = arg;
	unsigned char vec;

	if (!*fiber || size != 4 << 20)
		return;
	large_stack = stack;
	MUST(!uf_join(*fiber, NULL));
	*fiber = NULL;
	/* Somebody has to return it. */
	uf_stacks_trim(uf_self() ? uf_self()->rt : NULL);
	MUST(!mincore(stack, 4096, &vec));
}

FIBER_TEST(walk_keeps_memory, 1)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber;
	unsigned char vec;

	attr.stack_size = 4 << 20;
	ASSERT_EQ(0, uf_create(NULL, &fiber, &attr, nothing, NULL));
	uf_arena_walk(&uf_self()->rt->stacks.arena, free_large, &fiber);
	ASSERT_EQ(NULL, fiber);
	EXPECT_EQ(-1, mincore(large_stack, 4096, &vec));
	EXPECT_EQ(ENOMEM, errno);
}

/* --------------------------------------------------------------- by signal */

/* A child process whose stderr is read here. */
static pid_t child;

static int start_child(struct __test_metadata *_metadata, void (*fn)(void))
{
	int fds[2];

	lib_test_need_runtime();
	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		dup2(fds[1], STDERR_FILENO);
		fn();
		_exit(0);
	}
	close(fds[1]);
	return fds[0];
}

/* Until something like this has come. */
static bool await_said(int fd, const char *regex)
{
	size_t len = 0;
	ssize_t n;

	do {
		text[len] = '\0';
		if (said(regex))
			return true;
		n = read(fd, text + len, sizeof(text) - 1 - len);
		len += n > 0 ? n : 0;
	} while (n > 0);
	return false;
}

static void end_child(struct __test_metadata *_metadata, int fd)
{
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	close(fd);
}

static void raise_and_wait(void)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt;

	config.servers = 1;
	if (uf_runtime_create(&rt, &config)) {
		fprintf(stderr, "%s\n", uf_strerror());
		_exit(1);
	}
	make_waiting(rt, "stuck", want_sem, NULL);
	raise(SIGUSR2);
	pause();
	_exit(0);
}

static void by_signal(void)
{
	MUST(!uf_dump_on_signal(SIGUSR1));
	MUST(!uf_dump_on_signal(SIGUSR2));
	raise_and_wait();
}

static void by_environment(void)
{
	setenv("UFIBER_DUMP_SIGNAL", "USR2", 1);
	raise_and_wait();
}

static void by_number(void)
{
	char number[8];

	snprintf(number, sizeof(number), "%d", SIGUSR2);
	setenv("UFIBER_DUMP_SIGNAL", number, 1);
	raise_and_wait();
}

static void by_nonsense(void)
{
	setenv("UFIBER_DUMP_SIGNAL", "SIGNONSENSE", 1);
	raise_and_wait();
}

TEST(on_signal)
{
	void (*const ways[])(void) = { by_signal, by_environment, by_number };
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		fd = start_child(_metadata, ways[i]);
		EXPECT_TRUE(await_said(fd, "\"stuck\" .* waits for semaphore"
					   "(.|\n)*ufiber: end"))
		TH_LOG("%u: %s", i, text);
		end_child(_metadata, fd);
	}
	fd = start_child(_metadata, by_nonsense);
	EXPECT_TRUE(await_said(fd, "UFIBER_DUMP_SIGNAL=SIGNONSENSE: a signal"))
	TH_LOG("%s", text);
	end_child(_metadata, fd);
}

/* With 0 the action is what it was. */
TEST(signal_given_back)
{
	struct sigaction action;

	signal(SIGUSR1, SIG_IGN);
	ASSERT_EQ(0, uf_dump_on_signal(SIGUSR1));
	ASSERT_EQ(0, sigaction(SIGUSR1, NULL, &action));
	EXPECT_TRUE(action.sa_handler != SIG_IGN);
	ASSERT_EQ(0, uf_dump_on_signal(0));
	ASSERT_EQ(0, sigaction(SIGUSR1, NULL, &action));
	EXPECT_TRUE(action.sa_handler == SIG_IGN);
}

static struct uf_runtime *parents;

/* Another thread of the parent was in the middle of a dump. */
static void dump_in_child(void)
{
	alarm(60);
	if (uf_dump(parents, STDERR_FILENO) != -ECHILD ||
	    uf_dump(NULL, STDERR_FILENO))
		fprintf(stderr, "of the parent's: %s\n", "not refused");
	raise_and_wait();
}

/* In the child there are its own runtimes alone, and the signal works as before. */
TEST(after_fork)
{
	struct uf_fiber *fiber;
	pthread_t thread;
	unsigned int i;
	int fd;

	stop = false;
	CREATE_RUNTIME(&parents, 1);
	fiber = make_waiting(parents, "parent's", run_after_sem, NULL);
	ASSERT_EQ(0, uf_dump_on_signal(SIGUSR2));
	ASSERT_EQ(0, pthread_create(&thread, NULL, dump_often, NULL));
	for (i = 0; i < 5; i++) {
		fd = start_child(_metadata, dump_in_child);
		EXPECT_TRUE(await_said(fd, "\"stuck\" .* waits for semaphore"
					   "(.|\n)*ufiber: end"))
		TH_LOG("%s", text);
		EXPECT_NOT_SAID("parent's");
		end_child(_metadata, fd);
	}
	stop = true;
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(0, uf_dump_on_signal(0));
	uf_sem_post(&sem);
	JOIN(fiber);
	ASSERT_EQ(0, uf_runtime_destroy(parents));
}

/* -------------------------------------------------------------- deadlocks */

static struct uf_mutex other_mutex;
static struct uf_sem locked;

static void *lock_crosswise(void *arg)
{
	uf_mutex_lock(arg ? &other_mutex : &mutex);
	uf_sem_post(&locked);
	uf_sem_wait(&go);
	uf_mutex_lock(arg ? &mutex : &other_mutex);
	return NULL;
}

static void *embrace(void *arg)
{
	struct uf_fiber *a = make(NULL, "a", 0, lock_crosswise, NULL);
	struct uf_fiber *b = make(NULL, "b", 0, lock_crosswise, &other_mutex);

	uf_sem_wait(&locked);
	uf_sem_wait(&locked);
	uf_sem_post(&go);
	uf_sem_post(&go);
	uf_join(a, NULL);
	uf_join(b, NULL);
	return NULL;
}

static void run_into_it(void)
{
	struct uf_config config = UF_CONFIG_INIT;

	config.servers = 2;
	config.flags = UF_REPORT_DEADLOCK;
	uf_run(&config, embrace, NULL, NULL);
}

static void run_into_it_by_environment(void)
{
	struct uf_config config = UF_CONFIG_INIT;

	setenv("UFIBER_REPORT_DEADLOCK", "1", 1);
	config.servers = 1;
	uf_run(&config, embrace, NULL, NULL);
}

TEST(deadlock)
{
	void (*const ways[])(void) = { run_into_it, run_into_it_by_environment };
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		fd = start_child(_metadata, ways[i]);
		EXPECT_TRUE(await_said(fd, "ufiber: end of"))
		TH_LOG("%s", text);
		EXPECT_SAID(
			"^ufiber: deadlock: 3 fibers wait, and no other fiber, "
			"timer or IO can wake them; only another thread could:$");
		EXPECT_SAID("\"a\" .* waits for mutex 0x[0-9a-f]+ of 0x");
		EXPECT_SAID("\"b\" .* waits for mutex 0x[0-9a-f]+ of 0x");
		end_child(_metadata, fd);
	}
}

static void find_deadlock(struct uf_runtime *rt)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);

	while (READ_ONCE(rt->nr_asleep) != rt->nr_servers)
		sched_yield();
	uf_find_deadlock(rt, fd);
	read_back(fd);
	close(fd);
}

static sem_t plain;

static void *wait_for_plain(void *arg)
{
	sem_wait(&plain);
	return NULL;
}

static void *want_offload(void *arg)
{
	uf_offload(wait_for_plain, NULL, NULL);
	return NULL;
}

/* As long as one will go on by itself, there is none; and it is told once. */
TEST(no_deadlock)
{
	void *(*const start[])(void *) = { want_sleep, want_read, want_sem,
					   want_offload };
	struct uf_fiber *stuck, *fiber;
	struct uf_runtime *rt;
	unsigned int i;

	CREATE_RUNTIME(&rt, 1);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	find_deadlock(rt);
	EXPECT_STREQ("", text);
	stuck = make_waiting(rt, "stuck", dump_start, NULL);
	for (i = 0; i < ARRAY_SIZE(start); i++) {
		fiber = make_waiting(rt, "goes on", start[i], NULL);
		find_deadlock(rt);
		EXPECT_STREQ("", text) TH_LOG("%u", i);
		if (start[i] == want_offload)
			sem_post(&plain);
		end(fiber);
	}
	find_deadlock(rt);
	EXPECT_SAID("^ufiber: deadlock: 1 fiber waits, ");
	find_deadlock(rt);
	EXPECT_STREQ("", text);
	end(stuck);
	ASSERT_EQ(0, uf_runtime_destroy(rt));
}

/* ----------------------------------------------------------------- in gdb */

static void wait_for_gdb(void)
{
	struct uf_runtime *rt;

	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	MUST(!uf_runtime_create(&rt, NULL));
	uf_mutex_lock(&mutex);
	make_waiting(rt, "in gdb", want_mutex, NULL);
	make_waiting(rt, "deep", dump_start, NULL);
	make(rt, "spins", 0, spin, NULL);
	uf_dump(rt, STDERR_FILENO);
	pause();
}

static unsigned long id_of(const char *name)
{
	const char *found = strstr(text, name);

	while (found && found > text && strncmp(found, "fiber ", 6))
		found--;
	return found ? strtoul(found + 6, NULL, 10) : 0;
}

static void run_gdb(struct __test_metadata *_metadata)
{
	unsigned long deep = id_of("\"deep\""), spins = id_of("\"spins\"");
	size_t len = 0, n;
	char command[500];
	FILE *gdb;

	ASSERT_NE(0, deep);
	ASSERT_NE(0, spins);
	snprintf(command, sizeof(command),
		 "gdb -nx -batch -p %d -ex 'set debuginfod enabled off' "
		 "-x " UF_TOP "/tools/gdb/ufiber.py -ex 'info fibers' "
		 "-ex 'fiber %lu bt' -ex 'echo NEXT\\n' -ex 'fiber %lu bt' "
		 "-ex 'fiber 0 bt' -ex 'fiber' 2>&1 </dev/null",
		 child, deep, spins);
	gdb = popen(command, "r");
	ASSERT_NE(NULL, gdb);
	while ((n = fread(text + len, 1, sizeof(text) - 1 - len, gdb)) > 0)
		len += n;
	text[len] = '\0';
	pclose(gdb);
}

TEST(gdb)
{
	char line[100];
	int fd;

#if !defined(__x86_64__) || defined(__SANITIZE_ADDRESS__) || \
	defined(__SANITIZE_THREAD__)
	SKIP(return, "gdb runs neither emulators nor sanitizers well");
#endif
	if (UF_ARCH_BY_LIBC)
		SKIP(return, "the switch is the C library's: no frames");
	if (system("command -v gdb >/dev/null"))
		SKIP(return, "no gdb");
	if (access(UF_TOP "/tools/gdb/ufiber.py", R_OK))
		SKIP(return, "no tools/gdb/ufiber.py here");
	fd = start_child(_metadata, wait_for_gdb);
	ASSERT_TRUE(await_said(fd, "ufiber: end of"));
	run_gdb(_metadata);
	snprintf(line, sizeof(line), "\"in gdb\" .* waits for mutex %p$",
		 &mutex);
	EXPECT_SAID(line);
	EXPECT_SAID("\"spins\" .* (runs, thread [0-9]+|is ready)$");
	/* From the switch to where the fiber began, and no further. */
	EXPECT_SAID("^#1 .* in .*switch.*\n(#.* at .*:[0-9]+\n)*"
		    "#.* uf_wait_and_leave .*\n(#.* uf_sem_wait.*\n)*"
		    "#.* in dump_inner .*\n"
		    "#.* in dump_outer .*\n#.* in dump_start .*\n"
		    "#.* in uf_fiber_main .*\n#.* in uf_arch_start .*\nNEXT$");
	EXPECT_SAID("^#0 .*\n(#.*\n)*#.* in uf_fiber_main .*\n"
		    "#.* in uf_arch_start .*\nufiber: there is no fiber 0");
	EXPECT_SAID("^usage: fiber ID COMMAND");
	end_child(_metadata, fd);
}

TEST_HARNESS_MAIN
