// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The checked build: is an argument what the function takes? See check.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check_table.h"
#include "wait.h"

/**
 * struct kind - a kind of object
 * @name: with its article.
 * @end: how it comes to be no more, or NULL: by no call.
 * @wanted: what to pass.
 * @size: bytes of what the user has of it, or 0.
 * @flaw: what makes no sense in an object of the user's, or NULL; @fresh: it has
 *	never been used.
 */
struct kind {
	const char *name;
	const char *end;
	const char *wanted;
	size_t size;
	const char *(*flaw)(const void *object, bool fresh);
};

/* ------------------------------------------------------------- the report */

static __attribute__((noreturn, cold, format(printf, 4, 5))) void
die(const char *function, const char *name, const char *wanted, const char *fmt,
    ...)
{
	const struct uf_fiber *self = uf_self();
	char text[640], what[256];
	va_list args;
	int len;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	len = snprintf(text, sizeof(text), "ufiber: %s(): %s %s\n", function,
		       name, what);
	if (self)
		len += snprintf(text + len, sizeof(text) - len,
				"ufiber: called by fiber %" PRIu64
				" \"%s\"; wanted: %s\n",
				self->id, self->name, wanted);
	else
		len += snprintf(text + len, sizeof(text) - len,
				"ufiber: called by no fiber, thread %d; wanted: %s\n",
				gettid(), wanted);
	if (write(STDERR_FILENO, text, len) < 0)
		abort(); /* there is nobody else to tell */
	abort();
}

/* ------------------------------------------------------- what makes sense */

static bool is_queue_fresh(const struct uf_waitq *queue)
{
	return !queue->head && !queue->tail;
}

/* Bytes, as what is no bool must not be read as one. */
static bool is_bool(const bool *word)
{
	return *(const unsigned char *)word <= 1;
}

static const char *flaw_of_base(const uint32_t *guard,
				const struct uf_waitq *waiters, bool fresh)
{
	if (READ_ONCE(*guard) > 1)
		return "its guard is neither free nor taken";
	if (fresh && *guard)
		return "it is being changed by somebody whom the library does not know";
	if (fresh && !is_queue_fresh(waiters))
		return "somebody waits whom the library does not know";
	return NULL;
}

/* Also one that has ended: then nobody can unlock it, but to wait is no crime. */
static bool is_owner(uintptr_t who)
{
	struct uf_known known = uf_known((void *)who);

	return !who || known.kind == UF_KIND_FIBER ||
	       known.kind == UF_KIND_THREAD ||
	       (!known.kind && !uf_knows_all_past() && who % UF_CACHE_LINE == 0);
}

static const char *flaw_of_mutex(const void *object, bool fresh)
{
	const struct uf_mutex *mutex = object;

	if (fresh && mutex->owner)
		return "it is locked by somebody whom the library does not know";
	if (fresh && mutex->depth > 1)
		return "its depth is neither that of UF_MUTEX_INIT nor that of UF_MUTEX_RECURSIVE_INIT";
	if (!is_owner(READ_ONCE(mutex->owner) & ~(uintptr_t)1))
		return "its owner is neither a fiber nor a thread";
	return flaw_of_base(&mutex->guard, &mutex->waiters, fresh);
}

static const char *flaw_of_rwlock(const void *object, bool fresh)
{
	const struct uf_rwlock *lock = object;

	if (fresh && (lock->readers || lock->holders || lock->writer))
		return "it is locked by somebody whom the library does not know";
	if (!is_owner(READ_ONCE(lock->writer)))
		return "its writer is neither a fiber nor a thread";
	return flaw_of_base(&lock->guard, &lock->waiters, fresh);
}

static const char *flaw_of_cond(const void *object, bool fresh)
{
	const struct uf_cond *cond = object;

	return flaw_of_base(&cond->guard, &cond->waiters, fresh);
}

static const char *flaw_of_sem(const void *object, bool fresh)
{
	const struct uf_sem *sem = object;

	return flaw_of_base(&sem->guard, &sem->waiters, fresh);
}

static const char *flaw_of_barrier(const void *object, bool fresh)
{
	const struct uf_barrier *barrier = object;
	uint32_t members = READ_ONCE(barrier->members);

	if (members && READ_ONCE(barrier->here) >= members)
		return "more are here than it has members";
	if (fresh && barrier->here)
		return "somebody is here whom the library does not know";
	return flaw_of_base(&barrier->guard, &barrier->waiters, fresh);
}

/* The states are those of once.c. */
static const char *flaw_of_once(const void *object, bool fresh)
{
	const struct uf_once *once = object;
	uint32_t state = READ_ONCE(once->state);

	if (state > 2 || (fresh && (state == 1 || once->runner)))
		return "its function is run by somebody whom the library does not know";
	return flaw_of_base(&once->guard, &once->waiters, fresh);
}

static const char *flaw_of_event(const void *object, bool fresh)
{
	const struct uf_event *event = object;

	if (!is_bool(&event->set) || !is_bool(&event->automatic))
		return "it is neither set nor clear";
	return flaw_of_base(&event->guard, &event->waiters, fresh);
}

static const char *flaw_of_waitgroup(const void *object, bool fresh)
{
	const struct uf_waitgroup *group = object;

	return flaw_of_base(&group->guard, &group->waiters, fresh);
}

static const char *flaw_of_channel(const void *object, bool fresh)
{
	const struct uf_channel *channel = object;

	if (channel->size > UF_CHANNEL_VALUE_MAX ||
	    READ_ONCE(channel->length) > channel->capacity ||
	    !is_bool(&channel->closed))
		return "it holds more than it can";
	return flaw_of_base(&channel->guard, &channel->receivers, fresh);
}

static const char *flaw_of_ticker(const void *object, bool fresh)
{
	const struct uf_ticker *ticker = object;

	if (!ticker->period || !is_bool(&ticker->stopped))
		return "it has no period";
	return flaw_of_base(&ticker->guard, &ticker->waiters, fresh);
}

/* ------------------------------------------------------------------ kinds */

#define CHANNEL_WANTED \
	"a channel of uf_channel_create() that has not been destroyed, or one that uf_channel_init() was called for"

static const struct kind kinds[] = {
	[UF_KIND_NONE] = { "nothing that the library knows" },
	[UF_KIND_RUNTIME] = {
		"a runtime", "has been destroyed",
		"what uf_runtime_create() stored, until uf_runtime_destroy()",
	},
	[UF_KIND_FIBER] = {
		"a fiber", "has been joined, or was detached and has ended",
		"what uf_create() stored or uf_self() returned, until the fiber is joined, or is detached and ends",
	},
	[UF_KIND_CORO] = {
		"a coroutine", "has been destroyed or closed",
		"what uf_coro_create() stored, until uf_coro_destroy() or uf_gen_close()",
	},
	[UF_KIND_CHANNEL_OWN] = {
		"a channel", "has been destroyed", CHANNEL_WANTED,
		sizeof(struct uf_channel), flaw_of_channel,
	},
	[UF_KIND_CHANNEL] = {
		"a channel", NULL, CHANNEL_WANTED,
		sizeof(struct uf_channel), flaw_of_channel,
	},
	[UF_KIND_TICKER] = {
		"a ticker", NULL,
		"a struct uf_ticker that uf_ticker_init() was called for",
		sizeof(struct uf_ticker), flaw_of_ticker,
	},
	[UF_KIND_SCOPE] = {
		"a scope", "has been closed",
		"a struct uf_scope between uf_scope_open() and uf_scope_close()",
		sizeof(struct uf_scope),
	},
	[UF_KIND_MUTEX] = {
		"a mutex", NULL,
		"a struct uf_mutex that began as UF_MUTEX_INIT, UF_MUTEX_RECURSIVE_INIT or all zero",
		sizeof(struct uf_mutex), flaw_of_mutex,
	},
	[UF_KIND_RWLOCK] = {
		"a reader-writer lock", NULL,
		"a struct uf_rwlock that began as UF_RWLOCK_INIT or all zero",
		sizeof(struct uf_rwlock), flaw_of_rwlock,
	},
	[UF_KIND_COND] = {
		"a condition variable", NULL,
		"a struct uf_cond that began as UF_COND_INIT or all zero",
		sizeof(struct uf_cond), flaw_of_cond,
	},
	[UF_KIND_SEM] = {
		"a semaphore", NULL,
		"a struct uf_sem that began as UF_SEM_INIT()",
		sizeof(struct uf_sem), flaw_of_sem,
	},
	[UF_KIND_BARRIER] = {
		"a barrier", NULL,
		"a struct uf_barrier that began as UF_BARRIER_INIT()",
		sizeof(struct uf_barrier), flaw_of_barrier,
	},
	[UF_KIND_ONCE] = {
		"a once", NULL,
		"a struct uf_once that began as UF_ONCE_INIT or all zero",
		sizeof(struct uf_once), flaw_of_once,
	},
	[UF_KIND_EVENT] = {
		"an event", NULL,
		"a struct uf_event that began as UF_EVENT_INIT, UF_EVENT_AUTO_INIT or all zero",
		sizeof(struct uf_event), flaw_of_event,
	},
	[UF_KIND_WAITGROUP] = {
		"a wait group", NULL,
		"a struct uf_waitgroup that began as UF_WAITGROUP_INIT or all zero",
		sizeof(struct uf_waitgroup), flaw_of_waitgroup,
	},
	[UF_KIND_THREAD] = { "the library's name for a plain thread" },
};

/* Its memory is the user's, or may be, who can use it for something else. */
static bool is_users(enum uf_kind kind)
{
	return kind >= UF_KIND_CHANNEL || kind == UF_KIND_CORO;
}

/* It is what it is from its first use on, by what it holds. */
static bool is_made_by_no_call(enum uf_kind kind)
{
	return kind >= UF_KIND_MUTEX && kind <= UF_KIND_WAITGROUP;
}

static bool is_the_same(enum uf_kind wanted, enum uf_kind kind)
{
	return kind == wanted ||
	       (wanted == UF_KIND_CHANNEL && kind == UF_KIND_CHANNEL_OWN);
}

/* ------------------------------------------------------------- the checks */

/*
 * The kernel reads the set before it finds out that there is no such operation.
 * (Abseil looks whether an address can be read that way.)
 */
static bool is_word_readable(uintptr_t address)
{
	return !syscall(SYS_rt_sigprocmask, ~0, address & ~(uintptr_t)7, NULL,
			sizeof(uint64_t)) ||
	       errno != EFAULT;
}

static bool is_readable(const void *object, size_t size)
{
	uintptr_t address = (uintptr_t)object;
	int error = errno;
	bool readable = is_word_readable(address) &&
			is_word_readable(address + size - 1);

	errno = error;
	return readable;
}

/* Who calls may come to own something: note a thread that is no fiber's. */
static void note_thread(void)
{
	static __thread bool noted;

	if (uf_thread_self() || noted)
		return;
	uf_check_born(UF_KIND_THREAD, uf_caller());
	noted = true;
}

/*
 * At an address where there has never been such an object, or may be none now.
 * Returns false if somebody else has noted it meanwhile, and used it: that is what
 * makes it look used. Whoever uses it has noted it before; so it is looked up again
 * after what it holds was seen.
 */
static bool adopt(const char *function, const char *name, enum uf_kind kind,
		  const void *object)
{
	const struct kind *wanted = &kinds[kind];
	const char *flaw = "it cannot be read";
	struct uf_known known;

	if (is_readable(object, wanted->size))
		flaw = wanted->flaw(object, true);
	if (!flaw) {
		uf_check_born(kind, object);
		return true;
	}
	smp_mb();
	known = uf_known(object);
	if (known.kind == kind)
		return false;
	if (known.kind && !known.gone)
		die(function, name, wanted->wanted, "is %p: %s", object,
		    kinds[known.kind].name);
	die(function, name, wanted->wanted,
	    "is %p: %s has never been initialised there, or its memory was freed or overwritten: %s",
	    object, wanted->name, flaw);
}

static __attribute__((noreturn, cold)) void
die_of(const char *function, const char *name, enum uf_kind kind,
       const void *object, struct uf_known known)
{
	const char *wanted = kinds[kind].wanted;

	if (!known.gone)
		die(function, name, wanted, "is %p: %s", object,
		    kinds[known.kind].name);
	if (known.id)
		die(function, name, wanted, "is %p: fiber %" PRIu64 ", which %s",
		    object, known.id, kinds[known.kind].end);
	die(function, name, wanted, "is %p: %s that %s", object,
	    kinds[known.kind].name, kinds[known.kind].end);
}

/**
 * uf_check_object - abort unless an argument is what it has to be
 * @function: whose argument.
 * @name: its name.
 * @kind: what it has to be.
 * @object: what it is.
 *
 * Also for the critical section, if it is none that is made by no call.
 */
void uf_check_object(const char *function, const char *name, enum uf_kind kind,
		     const void *object)
{
	const struct kind *wanted = &kinds[kind];
	struct uf_known known;
	const char *flaw;

	if (!object)
		die(function, name, wanted->wanted, "is NULL");
	if ((uintptr_t)object % _Alignof(void *))
		die(function, name, wanted->wanted,
		    "is %p, which is not aligned", object);
	known = uf_known(object);
	if (is_made_by_no_call(kind)) {
		note_thread();
		if (known.kind != kind &&
		    (!known.kind || known.gone || is_users(known.kind))) {
			if (adopt(function, name, kind, object))
				return;
			known = uf_known(object);
		}
	}
	if (!known.kind && !uf_knows_all())
		return;
	if (known.gone || !is_the_same(kind, known.kind))
		die_of(function, name, kind, object, known);
	flaw = wanted->flaw ? wanted->flaw(object, false) : NULL;
	if (flaw)
		die(function, name, wanted->wanted,
		    "is %p: %s whose memory was freed or overwritten: %s",
		    object, wanted->name, flaw);
}

void uf_check_given(const char *function, const char *name, const void *pointer)
{
	if (!pointer)
		die(function, name, "a pointer that is valid", "is NULL");
}

/* A value of a channel that has been checked. */
void uf_check_value(const char *function, const struct uf_channel *channel,
		    const void *value)
{
	if (!value && channel->size)
		die(function, "value",
		    "a pointer to a value; only a channel whose values have 0 bytes can do without",
		    "is NULL, and the channel's values have %zu bytes",
		    channel->size);
}

void uf_check_cases(const char *function, const struct uf_case *cases,
		    unsigned int n)
{
	const struct uf_case *c;

	if (n > INT32_MAX)
		return; /* that is an error of its own */
	if (n)
		uf_check_given(function, "cases", cases);
	for (c = cases; c < cases + n; c++) {
		if (!c->channel) /* nor any of the others */
			continue;
		switch (c->op) {
		case UF_SEND:
		case UF_RECEIVE:
			uf_check_object(function, "a case's channel",
					UF_KIND_CHANNEL, c->channel);
			uf_check_value(function, c->channel, c->value);
			break;
		case UF_EVENT:
			uf_check_object(function, "a case's event",
					UF_KIND_EVENT, c->event);
			break;
		case UF_TICK:
			uf_check_object(function, "a case's ticker",
					UF_KIND_TICKER, c->ticker);
			break;
		}
	}
}

/* The calling fiber must be the owner, or one that the scope or an inner one owns. */
void uf_check_in_scope(const char *function, const struct uf_scope *scope)
{
	const struct uf_fiber *self = uf_self();
	const struct uf_scope *own;

	for (own = self->scope; own; own = own->outer)
		if (own == scope)
			return;
	die(function, "scope", "a scope that the calling fiber is in",
	    "is %p: the scope of fiber %" PRIu64 ", which the caller is not in",
	    (void *)scope, scope->owner->id);
}

/* A policy's lock that is to be released. */
void uf_check_locked(const char *function, const uint32_t *lock)
{
	uf_check_given(function, "lock", lock);
	if (READ_ONCE(*lock) != 1)
		die(function, "lock",
		    "a lock that uf_policy_lock() was called for",
		    "is %p, which is not locked", (void *)lock);
}
