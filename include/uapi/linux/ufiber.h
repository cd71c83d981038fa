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
 *
 * The interface follows UMCG (Peter Oskolkov, Google, 2021) in what it offers;
 * it differs in that the module, not user memory, owns the state, so the
 * scheduler path neither pins nor faults, and in that fibers outnumber threads.
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
};

/*
 * The owner word: a server state and, unless VACANT, the id of the thread.
 * VACANT is the word 0.
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
 * struct ufiber_shared_thread. A forked child does not inherit the mapping.
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
 * @reserved: 0.
 */
struct ufiber_shared_domain {
	__u32 nr_runnable;
	__u32 nr_standby;
	__u32 reserved[14];
};

/**
 * struct ufiber_shared_server - one server
 * @owner: the owner word, see UFIBER_OWNER(). The module writes it plainly
 *	whenever the server passes on. The holder may change HELD(self) to
 *	POLLING(self) before a sleep that it is ready to lose its server in
 *	(io_uring_enter), and back after it; both by compare-and-swap, since
 *	while the word is POLLING the module may swap it to HELD(another). A
 *	holder whose swap back fails has lost the server: it must do nothing
 *	that needs one and call WAIT. Any other value a user writes is ignored
 *	and overwritten at the server's next passing on.
 * @reserved0: 0.
 * @blocks: times a holder blocked and this server was given away. Module writes.
 * @handoffs: times this server passed to another thread directly when its
 *	holder blocked (the rest of @blocks left it VACANT). Module writes.
 * @takeovers: times an unblocked thread took this server, VACANT or POLLING,
 *	on its way to user mode. Module writes.
 * @grants: times this server was given to a thread, for whatever reason.
 *	Module writes.
 * @reserved: 0.
 */
struct ufiber_shared_server {
	__u32 owner;
	__u32 reserved0;
	__u64 blocks;
	__u64 handoffs;
	__u64 takeovers;
	__u64 grants;
	__u64 reserved[3];
};

/**
 * struct ufiber_shared_thread - one registered thread
 * @state: enum ufiber_thread_state. Module writes, always after @server when
 *	the state becomes RUNNING, before it otherwise.
 * @server: the server that this thread holds, or UFIBER_NONE. Module writes;
 *	while the thread runs in user mode it changes from NONE to a server only
 *	if a signal took the thread there while it waited for one (RUNNABLE), and
 *	from a server to NONE only while the owner word is POLLING.
 * @critical: not 0 while the thread must keep its server whatever it blocks
 *	on: the user's scheduler sets it on entry and clears it on leaving, with
 *	plain stores, and holds it only for short stretches of code that do not
 *	block by design. The user writes, the module reads it when the thread
 *	blocks. A thread that ends gives its server away regardless.
 * @reserved0: 0.
 * @blocks: times this thread blocked and lost its server. Module writes.
 * @holds: times this thread was held at its return to user mode, because no
 *	server was free. Module writes.
 * @reserved: 0.
 */
struct ufiber_shared_thread {
	__u32 state;
	__u32 server;
	__u32 critical;
	__u32 reserved0;
	__u64 blocks;
	__u64 holds;
	__u64 reserved[4];
};

/**
 * struct ufiber_setup - argument of UFIBER_IOC_SETUP
 * @size: in: sizeof(struct ufiber_setup).
 * @flags: in: 0.
 * @nr_servers: in: servers, 1 to UFIBER_MAX_SERVERS; all VACANT at first.
 * @max_threads: in: threads that may be registered at once, @nr_servers to
 *	UFIBER_MAX_THREADS.
 * @mmap_size: out: bytes to map, a multiple of the page size.
 * @servers_offset: out: where the servers' array starts in the mapping.
 * @threads_offset: out: where the threads' array starts in the mapping.
 */
struct ufiber_setup {
	__u32 size;
	__u32 flags;
	__u32 nr_servers;
	__u32 max_threads;
	__u64 mmap_size;
	__u32 servers_offset;
	__u32 threads_offset;
};

/**
 * struct ufiber_register - argument of UFIBER_IOC_REGISTER
 * @size: in: sizeof(struct ufiber_register).
 * @flags: in: 0.
 * @thread: out: the calling thread's id in this domain, below max_threads.
 * @reserved: in: 0.
 */
struct ufiber_register {
	__u32 size;
	__u32 flags;
	__u32 thread;
	__u32 reserved;
};

/* Wait for any server, as a standby thread. */
#define UFIBER_WAIT_STANDBY	(1U << 0)
/* Give my server to the thread @next, then park. */
#define UFIBER_WAIT_HANDOVER	(1U << 1)
/* Do not park: become RUNNABLE, and return as soon as I hold a server. */
#define UFIBER_WAIT_ACQUIRE	(1U << 2)
/* @timeout is valid. */
#define UFIBER_WAIT_TIMEOUT	(1U << 3)

/**
 * struct ufiber_wait - argument of UFIBER_IOC_WAIT
 * @size: in: sizeof(struct ufiber_wait).
 * @flags: in: UFIBER_WAIT_*. ACQUIRE goes with TIMEOUT at most.
 * @next: in: with HANDOVER, the thread to hand the server to; else 0.
 * @reserved: in: 0.
 * @timeout: in: with TIMEOUT, when to give up: nanoseconds, absolute,
 *	CLOCK_MONOTONIC; else 0.
 */
struct ufiber_wait {
	__u32 size;
	__u32 flags;
	__u32 next;
	__u32 reserved;
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
};

/*
 * The calls. The size travels in the structure, so it is not in the number.
 *
 * Errors of every call, the first that applies:
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
 *   EINVAL  nr_servers or max_threads out of range
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
 * has been RUNNABLE longest; failing that, with STANDBY the caller keeps it
 * and the call returns; failing that to a standby thread; else it is VACANT.
 * The caller then is IDLE. It is given a server
 *   - by a HANDOVER to it,
 *   - by WAKE: a free one at once, or it queues as RUNNABLE for the next,
 *   - as a standby (STANDBY), when any server is free.
 * A WAKE that came before the wait is not lost: the call returns at once, the
 * caller keeps its server (or becomes RUNNABLE if it has none), and a HANDOVER
 * does not take place.
 *
 * With ACQUIRE the call gives nothing up (unless a CANCEL came before): it
 * returns at once if the caller holds a server, else the caller is RUNNABLE
 * until it gets one.
 *
 * Returns the number of the server that the thread now holds, or
 *   EINVAL     flags do not go together, @next is the caller, @next without
 *              HANDOVER or @timeout without TIMEOUT is not 0, @timeout is above
 *              the largest signed 64-bit number
 *   ENXIO      the caller is not registered in this domain
 *   ESRCH      @next is no registered thread; nothing has changed
 *   EAGAIN     @next does not wait, or the caller has no server to hand over;
 *              nothing has changed
 *   ETIMEDOUT  the time has come. With STANDBY or ACQUIRE the caller then is
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

#endif /* _UAPI_LINUX_UFIBER_H */
