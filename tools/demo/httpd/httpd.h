/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the parts of the demo's HTTP server share.
 *
 * One rule of fiber code shows all over these files: a call of <ufiber.h> that
 * may switch may come back on another thread, and compilers keep addresses of
 * thread-local data (errno!) in registers across calls. So whatever looks at
 * errno is a function of its own that makes no such call: those are marked
 * plain, are not inlined, and return a negative errno. They may block as they
 * like; a fiber that blocks in the kernel stays on its thread.
 */
#ifndef HTTPD_H
#define HTTPD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <ufiber.h>

#define plain __attribute__((noinline))
#define countof(array) (sizeof(array) / sizeof((array)[0]))

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL

#define HEAD_MAX 16384 /* bytes of a request's head */
#define TARGET_MAX 8000 /* bytes of a request's target, RFC 9110 4.1 */
#define FIELDS_MAX 100 /* header fields of a request */
#define OUT_MAX 36864 /* reply head, and bodies up to 32 KiB */
#define STATUS_MAX 600

struct slice {
	const char *p;
	size_t len;
};

struct settings {
	uint16_t port;
	bool any_address;
	const char *root;
	const char *slow; /* NULL: no /block/ handlers */
	const char *report;
	unsigned int servers;
	uint64_t idle_ns;
	uint64_t head_ns;
};

struct conn;

struct server {
	const struct settings *settings;
	struct uf_runtime *rt;
	int listen_fd;
	int root_fd;
	uint16_t port;
	atomic_bool stopping;
	struct uf_mutex conns_lock; /* conns, and closing of their fds */
	struct conn *conns;
	atomic_ulong accepted;
	atomic_ulong replies[STATUS_MAX];
};

/* A connection; in[pos..len) was received and not yet handled. */
struct conn {
	struct server *server;
	struct conn *next;
	struct conn **link;
	int fd;
	size_t pos;
	size_t len;
	size_t out_len;
	char in[HEAD_MAX];
	char out[OUT_MAX];
};

enum method {
	METHOD_UNKNOWN,
	METHOD_GET,
	METHOD_HEAD,
	METHOD_OTHER
};

/* A request's head. Slices point into the connection's buffer. */
struct request {
	enum method method;
	bool http10;
	bool keep_alive;
	bool body; /* one follows; nobody reads it */
	struct slice path;
	struct slice query; /* with its '?', or empty */
	struct slice if_match;
	struct slice if_none_match;
	struct slice if_modified_since;
	struct slice if_unmodified_since;
	struct slice if_range;
	struct slice range;
};

/* request.c */
size_t request_head_length(const char *buf, size_t len, size_t *scanned);
int request_parse(struct request *rq, const char *head, size_t len);
bool slice_is(struct slice s, const char *word);

/* response.c */
struct reply {
	int status;
	const char *type; /* NULL: a reply without a body, such as 304 */
	uint64_t length;
	char fields[512]; /* further fields, "Name: value\r\n"... */
};

int reply_head(struct conn *c, const struct request *rq, const struct reply *r);
int reply_flush(struct conn *c);
int reply_send(struct conn *c, const void *data, size_t len, int flags);
int reply_text(struct conn *c, const struct request *rq, struct reply *r,
	       const char *text, size_t len);
int reply_status(struct conn *c, const struct request *rq, int status);
int reply_redirect(struct conn *c, const struct request *rq);
int status_of_errno(int err);
void http_date(char *buf, size_t size, time_t time);

/* conditions.c */
#define ETAG_SIZE 64

struct range {
	uint64_t start;
	uint64_t len;
};

void etag_of(char *etag, const struct stat *st);
int conditions_check(const struct request *rq, const struct stat *st,
		     const char *etag, struct range *range);

/* files.c, listing.c, mime.c */
int files_serve(struct conn *c, const struct request *rq);
int listing_make(int dir, const char *path, char **html, size_t *len);
const char *mime_type(const char *path);

/* server.c */
int server_open(struct server *s);
void *server_accept(void *server);
void *server_stop(void *server);

#endif /* HTTPD_H */
