// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A name server on loopback that takes its time: whatever A record it is asked
 * for, it says 127.0.0.1, a fixed delay after the question came. It is what
 * getaddrinfo() waits for, on a plain thread, so that the demo needs no network
 * and no fiber can hold it up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "blocks.h"

#define QUESTIONS_MAX 256
#define PACKET_MAX 512
#define DNS_HEADER 12

struct question {
	uint64_t due;
	struct sockaddr_in from;
	size_t len;
	uint8_t packet[PACKET_MAX];
};

/* Waiting questions, in the order they came and fall due. */
static struct {
	int fd;
	uint64_t delay;
	unsigned int head;
	unsigned int tail;
	struct question questions[QUESTIONS_MAX];
} ns;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* Where the first question ends: a name, its type, its class. 0: broken. */
static size_t question_end(const uint8_t *packet, size_t len)
{
	size_t at = DNS_HEADER;

	if (len < DNS_HEADER || packet[2] & 0x80 || packet[4] || packet[5] != 1)
		return 0;
	while (at < len && packet[at]) {
		if (packet[at] > 63)
			return 0;
		at += packet[at] + 1;
	}
	return at + 5 <= len ? at + 5 : 0;
}

static void answer(struct question *q)
{
	/* the name in the question, A, IN, one minute, four bytes */
	static const uint8_t record[] = { 0xc0, DNS_HEADER, 0, 1, 0,   1, 0, 0,
					  0,	60,	    0, 4, 127, 0, 0, 1 };
	size_t end = question_end(q->packet, q->len);
	bool address;

	if (!end || end + sizeof(record) > sizeof(q->packet))
		return;
	address = q->packet[end - 3] == 1;
	q->packet[2] |= 0x84; /* a response, with authority */
	q->packet[3] = 0x80; /* recursion available, no error */
	memset(q->packet + 6, 0, 6);
	q->packet[7] = address;
	if (address) {
		memcpy(q->packet + end, record, sizeof(record));
		end += sizeof(record);
	}
	sendto(ns.fd, q->packet, end, 0, (struct sockaddr *)&q->from,
	       sizeof(q->from));
}

static void receive(void)
{
	struct question *q = &ns.questions[ns.tail % QUESTIONS_MAX];
	socklen_t from_len = sizeof(q->from);
	ssize_t n = recvfrom(ns.fd, q->packet, sizeof(q->packet), 0,
			     (struct sockaddr *)&q->from, &from_len);

	if (n < 0 || ns.tail - ns.head == QUESTIONS_MAX - 1)
		return;
	q->len = n;
	q->due = now() + ns.delay;
	ns.tail++;
}

static void *serve(void *arg)
{
	struct pollfd pfd = { .fd = ns.fd, .events = POLLIN };

	(void)arg;
	for (;;) {
		struct question *q = &ns.questions[ns.head % QUESTIONS_MAX];
		struct timespec wait = { 0 };
		uint64_t t = now();

		if (ns.head != ns.tail && q->due <= t) {
			answer(q);
			ns.head++;
			continue;
		}
		if (ns.head != ns.tail)
			wait.tv_nsec = q->due - t;
		if (ppoll(&pfd, 1, ns.head != ns.tail ? &wait : NULL, NULL) > 0)
			receive();
	}
	return NULL;
}

/* delay_ns is less than a second. Returns the port or a negative errno. */
int nameserver_start(uint64_t delay_ns)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	pthread_t thread;
	int err;

	ns.delay = delay_ns;
	ns.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ns.fd < 0)
		return -errno;
	if (bind(ns.fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    getsockname(ns.fd, (struct sockaddr *)&addr, &len))
		return -errno;
	err = pthread_create(&thread, NULL, serve, NULL);
	return err ? -err : ntohs(addr.sin_port);
}
