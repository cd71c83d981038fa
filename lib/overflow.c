// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A stack that overflows is reported: whose it is, how large, and from where.
 * Then the signal takes the way that it would have taken without us: to the
 * handler that the program had installed before, or to the default action, with
 * the core dump and the status that go with it.
 *
 * The handler runs on the thread's alternate signal stack, as there is no room
 * on the fiber's. It allocates nothing, and takes no lock but, perhaps, the
 * dynamic linker's, which the unwinder asks what is loaded where; so the text
 * that needs no unwinder is written first. A fault of the handler's own ends the
 * process, because the signal is blocked meanwhile.
 */
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

#include "internal.h"
#include "line.h"
#include "overflow.h"

/* Frames shown of the innermost; and of the outermost, if there are more. */
#define UF_TRACE_INNER 24
#define UF_TRACE_OUTER 8

/* A guard by userfaultfd raises SIGBUS (see arena.c), the others SIGSEGV. */
static const int signals[] = { SIGSEGV, SIGBUS };

#define NR_SIGNALS (sizeof(signals) / sizeof(signals[0]))

/* What was installed before, and how many runtimes want ours. */
static struct sigaction previous[NR_SIGNALS];
static unsigned int users;
static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;

/* -------------------------------------------------------------- the report */

static void write_head(const struct uf_fiber *fiber, const void *address)
{
	struct uf_line line = { .len = 0 };

	uf_line_text(&line, "ufiber: stack overflow of fiber ");
	uf_line_number(&line, fiber->id);
	uf_line_text(&line, " \"");
	uf_line_text(&line, fiber->name);
	uf_line_text(&line, "\" (");
	uf_line_address(&line, fiber);
	uf_line_text(&line, "): ");
	uf_line_number(&line, fiber->stack_size);
	uf_line_text(&line, " bytes of stack from ");
	uf_line_address(&line, fiber->stack);
	uf_line_text(&line, ", fault at ");
	uf_line_address(&line, address);
	uf_line_write(&line, STDERR_FILENO);
	uf_line_text(&line,
		     "ufiber: if it needs more, raise stack_size in its uf_attr or in uf_config; its frames, innermost first:");
	uf_line_write(&line, STDERR_FILENO);
}

/* The addresses of a fiber's frames: the first, and the last in a ring. */
struct trace {
	const struct uf_fiber *fiber;
	void *inner[UF_TRACE_INNER];
	void *outer[UF_TRACE_OUTER];
	unsigned int nr;
};

/*
 * The walk begins in the handler, on the signal stack. Of a frame on the
 * fiber's, the stack pointer is there, or in the guard page.
 */
static bool is_on_stack(const struct uf_fiber *fiber, uintptr_t sp)
{
	return sp >= (uintptr_t)fiber->stack - uf_page_size() &&
	       sp <= (uintptr_t)fiber->stack + fiber->stack_size;
}

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *arg)
{
	struct trace *trace = arg;
	void *ip = (void *)_Unwind_GetIP(context);

	/* The outermost caller is none. */
	if (!ip || !is_on_stack(trace->fiber, _Unwind_GetCFA(context)))
		return _URC_NO_REASON;
	if (trace->nr < UF_TRACE_INNER)
		trace->inner[trace->nr] = ip;
	else
		trace->outer[trace->nr % UF_TRACE_OUTER] = ip;
	trace->nr++;
	return _URC_NO_REASON;
}

static void write_trace(const struct uf_fiber *fiber)
{
	struct trace trace = { .fiber = fiber };
	struct uf_line line = { .len = 0 };
	unsigned int i;

	_Unwind_Backtrace(add_frame, &trace);
	if (trace.nr <= UF_TRACE_INNER) {
		backtrace_symbols_fd(trace.inner, trace.nr, STDERR_FILENO);
		return;
	}
	backtrace_symbols_fd(trace.inner, UF_TRACE_INNER, STDERR_FILENO);
	i = UF_TRACE_INNER;
	if (trace.nr - i > UF_TRACE_OUTER) {
		i = trace.nr - UF_TRACE_OUTER;
		uf_line_text(&line, "ufiber: ... ");
		uf_line_number(&line, i - UF_TRACE_INNER);
		uf_line_text(&line, " more ...");
		uf_line_write(&line, STDERR_FILENO);
	}
	for (; i < trace.nr; i++)
		backtrace_symbols_fd(&trace.outer[i % UF_TRACE_OUTER], 1,
				     STDERR_FILENO);
}

/* ------------------------------------------------------------- the handler */

static bool is_overflow(const struct uf_fiber *fiber, const siginfo_t *info)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	uintptr_t stack;

	/* Sent by a process: there is no address. */
	if (!fiber || info->si_code <= 0)
		return false;
	stack = (uintptr_t)fiber->stack;
	return address >= stack - uf_page_size() && address < stack;
}

static struct sigaction *previous_of(int sig)
{
	return &previous[sig == signals[0] ? 0 : 1];
}

/*
 * The default action. A fault is repeated when we return, and then has it. What
 * was sent by a process is sent again; so is a fault whose signal was changed.
 * It arrives when we return.
 */
static void do_default(int sig, siginfo_t *info, bool repeats)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	sigaction(sig, &action, NULL);
	if (!repeats)
		syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), sig, info);
}

/* As the kernel would have called it, as far as that can be done from here. */
static void call_previous(struct sigaction *action, int sig, siginfo_t *info,
			  void *context)
{
	sigset_t mask = action->sa_mask;
	sigset_t old;

	if (!(action->sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	pthread_sigmask(SIG_BLOCK, &mask, &old);
	if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(sig, info, context);
	else
		action->sa_handler(sig);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* The kernel does not let a fault be ignored. */
static void pass_on(int sig, siginfo_t *info, void *context, bool repeats)
{
	struct sigaction *action = previous_of(sig);

	if (action->sa_flags & SA_SIGINFO ||
	    (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN))
		call_previous(action, sig, info, context);
	else if (action->sa_handler == SIG_DFL || info->si_code > 0)
		do_default(sig, info, repeats);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const struct uf_fiber *fiber = uf_self();
	bool repeats = info->si_code > 0;

	if (is_overflow(fiber, info)) {
		write_head(fiber, info->si_addr);
		write_trace(fiber);
		/* However the guard is made, the program sees one signal. */
		repeats = sig == SIGSEGV;
		sig = SIGSEGV;
		info->si_signo = sig;
		info->si_code = SEGV_ACCERR;
	}
	pass_on(sig, info, context, repeats);
}

/* ------------------------------------------------------ setting it in place */

/* A runtime starts that wants overflows reported. */
void uf_overflow_start(void)
{
	struct sigaction action = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	unsigned int i;

	pthread_mutex_lock(&users_lock);
	if (!users++)
		for (i = 0; i < NR_SIGNALS; i++)
			sigaction(signals[i], &action, &previous[i]);
	pthread_mutex_unlock(&users_lock);
}

/* It has stopped. A handler installed since then stays; it may call ours. */
void uf_overflow_stop(void)
{
	struct sigaction action;
	unsigned int i;

	pthread_mutex_lock(&users_lock);
	if (!--users) {
		for (i = 0; i < NR_SIGNALS; i++) {
			sigaction(signals[i], NULL, &action);
			if (action.sa_flags & SA_SIGINFO &&
			    action.sa_sigaction == on_fault)
				sigaction(signals[i], &previous[i], NULL);
		}
	}
	pthread_mutex_unlock(&users_lock);
}

/* Give the calling thread an alternate signal stack, if it has none. */
void uf_signal_stack_set(struct uf_signal_stack *stack)
{
	stack_t old, new = {
		.ss_sp = stack->bytes,
		.ss_size = sizeof(stack->bytes),
	};

	stack->set = !sigaltstack(NULL, &old) && old.ss_flags & SS_DISABLE &&
		     !sigaltstack(&new, NULL);
}

void uf_signal_stack_unset(struct uf_signal_stack *stack)
{
	stack_t none = { .ss_flags = SS_DISABLE };

	if (stack->set)
		sigaltstack(&none, NULL);
}
