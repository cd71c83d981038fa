// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The servers' rings. Only a server's holder touches the user side of its ring
 * (queue heads and tails, what liburing keeps). The system call alone is open
 * to all: a robbed sleeper may sit in it beside the new holder, and does so
 * through io_uring_enter2() with nothing to submit, which touches no user side.
 */
#include <errno.h>

#include "io.h"

/* How soon to try again when the kernel would not take a submission. */
#define UF_SUBMIT_RETRY_NS 1000000

/*
 * Not SINGLE_ISSUER or DEFER_TASKRUN: they bind a ring to one task, and a
 * server moves between threads. COOP_TASKRUN saves the interrupts that would
 * otherwise make the submitter run its completions at once; TASKRUN_FLAG tells
 * when there are some.
 */
int uf_ring_init(struct io_uring *ring, unsigned int entries)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	};

	int error = io_uring_queue_init_params(entries, ring, &params);

	/* The child of a fork must not write to the queues of its parent. */
	if (!error && io_uring_ring_dontfork(ring)) {
		io_uring_queue_exit(ring);
		error = -ENOMEM;
	}
	return error;
}

void uf_ring_submit(struct uf_server *s)
{
	if (io_uring_sq_ready(&s->ring))
		io_uring_submit(&s->ring);
}

/**
 * uf_ring_reserve - make room in the submission queue
 * @t: the calling thread.
 * @s: the server that it holds.
 * @n: entries that are to be submitted together.
 *
 * Returns false if there is no room now: the kernel has no memory.
 */
bool uf_ring_reserve(struct uf_thread *t, struct uf_server *s, unsigned int n)
{
	if (likely(io_uring_sq_space_left(&s->ring) >= n))
		return true;
	uf_ring_submit(s);
	if (likely(io_uring_sq_space_left(&s->ring) >= n))
		return true;
	/* It takes none while completions have overflowed. */
	uf_ring_reap(t, s);
	uf_ring_submit(s);
	return io_uring_sq_space_left(&s->ring) >= n;
}

/* Completions that need a system call to appear in the queue. */
static bool must_enter(const struct io_uring *ring)
{
	return READ_ONCE(*ring->sq.kflags) &
	       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* Something has completed, or will have when the kernel is asked. */
bool uf_ring_has_some(struct uf_server *s)
{
	return must_enter(&s->ring) ||
	       io_uring_smp_load_acquire(s->ring.cq.ktail) != *s->ring.cq.khead;
}

/* Take what has completed; fibers become ready. */
void uf_ring_reap(struct uf_thread *t, struct uf_server *s)
{
	struct io_uring_cqe *cqe;
	unsigned int n = 0;
	unsigned int head;

	if (must_enter(&s->ring))
		io_uring_get_events(&s->ring);
	io_uring_for_each_cqe(&s->ring, head, cqe)
	{
		uf_io_complete(t, cqe);
		n++;
	}
	/* When all shall stop, what ends sleeps must stay for all to see. */
	if (likely(!READ_ONCE(t->rt->stop)))
		io_uring_cq_advance(&s->ring, n);
}

/* When to submit again what the kernel would not take, if there is something. */
uint64_t uf_ring_submit_at(struct uf_server *s)
{
	return io_uring_sq_ready(&s->ring) ? uf_now() + UF_SUBMIT_RETRY_NS :
					     UF_FOREVER;
}

static uint64_t time_until(uint64_t deadline)
{
	uint64_t now;

	if (deadline == UF_FOREVER)
		return UF_FOREVER;
	now = uf_now();
	return deadline > now ? deadline - now : 0;
}

/**
 * uf_ring_wait - sleep until a completion is there
 * @s: a server in state POLLING; it may become another's meanwhile.
 * @deadline: when to return at the latest.
 *
 * May return early. Waiters are woken by completions posted after they have
 * come, whoever takes those from the queue, and all of them are.
 */
void uf_ring_wait(struct uf_server *s, uint64_t deadline)
{
	uint64_t ns = time_until(deadline);
	struct __kernel_timespec ts = {
		.tv_sec = ns / 1000000000,
		.tv_nsec = ns % 1000000000,
	};
	struct io_uring_getevents_arg arg = {
		.ts = ns == UF_FOREVER ? 0 : (uintptr_t)&ts,
	};

	io_uring_enter2(s->ring.ring_fd, 0, 1,
			IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
			(sigset_t *)&arg, sizeof(arg));
}

static void prep_message(struct io_uring_sqe *sqe, struct uf_server *target)
{
	io_uring_prep_msg_ring(sqe, target->ring.ring_fd, 0, 0, 0);
	io_uring_sqe_set_data(sqe, NULL);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

/**
 * uf_ring_poke - post a completion without meaning to a server's ring
 * @t: the calling thread; it holds a server, whose ring this is sent from.
 * @target: the server, which can be the caller's own.
 *
 * Returns false if it could not be sent.
 */
bool uf_ring_poke(struct uf_thread *t, struct uf_server *target)
{
	struct uf_server *s = uf_server(t);
	struct io_uring_sqe *sqe;

	if (!uf_ring_reserve(t, s, 1))
		return false;
	sqe = io_uring_get_sqe(&s->ring);
	if (target == s) {
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data(sqe, NULL);
	} else {
		prep_message(sqe, target);
		uf_count(s->wakes);
	}
	uf_ring_submit(s);
	return !io_uring_sq_ready(&s->ring);
}

/* The same from a thread that holds no server, and always sent. */
void uf_doorbell_poke(struct uf_doorbell *bell, struct uf_server *target)
{
	struct io_uring_cqe *cqe;

	pthread_mutex_lock(&bell->lock);
	prep_message(io_uring_get_sqe(&bell->ring), target);
	while (io_uring_sq_ready(&bell->ring))
		io_uring_submit(&bell->ring);
	/* Only failures post here; a ring that overflows is awake anyway. */
	while (!io_uring_peek_cqe(&bell->ring, &cqe))
		io_uring_cqe_seen(&bell->ring, cqe);
	uf_count(bell->wakes);
	pthread_mutex_unlock(&bell->lock);
}
