// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"

#define BATCH_NS 1000000
#define BATCHES 101
/* What takes longer than a batch is done less often. */
#define MEASURE_NS 400000000

static const char *system_name;

void peer_die(const char *what, int error)
{
	fprintf(stderr, "bench: %s: %s%s%s\n", system_name, what,
		error ? ": " : "", error ? strerror(error) : "");
	exit(1);
}

void peer_print(const char *work, double value, const char *unit)
{
	printf("%s %.3f %s\n", work, value, unit);
	fflush(stdout);
}

void peer_done(void)
{
	fflush(stdout);
	_exit(0);
}

/* ------------------------------------------------------------ command line */

static bool takes_number(const char *name)
{
	return name[strlen(name) - 1] == '-';
}

static bool matches(const char *name, const char *work, long *n)
{
	char *end;

	*n = 0;
	if (!takes_number(name))
		return !strcmp(name, work);
	if (strncmp(name, work, strlen(name)))
		return false;
	work += strlen(name);
	*n = strtol(work, &end, 10);
	return end != work && !*end && *n > 0;
}

static void list(const struct peer_work *works)
{
	for (; works->name; works++)
		printf("%s %ld\n", works->name, works->most);
}

int peer_main(int argc, char **argv, const char *system,
	      const struct peer_work *works)
{
	const struct peer_work *w;
	long n;

	system_name = system;
	if (argc == 2 && !strcmp(argv[1], "--list")) {
		list(works);
		return 0;
	}
	if (argc != 2 || argv[1][0] == '-') {
		printf("usage: %s WORK | --list\n"
		       "Measures a work of %s once; tools/bench/run compares.\n",
		       argv[0], system);
		return argc == 2 && !strcmp(argv[1], "--help") ? 0 : 2;
	}
	for (w = works; w->name; w++) {
		if (!matches(w->name, argv[1], &n))
			continue;
		if (w->most && n > w->most) {
			fprintf(stderr, "bench: %s: %s: %ld at most\n", system,
				argv[1], w->most);
			return 2;
		}
		w->run(argv[1], n);
		return 0;
	}
	fprintf(stderr, "bench: %s: no work '%s'; see %s --list\n", system,
		argv[1], argv[0]);
	return 2;
}

/* ----------------------------------------------------------------- samples */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t peer_median(uint64_t *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

static uint64_t time_of(peer_batch_fn *fn, void *arg, long times)
{
	uint64_t start = peer_now();

	fn(arg, times);
	return peer_now() - start;
}

void peer_measure(const char *work, peer_batch_fn *fn, void *arg, double per)
{
	uint64_t samples[BATCHES] = { 0 }, took, start;
	long times = 8;
	size_t n = 0;

	while ((took = time_of(fn, arg, times)) < BATCH_NS / 2)
		times *= 2;
	times = (long)((double)times * BATCH_NS / (double)took) + 1;
	start = peer_now();
	while (n < BATCHES && (n < 5 || peer_now() - start < MEASURE_NS))
		/* In picoseconds. */
		samples[n++] = time_of(fn, arg, times) * 1000 / (uint64_t)times;
	peer_print(work, (double)peer_median(samples, n) / 1000 / per, "ns");
}

/* -------------------------------------------------------------------- ring */

/* So many yields in a stage, about a millisecond if there are few members. */
#define STAGE_YIELDS 30000
#define TURNS_MIN 4
#define STAGES_FEW 3

void peer_ring_init(struct peer_ring *ring, long members)
{
	*ring = (struct peer_ring){
		.members = members,
		.turns = STAGE_YIELDS / members,
		.stages = PEER_STAGES_MAX,
		.left = members,
	};
	if (ring->turns < TURNS_MIN)
		ring->turns = TURNS_MIN;
}

void peer_ring_end_stage(struct peer_ring *ring)
{
	uint64_t t = peer_now();
	long yields = __atomic_exchange_n(&ring->yields, 0, __ATOMIC_RELAXED);

	ring->picoseconds[ring->stage] =
		(t - ring->began) * 1000 / (uint64_t)yields;
	ring->began = t;
	if (!ring->stage)
		ring->end = t + MEASURE_NS;
	/* What is slow has fewer stages. */
	else if (ring->stage >= STAGES_FEW && t > ring->end)
		ring->stages = ring->stage;
	__atomic_store_n(&ring->left, ring->members, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->stage, ring->stage + 1, __ATOMIC_RELEASE);
}

void peer_ring_report(const char *work, struct peer_ring *ring)
{
	uint64_t median =
		peer_median(ring->picoseconds + 1, (size_t)ring->stages);

	peer_print(work, (double)median / 1000, "ns");
}

/* ----------------------------------------------------------------- machine */

/* A line of a file in /proc, in bytes. */
static uint64_t read_kb(const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	char line[256];
	uint64_t kb = 0;

	if (!f)
		peer_die(path, errno);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			kb = strtoull(line + strlen(name), NULL, 10);
	fclose(f);
	return kb << 10;
}

uint64_t peer_memory(void)
{
	return read_kb("/proc/self/status", "VmRSS:") +
	       read_kb("/proc/self/status", "VmPTE:") +
	       read_kb("/proc/self/status", "VmSwap:");
}

void peer_need_memory(uint64_t bytes)
{
	char text[128];

	if (read_kb("/proc/meminfo", "MemAvailable:") >= bytes)
		return;
	snprintf(text, sizeof(text),
		 "not enough memory: MemAvailable in /proc/meminfo must be %llu MB",
		 (unsigned long long)bytes >> 20);
	peer_die(text, 0);
}

void peer_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		peer_die("sched_setaffinity", errno);
}
