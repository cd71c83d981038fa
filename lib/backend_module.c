// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The backend of the kernel module: a domain of /dev/ufiber per runtime. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

static int module_open(struct uf_runtime *rt)
{
	int error;

	rt->fd = open(UFIBER_DEVICE, O_RDWR | O_CLOEXEC);
	if (rt->fd >= 0)
		return 0;
	error = -errno;
	switch (error) {
	case -ENOENT:
	case -ENXIO:
	case -ENODEV:
		return uf_fail(
			-ENODEV, UFIBER_DEVICE
			" is not there: load the module (README.md, \"Loading the module\"), or use backend \"none\"");
	case -EACCES:
	case -EPERM:
		return uf_fail(
			-EACCES, UFIBER_DEVICE
			" may not be opened: give this user read and write permission for it, or use backend \"none\"");
	default:
		return uf_fail(error, "cannot open " UFIBER_DEVICE ": %s",
			       strerrordesc_np(-error));
	}
}

static int module_map(struct uf_runtime *rt)
{
	struct ufiber_setup setup = {
		.size = sizeof(setup),
		.nr_servers = rt->nr_active,
		.max_servers = rt->nr_servers,
		.max_threads = rt->max_threads,
	};
	char *map;

	if (ioctl(rt->fd, UFIBER_IOC_SETUP, &setup))
		return uf_fail(-errno,
			       UFIBER_DEVICE
			       " cannot set up %u servers and %u threads: %s; do module and library have one version?",
			       rt->nr_servers, rt->max_threads,
			       strerrordesc_np(errno));
	map = mmap(NULL, setup.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   rt->fd, 0);
	if (map == MAP_FAILED)
		return uf_fail(-errno, "cannot map " UFIBER_DEVICE ": %s",
			       strerrordesc_np(errno));
	rt->shared_size = setup.mmap_size;
	rt->shared_domain = (void *)map;
	rt->shared_servers = (void *)(map + setup.servers_offset);
	rt->shared_threads = (void *)(map + setup.threads_offset);
	return 0;
}

/*
 * Fibers wait at all times, for all that the module is told: who makes one ready need
 * not look. So a fiber alone is preempted too, and given a server again at once.
 */
static int module_set_quantum(struct uf_runtime *rt)
{
	struct ufiber_quantum quantum = {
		.size = sizeof(quantum),
		.server = UFIBER_NONE,
		.quantum = rt->quantum,
	};
	unsigned int i;

	if (!rt->quantum)
		return 0;
	for (i = 0; i < rt->nr_servers; i++)
		WRITE_ONCE(rt->shared_servers[i].waiting, 1);
	if (ioctl(rt->fd, UFIBER_IOC_QUANTUM, &quantum))
		return uf_fail(-errno, "cannot set the quantum: %s",
			       strerrordesc_np(errno));
	return 0;
}

static void module_teardown(struct uf_runtime *rt)
{
	if (rt->shared_domain)
		munmap(rt->shared_domain, rt->shared_size);
	if (rt->fd >= 0)
		close(rt->fd);
	rt->shared_domain = NULL;
	rt->fd = -1;
}

static int module_setup(struct uf_runtime *rt)
{
	int error = module_open(rt);

	if (!error)
		error = module_map(rt);
	return error ? error : module_set_quantum(rt);
}

/* The new ones go to standby threads. */
static int module_grow(struct uf_runtime *rt, unsigned int n)
{
	struct ufiber_resize resize = {
		.size = sizeof(resize),
		.nr_servers = n,
	};

	return ioctl(rt->fd, UFIBER_IOC_RESIZE, &resize) ? -errno : 0;
}

static int module_attach(struct uf_thread *t)
{
	struct ufiber_register reg = { .size = sizeof(reg) };

	if (ioctl(t->rt->fd, UFIBER_IOC_REGISTER, &reg))
		return -errno;
	t->id = reg.thread;
	t->shared = &t->rt->shared_threads[t->id];
	return 0;
}

static void module_detach(struct uf_thread *t)
{
	ioctl(t->rt->fd, UFIBER_IOC_UNREGISTER, 0);
}

/* A signal handler that ran does not end the wait. */
static int wait_for_server(struct uf_thread *t, uint32_t flags)
{
	struct ufiber_wait wait = {
		.size = sizeof(wait),
		.flags = flags,
	};
	int ret;

	do {
		ret = ioctl(t->rt->fd, UFIBER_IOC_WAIT, &wait);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static int module_standby(struct uf_thread *t)
{
	return wait_for_server(t, UFIBER_WAIT_STANDBY);
}

/* It must end with a server: what a cancel is for is seen at the next standby. */
static void module_acquire(struct uf_thread *t)
{
	int ret;

	do {
		ret = wait_for_server(t, UFIBER_WAIT_ACQUIRE);
	} while (ret == -ECANCELED);
	if (ret < 0) {
		fprintf(stderr,
			"libufiber: a thread cannot get a server (%s): was the descriptor of " UFIBER_DEVICE
			" closed?\n",
			strerrordesc_np(-ret));
		abort();
	}
}

static void module_cancel(struct uf_thread *t)
{
	struct ufiber_wake wake = {
		.size = sizeof(wake),
		.flags = UFIBER_WAKE_CANCEL,
		.thread = t->id,
	};

	/* One that could not join, or has left already, is not there. */
	ioctl(t->rt->fd, UFIBER_IOC_WAKE, &wake);
}

/* It may have come back meanwhile, or have ended. */
static void module_interrupt(struct uf_thread *t, uint64_t block)
{
	struct ufiber_interrupt args = {
		.size = sizeof(args),
		.flags = UFIBER_INTERRUPT_BLOCK,
		.thread = t->id,
		.block = block,
	};

	ioctl(t->rt->fd, UFIBER_IOC_INTERRUPT, &args);
}

const struct uf_backend uf_backend_module = {
	.name = "module",
	.setup = module_setup,
	.teardown = module_teardown,
	.nr_threads = uf_threads_with_spares,
	.grow = module_grow,
	.attach = module_attach,
	.detach = module_detach,
	.standby = module_standby,
	.acquire = module_acquire,
	.cancel = module_cancel,
	.interrupt = module_interrupt,
};
