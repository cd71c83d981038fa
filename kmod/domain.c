// SPDX-License-Identifier: GPL-2.0-only
/*
 * A domain: what one open of /dev/ufiber stands for once it has been set up.
 */
#include <linux/bitmap.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "ufiber.h"

struct uf_domain *uf_domain_new(void)
{
	static atomic64_t serial;
	struct uf_domain *domain = kzalloc(sizeof(*domain), GFP_KERNEL_ACCOUNT);
	int priority;

	if (!domain)
		return NULL;
	kref_init(&domain->kref);
	domain->serial = atomic64_inc_return(&serial);
	INIT_LIST_HEAD(&domain->all);
	mutex_init(&domain->setup_mutex);
	raw_spin_lock_init(&domain->lock);
	for (priority = 0; priority < UFIBER_PRIORITIES; priority++)
		INIT_LIST_HEAD(&domain->runnable[priority]);
	INIT_LIST_HEAD(&domain->standby);
	INIT_LIST_HEAD(&domain->work);
	uf_events_init(domain);
	return domain;
}

/* Fill in where things are in the shared memory of a domain of this size. */
void uf_domain_layout(struct ufiber_setup *setup)
{
	size_t servers = sizeof(struct ufiber_shared_domain);
	size_t threads = servers + setup->max_servers *
				   sizeof(struct ufiber_shared_server);
	size_t ring = threads + setup->max_threads *
				sizeof(struct ufiber_shared_thread);

	setup->servers_offset = servers;
	setup->threads_offset = threads;
	setup->ring_offset = ring;
	setup->ring_entries = roundup_pow_of_two(2 * setup->max_threads);
	setup->mmap_size = PAGE_ALIGN(ring + setup->ring_entries *
				      sizeof(struct ufiber_event));
}

static int uf_domain_alloc(struct uf_domain *domain,
			   const struct ufiber_setup *setup)
{
	domain->servers = kvcalloc(setup->max_servers, sizeof(*domain->servers),
				   UF_GFP_DOMAIN);
	if (!domain->servers)
		return -ENOMEM;
	domain->threads = kvcalloc(setup->max_threads, sizeof(*domain->threads),
				   UF_GFP_DOMAIN);
	if (!domain->threads)
		goto free_servers;
	domain->vacant = bitmap_zalloc(setup->max_servers, UF_GFP_DOMAIN);
	if (!domain->vacant)
		goto free_threads;
	domain->ids = bitmap_zalloc(setup->max_threads, UF_GFP_DOMAIN);
	if (!domain->ids)
		goto free_vacant;
	domain->memory = uf_memory_alloc(setup->mmap_size);
	if (!domain->memory)
		goto free_ids;
	return 0;

free_ids:
	bitmap_free(domain->ids);
free_vacant:
	bitmap_free(domain->vacant);
free_threads:
	kvfree(domain->threads);
free_servers:
	kvfree(domain->servers);
	return -ENOMEM;
}

static void uf_server_init(struct uf_domain *domain, u32 id)
{
	struct uf_server *server = &domain->servers[id];

	server->id = id;
	server->domain = domain;
	server->shared = &domain->shared_servers[id];
	uf_quantum_init(server);
	if (uf_retires(server))
		server->shared->owner = UFIBER_OWNER(UFIBER_SERVER_OFFLINE, 0);
	else
		__set_bit(id, domain->vacant);
}

static void uf_domain_init(struct uf_domain *domain,
			   const struct ufiber_setup *setup)
{
	u32 id;

	domain->memory_size = setup->mmap_size;
	domain->flags = setup->flags;
	domain->nr_servers = setup->nr_servers;
	domain->max_servers = setup->max_servers;
	domain->max_threads = setup->max_threads;
	domain->ring_entries = setup->ring_entries;
	domain->shared = domain->memory;
	domain->shared->nr_servers = setup->nr_servers;
	domain->shared_servers = domain->memory + setup->servers_offset;
	domain->shared_threads = domain->memory + setup->threads_offset;
	domain->ring = domain->memory + setup->ring_offset;
	for (id = 0; id < domain->max_servers; id++)
		uf_server_init(domain, id);
	for (id = 0; id < domain->max_threads; id++)
		domain->shared_threads[id].server = UFIBER_NONE;
}

/* UFIBER_IOC_SETUP, with @setup checked and laid out. */
int uf_domain_setup(struct uf_domain *domain, const struct ufiber_setup *setup)
{
	int ret;

	lockdep_assert_held(&domain->setup_mutex);
	ret = uf_domain_alloc(domain, setup);
	if (ret)
		return ret;
	uf_domain_init(domain, setup);
	domain->clock_offset = uf_clock_offset(CLOCK_MONOTONIC);
	domain->mm = current->mm;
	mmgrab(domain->mm);
	domain->pid = get_pid(task_tgid(current));
	/* Pairs with the acquire of whoever finds the domain by its file. */
	smp_store_release(&domain->ready, true);
	uf_debugfs_add(domain);
	return 0;
}

static void uf_domain_free(struct kref *kref)
{
	struct uf_domain *domain = container_of(kref, struct uf_domain, kref);
	u32 id;

	uf_events_destroy(domain);
	if (domain->ready) {
		for (id = 0; id < domain->max_servers; id++)
			hrtimer_cancel(&domain->servers[id].timer);
		put_pid(domain->pid);
		mmdrop(domain->mm);
		uf_memory_free(domain->memory);
		bitmap_free(domain->ids);
		bitmap_free(domain->vacant);
		kvfree(domain->threads);
		kvfree(domain->servers);
	}
	mutex_destroy(&domain->setup_mutex);
	kfree(domain);
}

/* Context: task, may sleep. */
void uf_domain_put(struct uf_domain *domain)
{
	kref_put(&domain->kref, uf_domain_free);
}

/*
 * The last descriptor and the last mapping are gone, so nobody can call, nor
 * does anybody sleep in a call. Threads that are still registered go on without
 * servers: those held are let go, all detach themselves when they next run.
 */
void uf_domain_close(struct uf_domain *domain)
{
	struct uf_thread *thread, *next;
	bool runnable;
	u32 id;

	uf_debugfs_remove(domain);
	for (id = 0; id < domain->max_threads; id++) {
		rcu_read_lock();
		uf_lock(domain);
		thread = domain->threads[id];
		runnable = thread && thread->state == UFIBER_THREAD_RUNNABLE;
		next = thread ? uf_leave(thread) : NULL;
		uf_unlock(domain);
		uf_delay(UF_DELAY_CLOSE);
		if (runnable)
			uf_thread_wake(thread);
		if (next)
			uf_thread_wake(next);
		rcu_read_unlock();
		cond_resched();
	}
	uf_domain_put(domain);
}
