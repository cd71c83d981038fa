/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fuzzer for /dev/ufiber, guided by coverage (the idea is AFL's and
 * syzkaller's). A program is a list of operations for each of a few threads,
 * which run them at the same time in a process of their own. A program that
 * reached code that none has reached before is kept, and later ones are made from
 * those by mutation.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FUZZ_THREADS 4
#define FUZZ_OPS 24
#define FUZZ_ARGS 3

struct fuzz_op {
	uint8_t code; /* index into fuzz_ops[] */
	uint32_t args[FUZZ_ARGS];
};

struct fuzz_program {
	unsigned int nr[FUZZ_THREADS];
	struct fuzz_op ops[FUZZ_THREADS][FUZZ_OPS];
};

/* ops.c: what can be done. An operation may fail, but must not sleep for long. */
struct fuzz_kind {
	const char *name;
	void (*run)(const uint32_t *args);
};

extern const struct fuzz_kind fuzz_ops[];
extern const unsigned int fuzz_nr_ops;
/* Make what the operations of one process share; false with errno. */
bool fuzz_begin_ops(void);
/* The calling thread is to run thread @index of the program. */
void fuzz_begin_thread(unsigned int index);

/* program.c: making, changing, reading and writing programs */
uint32_t fuzz_random(void);
void fuzz_seed(uint64_t seed);
void fuzz_generate(struct fuzz_program *program);
void fuzz_mutate(struct fuzz_program *program, const struct fuzz_program *other);
bool fuzz_read(struct fuzz_program *program, const char *path);
bool fuzz_write(const struct fuzz_program *program, const char *path);

/* cover.c: which of the module's code has been reached */
#define FUZZ_PLACES 65536
/* In memory that the fuzzer and the programs' processes share. */
struct fuzz_cover {
	uint8_t reached[FUZZ_PLACES];
};

bool fuzz_cover_init(struct fuzz_cover *cover);
/* Around what the calling thread does. */
void fuzz_cover_begin(void);
/* After each operation: the next one may be the last. */
void fuzz_cover_note(struct fuzz_cover *cover);
void fuzz_cover_end(void);

/* run.c */
enum fuzz_result {
	FUZZ_DONE, /* it has ended, with all or some of its threads through */
	FUZZ_KILLED, /* it was killed at its time limit, and is gone */
	FUZZ_STUCK, /* it cannot be killed */
};

enum fuzz_result fuzz_run(const struct fuzz_program *program,
			  struct fuzz_cover *cover);

#endif /* FUZZ_H */
