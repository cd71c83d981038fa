// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Who is asleep in the kernel, told by perf: each thread has an event that
 * counts nothing but leaves a record in a ring of its own, two pages shared with
 * the kernel, whenever the thread is switched out or in, and wakes the watcher.
 * The record of a switch out tells whether the thread was preempted or has gone
 * to sleep. With exclude_kernel that is open to everybody up to
 * perf_event_paranoid 2.
 *
 * All that matters is the last record, at the ring's head; the rest is thrown
 * away by setting the tail. The tail is also a gate: the kernel drops records
 * that find the ring full, without a wake-up, and "full" is what we say it is.
 * So a thread shuts the gate by a plain store when it is about to sleep where
 * nobody need know (in its server's ring, in standby), and the watcher does
 * when it has taken the thread's server, until it is granted one again.
 *
 * The thread and the watcher both write the tail. The watcher writes a head that
 * it has read; coming late it can open a gate just shut, which costs a needless
 * wake-up, or leave less room in an open one, which it sees when it looks again.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "monitor.h"

/* With this little room records may have been dropped: one is 8 bytes, or 32. */
#define UF_RING_SPARE 64

/* Of a whole power of two; a shut gate says that all of it is in use. */
static uint64_t ring_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

static int open_event(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.context_switch = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.watermark = 1,
		.wakeup_watermark = 1, /* wake up at each record */
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1,
			 PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void *map_ring(int fd)
{
	return mmap(NULL, sysconf(_SC_PAGESIZE) + ring_size(),
		    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void unmap_ring(void *ring)
{
	munmap(ring, sysconf(_SC_PAGESIZE) + ring_size());
}

/*
 * On PREEMPT_RT a record's wake-up is done by a thread (irq_work). It preempts whom
 * the record is of, that makes two more, and so on for as long as that one runs: of a
 * hundred switches one was for work.
 */
static bool wakes_up_by_thread(void)
{
	struct utsname name;

	return !uname(&name) && strstr(name.version, "PREEMPT_RT");
}

/**
 * uf_perf_probe - whether perf records can be had
 * @why: where to store why not.
 * @size: room there.
 *
 * Returns 0 or a negative errno.
 */
int uf_perf_probe(char *why, size_t size)
{
	int fd = open_event();
	int error = 0;
	void *ring;

	if (fd < 0) {
		snprintf(why, size,
			 "perf_event_open: %s; see the sysctl kernel.perf_event_paranoid (2 or less allows it), or the container's seccomp profile",
			 strerrordesc_np(-fd));
		return fd;
	}
	ring = map_ring(fd);
	if (ring == MAP_FAILED) {
		error = -errno;
		snprintf(why, size,
			 "a perf event cannot be mapped: %s; see RLIMIT_MEMLOCK and the sysctl kernel.perf_event_mlock_kb",
			 strerrordesc_np(-error));
	} else {
		unmap_ring(ring);
	}
	close(fd);
	if (!error && wakes_up_by_thread()) {
		error = -EOPNOTSUPP;
		snprintf(why, size,
			 "on a PREEMPT_RT kernel its records make more records; \"proc\" works there");
	}
	return error;
}

/* For the calling thread. Returns false if it cannot be had. */
bool uf_perf_attach(struct uf_monitor *m, struct uf_monitor_thread *mt)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLET,
		.data.u32 = mt - m->threads,
	};
	void *ring;

	mt->ring_fd = open_event();
	if (mt->ring_fd < 0) {
		mt->ring_fd = -1;
		return false;
	}
	ring = map_ring(mt->ring_fd);
	if (ring == MAP_FAILED)
		goto close;
	if (epoll_ctl(m->epoll, EPOLL_CTL_ADD, mt->ring_fd, &event))
		goto unmap;
	mt->ring = ring;
	return true;
unmap:
	unmap_ring(ring);
close:
	close(mt->ring_fd);
	mt->ring_fd = -1;
	return false;
}

void uf_perf_detach(struct uf_monitor_thread *mt)
{
	if (mt->ring)
		unmap_ring(mt->ring);
	if (mt->ring_fd >= 0)
		close(mt->ring_fd);
	mt->ring = NULL;
	mt->ring_fd = -1;
}

static uint64_t load_head(struct perf_event_mmap_page *ring)
{
	return smp_load_acquire(&ring->data_head);
}

/* The thread itself, or while it waits for a server. */
void uf_perf_close(struct uf_monitor_thread *mt)
{
	if (mt->ring)
		smp_store_release(&mt->ring->data_tail, load_head(mt->ring) + 1);
}

/* The thread itself. Records from before tell nothing of it any more. */
void uf_perf_open(struct uf_monitor_thread *mt)
{
	if (!mt->ring)
		return;
	WRITE_ONCE(mt->opened, load_head(mt->ring));
	smp_store_release(&mt->ring->data_tail, mt->opened);
}

static bool tells_of_sleep(struct perf_event_mmap_page *ring, uint64_t head)
{
	const char *data = (const char *)ring + sysconf(_SC_PAGESIZE);
	struct perf_event_header record;

	/* A switch's record is a header, and never wraps. */
	memcpy(&record, data + (head - sizeof(record)) % ring_size(),
	       sizeof(record));
	return record.type == PERF_RECORD_SWITCH &&
	       record.misc & PERF_RECORD_MISC_SWITCH_OUT &&
	       !(record.misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT);
}

/**
 * uf_perf_asleep - whether a thread's last record is that it went to sleep
 * @mt: the thread; the monitor's lock is held.
 *
 * If records were dropped it may be, and that is what is returned: to take a
 * server from one that runs is no harm but a detour for it.
 */
bool uf_perf_asleep(struct uf_monitor_thread *mt)
{
	struct perf_event_mmap_page *ring = mt->ring;
	bool dropped = false;
	uint64_t head, tail;

	do {
		tail = READ_ONCE(ring->data_tail);
		head = load_head(ring);
		if (tail > head)
			return false; /* shut: it sleeps where it may */
		if (head - tail > ring_size() - UF_RING_SPARE)
			dropped = true;
		xchg(&ring->data_tail, head);
	} while (load_head(ring) != head);
	if (dropped)
		return true;
	return head != READ_ONCE(mt->opened) && tells_of_sleep(ring, head);
}
