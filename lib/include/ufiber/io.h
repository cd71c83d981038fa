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
 * Fiber only; may switch. Return the system call's result, or a negative errno:
 * those of the system call, -EPERM (not a fiber), -ETIMEDOUT.
 */
ssize_t uf_read(int fd, void *buf, size_t count);
ssize_t uf_read_until(int fd, void *buf, size_t count, uint64_t deadline);
ssize_t uf_write(int fd, const void *buf, size_t count);
ssize_t uf_write_until(int fd, const void *buf, size_t count, uint64_t deadline);
ssize_t uf_pread(int fd, void *buf, size_t count, off_t offset);
ssize_t uf_pread_until(int fd, void *buf, size_t count, off_t offset,
		       uint64_t deadline);
ssize_t uf_pwrite(int fd, const void *buf, size_t count, off_t offset);
ssize_t uf_pwrite_until(int fd, const void *buf, size_t count, off_t offset,
			uint64_t deadline);
ssize_t uf_recv(int fd, void *buf, size_t len, int flags);
ssize_t uf_recv_until(int fd, void *buf, size_t len, int flags,
		      uint64_t deadline);
ssize_t uf_send(int fd, const void *buf, size_t len, int flags);
ssize_t uf_send_until(int fd, const void *buf, size_t len, int flags,
		      uint64_t deadline);

/* @flags: SOCK_CLOEXEC, SOCK_NONBLOCK, as for accept4(). */
int uf_accept(int fd, struct sockaddr *addr, socklen_t *addrlen, int flags);
int uf_accept_until(int fd, struct sockaddr *addr, socklen_t *addrlen,
		    int flags, uint64_t deadline);
int uf_connect(int fd, const struct sockaddr *addr, socklen_t addrlen);
int uf_connect_until(int fd, const struct sockaddr *addr, socklen_t addrlen,
		     uint64_t deadline);
int uf_openat(int dfd, const char *path, int flags, mode_t mode);
int uf_openat_until(int dfd, const char *path, int flags, mode_t mode,
		    uint64_t deadline);
int uf_close(int fd);
int uf_close_until(int fd, uint64_t deadline);
int uf_fsync(int fd);
int uf_fsync_until(int fd, uint64_t deadline);
int uf_statx(int dfd, const char *path, int flags, unsigned int mask,
	     struct statx *stx);
int uf_statx_until(int dfd, const char *path, int flags, unsigned int mask,
		   struct statx *stx, uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif /* UFIBER_IO_H */
