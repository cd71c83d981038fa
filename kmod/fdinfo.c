// SPDX-License-Identifier: GPL-2.0-only
/*
 * What there is to see of a domain as text: /proc/PID/fdinfo/FD, and the same for
 * all domains in debugfs. The numbers are those of QUERY and STATS, by the same
 * functions. Documentation/tracing.rst lists the keys.
 *
 * The first lines are of one moment, and so is each line of a server or a thread;
 * between two lines the lock is free and the domain goes on. So the longest text,
 * of 32768 threads, holds up nobody.
 */
#include <linux/bitmap.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/pid.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "ufiber.h"

static const char * const uf_thread_states[] = {
	[UFIBER_THREAD_FREE] = "FREE",
	[UFIBER_THREAD_RUNNING] = "RUNNING",
	[UFIBER_THREAD_BLOCKED] = "BLOCKED",
	[UFIBER_THREAD_RUNNABLE] = "RUNNABLE",
	[UFIBER_THREAD_IDLE] = "IDLE",
};

static const char * const uf_server_states[] = {
	[UFIBER_SERVER_VACANT] = "VACANT",
	[UFIBER_SERVER_HELD] = "HELD",
	[UFIBER_SERVER_POLLING] = "POLLING",
	[UFIBER_SERVER_OFFLINE] = "OFFLINE",
};

/* By bit: UFIBER_QUERY_*, UFIBER_SETUP_*. */
static const char * const uf_query_names[] = {
	"WAITING", "HELD", "WAKE_PENDING", "STANDBY", "KICKED", "WORK",
};

static const char * const uf_setup_names[] = {
	"USER_SCHED", "WATCH",
};

static void uf_show_flags(struct seq_file *m, unsigned long flags,
			  const char * const names[], unsigned int nr)
{
	const char *separator = "";
	unsigned int bit;

	if (!flags)
		seq_putc(m, '0');
	for_each_set_bit(bit, &flags, nr) {
		seq_printf(m, "%s%s", separator, names[bit]);
		separator = "|";
	}
}

/* UFIBER_NONE reads as "-". */
static void uf_show_id(struct seq_file *m, const char *key, u32 id)
{
	if (id == UFIBER_NONE)
		seq_printf(m, " %s=-", key);
	else
		seq_printf(m, " %s=%u", key, id);
}

static void uf_show_latency(struct seq_file *m,
			    const struct uf_domain *domain)
{
	u32 entry;

	seq_puts(m, "latency:\t");
	for (entry = 0; entry < UFIBER_LATENCIES; entry++)
		seq_printf(m, "%s%lld", entry ? " " : "",
			   atomic64_read(&domain->latency[entry]));
	seq_putc(m, '\n');
}

static void uf_show_summary(struct seq_file *m, struct uf_domain *domain,
			    struct pid_namespace *ns)
{
	u32 servers, threads, runnable, standby, vacant, tail;
	u64 lost;

	uf_lock(domain);
	servers = domain->nr_servers;
	threads = domain->nr_threads;
	runnable = domain->nr_runnable;
	standby = domain->nr_standby;
	vacant = bitmap_weight(domain->vacant, domain->max_servers);
	tail = domain->ring_tail;
	lost = domain->ring_lost;
	uf_unlock(domain);

	seq_printf(m, "process:\t%d\n", pid_nr_ns(domain->pid, ns));
	seq_puts(m, "setup:\t");
	uf_show_flags(m, domain->flags, uf_setup_names,
		      ARRAY_SIZE(uf_setup_names));
	seq_printf(m, "\nservers:\t%u\nmax_servers:\t%u\n", servers,
		   domain->max_servers);
	seq_printf(m, "threads:\t%u\nmax_threads:\t%u\n", threads,
		   domain->max_threads);
	seq_printf(m, "runnable:\t%u\nstandby:\t%u\nvacant:\t%u\n", runnable,
		   standby, vacant);
	seq_printf(m, "ring_tail:\t%u\nring_head:\t%u\nring_lost:\t%llu\n",
		   tail, READ_ONCE(domain->shared->ring_head), lost);
	uf_show_latency(m, domain);
}

static void uf_show_server(struct seq_file *m, struct uf_server *server)
{
	struct ufiber_query query;
	struct ufiber_stats stats;
	u64 quantum;

	uf_lock(server->domain);
	uf_query_server(server, &query);
	uf_stats_server(server, &stats);
	quantum = server->quantum;
	uf_unlock(server->domain);

	seq_printf(m, "server:\t%u state=%s", server->id,
		   uf_server_states[query.server_state]);
	uf_show_id(m, "thread", query.server_thread);
	seq_printf(m, " waiting=%u dispatches=%u quantum=%llu",
		   READ_ONCE(server->shared->waiting),
		   READ_ONCE(server->shared->dispatches), quantum);
	seq_printf(m, " blocks=%llu handoffs=%llu takeovers=%llu",
		   stats.server_blocks, stats.server_handoffs,
		   stats.server_takeovers);
	seq_printf(m, " grants=%llu preempts=%llu time=%llu\n",
		   stats.server_grants, stats.server_preempts,
		   stats.server_time);
}

/* A thread's line; what the user writes to its words is taken as it is. */
static void uf_show_thread(struct seq_file *m, u32 id, u64 cookie,
			   const struct ufiber_query *query,
			   const struct ufiber_stats *stats,
			   const struct ufiber_shared_thread *shared)
{
	seq_printf(m, "thread:\t%u tid=%u state=%s", id, query->thread_tid,
		   uf_thread_states[query->thread_state]);
	uf_show_id(m, "server", query->thread_server);
	seq_puts(m, " flags=");
	uf_show_flags(m, query->thread_flags, uf_query_names,
		      ARRAY_SIZE(uf_query_names));
	seq_printf(m, " critical=%u priority=%u cookie=0x%llx",
		   READ_ONCE(shared->critical), READ_ONCE(shared->priority),
		   cookie);
	seq_printf(m, " blocks=%llu holds=%llu preempts=%llu",
		   stats->thread_blocks, stats->thread_holds,
		   stats->thread_preempts);
	seq_printf(m, " running=%llu blocked=%llu held=%llu preempted=%llu",
		   stats->time_running, stats->time_blocked, stats->time_held,
		   stats->time_preempted);
	seq_printf(m, " idle=%llu\n", stats->time_idle);
}

/* The first thread whose id is @id or above; returns that, or max_threads. */
static u32 uf_show_next_thread(struct seq_file *m, struct uf_domain *domain,
			       struct pid_namespace *ns, u32 id)
{
	struct ufiber_query query;
	struct ufiber_stats stats;
	struct uf_thread *thread;
	u64 cookie = 0;

	uf_lock(domain);
	id = find_next_bit(domain->ids, domain->max_threads, id);
	if (id < domain->max_threads) {
		thread = domain->threads[id];
		uf_query_thread(thread, &query);
		query.thread_tid = task_pid_nr_ns(thread->task, ns);
		uf_stats_thread(thread, &stats);
		cookie = thread->cookie;
	}
	uf_unlock(domain);
	if (id < domain->max_threads)
		uf_show_thread(m, id, cookie, &query, &stats,
			       &domain->shared_threads[id]);
	return id;
}

/**
 * uf_show_domain - print a domain
 * @m: where to
 * @domain: which; its file is open
 * @ns: whose thread ids
 *
 * If the buffer is full, seq_file throws all away and comes again with a larger
 * one, so the rest is not worth the time. Context: task, may sleep.
 */
void uf_show_domain(struct seq_file *m, struct uf_domain *domain,
		    struct pid_namespace *ns)
{
	u32 id;

	seq_printf(m, "domain:\t%llu\n", domain->serial);
	/* Pairs with the release in uf_domain_setup(). */
	if (!smp_load_acquire(&domain->ready))
		return;
	uf_show_summary(m, domain, ns);
	for (id = 0; id < domain->max_servers; id++)
		uf_show_server(m, &domain->servers[id]);
	for (id = 0; id < domain->max_threads && !seq_has_overflowed(m); id++) {
		id = uf_show_next_thread(m, domain, ns, id);
		cond_resched();
	}
}

/*
 * The kernel lets read who may look into the process that has the descriptor. But
 * that may have got it from the domain's process (SCM_RIGHTS, fork), which need not
 * have meant to show itself: another user than the one that opened the device sees
 * nothing, unless privileged.
 */
static bool uf_may_show(const struct file *reader, const struct file *file)
{
	return uid_eq(reader->f_cred->fsuid, file->f_cred->fsuid) ||
	       file_ns_capable(reader, file->f_cred->user_ns, CAP_SYS_PTRACE);
}

/* /proc/PID/fdinfo/FD, which shows the thread ids of its own pid namespace. */
void uf_show_fdinfo(struct seq_file *m, struct file *file)
{
	if (uf_may_show(m->file, file))
		uf_show_domain(m, file->private_data,
			       proc_pid_ns(file_inode(m->file)->i_sb));
}
