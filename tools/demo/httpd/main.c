// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * httpd: a static-file HTTP/1.1 server with a fiber for each connection, and
 * files served by plain blocking calls. See usage().
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "blocks.h"
#include "httpd.h"
#include "report.h"

/* getaddrinfo() and its modules want more stack than a fiber has by default. */
#define STACK_SIZE ((size_t)256 << 10)

static const char usage_text[] =
	"usage: httpd [OPTION]...\n"
	"\n"
	"Serves the files of a directory over HTTP/1.1, each connection in a fiber of\n"
	"its own. Prints one line when it is ready, ends on SIGTERM or SIGINT.\n"
	"\n"
	"  --port N         port (default 8080; 0: any that is free)\n"
	"  --any            listen on all addresses (default: 127.0.0.1 only)\n"
	"  --root DIR       what to serve (default: the current directory)\n"
	"  --servers M      ufiber servers (default: one for each CPU)\n"
	"  --slow DIR       also serve /block/flock, fsync, fault, nanosleep and\n"
	"                   getaddrinfo: handlers that block in the kernel. Their files\n"
	"                   are made in DIR, on a slow disk if there is one\n"
	"  --report FILE    at the end write figures as JSON (\"-\": to stdout)\n"
	"  --idle SEC       close a connection without a request after (default 15)\n"
	"  --head SEC       time for a request's head to arrive (default 10)\n"
	"  --help           show this\n"
	"\n"
	"Figures count from the start or the last SIGUSR1 to SIGUSR2 or the end. A ticker\n"
	"fiber notes how late it runs on a grid of 1 ms.\n"
	"The environment variable UFIBER_BACKEND (module, none) chooses the backend.\n"
	"\n"
	"exit status: 0 ended by a signal, 1 failure, 2 usage\n";

static __attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt,
								...)
{
	va_list args;

	va_start(args, fmt);
	fputs("httpd: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static __attribute__((noreturn)) void bad_usage(const char *option,
						const char *value)
{
	fprintf(stderr, "httpd: --%s: '%s' is not valid; see --help\n", option,
		value);
	exit(2);
}

static unsigned long parse_number(const char *option, const char *value,
				  unsigned long max)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (errno || *end || end == value || *value == '-' || number > max)
		bad_usage(option, value);
	return number;
}

static uint64_t parse_seconds(const char *option, const char *value)
{
	char *end;
	double seconds = strtod(value, &end);

	if (*end || end == value || !(seconds > 0 && seconds < 1e6))
		bad_usage(option, value);
	return seconds * NSEC_PER_SEC;
}

static void parse_options(struct settings *set, int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "any", no_argument, NULL, 'a' },
		{ "root", required_argument, NULL, 'r' },
		{ "servers", required_argument, NULL, 'm' },
		{ "slow", required_argument, NULL, 's' },
		{ "report", required_argument, NULL, 'o' },
		{ "idle", required_argument, NULL, 'i' },
		{ "head", required_argument, NULL, 'H' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'p':
			set->port = parse_number("port", optarg, 65535);
			break;
		case 'a':
			set->any_address = true;
			break;
		case 'r':
			set->root = optarg;
			break;
		case 'm':
			set->servers = parse_number("servers", optarg, 256);
			break;
		case 's':
			set->slow = optarg;
			break;
		case 'o':
			set->report = optarg;
			break;
		case 'i':
			set->idle_ns = parse_seconds("idle", optarg);
			break;
		case 'H':
			set->head_ns = parse_seconds("head", optarg);
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		default:
			fputs("httpd: see --help\n", stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "httpd: '%s': no such argument; see --help\n",
			argv[optind]);
		exit(2);
	}
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* What can fail before the runtime is there. */
static void prepare(struct server *s)
{
	const struct settings *set = s->settings;
	int err;

	s->root_fd = open(set->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root_fd < 0)
		die("--root %s: %s", set->root, strerror(errno));
	err = server_open(s);
	if (err)
		die("cannot listen on port %u: %s%s", set->port, strerror(-err),
		    err == -EADDRINUSE ? "; choose another with --port" : "");
	if (!set->slow)
		return;
	err = blocks_start(set->slow);
	if (err == -EWOULDBLOCK)
		die("--slow %s: another httpd uses it", set->slow);
	if (err)
		die("--slow %s: %s", set->slow, strerror(-err));
}

static struct uf_runtime *start_runtime(const struct settings *set)
{
	struct uf_config config = UF_CONFIG_INIT;
	struct uf_runtime *rt;
	const char *why;
	int err;

	config.servers = set->servers;
	config.stack_size = STACK_SIZE;
	err = uf_runtime_create(&rt, &config);
	if (err) {
		why = uf_strerror();
		die("cannot start ufiber: %s", *why ? why : strerror(-err));
	}
	return rt;
}

static struct uf_fiber *start_fiber(struct uf_runtime *rt, const char *name,
				    void *(*run)(void *), void *arg)
{
	struct uf_attr attr = UF_ATTR_INIT;
	struct uf_fiber *fiber;
	int err;

	attr.name = name;
	err = uf_create(rt, &fiber, &attr, run, arg);
	if (err)
		die("cannot start the %s fiber: %s", name, strerror(-err));
	return fiber;
}

/* Wait for the signal to stop; SIGUSR1 starts the figures anew, SIGUSR2 ends. */
static void wait_for_end(struct server *s, const sigset_t *signals,
			 struct report *report)
{
	int number;

	for (;;) {
		if (sigwait(signals, &number))
			continue;
		if (number == SIGUSR1)
			report_start(s, report);
		else
			report_end(s, report);
		if (number != SIGUSR1 && number != SIGUSR2)
			return;
	}
}

/* Serve until a signal says stop; another one then kills. */
static void serve(struct server *s, const sigset_t *signals)
{
	static struct report report;
	struct uf_fiber *tick, *acceptor, *stopper;
	int err;

	report_start(s, &report);
	tick = start_fiber(s->rt, "ticker", ticker_run, &report.ticker);
	acceptor = start_fiber(s->rt, "acceptor", server_accept, s);
	printf("httpd: serving %s at http://127.0.0.1:%u/ (backend %s)\n",
	       s->settings->root, s->port, uf_runtime_backend(s->rt));
	fflush(stdout);

	wait_for_end(s, signals, &report);
	pthread_sigmask(SIG_UNBLOCK, signals, NULL);
	uf_join(tick, NULL);
	stopper = start_fiber(s->rt, "stopper", server_stop, s);
	uf_join(stopper, NULL);
	uf_join(acceptor, NULL);
	err = report_save(s, &report);
	if (err)
		die("--report %s: %s", s->settings->report, strerror(-err));
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.port = 8080,
		.root = ".",
		.idle_ns = 15 * NSEC_PER_SEC,
		.head_ns = 10 * NSEC_PER_SEC,
	};
	static struct server server = { .settings = NULL };
	sigset_t signals;
	int err;

	parse_options(&settings, argc, argv);
	server.settings = &settings;
	/* All threads inherit this: the main one alone takes signals. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);

	raise_file_limit();
	prepare(&server);
	server.rt = start_runtime(&settings);
	serve(&server, &signals);
	err = uf_runtime_destroy(server.rt);
	if (err)
		die("cannot stop ufiber: %s", strerror(-err));
	close(server.listen_fd);
	close(server.root_fd);
	return 0;
}
