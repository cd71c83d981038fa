// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The listening socket, and one fiber for each connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "blocks.h"
#include "httpd.h"

/* How long to read on after the last reply, so that the client gets it. */
#define LINGER_NS NSEC_PER_SEC
/* How long a stop waits for replies under way. */
#define GRACE_NS NSEC_PER_SEC
#define RETRY_NS (10 * NSEC_PER_MSEC)

/*
 * Receive until a whole head is there. Returns its length, 0 if the connection
 * ended or was idle for too long, or a status, negative, to refuse it with.
 */
static int receive_head(struct conn *c)
{
	const struct settings *settings = c->server->settings;
	uint64_t deadline = uf_now() + settings->idle_ns;
	size_t scanned = 0;
	bool begun = false;

	for (;;) {
		const char *p;
		size_t have, len;
		ssize_t n;

		/* Empty lines before a request are to be skipped. */
		while (c->pos < c->len && (c->in[c->pos] == '\n' ||
					   (c->pos + 1 < c->len &&
					    !memcmp(c->in + c->pos, "\r\n", 2))))
			c->pos += c->in[c->pos] == '\n' ? 1 : 2;
		p = c->in + c->pos;
		have = c->len - c->pos;
		if (have == 1 && *p == '\r')
			have = 0;

		if (have && (*p <= ' ' || *p > '~'))
			return -400; /* no method starts so: TLS, perhaps */
		len = request_head_length(p, have, &scanned);
		if (len)
			return len;
		if (have == HEAD_MAX)
			return memchr(p, '\n', have) ? -431 : -414;
		if (have && !begun) {
			deadline = uf_now() + settings->head_ns;
			begun = true;
		}

		memmove(c->in, p, c->len - c->pos);
		c->len -= c->pos;
		c->pos = 0;
		n = uf_recv_until(c->fd, c->in + c->len, HEAD_MAX - c->len, 0,
				  deadline);
		if (n == -ETIMEDOUT && begun)
			return -408;
		if (n <= 0)
			return 0;
		c->len += n;
	}
}

/* One request, one reply. Returns whether another may follow. */
static bool serve_one(struct conn *c)
{
	struct request rq = { 0 };
	int len = receive_head(c);
	int status, err;

	if (!len)
		return false;
	if (len < 0) {
		status = -len;
	} else {
		status = request_parse(&rq, c->in + c->pos, len);
		c->pos += len;
	}
	if (atomic_load(&c->server->stopping))
		rq.keep_alive = false;

	if (status)
		err = reply_status(c, &rq, status);
	else if (blocks_match(rq.path))
		err = blocks_serve(c, &rq);
	else
		err = files_serve(c, &rq);
	return !err && rq.keep_alive;
}

static void conn_add(struct conn *c)
{
	struct server *s = c->server;

	uf_mutex_lock(&s->conns_lock);
	c->next = s->conns;
	c->link = &s->conns;
	if (c->next)
		c->next->link = &c->next;
	s->conns = c;
	uf_mutex_unlock(&s->conns_lock);
}

static void conn_remove(struct conn *c)
{
	uf_mutex_lock(&c->server->conns_lock);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	uf_mutex_unlock(&c->server->conns_lock);
}

/*
 * Closing a socket with input that nobody read resets the connection, and the
 * reply is lost: read on until the client has closed its side.
 */
static void linger(struct conn *c)
{
	uint64_t deadline = uf_now() + LINGER_NS;

	shutdown(c->fd, SHUT_WR);
	while (uf_recv_until(c->fd, c->in, sizeof(c->in), 0, deadline) > 0)
		;
}

static void *connection(void *arg)
{
	struct conn *c = arg;

	conn_add(c);
	while (!atomic_load(&c->server->stopping) && serve_one(c))
		;
	linger(c);
	conn_remove(c);
	uf_close(c->fd);
	free(c);
	return NULL;
}

static void connection_start(struct server *s, int fd)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct conn *c = malloc(sizeof(*c));
	int on = 1;

	attr.name = "connection";
	attr.flags = UF_DETACHED;
	if (c) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		c->server = s;
		c->fd = fd;
		c->pos = 0;
		c->len = 0;
		atomic_fetch_add(&s->accepted, 1);
		if (!uf_create(NULL, NULL, &attr, connection, c))
			return;
	}
	free(c);
	close(fd);
}

void *server_accept(void *arg)
{
	struct server *s = arg;

	for (;;) {
		int fd = uf_accept(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			connection_start(s, fd);
		else if (atomic_load(&s->stopping))
			return NULL;
		else if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM ||
			 fd == -ENOBUFS)
			uf_sleep(RETRY_NS); /* until somebody closes */
		else if (fd != -ECONNABORTED && fd != -EINTR && fd != -EAGAIN) {
			fprintf(stderr, "httpd: accept failed: %s\n",
				strerror(-fd));
			exit(1);
		}
	}
}

static bool shutdown_all(struct server *s, int how)
{
	bool any;

	uf_mutex_lock(&s->conns_lock);
	any = s->conns;
	for (struct conn *c = s->conns; c; c = c->next)
		shutdown(c->fd, how);
	uf_mutex_unlock(&s->conns_lock);
	return any;
}

/* Take no more requests, finish the ones under way, end all fibers. */
void *server_stop(void *arg)
{
	struct server *s = arg;
	uint64_t deadline = uf_now() + GRACE_NS;

	atomic_store(&s->stopping, true);
	shutdown(s->listen_fd, SHUT_RDWR);
	while (shutdown_all(s, uf_now() < deadline ? SHUT_RD : SHUT_RDWR))
		uf_sleep(RETRY_NS);
	return NULL;
}

/* Bind and listen; sets s->port. Returns 0 or a negative errno. */
plain int server_open(struct server *s)
{
	bool any = s->settings->any_address;
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(s->settings->port),
		.sin_addr.s_addr = htonl(any ? INADDR_ANY : INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int on = 1;

	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listen_fd < 0)
		return -errno;
	if (setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(s->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(s->listen_fd, SOMAXCONN) ||
	    getsockname(s->listen_fd, (struct sockaddr *)&addr, &len))
		return -errno;
	s->port = ntohs(addr.sin_port);
	return 0;
}
