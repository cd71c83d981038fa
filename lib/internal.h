/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The library's types and what its files offer each other.
 *
 * Who may touch a field is told by letters:
 *
 *  C: constant after creation
 *  T: the thread that it belongs to
 *  H: the thread that holds the server, inside the critical section. When a
 *     server passes to another thread, the module (or the owner word's
 *     compare-and-swap) orders what the old holder did before what the new does
 *  L: under the lock beside it
 *  A: anyone, by the atomic operations told at the field
 *
 * The critical section: from uf_enter() to uf_leave() the thread keeps its
 * server whatever happens, so H fields are safe there, and nothing in it may
 * wait for what another thread could hold without a server (see spin.h).
 * Outside, in fiber code, the thread can lose its server at any instruction and
 * come back with another one; so the server is looked up anew after every
 * uf_enter() and every switch, and the thread after every switch.
 *
 * Locks nest in this order: timers, or an object's guard; a run queue's. None is
 * held through a switch.
 */
#ifndef UF_INTERNAL_H
#define UF_INTERNAL_H

#include <liburing.h>
#include <linux/ufiber.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#include "include/ufiber.h"
#pragma GCC visibility pop

#include "arena.h"
#include "atomic.h"
#include "bias.h"
#include "check.h"
#include "cpu.h"
#include "membarrier.h"
#include "offload.h"
#include "sanitizer.h"
#include "switch.h"

#define __cacheline_aligned __attribute__((aligned(UF_CACHE_LINE)))
#define __printf(fmt, args) __attribute__((format(printf, fmt, args)))

struct uf_thread;
struct uf_server;
struct uf_timer;
struct uf_local;
struct uf_io;
struct uf_monitor;

/* A suspended execution: a fiber's, or a thread's own stack (its base). */
struct uf_context {
	void *sp;
	struct uf_san san;
};

/* ----------------------------------------------------------------- fibers */

/* In place of a thread's number: a fiber that waits is held where it is. */
#define UF_HELD UINT32_MAX

typedef void uf_timer_fn(struct uf_thread *t, struct uf_timer *timer);

/**
 * struct uf_timer - a point in time: in a pairing heap, or a list of the wheel
 * @when: CLOCK_MONOTONIC, nanoseconds.
 * @child: first of those below this one in the heap.
 * @next: next with the same parent, or in the same list.
 * @link: what points at this one; NULL when it is in neither.
 * @slot: which list of the wheel it is in, or UF_NO_SLOT.
 * @server: whose.
 * @fire: called by the server's holder under the timers' lock, once.
 */
struct uf_timer {
	uint64_t when;
	struct uf_timer *child;
	struct uf_timer *next;
	struct uf_timer **link;
	unsigned int slot;
	struct uf_server *server;
	uf_timer_fn *fire;
};

/**
 * struct uf_what - a kind of thing that is waited for; for who debugs
 * @name: of the kind.
 * @at: where in it the field is that a wait's @on points at.
 */
struct uf_what {
	const char *name;
	size_t at;
};

/**
 * struct uf_wait - one stay of a fiber, or a plain thread; see wait.h
 * @state: enum uf_wait_state (A); a futex for a plain thread.
 * @claimed: its only object has, unless a cancel came first (A); see wait.h.
 * @error: how it ended: 0 or a negative errno; by who has claimed it.
 * @fiber: who waits; NULL: a plain thread (C).
 * @by: of its nodes the one by which an object has claimed it; for a select.
 * @what: what is waited for; this and the next three are for who debugs.
 * @on: a field of that, or what @what->name says.
 * @since: its server's clock when it was parked.
 * @server: where it was parked.
 * @timer: of its deadline.
 */
struct uf_wait {
	uint32_t state;
	uint32_t claimed;
	int error;
	struct uf_fiber *fiber;
	struct uf_waiter *by;
	const struct uf_what *what;
	const void *on;
	uint64_t since;
	const struct uf_server *server;
	struct uf_timer timer;
};

/**
 * struct uf_fiber - a fiber; lives at the top of its own stack
 * @ctx: its context while it does not run.
 * @next: in the run queue, inbox or list of stacks that it is in (L).
 * @prev: before it in its run queue; stale for the first (L).
 * @queue: the run queue that it is in (L of that).
 * @class: which list of it (L of that).
 * @priority: 0 the highest to UF_PRIORITIES - 1; changed by itself (T).
 * @server: which server it is pinned to, or UFIBER_NONE (T).
 * @on_cpu: the number of the thread, from 1, that it runs on or has not been
 *	switched away from yet, or 0; see sched.c. Or UF_HELD: see hold.c (A).
 * @has_fpenv: it was made with UF_FPENV (C).
 * @ahead: one that is to run a little later, maybe gone by then (L of @queue).
 * @ahead_sp: that one's stack pointer.
 * @rt: its runtime (C).
 * @wait: its wait, if it waits.
 * @guard: of its end: for the next four.
 * @ended: it has.
 * @detached: nobody will join it.
 * @joining: somebody does.
 * @joiners: that one.
 * @parked: it has not been started yet (A).
 * @id: its identity (C); 0 if there is no such fiber.
 * @cancelled: its waits are to end (A).
 * @shields: but not now (T).
 * @scope: the innermost scope that it is in, its own or its owner (T).
 * @owner: the scope that owns it, or NULL (C).
 * @sibling: next of that scope's fibers (its guard).
 * @sibling_link: what points at this one there (its guard).
 * @run: what it runs there, in place of @start (C).
 * @io_server: whose ring has its request, while it waits for that.
 * @words: the policy's, if there is one.
 * @cleanups: to be called when it exits (T).
 * @locals: its values, or NULL (T).
 * @start: what it runs (C).
 * @arg: with what (C).
 * @value: what it ended with; before it has.
 * @stack: its stack's lowest address; below it is the guard page (C).
 * @stack_size: bytes of it (C).
 * @chunk: what the stack is a part of (C).
 * @next_batch: the first of the next older batch of stacks (L).
 * @prev_batch: the first of the next newer one (L).
 * @fpenv: its floating-point controls, if it has its own, while it does not
 *	run.
 * @name: its name (C).
 */
struct uf_fiber {
	struct uf_context ctx;
	struct uf_fiber *next;
	struct uf_fiber *prev;
	struct uf_runq *queue;
	uint8_t class;
	uint8_t priority;
	bool has_fpenv;
	uint32_t server;
	uint32_t on_cpu;
	struct uf_fiber *ahead;
	void *ahead_sp;
	struct uf_runtime *rt;
	struct uf_wait wait;
	uint32_t guard;
	bool ended;
	bool detached;
	bool joining;
	bool parked;
	struct uf_waitq joiners;
	uint64_t id;
	uint32_t cancelled;
	uint32_t shields;
	struct uf_scope *scope;
	struct uf_scope *owner;
	struct uf_fiber *sibling;
	struct uf_fiber **sibling_link;
	int (*run)(void *arg);
	uint32_t io_server;
	struct uf_policy_words words;
	struct uf_cleanup *cleanups;
	struct uf_local *locals;
	void *(*start)(void *arg);
	void *arg;
	void *value;
	void *stack;
	size_t stack_size;
	struct uf_chunk *chunk;
	struct uf_fiber *next_batch;
	struct uf_fiber *prev_batch;
	struct uf_arch_fpenv fpenv;
	char name[UF_NAME_MAX];
};

/* ----------------------------------------------------------------- timers */

/* The wheel's tick is 2^20 ns; each level has 64 lists, see timer.c. */
#define UF_TICK_SHIFT 20
#define UF_WHEEL_BITS 6
#define UF_WHEEL_LISTS (1U << UF_WHEEL_BITS)
#define UF_WHEEL_LEVELS 8
#define UF_NO_SLOT UINT32_MAX

/**
 * struct uf_timers - a server's timers
 * @lock: for the rest. Only the server's holder arms and fires; others only
 *	disarm.
 * @levels: which of the wheel's levels have somebody (L; readable without).
 * @tick: timers until the end of this tick are in the heap, later ones in the
 *	wheel (L).
 * @root: the earliest of the heap (L; readable without).
 * @used: for each level which of its lists have somebody (L).
 * @lists: those (L).
 */
struct uf_timers {
	uint32_t lock;
	uint32_t levels;
	uint64_t tick;
	struct uf_timer *root;
	uint64_t used[UF_WHEEL_LEVELS];
	struct uf_timer *lists[UF_WHEEL_LEVELS * UF_WHEEL_LISTS];
};

/* timer.c */
void uf_timer_arm(struct uf_thread *t, struct uf_timer *timer, uint64_t when,
		  uf_timer_fn *fire);
void uf_timer_disarm(struct uf_timer *timer);
void uf_timers_run(struct uf_thread *t, struct uf_server *s);
uint64_t uf_timers_next(struct uf_server *s);
uint64_t uf_now_coarse(void);

/* ----------------------------------------------------------------- stacks */

/**
 * struct uf_stack_list - stacks of one class, ready for reuse
 * @head: the fiber of the one that was used last.
 * @nr: how many; a list of uf_stack_batch() of them is a batch.
 */
struct uf_stack_list {
	struct uf_fiber *head;
	unsigned int nr;
};

/**
 * struct uf_stack_cache - a server's stacks for reuse
 * @now: for each class the list that is taken from and given to (H).
 * @spare: for each class a batch, or nothing (H).
 * @used: any of it was, since the timer was armed (H).
 * @armed: the timer is (H; readable by all).
 * @timer: then it is to be seen what has been idle.
 */
struct uf_stack_cache {
	struct uf_stack_list now[UF_STACK_CLASSES];
	struct uf_stack_list spare[UF_STACK_CLASSES];
	bool used;
	bool armed;
	struct uf_timer timer;
};

/**
 * struct uf_stack_pool - a runtime's stacks of one class for reuse
 * @newest: the first fiber of the batch that came last (L).
 * @oldest: of the one that came first (L).
 * @nr: how many batches (L).
 * @low: least that @nr has been since they were last aged (L).
 * @idle: so many of the oldest are to go back to the arena (L).
 * @loose: less than a batch (L).
 * @loose_used: it was, since then (L).
 */
struct uf_stack_pool {
	struct uf_fiber *newest;
	struct uf_fiber *oldest;
	size_t nr;
	size_t low;
	size_t idle;
	struct uf_stack_list loose;
	bool loose_used;
};

/**
 * struct uf_stacks - a runtime's stacks
 * @lock: for the rest.
 * @surplus: the first of the batches, of any class, that are to go back to the
 *	arena (L).
 * @due: there are such, here or in @pool (L; readable without, as a hint).
 * @age_at: when to look for idle ones again (L).
 * @watched: @pool is not empty, and a server will look at it (L).
 * @pool: for each class (L).
 * @arena: where they come from.
 */
struct uf_stacks {
	uint32_t lock;
	struct uf_fiber *surplus;
	bool due;
	uint64_t age_at;
	bool watched;
	struct uf_stack_pool pool[UF_STACK_CLASSES];
	struct uf_arena arena;
};

/* stack.c */
void uf_stacks_init(struct uf_stacks *stacks);
void uf_stacks_destroy(struct uf_stacks *stacks);
void uf_stacks_trim(struct uf_runtime *rt);
struct uf_fiber *uf_stack_alloc(struct uf_runtime *rt, size_t size);
struct uf_fiber *uf_stack_fiber(void *stack, size_t size);

/* ---------------------------------------------------------------- servers */

#define UF_PRIORITIES 3

/* The highest is level 0. */
static inline bool uf_priority_is_valid(int priority)
{
	return priority >= UF_PRIORITY_HIGH && priority <= UF_PRIORITY_LOW;
}

static inline uint8_t uf_priority_level(int priority)
{
	return priority - UF_PRIORITY_HIGH;
}

static inline int uf_level_priority(uint8_t level)
{
	return level + UF_PRIORITY_HIGH;
}

/* Of each priority those that IO has woken, and others. */
#define UF_RUNQ_CLASSES (2 * UF_PRIORITIES)
/* Of each class those that any server may run, and pinned ones. */
#define UF_RUNQ_LISTS (2 * UF_RUNQ_CLASSES)

struct uf_list {
	struct uf_fiber *head;
	struct uf_fiber *tail;
	size_t len;
};

/* So far ahead of a fiber's turn its memory is fetched into the cache. */
#define UF_AHEAD 8

/**
 * struct uf_ahead - the last fibers that were put into a long list
 * @list: that list.
 * @nr: how many there were, since others were put elsewhere.
 * @last: they are here, at their number.
 */
struct uf_ahead {
	struct uf_list *list;
	uint32_t nr;
	struct uf_fiber *last[UF_AHEAD];
};

/**
 * struct uf_runq - fibers that are ready to run; see runq.h
 * @lock: for the rest; its owner is the server's holder.
 * @map: which of @lists have somebody (L; readable without, as a hint).
 * @next: the run-next slot (L; readable without, as a hint).
 * @next_turns: how often in a row the slot has been served.
 * @picks: how often they have been served.
 * @turn: the list that had its turn last.
 * @lists: the first and, if there is one, the last of each.
 * @ahead: see runq.h.
 */
struct uf_runq {
	struct uf_bias lock;
	uint32_t map;
	struct uf_fiber *next;
	uint32_t next_turns;
	uint32_t picks;
	uint32_t turn;
	struct uf_list lists[UF_RUNQ_LISTS];
	struct uf_ahead ahead;
};

/* Turns of spinning before a sleep, and how long that is, at first; see idle.c. */
#define UF_SPIN_MIN 64U
#define UF_LOOK_MIN_NS 2000000U

/* Whether a server sleeps; idle.c tells the protocol. */
enum uf_sleep_state {
	UF_AWAKE,
	UF_ASLEEP,
	UF_WOKEN,
	UF_RETIRED,
};

/**
 * struct uf_server - a server
 * @runq: ready fibers (L).
 * @switches: fibers run so far (H; readable by all), also to time the chores.
 * @created: for uf_stats (H; readable by all): fibers created from here.
 * @ended: fibers that ended here.
 * @wakes: other servers woken from here.
 * @next_id: of the identities that it has taken, see create.c (H).
 * @skip: so often yet no other server is woken for a fiber in the run-next slot
 *	(H, and thieves; a hint), see sched.c.
 * @backoff: how often that was last (H, and thieves; a hint).
 * @spin: turns to spin before the next sleep (H).
 * @look: how long to sleep before the next look around (H).
 * @clock: the time when it last looked at the clock (H; readable by all), see
 *	uf_look_at_clock().
 * @offered: it was offered to a RUNNABLE thread and has not run a queued fiber
 *	since (H).
 * @stacks: see there.
 * @timers: sleeping fibers (L).
 * @holder: for a policy: the number of the thread that served it last (H).
 * @running: for a policy: the identity of the fiber that runs on it, or 0 (H).
 * @ios: requests in its ring (H).
 * @ring: its io_uring (H; the kernel's side is open to all, see uf_ring_wait()).
 * @sleep: enum uf_sleep_state (A).
 * @inbox: fibers made ready by those who do not hold it; a stack (A).
 * @pinned_inbox: the same, of fibers that are pinned to it (A).
 * @retired: it is not in use: it runs pinned fibers at most, see resize.c (A).
 * @cancel_ios: among @ios are some of cancelled fibers (A).
 * @seen: @switches when a thief looked last (thieves; a hint).
 */
struct uf_server {
	struct uf_runq runq;
	uint64_t switches;
	uint64_t clock;
	uint64_t created;
	uint64_t ended;
	uint64_t wakes;
	uint64_t next_id;
	uint32_t skip;
	uint32_t backoff;
	uint32_t spin;
	uint64_t look;
	bool offered;
	struct uf_stack_cache stacks;
	struct uf_timers timers;
	uint32_t holder;
	uint64_t running;
	struct uf_io *ios;
	struct io_uring ring;
	uint32_t sleep __cacheline_aligned;
	struct uf_fiber *inbox;
	struct uf_fiber *pinned_inbox;
	uint32_t retired;
	uint32_t cancel_ios;
	uint64_t seen;
} __cacheline_aligned;

/* ---------------------------------------------------------------- threads */

typedef void uf_after_fn(struct uf_thread *t, struct uf_fiber *prev);

/**
 * struct uf_thread - a kernel thread of a runtime
 * @shared: what it shares with the module (C after start).
 * @rt: its runtime (C).
 * @current: the fiber that it runs, NULL in its base context (T).
 * @blocks: its count of blocks when a policy was told last (T).
 * @kick: fibers were made ready in this critical section (T).
 * @chores: who runs next is to see to the ring and the timers (T).
 * @slept: its server has come into use since it ran a fiber last (T).
 * @searching: it holds the runtime's credit to search for work (T).
 * @number: its own, from 1 (C).
 * @id: its number in the module, or its server's ("none") (C after start).
 * @prev: the fiber that is being switched away from, or NULL (T).
 * @after: what to do when it has been, or NULL (T).
 * @base: its own stack, when it runs a fiber.
 * @fpenv: its floating-point controls while a fiber with its own runs (T).
 * @pthread: the thread (C).
 * @tid: the kernel's number of it (C after start).
 */
struct uf_thread {
	struct ufiber_shared_thread *shared;
	struct uf_runtime *rt;
	struct uf_fiber *current;
	uint64_t blocks;
	bool kick;
	bool chores;
	bool slept;
	bool searching;
	uint32_t number;
	uint32_t id;
	struct uf_fiber *prev;
	uf_after_fn *after;
	struct uf_context base;
	struct uf_arch_fpenv fpenv;
	pthread_t pthread;
	pid_t tid;
} __cacheline_aligned;

/* ---------------------------------------------------------------- runtime */

/**
 * struct uf_backend - how threads get and lose servers
 * @name: for users.
 * @setup: make the domain and the shared structures of a runtime. On failure
 *	the reason stands in uf_strerror().
 * @teardown: undo it.
 * @nr_threads: threads to start with.
 * @grow: put servers into use that have not been before, up to the @n-th.
 * @attach: the calling thread joins, without a server.
 * @detach: it leaves.
 * @standby: give up the thread's server, if it has one, to a thread that waits
 *	for one; wait for the next. Returns the server's number, or -ECANCELED.
 * @acquire: wait until the thread, which has lost its server, has one.
 * @cancel: end a thread's standby.
 * @interrupt: end the call that a thread is blocked in, in that block.
 * @watch: the thread's server is about to sleep (@on false), or has been awakened
 *	and is still the thread's; NULL if the backend need not know.
 */
struct uf_backend {
	const char *name;
	int (*setup)(struct uf_runtime *rt);
	void (*teardown)(struct uf_runtime *rt);
	unsigned int (*nr_threads)(const struct uf_runtime *rt);
	int (*grow)(struct uf_runtime *rt, unsigned int n);
	int (*attach)(struct uf_thread *t);
	void (*detach)(struct uf_thread *t);
	int (*standby)(struct uf_thread *t);
	void (*acquire)(struct uf_thread *t);
	void (*cancel)(struct uf_thread *t);
	void (*interrupt)(struct uf_thread *t, uint64_t block);
	void (*watch)(struct uf_thread *t, bool on);
};

extern const struct uf_backend uf_backend_module;
extern const struct uf_backend uf_backend_monitor;
extern const struct uf_backend uf_backend_none;

/**
 * struct uf_doorbell - how threads that hold no server wake one
 * @lock: for the rest. May be taken in the critical section: who holds it is
 *	there too, or is no thread of a runtime, or needs no server.
 * @ring: to send from (L).
 * @wakes: for uf_stats (L; readable by all).
 */
struct uf_doorbell {
	pthread_mutex_t lock;
	struct io_uring ring;
	uint64_t wakes;
};

/**
 * struct uf_runtime - a runtime
 * @backend: how its threads get servers (C).
 * @policy: the user's, or NULL: stealing (C).
 * @policy_memory: its memory, with the next one in front (C).
 * @of_server: where in that each server's is (C).
 * @nr_servers: all that there can be (C).
 * @max_threads: (C).
 * @stack_size: a fiber's by default (C).
 * @ring_entries: (C).
 * @report_overflow: overflows of stacks are reported (C).
 * @report_deadlock: so is that all fibers wait (C).
 * @deadlock_at: at which number of switches that was reported last; this and the
 *	next are under debug.c's lock.
 * @debug_next: in the list of all runtimes.
 * @quantum: after how long a fiber is preempted, in nanoseconds, or 0 (C).
 * @forks: uf_forks when it was made (C).
 * @caller_serves: the first of @threads is that of uf_runtime_serve() (C).
 * @cancelled: all fibers shall end, and new ones are cancelled (A).
 * @servers: @nr_servers of them (C).
 * @threads: room for @max_threads (C).
 * @shared_domain: shared with the module, as the next two (C).
 * @shared_servers: @nr_servers of them.
 * @shared_threads: @max_threads of them.
 * @shared_size: bytes of it.
 * @fd: the domain ("module") (C).
 * @monitor: the watcher and what it knows ("monitor") (C).
 * @doorbell: see there.
 * @offload: see there.
 * @stacks: see there.
 * @resizing: for the next, and for changes of the one after.
 * @nr_started: servers that have been in use (L).
 * @nr_active: servers in use: the first ones (A).
 * @users: threads of others that are making a fiber ready; a futex (A).
 * @draining: so many wait for the last fiber's end (A).
 * @ends: fibers that have ended since; a futex (A).
 * @open: the threads may serve; a futex (A).
 * @serving: the caller of uf_runtime_serve() does, until the last fiber's end (A).
 * @stop: the threads shall end (A).
 * @stopped: they have (T: who ends the runtime).
 * @nr_threads: started so far; changed by who has set @spawning (A).
 * @spawning: threads are being started (A).
 * @starting: of those and their starter, how many are not done; a futex (A).
 * @start_error: why one of them failed (A).
 * @spawn_after: no thread could be started: time of the next try (A).
 * @created: fibers created by threads without a server (A).
 * @inject: where the next fiber from outside goes (A).
 * @nr_asleep: servers whose @sleep is UF_ASLEEP (A).
 * @searching: the credit: a server has been woken to search for work (A).
 * @waker: the server that it was woken from (A; a hint).
 */
struct uf_runtime {
	const struct uf_backend *backend;
	const struct uf_policy *policy;
	void *policy_memory;
	void **of_server;
	unsigned int nr_servers;
	unsigned int max_threads;
	size_t stack_size;
	unsigned int ring_entries;
	bool report_overflow;
	bool report_deadlock;
	uint64_t deadlock_at;
	struct uf_runtime *debug_next;
	uint64_t quantum;
	uint32_t forks;
	bool caller_serves;
	uint32_t cancelled;
	struct uf_server *servers;
	struct uf_thread *threads;
	struct ufiber_shared_domain *shared_domain;
	struct ufiber_shared_server *shared_servers;
	struct ufiber_shared_thread *shared_threads;
	size_t shared_size;
	int fd;
	struct uf_monitor *monitor;
	struct uf_doorbell doorbell;
	struct uf_offload offload;
	struct uf_stacks stacks __cacheline_aligned;
	pthread_mutex_t resizing;
	unsigned int nr_started;
	unsigned int nr_active;
	uint32_t users __cacheline_aligned;
	uint32_t draining;
	uint32_t ends;
	uint32_t open;
	uint32_t serving;
	uint32_t stop;
	bool stopped;
	uint32_t nr_threads;
	uint32_t spawning;
	uint32_t starting;
	int start_error;
	uint64_t spawn_after;
	uint64_t created;
	uint32_t inject;
	uint32_t nr_asleep __cacheline_aligned;
	uint32_t searching;
	uint32_t waker;
};

/*
 * The time, of CLOCK_MONOTONIC, is noted by a server's holder when it takes the
 * server, when it wakes up, and every few switches; never for a single wait, as
 * reading the clock costs as much as a switch.
 */
static inline void uf_look_at_clock(struct uf_server *s)
{
	WRITE_ONCE(s->clock, uf_now_coarse());
}

/* config.c */
int uf_config_read(struct uf_config *out, const struct uf_config *config);
int uf_fail(int error, const char *fmt, ...) __printf(2, 3);

/* runtime.c */
void uf_runtime_get(struct uf_runtime *rt);
void uf_runtime_put(struct uf_runtime *rt);
int uf_runtime_refuses(const struct uf_runtime *rt);

/* drain.c */
uint64_t uf_drain(struct uf_runtime *rt, uint64_t deadline);
void uf_runtime_wake_drainer(struct uf_runtime *rt);

/* stats.c */
uint64_t uf_count_fibers(const struct uf_runtime *rt);

/*
 * One more has been counted as ended. Who waits for the last sets @draining, has a
 * heavy barrier, and counts; so it sees our count, or we its flag.
 */
static inline void uf_runtime_fiber_ended(struct uf_runtime *rt)
{
	uf_light_mb();
	if (unlikely(READ_ONCE(rt->draining)))
		uf_runtime_wake_drainer(rt);
}

/* fork.c */
extern uint32_t uf_forks;
int uf_fork_init(void);

/* Its threads are those of a parent process, and this is a copy of its memory. */
static inline bool uf_is_parents(const struct uf_runtime *rt)
{
	return unlikely(rt->forks != READ_ONCE(uf_forks));
}

/* thread.c */
void uf_thread_forget(void);
unsigned int uf_threads_with_spares(const struct uf_runtime *rt);
int uf_threads_start(struct uf_runtime *rt);
void uf_threads_stop(struct uf_runtime *rt);
void uf_threads_end(struct uf_runtime *rt);
int uf_threads_add(struct uf_runtime *rt, unsigned int n);
int uf_threads_serve(struct uf_runtime *rt);
bool uf_spawn_standby(struct uf_thread *t);

/* Initial-exec: one load, not a call, in the shared library too. */
extern __thread struct uf_thread *uf_this_thread
	__attribute__((tls_model("initial-exec")));

/*
 * The calling thread, or NULL if it is no runtime's. A fiber can call this, move to
 * another thread, and call it again; and a compiler that sees the access keeps the
 * variable's address. So it does not see it.
 */
static inline struct uf_thread *uf_thread_self(void)
{
	return uf_arch_this_thread();
}

/* idle.c */
bool uf_idle(struct uf_thread *t);
bool uf_others_wait(struct uf_runtime *rt);
void uf_kick_others(struct uf_runtime *rt, struct uf_thread *t,
		    struct uf_server *near);
void uf_wake(struct uf_runtime *rt, struct uf_thread *t, struct uf_server *s);
void uf_recall(struct uf_thread *t, struct uf_server *s);
void uf_search_end(struct uf_runtime *rt, struct uf_thread *t);
void uf_retire(struct uf_server *s);
void uf_idle_retired(struct uf_thread *t, struct uf_server *s);

/**
 * uf_kick - wake an idle server, if there is one, for fibers just made ready
 * @rt: their runtime.
 * @t: the calling thread if it holds a server of @rt, in the critical section;
 *	else NULL.
 * @near: the server to try first.
 *
 * Who holds the only server there is has nobody to wake.
 */
static inline void uf_kick(struct uf_runtime *rt, struct uf_thread *t,
			   struct uf_server *near)
{
	if (!t || rt->nr_servers > 1)
		uf_kick_others(rt, t, near);
}

/* debug.c */
int uf_debug_setup(struct uf_runtime *rt, const struct uf_config *config);
void uf_debug_add(struct uf_runtime *rt);
void uf_debug_remove(struct uf_runtime *rt);
void uf_debug_before_fork(void);
void uf_debug_after_fork(bool in_child);
void uf_debug_all_asleep(void);

/* sched.c */
void uf_leave_kick(struct uf_thread *t);
void uf_ready(struct uf_thread *t, struct uf_fiber *fiber, enum uf_why why);
int uf_ready_and_leave(struct uf_thread *t, struct uf_fiber *fiber);
struct uf_thread *uf_park(struct uf_thread *t);
void uf_park_last(struct uf_thread *t);
struct uf_thread *uf_requeue(struct uf_thread *t);
void uf_move(struct uf_thread *t, struct uf_fiber *fiber);
void uf_serve(struct uf_thread *t);

/* resize.c */
void uf_evacuate(struct uf_thread *t, struct uf_server *s);

/* fiber.c */
void uf_fiber_main(void *pass, void *arg);

/* policy.c */
int uf_policy_check(const struct uf_policy *policy);
int uf_policy_setup(struct uf_runtime *rt, const struct uf_policy *policy);
void uf_policy_ready(struct uf_runtime *rt, struct uf_thread *t,
		     struct uf_fiber *fiber, enum uf_why why);
void uf_policy_parks(struct uf_thread *t, struct uf_server *s);
struct uf_fiber *uf_policy_pick(struct uf_thread *t, struct uf_server *s);
bool uf_policy_has_work(struct uf_runtime *rt, struct uf_server *s);
void uf_policy_taken(struct uf_thread *t, struct uf_server *s);
void uf_policy_idle(struct uf_runtime *rt, struct uf_server *s);
void uf_policy_tick(struct uf_runtime *rt, struct uf_server *s);

/* cancel.c */
void uf_cancel_end_wait(struct uf_thread *t, struct uf_fiber *fiber);
void uf_cancel_fiber(struct uf_thread *t, struct uf_fiber *fiber);

/* scope.c */
void uf_scope_child_ends(struct uf_thread *t, struct uf_fiber *fiber);

/* local.c */
void uf_locals_destroy(struct uf_fiber *self);
void uf_local_after_fork(void);
void uf_run_cleanups(struct uf_fiber *self);

/* uring.c */
int uf_ring_init(struct io_uring *ring, unsigned int entries);
bool uf_ring_reserve(struct uf_thread *t, struct uf_server *s, unsigned int n);
void uf_ring_submit(struct uf_server *s);
void uf_ring_reap(struct uf_thread *t, struct uf_server *s);
uint64_t uf_ring_submit_at(struct uf_server *s);
void uf_ring_wait(struct uf_server *s, uint64_t deadline);
bool uf_ring_has_some(struct uf_server *s);
bool uf_ring_poke(struct uf_thread *t, struct uf_server *target);
void uf_doorbell_poke(struct uf_doorbell *bell, struct uf_server *target);

/*
 * In shared->server, beside the number: the monitor's watcher is about to take
 * the server, and has yet to look whether it may (monitor.c). As in UFIBER_NONE,
 * the top bit is set.
 */
#define UF_TAKING 0x80000000U

/* The server that the thread holds; inside the critical section. */
static inline struct uf_server *uf_server(const struct uf_thread *t)
{
	uint32_t number = READ_ONCE(t->shared->server) & ~UF_TAKING;

	return &t->rt->servers[number];
}

/**
 * uf_enter_self - enter the critical section
 * @t: the calling thread.
 *
 * The store to @critical comes first: from then on the module lets the thread
 * keep its server, so what is read next stays true. Both sides of this run on
 * one processor (the module reads when this thread blocks), so program order
 * is enough; the monitor's watcher is on another one, and has a heavy barrier. A
 * thread can come here without a server: under the module it ran a signal handler
 * while it was held, under the monitor it was blocked.
 */
static inline void uf_enter_self(struct uf_thread *t)
{
	WRITE_ONCE(t->shared->critical, 1);
	if (UF_SAN_THREAD)
		smp_mb();
	else
		barrier();
	if (unlikely((int32_t)READ_ONCE(t->shared->server) < 0))
		t->rt->backend->acquire(t);
}

/* Enter the critical section. Returns NULL if the caller is not a fiber. */
static inline struct uf_thread *uf_enter(void)
{
	struct uf_thread *t = uf_thread_self();

	if (t)
		uf_enter_self(t);
	return t;
}

/* Leave it; @t may be NULL. Other servers are woken for what was made ready. */
static inline void uf_leave(struct uf_thread *t)
{
	if (!t)
		return;
	if (unlikely(t->kick))
		uf_leave_kick(t);
	smp_store_release(&t->shared->critical, 0);
}

/* Before a switch away from @fiber: back to the thread's floating-point controls. */
static inline void uf_fpenv_leave(const struct uf_thread *t,
				  struct uf_fiber *fiber)
{
	if (likely(!fiber->has_fpenv))
		return;
	uf_arch_fpenv_save(&fiber->fpenv);
	uf_arch_fpenv_load(&t->fpenv);
}

/* After a switch to @fiber: to its own, if it has any. */
static inline void uf_fpenv_arrive(struct uf_thread *t,
				   const struct uf_fiber *fiber)
{
	if (likely(!fiber->has_fpenv))
		return;
	uf_arch_fpenv_save(&t->fpenv);
	uf_arch_fpenv_load(&fiber->fpenv);
}

#endif /* UF_INTERNAL_H */
