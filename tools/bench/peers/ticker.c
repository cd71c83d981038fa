// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * How late a 1 ms ticker is while its neighbours block in ways that their runtime
 * was not told of: 8 fibers that call nanosleep(), flock() or read() of a pipe as
 * bare system calls, or fault on pages that userfaultfd holds back, each for
 * about 10 ms, and then yield once.
 *
 * The systems: ufiber as it finds the machine (so UFIBER_BACKEND and
 * UFIBER_MONITOR count), ufiber with backend "none", a thread for each fiber, and
 * Go. "ticker SYSTEM WORK" measures one once and prints "WORK VALUE us", the 99th
 * percentile of the ticks. The measured is a process of its own; who writes to
 * the pipe and who answers the faults is this one, for all alike. Ticks that have
 * been missed are dropped, as Go's own ticker does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ufiber.h>
#include <unistd.h>

#include "peer.h"

#define TICKS 1000
#define TICK_NS 1000000ULL
/* A round that is so slow ends before it has had all its ticks. */
#define ROUND_NS (2 * TICKS * TICK_NS)
#define BLOCKERS 8
#define BLOCK_NS 10000000ULL

/* Where a round finds its pipe's read end, or the socket for its userfaultfd. */
#define WORLD_FD 3

/* Pages that a blocker faults on before it gives them back. */
#define FAULT_PAGES 64

enum work {
	SLEEP,
	FLOCK,
	PIPE,
	UFFD,
	NR_WORKS
};

static const char *const works[NR_WORKS] = { "sleep", "flock", "pipe", "uffd" };
static const char *const figures[NR_WORKS] = {
	"tick-p99-sleep",
	"tick-p99-flock",
	"tick-p99-pipe",
	"tick-p99-uffd",
};

static const char *const systems[] = { "ufiber", "none", "threads", "go" };

#define NR_SYSTEMS (sizeof(systems) / sizeof(*systems))

static void die(const char *what)
{
	fprintf(stderr, "bench: ticker: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void raw_sleep(uint64_t ns)
{
	struct timespec ts = { 0, ns };

	nanosleep(&ts, NULL);
}

/* ------------------------------------------------- a round: the blockers */

static volatile bool done;
static const char *lock_path;
static char *pages;
static size_t page_size;

static void *map_pages(void)
{
	void *map = mmap(NULL, BLOCKERS * FAULT_PAGES * page_size,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	if (map == MAP_FAILED)
		die("mmap");
	return map;
}

static void send_fd(int socket, int fd)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { "", 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(socket, &msg, 0) != 1)
		die("sendmsg");
}

static void prepare_faults(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg;
	int fd;

	fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		die("userfaultfd");
	page_size = sysconf(_SC_PAGESIZE);
	pages = map_pages();
	reg = (struct uffdio_register){
		.range = { (uintptr_t)pages, BLOCKERS * FAULT_PAGES * page_size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	if (ioctl(fd, UFFDIO_REGISTER, &reg))
		die("UFFDIO_REGISTER");
	send_fd(WORLD_FD, fd);
}

static void block_on_lock(int fd)
{
	if (flock(fd, LOCK_EX))
		die("flock");
	raw_sleep(BLOCK_NS / BLOCKERS);
	flock(fd, LOCK_UN);
}

static void block_on_page(char *own, unsigned int turn)
{
	if (turn % FAULT_PAGES == 0 &&
	    madvise(own, FAULT_PAGES * page_size, MADV_DONTNEED))
		die("madvise");
	*(volatile char *)&own[turn % FAULT_PAGES * page_size] = 1;
}

/* Shared by all systems in C: @yield is what is said of itself after a block. */
static void block(enum work work, unsigned int id, void (*yield)(void))
{
	int fd = work == FLOCK ? open(lock_path, O_RDWR | O_CLOEXEC) : -1;
	unsigned int turn;
	char c;

	for (turn = 0; !done; turn++) {
		switch (work) {
		case SLEEP:
			raw_sleep(BLOCK_NS);
			break;
		case FLOCK:
			block_on_lock(fd);
			break;
		case PIPE:
			if (read(WORLD_FD, &c, 1) < 0)
				die("read");
			break;
		default:
			block_on_page(pages + id * FAULT_PAGES * page_size,
				      turn);
		}
		yield();
	}
}

/* --------------------------------------------------- a round: the ticker */

static uint64_t late[TICKS];

static void thread_sleep_until(uint64_t when)
{
	struct timespec ts = { when / 1000000000, when % 1000000000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static void fiber_sleep_until(uint64_t when)
{
	uf_sleep_until(when);
}

/* The ticks done, the process ends: nobody has to be got out of his block. */
static void tick(void (*sleep_until)(uint64_t when))
{
	uint64_t t = peer_now(), end = t + ROUND_NS, next = t;
	unsigned int n = 0;

	while (n < TICKS && t < end) {
		next += TICK_NS;
		if (next < t)
			next = t + TICK_NS;
		sleep_until(next);
		t = peer_now();
		late[n++] = t - next;
	}
	peer_median(late, n);
	printf("%llu\n", (unsigned long long)late[n * 99 / 100]);
	fflush(stdout);
	_exit(0);
}

struct blocker {
	enum work work;
	unsigned int id;
};

static void thread_yield(void)
{
	sched_yield();
}

static void *block_as_thread(void *arg)
{
	struct blocker *b = arg;

	block(b->work, b->id, thread_yield);
	return NULL;
}

static void *block_as_fiber(void *arg)
{
	struct blocker *b = arg;

	block(b->work, b->id, uf_yield);
	return NULL;
}

static void run_threads(struct blocker *blockers)
{
	pthread_t thread;
	unsigned int i;

	for (i = 0; i < BLOCKERS; i++)
		if (pthread_create(&thread, NULL, block_as_thread, &blockers[i]))
			die("pthread_create");
	tick(thread_sleep_until);
}

static void *run_fibers(void *arg)
{
	struct blocker *blockers = arg;
	struct uf_attr attr = UF_ATTR_INIT;
	unsigned int i;

	attr.flags = UF_DETACHED;
	for (i = 0; i < BLOCKERS; i++)
		if (uf_create(NULL, NULL, &attr, block_as_fiber, &blockers[i]))
			die("uf_create");
	tick(fiber_sleep_until);
	return NULL;
}

/* What this program is when called as: ticker --round SYSTEM WORK LOCK. */
static int run_round(const char *system, const char *work, const char *path)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct blocker blockers[BLOCKERS];
	unsigned int i;
	enum work w = 0;

	while (w < UFFD && strcmp(works[w], work))
		w++;
	lock_path = path;
	if (w == UFFD)
		prepare_faults();
	for (i = 0; i < BLOCKERS; i++)
		blockers[i] = (struct blocker){ w, i };
	if (!strcmp(system, "threads"))
		run_threads(blockers);
	if (!strcmp(system, "none"))
		config.backend = "none";
	if (uf_run(&config, run_fibers, blockers, NULL))
		fprintf(stderr, "bench: ticker: %s\n", uf_strerror());
	return 1;
}

/* -------------------------------------------------------------- the world */

/* A round's outside: its end of the pipe, or of the socket, and our thread. */
struct world {
	enum work work;
	int fds[2];
	pthread_t thread;
	volatile bool end;
};

static void *feed_pipe(void *arg)
{
	struct world *world = arg;

	while (!world->end) {
		raw_sleep(BLOCK_NS / BLOCKERS);
		if (write(world->fds[1], "", 1) < 0)
			break;
	}
	return NULL;
}

static int receive_fd(int socket)
{
	char room[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room),
	};
	int fd;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

struct fault {
	uint64_t address;
	uint64_t due;
};

static void answer(int fd, struct fault *fault)
{
	struct uffdio_zeropage zero = {
		.range = { fault->address, sysconf(_SC_PAGESIZE) },
	};

	zero.range.start &= -zero.range.len;
	ioctl(fd, UFFDIO_ZEROPAGE, &zero);
}

/* Until a fault is due (unless @due is 0), or comes, or the round has ended. */
static bool sleep_until_due(const struct world *world, int fd, uint64_t due)
{
	struct pollfd p[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = world->fds[1] },
	};
	uint64_t t = peer_now();
	struct timespec ts = { 0, due > t ? due - t : 0 };

	ppoll(p, 2, due ? &ts : NULL, NULL);
	return !p[1].revents;
}

/* Faults come and are due in the same order. */
static void *answer_faults(void *arg)
{
	struct fault queue[BLOCKERS] = { 0 };
	struct world *world = arg;
	unsigned int head = 0, tail = 0;
	struct uffd_msg msg;
	int fd = receive_fd(world->fds[1]);

	if (fd < 0)
		return NULL;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (sleep_until_due(world, fd,
			       head == tail ? 0 : queue[head % BLOCKERS].due)) {
		if (read(fd, &msg, sizeof(msg)) == sizeof(msg) &&
		    msg.event == UFFD_EVENT_PAGEFAULT)
			queue[tail++ % BLOCKERS] =
				(struct fault){ msg.arg.pagefault.address,
						peer_now() + BLOCK_NS };
		while (head != tail && queue[head % BLOCKERS].due <= peer_now())
			answer(fd, &queue[head++ % BLOCKERS]);
	}
	close(fd);
	return NULL;
}

static void begin_world(struct world *world, enum work work)
{
	*world = (struct world){ .work = work, .fds = { -1, -1 } };
	if (work == PIPE) {
		if (pipe2(world->fds, O_CLOEXEC) ||
		    pthread_create(&world->thread, NULL, feed_pipe, world))
			die("pipe");
	} else if (work == UFFD) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			       world->fds) ||
		    pthread_create(&world->thread, NULL, answer_faults, world))
			die("socketpair");
	}
}

static void end_world(struct world *world)
{
	world->end = true;
	if (world->fds[0] < 0)
		return;
	close(world->fds[0]);
	pthread_join(world->thread, NULL);
	close(world->fds[1]);
}

/* ---------------------------------------------------------------- measure */

static char self_path[4096], go_path[4096 + 8],
	temp_path[] = "/tmp/ticker.XXXXXX";

static void exec_round(const char *system, enum work work, int world, int out)
{
	bool go = !strcmp(system, "go");

	/* dup2() of a descriptor to itself would leave it to be closed. */
	if (world == WORLD_FD)
		fcntl(world, F_SETFD, 0);
	else if (world >= 0)
		dup2(world, WORLD_FD);
	dup2(out, 1);
	if (go)
		execl(go_path, go_path, works[work], temp_path, NULL);
	else
		execl(self_path, self_path, "--round", system, works[work],
		      temp_path, NULL);
	die(go ? go_path : self_path);
}

/* Returns the 99th percentile of a round's ticks, in nanoseconds. */
static uint64_t measure(const char *system, enum work work)
{
	char text[32] = "";
	struct world world;
	int out[2], status;
	pid_t child;

	begin_world(&world, work);
	if (pipe2(out, O_CLOEXEC))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child)
		exec_round(system, work, world.fds[0], out[1]);
	close(out[1]);
	if (read(out[0], text, sizeof(text) - 1) <= 0)
		text[0] = '\0';
	close(out[0]);
	if (waitpid(child, &status, 0) < 0 || status || !text[0]) {
		fprintf(stderr, "bench: ticker: %s of %s failed\n", works[work],
			system);
		exit(1);
	}
	end_world(&world);
	return strtoull(text, NULL, 10);
}

static void find_programs(void)
{
	ssize_t n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);

	if (n < 0)
		die("/proc/self/exe");
	self_path[n] = '\0';
	snprintf(go_path, sizeof(go_path), "%s-go", self_path);
}

static void usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: ticker ufiber|none|threads|go "
		"tick-p99-sleep|tick-p99-flock|tick-p99-pipe|tick-p99-uffd\n"
		"How late ticks are while fibers block unseen, once; "
		"tools/bench/run compares.\n");
	exit(status);
}

static size_t find(const char *const *names, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(names[i], name))
			return i;
	fprintf(stderr, "bench: ticker: there is no '%s'\n", name);
	usage(2);
	return n;
}

int main(int argc, char **argv)
{
	const char *system;
	enum work work;
	uint64_t late_ns;
	int fd;

	if (argc == 5 && !strcmp(argv[1], "--round"))
		return run_round(argv[2], argv[3], argv[4]);
	if (argc == 2 && !strcmp(argv[1], "--help"))
		usage(0);
	if (argc != 3)
		usage(2);
	system = systems[find(systems, NR_SYSTEMS, argv[1])];
	work = find(figures, NR_WORKS, argv[2]);
	signal(SIGPIPE, SIG_IGN);
	find_programs();
	fd = mkstemp(temp_path);
	if (fd < 0)
		die(temp_path);
	close(fd);
	late_ns = measure(system, work);
	unlink(temp_path);
	peer_print(figures[work], (double)late_ns / 1000, "us");
	return 0;
}
