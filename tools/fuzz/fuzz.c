// SPDX-License-Identifier: GPL-2.0
/* The fuzzer: programs in turn, new ones from those that reached something new. */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define MAX_CORPUS 4096
#define REPORT_SECONDS 10

static struct fuzz_program corpus[MAX_CORPUS];
static unsigned int nr_corpus;
static struct fuzz_cover known;
static struct fuzz_cover *cover;
static const char *out;
static unsigned long runs, killed;
static bool tap;

static void usage(FILE *to)
{
	fprintf(to,
		"usage: fuzz [--seconds N] [--seed N] [--corpus DIR] [--out DIR] [--tap] [PROGRAM...]\n"
		"\n"
		"Fuzzes /dev/ufiber for N seconds (default 60), starting from the programs in\n"
		"--corpus. Programs that reach new code are written to --out/corpus; the one that\n"
		"is running is in --out/current, for when the kernel dies of it. With PROGRAMs,\n"
		"runs each of these 100 times instead. --tap: what it prints is TAP.\n"
		"\n"
		"exit status: 0 no complaint, 1 a process could not be killed, 2 usage or set-up.\n"
		"What the kernel complains of is for tools/vm/run to see: make fuzz SECONDS=N\n");
}

static unsigned int count_places(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < FUZZ_PLACES; i++)
		n += known.reached[i];
	return n;
}

/* Whether the last run reached anything for the first time; forgets the run. */
static bool note_news(void)
{
	bool news = false;
	unsigned int i;

	for (i = 0; i < FUZZ_PLACES; i++) {
		if (!cover->reached[i])
			continue;
		cover->reached[i] = 0;
		news |= !known.reached[i];
		known.reached[i] = 1;
	}
	return news;
}

/* The text decides the name, so that the same program is kept once. */
static void keep(const struct fuzz_program *program)
{
	char path[512];
	uint64_t hash = 0xcbf29ce484222325ULL;
	const unsigned char *bytes = (const void *)program;
	size_t i;

	if (nr_corpus < MAX_CORPUS)
		corpus[nr_corpus++] = *program;
	for (i = 0; i < sizeof(*program); i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	snprintf(path, sizeof(path), "%s/corpus/%016llx", out,
		 (unsigned long long)hash);
	fuzz_write(program, path);
}

static bool try(const struct fuzz_program *program)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/current", out);
	fuzz_write(program, path);
	runs++;
	switch (fuzz_run(program, cover)) {
	case FUZZ_DONE:
		return true;
	case FUZZ_KILLED:
		killed++;
		return true;
	default:
		fprintf(stderr,
			"fuzz: a process could not be started or killed; its program is %s\n",
			path);
		return false;
	}
}

static void report(double seconds)
{
	printf("%sfuzz: %5.0f s: %lu programs (%lu killed at their time limit), %u places, corpus of %u\n",
	       tap ? "# " : "", seconds, runs, killed, count_places(),
	       nr_corpus);
	fflush(stdout);
}

static double clock_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static bool try_corpus(const char *dir)
{
	struct dirent *entry;
	struct fuzz_program program;
	char path[512];
	DIR *d = opendir(dir);

	if (!d) {
		fprintf(stderr, "fuzz: %s: %s\n", dir, strerror(errno));
		return false;
	}
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (!fuzz_read(&program, path))
			continue;
		if (!try(&program))
			break;
		if (note_news())
			keep(&program);
	}
	closedir(d);
	return !entry;
}

static bool fuzz(double seconds)
{
	double start = clock_seconds(), next = REPORT_SECONDS, passed = 0;
	struct fuzz_program program;

	while (passed < seconds) {
		if (nr_corpus && fuzz_random() % 16) {
			program = corpus[fuzz_random() % nr_corpus];
			fuzz_mutate(&program,
				    &corpus[fuzz_random() % nr_corpus]);
		} else {
			memset(&program, 0, sizeof(program));
			fuzz_generate(&program);
		}
		if (!try(&program))
			return false;
		if (note_news())
			keep(&program);
		passed = clock_seconds() - start;
		if (passed >= next) {
			report(passed);
			next += REPORT_SECONDS;
		}
	}
	report(passed);
	return true;
}

static bool replay(char **paths)
{
	struct fuzz_program program;
	int i;

	for (; *paths; paths++) {
		if (!fuzz_read(&program, *paths)) {
			fprintf(stderr, "fuzz: %s: %s\n", *paths,
				strerror(errno));
			return false;
		}
		for (i = 0; i < 100; i++)
			if (!try(&program))
				return false;
		printf("fuzz: %s: 100 times\n", *paths);
	}
	return true;
}

static bool prepare(void)
{
	char path[512];

	mkdir(out, 0777);
	snprintf(path, sizeof(path), "%s/corpus", out);
	if (mkdir(path, 0777) && errno != EEXIST) {
		fprintf(stderr, "fuzz: %s: %s\n", path, strerror(errno));
		return false;
	}
	cover = mmap(NULL, sizeof(*cover), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cover != MAP_FAILED && fuzz_cover_init(cover);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "corpus", required_argument, NULL, 'c' },
		{ "out", required_argument, NULL, 'o' },
		{ "tap", no_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	unsigned long seed = time(NULL);
	const char *dir = NULL;
	double seconds = 60;
	bool fine;
	int c;

	out = "build/fuzz";
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		char *end = "";

		switch (c) {
		case 's':
			seconds = strtod(optarg, &end);
			break;
		case 'r':
			seed = strtoul(optarg, &end, 0);
			break;
		case 'c':
			dir = optarg;
			break;
		case 'o':
			out = optarg;
			break;
		case 't':
			tap = true;
			break;
		default:
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
		if (*end || seconds <= 0) {
			fprintf(stderr, "fuzz: '%s' is no number\n", optarg);
			return 2;
		}
	}
	if (!prepare())
		return 2;
	fuzz_seed(seed);
	printf("%sfuzz: seed %lu\n", tap ? "# " : "", seed);
	if (argv[optind])
		return !replay(argv + optind);
	if (dir && !try_corpus(dir))
		return 2;
	fine = fuzz(seconds);
	if (tap)
		printf("1..1\n%sok 1 every process of %lu programs could be ended\n",
		       fine ? "" : "not ", runs);
	return !fine;
}
