// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "domain.h"

void die(const char *what)
{
	fprintf(stderr, "bench-kernel: %s: %s\n", what, strerror(errno));
	exit(1);
}

int domain = -1;
static struct ufiber_setup setup;
static char *memory;

void open_domain_of(uint32_t servers, uint32_t threads)
{
	domain = open(UFIBER_DEVICE, O_RDWR | O_CLOEXEC);
	if (domain < 0)
		die("cannot open " UFIBER_DEVICE " (is the module loaded?)");
	setup = (struct ufiber_setup){
		.size = sizeof(setup),
		.nr_servers = servers,
		.max_threads = threads,
	};
	if (ioctl(domain, UFIBER_IOC_SETUP, &setup))
		die("UFIBER_IOC_SETUP");
	memory = mmap(NULL, setup.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      domain, 0);
	if (memory == MAP_FAILED)
		die("mmap of the domain");
}

void open_domain(uint32_t servers)
{
	open_domain_of(servers, 8);
}

void close_domain(void)
{
	munmap(memory, setup.mmap_size);
	close(domain);
}

volatile struct ufiber_shared_domain *domain_words(void)
{
	return (void *)memory;
}

volatile struct ufiber_shared_thread *thread_words(uint32_t id)
{
	return (void *)(memory + setup.threads_offset +
			id * sizeof(struct ufiber_shared_thread));
}

uint32_t join_domain(void)
{
	struct ufiber_register reg = { .size = sizeof(reg) };

	if (ioctl(domain, UFIBER_IOC_REGISTER, &reg))
		die("UFIBER_IOC_REGISTER");
	return reg.thread;
}

void leave_domain(void)
{
	if (ioctl(domain, UFIBER_IOC_UNREGISTER, 0))
		die("UFIBER_IOC_UNREGISTER");
}

int wait_for_server(uint32_t flags, uint32_t next)
{
	struct ufiber_wait wait = {
		.size = sizeof(wait),
		.flags = flags,
		.next = next,
	};
	int ret = ioctl(domain, UFIBER_IOC_WAIT, &wait);

	if (ret < 0 && errno != ECANCELED)
		die("UFIBER_IOC_WAIT");
	return ret;
}

int hand_over(uint32_t next)
{
	int ret = ioctl(domain, UFIBER_IOC_HANDOVER, (unsigned long)next);

	if (ret < 0 && errno != ECANCELED)
		die("UFIBER_IOC_HANDOVER");
	return ret;
}

void cancel_wait(uint32_t thread)
{
	struct ufiber_wake wake = {
		.size = sizeof(wake),
		.flags = UFIBER_WAKE_CANCEL,
		.thread = thread,
	};

	if (ioctl(domain, UFIBER_IOC_WAKE, &wake))
		die("UFIBER_IOC_WAKE");
}
