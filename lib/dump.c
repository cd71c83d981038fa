// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The dump of a runtime's fibers.
 *
 * There is no list of fibers: making and freeing them would have to pay for it. They
 * are found where they live, at the tops of the arena's stacks; who has an identity
 * is one. So a dump reads memory that anybody may change or give back at any time.
 * Why it cannot crash:
 *
 *  - all stacks that the walk sees stay mapped until it ends (uf_arena_walk()), and
 *    what is read of them is the struct uf_fiber, each word once;
 *  - a pointer that is found there is written, compared with what is known, or used
 *    as a number in bounds; it is followed only while the fiber is held
 *    (uf_hold()), as then it, its stack and what it waits for are there;
 *  - the runtime is in the list of all, which is locked, and does not go.
 *
 * If a fiber's identity has changed meanwhile, nothing is written of it.
 */
#include "debug.h"

#include <execinfo.h>
#include <string.h>

#include "hold.h"
#include "io.h"
#include "line.h"
#include "frames.h"

/* Other fibers change all of it: sanitizers are not to mind. */
#define __racy __attribute__((no_sanitize("thread")))

/**
 * struct view - what has been seen of a fiber
 * @fiber: it.
 * @id: its identity, at first and at last.
 * @state: what it does.
 * @on_cpu: the number of its thread, or 0.
 * @server: its server, where it waits or is ready, or NULL.
 * @what: what it waits for; NULL if that is not known.
 * @on: which of them.
 * @owner: who has that mutex, or NULL.
 * @since: since when.
 * @until: until when.
 * @start: what it runs.
 * @frames: its frames, if it was held or is the caller.
 */
struct view {
	struct uf_fiber *fiber;
	uint64_t id;
	enum uf_state state;
	uint32_t on_cpu;
	const struct uf_server *server;
	const struct uf_what *what;
	const void *on;
	const void *owner;
	uint64_t since;
	uint64_t until;
	void *start;
	char name[UF_NAME_MAX];
	struct uf_frames frames;
};

struct dump {
	struct uf_runtime *rt;
	int fd;
	uint64_t now;
	struct uf_line line;
	struct view view;
};

/* ------------------------------------------------------------- the looking */

__racy bool uf_is_live(const struct uf_runtime *rt, const struct uf_fiber *fiber)
{
	return smp_load_acquire(&fiber->id) && READ_ONCE(fiber->rt) == rt;
}

static const struct uf_server *server_of_queue(const struct uf_runtime *rt,
					       const struct uf_runq *queue)
{
	unsigned int i;

	for (i = 0; i < rt->nr_servers; i++)
		if (queue == &rt->servers[i].runq)
			return &rt->servers[i];
	return NULL;
}

static const struct uf_server *server_of_pin(const struct uf_runtime *rt,
					     uint32_t server)
{
	return server < rt->nr_servers ? &rt->servers[server] : NULL;
}

/* What is waited for; the fiber is held. */
static void look_at_wait(struct view *v, const struct uf_wait *wait)
{
	const struct uf_mutex *mutex;

	v->what = wait->what;
	v->on = wait->on;
	v->since = wait->since;
	v->server = wait->server;
	v->until = READ_ONCE(wait->timer.link) ? wait->timer.when : UF_FOREVER;
	if (v->what->at)
		v->on = (const char *)v->on - v->what->at;
	if (!strcmp(v->what->name, "mutex")) {
		mutex = v->on;
		v->owner = (void *)(READ_ONCE(mutex->owner) & ~(uintptr_t)1);
	}
}

/* In the critical section, so that who wakes it need not wait for long. */
static void look_held(struct view *v)
{
	struct uf_thread *t = uf_enter();

	if (uf_hold(v->fiber)) {
		look_at_wait(v, &v->fiber->wait);
		uf_frames_of_context(&v->frames, v->fiber->ctx.sp);
		uf_unhold(v->fiber);
	}
	uf_leave(t);
}

static __racy void look(struct dump *dump, struct uf_fiber *fiber)
{
	struct uf_runtime *rt = dump->rt;
	struct view *v = &dump->view;
	unsigned int i;

	v->fiber = fiber;
	v->id = READ_ONCE(fiber->id);
	v->start = (void *)fiber->start;
	for (i = 0; i < UF_NAME_MAX - 1; i++) {
		unsigned char c = READ_ONCE(fiber->name[i]);

		v->name[i] = c >= ' ' ? c : '?';
		if (!c) {
			v->name[i] = c;
			break;
		}
	}
	v->name[i] = '\0';
	v->what = NULL;
	v->owner = NULL;
	v->frames.nr = 0;
	v->server = NULL;
	v->on_cpu = READ_ONCE(fiber->on_cpu);
	v->state = uf_state_of(fiber);
	if (v->state == UF_STATE_WAITING)
		look_held(v);
	else if (v->state == UF_STATE_READY)
		v->server = server_of_queue(rt, READ_ONCE(fiber->queue));
	if (!v->server)
		v->server = server_of_pin(rt, fiber->server);
	if (fiber == uf_self())
		uf_frames_of_caller(&v->frames);
}

/* ------------------------------------------------------------- the writing */

static const char *name_of_io(unsigned int opcode)
{
	switch (opcode) {
	case IORING_OP_READ:
		return "read";
	case IORING_OP_WRITE:
		return "write";
	case IORING_OP_RECV:
		return "recv";
	case IORING_OP_SEND:
		return "send";
	case IORING_OP_ACCEPT:
		return "accept";
	case IORING_OP_CONNECT:
		return "connect";
	case IORING_OP_OPENAT:
		return "openat";
	case IORING_OP_CLOSE:
		return "close";
	case IORING_OP_FSYNC:
		return "fsync";
	case IORING_OP_STATX:
		return "statx";
	default:
		return "opcode";
	}
}

static void add_io(struct uf_line *line, const void *note)
{
	int fd = uf_io_note_fd(note);

	uf_line_text(line, "io: ");
	uf_line_text(line, name_of_io(uf_io_note_opcode(note)));
	if (fd < 0)
		return;
	uf_line_text(line, " of fd ");
	uf_line_number(line, fd);
}

static void add_object(struct uf_line *line, const struct view *v)
{
	uf_line_text(line, v->what->name);
	if (v->on) {
		uf_line_text(line, " ");
		uf_line_address(line, v->on);
	}
	if (v->owner) {
		uf_line_text(line, " of ");
		uf_line_address(line, v->owner);
	}
}

static void add_wait(struct dump *dump)
{
	struct uf_line *line = &dump->line;
	struct view *v = &dump->view;

	uf_line_text(line, "waits");
	if (!v->what)
		return;
	uf_line_text(line, " for ");
	if (v->what == &uf_what_io)
		add_io(line, v->on);
	else
		add_object(line, v);
	if (v->since && v->since < dump->now) {
		uf_line_text(line, ", since ");
		uf_line_time(line, dump->now - v->since);
	}
	if (v->until != UF_FOREVER) {
		uf_line_text(line, ", for ");
		uf_line_time(line,
			     v->until > dump->now ? v->until - dump->now : 0);
		uf_line_text(line, " more at most");
	}
}

static void add_server(struct dump *dump, const struct uf_server *s)
{
	uf_line_text(&dump->line, ", server ");
	uf_line_number(&dump->line, s - dump->rt->servers);
}

static void add_thread(struct dump *dump, uint32_t number)
{
	const struct uf_runtime *rt = dump->rt;
	const struct uf_thread *t;
	uint32_t server;

	if (!number || number > rt->max_threads) {
		uf_line_text(&dump->line, "runs");
		return;
	}
	t = &rt->threads[number - 1];
	uf_line_text(&dump->line,
		     READ_ONCE(t->shared->state) == UFIBER_THREAD_BLOCKED ?
			     "is blocked in the kernel" :
			     "runs");
	uf_line_text(&dump->line, ", thread ");
	uf_line_number(&dump->line, READ_ONCE(t->tid));
	server = READ_ONCE(t->shared->server) & ~UF_TAKING;
	if (server < rt->nr_servers)
		add_server(dump, &rt->servers[server]);
}

static void add_state(struct dump *dump)
{
	const struct view *v = &dump->view;

	switch (v->state) {
	case UF_STATE_PARKED:
		uf_line_text(&dump->line, "is parked");
		break;
	case UF_STATE_READY:
		uf_line_text(&dump->line, "is ready");
		break;
	case UF_STATE_RUNNING:
		add_thread(dump, v->on_cpu);
		return;
	case UF_STATE_WAITING:
		add_wait(dump);
		break;
	case UF_STATE_ENDED:
		uf_line_text(&dump->line, "has ended, and is not joined");
		return;
	}
	if (v->server)
		add_server(dump, v->server);
}

static void dump_fiber(void *stack, size_t size, void *arg)
{
	struct uf_fiber *fiber =
		uf_check_find(uf_stack_fiber(stack, size), stack, size);
	struct dump *dump = arg;
	struct uf_line *line = &dump->line;
	struct view *v = &dump->view;

	if (!fiber || !uf_is_live(dump->rt, fiber))
		return;
	look(dump, fiber);
	if (!v->id || READ_ONCE(fiber->id) != v->id)
		return;
	uf_line_text(line, "fiber ");
	uf_line_number(line, v->id);
	uf_line_text(line, " \"");
	uf_line_text(line, v->name);
	uf_line_text(line, "\" (");
	uf_line_address(line, fiber);
	uf_line_text(line, ") ");
	add_state(dump);
	uf_line_write(line, dump->fd);
	if (v->frames.nr)
		backtrace_symbols_fd(v->frames.address, v->frames.nr, dump->fd);
	else if (v->state == UF_STATE_PARKED)
		backtrace_symbols_fd(&v->start, 1, dump->fd);
}

static void add_count(struct uf_line *line, const char *between, uint64_t n,
		      const char *what)
{
	uf_line_text(line, between);
	uf_line_number(line, n);
	uf_line_text(line, what);
	if (n != 1)
		uf_line_text(line, "s");
}

/* All of a runtime that is in the list, which is locked. */
void uf_dump_runtime(struct uf_runtime *rt, int fd)
{
	static struct dump dump; /* a fiber's stack may be small */
	struct uf_line *line = &dump.line;

	dump.rt = rt;
	dump.fd = fd;
	dump.now = uf_now();
	uf_line_text(line, "ufiber: runtime ");
	uf_line_address(line, rt);
	uf_line_text(line, ", backend ");
	uf_line_text(line, rt->backend->name);
	add_count(line, ", ", rt->nr_servers, " server");
	add_count(line, ", ", READ_ONCE(rt->nr_threads), " thread");
	add_count(line, ", ", uf_count_fibers(rt), " fiber");
	uf_line_write(line, fd);
	uf_arena_walk(&rt->stacks.arena, dump_fiber, &dump);
	uf_line_text(line, "ufiber: end of runtime ");
	uf_line_address(line, rt);
	uf_line_write(line, fd);
}
