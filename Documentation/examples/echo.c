// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ufiber.h>

#define SECOND 1000000000ULL

static void *serve(void *arg)
{
	int fd = (intptr_t)arg;
	char buffer[512];
	ssize_t n;

	/* Who says nothing for ten seconds is shown the door. */
	while ((n = uf_recv_until(fd, buffer, sizeof(buffer), 0,
				  uf_now() + 10 * SECOND)) > 0)
		if (uf_send(fd, buffer, n, MSG_NOSIGNAL) != n)
			break;
	uf_close(fd);
	return NULL;
}

static void *listener(void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;
	int fd;

	attr.flags = UF_DETACHED;
	attr.name = "connection";
	while ((fd = uf_accept((intptr_t)arg, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		if (uf_create(NULL, NULL, &attr, serve, (void *)(intptr_t)fd))
			uf_close(fd);
	return NULL; /* it has been cancelled */
}

static void ask(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[16];
	ssize_t n;

	if (!uf_connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
	    uf_send(fd, "hello\n", 6, MSG_NOSIGNAL) == 6) {
		n = uf_recv(fd, answer, sizeof(answer), 0);
		if (n > 0)
			printf("%.*s", (int)n, answer);
	}
	uf_close(fd);
}

static void *run(void *arg)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(address);
	struct uf_fiber *fiber;

	if (bind(fd, (struct sockaddr *)&address, length) || listen(fd, 100) ||
	    getsockname(fd, (struct sockaddr *)&address, &length) ||
	    uf_create(NULL, &fiber, NULL, listener, (void *)(intptr_t)fd)) {
		perror("echo");
		return NULL;
	}
	ask(&address);
	uf_cancel(fiber);
	uf_join(fiber, NULL);
	uf_close(fd);
	return arg;
}

int main(void)
{
	return uf_run(NULL, run, NULL, NULL) ? 1 : 0;
}
