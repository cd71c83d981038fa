// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Handlers that block in the kernel, the way ordinary code does that was not
 * written for fibers. Not one of them goes through the ufiber library.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <nss.h>
#include <pthread.h>
#include <resolv.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "blocks.h"

#define PREFIX "/block/"
#define WAIT_NS (30 * NSEC_PER_MSEC) /* of nanosleep, flock, getaddrinfo */
#define COLD_SIZE ((off_t)4 << 20)
#define PAGE ((off_t)4096)
#define LOG_MAX ((off_t)1 << 20)
#define LOOKUP_NAME "slow.ufiber.test."

static struct {
	int cold_fd;
	int log_fd;
	char lock_path[PATH_MAX];
	sem_t lock_wanted;
	sem_t lock_taken;
	uint16_t dns_port;
	atomic_ulong cold_next;
} blocks = { .cold_fd = -1, .log_fd = -1 };

static void wait_raw(uint64_t ns)
{
	struct timespec ts = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };

	while (syscall(SYS_nanosleep, &ts, &ts) && errno == EINTR)
		;
}

static int block_nanosleep(void)
{
	wait_raw(WAIT_NS);
	return 0;
}

/*
 * The thread that has the lock whenever nobody asks for it, and gives it up
 * WAIT_NS after somebody did. One lock_taken answers each lock_wanted, so it
 * never takes the lock away from the one it gave it up for.
 */
static void *lock_keeper(void *arg)
{
	int fd = (intptr_t)arg;

	for (;;) {
		while (sem_wait(&blocks.lock_wanted))
			;
		wait_raw(WAIT_NS);
		flock(fd, LOCK_UN);
		while (sem_wait(&blocks.lock_taken))
			;
		while (flock(fd, LOCK_EX) && errno == EINTR)
			;
	}
	return NULL;
}

static int block_flock(void)
{
	int fd = open(blocks.lock_path, O_RDWR | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	sem_post(&blocks.lock_wanted);
	do
		err = flock(fd, LOCK_EX) ? -errno : 0;
	while (err == -EINTR);
	sem_post(&blocks.lock_taken);
	close(fd);
	return err;
}

static int block_fsync(void)
{
	char record[512];
	struct stat st;

	memset(record, '.', sizeof(record));
	record[sizeof(record) - 1] = '\n';
	if (!fstat(blocks.log_fd, &st) && st.st_size >= LOG_MAX &&
	    ftruncate(blocks.log_fd, 0))
		return -errno;
	if (write(blocks.log_fd, record, sizeof(record)) < 0 ||
	    fsync(blocks.log_fd))
		return -errno;
	return 0;
}

/* Read one byte of a page that is not in the page cache. */
static int block_fault(void)
{
	off_t pages = COLD_SIZE / PAGE;
	off_t page = atomic_fetch_add(&blocks.cold_next, 7) % pages;
	volatile char *map;
	int err;

	err = posix_fadvise(blocks.cold_fd, page * PAGE, PAGE,
			    POSIX_FADV_DONTNEED);
	if (err)
		return -err;
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, blocks.cold_fd,
		   page * PAGE);
	if (map == MAP_FAILED)
		return -errno;
	madvise((void *)map, PAGE, MADV_RANDOM); /* this page, not its file */
	(void)map[0];
	munmap((void *)map, PAGE);
	return 0;
}

/*
 * Let this thread's resolver ask the demo's own name server. glibc takes _res
 * as it is where RES_NORELOAD is set, whatever /etc/resolv.conf says.
 */
static int resolver_set(void)
{
	struct sockaddr_in *server = &_res.nsaddr_list[0];

	/* The options too: a thread that ended leaves the rest behind. */
	if (_res.options & RES_NORELOAD &&
	    server->sin_port == htons(blocks.dns_port))
		return 0;
	if (res_init())
		return -EIO;
	_res.options |= RES_NORELOAD;
	_res.options &= ~(RES_DNSRCH | RES_DEFNAMES);
	_res.nscount = 1;
	*server = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(blocks.dns_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	return 0;
}

static int block_getaddrinfo(void)
{
	struct addrinfo hints = { .ai_family = AF_INET,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	int err = resolver_set();

	if (err)
		return err;
	err = getaddrinfo(LOOKUP_NAME, "80", &hints, &found);
	if (err)
		return err == EAI_SYSTEM ? -errno : -EHOSTUNREACH;
	freeaddrinfo(found);
	return 0;
}

static struct handler {
	const char *name;
	int (*run)(void);
	atomic_ulong count;
	atomic_ulong ns;
} handlers[] = {
	{ .name = "flock", .run = block_flock },
	{ .name = "fsync", .run = block_fsync },
	{ .name = "fault", .run = block_fault },
	{ .name = "nanosleep", .run = block_nanosleep },
	{ .name = "getaddrinfo", .run = block_getaddrinfo },
};

bool blocks_match(struct slice path)
{
	return blocks.cold_fd >= 0 && path.len >= strlen(PREFIX) &&
	       !memcmp(path.p, PREFIX, strlen(PREFIX));
}

static struct handler *handler_of(struct slice path)
{
	struct slice name = { path.p + strlen(PREFIX),
			      path.len - strlen(PREFIX) };

	for (size_t i = 0; i < countof(handlers); i++)
		if (slice_is(name, handlers[i].name))
			return &handlers[i];
	return NULL;
}

/* Not inlined: see httpd.h about errno. */
static plain int handler_run(struct handler *h, uint64_t *ns)
{
	uint64_t start = uf_now();
	int err = h->run();

	*ns = uf_now() - start;
	atomic_fetch_add(&h->count, 1);
	atomic_fetch_add(&h->ns, *ns);
	return err;
}

int blocks_serve(struct conn *c, const struct request *rq)
{
	struct reply r = { .status = 200,
			   .type = "text/plain; charset=utf-8",
			   .fields = "Cache-Control: no-store\r\n" };
	struct handler *h = handler_of(rq->path);
	char text[128];
	uint64_t ns;
	int len, err;

	if (!h)
		return reply_status(c, rq, 404);
	err = handler_run(h, &ns);
	if (err) {
		r.status = 500;
		len = snprintf(text, sizeof(text), "%s failed: %s\n", h->name,
			       strerror(-err));
		fprintf(stderr, "httpd: /block/%s", text);
	} else {
		len = snprintf(text, sizeof(text), "%s took %.3f ms\n", h->name,
			       ns / 1e6);
	}
	return reply_text(c, rq, &r, text, len);
}

void blocks_reset(void)
{
	for (size_t i = 0; i < countof(handlers); i++) {
		atomic_store(&handlers[i].count, 0);
		atomic_store(&handlers[i].ns, 0);
	}
}

/* "name": {"count": N, "mean_us": N}, ... */
void blocks_report(FILE *out)
{
	for (size_t i = 0; i < countof(handlers); i++) {
		unsigned long count = atomic_load(&handlers[i].count);
		unsigned long ns = atomic_load(&handlers[i].ns);

		fprintf(out, "%s\"%s\": {\"count\": %lu, \"mean_us\": %.1f}",
			i ? ", " : "", handlers[i].name, count,
			count ? ns / 1e3 / count : 0.0);
	}
}

static int open_in(const char *dir, const char *name, int flags)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644);
	return fd < 0 ? -errno : fd;
}

static int cold_fill(int fd)
{
	char page[PAGE];
	int err = 0;

	memset(page, 'u', sizeof(page));
	for (off_t at = 0; at < COLD_SIZE && !err; at += PAGE)
		err = pwrite(fd, page, PAGE, at) == PAGE ? 0 : -EIO;
	if (!err && fsync(fd))
		err = -errno;
	return err;
}

static int keeper_start(const char *dir)
{
	pthread_t thread;
	int fd = open_in(dir, "lock", 0);

	if (fd < 0)
		return fd;
	snprintf(blocks.lock_path, sizeof(blocks.lock_path), "%s/lock", dir);
	if (flock(fd, LOCK_EX | LOCK_NB))
		return -errno;
	sem_init(&blocks.lock_wanted, 0, 0);
	sem_init(&blocks.lock_taken, 0, 0);
	return -pthread_create(&thread, NULL, lock_keeper, (void *)(intptr_t)fd);
}

/*
 * Make the files in the slow directory, start the helper threads. Returns 0 or
 * a negative errno; -EWOULDBLOCK: another server uses that directory.
 */
int blocks_start(const char *dir)
{
	int port, err;

	err = keeper_start(dir);
	if (err)
		return err;
	blocks.log_fd = open_in(dir, "log", O_APPEND | O_TRUNC);
	if (blocks.log_fd < 0)
		return blocks.log_fd;
	port = nameserver_start(WAIT_NS);
	if (port < 0)
		return port;
	blocks.dns_port = port;
	/* Names in this process come from there only. */
	if (__nss_configure_lookup("hosts", "dns"))
		return -errno;
	blocks.cold_fd = open_in(dir, "cold", 0);
	return blocks.cold_fd < 0 ? blocks.cold_fd : cold_fill(blocks.cold_fd);
}
