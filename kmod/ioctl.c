// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls: fetch the argument, check it, do it.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/pid.h>
#include <linux/uaccess.h>

#include "ufiber.h"

#define UF_SETUP_FLAGS (UFIBER_SETUP_USER_SCHED | UFIBER_SETUP_WATCH)

/*
 * Fetch a structure whose first field is its size, as the caller knows it.
 * Fields that the caller does not know are zero; those that we do not know must
 * be. @min is the first version's size: sizeof() as long as there is but that one.
 */
static int uf_fetch_resized(void *to, size_t size, size_t min,
			    const void __user *from)
{
	u32 user_size;

	if (get_user(user_size, (const u32 __user *)from))
		return -EFAULT;
	if (user_size < min)
		return -EINVAL;
	if (user_size > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(to, size, from, user_size);
}

/* The usual case first: the caller and we know the same fields. */
static __always_inline int uf_fetch(void *to, size_t size, size_t min,
				    const void __user *from)
{
	if (likely(!copy_from_user(to, from, size) && *(u32 *)to == size))
		return 0;
	return uf_fetch_resized(to, size, min, from);
}

/* Give the answers back, as much of them as the caller knows. */
static int uf_store(void __user *to, const void *from, size_t size,
		    u32 user_size)
{
	return copy_to_user(to, from, min_t(size_t, size, user_size)) ?
		       -EFAULT : 0;
}

static long uf_ioc_setup(struct uf_domain *domain, void __user *arg)
{
	struct ufiber_setup setup;
	int ret;

	ret = uf_fetch(&setup, sizeof(setup), sizeof(setup), arg);
	if (ret)
		return ret;
	if (!setup.max_servers)
		setup.max_servers = setup.nr_servers;
	if ((setup.flags & ~UF_SETUP_FLAGS) || setup.reserved ||
	    !setup.nr_servers || setup.nr_servers > setup.max_servers ||
	    setup.max_servers > UFIBER_MAX_SERVERS ||
	    setup.max_threads < setup.max_servers ||
	    setup.max_threads > UFIBER_MAX_THREADS)
		return -EINVAL;

	uf_domain_layout(&setup);
	/* The answer below may fault, and wait for who knows what. */
	if (mutex_lock_killable(&domain->setup_mutex))
		return -EINTR;
	if (domain->ready)
		ret = current->mm == domain->mm ? -EBUSY : -EPERM;
	/* The answer first: if it cannot be given, nothing has been done. */
	if (!ret)
		ret = uf_store(arg, &setup, sizeof(setup), setup.size);
	if (!ret)
		ret = uf_domain_setup(domain, &setup);
	mutex_unlock(&domain->setup_mutex);
	return ret;
}

static long uf_ioc_register(struct uf_domain *domain, void __user *arg)
{
	struct ufiber_register reg;
	struct uf_thread *thread;
	int ret;

	ret = uf_fetch(&reg, sizeof(reg), sizeof(reg), arg);
	if (ret)
		return ret;
	if (reg.flags || reg.reserved)
		return -EINVAL;
	thread = uf_thread_register(domain, reg.cookie);
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	reg.thread = thread->id;
	ret = uf_store(arg, &reg, sizeof(reg), reg.size);
	if (ret)
		uf_thread_unregister(thread);
	return ret;
}

static long uf_ioc_unregister(struct uf_thread *thread, unsigned long arg)
{
	if (arg)
		return -EINVAL;
	uf_thread_unregister(thread);
	return 0;
}

static long uf_ioc_wait(struct uf_thread *thread, const void __user *arg)
{
	struct ufiber_wait wait;
	int ret;

	ret = uf_fetch(&wait, sizeof(wait), sizeof(wait), arg);
	return ret ? ret : uf_wait(thread, &wait);
}

static long uf_ioc_handover(struct uf_thread *thread, unsigned long arg)
{
	if (!thread)
		return -ENXIO;
	return arg <= U32_MAX ? uf_handover(thread, arg) : -ESRCH;
}

static long uf_ioc_wake(struct uf_domain *domain, const void __user *arg)
{
	struct ufiber_wake wake;
	int ret;

	ret = uf_fetch(&wake, sizeof(wake), sizeof(wake), arg);
	return ret ? ret : uf_wake(domain, &wake);
}

/*
 * Several calls have one argument, after the size and the flags, of which there
 * are none yet; the structures differ in its name alone.
 */
static int uf_fetch_value(u32 *value, const void __user *arg)
{
	struct ufiber_target target;
	int ret;

	static_assert(sizeof(target) == sizeof(struct ufiber_resize));
	static_assert(sizeof(target) == sizeof(struct ufiber_eventfd));
	ret = uf_fetch(&target, sizeof(target), sizeof(target), arg);
	if (ret)
		return ret;
	if (target.flags || target.reserved)
		return -EINVAL;
	*value = target.thread;
	return 0;
}

static long uf_ioc_kick(struct uf_domain *domain, const void __user *arg)
{
	u32 thread;
	int ret = uf_fetch_value(&thread, arg);

	return ret ? ret : uf_kick(domain, thread);
}

static long uf_ioc_interrupt(struct uf_domain *domain, const void __user *arg)
{
	struct ufiber_interrupt args;
	int ret = uf_fetch(&args, sizeof(args), sizeof(args), arg);

	return ret ? ret : uf_interrupt(domain, &args);
}

static long uf_ioc_resize(struct uf_domain *domain, const void __user *arg)
{
	u32 nr_servers;
	int ret = uf_fetch_value(&nr_servers, arg);

	return ret ? ret : uf_resize(domain, nr_servers);
}

static long uf_ioc_eventfd(struct uf_domain *domain, const void __user *arg)
{
	u32 fd;
	int ret = uf_fetch_value(&fd, arg);

	return ret ? ret : uf_set_eventfd(domain, (s32)fd);
}

static long uf_ioc_quantum(struct uf_domain *domain, const void __user *arg)
{
	struct ufiber_quantum quantum;
	int ret;

	ret = uf_fetch(&quantum, sizeof(quantum), sizeof(quantum), arg);
	if (ret)
		return ret;
	if (quantum.flags || quantum.reserved)
		return -EINVAL;
	return uf_set_quantum(domain, quantum.server, quantum.quantum);
}

static long uf_ioc_stats(struct uf_domain *domain, void __user *arg)
{
	struct ufiber_stats stats, answer = {};
	int ret;

	ret = uf_fetch(&stats, sizeof(stats), sizeof(stats), arg);
	if (ret)
		return ret;
	if (stats.flags)
		return -EINVAL;
	answer.size = stats.size;
	answer.thread = stats.thread;
	answer.server = stats.server;
	ret = uf_stats(domain, &answer);
	return ret ? ret : uf_store(arg, &answer, sizeof(answer), answer.size);
}

static u32 uf_query_queue(const struct uf_thread *thread)
{
	if (list_empty(&thread->link))
		return 0;
	switch (thread->queue) {
	case UF_QUEUE_STANDBY:
		return UFIBER_QUERY_STANDBY;
	case UF_QUEUE_WORK:
		return UFIBER_QUERY_WORK;
	default:
		return 0;
	}
}

static u32 uf_query_flags(const struct uf_thread *thread)
{
	return (READ_ONCE(thread->waiting) ? UFIBER_QUERY_WAITING : 0) |
	       (READ_ONCE(thread->held) ? UFIBER_QUERY_HELD : 0) |
	       (thread->woken ? UFIBER_QUERY_WAKE_PENDING : 0) |
	       (thread->kicked ? UFIBER_QUERY_KICKED : 0) |
	       uf_query_queue(thread);
}

void uf_query_thread(const struct uf_thread *thread,
		     struct ufiber_query *query)
{
	query->thread_state = thread->state;
	query->thread_server = thread->server ? thread->server->id :
						UFIBER_NONE;
	query->thread_flags = uf_query_flags(thread);
	query->thread_tid = task_pid_vnr(thread->task);
}

void uf_query_server(const struct uf_server *server,
		     struct ufiber_query *query)
{
	query->server_thread = server->holder ? server->holder->id :
						UFIBER_NONE;
	if (server->holder)
		query->server_state = uf_is_polling(server) ?
				      UFIBER_SERVER_POLLING :
				      UFIBER_SERVER_HELD;
	else
		query->server_state = uf_retires(server) ?
				      UFIBER_SERVER_OFFLINE :
				      UFIBER_SERVER_VACANT;
}

static int uf_query(struct uf_domain *domain, struct ufiber_query *query)
{
	struct uf_server *server;
	struct uf_thread *thread;
	int ret = 0;

	raw_spin_lock_irq(&domain->lock);
	if (query->thread != UFIBER_NONE) {
		thread = uf_find_thread(domain, query->thread);
		if (thread)
			uf_query_thread(thread, query);
		else
			ret = -ESRCH;
	}
	if (query->server != UFIBER_NONE) {
		server = uf_find_server(domain, query->server);
		if (server)
			uf_query_server(server, query);
		else
			ret = -EINVAL;
	}
	query->nr_threads = domain->nr_threads;
	query->nr_runnable = domain->nr_runnable;
	query->nr_standby = domain->nr_standby;
	query->nr_vacant = bitmap_weight(domain->vacant, domain->max_servers);
	query->nr_servers = domain->nr_servers;
	raw_spin_unlock_irq(&domain->lock);
	return ret;
}

static long uf_ioc_query(struct uf_domain *domain, void __user *arg)
{
	struct ufiber_query query, answer = {
		.thread_server = UFIBER_NONE,
		.server_thread = UFIBER_NONE,
	};
	int ret;

	ret = uf_fetch(&query, sizeof(query), sizeof(query), arg);
	if (ret)
		return ret;
	if (query.flags || query.reserved)
		return -EINVAL;
	answer.size = query.size;
	answer.thread = query.thread;
	answer.server = query.server;
	ret = uf_query(domain, &answer);
	return ret ? ret : uf_store(arg, &answer, sizeof(answer), answer.size);
}

/* The calling thread's registration in @domain, or NULL. */
static struct uf_thread *uf_caller(struct uf_domain *domain)
{
	struct uf_thread *thread = uf_hook_current();

	return thread && thread->domain == domain && !READ_ONCE(thread->left) ?
		       thread : NULL;
}

long uf_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct uf_domain *domain = file->private_data;
	void __user *argp = (void __user *)arg;
	struct uf_thread *thread;

	if (cmd == UFIBER_IOC_SETUP)
		return uf_ioc_setup(domain, argp);
	/* Pairs with the release in uf_domain_setup(). */
	if (!smp_load_acquire(&domain->ready))
		return -EBADFD;
	if (current->mm != domain->mm)
		return -EPERM;
	/* The one whose cost counts most. */
	if (cmd == UFIBER_IOC_HANDOVER)
		return uf_ioc_handover(uf_caller(domain), arg);

	switch (cmd) {
	case UFIBER_IOC_REGISTER:
		return uf_ioc_register(domain, argp);
	case UFIBER_IOC_WAKE:
		return uf_ioc_wake(domain, argp);
	case UFIBER_IOC_QUERY:
		return uf_ioc_query(domain, argp);
	case UFIBER_IOC_KICK:
		return uf_ioc_kick(domain, argp);
	case UFIBER_IOC_QUANTUM:
		return uf_ioc_quantum(domain, argp);
	case UFIBER_IOC_INTERRUPT:
		return uf_ioc_interrupt(domain, argp);
	case UFIBER_IOC_RESIZE:
		return uf_ioc_resize(domain, argp);
	case UFIBER_IOC_EVENTFD:
		return uf_ioc_eventfd(domain, argp);
	case UFIBER_IOC_STATS:
		return uf_ioc_stats(domain, argp);
	case UFIBER_IOC_WAIT:
	case UFIBER_IOC_UNREGISTER:
		thread = uf_caller(domain);
		if (!thread)
			return -ENXIO;
		return cmd == UFIBER_IOC_WAIT ? uf_ioc_wait(thread, argp) :
						uf_ioc_unregister(thread, arg);
	default:
		return -ENOTTY;
	}
}
