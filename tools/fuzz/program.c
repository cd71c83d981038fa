// SPDX-License-Identifier: GPL-2.0
/*
 * Programs as text, one operation per line: the thread, the operation's name, its
 * arguments in hexadecimal. What one has learned stays readable, and is kept when
 * operations are added.
 */
#include "fuzz.h"

#include <string.h>

static uint64_t state = 1;

void fuzz_seed(uint64_t seed)
{
	state = seed ? seed : 1;
}

/* xorshift64* (Marsaglia, Vigna) */
uint32_t fuzz_random(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1dULL) >> 32;
}

/* Numbers that mean something somewhere are tried more often than others. */
static uint32_t random_arg(void)
{
	static const uint32_t special[] = { 0xffffffff, 0x80000000, 0x7fffffff,
					    0x1000,	0x8000,	    256,
					    255,	32768 };
	uint32_t r = fuzz_random();

	switch (r % 8) {
	case 0:
		return fuzz_random();
	case 1:
		return special[fuzz_random() %
			       (sizeof(special) / sizeof(special[0]))];
	case 2:
		return 1U << (fuzz_random() % 32);
	default:
		return fuzz_random() % 8;
	}
}

static void random_op(struct fuzz_op *op)
{
	int i;

	op->code = fuzz_random() % fuzz_nr_ops;
	for (i = 0; i < FUZZ_ARGS; i++)
		op->args[i] = random_arg();
}

void fuzz_generate(struct fuzz_program *program)
{
	unsigned int thread, i;

	for (thread = 0; thread < FUZZ_THREADS; thread++) {
		program->nr[thread] = 1 + fuzz_random() % FUZZ_OPS;
		for (i = 0; i < program->nr[thread]; i++)
			random_op(&program->ops[thread][i]);
	}
}

static void insert(struct fuzz_program *program, unsigned int thread)
{
	unsigned int *nr = &program->nr[thread];
	struct fuzz_op *ops = program->ops[thread];
	unsigned int at = fuzz_random() % (*nr + 1);

	if (*nr == FUZZ_OPS)
		return;
	memmove(&ops[at + 1], &ops[at], (*nr - at) * sizeof(*ops));
	random_op(&ops[at]);
	++*nr;
}

static void erase(struct fuzz_program *program, unsigned int thread)
{
	unsigned int *nr = &program->nr[thread];
	struct fuzz_op *ops = program->ops[thread];
	unsigned int at;

	if (!*nr)
		return;
	at = fuzz_random() % *nr;
	memmove(&ops[at], &ops[at + 1], (*nr - at - 1) * sizeof(*ops));
	--*nr;
}

static void alter(struct fuzz_program *program, unsigned int thread)
{
	struct fuzz_op *op;

	if (!program->nr[thread])
		return;
	op = &program->ops[thread][fuzz_random() % program->nr[thread]];
	op->args[fuzz_random() % FUZZ_ARGS] = random_arg();
}

static void take_thread(struct fuzz_program *program, unsigned int thread,
			const struct fuzz_program *other)
{
	unsigned int from = fuzz_random() % FUZZ_THREADS;

	program->nr[thread] = other->nr[from];
	memcpy(program->ops[thread], other->ops[from],
	       sizeof(program->ops[thread]));
}

/* Change @program in a few places; @other is one to take parts from. */
void fuzz_mutate(struct fuzz_program *program, const struct fuzz_program *other)
{
	int changes = 1 + fuzz_random() % 6;

	while (changes--) {
		unsigned int thread = fuzz_random() % FUZZ_THREADS;

		switch (fuzz_random() % 8) {
		case 0:
			erase(program, thread);
			break;
		case 1:
			take_thread(program, thread, other);
			break;
		case 2:
		case 3:
		case 4:
			alter(program, thread);
			break;
		default:
			insert(program, thread);
		}
	}
}

static int find_op(const char *name)
{
	unsigned int i;

	for (i = 0; i < fuzz_nr_ops; i++)
		if (!strcmp(fuzz_ops[i].name, name))
			return i;
	return -1;
}

/* Lines that are not understood are left out; false if the file cannot be read. */
bool fuzz_read(struct fuzz_program *program, const char *path)
{
	char line[128], name[32];
	FILE *file = fopen(path, "r");

	if (!file)
		return false;
	memset(program, 0, sizeof(*program));
	while (fgets(line, sizeof(line), file)) {
		unsigned int thread;
		struct fuzz_op op;
		int code;

		if (sscanf(line, "%u %31s %x %x %x", &thread, name, &op.args[0],
			   &op.args[1], &op.args[2]) != 5)
			continue;
		code = find_op(name);
		if (code < 0 || thread >= FUZZ_THREADS ||
		    program->nr[thread] == FUZZ_OPS)
			continue;
		op.code = code;
		program->ops[thread][program->nr[thread]++] = op;
	}
	fclose(file);
	return true;
}

bool fuzz_write(const struct fuzz_program *program, const char *path)
{
	unsigned int thread, i;
	FILE *file = fopen(path, "w");

	if (!file)
		return false;
	for (thread = 0; thread < FUZZ_THREADS; thread++) {
		for (i = 0; i < program->nr[thread]; i++) {
			const struct fuzz_op *op = &program->ops[thread][i];

			fprintf(file, "%u %s %x %x %x\n", thread,
				fuzz_ops[op->code].name, op->args[0],
				op->args[1], op->args[2]);
		}
	}
	return !fclose(file);
}
