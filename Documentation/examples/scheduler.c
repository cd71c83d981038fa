// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The kernel ABI alone: a user's scheduler, a thread for each fiber (UMCG's way). */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/ufiber.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int domain, to[2][2]; /* to[i]: the pipe that worker i reads */
static int left = 2; /* workers; changed by who holds the server */
static struct ufiber_shared_domain *shared;

static uint32_t join_domain(uint64_t cookie)
{
	struct ufiber_register reg = {
		.size = sizeof(reg),
		.cookie = cookie,
	};

	if (ioctl(domain, UFIBER_IOC_REGISTER, &reg))
		err(1, "UFIBER_IOC_REGISTER");
	return reg.thread;
}

/* No signals in this program, so no EINTR. */
static void wait_for(uint32_t flags, uint32_t next)
{
	struct ufiber_wait wait = {
		.size = sizeof(wait),
		.flags = flags,
		.next = next,
	};

	if (ioctl(domain, UFIBER_IOC_WAIT, &wait) < 0)
		err(1, "UFIBER_IOC_WAIT");
}

/* Plain blocking code: it knows nothing of the scheduler once it runs. */
static void *worker(void *arg)
{
	const int me = (int)(intptr_t)arg;
	char c = 0;

	join_domain(me);
	wait_for(UFIBER_WAIT_ACQUIRE, 0); /* RUNNABLE, until handed a server */
	for (int turn = 0; turn < 3; turn++) {
		if (me == 0 && write(to[1][1], &c, 1) != 1)
			err(1, "write");
		if (read(to[me][0], &c, 1) != 1) /* blocks */
			err(1, "read");
		if (me == 1 && write(to[0][1], &c, 1) != 1)
			err(1, "write");
	}
	left--;
	ioctl(domain, UFIBER_IOC_UNREGISTER,
	      0); /* the scheduler gets the server */
	return NULL;
}

/* Let each thread in the ring run until it blocks. */
static void run_ring(const struct ufiber_event *ring, uint32_t entries)
{
	static const char *const reasons[] = {
		[UFIBER_REASON_UNBLOCKED] = "unblocked",
		[UFIBER_REASON_PREEMPTED] = "preempted",
		[UFIBER_REASON_WOKEN] = "woken",
		[UFIBER_REASON_YIELDED] = "yielded",
	};
	uint32_t head = shared->ring_head;

	while (head != __atomic_load_n(&shared->ring_tail, __ATOMIC_ACQUIRE)) {
		const struct ufiber_event event = ring[head++ % entries];

		__atomic_store_n(&shared->ring_head, head, __ATOMIC_RELEASE);
		printf("%s: %s\n", event.cookie ? "pong" : "ping",
		       reasons[event.reason]);
		wait_for(UFIBER_WAIT_HANDOVER | UFIBER_WAIT_STANDBY,
			 event.thread);
	}
}

int main(void)
{
	struct ufiber_setup setup = {
		.size = sizeof(setup),
		.flags = UFIBER_SETUP_USER_SCHED,
		.nr_servers = 1,
		.max_threads = 3,
	};
	struct ufiber_shared_thread *self;
	pthread_t threads[2];
	char *map;

	domain = open(UFIBER_DEVICE, O_RDWR | O_CLOEXEC);
	if (domain < 0)
		err(1, UFIBER_DEVICE);
	if (ioctl(domain, UFIBER_IOC_SETUP, &setup))
		err(1, "UFIBER_IOC_SETUP");
	map = mmap(NULL, setup.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   domain, 0);
	if (map == MAP_FAILED || pipe(to[0]) || pipe(to[1]))
		err(1, "mmap, pipe");
	shared = (void *)map;
	self = (void *)(map + setup.threads_offset);
	self += join_domain(2);
	self->critical = 1; /* a scheduler keeps its server if it blocks */
	wait_for(UFIBER_WAIT_STANDBY, 0);

	for (uint32_t i = 0; i < 2; i++) {
		if (pthread_create(&threads[i], NULL, worker,
				   (void *)(intptr_t)i))
			errx(1, "pthread_create");
		/* Each is RUNNABLE, and in the ring, before the next. */
		while (__atomic_load_n(&shared->ring_tail, __ATOMIC_ACQUIRE) == i)
			sched_yield();
	}
	for (;;) {
		run_ring((void *)(map + setup.ring_offset), setup.ring_entries);
		if (!left)
			break;
		wait_for(UFIBER_WAIT_STANDBY | UFIBER_WAIT_WORK, 0);
	}
	puts("done");
	return 0;
}
