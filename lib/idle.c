// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Servers that have nothing to do, and how they are woken.
 *
 * A server's holder with nothing to do sleeps in io_uring_enter(), in owner
 * state POLLING: a completion ends the sleep, and the module may rob it of the
 * server meanwhile. Others end the sleep by a message to the ring.
 *
 * No wake-up is lost. The sleeper and who makes a fiber ready do
 *
 *	sleeper (uf_idle)			waker (uf_kick)
 *	S1  nr_asleep++, sleep = ASLEEP		W1  push the fiber
 *	S2  full barrier (owner -> POLLING)	W2  full barrier
 *	S3  look into all queues, inboxes	W3  read nr_asleep
 *	S4  sleep if they are empty		W4  wake one if it is not 0
 *
 * If S3 misses the push, then W1 comes after S3, so W3 comes after S1 and sees
 * the sleeper. The stop flag and the module's nr_runnable pair in the same way
 * (the module reads the owner word instead of nr_asleep). A message that comes
 * between S3 and S4 leaves a completion in the ring, with which S4 returns.
 * nr_asleep is counted up first and down last: if who is about to sleep were woken
 * before it has been counted, others that sleep would be missed.
 *
 * A wake-up is dear, so at most one woken server searches at a time (the idea
 * is the Go scheduler's): waking takes the credit rt->searching, the woken one
 * gives it back when it has found work or none, and *then* looks again:
 *
 *	searcher (uf_search_end)		another waker
 *	E1  searching = 0			W1  push
 *	E2  full barrier			W2  full barrier
 *	E3  look into all run queues		W3' searching taken? then leave it
 *
 * Either W3' sees the credit free or E3 sees the push and wakes the next.
 *
 * Where the credit is: who swaps sleep from ASLEEP to WOKEN has put it there;
 * who swaps WOKEN away has it. That is the sleeper, whether it still has its
 * server or not, or the server's new holder. It cannot be stranded: WOKEN is
 * only set on a server that then was seen POLLING, and whoever polled it gets
 * the message and looks.
 *
 * A robbed sleeper goes on sleeping in the ring that is another's now, and
 * leaves sleep == ASLEEP behind. It is missing as a standby thread, so the
 * server's holder, when it next comes here (uf_recall()), or anyone who looks
 * for a server to wake (claim()), sends a completion that gets it out. Robbed
 * between S3 and S4, it can miss that one; it then leaves with the ring's next,
 * and meanwhile other standby threads are started.
 *
 * A server that is not in use (resize.c) does not take part in this. Its holder
 * keeps it while it sleeps in the ring, and nobody else gets it: sleep is RETIRED and
 * the owner word OFFLINE. It is woken by uf_wake() only, which sends a message each
 * time, as what there is for it is for no one else.
 *
 * Why a message to the ring and not, say, a read of an eventfd: that would
 * complete by task work on the thread which submitted the read, and that thread
 * may be blocked for long; a message is posted by its sender.
 */
#include "inbox.h"
#include "runq.h"

/* Turns of spinning before a sleep at most, a few dozen ns each. */
#define UF_SPIN_MAX 512U

/* How long to sleep at most while others are awake. */
#define UF_LOOK_MAX_NS 64000000U

/* Lone fibers made ready between two looks whether all are awake. */
#define UF_SKIP_AWAKE 64

static uint32_t *owner_word(struct uf_runtime *rt, struct uf_server *s)
{
	return &rt->shared_servers[s - rt->servers].owner;
}

static bool has_work(struct uf_runtime *rt)
{
	unsigned int i;

	if (unlikely(rt->policy))
		return uf_policy_has_work(rt, NULL);
	for (i = 0; i < rt->nr_servers; i++)
		if (uf_runq_stealable(&rt->servers[i].runq) ||
		    READ_ONCE(rt->servers[i].inbox))
			return true;
	return false;
}

/* Send a completion to a server's ring, from where we can. */
static void poke(struct uf_runtime *rt, struct uf_thread *t, struct uf_server *s)
{
	if (!t || !uf_ring_poke(t, s))
		uf_doorbell_poke(&rt->doorbell, s);
}

/* Swap ASLEEP for something else. Returns true if we did it. */
static bool end_sleep(struct uf_runtime *rt, struct uf_server *s, uint32_t state)
{
	if (cmpxchg(&s->sleep, UF_ASLEEP, state) != UF_ASLEEP)
		return false;
	fetch_add(&rt->nr_asleep, -1);
	return true;
}

/*
 * Try to wake a server and give it the credit. If nobody polls it after we have
 * set WOKEN, somebody robbed the sleeper before; then take the credit back,
 * unless it has been found already.
 */
static bool claim(struct uf_runtime *rt, struct uf_thread *t,
		  struct uf_server *s)
{
	if (READ_ONCE(s->sleep) != UF_ASLEEP || !end_sleep(rt, s, UF_WOKEN))
		return false;
	poke(rt, t, s);
	if (UFIBER_OWNER_STATE(smp_load_acquire(owner_word(rt, s))) ==
	    UFIBER_SERVER_POLLING)
		return true;
	return cmpxchg(&s->sleep, UF_WOKEN, UF_AWAKE) != UF_WOKEN;
}

static bool claim_any(struct uf_runtime *rt, struct uf_thread *t,
		      struct uf_server *near)
{
	unsigned int first = near - rt->servers;

	unsigned int i;

	WRITE_ONCE(rt->waker, first);

	for (i = 0; i < rt->nr_servers; i++)
		if (claim(rt, t, &rt->servers[(first + i) % rt->nr_servers]))
			return true;
	return false;
}

/* Others than those that are counted, but are still to look (S3). */
static bool any_asleep(struct uf_runtime *rt)
{
	unsigned int i;

	for (i = 0; i < rt->nr_servers; i++)
		if (READ_ONCE(rt->servers[i].sleep) == UF_ASLEEP)
			return true;
	return false;
}

/* The part of uf_kick() that there is to do. */
void uf_kick_others(struct uf_runtime *rt, struct uf_thread *t,
		    struct uf_server *near)
{
	smp_mb(); /* W2 */
	if (t && !READ_ONCE(rt->nr_asleep))
		WRITE_ONCE(uf_server(t)->skip, UF_SKIP_AWAKE);
	while (unlikely(READ_ONCE(rt->nr_asleep))) {
		if (cmpxchg(&rt->searching, 0, 1))
			return;
		if (claim_any(rt, t, near))
			return;
		WRITE_ONCE(rt->searching, 0); /* E1 */
		smp_mb(); /* E2 */
		if (!has_work(rt) || !any_asleep(rt)) /* E3 */
			return;
	}
}

/**
 * uf_wake - wake a server for a fiber that is pinned to it
 * @rt: its runtime, @t: as for uf_kick().
 * @s: the server.
 *
 * Nobody else can run it, so this takes no credit, and needs none: W1 is the
 * push into the inbox, S3 looks there, and here W3 is to read the server's own
 * @sleep. If it is WOKEN, somebody else has woken it just now.
 */
void uf_wake(struct uf_runtime *rt, struct uf_thread *t, struct uf_server *s)
{
	uint32_t sleep;

	smp_mb(); /* W2 */
	sleep = READ_ONCE(s->sleep);
	if (likely(sleep == UF_AWAKE))
		return;
	if (sleep == UF_RETIRED ||
	    (sleep == UF_ASLEEP && end_sleep(rt, s, UF_AWAKE)))
		poke(rt, t, s);
}

/* Give the credit back; @t as for uf_kick(). */
void uf_search_end(struct uf_runtime *rt, struct uf_thread *t)
{
	WRITE_ONCE(rt->searching, 0); /* E1 */
	smp_mb(); /* E2 */
	if (has_work(rt)) /* E3 */
		uf_kick(rt, t, t ? uf_server(t) : rt->servers);
}

/*
 * A server comes into use. Who sleeps while all do sleeps for good, and no longer
 * looks around; so from now on a fiber that is left waiting has to call for help
 * once more: then the one that is woken looks around as long as anybody is awake.
 */
static void comes_into_use(struct uf_thread *t)
{
	struct uf_runtime *rt = t->rt;
	unsigned int i;

	t->slept = true;
	for (i = 0; i < rt->nr_servers; i++)
		WRITE_ONCE(rt->servers[i].skip, 0);
}

/**
 * uf_others_wait - does somebody wait whom the caller would have found?
 * @rt: the runtime.
 *
 * Who has looked around and now has work of its own asks this; if so another has to
 * look. What is left waiting later calls for help.
 */
bool uf_others_wait(struct uf_runtime *rt)
{
	unsigned int i;

	for (i = 0; i < rt->nr_servers; i++)
		if (READ_ONCE(rt->servers[i].runq.next))
			return true;
	return has_work(rt);
}

/**
 * uf_recall - end the sleep of a thread that was robbed of the caller's server
 * @t: the calling thread, in the critical section.
 * @s: the server that it holds.
 *
 * Or find that the server is in use again.
 */
void uf_recall(struct uf_thread *t, struct uf_server *s)
{
	if (likely(READ_ONCE(s->sleep) == UF_AWAKE))
		return;
	if (end_sleep(t->rt, s, UF_AWAKE))
		poke(t->rt, t, s);
	else if (cmpxchg(&s->sleep, UF_WOKEN, UF_AWAKE) == UF_WOKEN)
		t->searching = true;
	else
		cmpxchg(&s->sleep, UF_RETIRED, UF_AWAKE);
	comes_into_use(t);
}

/*
 * Those who found all awake shall look again. One may miss that who has just done so;
 * what it leaves waiting is found by looking around, as it is awake itself.
 */
static void end_skips(struct uf_runtime *rt)
{
	unsigned int i;

	for (i = 0; i < rt->nr_servers; i++) {
		struct uf_server *s = &rt->servers[i];
		uint32_t backoff = READ_ONCE(s->backoff);

		if (READ_ONCE(s->skip) > backoff)
			WRITE_ONCE(s->skip, backoff);
	}
}

/* S1. Returns false if the credit was found instead. */
static bool announce(struct uf_thread *t, struct uf_server *s)
{
	uint32_t old;

	fetch_add(&t->rt->nr_asleep, 1);
	old = xchg(&s->sleep, UF_ASLEEP);
	if (old == UF_ASLEEP)
		fetch_add(&t->rt->nr_asleep, -1);
	t->searching = old == UF_WOKEN;
	end_skips(t->rt);
	return !t->searching;
}

static void awake(struct uf_thread *t, struct uf_server *s)
{
	uint32_t old = xchg(&s->sleep, UF_AWAKE);

	uf_look_at_clock(s);
	if (old == UF_ASLEEP)
		fetch_add(&t->rt->nr_asleep, -1);
	else if (old == UF_WOKEN)
		t->searching = true;
	comes_into_use(t);
}

/* Around S4: the backend need not watch a thread that sleeps in the ring. */
static void watch(struct uf_thread *t, bool on)
{
	if (t->rt->backend->watch)
		t->rt->backend->watch(t, on);
}

/* The server is another's now: touch nothing of it but the credit. */
static void robbed(struct uf_thread *t, struct uf_server *s)
{
	if (cmpxchg(&s->sleep, UF_WOKEN, UF_AWAKE) == UF_WOKEN)
		t->searching = true;
	if (t->searching) {
		t->searching = false;
		uf_search_end(t->rt, NULL);
	}
}

/* Something is to be done here: what an idle server looks at before it sleeps. */
static bool is_needed(struct uf_runtime *rt, struct uf_server *s)
{
	return READ_ONCE(rt->stop) ||
	       READ_ONCE(rt->shared_domain->nr_runnable) ||
	       READ_ONCE(s->retired) || READ_ONCE(s->cancel_ios) ||
	       uf_inbox_has_some(s) ||
	       (unlikely(rt->policy) ? uf_policy_has_work(rt, s) : has_work(rt));
}

/* In somebody's run-next slot a fiber waits since our last look; see sched.c. */
static bool one_is_stuck(struct uf_runtime *rt)
{
	unsigned int i;

	for (i = 0; i < rt->nr_servers; i++) {
		struct uf_server *s = &rt->servers[i];

		if (READ_ONCE(s->runq.next) &&
		    READ_ONCE(s->seen) == READ_ONCE(s->switches))
			return true;
	}
	return false;
}

/*
 * For a moment look without sleeping, while others run that may make a fiber
 * ready: to be woken costs them and us more. Less long each time that nothing
 * came, longer each time that something did. Returns true if it did.
 */
static bool spin(struct uf_runtime *rt, struct uf_server *s)
{
	unsigned int i;

	if (READ_ONCE(rt->nr_asleep) + 1 >= READ_ONCE(rt->nr_active))
		return false;
	for (i = 0; i < s->spin; i++) {
		if (is_needed(rt, s) || uf_ring_has_some(s)) {
			s->spin = 2 * s->spin < UF_SPIN_MAX ? 2 * s->spin :
							      UF_SPIN_MAX;
			return true;
		}
		uf_cpu_relax();
	}
	s->spin = s->spin / 2 > UF_SPIN_MIN ? s->spin / 2 : UF_SPIN_MIN;
	return one_is_stuck(rt);
}

/*
 * While others are awake, look around from time to time for what waits in their
 * run-next slots; less and less often while there is nothing.
 */
static uint64_t look_around_at(struct uf_runtime *rt, struct uf_server *s)
{
	uint64_t look = s->look;

	if (READ_ONCE(rt->nr_asleep) >= READ_ONCE(rt->nr_active))
		return UF_FOREVER;
	s->look = 2 * look < UF_LOOK_MAX_NS ? 2 * look : UF_LOOK_MAX_NS;
	return uf_now() + look;
}

/*
 * When to wake up at the latest. While the server is still ours: once it is POLLING
 * it may become another's, and then all of this is the other's, too.
 */
static uint64_t wake_up_at(struct uf_runtime *rt, struct uf_server *s)
{
	uint64_t deadline = uf_timers_next(s);
	uint64_t look = look_around_at(rt, s);
	uint64_t submit = uf_ring_submit_at(s);

	if (look < deadline)
		deadline = look;
	return submit < deadline ? submit : deadline;
}

/* A fiber that runs could still wake one; if there is none, look whether any can. */
static inline void tell_if_all_sleep(struct uf_runtime *rt)
{
	if (unlikely(rt->report_deadlock) &&
	    READ_ONCE(rt->nr_asleep) >= READ_ONCE(rt->nr_active))
		uf_debug_all_asleep();
}

/**
 * uf_idle - sleep until there may be something to do
 * @t: the calling thread, in its base context and the critical section; all
 *	that its server had to submit has been submitted.
 *
 * Returns true if the thread still has its server, false if it was robbed.
 */
bool uf_idle(struct uf_thread *t)
{
	struct uf_runtime *rt = t->rt;
	struct uf_server *s = uf_server(t);
	uint32_t *owner = owner_word(rt, s);
	uint32_t held = UFIBER_OWNER(UFIBER_SERVER_HELD, t->id);
	uint32_t polling = UFIBER_OWNER(UFIBER_SERVER_POLLING, t->id);
	uint64_t deadline = 0;
	bool sleepy;

	if (spin(rt, s))
		return true;
	sleepy = announce(t, s); /* S1 */
	if (sleepy) {
		deadline = wake_up_at(rt, s);
		if (unlikely(rt->policy))
			uf_policy_idle(rt, s);
	}
	/*
	 * S2. It fails if the module, on another processor, is still about to
	 * write the owner word of a server that it has just granted to a thread
	 * in user mode (after a signal); then this is no time to sleep.
	 */
	if (cmpxchg(owner, held, polling) == held) {
		if (sleepy && !is_needed(rt, s)) { /* S3 */
			tell_if_all_sleep(rt);
			watch(t, false);
			uf_ring_wait(s, deadline); /* S4 */
		}
		if (cmpxchg(owner, polling, held) != polling) {
			robbed(t, s);
			return false;
		}
		watch(t, true);
	}
	awake(t, s);
	return true;
}

/* The server is not in use: have its holder come to its base context. S1 for that. */
void uf_retire(struct uf_server *s)
{
	cmpxchg(&s->sleep, UF_AWAKE, UF_RETIRED);
}

/**
 * uf_idle_retired - sleep until there is something to do for a server not in use
 * @t: the calling thread, in its base context and the critical section.
 * @s: its server, after uf_retire().
 *
 * It is not POLLING, so the thread still has it after that.
 */
void uf_idle_retired(struct uf_thread *t, struct uf_server *s)
{
	uint32_t held = UFIBER_OWNER(UFIBER_SERVER_HELD, t->id);
	uint32_t offline = UFIBER_OWNER(UFIBER_SERVER_OFFLINE, t->id);
	uint32_t *owner = owner_word(t->rt, s);
	uint64_t deadline = uf_timers_next(s);

	if (READ_ONCE(t->rt->stop) || !READ_ONCE(s->retired) ||
	    READ_ONCE(s->cancel_ios) || uf_inbox_has_some(s)) /* S3 */
		return;
	cmpxchg(owner, held, offline);
	watch(t, false);
	uf_ring_wait(s, deadline); /* S4 */
	cmpxchg(owner, offline, held);
	uf_look_at_clock(s);
	watch(t, true);
}
