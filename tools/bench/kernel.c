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
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include "domain.h"
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

/* The labels are for tools/bench/profile: what is measured lies between. */
extern const char tsc_at_mark[], tsc_at_sample[];

#define READ_TSC(label, tsc)                                     \
	do {                                                     \
		uint32_t low, high;                              \
		asm volatile(label ": rdtsc"                     \
			     : "=a"(low), "=d"(high)::"memory"); \
		(tsc) = (uint64_t)high << 32 | low;              \
	} while (0)

static __attribute__((noipa)) void mark(void)
{
	READ_TSC("tsc_at_mark", marked);
}

static __attribute__((noipa)) void sample(void)
{
	uint64_t passed;

	READ_TSC("tsc_at_sample", passed);
	passed -= marked;

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

static void bench_futex_as(const char *work)
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
	end_samples(work, "futex");
}

static void bench_futex(void)
{
	bench_futex_as("hand-off");
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
		server = hand_over(id_a);
	}
	leave_domain();
	return NULL;
}

static void bench_handover_as(const char *work)
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
		hand_over(id_b);
		sample();
	}
	cancel_wait(id_b);
	pthread_join(b, NULL);
	leave_domain();
	close_domain();
	end_samples(work, "ufiber");
}

static void bench_handover(void)
{
	bench_handover_as("hand-over");
}

/* Both among threads of one real-time priority: the switch itself is less. */

static void be_real_time(bool yes)
{
	struct sched_param param = { .sched_priority = yes };

	if (sched_setscheduler(0, yes ? SCHED_FIFO : SCHED_OTHER, &param))
		die("sched_setscheduler");
}

static void bench_real_time_futex(void)
{
	be_real_time(true);
	bench_futex_as("fifo-hand-off");
	be_real_time(false);
}

static void bench_real_time_handover(void)
{
	be_real_time(true);
	bench_handover_as("fifo-hand-over");
	be_real_time(false);
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

/* ------------------------------ what threads pay that are not registered */

static int stop_a[2];

/* Registered, and asleep in the kernel, once it has read the byte of its turn. */
static void *busy_thread(void *unused)
{
	char c;

	(void)unused;
	join_domain();
	wait_for_server(UFIBER_WAIT_STANDBY, 0);
	for (int i = 0; i < WARM_UP; i++) {
		write_one(pipe_a[1]);
		read_one(pipe_a[0]);
		sched_yield();
	}
	/* Blocks, and the server goes to the other. */
	if (read(stop_a[0], &c, 1) < 0)
		die("read");
	leave_domain();
	return NULL;
}

static void *plain_b(void *unused)
{
	(void)unused;
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		sample();
		mark();
		sched_yield();
	}
	return NULL;
}

/*
 * Two threads of one real-time priority, which take turns on every kernel; and
 * there is no cheaper switch that an addition could be compared with.
 */
static void bench_plain_switch(const char *work)
{
	pthread_t b;

	be_real_time(true);
	start_samples();
	start(&b, plain_b);
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		mark();
		sched_yield();
		sample();
	}
	pthread_join(b, NULL);
	be_real_time(false);
	end_samples(work, "linux");
}

static void bench_plain_switch_without(void)
{
	bench_plain_switch("plain-switch-without");
}

/* Beside a domain with threads that have blocked, and are blocked now. */
static void bench_plain_switch_with(void)
{
	pthread_t busy[2];

	if (pipe2(stop_a, O_CLOEXEC))
		die("pipe");
	open_domain(1);
	for (int i = 0; i < 2; i++)
		start(&busy[i], busy_thread);
	for (uint32_t id = 0; id < 2; id++)
		while (thread_words(id)->state != UFIBER_THREAD_BLOCKED)
			sched_yield();
	bench_plain_switch("plain-switch-with");
	close(stop_a[1]);
	for (int i = 0; i < 2; i++)
		pthread_join(busy[i], NULL);
	close(stop_a[0]);
	close_domain();
}

/* ------------------------------ what a thread pays that does not block */

static void bench_compute(const char *system)
{
	start_samples();
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		mark();
		for (int j = 0; j < 1000; j++)
			asm volatile("" ::: "memory");
		sample();
	}
	end_samples("compute", system);
}

static void bench_compute_plain(void)
{
	bench_compute("linux");
}

static void bench_compute_registered(void)
{
	open_domain(1);
	join_domain();
	wait_for_server(UFIBER_WAIT_STANDBY, 0);
	bench_compute("ufiber");
	leave_domain();
	close_domain();
}

/* ------------- the longest that a domain's lock is held, interrupts off */

static int held;

/* Has a server, and keeps it while it sleeps: until stop_a's other end closes. */
static void *holder(void *unused)
{
	uint32_t id = join_domain();
	char c;

	(void)unused;
	wait_for_server(UFIBER_WAIT_ACQUIRE, 0);
	thread_words(id)->critical = 1;
	__atomic_add_fetch(&held, 1, __ATOMIC_RELEASE);
	if (read(stop_a[0], &c, 1))
		die("read");
	leave_domain();
	return NULL;
}

static void *parked(void *unused)
{
	(void)unused;
	id_b = join_domain();
	for (int i = 0; i < WARM_UP + ROUNDS; i++)
		wait_for_server(0, 0);
	leave_domain();
	return NULL;
}

static bool is_parked(uint32_t thread)
{
	struct ufiber_query query = {
		.size = sizeof(query),
		.thread = thread,
		.server = UFIBER_NONE,
	};

	return !ioctl(domain, UFIBER_IOC_QUERY, &query) &&
	       query.thread_state == UFIBER_THREAD_IDLE &&
	       (query.thread_flags & UFIBER_QUERY_WAITING);
}

/* All servers are held, so a WAKE looks at each, for one whose holder polls. */
static void bench_wake_held(const char *work, int servers)
{
	struct ufiber_wake wake = { .size = sizeof(wake) };
	pthread_t holders[UFIBER_MAX_SERVERS], b;

	if (pipe2(stop_a, O_CLOEXEC))
		die("pipe");
	open_domain_of(servers, servers + 1);
	held = 0;
	for (int i = 0; i < servers; i++)
		start(&holders[i], holder);
	while (__atomic_load_n(&held, __ATOMIC_ACQUIRE) < servers)
		sched_yield();
	id_b = servers;
	start(&b, parked);
	start_samples();
	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		while (!is_parked(id_b))
			sched_yield();
		wake.thread = id_b;
		mark();
		if (ioctl(domain, UFIBER_IOC_WAKE, &wake))
			die("UFIBER_IOC_WAKE");
		sample();
		cancel_wait(id_b);
	}
	end_samples(work, "ufiber");
	pthread_join(b, NULL);
	close(stop_a[1]);
	for (int i = 0; i < servers; i++)
		pthread_join(holders[i], NULL);
	close(stop_a[0]);
	close_domain();
}

static void bench_wake_held_1(void)
{
	bench_wake_held("wake-1-held", 1);
}

static void bench_wake_held_64(void)
{
	bench_wake_held("wake-64-held", 64);
}

static void bench_wake_held_256(void)
{
	bench_wake_held("wake-256-held", 256);
}

/* The lock is dropped after each thread that could have been there. */
static void bench_close(void)
{
	start_samples();
	skip = 0;
	for (int i = 0; i < 10; i++) {
		open_domain_of(UFIBER_MAX_SERVERS, UFIBER_MAX_THREADS);
		mark();
		close_domain();
		sample();
	}
	end_samples("close-largest", "ufiber");
}

/* ------------------------------------------------------ loading the module */

static void unload_module(void)
{
	if (syscall(SYS_delete_module, "ufiber", O_NONBLOCK))
		die("cannot unload the module ufiber");
}

static void load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		die(path);
	close(fd);
}

/* -------------------------------------------------------------------------- */

static const struct work {
	const char *name;
	void (*run)(void);
} works[] = {
	{ "block-to-next", bench_block },
	{ "unblock-to-run", bench_unblock },
	{ "hand-over", bench_handover },
	{ "hand-off/futex", bench_futex },
	{ "hand-off/pipe", bench_pipe },
	{ "fifo-hand-over", bench_real_time_handover },
	{ "fifo-hand-off", bench_real_time_futex },
	{ "null-ioctl", bench_null_ioctl },
	{ "plain-switch", bench_plain_switch_with },
	{ "compute/linux", bench_compute_plain },
	{ "compute/ufiber", bench_compute_registered },
	{ "wake-1-held", bench_wake_held_1 },
	{ "wake-64-held", bench_wake_held_64 },
	{ "wake-256-held", bench_wake_held_256 },
	{ "close-largest", bench_close },
};

#define NR_WORKS (sizeof(works) / sizeof(*works))

static void usage(FILE *out)
{
	fputs("usage: bench-kernel [--module FILE] [RESULT.json]\n"
	      "       bench-kernel --profile WORK GATE\n"
	      "Guest instructions of the module's paths; run it by\n"
	      "tools/vm/run --icount, or: make bench-kernel\n\n"
	      "  --module FILE   the module that is loaded: unload it for\n"
	      "                  plain-switch-without, then load it again\n"
	      "  --profile WORK GATE   for tools/bench/profile: when warm, print\n"
	      "                  where a turn begins and ends, and go on once the\n"
	      "                  file GATE is there\n\nworks:",
	      out);
	for (size_t i = 0; i < NR_WORKS; i++)
		fprintf(out, " %s", works[i].name);
	fputc('\n', out);
}

static void print_ratio(const char *work, const char *peer)
{
	printf("%s / %s hand-off: %.2f\n", work, peer,
	       report_value(work, "ufiber") / report_value("hand-off", peer));
}

static int profile(const char *name, const char *gate)
{
	const struct work *work = works;

	while (work < works + NR_WORKS && strcmp(work->name, name))
		work++;
	if (work == works + NR_WORKS) {
		fprintf(stderr, "bench-kernel: no work '%s'\n", name);
		usage(stderr);
		return 2;
	}
	work->run();
	printf("profile: %p %p\n", (void *)tsc_at_mark, (void *)tsc_at_sample);
	fflush(stdout);
	while (access(gate, F_OK))
		usleep(10000);
	work->run();
	return 0;
}

static void measure(const char *module)
{
	if (module) {
		unload_module();
		bench_plain_switch_without();
		load_module(module);
	}
	for (size_t i = 0; i < NR_WORKS; i++)
		works[i].run();
}

static void report(const char *path, const char *module)
{
	double with, without;

	report_end("kernel", path);
	print_ratio("block-to-next", "pipe");
	print_ratio("unblock-to-run", "pipe");
	print_ratio("hand-over", "futex");
	printf("fifo-hand-over / fifo-hand-off: %.2f\n",
	       report_value("fifo-hand-over", "ufiber") /
		       report_value("fifo-hand-off", "futex"));
	if (!module) {
		printf("plain-switch-without: not measured, give --module\n");
		return;
	}
	with = report_value("plain-switch-with", "linux");
	without = report_value("plain-switch-without", "linux");
	printf("plain-switch-with / plain-switch-without: %.4f\n",
	       with / without);
}

int main(int argc, char **argv)
{
	const char *module = NULL;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		usage(stdout);
		return 0;
	}
	if (pipe2(pipe_a, O_CLOEXEC) || pipe2(pipe_b, O_CLOEXEC))
		die("pipe");
	if (argc == 4 && !strcmp(argv[1], "--profile"))
		return profile(argv[2], argv[3]);
	if (argc > 2 && !strcmp(argv[1], "--module")) {
		module = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		usage(stderr);
		return 2;
	}
	measure(module);
	report(argc == 2 ? argv[1] : NULL, module);
	return 0;
}
