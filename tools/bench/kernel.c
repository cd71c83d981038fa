// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What the module's paths cost, from user mode to user mode, beside the ways
 * that Linux has to pass the processor from one thread to another.
 *
 * For one CPU under QEMU's -icount shift=0, where the time stamp counter
 * advances by one for each guest instruction (tools/vm/run --icount).
 *
 * In each benchmark two threads, A (main) and B, pass the processor to and fro.
 * Who lets go of it marks the time; who goes on in user mode takes a sample.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/ufiber.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include "report.h"

#define WARM_UP 100
#define ROUNDS 1000

/* -------------------------------------------------------------- the clock */

static volatile uint64_t marked;
static struct samples samples;
static int skip;

static void start_samples(void)
{
	samples_init(&samples, 2 * ROUNDS);
	skip = WARM_UP;
}

static void mark(void)
{
	marked = __rdtsc();
}

static void sample(void)
{
	uint64_t passed = __rdtsc() - marked;

	if (skip)
		skip--;
	else
		samples_add(&samples, passed);
}

static void end_samples(const char *work, const char *system)
{
	report_add(work, system, &samples, 1, "instructions");
	free(samples.values);
}

/* ------------------------------------------------------------ system calls */

static int pipe_a[2], pipe_b[2];

static void die(const char *what)
{
	fprintf(stderr, "bench-kernel: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void write_one(int fd)
{
	if (write(fd, "", 1) != 1)
		die("write");
}

static void read_one(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		die("read");
}

static void start(pthread_t *b, void *(*run)(void *))
{
	errno = pthread_create(b, NULL, run, NULL);
	if (errno)
		die("pthread_create");
}

/* ------------------------------------------------------------- the domain */

static int domain = -1;
static struct ufiber_setup setup;
static char *memory;

static void open_domain(uint32_t servers)
{
	domain = open(UFIBER_DEVICE, O_RDWR | O_CLOEXEC);
	if (domain < 0)
		die("cannot open " UFIBER_DEVICE " (is the module loaded?)");
	setup = (struct ufiber_setup){
		.size = sizeof(setup),
		.nr_servers = servers,
		.max_threads = 8,
	};
	if (ioctl(domain, UFIBER_IOC_SETUP, &setup))
		die("UFIBER_IOC_SETUP");
	memory = mmap(NULL, setup.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      domain, 0);
	if (memory == MAP_FAILED)
		die("mmap of the domain");
}

static void close_domain(void)
{
	munmap(memory, setup.mmap_size);
	close(domain);
}

static volatile struct ufiber_shared_domain *domain_words(void)
{
	return (void *)memory;
}

static volatile struct ufiber_shared_thread *thread_words(uint32_t id)
{
	return (void *)(memory + setup.threads_offset +
			id * sizeof(struct ufiber_shared_thread));
}

static uint32_t join_domain(void)
{
	struct ufiber_register reg = { .size = sizeof(reg) };

	if (ioctl(domain, UFIBER_IOC_REGISTER, &reg))
		die("UFIBER_IOC_REGISTER");
	return reg.thread;
}

static void leave_domain(void)
{
	if (ioctl(domain, UFIBER_IOC_UNREGISTER, 0))
		die("UFIBER_IOC_UNREGISTER");
}

static int wait_for_server(uint32_t flags, uint32_t next)
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

static void cancel_wait(uint32_t thread)
{
	struct ufiber_wake wake = {
		.size = sizeof(wake),
		.flags = UFIBER_WAKE_CANCEL,
		.thread = thread,
	};

	if (ioctl(domain, UFIBER_IOC_WAKE, &wake))
		die("UFIBER_IOC_WAKE");
}

/* ------------------------------------------------- a call that does nothing */

static void bench_null_ioctl(void)
{
	open_domain(1);
	start_samples();
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		mark();
		ioctl(domain, _IO('U', 0xff), 0);
		sample();
	}
	end_samples("null-ioctl", "ufiber");
	close_domain();
}

/* ------------------------------------------------------------------ futex */

static uint32_t turn;

static void futex_give(uint32_t to)
{
	__atomic_store_n(&turn, to, __ATOMIC_RELEASE);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void futex_take(uint32_t mine)
{
	while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != mine)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, !mine, NULL, NULL,
			0);
}

static void *futex_b(void *unused)
{
	(void)unused;
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		futex_take(1);
		sample();
		mark();
		futex_give(0);
	}
	return NULL;
}

static void bench_futex(void)
{
	pthread_t b;

	start_samples();
	start(&b, futex_b);
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		mark();
		futex_give(1);
		futex_take(0);
		sample();
	}
	pthread_join(b, NULL);
	end_samples("hand-off", "futex");
}

/* ------------------------------------------------------------------- pipe */

static void *pipe_run_b(void *unused)
{
	(void)unused;
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		read_one(pipe_b[0]);
		sample();
		mark();
		write_one(pipe_a[1]);
	}
	return NULL;
}

static void bench_pipe(void)
{
	pthread_t b;

	start_samples();
	start(&b, pipe_run_b);
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		mark();
		write_one(pipe_b[1]);
		read_one(pipe_a[0]);
		sample();
	}
	pthread_join(b, NULL);
	end_samples("hand-off", "pipe");
}

/* ---------------------------------------------- hand-over by one wait call */

static uint32_t id_a, id_b;

static void *handover_b(void *unused)
{
	int server;

	(void)unused;
	id_b = join_domain();
	server = wait_for_server(UFIBER_WAIT_STANDBY, 0);
	while (server >= 0) {
		sample();
		mark();
		server = wait_for_server(UFIBER_WAIT_HANDOVER, id_a);
	}
	leave_domain();
	return NULL;
}

static void bench_handover(void)
{
	pthread_t b;

	open_domain(1);
	start_samples();
	id_a = join_domain();
	wait_for_server(UFIBER_WAIT_STANDBY, 0);
	start(&b, handover_b);
	while (!domain_words()->nr_standby)
		sched_yield();
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		mark();
		wait_for_server(UFIBER_WAIT_HANDOVER, id_b);
		sample();
	}
	cancel_wait(id_b);
	pthread_join(b, NULL);
	leave_domain();
	close_domain();
	end_samples("hand-over", "ufiber");
}

/* -------------------------- a fiber blocks, the next one runs on a standby */

static void *block_b(void *unused)
{
	(void)unused;
	join_domain();
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		wait_for_server(UFIBER_WAIT_STANDBY, 0);
		sample();
		write_one(pipe_a[1]);
		/* Until A, which B's server is wanted by, has come that far. */
		while (!domain_words()->nr_runnable)
			sched_yield();
	}
	leave_domain();
	return NULL;
}

static void bench_block(void)
{
	pthread_t b;

	open_domain(1);
	start_samples();
	join_domain();
	wait_for_server(UFIBER_WAIT_STANDBY, 0);
	start(&b, block_b);
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		/* B is to sleep, not just about to: let it run for a while. */
		while (!domain_words()->nr_standby)
			sched_yield();
		for (int j = 0; j < 10; j++)
			sched_yield();
		mark();
		read_one(pipe_a[0]);
	}
	pthread_join(b, NULL);
	leave_domain();
	close_domain();
	end_samples("block-to-next", "ufiber");
}

/* ----------------- a fiber's block ends, it takes its server and goes on */

static void *unblock_b(void *unused)
{
	(void)unused;
	join_domain();
	wait_for_server(UFIBER_WAIT_STANDBY, 0);
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		while (thread_words(id_a)->state != UFIBER_THREAD_BLOCKED)
			sched_yield();
		mark();
		write_one(pipe_a[1]);
		read_one(pipe_b[0]);
	}
	leave_domain();
	return NULL;
}

static void bench_unblock(void)
{
	pthread_t b;

	/* A server for each and nobody stands by: a block leaves it VACANT. */
	open_domain(2);
	start_samples();
	id_a = join_domain();
	wait_for_server(UFIBER_WAIT_STANDBY, 0);
	start(&b, unblock_b);
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		read_one(pipe_a[0]);
		sample();
		write_one(pipe_b[1]);
	}
	leave_domain();
	pthread_join(b, NULL);
	close_domain();
	end_samples("unblock-to-run", "ufiber");
}

static void print_ratio(const char *work, const char *peer)
{
	printf("%s / %s hand-off: %.2f\n", work, peer,
	       report_value(work, "ufiber") / report_value("hand-off", peer));
}

int main(int argc, char **argv)
{
	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		printf("usage: bench-kernel [RESULT.json]\n"
		       "Guest instructions of the module's paths; run it by\n"
		       "tools/vm/run --icount, or: make bench-kernel\n");
		return argc == 2 && !strcmp(argv[1], "--help") ? 0 : 2;
	}
	if (pipe2(pipe_a, O_CLOEXEC) || pipe2(pipe_b, O_CLOEXEC))
		die("pipe");
	bench_block();
	bench_unblock();
	bench_handover();
	bench_futex();
	bench_pipe();
	bench_null_ioctl();
	report_end("kernel", argc == 2 ? argv[1] : NULL);
	print_ratio("block-to-next", "pipe");
	print_ratio("unblock-to-run", "pipe");
	print_ratio("hand-over", "futex");
	return 0;
}
