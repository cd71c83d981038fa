// SPDX-License-Identifier: GPL-2.0
/*
 * Operations at random, one at a time, each when the one before has come to its
 * end; after each, all that can be seen of the domain must be what the model
 * (uf_model.h) says. UF_SEED=n repeats one round, the one that a failure names;
 * UF_ROUNDS=n makes so many.
 */
#include "uf_test.h"
#include "uf_model.h"
#include "uf_see.h"

#define THREADS		7
#define STEPS		150
#define KEPT		24	/* operations that are told of after a failure */
/* What a step may take to show; a slow machine's bound, no measure. */
#define STEP_NS		(30 * 1000000000ULL)

static struct uf_dom d;
static struct uf_model m;
static struct uf_thread thread[THREADS];
static int bytes[THREADS][2];
static unsigned int seed, steps;
static unsigned int fond;		/* of which kind of WAIT, in this round */
static char told[KEPT][80];
static struct ufiber_event seen[UF_MODEL_EVENTS];
static unsigned int nr_seen;
static __u64 seen_time;

static unsigned int pick(unsigned int n)
{
	return rand_r(&seed) / 7 % n;
}

#define TELL(...) \
	snprintf(told[steps % KEPT], sizeof(told[0]), __VA_ARGS__)

/* ------------------------------------------------------------- comparing */

static char why[200];

#define SAME(is, be, fmt, ...)						\
	do {								\
		long long _is = (is), _be = (be);			\
									\
		if (_is != _be) {					\
			snprintf(why, sizeof(why), fmt " is %lld, the model says %lld", \
				 ##__VA_ARGS__, _is, _be);		\
			return false;					\
		}							\
	} while (0)

static __u32 flags_of(const struct uf_model_thread *t)
{
	return (t->where == UF_WAITING ? UFIBER_QUERY_WAITING : 0) |
	       (t->where == UF_AT_RETURN ? UFIBER_QUERY_HELD : 0) |
	       (t->woken ? UFIBER_QUERY_WAKE_PENDING : 0) |
	       (t->kicked ? UFIBER_QUERY_KICKED : 0) | t->queue;
}

static bool order_is_same(unsigned int i)
{
	const struct uf_model_thread *t = &m.t[i];

	if (t->where == UF_GONE)
		return true;
	SAME(!uf_is_done(&thread[i]), t->busy, "thread %u (id %u): at an order", i, t->id);
	if (!t->busy && thread[i].ret != t->unexpired)
		SAME(thread[i].ret, t->ret, "thread %u (id %u): result", i, t->id);
	/* It sleeps, but that is nothing to the module. */
	if (t->where == UF_READING && t->state != UFIBER_THREAD_BLOCKED)
		SAME(uf_proc_syscall(thread[i].tid), SYS_read, "thread %u (id %u): call", i, t->id);
	/*
	 * That its time is up shows in no state. It does not sleep before, but for
	 * PREEMPT_RT, where a thread has to run to tell it; so a server may come first.
	 */
	if (t->where == UF_WAITING && t->expired)
		SAME(uf_proc_syscall(thread[i].tid), SYS_ioctl, "thread %u (id %u): call", i, t->id);
	return true;
}

static bool thread_is_same(unsigned int i)
{
	const struct uf_model_thread *t = &m.t[i];
	volatile struct ufiber_shared_thread *words = &d.threads[t->id];
	struct ufiber_query q;

	if (!order_is_same(i))
		return false;
	if (t->where <= UF_BARE)
		return true;
	SAME(thread[i].id, t->id, "thread %u: id", i);
	SAME(uf_query(&d, t->id, UFIBER_NONE, &q), 0, "QUERY of thread %u", t->id);
	SAME(q.thread_tid, thread[i].tid, "thread %u: tid", t->id);
	SAME(q.thread_state, t->state, "thread %u: state", t->id);
	SAME((int)q.thread_server, t->server, "thread %u: server", t->id);
	SAME(q.thread_flags, flags_of(t), "thread %u: flags", t->id);
	SAME(words->state, t->state, "thread %u: state in memory", t->id);
	SAME((int)words->server, t->server, "thread %u: server in memory", t->id);
	SAME(words->kicked, t->told, "thread %u: kicked in memory", t->id);
	SAME(words->blocks, t->blocks, "thread %u: blocks", t->id);
	SAME(words->holds, t->holds, "thread %u: holds", t->id);
	SAME(words->preempts, t->preempts, "thread %u: preempts", t->id);
	return true;
}

static bool server_is_same(unsigned int i)
{
	const struct uf_model_server *s = &m.s[i];
	volatile struct ufiber_shared_server *words = &d.servers[i];
	__u32 holder = s->holder < 0 ? UFIBER_NONE : m.t[s->holder].id;
	__u32 state = s->polling	? UFIBER_SERVER_POLLING :
		      s->holder >= 0	? UFIBER_SERVER_HELD :
		      i < m.nr_servers	? UFIBER_SERVER_VACANT :
					  UFIBER_SERVER_OFFLINE;
	struct ufiber_query q;

	SAME(uf_query(&d, UFIBER_NONE, i, &q), 0, "QUERY of server %u", i);
	SAME(q.server_state, state, "server %u: state", i);
	SAME((int)q.server_thread, (int)holder, "server %u: holder", i);
	SAME(words->owner, UFIBER_OWNER(state, s->holder < 0 ? 0 : holder),
	     "server %u: owner word", i);
	SAME(words->grants, s->grants, "server %u: grants", i);
	SAME(words->blocks, s->blocks, "server %u: blocks", i);
	SAME(words->handoffs, s->handoffs, "server %u: handoffs", i);
	SAME(words->takeovers, s->takeovers, "server %u: takeovers", i);
	SAME(words->preempts, s->preempts, "server %u: preempts", i);
	return true;
}

static bool domain_is_same(void)
{
	unsigned int i, threads = 0, standby = 0, vacant = 0;
	struct ufiber_query q;

	for (i = 0; i < m.nr_threads; i++) {
		threads += m.t[i].where > UF_BARE;
		standby += m.t[i].where > UF_BARE && m.t[i].queue == UFIBER_QUERY_STANDBY;
	}
	for (i = 0; i < m.nr_servers; i++)
		vacant += m.s[i].holder < 0;
	SAME(uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q), 0, "QUERY");
	SAME(q.nr_threads, threads, "nr_threads");
	SAME(q.nr_runnable, uf_model_runnable(&m), "nr_runnable");
	SAME(q.nr_standby, standby, "nr_standby");
	SAME(q.nr_vacant, vacant, "nr_vacant");
	SAME(q.nr_servers, m.nr_servers, "nr_servers");
	SAME(d.shared->nr_runnable, q.nr_runnable, "nr_runnable in memory");
	SAME(d.shared->nr_standby, q.nr_standby, "nr_standby in memory");
	SAME(d.shared->nr_servers, q.nr_servers, "nr_servers in memory");
	return true;
}

static bool events_are_same(void)
{
	unsigned int i;

	while (nr_seen < UF_MODEL_EVENTS && uf_event(&d, &seen[nr_seen]))
		nr_seen++;
	for (i = 0; i < nr_seen && i < m.nr_events; i++) {
		SAME(seen[i].thread, m.event[i].thread, "event %u: thread", i);
		SAME(seen[i].reason, m.event[i].reason, "event %u: reason", i);
		SAME((int)seen[i].server, (int)m.event[i].server, "event %u: server", i);
		SAME(seen[i].cookie, m.event[i].cookie, "event %u: cookie", i);
		SAME(seen[i].time >= seen_time && seen[i].time <= uf_now(), true,
		     "event %u: whether its time is after the last one's", i);
	}
	SAME(nr_seen, m.nr_events, "number of events");
	SAME(d.shared->ring_lost, 0, "ring_lost");
	return true;
}

static bool all_is_same(void)
{
	unsigned int i;

	for (i = 0; i < m.nr_threads; i++)
		if (!thread_is_same(i))
			return false;
	for (i = 0; i < m.max_servers; i++)
		if (!server_is_same(i))
			return false;
	return domain_is_same() && events_are_same();
}

/* The step's end: what has come of it is what the model says, and stays so. */
static bool step_ends(void)
{
	__u64 end = uf_now() + STEP_NS;
	unsigned int i;

	while (!all_is_same()) {
		if (uf_now() > end) {
			uf_dump(&d, why);
			for (i = steps < KEPT ? 0 : steps - KEPT + 1; i <= steps; i++)
				fprintf(stderr, "#   step %u: %s\n", i, told[i % KEPT]);
			return false;
		}
		sched_yield();
	}
	if (nr_seen)
		seen_time = seen[nr_seen - 1].time;
	m.nr_events = nr_seen = 0;
	steps++;
	return true;
}

/* ------------------------------------------------------------ operations */

/* Each returns false if it cannot be done now. */

static bool is_at(unsigned int i, enum uf_where where)
{
	return m.t[i].where == where;
}

static bool do_register(unsigned int i)
{
	if (!is_at(i, UF_BARE))
		return false;
	TELL("%u registers", i);
	m.t[i].cookie = (uintptr_t)&thread[i];
	uf_model_register(&m, i);
	uf_register(&thread[i]);
	return true;
}

static bool do_unregister(unsigned int i)
{
	if (!is_at(i, UF_READY) || pick(4))
		return false;
	TELL("%u (id %u) unregisters", i, m.t[i].id);
	uf_model_unregister(&m, i);
	uf_unregister(&thread[i]);
	return true;
}

/* Its task ends, and another takes its place. */
static bool do_exit(unsigned int i)
{
	if (!is_at(i, UF_READY) || pick(4))
		return false;
	TELL("%u (id %u) exits", i, m.t[i].id);
	d.joined[m.t[i].id] = (struct uf_joined){ 0 };
	uf_model_exit(&m, i);
	uf_join(&thread[i]);
	if (uf_spawn_bare(&d, &thread[i]))
		abort();
	m.t[i] = (struct uf_model_thread){ .where = UF_BARE };
	return true;
}

/* An id: of any thread, its own included, or of none. */
static __u32 any_id(void)
{
	return pick(THREADS + 1);
}

static bool do_wait(unsigned int i)
{
	static const __u32 some[] = {
		0, UFIBER_WAIT_STANDBY, UFIBER_WAIT_STANDBY, UFIBER_WAIT_ACQUIRE,
		UFIBER_WAIT_YIELD, UFIBER_WAIT_HANDOVER, UFIBER_WAIT_HANDOVER,
		UFIBER_WAIT_HANDOVER | UFIBER_WAIT_STANDBY,
		UFIBER_WAIT_STANDBY | UFIBER_WAIT_WORK,
	};
	unsigned int n = sizeof(some) / sizeof(some[0]);
	__u32 flags, next;
	bool late = !pick(5);

	if (!is_at(i, UF_READY))
		return false;
	if (!(m.flags & UFIBER_SETUP_USER_SCHED))
		n--;
	flags = some[pick(3) ? fond % n : pick(n)];
	next = flags & UFIBER_WAIT_HANDOVER ? any_id() : 0;
	TELL("%u (id %u) waits, flags %#x, next %u%s", i, m.t[i].id, flags, next,
	     late ? ", late" : "");
	uf_model_wait(&m, i, flags, next, late);
	if (flags == UFIBER_WAIT_HANDOVER && !late && pick(2))
		uf_order_syscall(&thread[i], SYS_ioctl, (long)d.fd,
				 (long)UFIBER_IOC_HANDOVER, (long)next);
	else
		uf_post_wait(&thread[i], flags | (late ? UFIBER_WAIT_TIMEOUT : 0), next, late);
	return true;
}

static bool do_read(unsigned int i)
{
	if (!is_at(i, UF_READY))
		return false;
	TELL("%u (id %u) reads", i, m.t[i].id);
	uf_model_read(&m, i);
	uf_post_read(&thread[i], bytes[i][0]);
	return true;
}

static bool do_put(unsigned int i)
{
	if (!is_at(i, UF_READING))
		return false;
	TELL("%u (id %u) is given a byte", i, m.t[i].id);
	uf_model_put(&m, i);
	uf_put(bytes[i][1]);
	return true;
}

/* A call of the main thread's has the result that it should have. */
static void called(long is, long be)
{
	if (is == be)
		return;
	fprintf(stderr, "# step %u: %s: %ld, the model says %ld\n", steps, told[steps % KEPT],
		is, be);
	/* No state agrees with this. */
	m.nr_events = UF_MODEL_EVENTS;
}

static bool do_wake(unsigned int i)
{
	__u32 id = any_id(), flags = pick(4) ? 0 : UFIBER_WAKE_CANCEL;

	TELL("wake id %u, flags %#x", id, flags);
	called(uf_wake_id(&d, id, flags), uf_model_wake(&m, id, flags));
	return true;
}

static bool do_kick(unsigned int i)
{
	__u32 id = any_id();

	TELL("kick id %u", id);
	called(uf_target_id(&d, UFIBER_IOC_KICK, id), uf_model_kick(&m, id));
	return true;
}

static bool do_interrupt(unsigned int i)
{
	__u32 id = any_id();

	TELL("interrupt id %u", id);
	called(uf_interrupt_id(&d, id), uf_model_interrupt(&m, id));
	return true;
}

static bool do_resize(unsigned int i)
{
	bool more = pick(2);
	unsigned int to = m.nr_servers + (more ? 1 : -1);

	if (!to || to > m.max_servers)
		return false;
	TELL("resize to %u", to);
	uf_model_resize(&m, more);
	called(uf_resize(&d, to), 0);
	return true;
}

/*
 * One that has been told of a kick leaves with YIELD. If it just cleared the word
 * the kick might come first, or might not.
 */
static bool do_critical(unsigned int i)
{
	struct uf_model_thread *t = &m.t[i];

	if (!is_at(i, UF_READY) || (t->critical && t->kicked))
		return false;
	t->critical = !t->critical;
	TELL("%u (id %u): critical = %u", i, t->id, t->critical);
	d.threads[t->id].critical = t->critical;
	return true;
}

static bool do_priority(unsigned int i)
{
	struct uf_model_thread *t = &m.t[i];

	if (t->where <= UF_BARE)
		return false;
	t->priority = pick(UFIBER_PRIORITIES + 2);
	TELL("%u (id %u): priority = %u", i, t->id, t->priority);
	d.threads[t->id].priority = t->priority;
	return true;
}

/* It declares that it may be robbed, as it may if nobody is RUNNABLE; or not any more. */
static bool do_poll(unsigned int i)
{
	struct uf_model_server *s = &m.s[m.t[i].server];
	__u32 state;

	if (!is_at(i, UF_READY) || m.t[i].server < 0 ||
	    (!s->polling && uf_model_runnable(&m)))
		return false;
	s->polling = !s->polling;
	state = s->polling ? UFIBER_SERVER_POLLING : UFIBER_SERVER_HELD;
	TELL("%u (id %u): server %d is %s", i, m.t[i].id, m.t[i].server,
	     s->polling ? "POLLING" : "HELD");
	d.servers[m.t[i].server].owner = UFIBER_OWNER(state, m.t[i].id);
	return true;
}

static bool (*const operations[])(unsigned int i) = {
	do_register, do_register, do_unregister, do_exit, do_wait, do_wait, do_wait, do_wait,
	do_read, do_read, do_put, do_put, do_wake, do_wake, do_kick, do_interrupt, do_resize,
	do_critical, do_priority, do_poll,
};

static void do_something(void)
{
	unsigned int n = sizeof(operations) / sizeof(operations[0]);

	while (!operations[pick(n)](pick(m.nr_threads)))
		;
}

/* ---------------------------------------------------------------- rounds */

/* All are brought to where they can end, or are held and let go by the closing. */
static bool calm_down(void)
{
	unsigned int i;

	for (i = 0; i < m.nr_threads; i++) {
		TELL("%u is brought back", i);
		if (is_at(i, UF_WAITING))
			called(uf_wake_id(&d, m.t[i].id, UFIBER_WAKE_CANCEL),
			       uf_model_wake(&m, m.t[i].id, UFIBER_WAKE_CANCEL));
		else if (!do_put(i))
			continue;
		if (!step_ends())
			return false;
	}
	return true;
}

static void round_of(struct __test_metadata *_metadata, __u32 flags)
{
	unsigned int max_servers, servers, i;

	max_servers = 1 + pick(5);
	servers = max_servers - pick(2) * pick(max_servers);
	if (pick(2))
		flags |= UFIBER_SETUP_WATCH;
	fond = pick(1000);
	UF_OPEN_AS(&d, flags, servers, max_servers, THREADS);
	uf_model_init(&m, flags, servers, max_servers, THREADS);
	steps = nr_seen = 0;
	seen_time = 0;
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pipe2(bytes[i], O_CLOEXEC));
		ASSERT_EQ(0, uf_spawn_bare(&d, &thread[i]));
	}
	while (steps < STEPS) {
		do_something();
		ASSERT_TRUE(step_ends());
	}
	ASSERT_ALL_AGREE(&d);
	ASSERT_TRUE(calm_down());
	uf_close(&d);
	for (i = 0; i < THREADS; i++) {
		ASSERT_NE(UF_HUNG, uf_finish(&thread[i]));
		uf_join(&thread[i]);
		close(bytes[i][0]);
		close(bytes[i][1]);
	}
}

static unsigned int number_of(const char *name, unsigned int usual)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : usual;
}

static void rounds(struct __test_metadata *_metadata, __u32 flags)
{
	unsigned int first = number_of("UF_SEED", 1);
	unsigned int n = number_of("UF_ROUNDS", getenv("UF_SEED") ? 1 : 10), i;

	for (i = first; i < first + n; i++) {
		seed = i;
		round_of(_metadata, flags);
		if (_metadata->exit_code == KSFT_SKIP)
			return;
		ASSERT_EQ(_metadata->exit_code, KSFT_PASS) {
			TH_LOG("to repeat it: UF_SEED=%u", i);
		}
	}
}

TEST(one_at_a_time)
{
	rounds(_metadata, 0);
}

TEST(one_at_a_time_user_sched)
{
	rounds(_metadata, UFIBER_SETUP_USER_SCHED);
}

TEST_HARNESS_MAIN
