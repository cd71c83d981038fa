// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Replies: a head and short bodies are gathered in the connection's buffer and
 * sent with one uf_send().
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "httpd.h"

/* A client that takes nothing for that long is gone. */
#define SEND_NS (30 * NSEC_PER_SEC)

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 304, "Not Modified" },
	{ 400, "Bad Request" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 412, "Precondition Failed" },
	{ 414, "URI Too Long" },
	{ 416, "Range Not Satisfiable" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

static const char *reason_of(int status)
{
	for (size_t i = 0; i < countof(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

int status_of_errno(int err)
{
	switch (-err) {
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
		return 404;
	case EACCES:
	case EPERM:
	case EXDEV: /* leads out of the root */
	case ELOOP:
		return 403;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return 503;
	default:
		return 500;
	}
}

/* RFC 9110 5.6.7; the process never leaves the "C" locale. */
void http_date(char *buf, size_t size, time_t time)
{
	struct tm tm;

	if (!gmtime_r(&time, &tm) ||
	    !strftime(buf, size, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		buf[0] = '\0';
}

/* Send all of it. Returns 0 or a negative errno. */
int reply_send(struct conn *c, const void *data, size_t len, int flags)
{
	const char *p = data;

	while (len) {
		ssize_t n = uf_send_until(c->fd, p, len, flags | MSG_NOSIGNAL,
					  uf_now() + SEND_NS);

		if (n < 0)
			return n;
		p += n;
		len -= n;
	}
	return 0;
}

int reply_flush(struct conn *c)
{
	size_t len = c->out_len;

	c->out_len = 0;
	return reply_send(c, c->out, len, 0);
}

/*
 * Start a reply in c->out. It always fits: type and fields are short. Returns
 * 0, for symmetry with the functions that send.
 */
int reply_head(struct conn *c, const struct request *rq, const struct reply *r)
{
	char date[40], length[80] = "";
	const char *connection = "";

	atomic_fetch_add_explicit(&c->server->replies[r->status], 1,
				  memory_order_relaxed);
	http_date(date, sizeof(date), time(NULL));
	if (!rq->keep_alive)
		connection = "Connection: close\r\n";
	else if (rq->http10)
		connection = "Connection: keep-alive\r\n";
	if (r->type)
		snprintf(length, sizeof(length), "Content-Length: %llu\r\n",
			 (unsigned long long)r->length);

	c->out_len = snprintf(c->out, OUT_MAX,
			      "HTTP/1.1 %d %s\r\n"
			      "Server: ufiber-demo\r\n"
			      "Date: %s\r\n"
			      "%s%s%s%s%s%s\r\n",
			      r->status, reason_of(r->status), date, length,
			      r->type ? "Content-Type: " : "",
			      r->type ? r->type : "", r->type ? "\r\n" : "",
			      r->fields, connection);
	return 0;
}

/* A whole reply whose body is in memory; sets r->length. */
int reply_text(struct conn *c, const struct request *rq, struct reply *r,
	       const char *text, size_t len)
{
	int err;

	r->length = len;
	reply_head(c, rq, r);
	if (rq->method == METHOD_HEAD)
		return reply_flush(c);
	if (len <= OUT_MAX - c->out_len) {
		memcpy(c->out + c->out_len, text, len);
		c->out_len += len;
		return reply_flush(c);
	}
	err = reply_flush(c);
	return err ? err : reply_send(c, text, len, 0);
}

/* A reply that only says its status. */
int reply_status(struct conn *c, const struct request *rq, int status)
{
	struct reply r = { .status = status,
			   .type = "text/plain; charset=utf-8" };
	char text[64];
	int len;

	if (status == 405)
		strcpy(r.fields, "Allow: GET, HEAD\r\n");
	len = snprintf(text, sizeof(text), "%d %s\n", status, reason_of(status));
	return reply_text(c, rq, &r, text, len);
}

/* The same URL with a slash. "//host" would lead elsewhere: one slash only. */
int reply_redirect(struct conn *c, const struct request *rq)
{
	static const char type[] = "text/plain; charset=utf-8";
	static const char text[] = "301 Moved Permanently\n";
	struct reply r = { .status = 301, .type = type };
	struct slice path = rq->path;
	int body = rq->method == METHOD_HEAD ? 0 : sizeof(text) - 1;

	while (path.len > 1 && path.p[1] == '/') {
		path.p++;
		path.len--;
	}
	r.length = sizeof(text) - 1;
	reply_head(c, rq, &r);
	/* The location may be longer than r.fields: put it before the end. */
	c->out_len -= 2;
	c->out_len += snprintf(c->out + c->out_len, OUT_MAX - c->out_len,
			       "Location: %.*s/%.*s\r\n\r\n%.*s", (int)path.len,
			       path.p, (int)rq->query.len, rq->query.p, body,
			       text);
	return reply_flush(c);
}
