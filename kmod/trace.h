/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: each change of a thread's state, and what one thread asks of
 * another. Documentation/tracing.rst says what they mean and how to use them.
 *
 * All but ufiber_handoff, which changes no state, are hit under domain->lock, some of
 * them under a rq lock too; so what stands here only copies fields. Each comes where
 * what it tells has been done or is about to be, under the same hold of the lock: the
 * order of a domain's events is the order of its states.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ufiber

#if !defined(UFIBER_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define UFIBER_TRACE_H

#include <linux/sched.h>
#include <linux/tracepoint.h>

#include "ufiber.h"

/* Fields that all events of a thread begin with. */
#define UF_THREAD_FIELDS				\
	__field(u64, domain)				\
	__field(u32, thread)				\
	__field(pid_t, pid)				\
	__field(u64, cookie)
#define UF_THREAD_ASSIGN(t) do {			\
	__entry->domain = (t)->domain->serial;		\
	__entry->thread = (t)->id;			\
	__entry->pid = (t)->task->pid;			\
	__entry->cookie = (t)->cookie;			\
} while (0)
#define UF_THREAD_FORMAT "domain=%llu thread=%u pid=%d cookie=0x%llx"
#define UF_THREAD_PRINT					\
	__entry->domain, __entry->thread, __entry->pid, __entry->cookie

/* Why a thread is kicked. */
#ifndef UF_KICK_CAUSES
#define UF_KICK_CAUSES
enum uf_kick_cause {
	UF_KICK_CALL,		/* UFIBER_IOC_KICK */
	UF_KICK_QUANTUM,	/* its server's quantum is over */
	UF_KICK_RESIZE,		/* its server goes out of use */
};

/* As a number for tracers, who find -1 handier than UFIBER_NONE. */
static inline int uf_trace_server(const struct uf_server *server)
{
	return server ? server->id : -1;
}
#endif

TRACE_DEFINE_ENUM(UFIBER_REASON_UNBLOCKED);
TRACE_DEFINE_ENUM(UFIBER_REASON_PREEMPTED);
TRACE_DEFINE_ENUM(UFIBER_REASON_WOKEN);
TRACE_DEFINE_ENUM(UFIBER_REASON_YIELDED);
TRACE_DEFINE_ENUM(UF_KICK_CALL);
TRACE_DEFINE_ENUM(UF_KICK_QUANTUM);
TRACE_DEFINE_ENUM(UF_KICK_RESIZE);

#define uf_show_reason(reason)				\
	__print_symbolic(reason,			\
		{ UFIBER_REASON_UNBLOCKED, "unblocked" },	\
		{ UFIBER_REASON_PREEMPTED, "preempted" },	\
		{ UFIBER_REASON_WOKEN, "woken" },		\
		{ UFIBER_REASON_YIELDED, "yielded" })

DECLARE_EVENT_CLASS(ufiber_thread,

	TP_PROTO(const struct uf_thread *thread),

	TP_ARGS(thread),

	TP_STRUCT__entry(
		UF_THREAD_FIELDS
	),

	TP_fast_assign(
		UF_THREAD_ASSIGN(thread);
	),

	TP_printk(UF_THREAD_FORMAT, UF_THREAD_PRINT)
);

DECLARE_EVENT_CLASS(ufiber_server,

	TP_PROTO(const struct uf_thread *thread, const struct uf_server *server),

	TP_ARGS(thread, server),

	TP_STRUCT__entry(
		UF_THREAD_FIELDS
		__field(int, server)
	),

	TP_fast_assign(
		UF_THREAD_ASSIGN(thread);
		__entry->server = uf_trace_server(server);
	),

	TP_printk(UF_THREAD_FORMAT " server=%d",
		  UF_THREAD_PRINT, __entry->server)
);

/* It has been registered: IDLE. */
DEFINE_EVENT(ufiber_thread, ufiber_join,
	TP_PROTO(const struct uf_thread *thread), TP_ARGS(thread));

/* Registered no longer; @server is what it held. */
DEFINE_EVENT(ufiber_server, ufiber_leave,
	TP_PROTO(const struct uf_thread *thread, const struct uf_server *server),
	TP_ARGS(thread, server));

/*
 * BLOCKED, @server is what it lost by that (none: it was RUNNABLE, in a signal
 * handler). Current is the thread, on its way into the sleep.
 */
DEFINE_EVENT(ufiber_server, ufiber_block,
	TP_PROTO(const struct uf_thread *thread, const struct uf_server *server),
	TP_ARGS(thread, server));

/* The block is over, and the thread wants a server: grant or hold follows. */
DEFINE_EVENT(ufiber_thread, ufiber_unblock,
	TP_PROTO(const struct uf_thread *thread), TP_ARGS(thread));

/* RUNNING, with @server. */
DEFINE_EVENT(ufiber_server, ufiber_grant,
	TP_PROTO(const struct uf_thread *thread, const struct uf_server *server),
	TP_ARGS(thread, server));

/* IDLE, and @server is what it gave up for that, or was robbed of. */
DEFINE_EVENT(ufiber_server, ufiber_idle,
	TP_PROTO(const struct uf_thread *thread, const struct uf_server *server),
	TP_ARGS(thread, server));

/* INTERRUPT is about to be carried out on it. */
DEFINE_EVENT(ufiber_thread, ufiber_interrupt,
	TP_PROTO(const struct uf_thread *thread), TP_ARGS(thread));

/* RUNNABLE: there was no server for it. */
TRACE_EVENT(ufiber_hold,

	TP_PROTO(const struct uf_thread *thread, enum ufiber_reason reason),

	TP_ARGS(thread, reason),

	TP_STRUCT__entry(
		UF_THREAD_FIELDS
		__field(u32, reason)
	),

	TP_fast_assign(
		UF_THREAD_ASSIGN(thread);
		__entry->reason = reason;
	),

	TP_printk(UF_THREAD_FORMAT " reason=%s",
		  UF_THREAD_PRINT, uf_show_reason(__entry->reason))
);

/* It has lost @server, to make way; grant or hold follows. */
TRACE_EVENT(ufiber_preempt,

	TP_PROTO(const struct uf_thread *thread, const struct uf_server *server,
		 enum ufiber_reason reason),

	TP_ARGS(thread, server, reason),

	TP_STRUCT__entry(
		UF_THREAD_FIELDS
		__field(int, server)
		__field(u32, reason)
	),

	TP_fast_assign(
		UF_THREAD_ASSIGN(thread);
		__entry->server = uf_trace_server(server);
		__entry->reason = reason;
	),

	TP_printk(UF_THREAD_FORMAT " server=%d reason=%s", UF_THREAD_PRINT,
		  __entry->server, uf_show_reason(__entry->reason))
);

/* It is asked to give its server up. */
TRACE_EVENT(ufiber_kick,

	TP_PROTO(const struct uf_thread *thread, enum uf_kick_cause cause),

	TP_ARGS(thread, cause),

	TP_STRUCT__entry(
		UF_THREAD_FIELDS
		__field(int, server)
		__field(u32, cause)
	),

	TP_fast_assign(
		UF_THREAD_ASSIGN(thread);
		__entry->server = uf_trace_server(thread->server);
		__entry->cause = cause;
	),

	TP_printk(UF_THREAD_FORMAT " server=%d cause=%s", UF_THREAD_PRINT,
		  __entry->server,
		  __print_symbolic(__entry->cause,
				   { UF_KICK_CALL, "kick" },
				   { UF_KICK_QUANTUM, "quantum" },
				   { UF_KICK_RESIZE, "resize" }))
);

/* It calls WAIT, holding @server; what comes of it follows. */
TRACE_EVENT(ufiber_wait,

	TP_PROTO(const struct uf_thread *thread, u32 flags),

	TP_ARGS(thread, flags),

	TP_STRUCT__entry(
		UF_THREAD_FIELDS
		__field(int, server)
		__field(u32, flags)
	),

	TP_fast_assign(
		UF_THREAD_ASSIGN(thread);
		__entry->server = uf_trace_server(thread->server);
		__entry->flags = flags;
	),

	TP_printk(UF_THREAD_FORMAT " server=%d flags=%s", UF_THREAD_PRINT,
		  __entry->server,
		  __entry->flags ?
		  __print_flags(__entry->flags, "|",
				{ UFIBER_WAIT_STANDBY, "STANDBY" },
				{ UFIBER_WAIT_HANDOVER, "HANDOVER" },
				{ UFIBER_WAIT_ACQUIRE, "ACQUIRE" },
				{ UFIBER_WAIT_TIMEOUT, "TIMEOUT" },
				{ UFIBER_WAIT_YIELD, "YIELD" },
				{ UFIBER_WAIT_WORK, "WORK" }) : "0")
);

/* WAKE is about to be carried out on it. */
TRACE_EVENT(ufiber_wake,

	TP_PROTO(const struct uf_thread *thread, u32 flags),

	TP_ARGS(thread, flags),

	TP_STRUCT__entry(
		UF_THREAD_FIELDS
		__field(u32, flags)
	),

	TP_fast_assign(
		UF_THREAD_ASSIGN(thread);
		__entry->flags = flags;
	),

	TP_printk(UF_THREAD_FORMAT " flags=%s", UF_THREAD_PRINT,
		  __entry->flags & UFIBER_WAKE_CANCEL ? "CANCEL" : "0")
);

/* @thread gives @server to @next, by WAIT with HANDOVER. */
TRACE_EVENT(ufiber_handover,

	TP_PROTO(const struct uf_thread *thread, const struct uf_server *server,
		 const struct uf_thread *next),

	TP_ARGS(thread, server, next),

	TP_STRUCT__entry(
		UF_THREAD_FIELDS
		__field(int, server)
		__field(u32, next)
		__field(pid_t, next_pid)
	),

	TP_fast_assign(
		UF_THREAD_ASSIGN(thread);
		__entry->server = uf_trace_server(server);
		__entry->next = next->id;
		__entry->next_pid = next->task->pid;
	),

	TP_printk(UF_THREAD_FORMAT " server=%d next=%u next_pid=%d",
		  UF_THREAD_PRINT, __entry->server, __entry->next,
		  __entry->next_pid)
);

/*
 * The thread, which is current, goes on with the server that another's block got
 * it, that many ns ago.
 */
TRACE_EVENT(ufiber_handoff,

	TP_PROTO(const struct uf_thread *thread, u64 latency),

	TP_ARGS(thread, latency),

	TP_STRUCT__entry(
		UF_THREAD_FIELDS
		__field(u64, latency)
	),

	TP_fast_assign(
		UF_THREAD_ASSIGN(thread);
		__entry->latency = latency;
	),

	TP_printk(UF_THREAD_FORMAT " latency=%llu",
		  UF_THREAD_PRINT, __entry->latency)
);

/* One server more in use than @before, or one less. */
TRACE_EVENT(ufiber_resize,

	TP_PROTO(const struct uf_domain *domain, u32 before),

	TP_ARGS(domain, before),

	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, before)
		__field(u32, servers)
	),

	TP_fast_assign(
		__entry->domain = domain->serial;
		__entry->before = before;
		__entry->servers = domain->nr_servers;
	),

	TP_printk("domain=%llu before=%u servers=%u",
		  __entry->domain, __entry->before, __entry->servers)
);

#endif /* UFIBER_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
