// SPDX-License-Identifier: GPL-2.0
/*
 * Operations at random, by many threads at once, in rounds. Each round ends in a
 * calm: every thread has come to what it was told to do last. Then all must add
 * up: who is where, who has what, and the counts of the module with its own
 * events, one by one. UF_SEED=n starts with that round; UF_ROUNDS=n makes so many.
 */
#include "uf_test.h"
#include "uf_log.h"

#define THREADS		12
#define SERVERS		4
/* So that the ring has room for what comes while its reader is not on a CPU. */
#define MAX_THREADS	1024
#define OPS		800
/* Threads that are up to something in every other round: often nobody waits. */
#define FEW		4
/* Looks without anything new after which one that may have parked is woken. */
#define LOOKS		100
#define US		1000ULL

/* What a thread does last in a round. */
enum last { PARK, READ, BARE, END, LASTS };

struct worker {
	struct uf_thread t;		/* for uf_query() and the like; no orders */
	__u64 cookie;			/* of its registration */
	unsigned int seed;
	int bytes[2];
	atomic_uint mail;		/* it has been told something, and woken */
	enum last last;
	atomic_uint calm;		/* the rounds that it is done with */
};

static struct uf_dom d;
static unsigned int threads = THREADS;
static struct worker worker[THREADS];
static struct uf_log *events;
static atomic_uint ops, errors;
static atomic_uint round_nr;		/* the one that runs, from 1: calm is 0 at first */
static atomic_bool stop;
static atomic_int inside[SERVERS];
static atomic_ulong registrations;

static unsigned int pick(struct worker *w, unsigned int n)
{
	return rand_r(&w->seed) / 7 % n;
}

static __u32 anybody(struct worker *w)
{
	return pick(w, threads);
}

/* Rather one that waits. */
static __u32 who_waits(struct worker *w)
{
	unsigned int i;
	__u32 id = 0;

	for (i = 0; i < 4; i++) {
		id = anybody(w);
		if (d.threads[id].state == UFIBER_THREAD_IDLE ||
		    d.threads[id].state == UFIBER_THREAD_RUNNABLE)
			break;
	}
	return id;
}

/* What an operation may not come to. */
static void complain(struct worker *w, const char *op, long ret)
{
	if (atomic_fetch_add(&errors, 1) < 5)
		fprintf(stderr, "# round %u, thread %u: %s gave %ld\n",
			atomic_load(&round_nr), w->t.id, op, ret);
}

static void expect(struct worker *w, const char *op, long ret, long other)
{
	if (ret && ret != -ESRCH && ret != other)
		complain(w, op, ret);
}

/* ------------------------------------------------------------ operations */

static void sleep_for(struct worker *w, unsigned int us)
{
	struct timespec ts = { .tv_nsec = pick(w, us) * US };

	syscall(SYS_nanosleep, &ts, NULL);
}

static void nap(struct worker *w)
{
	sleep_for(w, 100);
}

static void compute(struct worker *w, unsigned int us)
{
	__u64 end = uf_now() + pick(w, us) * US;

	while (uf_now() < end)
		;
}

/* Long enough for a quantum, at times. */
static void do_compute(struct worker *w)
{
	compute(w, 1500);
}

static long wait_with(struct worker *w, __u32 flags, __u32 next)
{
	struct ufiber_wait wait = { .size = sizeof(wait), .flags = flags, .next = next };

	if (flags & UFIBER_WAIT_TIMEOUT) {
		wait.clock = CLOCK_MONOTONIC;
		wait.timeout = uf_now() + pick(w, 400) * US;
	}
	return uf_ioctl(d.fd, UFIBER_IOC_WAIT, &wait);
}

static void do_wait(struct worker *w)
{
	static const __u32 some[] = {
		0, UFIBER_WAIT_STANDBY, UFIBER_WAIT_STANDBY, UFIBER_WAIT_ACQUIRE,
		UFIBER_WAIT_YIELD,
	};
	long ret = wait_with(w, some[pick(w, 5)] | UFIBER_WAIT_TIMEOUT, 0);

	if (ret < 0 && ret != -ETIMEDOUT && ret != -ECANCELED)
		complain(w, "WAIT", ret);
}

/* Without a time-out it ends by a wake, or by the one that ends the round. */
static void do_handover(struct worker *w)
{
	__u32 next = who_waits(w), flags = UFIBER_WAIT_HANDOVER;
	long ret;

	if (pick(w, 2))
		flags |= UFIBER_WAIT_STANDBY;
	if (pick(w, 3))
		ret = uf_ioctl(d.fd, UFIBER_IOC_HANDOVER, (void *)(long)next);
	else
		ret = wait_with(w, flags | UFIBER_WAIT_TIMEOUT, next);
	if (ret < 0 && ret != -ETIMEDOUT && ret != -ECANCELED && ret != -ESRCH &&
	    ret != -EAGAIN && !(ret == -EINVAL && next == w->t.id))
		complain(w, "HANDOVER", ret);
}

/* Park until there is mail; who sends some wakes after. */
static void do_mail(struct worker *w)
{
	while (!atomic_exchange(&w->mail, 0))
		wait_with(w, pick(w, 2) ? UFIBER_WAIT_STANDBY : 0, 0);
}

static void send_mail(struct worker *to)
{
	atomic_store(&to->mail, 1);
	uf_wake_id(&d, to->t.id, 0);
}

static void do_wake(struct worker *w)
{
	expect(w, "WAKE", uf_wake_id(&d, anybody(w), pick(w, 4) ? 0 : UFIBER_WAKE_CANCEL), 0);
}

static void do_kick(struct worker *w)
{
	expect(w, "KICK", uf_target_id(&d, UFIBER_IOC_KICK, anybody(w)), -EAGAIN);
}

static void do_interrupt(struct worker *w)
{
	expect(w, "INTERRUPT", uf_interrupt_id(&d, anybody(w)), -EAGAIN);
}

static void do_resize(struct worker *w)
{
	unsigned int most = atomic_load(&round_nr) % 2 ? SERVERS : FEW / 2;

	expect(w, "RESIZE", uf_resize(&d, 1 + pick(w, most)), 0);
}

static void do_quantum(struct worker *w)
{
	__u32 server = pick(w, SERVERS + 1);
	__u64 ns = pick(w, 3) * UFIBER_MIN_QUANTUM;

	expect(w, "QUANTUM", uf_quantum(&d, server < SERVERS ? server : UFIBER_NONE, ns), 0);
	d.servers[pick(w, SERVERS)].waiting = pick(w, 2);
}

/* What it then holds nobody else does, whatever it does there. */
static void do_critical(struct worker *w)
{
	volatile struct ufiber_shared_thread *words = &d.threads[w->t.id];
	__u32 server;

	words->critical = 1;
	server = words->server;
	if (server < SERVERS && atomic_fetch_add(&inside[server], 1))
		complain(w, "a critical section beside another one's", server);
	if (pick(w, 2))
		nap(w);
	else
		compute(w, 300);
	if (server < SERVERS && words->server != server)
		complain(w, "a critical section: another server", words->server);
	if (server < SERVERS)
		atomic_fetch_sub(&inside[server], 1);
	words->critical = 0;
	if (words->kicked)
		wait_with(w, UFIBER_WAIT_YIELD | UFIBER_WAIT_TIMEOUT, 0);
}

/* A RUNNABLE thread beside a server that nobody may be RUNNABLE beside. */
static bool is_forgotten(struct worker *w, __u32 server)
{
	struct ufiber_query q;

	return !uf_query(&d, UFIBER_NONE, server, &q) && q.nr_runnable &&
	       server < q.nr_servers && q.server_state == UFIBER_SERVER_POLLING &&
	       q.server_thread == w->t.id;
}

/*
 * A sleep that it may be robbed in: who becomes RUNNABLE then does rob it, and if
 * it has not been robbed it still has its server.
 */
static void do_poll(struct worker *w)
{
	volatile struct ufiber_shared_thread *words = &d.threads[w->t.id];
	__u32 server = words->server;
	__u32 held = UFIBER_OWNER(UFIBER_SERVER_HELD, w->t.id);
	__u32 polling = UFIBER_OWNER(UFIBER_SERVER_POLLING, w->t.id), word = held;
	volatile __u32 *owner;

	if (server >= SERVERS)
		return;
	owner = &d.servers[server].owner;
	if (!__atomic_compare_exchange_n(owner, &word, polling, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	if (!__atomic_load_n(&d.shared->nr_runnable, __ATOMIC_SEQ_CST)) {
		/* Not always: QUERY waits for who is just robbing us. */
		if (!pick(w, 3) && is_forgotten(w, server))
			complain(w, "POLLING beside a RUNNABLE thread, server", server);
		if (pick(w, 3))
			sleep_for(w, 1000);
		else
			compute(w, 300);
	}
	words->critical = 1;
	if (__atomic_compare_exchange_n(owner, &polling, held, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		compute(w, 300);
		if (words->server != server)
			complain(w, "POLLING taken back, but there is server",
				 (__s32)words->server);
	}
	words->critical = 0;
	if (words->kicked)
		wait_with(w, UFIBER_WAIT_YIELD | UFIBER_WAIT_TIMEOUT, 0);
}

static void do_dispatch(struct worker *w)
{
	__u32 server = d.threads[w->t.id].server;

	d.threads[w->t.id].priority = pick(w, UFIBER_PRIORITIES + 1);
	if (server < SERVERS)
		d.servers[server].dispatches++;
}

/* Each registration has a cookie of its own. */
static void join_domain(struct worker *w)
{
	struct ufiber_register reg = { .size = sizeof(reg) };
	long ret;

	w->cookie = reg.cookie = atomic_fetch_add(&registrations, 1);
	ret = uf_ioctl(d.fd, UFIBER_IOC_REGISTER, &reg);
	if (ret)
		complain(w, "REGISTER", ret);
	w->t.id = reg.thread;
}

static void leave_domain(struct worker *w)
{
	long ret = uf_ioctl(d.fd, UFIBER_IOC_UNREGISTER, NULL);

	if (ret)
		complain(w, "UNREGISTER", ret);
}

static void do_rejoin(struct worker *w)
{
	leave_domain(w);
	join_domain(w);
}

/* Two that take turns: the one POLLING, the other robbing it. */
static void do_rob(struct worker *w)
{
	if (d.threads[w->t.id].server == UFIBER_NONE)
		sleep_for(w, 300);
	wait_with(w, UFIBER_WAIT_ACQUIRE | UFIBER_WAIT_TIMEOUT, 0);
	do_poll(w);
}

static void do_send(struct worker *w)
{
	send_mail(&worker[pick(w, threads)]);
}

/* Each thread is fond of one of them, in each round of the next one. */
static void (*const operations[])(struct worker *) = {
	do_poll, nap, nap, nap, do_compute, do_wait, do_wait, do_wait, do_handover, do_handover, do_handover,
	do_mail, do_send, do_send, do_wake, do_kick, do_kick, do_interrupt, do_resize, do_quantum,
	do_critical, do_critical, do_poll, do_poll, do_dispatch, do_rejoin,
};

/* ---------------------------------------------------------------- rounds */

/* The last thing in the round; it ends when the next one is to begin. */
static void do_last(struct worker *w, unsigned int round)
{
	enum last last = w->last;	/* the next round has another */
	static char byte;

	d.threads[w->t.id].critical = 0;
	if (last == BARE)
		leave_domain(w);
	atomic_store(&w->calm, round);
	if (last == PARK)
		while (atomic_load(&round_nr) == round)
			wait_with(w, 0, 0);
	else
		while (read(w->bytes[0], &byte, 1) != 1)
			;
	if (last == BARE)
		join_domain(w);
}

static void *worker_main(void *arg)
{
	unsigned int n = sizeof(operations) / sizeof(operations[0]), round;
	struct worker *w = arg;
	unsigned int me = w - worker;

	w->t.tid = syscall(SYS_gettid);
	join_domain(w);
	wait_with(w, UFIBER_WAIT_STANDBY | UFIBER_WAIT_TIMEOUT, 0);
	for (;;) {
		round = atomic_load(&round_nr);
		while (!atomic_load(&stop)) {
			if (threads < FEW)
				do_rob(w);
			else if (round % 2 || me < FEW)
				operations[pick(w, 2) ? pick(w, n) : (me + round) % n](w);
			else
				do_mail(w);
			atomic_fetch_add(&ops, 1);
		}
		if (w->last == END)
			break;
		do_last(w, round);
	}
	atomic_store(&w->calm, round);
	return NULL;
}

static void start_worker(struct __test_metadata *_metadata, struct worker *w)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	ASSERT_EQ(0, pthread_create(&w->t.pthread, &attr, worker_main, w));
	pthread_attr_destroy(&attr);
}

/* All may have parked, to be woken by somebody; so if nothing happens, one is. */
static bool ops_are_done(void *arg)
{
	static unsigned int before, looks;
	unsigned int now = atomic_load(&ops);

	looks = now == before ? looks + 1 : 0;
	if (looks % LOOKS == LOOKS - 1)
		send_mail(&worker[rand_r(arg) / 7 % threads]);
	before = now;
	return now >= OPS || atomic_load(&errors);
}

/* Is the worker, done with the round, where it was to go? */
static bool is_at_rest(struct worker *w)
{
	struct ufiber_query q;

	if (w->last == BARE || w->last == END)
		return true;
	if (uf_query(&d, w->t.id, UFIBER_NONE, &q))
		return false;
	if (w->last == PARK)
		return q.thread_state == UFIBER_THREAD_IDLE &&
		       q.thread_flags == UFIBER_QUERY_WAITING;
	/* A sleep without a server is nothing to the module, and no token is lost in it. */
	return (q.thread_state == UFIBER_THREAD_BLOCKED ||
		q.thread_state == UFIBER_THREAD_IDLE) &&
	       !(q.thread_flags & ~UFIBER_QUERY_WAKE_PENDING) &&
	       uf_proc_syscall(w->t.tid) == SYS_read;
}

static bool all_are_calm(void *arg)
{
	struct ufiber_query q;
	unsigned int i, registered = 0;

	/* Only where nobody does anything to others any more do states stay. */
	for (i = 0; i < threads; i++)
		if (atomic_load(&worker[i].calm) != atomic_load(&round_nr))
			return false;
	for (i = 0; i < threads; i++) {
		if (!is_at_rest(&worker[i]))
			return false;
		registered += worker[i].last == PARK || worker[i].last == READ;
	}
	return !uf_query(&d, UFIBER_NONE, UFIBER_NONE, &q) && q.nr_threads == registered &&
	       !q.nr_runnable && !q.nr_standby && q.nr_vacant == q.nr_servers;
}

/* The events of all registrations, against the counts of who has one now. */
static bool accounts_agree(char *why, size_t len)
{
	struct ufiber_query q;
	unsigned int i;

	for (i = 0; i < threads; i++) {
		struct worker *w = &worker[i];

		if (w->last != PARK && w->last != READ)
			continue;
		if (uf_query(&d, w->t.id, UFIBER_NONE, &q) ||
		    !uf_log_thread_agrees(events, w->t.id, w->cookie,
					  q.thread_state == UFIBER_THREAD_BLOCKED, why, len))
			return false;
	}
	return uf_log_servers_agree(events, why, len);
}

static void begin_round(struct __test_metadata *_metadata, unsigned int round)
{
	unsigned int i;

	for (i = 0; i < threads; i++)
		atomic_store(&worker[i].mail, 0);
	atomic_store(&stop, false);
	atomic_store(&ops, 0);
	atomic_store(&round_nr, round);
	for (i = 0; i < threads; i++) {
		struct worker *w = &worker[i];
		long ret;

		switch (w->last) {
		case PARK:
			/* Others that began before may have woken it: to rejoin, even. */
			ret = uf_wake_id(&d, w->t.id, 0);
			ASSERT_TRUE(!ret || ret == -ESRCH) TH_LOG("WAKE: %ld", ret);
			break;
		case END:
			ASSERT_EQ(0, pthread_join(w->t.pthread, NULL));
			start_worker(_metadata, w);
			break;
		default:
			ASSERT_EQ(0, uf_put(w->bytes[1]));
		}
	}
}

static void end_round(struct __test_metadata *_metadata, bool final)
{
	char why[200];
	unsigned int i;

	for (i = 0; i < threads; i++)
		worker[i].last = final ? END : pick(&worker[i], LASTS);
	atomic_store(&stop, true);
	/* One wake for each, not more: none may be lost. */
	for (i = 0; i < threads; i++)
		send_mail(&worker[i]);
	ASSERT_TRUE(uf_await(&d, all_are_calm, NULL, "all to come to the end of the round"));
	ASSERT_TRUE(uf_agrees(&d));
	ASSERT_TRUE(uf_log_catch_up(events)) {
		TH_LOG("the reader of the events was not told of all");
	}
	ASSERT_TRUE(accounts_agree(why, sizeof(why))) {
		TH_LOG("%s", why);
	}
	ASSERT_EQ(0, atomic_load(&errors));
}

static unsigned int number_of(const char *name, unsigned int usual)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : usual;
}

static void rounds(struct __test_metadata *_metadata, unsigned int servers)
{
	unsigned int seed = number_of("UF_SEED", 1), n = number_of("UF_ROUNDS", 16), i;
	unsigned int pick = seed;

	UF_OPEN_AS(&d, UFIBER_SETUP_WATCH, servers, SERVERS, MAX_THREADS);
	atomic_store(&round_nr, 1);
	events = uf_log_start(&d);
	ASSERT_NE(NULL, events);
	for (i = 0; i < threads; i++) {
		worker[i].t.dom = &d;
		worker[i].seed = seed * THREADS + i;
		ASSERT_EQ(0, pipe2(worker[i].bytes, O_CLOEXEC));
		start_worker(_metadata, &worker[i]);
	}
	for (i = 0; i < n; i++) {
		ASSERT_TRUE(uf_await(&d, ops_are_done, &pick, "the round to go on"));
		TH_LOG("round %u of %u, UF_SEED=%u", i + 1, n, seed);
		end_round(_metadata, i == n - 1);
		if (i < n - 1)
			begin_round(_metadata, i + 2);
	}
	for (i = 0; i < threads; i++)
		ASSERT_EQ(0, pthread_join(worker[i].t.pthread, NULL));
	uf_log_stop(events);
	uf_close(&d);
}

TEST(all_at_once)
{
	rounds(_metadata, 2);
}

TEST(polling)
{
	threads = 2;
	rounds(_metadata, 1);
}

TEST_HARNESS_MAIN
