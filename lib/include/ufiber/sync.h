/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Synchronisation, between fibers and plain threads alike. The conventions are told in ufiber.h. */
#ifndef UFIBER_SYNC_H
#define UFIBER_SYNC_H

#include <ufiber/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What holds for everything here:
 *
 *  - It works between fibers of one server, of several, of several runtimes, and
 *    plain threads. Who waits is parked, or blocks if it is no fiber; nobody
 *    spins but for the few instructions that change the object.
 *  - Those that wait are served in the order they came.
 *  - Nothing needs destruction. The memory may be freed by whoever knows that no
 *    call on the object is under way or will come; a call that only lets others
 *    go on (unlock, post, set, done, ...) does not touch the object any more once
 *    one of them can have gone on.
 *  - Each call that waits has a twin that ends in _until and gives up at a
 *    deadline: -ETIMEDOUT. Both forms end with -ECANCELED if the fiber is cancelled
 *    (uf_cancel()), or -ETIMEDOUT if a scope's deadline comes. In all cases it is as if it had never been called, but for what
 *    is told at uf_cond_wait() and uf_barrier_wait(). The try form never waits.
 *  - Fields are private.
 */

/* One stay of somebody who waits. Private. */
struct uf_wait;

/*
 * Its node in the queue of an object. Private: @next, @prev, @queue (or NULL) under the
 * object's guard; @wait is whose it is; @data is what it and the object agree on.
 */
struct uf_waiter {
	struct uf_waiter *next;
	struct uf_waiter *prev;
	struct uf_waitq *queue;
	struct uf_wait *wait;
	void *data;
};

/* ------------------------------------------------------------------ mutex */

/**
 * struct uf_mutex - a mutual exclusion lock
 *
 * Starts as UF_MUTEX_INIT or all zero: then it checks for errors; that costs
 * nothing, so there is no kind that does not. Or as UF_MUTEX_RECURSIVE_INIT: its
 * owner may lock it again, and unlocks it as often.
 */
struct uf_mutex {
	uintptr_t owner;
	uint32_t guard;
	uint32_t depth;
	struct uf_waitq waiters;
};

/* clang-format off */
#define UF_MUTEX_INIT \
	{ 0 }
#define UF_MUTEX_RECURSIVE_INIT \
	{ .depth = 1 }
/* clang-format on */

/**
 * uf_mutex_lock - take the mutex, waiting until it is free
 *
 * Context: a fiber (may switch) or any other thread (may block). Returns 0,
 * -EDEADLK (the caller has it, and it is not recursive), -EOVERFLOW (the caller
 * has a recursive one 2^32 - 1 times); trylock also -EBUSY.
 */
int uf_mutex_lock(struct uf_mutex *mutex);
int uf_mutex_lock_until(struct uf_mutex *mutex, uint64_t deadline);
int uf_mutex_trylock(struct uf_mutex *mutex);

/**
 * uf_mutex_unlock - give the mutex to the first waiter, or free it
 *
 * Never switches. Returns 0 or -EPERM (the caller does not have it).
 */
int uf_mutex_unlock(struct uf_mutex *mutex);

/* ------------------------------------------------------ reader-writer lock */

/**
 * struct uf_rwlock - a lock for many readers or one writer
 *
 * Starts as UF_RWLOCK_INIT or all zero. Readers and writers are served in the
 * order they came: who comes while a writer waits is behind it, and readers that
 * stand beside each other are let in together. So neither starves.
 */
struct uf_rwlock {
	uint32_t guard;
	uint32_t readers;
	uintptr_t writer;
	uint64_t holders;
	struct uf_waitq waiters;
};

/* clang-format off */
#define UF_RWLOCK_INIT \
	{ 0 }
/* clang-format on */

/**
 * uf_rwlock_rdlock - take the lock to read, waiting while a writer has it
 *
 * A reader must not take it again: a writer may have come in between, and each
 * would wait for the other. Context: a fiber (may switch) or any other thread
 * (may block). Returns 0, -EDEADLK (the caller would wait for itself), -EOVERFLOW
 * (2^32 - 1 readers); tryrdlock also -EBUSY.
 */
int uf_rwlock_rdlock(struct uf_rwlock *lock);
int uf_rwlock_rdlock_until(struct uf_rwlock *lock, uint64_t deadline);
int uf_rwlock_tryrdlock(struct uf_rwlock *lock);

/**
 * uf_rwlock_wrlock - take the lock to write, waiting while anybody has it
 *
 * There is no upgrade: a reader that asks gets -EDEADLK, at once or, if there are
 * other readers, when they have left; but two readers that both ask wait for
 * each other. Context: as uf_rwlock_rdlock(). Returns 0, -EDEADLK (the caller has
 * it); trywrlock -EBUSY.
 */
int uf_rwlock_wrlock(struct uf_rwlock *lock);
int uf_rwlock_wrlock_until(struct uf_rwlock *lock, uint64_t deadline);
int uf_rwlock_trywrlock(struct uf_rwlock *lock);

/**
 * uf_rwlock_unlock - give up what rdlock or wrlock took
 *
 * Never switches. Returns 0 or -EPERM (the caller does not have it; that is not
 * noticed while several others read).
 */
int uf_rwlock_unlock(struct uf_rwlock *lock);

/* ------------------------------------------------------ condition variable */

/**
 * struct uf_cond - a condition variable
 *
 * Starts as UF_COND_INIT or all zero. It is of no mutex in particular: each wait
 * names its own.
 */
struct uf_cond {
	uint32_t guard;
	struct uf_waitq waiters;
};

/* clang-format off */
#define UF_COND_INIT \
	{ 0 }
/* clang-format on */

/**
 * uf_cond_wait - release a mutex, wait for a signal, take the mutex again
 * @cond: the condition variable.
 * @mutex: held by the caller; a recursive one is released entirely.
 *
 * The mutex is released even if the deadline has passed: a loop around this lets
 * others go on. However it ends, the caller has the mutex again (and waits for that past the
 * deadline, or a cancel, if need be). A wait ends for no other reason than those
 * told here, but what it waits for may be over again by the time that it has the
 * mutex: so look in a loop. A signal that this call does not return 0 for
 * has gone to another.
 *
 * Context: a fiber (may switch) or any other thread (may block). Returns 0 or
 * -EPERM (the caller does not have the mutex).
 */
int uf_cond_wait(struct uf_cond *cond, struct uf_mutex *mutex);
int uf_cond_wait_until(struct uf_cond *cond, struct uf_mutex *mutex,
		       uint64_t deadline);

/**
 * uf_cond_signal - end the first wait, if there is one
 *
 * The caller need not have the mutex. Who waited gets it before it runs: if the
 * mutex is not free it just goes to the end of the mutex's queue. Never switches.
 * Returns 0.
 */
int uf_cond_signal(struct uf_cond *cond);

/**
 * uf_cond_broadcast - end all waits
 *
 * They go to the mutex's queue in the order they came and run one by one, as each
 * gets the mutex. Never switches. Returns 0.
 */
int uf_cond_broadcast(struct uf_cond *cond);

/* -------------------------------------------------------------- semaphore */

/**
 * struct uf_sem - a counting semaphore
 *
 * Starts as UF_SEM_INIT(value).
 */
struct uf_sem {
	uint32_t guard;
	uint32_t value;
	struct uf_waitq waiters;
};

/* clang-format off */
#define UF_SEM_INIT(v) \
	{ .value = (v) }
/* clang-format on */

/**
 * uf_sem_wait - take one, waiting while there is none
 *
 * Context: a fiber (may switch) or any other thread (may block). Returns 0;
 * trywait also -EAGAIN.
 */
int uf_sem_wait(struct uf_sem *sem);
int uf_sem_wait_until(struct uf_sem *sem, uint64_t deadline);
int uf_sem_trywait(struct uf_sem *sem);

/**
 * uf_sem_post - give one back, or add one
 *
 * Context: any thread, fiber or not; never switches. Returns 0 or -EOVERFLOW.
 */
int uf_sem_post(struct uf_sem *sem);

/* ---------------------------------------------------------------- barrier */

/**
 * struct uf_barrier - where so many meet before any goes on
 *
 * Starts as UF_BARRIER_INIT(how many), or 1 for each that comes alone; can be
 * used again and again by the same number.
 */
struct uf_barrier {
	uint32_t guard;
	uint32_t members;
	uint32_t here;
	uint32_t turn;
	struct uf_waitq waiters;
};

/* clang-format off */
#define UF_BARRIER_INIT(n) \
	{ .members = (n) }
/* clang-format on */

/**
 * uf_barrier_wait - wait until all are here
 *
 * Who gives up is not here any more. If that and the opening meet, it counts as
 * having been here: at the deadline 0 is returned, and -ECANCELED only tells of
 * the cancel. Context: a fiber (may switch) or any other thread (may block).
 * Returns 1 to the one that came last, 0 to the others, -EINVAL (of 0 members).
 */
int uf_barrier_wait(struct uf_barrier *barrier);
int uf_barrier_wait_until(struct uf_barrier *barrier, uint64_t deadline);

/* ------------------------------------------------------------------- once */

/**
 * struct uf_once - something that is done once
 *
 * Starts as UF_ONCE_INIT or all zero.
 */
struct uf_once {
	uint32_t state;
	uint32_t guard;
	void *runner;
	struct uf_waitq waiters;
};

/* clang-format off */
#define UF_ONCE_INIT \
	{ 0 }
/* clang-format on */

/**
 * uf_once - call a function if nobody has, or wait until who does is done
 * @once: stands for the function.
 * @call: the function, which may wait but must return; @arg: its argument.
 *
 * When it returns 0 the call has been made and has returned. Context: a fiber
 * (may switch) or any other thread (may block). Returns 0 or -EDEADLK (called by
 * the function itself).
 */
int uf_once(struct uf_once *once, void (*call)(void *arg), void *arg);
int uf_once_until(struct uf_once *once, void (*call)(void *arg), void *arg,
		  uint64_t deadline);

/* ------------------------------------------------------------------ event */

/**
 * struct uf_event - a flag to wait for
 *
 * Starts as UF_EVENT_INIT or all zero: then it stays set until it is cleared, and
 * lets all go on. Or as UF_EVENT_AUTO_INIT: it is cleared by the one that it lets
 * go on.
 */
struct uf_event {
	uint32_t guard;
	bool set;
	bool automatic;
	struct uf_waitq waiters;
};

/* clang-format off */
#define UF_EVENT_INIT \
	{ 0 }
#define UF_EVENT_AUTO_INIT \
	{ .automatic = true }
/* clang-format on */

/**
 * uf_event_wait - wait until the event is set
 *
 * May be waited for in uf_select().
 *
 * Context: a fiber (may switch) or any other thread (may block). Returns 0;
 * trywait also -EAGAIN.
 */
int uf_event_wait(struct uf_event *event);
int uf_event_wait_until(struct uf_event *event, uint64_t deadline);
int uf_event_trywait(struct uf_event *event);

/**
 * uf_event_set - let all go on that wait, or the first if it clears itself
 *
 * An event that is set already stays as it is. Context: any thread, fiber or
 * not; never switches. Returns 0.
 */
int uf_event_set(struct uf_event *event);

/**
 * uf_event_clear - who comes from now on has to wait
 *
 * Context: any; never switches. Returns 0.
 */
int uf_event_clear(struct uf_event *event);

/* ------------------------------------------------------------- wait group */

/**
 * struct uf_waitgroup - a count of what is not done yet
 *
 * Starts as UF_WAITGROUP_INIT or all zero: nothing.
 */
struct uf_waitgroup {
	uint32_t guard;
	uint32_t count;
	struct uf_waitq waiters;
};

/* clang-format off */
#define UF_WAITGROUP_INIT \
	{ 0 }
/* clang-format on */

/**
 * uf_waitgroup_add - there is so much more to do, or less
 * @group: the group.
 * @n: how much; what would leave less than nothing is refused.
 *
 * Add before it can be done: before the fiber that does it is made. Context: any
 * thread, fiber or not; never switches. Returns 0, -EINVAL (the count would be
 * negative; it stays as it is) or -EOVERFLOW.
 */
int uf_waitgroup_add(struct uf_waitgroup *group, int n);

/**
 * uf_waitgroup_done - one thing less to do
 *
 * It is uf_waitgroup_add() of -1. Context: as for that. Returns as that.
 */
int uf_waitgroup_done(struct uf_waitgroup *group);

/**
 * uf_waitgroup_wait - wait until there is nothing left to do
 *
 * Context: a fiber (may switch) or any other thread (may block). Returns 0.
 */
int uf_waitgroup_wait(struct uf_waitgroup *group);
int uf_waitgroup_wait_until(struct uf_waitgroup *group, uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_SYNC_H */
