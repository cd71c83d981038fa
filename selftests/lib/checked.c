// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The checked build: who passes what is no such object is told so and aborted, and
 * who passes what is one goes on (that is what all the other tests are for, in that
 * build).
 */
#include "sync_test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "child_test.h"

/*
 * Each public function that takes an object, with what it must be. GIVEN: it must be
 * valid, whatever it is. OPEN: NULL is allowed, or is an error of its own.
 */
/* clang-format off */
#define CALLS(X)							\
	X(RUNTIME, GIVEN, uf_runtime_drain, rt, uf_runtime_drain(p, 0))	\
	X(RUNTIME, GIVEN, uf_runtime_stop, rt, uf_runtime_stop(p, 0))	\
	X(RUNTIME, GIVEN, uf_runtime_serve, rt, uf_runtime_serve(p))	\
	X(RUNTIME, OPEN, uf_runtime_set_servers, rt, uf_runtime_set_servers(p, 1)) \
	X(RUNTIME, OPEN, uf_runtime_servers, rt, uf_runtime_servers(p))	\
	X(RUNTIME, OPEN, uf_runtime_destroy, rt, uf_runtime_destroy(p))	\
	X(RUNTIME, OPEN, uf_runtime_backend, rt, uf_runtime_backend(p))	\
	X(RUNTIME, OPEN, uf_runtime_stats, rt, uf_runtime_stats(p, &stats)) \
	X(RUNTIME, OPEN, uf_create, rt, uf_create(p, &handle, NULL, nothing, NULL)) \
	X(RUNTIME, OPEN, uf_create_many, rt,				\
	  uf_create_many(p, &handle, 1, NULL, nothing, NULL))		\
	X(NONE, GIVEN, uf_runtime_create, rt, (uf_runtime_create)(p, NULL)) \
	X(NONE, GIVEN, uf_runtime_stats, stats, uf_runtime_stats(NULL, p)) \
	X(NONE, GIVEN, uf_create_many, fibers,				\
	  uf_create_many(NULL, p, 1, NULL, nothing, NULL))		\
	X(FIBER, GIVEN, uf_start, fiber, uf_start(p))			\
	X(FIBER, GIVEN, uf_join, fiber, uf_join(p, NULL))		\
	X(FIBER, GIVEN, uf_join_until, fiber, uf_join_until(p, NULL, 0)) \
	X(FIBER, GIVEN, uf_detach, fiber, uf_detach(p))			\
	X(FIBER, GIVEN, uf_yield_to, fiber, uf_yield_to(p))		\
	X(FIBER, GIVEN, uf_state, fiber, uf_state(p))			\
	X(FIBER, GIVEN, uf_cancel, fiber, uf_cancel(p))			\
	X(FIBER, GIVEN, uf_policy_words, fiber, uf_policy_words(p))	\
	X(FIBER, GIVEN, uf_pinned_to, fiber, uf_pinned_to(p))		\
	X(FIBER, OPEN, uf_name, fiber, uf_name(p))			\
	X(FIBER, OPEN, uf_id, fiber, uf_id(p))				\
	X(FIBER, OPEN, uf_priority, fiber, uf_priority(p))		\
	X(FIBER, OPEN, uf_stack_size, fiber, uf_stack_size(p))		\
	X(FIBER, OPEN, uf_stack_high_water, fiber, uf_stack_high_water(p)) \
	X(CORO, GIVEN, uf_coro_status, co, uf_coro_status(p))		\
	X(CORO, OPEN, uf_coro_resume, co, uf_coro_resume(p, NULL, NULL)) \
	X(CORO, OPEN, uf_coro_cancel, co, uf_coro_cancel(p, NULL))	\
	X(CORO, OPEN, uf_coro_destroy, co, uf_coro_destroy(p))		\
	X(CORO, OPEN, uf_coro_yield, self, uf_coro_yield(p, NULL, NULL)) \
	X(CORO, OPEN, uf_coro_transfer, self,				\
	  uf_coro_transfer(p, NULL, NULL, NULL))			\
	X(CORO, OPEN, uf_coro_transfer, to,				\
	  uf_coro_transfer(NULL, p, NULL, NULL))			\
	X(CORO, OPEN, uf_gen_next, gen, uf_gen_next(p, NULL))		\
	X(CORO, OPEN, uf_gen_send, gen, uf_gen_send(p, NULL, NULL))	\
	X(CORO, OPEN, uf_gen_close, gen, uf_gen_close(p))		\
	X(SCOPE, GIVEN, uf_scope_spawn, scope,				\
	  uf_scope_spawn(p, NULL, no_error, NULL))			\
	X(SCOPE, GIVEN, uf_scope_cancel, scope, uf_scope_cancel(p))	\
	X(NONE, GIVEN, uf_scope_open, scope, uf_scope_open(p, UF_FOREVER)) \
	X(NONE, GIVEN, uf_scope_close, scope, uf_scope_close(p))	\
	X(NONE, GIVEN, uf_key_create, key, uf_key_create(p, NULL))	\
	X(NONE, GIVEN, uf_cleanup_push, cleanup,			\
	  uf_cleanup_push(p, clean_up, NULL))				\
	X(NONE, GIVEN, uf_cleanup_push, call, uf_cleanup_push(&cleanup, p, NULL)) \
	X(NONE, GIVEN, uf_cleanup_pop, cleanup, uf_cleanup_pop(p, false)) \
	X(NONE, GIVEN, uf_policy_lock, lock, uf_policy_lock(p))		\
	X(NONE, GIVEN, uf_policy_unlock, lock, uf_policy_unlock(p))	\
	X(CHANNEL, GIVEN, uf_channel_send, channel, uf_channel_send(p, &value)) \
	X(CHANNEL, GIVEN, uf_channel_send_until, channel,		\
	  uf_channel_send_until(p, &value, 0))				\
	X(CHANNEL, GIVEN, uf_channel_trysend, channel,			\
	  uf_channel_trysend(p, &value))				\
	X(CHANNEL, GIVEN, uf_channel_receive, channel,			\
	  uf_channel_receive(p, &value))				\
	X(CHANNEL, GIVEN, uf_channel_receive_until, channel,		\
	  uf_channel_receive_until(p, &value, 0))			\
	X(CHANNEL, GIVEN, uf_channel_tryreceive, channel,		\
	  uf_channel_tryreceive(p, &value))				\
	X(CHANNEL, GIVEN, uf_channel_close, channel, uf_channel_close(p)) \
	X(CHANNEL, GIVEN, uf_channel_length, channel, uf_channel_length(p)) \
	X(CHANNEL, GIVEN, uf_channel_capacity, channel, uf_channel_capacity(p)) \
	X(CHANNEL, OPEN, uf_channel_destroy, channel, uf_channel_destroy(p)) \
	X(NONE, GIVEN, uf_channel_init, channel, uf_channel_init(p, 0, 0, NULL)) \
	X(NONE, GIVEN, uf_channel_create, channel, uf_channel_create(p, 0, 0)) \
	X(TICKER, GIVEN, uf_ticker_wait, ticker, uf_ticker_wait(p, NULL)) \
	X(TICKER, GIVEN, uf_ticker_wait_until, ticker,			\
	  uf_ticker_wait_until(p, NULL, 0))				\
	X(TICKER, GIVEN, uf_ticker_stop, ticker, uf_ticker_stop(p))	\
	X(NONE, GIVEN, uf_ticker_init, ticker, uf_ticker_init(p, 1, 0))	\
	X(MUTEX, GIVEN, uf_mutex_lock, mutex, uf_mutex_lock(p))		\
	X(MUTEX, GIVEN, uf_mutex_lock_until, mutex, uf_mutex_lock_until(p, 0)) \
	X(MUTEX, GIVEN, uf_mutex_trylock, mutex, uf_mutex_trylock(p))	\
	X(MUTEX, GIVEN, uf_mutex_unlock, mutex, uf_mutex_unlock(p))	\
	X(MUTEX, GIVEN, uf_cond_wait, mutex, uf_cond_wait(&cond, p))	\
	X(MUTEX, GIVEN, uf_cond_wait_until, mutex,			\
	  uf_cond_wait_until(&cond, p, 0))				\
	X(COND, GIVEN, uf_cond_wait, cond, uf_cond_wait(p, &mutex))	\
	X(COND, GIVEN, uf_cond_wait_until, cond,			\
	  uf_cond_wait_until(p, &mutex, 0))				\
	X(COND, GIVEN, uf_cond_signal, cond, uf_cond_signal(p))		\
	X(COND, GIVEN, uf_cond_broadcast, cond, uf_cond_broadcast(p))	\
	X(RWLOCK, GIVEN, uf_rwlock_rdlock, lock, uf_rwlock_rdlock(p))	\
	X(RWLOCK, GIVEN, uf_rwlock_rdlock_until, lock,			\
	  uf_rwlock_rdlock_until(p, 0))					\
	X(RWLOCK, GIVEN, uf_rwlock_tryrdlock, lock, uf_rwlock_tryrdlock(p)) \
	X(RWLOCK, GIVEN, uf_rwlock_wrlock, lock, uf_rwlock_wrlock(p))	\
	X(RWLOCK, GIVEN, uf_rwlock_wrlock_until, lock,			\
	  uf_rwlock_wrlock_until(p, 0))					\
	X(RWLOCK, GIVEN, uf_rwlock_trywrlock, lock, uf_rwlock_trywrlock(p)) \
	X(RWLOCK, GIVEN, uf_rwlock_unlock, lock, uf_rwlock_unlock(p))	\
	X(SEM, GIVEN, uf_sem_wait, sem, uf_sem_wait(p))			\
	X(SEM, GIVEN, uf_sem_wait_until, sem, uf_sem_wait_until(p, 0))	\
	X(SEM, GIVEN, uf_sem_trywait, sem, uf_sem_trywait(p))		\
	X(SEM, GIVEN, uf_sem_post, sem, uf_sem_post(p))			\
	X(BARRIER, GIVEN, uf_barrier_wait, barrier, uf_barrier_wait(p))	\
	X(BARRIER, GIVEN, uf_barrier_wait_until, barrier,		\
	  uf_barrier_wait_until(p, 0))					\
	X(ONCE, GIVEN, uf_once, once, uf_once(p, clean_up, NULL))	\
	X(ONCE, GIVEN, uf_once_until, once, uf_once_until(p, clean_up, NULL, 0)) \
	X(NONE, GIVEN, uf_once, call, uf_once(&once, p, NULL))		\
	X(NONE, GIVEN, uf_once_until, call, uf_once_until(&once, p, NULL, 0)) \
	X(EVENT, GIVEN, uf_event_wait, event, uf_event_wait(p))		\
	X(EVENT, GIVEN, uf_event_wait_until, event, uf_event_wait_until(p, 0)) \
	X(EVENT, GIVEN, uf_event_trywait, event, uf_event_trywait(p))	\
	X(EVENT, GIVEN, uf_event_set, event, uf_event_set(p))		\
	X(EVENT, GIVEN, uf_event_clear, event, uf_event_clear(p))	\
	X(WAITGROUP, GIVEN, uf_waitgroup_add, group, uf_waitgroup_add(p, 1)) \
	X(WAITGROUP, GIVEN, uf_waitgroup_done, group, uf_waitgroup_done(p)) \
	X(WAITGROUP, GIVEN, uf_waitgroup_wait, group, uf_waitgroup_wait(p)) \
	X(WAITGROUP, GIVEN, uf_waitgroup_wait_until, group,		\
	  uf_waitgroup_wait_until(p, 0))				\
	X(NONE, GIVEN, uf_select, cases, uf_select(p, 1))		\
	X(NONE, GIVEN, uf_select_until, cases, uf_select_until(p, 1, 0))
/* clang-format on */

static struct uf_cleanup cleanup;
static struct uf_stats stats = { .size = sizeof(stats) };
static struct uf_mutex mutex;
static struct uf_cond cond;
static struct uf_once once;
static struct uf_fiber *handle;
static uint64_t value;

static void *nothing(void *arg)
{
	return arg;
}

static int no_error(void *arg)
{
	return 0;
}

static void clean_up(void *arg)
{
}

#define THUNK(kind, null, function, arg, call)       \
	static void call_##function##_##arg(void *p) \
	{                                            \
		(void)(call);                        \
	}
CALLS(THUNK)

enum null {
	OPEN,
	GIVEN
};

static const struct call {
	enum uf_kind kind;
	enum null null;
	const char *function;
	const char *arg;
	void (*fn)(void *p);
} calls[] = {
#define ROW(kind, null, function, arg, call) \
	{ UF_KIND_##kind, null, #function, #arg, call_##function##_##arg },
	CALLS(ROW)
};

/* ------------------------------------------------------------ the culprit */

/* A call to make, on what, by a fiber. */
struct deed {
	const struct call *call;
	void *(*find)(enum uf_kind kind);
	uint64_t id;
};

static struct uf_runtime *live_runtime, *gone_runtime;

static void *commit(void *arg)
{
	struct deed *deed = arg;
	void *object = deed->find(deed->call->kind);

	deed->call->fn(object);
	return NULL;
}

static void *run_culprit(void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber;

	attr.name = "the culprit";
	MUST(!uf_create(NULL, &fiber, &attr, commit, arg));
	dprintf(STDERR_FILENO, "id %lu\n", uf_id(fiber));
	uf_join(fiber, NULL);
	return NULL;
}

static void commit_in_fiber(void *arg)
{
	struct uf_config config = UF_CONFIG_INIT;

	config.servers = 1;
	config.backend = "none";
	MUST(!uf_runtime_create(&gone_runtime, &config));
	MUST(!uf_runtime_create(&live_runtime, &config));
	MUST(!uf_runtime_destroy(gone_runtime));
	uf_run(&config, run_culprit, arg, NULL);
}

/* It must die of that, with the name of the function, its argument, and the fiber. */
static void expect_death(struct __test_metadata *_metadata,
			 const struct call *call,
			 void *(*find)(enum uf_kind kind), const char *why)
{
	struct deed deed = { .call = call, .find = find };
	char text[128];
	unsigned long id;

	run_child(_metadata, commit_in_fiber, &deed);
	EXPECT_TRUE(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT)
	{
		TH_LOG("%s: %s: status %#x, said: %s", call->function,
		       call->arg, end.status, end.text);
	}
	snprintf(text, sizeof(text), "ufiber: %s(): %s is ", call->function,
		 call->arg);
	EXPECT_SAID(text);
	EXPECT_SAID(why);
	ASSERT_EQ(1, sscanf(end.text, "id %lu", &id));
	snprintf(text, sizeof(text),
		 "ufiber: called by fiber %lu \"the culprit\"; wanted: ", id);
	EXPECT_SAID(text);
}

/* ------------------------------------------------------------- the objects */

static void *return_value(struct uf_coro *self, void *arg, void *value)
{
	return value;
}

static void *find_null(enum uf_kind kind)
{
	return NULL;
}

static void *find_live(enum uf_kind kind)
{
	static struct uf_ticker ticker;
	static struct uf_scope scope;
	struct uf_channel *channel;
	struct uf_coro *co;

	switch (kind) {
	case UF_KIND_RUNTIME:
		return live_runtime;
	case UF_KIND_FIBER:
		MUST(!uf_create(NULL, &handle, NULL, nothing, NULL));
		return handle;
	case UF_KIND_CORO:
		MUST(!uf_coro_create(&co, NULL, return_value, NULL));
		return co;
	case UF_KIND_CHANNEL:
		MUST(!uf_channel_create(&channel, 8, 1));
		return channel;
	case UF_KIND_SCOPE:
		MUST(!uf_scope_open(&scope, UF_FOREVER));
		return &scope;
	case UF_KIND_TICKER:
		MUST(!uf_ticker_init(&ticker, 1, 0));
		return &ticker;
	default:
		abort();
	}
}

static void *find_gone(enum uf_kind kind)
{
	void *object;

	if (kind == UF_KIND_RUNTIME)
		return gone_runtime;
	object = find_live(kind);
	if (kind == UF_KIND_FIBER)
		MUST(!uf_join(object, NULL));
	else if (kind == UF_KIND_CORO)
		MUST(!uf_coro_destroy(object));
	else if (kind == UF_KIND_CHANNEL)
		MUST(!uf_channel_destroy(object));
	else
		MUST(!uf_scope_close(object));
	return object;
}

/* The same, and there is a new one since then. */
static void *find_gone_and_come(enum uf_kind kind)
{
	void *object = find_gone(kind);

	find_live(kind);
	return object;
}

static void *find_foreign(enum uf_kind kind)
{
	return find_live(kind == UF_KIND_FIBER ? UF_KIND_CORO : UF_KIND_FIBER);
}

static void *find_ticker(enum uf_kind kind)
{
	return find_live(UF_KIND_TICKER);
}

static void *find_mutex(enum uf_kind kind)
{
	MUST(!uf_mutex_lock(&mutex));
	return &mutex;
}

/* As it may be on a stack. */
static void *find_garbage(enum uf_kind kind)
{
	static uint64_t garbage[32];

	memset(garbage, 0xa5, sizeof(garbage));
	return garbage;
}

/* A good one at first, and then what it holds is not its own any more. */
static void *find_overwritten(enum uf_kind kind)
{
	static uint64_t object[32];
	struct uf_barrier *barrier = (void *)object;

	switch (kind) {
	case UF_KIND_CHANNEL:
		MUST(!uf_channel_init((void *)object, 0, 1, NULL));
		break;
	case UF_KIND_TICKER:
		MUST(!uf_ticker_init((void *)object, 1, 0));
		break;
	case UF_KIND_MUTEX:
		MUST(!uf_mutex_lock((void *)object));
		break;
	case UF_KIND_RWLOCK:
		MUST(!uf_rwlock_wrlock((void *)object));
		break;
	case UF_KIND_COND:
		MUST(!uf_cond_signal((void *)object));
		break;
	case UF_KIND_SEM:
		MUST(!uf_sem_post((void *)object));
		break;
	case UF_KIND_BARRIER:
		barrier->members = 1;
		MUST(uf_barrier_wait(barrier) == 1);
		break;
	case UF_KIND_ONCE:
		MUST(!uf_once((void *)object, clean_up, NULL));
		break;
	case UF_KIND_EVENT:
		MUST(!uf_event_set((void *)object));
		break;
	case UF_KIND_WAITGROUP:
		MUST(!uf_waitgroup_add((void *)object, 1));
		break;
	default:
		abort();
	}
	memset(object, 0xa5, sizeof(object));
	return object;
}

static void *find_unaligned(enum uf_kind kind)
{
	return (char *)find_garbage(kind) + 1;
}

static void *find_unmapped(enum uf_kind kind)
{
	return (void *)64;
}

/* ------------------------------------------------------------------ tests */

#define for_each_call(c) for (c = calls; c < calls + ARRAY_SIZE(calls); c++)

TEST(null)
{
	const struct call *c;

	for_each_call(c) if (c->null == GIVEN)
		expect_death(_metadata, c, find_null, "is NULL\n");
}

static const char *name_of_gone(enum uf_kind kind)
{
	switch (kind) {
	case UF_KIND_RUNTIME:
		return ": a runtime that has been destroyed\n";
	case UF_KIND_FIBER:
		return ", which has been joined, or was detached and has ended\n";
	case UF_KIND_CORO:
		return ": a coroutine that has been destroyed or closed\n";
	case UF_KIND_CHANNEL:
		return ": a channel that has been destroyed\n";
	case UF_KIND_SCOPE:
		return ": a scope that has been closed\n";
	default:
		return NULL;
	}
}

TEST(gone)
{
	const struct call *c;

	for_each_call(c) if (name_of_gone(c->kind))
		expect_death(_metadata, c, find_gone, name_of_gone(c->kind));
}

/* A scope's memory is the user's. */
TEST(gone_and_come)
{
	const struct call *c;

	for_each_call(c) if (name_of_gone(c->kind) && c->kind != UF_KIND_SCOPE)
		expect_death(_metadata, c, find_gone_and_come,
			     name_of_gone(c->kind));
}

TEST(foreign)
{
	const struct call *c;

	for_each_call(c)
	{
		if (c->kind == UF_KIND_FIBER)
			expect_death(_metadata, c, find_foreign,
				     ": a coroutine\n");
		else if (c->kind)
			expect_death(_metadata, c, find_foreign, ": a fiber\n");
	}
}

static bool is_of_user(enum uf_kind kind)
{
	return kind == UF_KIND_CHANNEL ||
	       (kind >= UF_KIND_TICKER && kind != UF_KIND_SCOPE);
}

/* What is in the user's memory, and in use. */
TEST(foreign_of_user)
{
	const struct call *c;

	for_each_call(c)
	{
		if (c->kind && c->kind != UF_KIND_TICKER)
			expect_death(_metadata, c, find_ticker, ": a ticker\n");
		if (c->kind && c->kind != UF_KIND_MUTEX)
			expect_death(_metadata, c, find_mutex, ": a mutex\n");
	}
}

TEST(uninitialised)
{
	const struct call *c;

	for_each_call(c)
	{
		if (c->kind >= UF_KIND_MUTEX)
			expect_death(_metadata, c, find_garbage,
				     " has never been initialised there, or its memory was freed or overwritten: ");
		else if (c->kind)
			expect_death(_metadata, c, find_garbage,
				     ": nothing that the library knows\n");
	}
}

TEST(overwritten)
{
	const struct call *c;

	for_each_call(c) if (is_of_user(c->kind))
		expect_death(_metadata, c, find_overwritten,
			     " whose memory was freed or overwritten: ");
}

TEST(no_address)
{
	const struct call *c;

	for_each_call(c)
	{
		if (!c->kind)
			continue;
		expect_death(_metadata, c, find_unaligned,
			     ", which is not aligned\n");
		expect_death(_metadata, c, find_unmapped,
			     c->kind >= UF_KIND_MUTEX ?
				     ": it cannot be read\n" :
				     ": nothing that the library knows\n");
	}
}

/* What is wanted, in words; and the caller may be no fiber. */
static void post_garbage(void *arg)
{
	uf_sem_post(find_garbage(0));
}

TEST(by_a_thread)
{
	char text[64];

	run_child(_metadata, post_garbage, NULL);
	EXPECT_SIGNAL(SIGABRT);
	snprintf(text, sizeof(text),
		 "ufiber: uf_sem_post(): sem is %p: ", find_garbage(0));
	EXPECT_SAID(text);
	EXPECT_SAID("ufiber: called by no fiber, thread ");
	EXPECT_SAID("; wanted: a struct uf_sem that began as UF_SEM_INIT()\n");
}

/* ------------------------------------------------- what is not an object */

static void send_null(void *arg)
{
	struct uf_channel *channel = find_live(UF_KIND_CHANNEL);
	int (*call)(struct uf_channel * channel, const void *value) = arg;

	call(channel, NULL);
}

static void receive_null(void *arg)
{
	struct uf_channel *channel = find_live(UF_KIND_CHANNEL);
	int (*call)(struct uf_channel * channel, void *value) = arg;

	call(channel, NULL);
}

static void send_null_until(void *arg)
{
	uf_channel_send_until(find_live(UF_KIND_CHANNEL), NULL, 0);
}

static void receive_null_until(void *arg)
{
	uf_channel_receive_until(find_live(UF_KIND_CHANNEL), NULL, 0);
}

static void select_null(void *arg)
{
	struct uf_case c = {
		.op = UF_RECEIVE,
		.channel = find_live(UF_KIND_CHANNEL),
	};

	uf_select_until(&c, 1, 0);
}

TEST(no_value)
{
	run_child(_metadata, send_null, uf_channel_send);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID(
		"uf_channel_send(): value is NULL, and the channel's values have 8 bytes\n");
	run_child(_metadata, send_null, uf_channel_trysend);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_channel_trysend(): value is NULL");
	run_child(_metadata, receive_null, uf_channel_receive);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_channel_receive(): value is NULL");
	run_child(_metadata, receive_null, uf_channel_tryreceive);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_channel_tryreceive(): value is NULL");
	run_child(_metadata, send_null_until, NULL);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_channel_send_until(): value is NULL");
	run_child(_metadata, receive_null_until, NULL);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_channel_receive_until(): value is NULL");
	run_child(_metadata, select_null, NULL);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_select_until(): value is NULL");
}

static void select_garbage(void *op)
{
	struct uf_case c[2] = {
		{ .op = UF_RECEIVE },
		{ .op = (intptr_t)op, .channel = find_garbage(0) },
	};

	uf_select_until(c, 2, 0);
}

TEST(cases)
{
	run_child(_metadata, select_garbage, (void *)UF_SEND);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_select_until(): a case's channel is 0x");
	run_child(_metadata, select_garbage, (void *)UF_RECEIVE);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_select_until(): a case's channel is 0x");
	run_child(_metadata, select_garbage, (void *)UF_EVENT);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_select_until(): a case's event is 0x");
	run_child(_metadata, select_garbage, (void *)UF_TICK);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_select_until(): a case's ticker is 0x");
}

static void unlock_free(void *arg)
{
	uint32_t lock = 0;

	uf_policy_lock(&lock);
	uf_policy_unlock(&lock);
	uf_policy_unlock(&lock);
}

TEST(policy_unlock)
{
	run_child(_metadata, unlock_free, NULL);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_policy_unlock(): lock is 0x");
	EXPECT_SAID(", which is not locked\n");
}

static void *spawn_in(void *scope)
{
	uf_scope_spawn(scope, NULL, no_error, NULL);
	return NULL;
}

static void *spawn_from_outside(void *arg)
{
	struct uf_scope *scope;

	/* A fiber that is made by its owner is not in it. */
	scope = find_live(UF_KIND_SCOPE);
	MUST(!uf_create(NULL, &handle, NULL, spawn_in, scope));
	uf_join(handle, NULL);
	return NULL;
}

static void run_spawn_from_outside(void *arg)
{
	uf_run(NULL, spawn_from_outside, NULL, NULL);
}

TEST(spawn_outside_of_scope)
{
	run_child(_metadata, run_spawn_from_outside, NULL);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_scope_spawn(): scope is 0x");
	EXPECT_SAID(", which the caller is not in\n");
}

/* The fibers of a runtime that nobody has joined go with it. */
static void join_of_gone_runtime(void *arg)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt;

	config.servers = 1;
	MUST(!uf_runtime_create(&rt, &config));
	MUST(!uf_create(rt, &handle, NULL, nothing, NULL));
	MUST(!uf_runtime_destroy(rt));
	uf_join(handle, NULL);
}

TEST(fiber_of_gone_runtime)
{
	run_child(_metadata, join_of_gone_runtime, NULL);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("uf_join(): fiber is 0x");
	EXPECT_SAID(
		": a fiber that has been joined, or was detached and has ended\n");
}

/* -------------------------------------------------- what must be let pass */

static int compare(const void *a, const void *b)
{
	const void *const *x = a, *const *y = b;

	return (*x > *y) - (*x < *y);
}

static unsigned int count_different(void **p, unsigned int n)
{
	unsigned int i, different = 1;

	qsort(p, n, sizeof(*p), compare);
	for (i = 1; i < n; i++)
		different += p[i] != p[i - 1];
	return different;
}

#define LIVES 16

/* An address is not used again soon. */
FIBER_TEST(addresses, 1)
{
	void *old[LIVES];
	int i;

	for (i = 0; i < 2 * LIVES; i++)
		old[i % LIVES] = find_gone(UF_KIND_FIBER);
	EXPECT_EQ(LIVES, count_different(old, LIVES));
	for (i = 0; i < 2 * LIVES; i++)
		old[i % LIVES] = find_gone(UF_KIND_CORO);
	EXPECT_EQ(LIVES, count_different(old, LIVES));
	for (i = 0; i < LIVES; i++)
		old[i] = find_gone(UF_KIND_CHANNEL);
	EXPECT_EQ(LIVES, count_different(old, LIVES));
}

/* Much longer than there are addresses. */
FIBER_TEST(many_lives, 2)
{
	unsigned int i;

	for (i = 0; i < 5000; i++) {
		find_gone(UF_KIND_FIBER);
		find_gone(UF_KIND_CORO);
		find_gone(UF_KIND_CHANNEL);
		find_gone(UF_KIND_SCOPE);
	}
}

/* Memory that is one thing after the other. */
TEST(reused_memory)
{
	static uint64_t stack[2 * UF_CORO_STACK_MIN / 8];
	struct uf_coro_attr attr = UF_CORO_ATTR_INIT;
	struct uf_coro *co;
	static union {
		struct uf_mutex mutex;
		struct uf_sem sem;
		struct uf_event event;
		struct uf_channel channel;
		struct uf_ticker ticker;
		struct uf_once once;
	} memory;
	int i;

	for (i = 0; i < 2; i++) {
		memory.mutex = (struct uf_mutex)UF_MUTEX_RECURSIVE_INIT;
		EXPECT_EQ(0, uf_mutex_lock(&memory.mutex));
		EXPECT_EQ(0, uf_mutex_lock(&memory.mutex));
		memory.sem = (struct uf_sem)UF_SEM_INIT(7);
		EXPECT_EQ(0, uf_sem_wait(&memory.sem));
		ASSERT_EQ(0, uf_channel_init(&memory.channel, 0, 1, NULL));
		EXPECT_EQ(0, uf_channel_send(&memory.channel, NULL));
		memory.event = (struct uf_event)UF_EVENT_AUTO_INIT;
		EXPECT_EQ(0, uf_event_set(&memory.event));
		ASSERT_EQ(0, uf_ticker_init(&memory.ticker, 1, 1));
		EXPECT_EQ(0, uf_ticker_wait(&memory.ticker, NULL));
		memory.once = (struct uf_once)UF_ONCE_INIT;
		EXPECT_EQ(0, uf_once(&memory.once, clean_up, NULL));
	}

	/* A coroutine in the user's memory, who has dropped it. */
	attr.stack = stack;
	attr.stack_size = sizeof(stack);
	ASSERT_EQ(0, uf_coro_create(&co, &attr, return_value, NULL));
	memset(stack, 0, sizeof(stack));
	EXPECT_EQ(0, uf_mutex_lock((struct uf_mutex *)co));
}

/* More than the table has room for at first; what was dropped is not forgiven. */
#define MANY 100000

static void *keep_locked(void *arg)
{
	MUST(!uf_mutex_lock(arg));
	return NULL;
}

static void *outgrow(void *arg)
{
	struct uf_mutex *mutexes = calloc(MANY, sizeof(*mutexes));
	struct uf_fiber *first = find_gone(UF_KIND_FIBER);
	int i;

	/* Nobody will unlock this one; but to try is no crime. */
	MUST(!uf_create(NULL, &handle, NULL, keep_locked, &mutex));
	MUST(!uf_join(handle, NULL));
	MUST(mutexes);
	for (i = 0; i < MANY; i++)
		MUST(!uf_mutex_lock(&mutexes[i]));
	for (i = 0; i < MANY; i++)
		MUST(!uf_mutex_unlock(&mutexes[i]));
	MUST(uf_mutex_lock_until(&mutex, 0) == -ETIMEDOUT);
	dprintf(STDERR_FILENO, "so far so good\n");
	if (arg)
		uf_cancel(first);
	mutexes[1].owner = 0x1230;
	uf_mutex_lock(&mutexes[1]);
	return NULL;
}

static void run_outgrow(void *arg)
{
	uf_run(NULL, outgrow, arg, NULL);
}

TEST(many_objects)
{
	run_child(_metadata, run_outgrow, NULL);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("so far so good\nufiber: uf_mutex_lock(): mutex is 0x");
	run_child(_metadata, run_outgrow, &end);
	EXPECT_SIGNAL(SIGABRT);
	EXPECT_SAID("so far so good\nufiber: uf_cancel(): fiber is 0x");
}

#define FORKS 500

/* Its calls here take no lock of its own. */
static struct uf_channel channel;

static void *look_on(void *stop)
{
	while (!atomic_load((atomic_int *)stop))
		MUST(!uf_channel_capacity(&channel));
	return NULL;
}

/* Who has just looked something up is not in the child, and must not keep it waiting. */
TEST(fork_meanwhile)
{
	atomic_int stop = 0;
	pthread_t thread;
	int i, status;
	pid_t pid;

	ASSERT_EQ(0, uf_channel_init(&channel, 0, 0, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, look_on, &stop));
	for (i = 0; i < FORKS; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			alarm(20);
			_exit(uf_channel_capacity(&channel));
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status);
	}
	atomic_store(&stop, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

/* A fiber that ends while all are being cancelled, and its stack has a new one. */
static void *come_and_go(void *arg)
{
	struct uf_fiber *fiber;

	while (!uf_cancelled()) {
		MUST(!uf_create(NULL, &fiber, NULL, nothing, NULL));
		if (uf_join(fiber, NULL))
			uf_detach(fiber);
	}
	return NULL;
}

TEST(stop_among_others)
{
	struct uf_runtime *rt;
	struct uf_fiber *fiber;
	int i, j;

	for (i = 0; i < 50; i++) {
		CREATE_RUNTIME(&rt, 2);
		for (j = 0; j < 8; j++)
			ASSERT_EQ(0, uf_create(rt, &fiber, NULL, come_and_go,
					       NULL));
		while (uf_state(fiber) == UF_STATE_READY)
			sched_yield();
		EXPECT_EQ(0, uf_runtime_stop(rt, UF_FOREVER));
		ASSERT_EQ(0, uf_runtime_destroy(rt));
	}
}

TEST_HARNESS_MAIN
