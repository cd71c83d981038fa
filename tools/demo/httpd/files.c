// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Files, the way one would write it for a thread per connection: open, fstat,
 * read and mmap, each of which may block for as long as the disk wants.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "httpd.h"

/* A longer body is mapped, and sent in pieces of SEND_PIECE. */
#define READ_MAX ((uint64_t)32 << 10)
#define SEND_PIECE ((uint64_t)256 << 10)

struct mapping {
	void *base;
	size_t size;
	const char *data;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * The path relative to the root, decoded. A slash or NUL that was encoded is no
 * part of any file's name. Returns 0 or a status.
 */
static int decode_path(struct slice url, char *path, size_t size)
{
	const char *p = url.p, *end = p + url.len;
	size_t len = 0;

	while (p < end && *p == '/')
		p++;
	while (p < end) {
		int c = (unsigned char)*p++;

		if (c == '%') {
			int high = p < end ? hex_digit(p[0]) : -1;
			int low = p + 1 < end ? hex_digit(p[1]) : -1;

			if (high < 0 || low < 0)
				return 400;
			c = high << 4 | low;
			p += 2;
			if (!c)
				return 400;
			if (c == '/')
				return 404;
		}
		if (len + 1 >= size)
			return 404;
		path[len++] = c;
	}
	path[len] = '\0';
	return 0;
}

/*
 * Open below the root. The kernel sees to it that neither ".." nor a symbolic
 * link leads out of it (-EXDEV). A FIFO must not make us wait for its writer.
 */
static plain int open_beneath(int root, const char *path, struct stat *st)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int tries = 16, fd, err;

	do {
		fd = syscall(SYS_openat2, root, *path ? path : ".", &how,
			     sizeof(how));
		/* Somebody renames right now, and ".." was in the path. */
	} while (fd < 0 && errno == EAGAIN && --tries);
	if (fd < 0)
		return errno == ENXIO || errno == ENODEV ? -EACCES : -errno;
	if (fstat(fd, st)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static plain int read_whole(int fd, char *buf, size_t len, off_t offset)
{
	while (len) {
		ssize_t n = pread(fd, buf, len, offset);

		if (n < 0)
			return -errno;
		if (!n)
			return -ENODATA; /* it was cut since fstat() */
		buf += n;
		len -= n;
		offset += n;
	}
	return 0;
}

static plain int map_range(struct mapping *map, int fd, const struct range *r)
{
	uint64_t page = r->start & ~((uint64_t)sysconf(_SC_PAGESIZE) - 1);

	map->size = r->start + r->len - page;
	map->base = mmap(NULL, map->size, PROT_READ, MAP_PRIVATE, fd, page);
	if (map->base == MAP_FAILED)
		return -errno;
	map->data = (const char *)map->base + (r->start - page);
	return 0;
}

/*
 * Take the page faults of a piece here, where they block this fiber, not in
 * the ring's send. It also makes an error of what would be SIGBUS when the
 * file was cut meanwhile. Kernels before 5.14 cannot, and need not.
 */
static plain int fault_in(const char *data, size_t len)
{
	uintptr_t mask = sysconf(_SC_PAGESIZE) - 1;
	uintptr_t start = (uintptr_t)data & ~mask;

	if (madvise((void *)start, (uintptr_t)data + len - start,
		    MADV_POPULATE_READ) &&
	    errno != EINVAL)
		return -errno;
	return 0;
}

static int send_mapped(struct conn *c, const struct mapping *map, uint64_t len)
{
	uint64_t done = 0;
	int err = reply_flush(c);

	while (!err && done < len) {
		uint64_t piece = len - done;

		if (piece > SEND_PIECE)
			piece = SEND_PIECE;
		err = fault_in(map->data + done, piece);
		if (!err)
			err = reply_send(c, map->data + done, piece, 0);
		done += piece;
	}
	return err;
}

static void file_head(struct reply *r, const char *path, const struct stat *st,
		      const char *etag, const struct range *range)
{
	char modified[40];
	int n;

	http_date(modified, sizeof(modified), st->st_mtim.tv_sec);
	n = snprintf(r->fields, sizeof(r->fields),
		     "Last-Modified: %s\r\n"
		     "ETag: %s\r\n"
		     "Accept-Ranges: bytes\r\n"
		     "X-Content-Type-Options: nosniff\r\n",
		     modified, etag);
	if (r->status == 206)
		snprintf(r->fields + n, sizeof(r->fields) - n,
			 "Content-Range: bytes %llu-%llu/%llu\r\n",
			 (unsigned long long)range->start,
			 (unsigned long long)(range->start + range->len - 1),
			 (unsigned long long)st->st_size);
	r->type = r->status == 304 ? NULL : mime_type(path);
	r->length = range->len;
}

static int serve_unsatisfiable(struct conn *c, const struct request *rq,
			       const struct stat *st)
{
	static const char text[] = "416 Range Not Satisfiable\n";
	struct reply r = { .status = 416, .type = "text/plain; charset=utf-8" };

	snprintf(r.fields, sizeof(r.fields), "Content-Range: bytes */%llu\r\n",
		 (unsigned long long)st->st_size);
	return reply_text(c, rq, &r, text, sizeof(text) - 1);
}

/* Errors before the head is out have a status; those after it end it all. */
static int serve_file(struct conn *c, const struct request *rq, int fd,
		      const char *path, const struct stat *st)
{
	char etag[ETAG_SIZE];
	struct mapping map;
	struct range range;
	struct reply r = { 0 };
	int err;

	etag_of(etag, st);
	r.status = conditions_check(rq, st, etag, &range);
	if (r.status == 416)
		return serve_unsatisfiable(c, rq, st);
	if (r.status == 412)
		return reply_status(c, rq, 412);
	file_head(&r, path, st, etag, &range);

	if (rq->method == METHOD_HEAD || r.status == 304) {
		reply_head(c, rq, &r);
		return reply_flush(c);
	}
	if (range.len <= READ_MAX) {
		reply_head(c, rq, &r);
		err = read_whole(fd, c->out + c->out_len, range.len,
				 range.start);
		if (err)
			return err;
		c->out_len += range.len;
		return reply_flush(c);
	}
	err = map_range(&map, fd, &range);
	if (err)
		return reply_status(c, rq, status_of_errno(err));
	reply_head(c, rq, &r);
	err = send_mapped(c, &map, range.len);
	munmap(map.base, map.size);
	return err;
}

static int serve_listing(struct conn *c, const struct request *rq, int fd,
			 const char *path)
{
	struct reply r = { .status = 200, .type = "text/html; charset=utf-8" };
	char *html;
	size_t len;
	int err = listing_make(fd, path, &html, &len);

	if (err)
		return reply_status(c, rq, status_of_errno(err));
	err = reply_text(c, rq, &r, html, len);
	free(html);
	return err;
}

/* path ends in a slash or is empty, and has room for the index's name. */
static int serve_directory(struct conn *c, const struct request *rq, int fd,
			   char *path)
{
	size_t len = strlen(path);
	struct stat st;
	int index, err;

	strcpy(path + len, "index.html");
	index = open_beneath(c->server->root_fd, path, &st);
	if (index >= 0 && S_ISREG(st.st_mode)) {
		err = serve_file(c, rq, index, path, &st);
	} else if (index < 0 && index != -ENOENT) {
		err = reply_status(c, rq, status_of_errno(index));
	} else {
		path[len] = '\0';
		err = serve_listing(c, rq, fd, path);
	}
	if (index >= 0)
		close(index);
	return err;
}

/* Answer a GET or HEAD of a file. Returns 0 or a negative errno: give up. */
int files_serve(struct conn *c, const struct request *rq)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, err, status;

	status = decode_path(rq->path, path, sizeof(path) - 16);
	if (status)
		return reply_status(c, rq, status);
	fd = open_beneath(c->server->root_fd, path, &st);
	if (fd < 0)
		return reply_status(c, rq, status_of_errno(fd));

	if (S_ISREG(st.st_mode))
		err = serve_file(c, rq, fd, path, &st);
	else if (!S_ISDIR(st.st_mode))
		err = reply_status(c, rq, 403);
	else if (rq->path.p[rq->path.len - 1] != '/')
		err = reply_redirect(c, rq);
	else
		err = serve_directory(c, rq, fd, path);
	close(fd);
	return err;
}
