// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The IO calls: one request of the server's ring each, the fiber parked. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "io.h"
#include "wait.h"

/* What read(2) and write(2) transfer at most. */
#define UF_IO_MAX 0x7ffff000UL

/* The file's own position, for io_uring. */
#define UF_IO_POSITION ((__u64)-1)

static unsigned int clamp_count(size_t count)
{
	return count < UF_IO_MAX ? count : UF_IO_MAX;
}

/*
 * An entry to fill, with room behind it for the timeout, as linked entries must be
 * submitted together.
 */
static struct io_uring_sqe *get_entry(struct uf_thread **t, struct uf_io *io)
{
	unsigned int n = io->deadline == UF_FOREVER ? 1 : 2;

	while (unlikely(!uf_ring_reserve(*t, uf_server(*t), n)))
		*t = uf_requeue(*t);
	io->pending = n;
	return io_uring_get_sqe(&uf_server(*t)->ring);
}

/*
 * Begin a call: enter the critical section and get an entry.
 * Returns NULL, outside the critical section, if the caller is not a fiber.
 */
static struct io_uring_sqe *io_begin(struct uf_io *io, uint64_t deadline)
{
	struct uf_thread *t = uf_enter();

	if (!t)
		return NULL;
	io->deadline = uf_deadline(t->current, deadline);
	io->fiber = t->current;
	return get_entry(&t, io);
}

/*
 * The time that is left, counted from the submission, which comes a little later. Not
 * the deadline itself: io_uring takes that for the machine's clock (up to 6.12 at
 * least), where we have that of our time namespace.
 */
static void link_timeout(struct uf_io *io, struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	uint64_t now = uf_now();
	uint64_t left = io->deadline > now ? io->deadline - now : 0;

	io->ts.tv_sec = left / 1000000000;
	io->ts.tv_nsec = left % 1000000000;
	io_uring_prep_link_timeout(sqe, &io->ts, 0);
	io_uring_sqe_set_data64(sqe, (uintptr_t)io | UF_IO_TIMER);
}

/*
 * A request that its timeout, or a cancel, has stopped reports ECANCELED, or EINTR
 * if it ran in a worker; the timeout itself reports ECANCELED if it came to nothing.
 */
static int result(const struct uf_io *io)
{
	if (likely(io->res != -ECANCELED && io->res != -EINTR))
		return io->res;
	if (io->deadline != UF_FOREVER && io->timer_res != -ECANCELED)
		return -ETIMEDOUT;
	return io->cancelling ? -ECANCELED : io->res;
}

/* Put it among the server's requests, where a cancel finds it. */
static void list_io(struct uf_io *io, struct uf_server *s)
{
	io->cancelling = false;
	io->next = s->ios;
	io->link = &s->ios;
	if (io->next)
		io->next->link = &io->next;
	s->ios = io;
}

const struct uf_what uf_what_io = { "io", 0 };

/*
 * The kernel has given it up before it began, and nobody asked for that: it could
 * not start a worker for it, as it happens while signals come in one after the
 * other; or the thread that submitted it has ended.
 */
static bool was_dropped(const struct uf_io *io)
{
	return io->res == -ECANCELED && !io->cancelling &&
	       (io->deadline == UF_FOREVER || io->timer_res == -ECANCELED);
}

/* The entry has been filled: park until the request has completed. */
static struct uf_thread *io_park(struct uf_thread *t, struct uf_io *io,
				 const struct io_uring_sqe *sqe)
{
	struct uf_server *s = uf_server(t);
	struct uf_fiber *self = io->fiber;

	if (io->deadline != UF_FOREVER)
		link_timeout(io, &s->ring);
	list_io(io, s);
	WRITE_ONCE(self->io_server, s - t->rt->servers);
	WRITE_ONCE(self->wait.what, &uf_what_io);
	WRITE_ONCE(self->wait.on, uf_io_note(sqe));
	/* For who debugs: the rest, if it sees the state. */
	smp_store_release(&self->wait.state, UF_WAIT_IO);
	if (uf_must_end(self))
		WRITE_ONCE(s->cancel_ios, 1);
	t = uf_park(t);
	WRITE_ONCE(self->wait.state, UF_WAIT_NONE);
	return t;
}

/* Finish a call whose entry has been filled. */
static int io_wait(struct uf_io *io, struct io_uring_sqe *sqe)
{
	struct io_uring_sqe request;
	struct uf_thread *t;

	io_uring_sqe_set_data(sqe, io);
	if (io->deadline != UF_FOREVER)
		sqe->flags |= IOSQE_IO_LINK;
	request = *sqe;
	t = io_park(uf_thread_self(), io, &request);
	while (unlikely(was_dropped(io))) {
		sqe = get_entry(&t, io);
		*sqe = request;
		t = io_park(t, io, &request);
	}
	uf_leave(t);
	return result(io);
}

/*
 * Have the kernel cancel the requests of cancelled fibers. They have been queued
 * before, so it finds them.
 */
void uf_io_cancel(struct uf_server *s)
{
	struct io_uring_sqe *sqe;
	struct uf_io *io;

	xchg(&s->cancel_ios, 0);
	for (io = s->ios; io; io = io->next) {
		if (!READ_ONCE(io->fiber->cancelled) || io->fiber->shields ||
		    io->cancelling)
			continue;
		if (io_uring_sq_space_left(&s->ring) < 1)
			uf_ring_submit(s);
		sqe = io_uring_get_sqe(&s->ring);
		if (!sqe) {
			WRITE_ONCE(s->cancel_ios, 1);
			return;
		}
		io_uring_prep_cancel(sqe, io, 0);
		io_uring_sqe_set_data(sqe, NULL);
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
		io->cancelling = true;
	}
}

ssize_t uf_read_until(int fd, void *buf, size_t count, uint64_t deadline)
{
	struct uf_io io;
	struct io_uring_sqe *sqe = io_begin(&io, deadline);

	if (!sqe)
		return -EPERM;
	io_uring_prep_read(sqe, fd, buf, clamp_count(count), UF_IO_POSITION);
	return io_wait(&io, sqe);
}

ssize_t uf_read(int fd, void *buf, size_t count)
{
	return uf_read_until(fd, buf, count, UF_FOREVER);
}

ssize_t uf_write_until(int fd, const void *buf, size_t count, uint64_t deadline)
{
	struct uf_io io;
	struct io_uring_sqe *sqe = io_begin(&io, deadline);

	if (!sqe)
		return -EPERM;
	io_uring_prep_write(sqe, fd, buf, clamp_count(count), UF_IO_POSITION);
	return io_wait(&io, sqe);
}

ssize_t uf_write(int fd, const void *buf, size_t count)
{
	return uf_write_until(fd, buf, count, UF_FOREVER);
}

ssize_t uf_pread_until(int fd, void *buf, size_t count, off_t offset,
		       uint64_t deadline)
{
	struct io_uring_sqe *sqe;
	struct uf_io io;

	/* io_uring takes -1 for the file's own position. */
	if (offset < 0)
		return -EINVAL;
	sqe = io_begin(&io, deadline);
	if (!sqe)
		return -EPERM;
	io_uring_prep_read(sqe, fd, buf, clamp_count(count), offset);
	return io_wait(&io, sqe);
}

ssize_t uf_pread(int fd, void *buf, size_t count, off_t offset)
{
	return uf_pread_until(fd, buf, count, offset, UF_FOREVER);
}

ssize_t uf_pwrite_until(int fd, const void *buf, size_t count, off_t offset,
			uint64_t deadline)
{
	struct io_uring_sqe *sqe;
	struct uf_io io;

	/* io_uring takes -1 for the file's own position. */
	if (offset < 0)
		return -EINVAL;
	sqe = io_begin(&io, deadline);
	if (!sqe)
		return -EPERM;
	io_uring_prep_write(sqe, fd, buf, clamp_count(count), offset);
	return io_wait(&io, sqe);
}

ssize_t uf_pwrite(int fd, const void *buf, size_t count, off_t offset)
{
	return uf_pwrite_until(fd, buf, count, offset, UF_FOREVER);
}

ssize_t uf_recv_until(int fd, void *buf, size_t len, int flags,
		      uint64_t deadline)
{
	struct uf_io io;
	struct io_uring_sqe *sqe = io_begin(&io, deadline);

	if (!sqe)
		return -EPERM;
	io_uring_prep_recv(sqe, fd, buf, clamp_count(len), flags);
	return io_wait(&io, sqe);
}

ssize_t uf_recv(int fd, void *buf, size_t len, int flags)
{
	return uf_recv_until(fd, buf, len, flags, UF_FOREVER);
}

ssize_t uf_send_until(int fd, const void *buf, size_t len, int flags,
		      uint64_t deadline)
{
	struct uf_io io;
	struct io_uring_sqe *sqe = io_begin(&io, deadline);

	if (!sqe)
		return -EPERM;
	io_uring_prep_send(sqe, fd, buf, clamp_count(len), flags);
	return io_wait(&io, sqe);
}

ssize_t uf_send(int fd, const void *buf, size_t len, int flags)
{
	return uf_send_until(fd, buf, len, flags, UF_FOREVER);
}

int uf_accept_until(int fd, struct sockaddr *addr, socklen_t *addrlen,
		    int flags, uint64_t deadline)
{
	struct uf_io io;
	struct io_uring_sqe *sqe = io_begin(&io, deadline);

	if (!sqe)
		return -EPERM;
	io_uring_prep_accept(sqe, fd, addr, addrlen, flags);
	return io_wait(&io, sqe);
}

int uf_accept(int fd, struct sockaddr *addr, socklen_t *addrlen, int flags)
{
	return uf_accept_until(fd, addr, addrlen, flags, UF_FOREVER);
}

int uf_connect_until(int fd, const struct sockaddr *addr, socklen_t addrlen,
		     uint64_t deadline)
{
	struct uf_io io;
	struct io_uring_sqe *sqe = io_begin(&io, deadline);

	if (!sqe)
		return -EPERM;
	io_uring_prep_connect(sqe, fd, addr, addrlen);
	return io_wait(&io, sqe);
}

int uf_connect(int fd, const struct sockaddr *addr, socklen_t addrlen)
{
	return uf_connect_until(fd, addr, addrlen, UF_FOREVER);
}

int uf_openat_until(int dfd, const char *path, int flags, mode_t mode,
		    uint64_t deadline)
{
	struct uf_io io;
	struct io_uring_sqe *sqe = io_begin(&io, deadline);

	if (!sqe)
		return -EPERM;
	io_uring_prep_openat(sqe, dfd, path, flags, mode);
	return io_wait(&io, sqe);
}

int uf_openat(int dfd, const char *path, int flags, mode_t mode)
{
	return uf_openat_until(dfd, path, flags, mode, UF_FOREVER);
}

int uf_close_until(int fd, uint64_t deadline)
{
	struct uf_io io;
	struct io_uring_sqe *sqe = io_begin(&io, deadline);

	if (!sqe)
		return -EPERM;
	io_uring_prep_close(sqe, fd);
	return io_wait(&io, sqe);
}

int uf_close(int fd)
{
	return uf_close_until(fd, UF_FOREVER);
}

int uf_fsync_until(int fd, uint64_t deadline)
{
	struct uf_io io;
	struct io_uring_sqe *sqe = io_begin(&io, deadline);

	if (!sqe)
		return -EPERM;
	io_uring_prep_fsync(sqe, fd, 0);
	return io_wait(&io, sqe);
}

int uf_fsync(int fd)
{
	return uf_fsync_until(fd, UF_FOREVER);
}

int uf_statx_until(int dfd, const char *path, int flags, unsigned int mask,
		   struct statx *stx, uint64_t deadline)
{
	struct uf_io io;
	struct io_uring_sqe *sqe = io_begin(&io, deadline);

	if (!sqe)
		return -EPERM;
	io_uring_prep_statx(sqe, dfd, path, flags, mask, stx);
	return io_wait(&io, sqe);
}

int uf_statx(int dfd, const char *path, int flags, unsigned int mask,
	     struct statx *stx)
{
	return uf_statx_until(dfd, path, flags, mask, stx, UF_FOREVER);
}
