// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What memory a parked fiber takes, page tables included: a million of them are
 * made, each waits for a semaphore, and by how much the process has grown is
 * divided among them. Each measurement is a process of its own. Go's
 * goroutines beside them, if bench/parked-go was built.
 */
#include <errno.h>
#include <libgen.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <ufiber.h>
#include <unistd.h>

#include "report.h"

#define ROUNDS 5
#define NR_DEFAULT 1000000
/* To refuse what would not fit. */
#define BYTES_EACH 5000ULL

static long nr = NR_DEFAULT;
static char go_program[4096];

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "bench-parked: %s: %s\n", what, why);
	exit(1);
}

/* A line of a file in /proc, in bytes. */
static uint64_t read_kb(const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	char line[256];
	uint64_t kb = 0;

	if (!f)
		fail(path, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			kb = strtoull(line + strlen(name), NULL, 10);
	fclose(f);
	return kb << 10;
}

static uint64_t memory(void)
{
	return read_kb("/proc/self/status", "VmRSS:") +
	       read_kb("/proc/self/status", "VmPTE:") +
	       read_kb("/proc/self/status", "VmSwap:");
}

/* ----------------------------------------------------------------- ufiber */

static struct uf_sem release = UF_SEM_INIT(0);
static atomic_long nr_parked;

static void *park(void *arg)
{
	(void)arg;
	atomic_fetch_add(&nr_parked, 1);
	uf_sem_wait(&release);
	return NULL;
}

static void *make_fibers(void *arg)
{
	struct uf_attr attr = { .size = sizeof(attr), .flags = UF_DETACHED };
	uint64_t before = memory();
	long i;
	int error;

	for (i = 0; i < nr; i++) {
		error = uf_create(NULL, NULL, &attr, park, NULL);
		if (error)
			fail("uf_create", strerror(-error));
	}
	while (atomic_load(&nr_parked) < nr)
		uf_yield();
	*(uint64_t *)arg = memory() - before;
	for (i = 0; i < nr; i++)
		uf_sem_post(&release);
	return NULL;
}

static uint64_t measure_ufiber(void)
{
	uint64_t bytes;

	if (uf_run(NULL, make_fibers, &bytes, NULL))
		fail("uf_run", uf_strerror());
	return bytes;
}

/* --------------------------------------------------------------- measuring */

static uint64_t measure_go(void)
{
	char number[24];

	snprintf(number, sizeof(number), "%ld", nr);
	execl(go_program, go_program, number, NULL);
	fail(go_program, strerror(errno));
	return 0;
}

/* A child measures, and prints what it has found. */
static void measure(struct samples *samples, uint64_t (*fn)(void))
{
	unsigned long long bytes;
	int status, fds[2];
	FILE *in;
	pid_t pid;

	if (pipe(fds))
		fail("pipe", strerror(errno));
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		printf("%llu\n", (unsigned long long)fn());
		exit(0);
	}
	close(fds[1]);
	in = fdopen(fds[0], "r");
	if (pid < 0 || fscanf(in, "%llu", &bytes) != 1)
		fail("a measurement", "it has told nothing");
	fclose(in);
	if (waitpid(pid, &status, 0) != pid || status)
		fail("a measurement", "it has failed");
	samples_add(samples, bytes);
}

static void usage(int status)
{
	printf("usage: bench-parked [-n FIBERS] [RESULT.json]\n"
	       "Bytes that a parked fiber takes; or: make bench-parked\n");
	exit(status);
}

static void read_arguments(int argc, char **argv)
{
	int option;

	if (argc == 2 && !strcmp(argv[1], "--help"))
		usage(0);
	while ((option = getopt(argc, argv, "n:")) >= 0) {
		if (option != 'n')
			usage(2);
		nr = atol(optarg);
	}
	if (nr < 1 || optind + 1 < argc)
		usage(2);
	if (read_kb("/proc/meminfo", "MemAvailable:") < nr * BYTES_EACH)
		fail("not enough memory",
		     "MemAvailable in /proc/meminfo must be 5000 bytes for each; give fewer, -n");
}

int main(int argc, char **argv)
{
	struct samples ufiber, go;
	bool have_go;
	int round;

	read_arguments(argc, argv);
	snprintf(go_program, sizeof(go_program), "%s/parked-go",
		 dirname(strdup(argv[0])));
	have_go = !access(go_program, X_OK);
	if (!have_go)
		fprintf(stderr, "bench-parked: no %s: goroutines are left out\n",
			go_program);
	samples_init(&ufiber, ROUNDS);
	samples_init(&go, ROUNDS);
	for (round = 0; round < ROUNDS; round++) {
		measure(&ufiber, measure_ufiber);
		if (have_go)
			measure(&go, measure_go);
	}
	report_add("parked-fiber-bytes", "ufiber", &ufiber, nr, "bytes");
	if (have_go)
		report_add("parked-fiber-bytes", "go", &go, nr, "bytes");
	report_end("parked", optind < argc ? argv[optind] : NULL);
	return 0;
}
