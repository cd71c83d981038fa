// SPDX-License-Identifier: GPL-2.0
/*
 * The operations that programs are made of. Arguments are taken as they come, or
 * brought near what makes sense: a call whose arguments are all wrong teaches
 * little. What may wait for ever has a timeout, or ends with the process.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/futex.h>
#include <linux/ufiber.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DOMAINS 2
#define MS 1000000ULL

static int domains[DOMAINS];
static struct ufiber_setup setups[DOMAINS];
static char *volatile memories[DOMAINS];
static int pipes[2];
static char *cold;
static uint32_t word;
static pid_t tids[FUZZ_THREADS];
static struct io_uring ring;
static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;

static __thread unsigned int self;
static __thread uint32_t ids[DOMAINS];

static void on_signal(int sig)
{
	(void)sig;
	sched_yield();
}

static void set_up(uint32_t flags, uint32_t servers, uint32_t max, int d)
{
	setups[d] = (struct ufiber_setup){
		.size = sizeof(setups[d]),
		.flags = flags % 4,
		.nr_servers = 1 + servers % 3,
		.max_servers = 4,
		.max_threads = 4 + max % 8,
	};
	if (ioctl(domains[d], UFIBER_IOC_SETUP, &setups[d]))
		return;
	memories[d] = mmap(NULL, setups[d].mmap_size, PROT_READ | PROT_WRITE,
			   MAP_SHARED, domains[d], 0);
}

bool fuzz_begin_ops(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	int d;

	sigaction(SIGUSR1, &action, NULL);
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR2, &action, NULL);
	if (pipe2(pipes, O_CLOEXEC))
		return false;
	cold = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (cold == MAP_FAILED)
		return false;
	if (io_uring_queue_init(32, &ring, 0))
		ring.ring_fd = -1;
	for (d = 0; d < DOMAINS; d++) {
		domains[d] = open(UFIBER_DEVICE, O_RDWR | O_CLOEXEC);
		if (domains[d] < 0)
			return false;
		memories[d] = MAP_FAILED;
	}
	return true;
}

void fuzz_begin_thread(unsigned int index)
{
	self = index;
	tids[index] = gettid();
}

/* Mostly the first domain. */
static int domain_of(uint32_t arg)
{
	return arg % 16 == 15;
}

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void op_setup(const uint32_t *args)
{
	set_up(args[0], args[1], args[2], domain_of(args[2]));
}

/* As it comes. */
static void op_setup_raw(const uint32_t *args)
{
	struct ufiber_setup setup = {
		.size = sizeof(setup),
		.flags = args[0],
		.nr_servers = args[1],
		.max_servers = args[1],
		.max_threads = args[2],
	};

	ioctl(domains[domain_of(args[2])], UFIBER_IOC_SETUP, &setup);
}

static void op_register(const uint32_t *args)
{
	int d = domain_of(args[0]);
	struct ufiber_register reg = { .size = sizeof(reg), .cookie = args[1] };

	if (!ioctl(domains[d], UFIBER_IOC_REGISTER, &reg))
		ids[d] = reg.thread;
}

static void op_unregister(const uint32_t *args)
{
	ioctl(domains[domain_of(args[0])], UFIBER_IOC_UNREGISTER, args[1] / 8);
}

static void wait_until(int d, uint32_t flags, uint32_t next, uint32_t clock)
{
	struct ufiber_wait wait = {
		.size = sizeof(wait),
		.flags = flags,
		.next = flags & UFIBER_WAIT_HANDOVER ? next : 0,
	};

	if (flags & UFIBER_WAIT_TIMEOUT) {
		wait.clock = clock % 2 ? CLOCK_MONOTONIC : clock;
		wait.timeout = now(wait.clock) + next % 8 * MS;
	}
	ioctl(domains[d], UFIBER_IOC_WAIT, &wait);
}

static void op_wait(const uint32_t *args)
{
	wait_until(domain_of(args[2]), args[0] | UFIBER_WAIT_TIMEOUT, args[1],
		   args[2]);
}

static void op_standby(const uint32_t *args)
{
	wait_until(domain_of(args[0]),
		   UFIBER_WAIT_STANDBY | UFIBER_WAIT_TIMEOUT, args[1], 1);
}

static void op_handover(const uint32_t *args)
{
	wait_until(domain_of(args[0]),
		   UFIBER_WAIT_HANDOVER | UFIBER_WAIT_TIMEOUT, args[1] % 8, 1);
}

static void op_acquire(const uint32_t *args)
{
	wait_until(domain_of(args[0]),
		   (args[1] % 2 ? UFIBER_WAIT_ACQUIRE : UFIBER_WAIT_YIELD) |
			   UFIBER_WAIT_TIMEOUT,
		   args[2], 1);
}

/* For as long as the process lives, if nobody ends it. */
static void op_park(const uint32_t *args)
{
	wait_until(domain_of(args[0]), args[1] % 2 ? UFIBER_WAIT_STANDBY : 0, 0,
		   0);
}

static void op_wake(const uint32_t *args)
{
	struct ufiber_wake wake = {
		.size = sizeof(wake),
		.flags = args[0] % 4,
		.thread = args[1] % 16 == 15 ? args[1] : args[1] % 8,
	};

	ioctl(domains[domain_of(args[2])], UFIBER_IOC_WAKE, &wake);
}

static void target(unsigned int call, const uint32_t *args)
{
	struct ufiber_target target = {
		.size = sizeof(target),
		.thread = args[0] % 16 == 15 ? args[0] : args[0] % 8,
	};

	ioctl(domains[domain_of(args[1])], call, &target);
}

static void op_kick(const uint32_t *args)
{
	target(UFIBER_IOC_KICK, args);
}

static void op_interrupt(const uint32_t *args)
{
	struct ufiber_interrupt interrupt = {
		.size = sizeof(interrupt),
		.flags = args[2] % 2,
		.thread = args[0] % 16 == 15 ? args[0] : args[0] % 8,
		.block = args[2] % 2 ? args[2] / 2 % 16 : 0,
	};

	ioctl(domains[domain_of(args[1])], UFIBER_IOC_INTERRUPT, &interrupt);
}

static void op_quantum(const uint32_t *args)
{
	struct ufiber_quantum quantum = {
		.size = sizeof(quantum),
		.server = args[0] % 2 ? args[0] : UFIBER_NONE,
		.quantum = args[1] % 4 ? MS * (args[1] % 4) : args[1],
	};

	ioctl(domains[domain_of(args[2])], UFIBER_IOC_QUANTUM, &quantum);
}

static void op_resize(const uint32_t *args)
{
	struct ufiber_resize resize = {
		.size = sizeof(resize),
		.nr_servers = args[0] % 8 == 7 ? args[0] : 1 + args[0] % 4,
	};

	ioctl(domains[domain_of(args[1])], UFIBER_IOC_RESIZE, &resize);
}

static void op_eventfd(const uint32_t *args)
{
	struct ufiber_eventfd event = { .size = sizeof(event), .fd = -1 };

	if (args[0] % 2)
		event.fd = args[0] % 4 == 3 ? (int)args[1] :
					      eventfd(0, EFD_NONBLOCK);
	ioctl(domains[domain_of(args[2])], UFIBER_IOC_EVENTFD, &event);
	if (event.fd >= 0 && args[0] % 4 == 1)
		close(event.fd);
}

static void op_query(const uint32_t *args)
{
	struct ufiber_query query = {
		.size = sizeof(query),
		.thread = args[0],
		.server = args[1],
	};

	ioctl(domains[domain_of(args[2])], UFIBER_IOC_QUERY, &query);
}

static void op_stats(const uint32_t *args)
{
	struct ufiber_stats stats = {
		.size = sizeof(stats),
		.thread = args[0],
		.server = args[1],
	};

	ioctl(domains[domain_of(args[2])], UFIBER_IOC_STATS, &stats);
}

/* Any call, any bytes. */
static void op_raw(const uint32_t *args)
{
	uint32_t bytes[128] = { args[1] % 512, args[2], args[1], args[2] };

	ioctl(domains[0],
	      _IOC(_IOC_READ | _IOC_WRITE, 'U', 0xf0 + args[0] % 16, 0), bytes);
}

static void op_map(const uint32_t *args)
{
	int d = domain_of(args[2]);
	size_t size = args[0] % 4 ? setups[d].mmap_size : args[1];
	char *map = mmap(NULL, size, args[0] % 8, MAP_SHARED, domains[d],
			 args[1] / 1024 * 4096UL);

	if (map != MAP_FAILED && args[1] % 2)
		munmap(map, size);
}

static void op_scribble(const uint32_t *args)
{
	int d = domain_of(args[2]);

	if (memories[d] != MAP_FAILED)
		*(volatile uint32_t *)(memories[d] +
				       args[0] % (setups[d].mmap_size / 4) * 4) =
			args[1];
}

static volatile struct ufiber_shared_thread *my_words(int d)
{
	if (memories[d] == MAP_FAILED || ids[d] >= setups[d].max_threads)
		return NULL;
	return (void *)(memories[d] + setups[d].threads_offset +
			ids[d] * sizeof(struct ufiber_shared_thread));
}

static void op_critical(const uint32_t *args)
{
	volatile struct ufiber_shared_thread *words =
		my_words(domain_of(args[1]));

	if (words)
		words->critical = args[0] % 2;
}

static void op_priority(const uint32_t *args)
{
	volatile struct ufiber_shared_thread *words =
		my_words(domain_of(args[1]));

	if (words)
		words->priority = args[0];
}

/* The owner word of some server, from HELD by me to POLLING by me or back. */
static void op_polling(const uint32_t *args)
{
	int d = domain_of(args[2]);
	uint32_t held = UFIBER_OWNER(UFIBER_SERVER_HELD, ids[d]);
	uint32_t polling = UFIBER_OWNER(UFIBER_SERVER_POLLING, ids[d]);
	struct ufiber_shared_server *servers;
	uint32_t *owner;

	if (memories[d] == MAP_FAILED)
		return;
	servers = (void *)(memories[d] + setups[d].servers_offset);
	owner = &servers[args[1] % 4].owner;
	if (args[0] % 2)
		__atomic_compare_exchange_n(owner, &held, polling, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	else
		__atomic_compare_exchange_n(owner, &polling, held, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void op_poll(const uint32_t *args)
{
	struct pollfd fd = { .fd = domains[domain_of(args[0])],
			     .events = POLLIN };

	poll(&fd, 1, args[1] % 4);
}

static void op_sleep(const uint32_t *args)
{
	struct timespec ts = { .tv_nsec = args[0] % 4 * MS / 2 };

	nanosleep(&ts, NULL);
}

static void op_read(const uint32_t *args)
{
	char bytes[8];
	struct pollfd fd = { .fd = pipes[0], .events = POLLIN };

	/* Another one may be quicker, and this one then sleep to the end. */
	if (poll(&fd, 1, args[0] % 4) == 1 && read(pipes[0], bytes, 8) < 0)
		return;
}

static void op_write(const uint32_t *args)
{
	if (write(pipes[1], "12345678", 1 + args[0] % 8) < 0)
		return;
}

static void op_futex(const uint32_t *args)
{
	struct timespec ts = { .tv_nsec = args[0] % 4 * MS };

	if (args[1] % 2)
		syscall(SYS_futex, &word, FUTEX_WAKE, 8, NULL, NULL, 0);
	else
		syscall(SYS_futex, &word, FUTEX_WAIT, 0, &ts, NULL, 0);
}

static void op_touch(const uint32_t *args)
{
	volatile char *page = cold + args[0] % 256 * 4096;

	madvise((void *)page, 4096, args[1] % 2 ? MADV_DONTNEED : MADV_PAGEOUT);
	*page = 1;
}

static void op_spin(const uint32_t *args)
{
	uint64_t end = now(CLOCK_MONOTONIC) + args[0] % 4 * MS / 2;

	while (now(CLOCK_MONOTONIC) < end)
		;
}

static void op_yield(const uint32_t *args)
{
	(void)args;
	sched_yield();
}

static void op_signal(const uint32_t *args)
{
	static const int signals[] = { SIGUSR1, SIGUSR2 };
	pid_t tid = tids[args[0] % FUZZ_THREADS];

	if (!tid)
		return;
	syscall(SYS_tgkill, getpid(), tid, signals[args[1] % 2]);
	/* A stopped process would sit out its time. */
	if (args[1] % 16 == 3) {
		pid_t child = fork();

		if (!child) {
			kill(getppid(), SIGSTOP);
			kill(getppid(), SIGCONT);
			_exit(0);
		}
	}
}

static void op_fork(const uint32_t *args)
{
	pid_t child = args[0] % 2 ? vfork() : fork();
	struct ufiber_query query = {
		.size = sizeof(query),
		.thread = UFIBER_NONE,
		.server = UFIBER_NONE,
	};

	if (child)
		return;
	ioctl(domains[0], UFIBER_IOC_QUERY, &query);
	_exit(0);
}

/* The whole process becomes another, threads and all; now and then. */
static void op_exec(const uint32_t *args)
{
	if (args[0] % 16 == 15)
		execl("/bin/true", "true", NULL);
}

static void op_exit(const uint32_t *args)
{
	if (args[0] % 8 == 7)
		syscall(args[1] % 2 ? SYS_exit : SYS_exit_group, 0);
}

static void op_reopen(const uint32_t *args)
{
	int d = domain_of(args[0]);
	int fd = open(UFIBER_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	/* The old one is closed, unless it is mapped. */
	if (memories[d] != MAP_FAILED && args[1] % 2) {
		char *memory = memories[d];

		memories[d] = MAP_FAILED;
		munmap(memory, setups[d].mmap_size);
	}
	dup3(fd, domains[d], O_CLOEXEC);
	close(fd);
}

static void op_affinity(const uint32_t *args)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(args[0] % 2, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Wait for events and for time by one ring; or cancel that; or close it all. */
static void op_uring(const uint32_t *args)
{
	struct io_uring_sqe *sqe;
	struct __kernel_timespec ts = { .tv_nsec = MS };
	struct io_uring_cqe *cqe;

	if (ring.ring_fd < 0)
		return;
	pthread_mutex_lock(&ring_lock);
	sqe = io_uring_get_sqe(&ring);
	if (!sqe)
		goto out;
	switch (args[0] % 4) {
	case 0:
		io_uring_prep_cancel64(sqe, 7, IORING_ASYNC_CANCEL_ALL);
		break;
	case 1:
		io_uring_prep_poll_add(sqe, domains[domain_of(args[1])], POLLIN);
		break;
	default:
		io_uring_prep_rw(IORING_OP_URING_CMD, sqe,
				 domains[domain_of(args[1])], NULL, 0, 0);
		sqe->cmd_op = args[1] % 8 == 7 ? args[1] : UFIBER_URING_WAIT;
		memset(sqe->cmd, 0, 16);
		memcpy(sqe->cmd, &args[2], 4);
		if (args[2] % 8 == 7)
			sqe->flags |= IOSQE_ASYNC;
	}
	sqe->user_data = 7;
	io_uring_submit(&ring);
	if (!io_uring_wait_cqe_timeout(&ring, &cqe, &ts))
		io_uring_cqe_seen(&ring, cqe);
out:
	pthread_mutex_unlock(&ring_lock);
}

#define OP(name)                 \
	{                        \
#name, op_##name \
	}
const struct fuzz_kind fuzz_ops[] = {
	OP(setup),    OP(setup_raw), OP(register), OP(unregister), OP(wait),
	OP(standby),  OP(handover),  OP(acquire),  OP(park),	   OP(wake),
	OP(kick),     OP(interrupt), OP(quantum),  OP(resize),	   OP(eventfd),
	OP(query),    OP(stats),     OP(raw),	   OP(map),	   OP(scribble),
	OP(critical), OP(priority),  OP(polling),  OP(poll),	   OP(sleep),
	OP(read),     OP(write),     OP(futex),	   OP(touch),	   OP(spin),
	OP(yield),    OP(signal),    OP(fork),	   OP(exec),	   OP(exit),
	OP(reopen),   OP(affinity),  OP(uring),	   OP(register),   OP(standby),
};
#undef OP
const unsigned int fuzz_nr_ops = sizeof(fuzz_ops) / sizeof(fuzz_ops[0]);
