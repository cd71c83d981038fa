/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ufiber: user fibers that block in the kernel without stopping their
 * neighbours.
 *
 * A *server* is the right to run fibers on one virtual processor. A *domain*
 * (one open of /dev/ufiber, one process) has a fixed number of servers and any
 * number of registered *threads*, of which at most one holds a given server.
 * When the thread that holds a server blocks in the kernel, the module passes
 * the server to another thread at once; when the blocked thread is about to
 * return to user mode it is held there until it has a server again. (A signal
 * takes it to user mode without one, for its handler; it is RUNNABLE then and
 * gets one as soon as there is one. So it may run on without; WAIT with ACQUIRE
 * tells and waits.)
 *
 * Thread states and what moves a thread between them:
 *
 *                 blocks in the kernel
 *      RUNNING -------------------------> BLOCKED
 *       ^  ^  \                            |    |
 *       |  |   \ WAIT                      |    | wants to return to user mode,
 *       |  |    v                          |    | no server VACANT or POLLING
 *       |  |   IDLE                        |    v
 *       |  |    |  granted a server        |  RUNNABLE
 *       |  +----+  (standby, hand-over)    |    |
 *       |       |                          |    |
 *       |       +-- woken, no server free ------+ (also: WAIT with ACQUIRE)
 *       |                                  |    |
 *       +----------------------------------+----+
 *             takes or is granted a server
 *
 * Server states, kept in struct ufiber_shared_server.owner:
 *
 *      VACANT  --- granted to, or taken by, a thread ---> HELD
 *      HELD    --- holder blocks, parks, ends; no taker --> VACANT
 *      HELD   <--- compare-and-swap by the holder ----> POLLING
 *      POLLING --- compare-and-swap by the module -----> HELD by another thread
 *      any    <--- RESIZE ----------------------------> OFFLINE, VACANT
 *
 * A RUNNING thread can also be preempted: by KICK, or when its server's quantum
 * is over and another thread or fiber waits. It then is RUNNABLE, held at its
 * return to user mode, and its server goes to the thread that waits.
 *
 * Who gets a server that is free? By default the module decides: the RUNNABLE
 * thread of the highest priority that has waited longest, else a standby. In a
 * domain set up with USER_SCHED the user decides: a RUNNABLE thread gets a server
 * by HANDOVER alone, and a free server goes to a thread that waits as a standby,
 * the user's scheduler. That is UMCG's way, with a thread for each fiber:
 *
 *      scheduler                           worker
 *      ---------                           ------
 *      WAIT HANDOVER|STANDBY, next=worker
 *                                          RUNNING; it blocks, or is preempted,
 *                                          or WAIT HANDOVER, next=scheduler
 *      returns, RUNNING again
 *      reads the ring: who is RUNNABLE
 *      nobody: WAIT STANDBY|WORK
 *                                          unblocks: RUNNABLE, in the ring
 *      returns, RUNNING again
 *
 * The interface follows UMCG (Peter Oskolkov, Google, 2021) in what it offers;
 * it differs in that the module, not user memory, owns the state, so the
 * scheduler path neither pins nor faults, and in that fibers outnumber threads.
 *
 * A scheduler that blocks is a RUNNABLE thread afterwards, which another one would
 * have to hand a server to; so it runs as a critical section (see @critical).
 *
 * The threads that become RUNNABLE also appear in a ring in shared memory, with
 * who, why and when; who only watches can wait for them by poll(2), an eventfd or
 * io_uring (EVENTFD below).
 *
 * Structures carry their size in the first field. A kernel that knows more
 * fields than the caller treats the missing ones as zero; one that knows fewer
 * refuses non-zero bytes beyond what it knows with E2BIG. Unknown flags and
 * non-zero padding are refused with EINVAL. A call that fails has changed
 * nothing, unless its text says otherwise.
 */
#ifndef _UAPI_LINUX_UFIBER_H
#define _UAPI_LINUX_UFIBER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define UFIBER_DEVICE		"/dev/ufiber"

/* No server, or no thread. */
#define UFIBER_NONE		0xffffffffU

#define UFIBER_MAX_SERVERS	256U
#define UFIBER_MAX_THREADS	32768U
/* Priorities of threads: 0, the usual one, to UFIBER_PRIORITIES - 1, the first. */
#define UFIBER_PRIORITIES	4U
/* The shortest and the longest quantum, in nanoseconds. */
#define UFIBER_MIN_QUANTUM	1000000ULL
#define UFIBER_MAX_QUANTUM	10000000000ULL
/* Powers of two that block to hand-off times are counted by. */
#define UFIBER_LATENCIES	32U

enum ufiber_thread_state {
	UFIBER_THREAD_FREE = 0,		/* no thread has this id */
	UFIBER_THREAD_RUNNING = 1,	/* holds a server */
	UFIBER_THREAD_BLOCKED = 2,	/* blocked in the kernel, server given away */
	UFIBER_THREAD_RUNNABLE = 3,	/* wants a server and waits for one */
	UFIBER_THREAD_IDLE = 4,		/* has no server and wants none of its own */
};

enum ufiber_server_state {
	UFIBER_SERVER_VACANT = 0,	/* nobody's */
	UFIBER_SERVER_HELD = 1,		/* held by a running thread */
	UFIBER_SERVER_POLLING = 2,	/* its holder sleeps and may be robbed of it */
	UFIBER_SERVER_OFFLINE = 3,	/* not in use: its number is too high */
};

/*
 * The owner word: a server state and, if HELD or POLLING, the id of the thread,
 * else 0.
 */
#define UFIBER_OWNER_SHIFT	24
#define UFIBER_OWNER(state, thread) \
	(((__u32)(state) << UFIBER_OWNER_SHIFT) | (__u32)(thread))
#define UFIBER_OWNER_STATE(word)	((__u32)(word) >> UFIBER_OWNER_SHIFT)
#define UFIBER_OWNER_THREAD(word) \
	((__u32)(word) & ((1U << UFIBER_OWNER_SHIFT) - 1))

/*
 * The shared memory: module-owned pages, mapped by the process with
 * mmap(NULL, setup.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0).
 * At offset 0 stands a struct ufiber_shared_domain, at setup.servers_offset an
 * array of struct ufiber_shared_server, at setup.threads_offset an array of
 * struct ufiber_shared_thread, at setup.ring_offset the ring, an array of
 * struct ufiber_event. A forked child does not inherit the mapping.
 *
 * The module never trusts what it reads here: it keeps its own copy of who
 * holds what, and a wrong value harms only the process that wrote it.
 */

/**
 * struct ufiber_shared_domain - what concerns all servers of a domain
 * @nr_runnable: threads in state RUNNABLE that wait for a server.
 *	Module writes. A server's holder that is about to switch fibers reads it
 *	and, if it is not 0, offers its server by WAIT. The module increments it
 *	*before* it looks for a POLLING server; a user that sets POLLING must
 *	read it *after* (both with full barriers), so one of the two sees the
 *	other and no RUNNABLE thread is left beside a polling server.
 * @nr_standby: threads that wait for any server (WAIT with STANDBY).
 *	Module writes; a user keeps it above 0 by starting threads, or a block
 *	leaves the server VACANT.
 * @nr_servers: servers in use; those of higher numbers are OFFLINE, or will be
 *	as soon as their holders have given them up. Module writes.
 * @ring_tail: events written to the ring since setup. Module writes, after the
 *	event: who reads it with acquire semantics finds the events before it.
 * @ring_lost: events that found the ring full and were dropped. Module writes.
 *	The threads' own words are the truth; who has lost events looks there.
 * @reserved0: 0.
 * @ring_head: events read from the ring since setup. The user writes, with
 *	release semantics, when it has read them; the module reads it to know
 *	whether the ring is full, and whether poll() has something to report. One
 *	at a time may read the ring. Who never reads it can leave it alone.
 * @reserved: 0.
 */
struct ufiber_shared_domain {
	__u32 nr_runnable;
	__u32 nr_standby;
	__u32 nr_servers;
	__u32 ring_tail;
	__u64 ring_lost;
	__u32 reserved0[10];
	__u32 ring_head;
	__u32 reserved[15];
};

/**
 * struct ufiber_shared_server - one server
 * @owner: the owner word, see UFIBER_OWNER(). The module writes it plainly
 *	whenever the server passes on. The holder may change HELD(self) to
 *	POLLING(self) before a sleep that it is ready to lose its server in
 *	(io_uring_enter), and back after it; both by compare-and-swap, since
 *	while the word is POLLING the module may swap it to HELD(another). A
 *	holder whose swap back fails has lost the server: it must do nothing
 *	that needs one and call WAIT. (In a USER_SCHED domain no thread takes a
 *	POLLING server: the holder learns of RUNNABLE threads by what it sleeps
 *	on, see EVENTFD.) Any other value a user writes is ignored
 *	and overwritten at the server's next passing on.
 * @waiting: not 0 while fibers, which the module knows nothing of, wait for the
 *	one that runs. Then of two holders that are preempted the one gives way to a
 *	standby thread, to run these, before RUNNABLE threads. The user writes, the
 *	module reads it at the end of each quantum, when a holder is preempted or
 *	switched in, when a thread is queued, and in QUANTUM: who makes it not 0 while
 *	the timer does not run calls that.
 * @dispatches: counted up by the user whenever it switches fibers on this
 *	server. If it has moved during a quantum, nobody is preempted.
 * @reserved0: 0.
 * @blocks: times a holder blocked and this server was given away. Module writes.
 * @handoffs: times this server passed to another thread directly when its
 *	holder blocked (the rest of @blocks left it VACANT). Module writes.
 * @takeovers: times an unblocked thread took this server, VACANT or POLLING,
 *	on its way to user mode. Module writes.
 * @grants: times this server was given to a thread, for whatever reason.
 *	Module writes.
 * @preempts: times a holder was preempted and this server was given away.
 *	Module writes. YIELD is no preemption, not even one that @kicked asked for.
 * @reserved: 0.
 */
struct ufiber_shared_server {
	__u32 owner;
	__u32 waiting;
	__u32 dispatches;
	__u32 reserved0;
	__u64 blocks;
	__u64 handoffs;
	__u64 takeovers;
	__u64 grants;
	__u64 preempts;
	__u64 reserved;
};

/**
 * struct ufiber_shared_thread - one registered thread
 * @state: enum ufiber_thread_state. Module writes, always after @server when
 *	the state becomes RUNNING, before it otherwise.
 * @server: the server that this thread holds, or UFIBER_NONE. Module writes;
 *	while the thread runs in user mode it changes from NONE to a server only
 *	if a signal took the thread there while it waited for one (RUNNABLE), and
 *	from a server to NONE only while the owner word is POLLING. It may be
 *	another one after any instruction that may block, and if there are kicks or
 *	quanta after any at all; but not while @critical is set.
 * @critical: not 0 while the thread must keep its server whatever it blocks
 *	on: the user's scheduler sets it on entry and clears it on leaving, with
 *	plain stores, and holds it only for short stretches of code that do not
 *	block by design. The user writes, the module reads it when the thread
 *	blocks or is to be preempted. A thread that ends gives its server away
 *	regardless.
 * @kicked: not 0 if the thread was to be preempted while @critical was set. The
 *	module writes, in the thread's own context, and makes it 0 whenever the
 *	thread loses its server (perhaps by another thread, if it polls), or
 *	calls WAIT with YIELD. The user reads it after
 *	clearing @critical, and if it is not 0 calls that.
 * @priority: 0 to UFIBER_PRIORITIES - 1, the more the sooner; more than that
 *	counts as the highest. The user writes, the module reads it when the
 *	thread becomes RUNNABLE.
 * @reserved0: 0.
 * @blocks: times this thread blocked and lost its server. Module writes. (Not
 *	counted: a signal handler that runs without a server blocks.)
 * @holds: times this thread was held at its return to user mode after a block,
 *	because no server was free. Module writes.
 * @preempts: times this thread was preempted, YIELD not counted. Module writes.
 * @reserved: 0.
 */
struct ufiber_shared_thread {
	__u32 state;
	__u32 server;
	__u32 critical;
	__u32 kicked;
	__u32 priority;
	__u32 reserved0;
	__u64 blocks;
	__u64 holds;
	__u64 preempts;
	__u64 reserved[2];
};

/* Why a thread appears in the ring. */
enum ufiber_reason {
	UFIBER_REASON_UNBLOCKED = 1,	/* what it blocked on has ended */
	UFIBER_REASON_PREEMPTED = 2,	/* by KICK or its server's quantum */
	UFIBER_REASON_WOKEN = 3,	/* by WAKE, at its timeout, or by ACQUIRE */
	UFIBER_REASON_YIELDED = 4,	/* by WAIT with YIELD */
	UFIBER_REASON_BLOCKED = 5,	/* it blocked and lost its server */
};

/**
 * struct ufiber_event - one entry of the ring
 *
 * A thread that becomes RUNNABLE is entered. In a domain set up with WATCH also
 * one that blocks, and one that finds a server at once. The n-th
 * event since setup is in entry n modulo setup.ring_entries. The module writes
 * all fields, before ring_tail.
 *
 * @cookie: the thread's, from REGISTER.
 * @time: when, in nanoseconds of CLOCK_MONOTONIC, as the time namespace of the
 *	caller of SETUP shows it.
 * @thread: the thread's id. It may have gone on since: its state tells.
 * @reason: enum ufiber_reason.
 * @server: with BLOCKED the server that it lost, else the one that it found at
 *	once, or UFIBER_NONE: it is RUNNABLE.
 * @reserved: 0.
 */
struct ufiber_event {
	__u64 cookie;
	__u64 time;
	__u32 thread;
	__u32 reason;
	__u32 server;
	__u32 reserved;
};

/* RUNNABLE threads are given servers by the user alone (HANDOVER). */
#define UFIBER_SETUP_USER_SCHED	(1U << 0)
/* The ring has all blocks and unblocks. */
#define UFIBER_SETUP_WATCH	(1U << 1)

/**
 * struct ufiber_setup - argument of UFIBER_IOC_SETUP
 * @size: in: sizeof(struct ufiber_setup).
 * @flags: in: UFIBER_SETUP_*.
 * @nr_servers: in: servers, 1 to @max_servers; all VACANT at first.
 * @max_threads: in: threads that may be registered at once, @max_servers to
 *	UFIBER_MAX_THREADS.
 * @mmap_size: out: bytes to map, a multiple of the page size.
 * @servers_offset: out: where the servers' array starts in the mapping.
 * @threads_offset: out: where the threads' array starts in the mapping.
 * @ring_offset: out: where the ring starts in the mapping.
 * @ring_entries: out: entries of the ring, a power of two and at least twice
 *	@max_threads.
 * @max_servers: in, out: servers that RESIZE can go up to, at most
 *	UFIBER_MAX_SERVERS; 0 stands for @nr_servers, and becomes that.
 * @reserved: in: 0.
 */
struct ufiber_setup {
	__u32 size;
	__u32 flags;
	__u32 nr_servers;
	__u32 max_threads;
	__u64 mmap_size;
	__u32 servers_offset;
	__u32 threads_offset;
	__u32 ring_offset;
	__u32 ring_entries;
	__u32 max_servers;
	__u32 reserved;
};

/**
 * struct ufiber_register - argument of UFIBER_IOC_REGISTER
 * @size: in: sizeof(struct ufiber_register).
 * @flags: in: 0.
 * @thread: out: the calling thread's id in this domain, below max_threads.
 * @reserved: in: 0.
 * @cookie: in: whatever the user likes to find in the thread's events.
 */
struct ufiber_register {
	__u32 size;
	__u32 flags;
	__u32 thread;
	__u32 reserved;
	__u64 cookie;
};

/* Wait for any server, as a standby thread. */
#define UFIBER_WAIT_STANDBY	(1U << 0)
/* Give my server to the thread @next, then park. */
#define UFIBER_WAIT_HANDOVER	(1U << 1)
/* Do not park: become RUNNABLE, and return as soon as I hold a server. */
#define UFIBER_WAIT_ACQUIRE	(1U << 2)
/* @timeout is valid. */
#define UFIBER_WAIT_TIMEOUT	(1U << 3)
/* Do not park: let the next one have my server, and be RUNNABLE behind it. */
#define UFIBER_WAIT_YIELD	(1U << 4)
/*
 * With STANDBY, in a USER_SCHED domain: not before a thread is RUNNABLE. It counts
 * threads, not events: who leaves one RUNNABLE for later waits by poll() instead.
 */
#define UFIBER_WAIT_WORK	(1U << 5)

/**
 * struct ufiber_wait - argument of UFIBER_IOC_WAIT
 * @size: in: sizeof(struct ufiber_wait).
 * @flags: in: UFIBER_WAIT_*. ACQUIRE and YIELD go with TIMEOUT at most, WORK
 *	with STANDBY and not with HANDOVER.
 * @next: in: with HANDOVER, the thread to hand the server to; else 0.
 * @clock: in: with TIMEOUT, the clock of @timeout: CLOCK_MONOTONIC,
 *	CLOCK_REALTIME (which is 0), CLOCK_BOOTTIME or CLOCK_TAI; else 0.
 * @timeout: in: with TIMEOUT, when to give up: nanoseconds, absolute, as the clock
 *	is in the caller's time namespace; else 0. If
 *	it has passed, STANDBY, ACQUIRE and YIELD still return a server that they
 *	need not wait for.
 */
struct ufiber_wait {
	__u32 size;
	__u32 flags;
	__u32 next;
	__u32 clock;
	__u64 timeout;
};

/* End the thread's wait with ECANCELED, without a server. */
#define UFIBER_WAKE_CANCEL	(1U << 0)

/**
 * struct ufiber_wake - argument of UFIBER_IOC_WAKE
 * @size: in: sizeof(struct ufiber_wake).
 * @flags: in: UFIBER_WAKE_*.
 * @thread: in: whom to wake.
 * @reserved: in: 0.
 */
struct ufiber_wake {
	__u32 size;
	__u32 flags;
	__u32 thread;
	__u32 reserved;
};

/* The thread sleeps in UFIBER_IOC_WAIT. */
#define UFIBER_QUERY_WAITING		(1U << 0)
/* The thread sleeps on its way to user mode, held for want of a server. */
#define UFIBER_QUERY_HELD		(1U << 1)
/* A wake came before its wait; the next WAIT returns at once. */
#define UFIBER_QUERY_WAKE_PENDING	(1U << 2)
/* The thread is in the list of standby threads. */
#define UFIBER_QUERY_STANDBY		(1U << 3)
/* It has been asked to give its server up and has not come to that yet. */
#define UFIBER_QUERY_KICKED		(1U << 4)
/* It waits with WORK; it then is not in the list of standby threads. */
#define UFIBER_QUERY_WORK		(1U << 5)

/**
 * struct ufiber_target - argument of UFIBER_IOC_KICK
 * @size: in: sizeof(struct ufiber_target).
 * @flags: in: 0.
 * @thread: in: which thread.
 * @reserved: in: 0.
 */
struct ufiber_target {
	__u32 size;
	__u32 flags;
	__u32 thread;
	__u32 reserved;
};

/* Only the block that is told, none that came after it. */
#define UFIBER_INTERRUPT_BLOCK	(1U << 0)

/**
 * struct ufiber_interrupt - argument of UFIBER_IOC_INTERRUPT
 * @size: in: sizeof(struct ufiber_interrupt).
 * @flags: in: UFIBER_INTERRUPT_BLOCK or 0.
 * @thread: in: which thread.
 * @reserved: in: 0.
 * @block: in: with BLOCK: what the thread's count of blocks (@blocks in struct
 *	ufiber_shared_thread) is in that block; else 0.
 */
struct ufiber_interrupt {
	__u32 size;
	__u32 flags;
	__u32 thread;
	__u32 reserved;
	__u64 block;
};

/**
 * struct ufiber_quantum - argument of UFIBER_IOC_QUANTUM
 * @size: in: sizeof(struct ufiber_quantum).
 * @flags: in: 0.
 * @server: in: which server, or UFIBER_NONE: all that there can be.
 * @reserved: in: 0.
 * @quantum: in: nanoseconds, UFIBER_MIN_QUANTUM to UFIBER_MAX_QUANTUM, or 0:
 *	none.
 */
struct ufiber_quantum {
	__u32 size;
	__u32 flags;
	__u32 server;
	__u32 reserved;
	__u64 quantum;
};

/**
 * struct ufiber_resize - argument of UFIBER_IOC_RESIZE
 * @size: in: sizeof(struct ufiber_resize).
 * @flags: in: 0.
 * @nr_servers: in: servers that are to be in use, 1 to setup.max_servers.
 * @reserved: in: 0.
 */
struct ufiber_resize {
	__u32 size;
	__u32 flags;
	__u32 nr_servers;
	__u32 reserved;
};

/**
 * struct ufiber_eventfd - argument of UFIBER_IOC_EVENTFD
 * @size: in: sizeof(struct ufiber_eventfd).
 * @flags: in: 0.
 * @fd: in: an eventfd(2), or -1: none any more.
 * @reserved: in: 0.
 */
struct ufiber_eventfd {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 reserved;
};

/**
 * struct ufiber_query - argument of UFIBER_IOC_QUERY
 *
 * All answers are of one moment and from the module's own records, but for
 * POLLING, which is a word of the holder's: its owner word tells it from HELD.
 *
 * @size: in: sizeof(struct ufiber_query).
 * @flags: in: 0.
 * @thread: in: the thread asked about, or UFIBER_NONE.
 * @server: in: the server asked about, or UFIBER_NONE.
 * @thread_state: out: enum ufiber_thread_state.
 * @thread_server: out: the server it holds, or UFIBER_NONE.
 * @thread_flags: out: UFIBER_QUERY_*.
 * @thread_tid: out: its kernel thread id in the caller's pid namespace, 0 if it
 *	has none there.
 * @server_state: out: enum ufiber_server_state.
 * @server_thread: out: the thread that holds it, or UFIBER_NONE.
 * @nr_threads: out: registered threads.
 * @nr_runnable: out: threads in state RUNNABLE.
 * @nr_standby: out: threads in the list of standby threads.
 * @nr_vacant: out: servers in state VACANT.
 * @nr_servers: out: servers in use.
 * @reserved: in: 0.
 */
struct ufiber_query {
	__u32 size;
	__u32 flags;
	__u32 thread;
	__u32 server;
	__u32 thread_state;
	__u32 thread_server;
	__u32 thread_flags;
	__u32 thread_tid;
	__u32 server_state;
	__u32 server_thread;
	__u32 nr_threads;
	__u32 nr_runnable;
	__u32 nr_standby;
	__u32 nr_vacant;
	__u32 nr_servers;
	__u32 reserved;
};

/**
 * struct ufiber_stats - argument of UFIBER_IOC_STATS
 *
 * What a thread and a server have done since REGISTER and SETUP, and how long
 * hand-offs took in the whole domain. All answers are of one moment. Times are
 * in nanoseconds; those of a thread add up to the time since REGISTER.
 *
 * @size: in: sizeof(struct ufiber_stats).
 * @flags: in: 0.
 * @thread: in: the thread asked about, or UFIBER_NONE.
 * @server: in: the server asked about, or UFIBER_NONE.
 * @time_running: out: the thread held a server.
 * @time_blocked: out: it was blocked in the kernel, its server given away.
 * @time_held: out: it was RUNNABLE after a block, a wake or the like.
 * @time_preempted: out: it was RUNNABLE after a preemption or YIELD.
 * @time_idle: out: it was IDLE.
 * @thread_blocks: out: as in struct ufiber_shared_thread.
 * @thread_holds: out: as there.
 * @thread_preempts: out: as there.
 * @server_time: out: the server was HELD or POLLING.
 * @server_blocks: out: as in struct ufiber_shared_server.
 * @server_handoffs: out: as there.
 * @server_takeovers: out: as there.
 * @server_grants: out: as there.
 * @server_preempts: out: as there.
 * @latency: out: hand-offs of the domain (@server_handoffs) that have arrived, by
 *	the time from the block to the next thread going on: entry n counts those
 *	of 2^n to 2^(n+1) - 1 ns, the last one also those that took longer, the
 *	first one also 0 ns.
 */
struct ufiber_stats {
	__u32 size;
	__u32 flags;
	__u32 thread;
	__u32 server;
	__u64 time_running;
	__u64 time_blocked;
	__u64 time_held;
	__u64 time_preempted;
	__u64 time_idle;
	__u64 thread_blocks;
	__u64 thread_holds;
	__u64 thread_preempts;
	__u64 server_time;
	__u64 server_blocks;
	__u64 server_handoffs;
	__u64 server_takeovers;
	__u64 server_grants;
	__u64 server_preempts;
	__u64 latency[UFIBER_LATENCIES];
};

/*
 * The calls. The size travels in the structure, so it is not in the number.
 *
 * Errors of every call, the first that applies (but a call for registered threads
 * looks for ENXIO before it reads its argument):
 *   EBADFD  the domain has not been set up (all calls but SETUP)
 *   EPERM   the domain belongs to another address space: another process, or
 *           this one before exec
 *   ENOTTY  no such call
 *   EFAULT  the argument cannot be read or written
 *   EINVAL  size below the first version's, an unknown flag, a non-zero padding
 *   E2BIG   size above a page, or non-zero bytes this kernel does not know
 */

/*
 * UFIBER_IOC_SETUP: make this descriptor a domain of the calling process.
 *   EINVAL  nr_servers, max_servers or max_threads out of range
 *   EBUSY   the descriptor has been set up already
 *   ENOMEM  no memory for the shared pages; the out fields may be written then
 */
#define UFIBER_IOC_SETUP	_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xf0, 0)

/*
 * UFIBER_IOC_REGISTER: the calling thread joins the domain, in state IDLE and
 * without a server; it gets its first one by WAIT.
 *   EEXIST  it is registered in this domain already
 *   EBUSY   it is registered in another domain
 *   ENOSPC  max_threads are registered
 *   ENOMEM  no memory
 */
#define UFIBER_IOC_REGISTER	_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xf1, 0)

/*
 * UFIBER_IOC_UNREGISTER: the calling thread leaves, and gives its server away
 * if it holds one. The argument is 0. A thread that ends without this call
 * leaves by itself, when it is scheduled for the last time; one that execs, at
 * its first switch after.
 *   EINVAL  the argument is not 0
 *   ENXIO   it is not registered in this domain
 */
#define UFIBER_IOC_UNREGISTER	_IOC(_IOC_NONE, 'U', 0xf2, 0)

/*
 * UFIBER_IOC_WAIT: give up the server and sleep until given one.
 *
 * A WAKE or a CANCEL that came before comes first: see there.
 *
 * The calling thread's server, if it holds one, goes with HANDOVER to @next,
 * which must wait too (IDLE in WAIT, or RUNNABLE); otherwise to the thread that
 * is first among the RUNNABLE; failing that, with STANDBY the caller keeps it
 * and the call returns; failing that to a standby thread, the one that had this
 * server last if it stands by; else it is VACANT. (In a USER_SCHED domain it goes
 * to no RUNNABLE thread, and with WORK the caller keeps it only if there is one.)
 * The caller then is IDLE. It is given a server
 *   - by a HANDOVER to it,
 *   - by WAKE: a free one at once, or it queues as RUNNABLE for the next (in a
 *     USER_SCHED domain it always queues),
 *   - as a standby (STANDBY), when any server is free; with WORK, when a server
 *     is free and a thread is RUNNABLE, or becomes so: one caller for each.
 * A WAKE that came before the wait is not lost: the call returns at once, the
 * caller keeps its server (or becomes RUNNABLE if it has none), and a HANDOVER
 * does not take place. ACQUIRE and YIELD, which are no waits to be woken from,
 * leave it to the next call.
 *
 * With ACQUIRE the call gives nothing up (unless a CANCEL came before): it
 * returns at once if the caller holds a server, else the caller is RUNNABLE
 * until it gets one.
 *
 * With YIELD the server goes to the one that waited first, as told above, and the
 * caller is RUNNABLE until it gets one again. If nobody waits, or the caller has
 * no server, this is ACQUIRE. In a USER_SCHED domain only those wait who stand
 * by, with WORK or without.
 *
 * Nobody keeps a server that RESIZE takes out of use, but with ACQUIRE.
 *
 * Returns the number of the server that the thread now holds (until it is
 * preempted: with kicks or quanta read @server in a critical section), or
 *   EINVAL     flags do not go together, @next is the caller, @next without
 *              HANDOVER or @timeout or @clock without TIMEOUT is not 0, @timeout
 *              is above the largest signed 64-bit number, no such @clock, WORK
 *              in a domain that is not USER_SCHED
 *   ENXIO      the caller is not registered in this domain
 *   ESRCH      @next is no registered thread; nothing has changed
 *   EAGAIN     @next does not wait, or the caller has no server to hand over;
 *              nothing has changed
 *   ETIMEDOUT  the time has come. With STANDBY, ACQUIRE or YIELD the caller is
 *              IDLE without a server; any other first gets a server, as one
 *              that was woken does, and the thread's shared words tell which
 *   ECANCELED  WAKE with CANCEL; the thread is IDLE without a server
 *   EINTR      a signal handler ran; the thread was IDLE without a server, or
 *              RUNNABLE, which it stays and may be granted a server at any time.
 *              What had been handed over stays so. The next WAIT, whatever its
 *              flags, goes on with this one, so that a HANDOVER in it is not
 *              made again: call it before anything else. With SA_RESTART that
 *              happens by itself.
 */
#define UFIBER_IOC_WAIT		_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xf3, 0)

/*
 * UFIBER_IOC_HANDOVER: a WAIT with HANDOVER and nothing else, in fewer
 * instructions.
 *
 * The argument is @next itself, the id of the thread to hand the server to. All
 * else is as for such a WAIT: what it returns, and that either call goes on with
 * a wait that a signal has broken. What it returns by itself:
 *   EINVAL     the argument is the caller's own id
 *   ENXIO      as for WAIT
 *   ESRCH      the argument is no registered thread's id; nothing has changed
 *   EAGAIN     as for WAIT
 *   ECANCELED  as for WAIT
 *   EINTR      as for WAIT
 */
#define UFIBER_IOC_HANDOVER	_IOC(_IOC_NONE, 'U', 0xfc, 0)

/*
 * UFIBER_IOC_WAKE: end a thread's wait, or the next one if it does not wait (one,
 * however often this is called). Any thread of the process may call it,
 * registered or not.
 *
 * Without flags, a thread that waits gets a server as told above. With CANCEL its
 * wait ends with ECANCELED and without a server, even if it would have returned
 * at once holding one; only a thread that was granted a server before returns
 * with that, and the cancel waits for its next WAIT.
 *   ESRCH   no such thread
 */
#define UFIBER_IOC_WAKE		_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xf4, 0)

/*
 * UFIBER_IOC_QUERY: read the module's own state. Any thread of the process may
 * call it, registered or not.
 *   EINVAL  no such server
 *   ESRCH   no such thread
 */
#define UFIBER_IOC_QUERY	_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xf5, 0)

/*
 * UFIBER_IOC_KICK: ask a RUNNING thread to give its server up. It does at its
 * return to user mode, at the latest; with @critical set, when it leaves the
 * critical section (see @kicked; or it happens at once after, and that is 0). It
 * is RUNNABLE then, behind the others of its priority, and who waited first has
 * the server, as by WAIT with YIELD: so a thread of lower priority may have it. If
 * nobody waits it keeps the server, and if it loses it otherwise before, that is
 * all. Any thread of the process may call it, registered or not.
 *   ESRCH   no such thread
 *   EAGAIN  the thread is not RUNNING
 */
#define UFIBER_IOC_KICK		_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xf6, 0)

/*
 * UFIBER_IOC_QUANTUM: how long a server's holder may run without switching
 * fibers (@dispatches), while somebody waits (a RUNNABLE thread, or @waiting),
 * before it is preempted as by KICK. A preemption takes place between one and two
 * quanta after. No timer runs while nobody waits or the holder is not on a
 * processor; the call starts it if @waiting has just been set. Off at first. Any
 * thread of the process may call it, registered or not.
 *   EINVAL  no such server, or @quantum out of range
 */
#define UFIBER_IOC_QUANTUM	_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xf7, 0)

/*
 * UFIBER_IOC_INTERRUPT: make the system call that a BLOCKED thread sleeps in
 * return EINTR, as a signal with a handler and without SA_RESTART would, but with
 * no signal. A call that cannot be interrupted, or never returns EINTR, goes on, and
 * one that ends by itself at that moment returns what it has; the next call is never
 * affected. With BLOCK, only if the thread is in the block of that number: who
 * means what the thread does for somebody, and not the thread, reads @blocks, makes
 * sure that it still does that, and gives this number. A block that is not counted
 * has none. (A thread that has been in a call without sleeping since, and blocks in
 * another one within 50 us, without a server all that time, is in the same block.)
 * io_uring_enter() does not return for this, nor a thread that is stopped by a
 * signal, a debugger or the freezer just then: if it matters, repeat it. Any thread of the
 * process may call it, registered or not.
 *   ESRCH   no such thread
 *   EAGAIN  the thread is not BLOCKED, or not asleep in its call just now, or in
 *           another block
 */
#define UFIBER_IOC_INTERRUPT	_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xf8, 0)

/*
 * UFIBER_IOC_RESIZE: change the number of servers in use. New ones are VACANT,
 * or at once given to who waits. Those beyond are OFFLINE: at once if VACANT or
 * POLLING, else as soon as the holder gives them up, which it is kicked for
 * (even if nobody waits; it counts as a preemption); a HANDOVER of such a server
 * wakes @next instead. One that is put into use again before that stays with its
 * holder, unless somebody waits for it. Any thread of the process may call it,
 * registered or not.
 *   EINVAL  nr_servers out of range
 */
#define UFIBER_IOC_RESIZE	_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xf9, 0)

/*
 * UFIBER_IOC_EVENTFD: add 1 to this eventfd when events are written to the ring
 * (several in quick succession may count as one: @ring_tail tells how many there
 * are). The descriptor may be closed afterwards. There are two more ways to wait
 * for events: poll(2) on the domain's descriptor, which is readable while
 * @ring_head is not @ring_tail, also by IORING_OP_POLL_ADD (POLLERR if it is no
 * domain of the caller); and UFIBER_URING_WAIT. Any thread of the process may call
 * it, registered or not.
 *   EBADF   not a descriptor
 *   EINVAL  not an eventfd
 */
#define UFIBER_IOC_EVENTFD	_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xfa, 0)

/*
 * UFIBER_IOC_STATS: read the accounts. Any thread of the process may call it,
 * registered or not.
 *   EINVAL  no such server
 *   ESRCH   no such thread
 */
#define UFIBER_IOC_STATS	_IOC(_IOC_READ | _IOC_WRITE, 'U', 0xfb, 0)

/*
 * UFIBER_URING_WAIT: the command (sqe->cmd_op) of an IORING_OP_URING_CMD on the
 * domain's descriptor. It completes with 0 as soon as @ring_tail is not the number
 * in the first four bytes of the command's data (sqe->cmd, 16 bytes): events have
 * been written after those that the user knows of. So one io_uring_enter() waits for
 * IO and for threads.
 *   EBADFD, EPERM  as for the other calls
 *   EINVAL         another command, or the rest of the data is not 0
 *   EOPNOTSUPP     the kernel cannot cancel commands (before 6.8; there this comes
 *                  before all others): IORING_OP_POLL_ADD does the same
 *   ECANCELED      its ring is being closed, or the thread that submitted it
 *                  ends. (IORING_OP_ASYNC_CANCEL does not know commands.)
 */
#define UFIBER_URING_WAIT	1U

#endif /* _UAPI_LINUX_UFIBER_H */
