/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* IO that parks the fiber and not its server. The conventions are told in ufiber.h. */
#ifndef UFIBER_IO_H
#define UFIBER_IO_H

#include <sys/socket.h>
#include <sys/types.h>
#include <ufiber/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct statx;

/*
 * Each call does what the system call of its name does, through the server's
 * io_uring; the fiber is parked meanwhile. Its _until twin gives up at the
 * deadline with -ETIMEDOUT; then nothing was transferred (an operation that
 * the kernel can no longer stop, such as disk IO, runs to its end first and
 * its result counts). Buffers must stay valid until the call returns.
 *
 * A deadline that has passed: what can be done without waiting is done, but for
 * pipes on kernels before 6.4, whose io_uring hands them to a worker thread;
 * that may come too late.
 *
 * O_NONBLOCK makes no difference, as waiting blocks nobody: to only try, give
 * MSG_DONTWAIT (-EAGAIN) or a deadline of 0 (-ETIMEDOUT).
 *
 * All are for fibers only and may switch. They return the system call's result, or
 * a negative errno: those of the system call, -EPERM (not a fiber), -ETIMEDOUT,
 * -ECANCELED.
 */

/**
 * uf_read - read from a file, a pipe, a socket, a terminal
 *
 * As read() does: at the file's position, and less than asked for if there is no
 * more yet.
 *
 * Fiber only; may switch. Returns the number of bytes, 0 at the end, or a negative
 * errno.
 */
ssize_t uf_read(int fd, void *buf, size_t count);
ssize_t uf_read_until(int fd, void *buf, size_t count, uint64_t deadline);

/**
 * uf_write - write to a file, a pipe, a socket, a terminal
 *
 * As write() does; it may write less than it is given.
 *
 * Fiber only; may switch. Returns the number of bytes or a negative errno.
 */
ssize_t uf_write(int fd, const void *buf, size_t count);
ssize_t uf_write_until(int fd, const void *buf, size_t count, uint64_t deadline);

/**
 * uf_pread - read from a place in a file
 *
 * As pread() does; but of what has no places, such as a pipe, it reads as uf_read()
 * does, where pread() returns ESPIPE. Fiber only; may switch. Returns as uf_read().
 */
ssize_t uf_pread(int fd, void *buf, size_t count, off_t offset);
ssize_t uf_pread_until(int fd, void *buf, size_t count, off_t offset,
		       uint64_t deadline);

/**
 * uf_pwrite - write to a place in a file
 *
 * As pwrite() does; but to what has no places, such as a pipe, it writes as uf_write()
 * does, where pwrite() returns ESPIPE. Fiber only; may switch. Returns as uf_write().
 */
ssize_t uf_pwrite(int fd, const void *buf, size_t count, off_t offset);
ssize_t uf_pwrite_until(int fd, const void *buf, size_t count, off_t offset,
			uint64_t deadline);

/**
 * uf_recv - receive from a socket
 * @flags: MSG_PEEK, MSG_DONTWAIT and so on, as for recv().
 *
 * Fiber only; may switch. Returns the number of bytes, 0 when the peer has shut
 * down, or a negative errno.
 */
ssize_t uf_recv(int fd, void *buf, size_t len, int flags);
ssize_t uf_recv_until(int fd, void *buf, size_t len, int flags,
		      uint64_t deadline);

/**
 * uf_send - send to a socket
 * @flags: MSG_NOSIGNAL, MSG_DONTWAIT and so on, as for send().
 *
 * Fiber only; may switch. Returns the number of bytes or a negative errno.
 */
ssize_t uf_send(int fd, const void *buf, size_t len, int flags);
ssize_t uf_send_until(int fd, const void *buf, size_t len, int flags,
		      uint64_t deadline);

/**
 * uf_accept - take the next connection of a listening socket
 * @flags: SOCK_CLOEXEC, SOCK_NONBLOCK, as for accept4().
 *
 * Fiber only; may switch. Returns a file descriptor or a negative errno.
 */
int uf_accept(int fd, struct sockaddr *addr, socklen_t *addrlen, int flags);
int uf_accept_until(int fd, struct sockaddr *addr, socklen_t *addrlen,
		    int flags, uint64_t deadline);

/**
 * uf_connect - connect a socket
 *
 * As connect() does. Fiber only; may switch. Returns 0 or a negative errno.
 */
int uf_connect(int fd, const struct sockaddr *addr, socklen_t addrlen);
int uf_connect_until(int fd, const struct sockaddr *addr, socklen_t addrlen,
		     uint64_t deadline);

/**
 * uf_openat - open a file
 *
 * As openat() does. Fiber only; may switch. Returns a file descriptor or a negative
 * errno.
 */
int uf_openat(int dfd, const char *path, int flags, mode_t mode);
int uf_openat_until(int dfd, const char *path, int flags, mode_t mode,
		    uint64_t deadline);

/**
 * uf_close - close a file descriptor
 *
 * As close() does. Fiber only; may switch. Returns 0 or a negative errno.
 */
int uf_close(int fd);
int uf_close_until(int fd, uint64_t deadline);

/**
 * uf_fsync - have a file's data written to its device
 *
 * As fsync() does. Fiber only; may switch. Returns 0 or a negative errno.
 */
int uf_fsync(int fd);
int uf_fsync_until(int fd, uint64_t deadline);

/**
 * uf_statx - ask for a file's size, times, owner
 *
 * As statx() does. Fiber only; may switch. Returns 0 or a negative errno.
 */
int uf_statx(int dfd, const char *path, int flags, unsigned int mask,
	     struct statx *stx);
int uf_statx_until(int dfd, const char *path, int flags, unsigned int mask,
		   struct statx *stx, uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_IO_H */
