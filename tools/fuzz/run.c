// SPDX-License-Identifier: GPL-2.0
/*
 * One program, in a process of its own, so that all that it may leave behind (open
 * descriptors, held threads, mappings) goes through the module's own clearing up.
 */
#include "fuzz.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * What the other threads have once the first one is through (many programs leave
 * one parked or held), what the first one has, and the kernel for ending it all.
 */
#define JOIN_MS 20
#define LIMIT_MS 200
#define KILL_MS 60000

static const struct fuzz_program *running;
static struct fuzz_cover *running_cover;

static void *run_thread(void *arg)
{
	unsigned int thread = (uintptr_t)arg, i;

	fuzz_begin_thread(thread);
	fuzz_cover_begin();
	for (i = 0; i < running->nr[thread]; i++) {
		const struct fuzz_op *op = &running->ops[thread][i];

		fuzz_ops[op->code].run(op->args);
		fuzz_cover_note(running_cover);
	}
	fuzz_cover_end();
	return NULL;
}

static void run_all(void)
{
	pthread_t threads[FUZZ_THREADS];
	struct timespec end;
	uintptr_t i, n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!fuzz_begin_ops())
		_exit(1);
	for (n = 1; n < FUZZ_THREADS; n++)
		if (pthread_create(&threads[n], NULL, run_thread, (void *)n))
			break;
	run_thread(NULL);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += JOIN_MS * 1000000L;
	end.tv_sec += end.tv_nsec / 1000000000L;
	end.tv_nsec %= 1000000000L;
	for (i = 1; i < n; i++)
		if (pthread_timedjoin_np(threads[i], NULL, &end))
			break;
	_exit(0);
}

/* Wait for the child's end; false at the time limit. */
static bool await_end(pid_t pid, int ms)
{
	struct timespec limit = { ms / 1000, ms % 1000 * 1000000L };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (;;) {
		int status;

		if (waitpid(pid, &status, WNOHANG) == pid)
			return true;
		if (sigtimedwait(&set, NULL, &limit) < 0 && errno == EAGAIN)
			return waitpid(pid, &status, WNOHANG) == pid;
	}
}

enum fuzz_result fuzz_run(const struct fuzz_program *program,
			  struct fuzz_cover *cover)
{
	sigset_t set;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	running = program;
	running_cover = cover;
	pid = fork();
	if (!pid)
		run_all();
	if (pid < 0)
		return FUZZ_STUCK;
	if (await_end(pid, LIMIT_MS))
		return FUZZ_DONE;
	kill(pid, SIGKILL);
	return await_end(pid, KILL_MS) ? FUZZ_KILLED : FUZZ_STUCK;
}
