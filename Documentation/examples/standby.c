// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The kernel ABI alone: one server, two threads, a block and the way back. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ufiber.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int domain, fds[2];
static struct ufiber_setup setup = {
	.size = sizeof(setup),
	.nr_servers = 1,
	.max_threads = 2,
};
static struct ufiber_shared_domain *shared;

static uint32_t join_domain(void)
{
	struct ufiber_register reg = {
		.size = sizeof(reg),
	};

	if (ioctl(domain, UFIBER_IOC_REGISTER, &reg))
		err(1, "UFIBER_IOC_REGISTER");
	return reg.thread;
}

/* Offer the server, if there is one; return holding one. */
static int stand_by(void)
{
	struct ufiber_wait wait = {
		.size = sizeof(wait),
		.flags = UFIBER_WAIT_STANDBY,
	};
	int server;

	do {
		server = ioctl(domain, UFIBER_IOC_WAIT, &wait);
	} while (server < 0 && errno == EINTR);
	if (server < 0)
		err(1, "UFIBER_IOC_WAIT");
	return server;
}

/* Gets the server when the main thread blocks; gives it back when asked. */
static void *second(void *unused)
{
	join_domain();
	printf("second: got server %d\n", stand_by());
	if (write(fds[1], "", 1) != 1) /* ends the block */
		err(1, "write");
	/* Fibers would run here, until somebody waits for the server. */
	for (int i = 0; i < 100000; i++) {
		if (__atomic_load_n(&shared->nr_runnable, __ATOMIC_SEQ_CST))
			break;
		sched_yield();
	}
	printf("second: %u thread waits for a server\n", shared->nr_runnable);
	ioctl(domain, UFIBER_IOC_UNREGISTER, 0);
	return unused;
}

int main(void)
{
	const int prot = PROT_READ | PROT_WRITE;
	struct ufiber_shared_thread *self;
	pthread_t thread;
	char *map, c;

	domain = open(UFIBER_DEVICE, O_RDWR | O_CLOEXEC);
	if (domain < 0)
		err(1, UFIBER_DEVICE);
	if (ioctl(domain, UFIBER_IOC_SETUP, &setup))
		err(1, "UFIBER_IOC_SETUP");
	map = mmap(NULL, setup.mmap_size, prot, MAP_SHARED, domain, 0);
	if (map == MAP_FAILED || pipe2(fds, O_CLOEXEC))
		err(1, "mmap, pipe2");
	shared = (void *)map;
	self = (void *)(map + setup.threads_offset);
	self += join_domain();
	printf("first: got server %d\n", stand_by());

	if (pthread_create(&thread, NULL, second, NULL))
		errx(1, "pthread_create");
	while (!__atomic_load_n(&shared->nr_standby, __ATOMIC_SEQ_CST))
		sched_yield();
	if (read(fds[0], &c, 1) != 1) /* blocks: the server passes on */
		err(1, "read");
	printf("first: again with server %u\n", self->server);
	printf("first: blocked %llu, held %llu\n", self->blocks, self->holds);
	pthread_join(thread, NULL);
	return 0;
}
