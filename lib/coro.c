// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Coroutines: what <ufiber/coro.h> promises, by calls. coro_inline.h has the
 * plain cases once more, and leaves the others to this file.
 *
 * Who leaves does all the work, and does it before the switch: marks both sides,
 * stores the value where the other side wants it, brings the floating-point
 * controls in place. What is passed with the switch is what the other side's
 * call returns. So the switch can be each function's last act, a jump and not a
 * call: the processor predicts a return by the calls that it has seen, and these
 * were on another stack. With a return after it a switch took 11 ns, and not 4.
 *
 * What resume() and yield() do in any case, uf_coro_resume() and uf_coro_yield()
 * do in the plain one, for speed.
 */
#include <errno.h>

#include "coro.h"

static inline struct uf_coro_full *full_of(const struct uf_coro *co)
{
	return container_of(co, struct uf_coro_full, co);
}

static int check_resumable(const struct uf_coro *co)
{
	if (!co)
		return -EINVAL;
	if (co->state & UF_CORO_STATE_ENDED)
		return -ESRCH;
	if (co->state & UF_CORO_STATE_RUNS)
		return -EBUSY;
	return 0;
}

static inline bool is_on_stack_of(const struct uf_coro *co)
{
	return uf_arch_sp() - co->stack < co->stack_size;
}

static int check_caller(const struct uf_coro *co)
{
	if (!co)
		return -EINVAL;
	if (!(co->state & UF_CORO_STATE_RUNS) || !is_on_stack_of(co))
		return -EPERM;
	return 0;
}

/* Whether @co calls, has no controls of its own, and nobody watches. */
static inline bool is_plain_caller(const struct uf_coro *co)
{
	return !UF_SAN_SWITCHES &&
	       likely(co && co->state == UF_CORO_STATE_RUNS) &&
	       likely(is_on_stack_of(co));
}

static inline bool is_plain_suspended(const struct uf_coro *co)
{
	return !UF_SAN_SWITCHES && likely(co && !co->state);
}

/* Before a switch to a coroutine, as its resumer or in the resumer's name. */
static inline void enter(struct uf_coro_full *full, void *value, void **out)
{
	struct uf_coro *co = &full->co;

	co->state |= UF_CORO_STATE_RUNS;
	co->out = out;
	if (co->in)
		*co->in = value;
	if (unlikely(co->state & UF_CORO_STATE_FPENV)) {
		uf_arch_fpenv_save(&full->back_fpenv);
		uf_arch_fpenv_load(&full->fpenv);
	}
}

/* Before a switch away from a coroutine. */
static inline void leave(struct uf_coro_full *full, void **in)
{
	struct uf_coro *co = &full->co;

	co->state &= ~UF_CORO_STATE_RUNS;
	co->in = in;
	if (unlikely(co->state & UF_CORO_STATE_FPENV)) {
		uf_arch_fpenv_save(&full->fpenv);
		uf_arch_fpenv_load(&full->back_fpenv);
	}
}

static inline void give_back(struct uf_coro *co, void *value)
{
	if (co->out)
		*co->out = value;
}

/* A fiber on another stack than its own: tell it, it may park there. */
static inline void note_stack(const struct uf_san *stack)
{
	struct uf_fiber *fiber = UF_SAN_ADDRESS ? uf_self() : NULL;

	if (fiber)
		uf_san_copy_bounds(&fiber->ctx.san, stack);
}

/* After a switch to a coroutine. */
static inline void arrive(struct uf_coro_full *full)
{
	uf_san_arrive_from(&full->san, full->back_san);
	note_stack(&full->san);
}

/* The switches where somebody watches; see sanitizer.h. */
static int watched_resume(struct uf_coro_full *full, intptr_t pass)
{
	struct uf_san here;
	int ret;

	uf_san_forget(&here);
	/* cppcheck-suppress autoVariables; read before the switch comes back */
	full->back_san = &here;
	uf_san_leave(&here, &full->san);
	ret = uf_arch_switch_tail(&full->co.back, full->co.sp, pass);
	uf_san_arrive(&here);
	note_stack(&here);
	return ret;
}

static int watched_leave(struct uf_coro_full *full, const struct uf_san *to,
			 void *load, intptr_t pass)
{
	int ret;

	uf_san_leave(&full->san, to);
	ret = uf_arch_switch_tail(&full->co.sp, load, pass);
	arrive(full);
	return ret;
}

static int resume(struct uf_coro *co, void *value, void **result, intptr_t pass)
{
	int error = check_resumable(co);

	if (error)
		return error;
	enter(full_of(co), value, result);
	if (UF_SAN_SWITCHES)
		return watched_resume(full_of(co), pass);
	return uf_arch_switch_tail(&co->back, co->sp, pass);
}

int uf_coro_resume(struct uf_coro *co, void *value, void **result)
{
	UF_CHECK_OR_NULL(CORO, co);
	if (!is_plain_suspended(co))
		return resume(co, value, result, 0);
	co->state = UF_CORO_STATE_RUNS;
	co->out = result;
	if (co->in)
		*co->in = value;
	return uf_arch_switch_tail(&co->back, co->sp, 0);
}

/* Until its first resumer has brought a value, that is what it waits for. */
static bool is_fresh(const struct uf_coro *co)
{
	return co->in == &co->value;
}

int uf_coro_cancel(struct uf_coro *co, void **result)
{
	int error;

	UF_CHECK_OR_NULL(CORO, co);
	if (co && !is_fresh(co))
		return resume(co, NULL, result, -ECANCELED);
	error = check_resumable(co);
	if (error)
		return error;
	co->state |= UF_CORO_STATE_ENDED;
	if (result)
		*result = NULL;
	return 0;
}

static int yield(struct uf_coro *self, void *value, void **next)
{
	struct uf_coro_full *full = full_of(self);
	int error = check_caller(self);

	if (error)
		return error;
	leave(full, next);
	give_back(self, value);
	if (UF_SAN_SWITCHES)
		return watched_leave(full, full->back_san, self->back, 1);
	return uf_arch_switch_tail(&self->sp, self->back, 1);
}

int uf_coro_yield(struct uf_coro *self, void *value, void **next)
{
	UF_CHECK_OR_NULL(CORO, self);
	if (!is_plain_caller(self))
		return yield(self, value, next);
	self->state = 0;
	self->in = next;
	give_back(self, value);
	return uf_arch_switch_tail(&self->sp, self->back, 1);
}

int uf_coro_transfer(struct uf_coro *self, struct uf_coro *to, void *value,
		     void **next)
{
	struct uf_coro_full *full = full_of(self);
	int error;

	UF_CHECK_OR_NULL(CORO, self);
	UF_CHECK_OR_NULL(CORO, to);
	error = check_caller(self);
	if (!error)
		error = check_resumable(to);
	if (unlikely(error))
		return error;
	leave(full, next);
	enter(full_of(to), value, self->out);
	to->back = self->back;
	full_of(to)->back_san = full->back_san;
	if (UF_SAN_SWITCHES)
		return watched_leave(full, &full_of(to)->san, to->sp, 0);
	return uf_arch_switch_tail(&self->sp, to->sp, 0);
}

/* Every coroutine starts here, on its own stack. */
static void coro_main(void *pass, void *arg)
{
	struct uf_coro_full *self = arg;
	void *value;

	(void)pass;
	arrive(self);
	value = self->start(&self->co, self->arg, self->co.value);
	leave(self, NULL);
	self->co.state |= UF_CORO_STATE_ENDED;
	give_back(&self->co, value);
	uf_san_ends(&self->san);
	uf_san_leave(&self->san, self->back_san);
	uf_arch_switch_tail(&self->co.sp, self->co.back, 0);
	__builtin_unreachable();
}

static int read_attr(struct uf_coro_attr *out, const struct uf_coro_attr *attr)
{
	*out = (struct uf_coro_attr)UF_CORO_ATTR_INIT;
	if (!attr)
		return 0;
	if (attr->size != sizeof(*attr) || attr->flags & ~UF_FPENV)
		return -EINVAL;
	if ((attr->stack || attr->stack_size) &&
	    attr->stack_size < UF_CORO_STACK_MIN)
		return -EINVAL;
	*out = *attr;
	return 0;
}

int uf_coro_create(struct uf_coro **co, const struct uf_coro_attr *attr,
		   uf_coro_fn *start, void *arg)
{
	struct uf_coro_attr values;
	struct uf_coro_full *full;
	int error = read_attr(&values, attr);

	if (error || !co || !start)
		return -EINVAL;
	full = values.stack ?
		       uf_coro_stack_use(values.stack, values.stack_size) :
		       uf_coro_stack_get(values.stack_size);
	if (!full)
		return -ENOMEM;
	full->start = start;
	full->arg = arg;
	full->release = values.release;
	full->co.state = 0;
	full->co.in = &full->co.value;
	if (values.flags & UF_FPENV) {
		full->co.state = UF_CORO_STATE_FPENV;
		uf_arch_fpenv_save(&full->fpenv);
	}
	uf_san_stack(&full->san, (void *)full->co.stack, full->co.stack_size);
	full->co.sp = uf_arch_prepare(full, coro_main, full);
	uf_check_born(UF_KIND_CORO, &full->co);
	*co = &full->co;
	return 0;
}

int uf_coro_destroy(struct uf_coro *co)
{
	struct uf_coro_full *full = full_of(co);
	void (*release)(void *arg);
	void *arg;

	if (!co)
		return 0;
	UF_CHECK(CORO, co);
	if (co->state & UF_CORO_STATE_RUNS)
		return -EBUSY;
	uf_check_gone(co, 0);
	release = full->release;
	arg = full->arg;
	uf_san_stack_end(&full->san);
	uf_coro_stack_put(full);
	if (release)
		release(arg);
	return 0;
}

enum uf_coro_status uf_coro_status(const struct uf_coro *co)
{
	UF_CHECK(CORO, co);
	if (co->state & UF_CORO_STATE_ENDED)
		return UF_CORO_ENDED;
	return co->state & UF_CORO_STATE_RUNS ? UF_CORO_RUNNING :
						UF_CORO_SUSPENDED;
}
