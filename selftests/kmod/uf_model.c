// SPDX-License-Identifier: GPL-2.0
/* See uf_model.h. */
#include <errno.h>
#include <string.h>

#include "uf_model.h"

void uf_model_init(struct uf_model *m, __u32 flags, unsigned int servers,
		   unsigned int max_servers, unsigned int threads)
{
	unsigned int i;

	memset(m, 0, sizeof(*m));
	m->flags = flags;
	m->nr_servers = servers;
	m->max_servers = max_servers;
	m->nr_threads = threads;
	for (i = 0; i < max_servers; i++)
		m->s[i].holder = m->s[i].home = -1;
	for (i = 0; i < threads; i++)
		m->t[i].where = UF_BARE;
}

static bool is_in(const struct uf_model *m, int t)
{
	return m->t[t].where > UF_BARE;
}

int uf_model_by_id(const struct uf_model *m, __u32 id)
{
	unsigned int i;

	for (i = 0; i < m->nr_threads; i++)
		if (is_in(m, i) && m->t[i].id == id)
			return i;
	return -1;
}

unsigned int uf_model_runnable(const struct uf_model *m)
{
	unsigned int i, n = 0;

	for (i = 0; i < m->nr_threads; i++)
		n += is_in(m, i) && m->t[i].state == UFIBER_THREAD_RUNNABLE && m->t[i].turn;
	return n;
}

static bool users(const struct uf_model *m)
{
	return m->flags & UFIBER_SETUP_USER_SCHED;
}

static bool retires(const struct uf_model *m, int s)
{
	return s >= (int)m->nr_servers;
}

static void tell(struct uf_model *m, int t, __u32 reason, __u32 server)
{
	if (m->nr_events == UF_MODEL_EVENTS)
		return;
	m->event[m->nr_events++] = (struct ufiber_event){
		.cookie = m->t[t].cookie,
		.thread = m->t[t].id,
		.reason = reason,
		.server = server,
	};
}

/* --------------------------------------------------------- who gets what */

/* The thread waits for nothing any more. */
static void unqueue(struct uf_model *m, int t)
{
	struct uf_model_thread *me = &m->t[t];

	if (me->queue == UFIBER_QUERY_STANDBY && me->last >= 0 && m->s[me->last].home == t)
		m->s[me->last].home = -1;
	me->queue = 0;
	me->turn = 0;
}

/* A thread that waited goes on in user mode. */
static void goes_on(struct uf_model_thread *me)
{
	if (me->where == UF_WAITING) {
		me->ret = me->expired ? -ETIMEDOUT : me->server;
		me->unexpired = me->server;
		me->expired = false;
	}
	if (me->where == UF_WAITING || me->where == UF_AT_RETURN) {
		me->where = UF_READY;
		me->busy = false;
	}
}

static void gets(struct uf_model *m, int t, int s)
{
	struct uf_model_thread *me = &m->t[t];

	unqueue(m, t);
	me->server = s;
	me->state = UFIBER_THREAD_RUNNING;
	m->s[s].holder = t;
	m->s[s].polling = false;
	m->s[s].grants++;
	goes_on(me);
}

/* Returns the server, or -1. */
static int loses(struct uf_model *m, int t, __u32 state)
{
	struct uf_model_thread *me = &m->t[t];
	int s = me->server;

	me->state = state;
	if (s < 0)
		return s;
	me->kicked = false;
	me->told = 0;
	me->server = -1;
	me->last = s;
	m->s[s].holder = -1;
	m->s[s].polling = false;
	return s;
}

static int first_runnable(const struct uf_model *m)
{
	const struct uf_model_thread *a, *b;
	int first = -1, i;

	for (i = 0; i < (int)m->nr_threads; i++) {
		a = &m->t[i];
		if (!is_in(m, i) || a->state != UFIBER_THREAD_RUNNABLE || !a->turn)
			continue;
		b = first < 0 ? NULL : &m->t[first];
		if (!b || a->rank > b->rank || (a->rank == b->rank && a->turn < b->turn))
			first = i;
	}
	return first;
}

static int latest_in(const struct uf_model *m, int queue)
{
	int latest = -1, i;

	for (i = 0; i < (int)m->nr_threads; i++)
		if (is_in(m, i) && m->t[i].queue == queue &&
		    (latest < 0 || m->t[i].turn > m->t[latest].turn))
			latest = i;
	return latest;
}

/* Who is to have the server, if it loses its holder; -1: nobody. */
static int next_holder(const struct uf_model *m, int s)
{
	int next = users(m) ? -1 : first_runnable(m);

	if (next < 0)
		next = m->s[s].home;
	if (next < 0)
		next = latest_in(m, UFIBER_QUERY_STANDBY);
	if (next < 0 && uf_model_runnable(m))
		next = latest_in(m, UFIBER_QUERY_WORK);
	return next;
}

/* It has lost its holder. True if another has it now. */
static bool pass_on(struct uf_model *m, int s)
{
	int next = retires(m, s) ? -1 : next_holder(m, s);

	if (next >= 0)
		gets(m, next, s);
	return next >= 0;
}

static bool is_vacant(const struct uf_model *m, int s)
{
	return s >= 0 && !retires(m, s) && m->s[s].holder < 0;
}

static int vacant_for(const struct uf_model *m, int t)
{
	int s;

	if (is_vacant(m, m->t[t].last))
		return m->t[t].last;
	for (s = 0; s < (int)m->nr_servers; s++)
		if (is_vacant(m, s))
			return s;
	return -1;
}

static bool robs(struct uf_model *m, int t, int s)
{
	if (s < 0 || retires(m, s) || m->s[s].holder < 0 || !m->s[s].polling)
		return false;
	loses(m, m->s[s].holder, UFIBER_THREAD_IDLE);
	gets(m, t, s);
	return true;
}

static bool finds_server(struct uf_model *m, int t)
{
	int last = m->t[t].last, s;

	if (robs(m, t, last))
		return true;
	s = vacant_for(m, t);
	if (s >= 0) {
		gets(m, t, s);
		return true;
	}
	for (s = 0; s < (int)m->nr_servers; s++)
		if (robs(m, t, s))
			return true;
	return false;
}

/* A thread without a server wants one, for that reason. True if it has one now. */
static bool wants_server(struct uf_model *m, int t, __u32 reason)
{
	struct uf_model_thread *me = &m->t[t];
	int worker, s;

	if (!users(m) && finds_server(m, t)) {
		if (m->flags & UFIBER_SETUP_WATCH)
			tell(m, t, reason, me->server);
		return true;
	}
	me->state = UFIBER_THREAD_RUNNABLE;
	me->turn = ++m->turn;
	me->rank = me->priority < UFIBER_PRIORITIES ? me->priority : UFIBER_PRIORITIES - 1;
	tell(m, t, reason, UFIBER_NONE);
	worker = latest_in(m, UFIBER_QUERY_WORK);
	s = worker < 0 ? -1 : vacant_for(m, worker);
	if (s >= 0)
		gets(m, worker, s);
	return false;
}

/* It lets the one who waits have its server, if there is one, and stands behind. */
static void makes_way(struct uf_model *m, int t, __u32 reason)
{
	struct uf_model_thread *me = &m->t[t];
	int s = me->server;

	if (s < 0)
		return;
	if (!retires(m, s) && next_holder(m, s) < 0 && latest_in(m, UFIBER_QUERY_WORK) < 0) {
		me->kicked = false;
		me->told = 0;
		return;
	}
	loses(m, t, UFIBER_THREAD_RUNNABLE);
	if (reason == UFIBER_REASON_PREEMPTED) {
		me->preempts++;
		m->s[s].preempts++;
	}
	pass_on(m, s);
	wants_server(m, t, reason);
}

/* ---------------------------------------------------- what a thread does */

void uf_model_register(struct uf_model *m, int t)
{
	struct uf_model_thread *me = &m->t[t];
	__u64 cookie = me->cookie;
	__u32 id = 0;

	while (uf_model_by_id(m, id) >= 0)
		id++;
	*me = (struct uf_model_thread){
		.where = UF_READY, .id = id, .state = UFIBER_THREAD_IDLE,
		.server = -1, .last = -1, .cookie = cookie,
	};
}

static void leaves(struct uf_model *m, int t, enum uf_where where)
{
	int s = loses(m, t, UFIBER_THREAD_FREE);

	m->t[t].where = where;
	if (s >= 0)
		pass_on(m, s);
}

void uf_model_unregister(struct uf_model *m, int t)
{
	leaves(m, t, UF_BARE);
	m->t[t].ret = 0;
}

void uf_model_exit(struct uf_model *m, int t)
{
	leaves(m, t, UF_GONE);
}

static bool can_be_given(const struct uf_model_thread *me)
{
	return me->state == UFIBER_THREAD_RUNNABLE ||
	       (me->state == UFIBER_THREAD_IDLE && me->where == UF_WAITING);
}

static void wake(struct uf_model *m, int t)
{
	if (m->t[t].state != UFIBER_THREAD_IDLE || m->t[t].where != UF_WAITING) {
		m->t[t].woken = true;
		return;
	}
	unqueue(m, t);
	wants_server(m, t, UFIBER_REASON_WOKEN);
}

static bool keeps_server(const struct uf_model *m, int t, __u32 flags)
{
	int s = m->t[t].server;

	if (!(flags & UFIBER_WAIT_STANDBY) || s < 0 || retires(m, s))
		return false;
	if (flags & UFIBER_WAIT_WORK)
		return uf_model_runnable(m);
	return users(m) || first_runnable(m) < 0;
}

/* It gives its server up, to @next if that is not -1. */
static void gives_up(struct uf_model *m, int t, int next)
{
	int s = loses(m, t, UFIBER_THREAD_IDLE);

	if (s < 0)
		return;
	if (next < 0)
		pass_on(m, s);
	else if (!retires(m, s))
		gets(m, next, s);
	else if (m->t[next].state == UFIBER_THREAD_IDLE)
		wake(m, next);
}

static void stands_by(struct uf_model *m, int t, __u32 flags)
{
	struct uf_model_thread *me = &m->t[t];
	int s = -1;

	if (!(flags & UFIBER_WAIT_WORK) || uf_model_runnable(m))
		s = vacant_for(m, t);
	if (s >= 0) {
		gets(m, t, s);
		return;
	}
	me->queue = flags & UFIBER_WAIT_WORK ? UFIBER_QUERY_WORK : UFIBER_QUERY_STANDBY;
	me->turn = ++m->turn;
	if (me->queue == UFIBER_QUERY_STANDBY && me->last >= 0)
		m->s[me->last].home = t;
}

static void returns(struct uf_model_thread *me, long ret)
{
	me->where = UF_READY;
	me->busy = false;
	me->ret = me->unexpired = ret;
}

/* The wait begins; what the caller has then tells whether it is over. */
static void begins_wait(struct uf_model *m, int t, __u32 flags, int next)
{
	struct uf_model_thread *me = &m->t[t];

	if (flags & (UFIBER_WAIT_ACQUIRE | UFIBER_WAIT_YIELD)) {
		if (me->server < 0)
			wants_server(m, t, UFIBER_REASON_WOKEN);
		else if (flags & UFIBER_WAIT_YIELD)
			makes_way(m, t, UFIBER_REASON_YIELDED);
	} else if (me->woken) {
		me->woken = false;
		if (me->server < 0)
			wants_server(m, t, UFIBER_REASON_WOKEN);
	} else if (next >= 0 || !keeps_server(m, t, flags)) {
		gives_up(m, t, next);
		if (flags & UFIBER_WAIT_STANDBY)
			stands_by(m, t, flags);
	}
}

/* Its time was up before it began. */
static void times_out(struct uf_model *m, int t, __u32 flags)
{
	struct uf_model_thread *me = &m->t[t];

	if (flags & (UFIBER_WAIT_STANDBY | UFIBER_WAIT_ACQUIRE | UFIBER_WAIT_YIELD)) {
		unqueue(m, t);
		me->state = UFIBER_THREAD_IDLE;
		returns(me, -ETIMEDOUT);
		return;
	}
	me->expired = true;
	if (me->state != UFIBER_THREAD_RUNNABLE)
		wants_server(m, t, UFIBER_REASON_WOKEN);
}

void uf_model_wait(struct uf_model *m, int t, __u32 flags, __u32 id, bool late)
{
	struct uf_model_thread *me = &m->t[t];
	int next = -1;

	me->busy = true;
	if (flags & UFIBER_WAIT_HANDOVER) {
		next = uf_model_by_id(m, id);
		if (next < 0)
			return returns(me, -ESRCH);
		if (next == t)
			return returns(me, -EINVAL);
		if (!can_be_given(&m->t[next]) || me->server < 0)
			return returns(me, -EAGAIN);
	}
	if (me->cancelled) {
		me->cancelled = false;
		gives_up(m, t, -1);
		return returns(me, -ECANCELED);
	}
	begins_wait(m, t, flags, next);
	if (me->server >= 0)
		return returns(me, me->server);
	me->where = UF_WAITING;
	if (late)
		times_out(m, t, flags);
}

void uf_model_read(struct uf_model *m, int t)
{
	struct uf_model_thread *me = &m->t[t];
	int s = me->server;

	me->where = UF_READING;
	me->busy = true;
	if (s < 0)
		return;
	if (m->s[s].polling) {
		if (retires(m, s))
			loses(m, t, UFIBER_THREAD_IDLE);
		return;
	}
	if (me->critical)
		return;
	loses(m, t, UFIBER_THREAD_BLOCKED);
	me->blocks++;
	m->s[s].blocks++;
	if (m->flags & UFIBER_SETUP_WATCH)
		tell(m, t, UFIBER_REASON_BLOCKED, s);
	m->s[s].handoffs += pass_on(m, s);
}

/* ------------------------------------------------------ what is done to it */

/* The thread, which has a server, comes to user mode, and may be kicked. */
static void comes_back(struct uf_model *m, int t)
{
	struct uf_model_thread *me = &m->t[t];

	if (!me->kicked)
		return;
	if (me->critical)
		me->told = 1;
	else
		makes_way(m, t, UFIBER_REASON_PREEMPTED);
}

/* read() ends with @ret. */
static void read_ends(struct uf_model *m, int t, long ret)
{
	struct uf_model_thread *me = &m->t[t];

	me->ret = ret;
	me->where = UF_AT_RETURN;
	if (me->state == UFIBER_THREAD_BLOCKED) {
		if (wants_server(m, t, UFIBER_REASON_UNBLOCKED))
			m->s[me->server].takeovers++;
		else
			me->holds++;
	} else {
		comes_back(m, t);
	}
	if (me->state != UFIBER_THREAD_RUNNABLE)
		goes_on(me);
}

void uf_model_put(struct uf_model *m, int t)
{
	read_ends(m, t, 1);
}

long uf_model_wake(struct uf_model *m, __u32 id, __u32 flags)
{
	int t = uf_model_by_id(m, id);

	if (t < 0)
		return -ESRCH;
	if (!(flags & UFIBER_WAKE_CANCEL)) {
		wake(m, t);
	} else if (m->t[t].where == UF_WAITING) {
		unqueue(m, t);
		m->t[t].state = UFIBER_THREAD_IDLE;
		m->t[t].expired = false;
		returns(&m->t[t], -ECANCELED);
	} else {
		m->t[t].cancelled = true;
	}
	return 0;
}

static void kick(struct uf_model *m, int t)
{
	struct uf_model_thread *me = &m->t[t];

	me->kicked = true;
	if (me->where != UF_READY)
		return;
	me->where = UF_AT_RETURN;
	comes_back(m, t);
	if (me->state != UFIBER_THREAD_RUNNABLE)
		goes_on(me);
}

long uf_model_kick(struct uf_model *m, __u32 id)
{
	int t = uf_model_by_id(m, id);

	if (t < 0)
		return -ESRCH;
	if (m->t[t].state != UFIBER_THREAD_RUNNING)
		return -EAGAIN;
	kick(m, t);
	return 0;
}

long uf_model_interrupt(struct uf_model *m, __u32 id)
{
	int t = uf_model_by_id(m, id);

	if (t < 0)
		return -ESRCH;
	if (m->t[t].state != UFIBER_THREAD_BLOCKED)
		return -EAGAIN;
	read_ends(m, t, -EINTR);
	return 0;
}

void uf_model_resize(struct uf_model *m, bool more)
{
	int s = more ? m->nr_servers : m->nr_servers - 1;
	int holder = m->s[s].holder;

	m->nr_servers += more ? 1 : -1;
	if (more && holder < 0) {
		pass_on(m, s);
	} else if (more && !users(m) && first_runnable(m) >= 0 && m->s[s].polling) {
		loses(m, holder, UFIBER_THREAD_IDLE);
		pass_on(m, s);
	} else if (!more && holder >= 0) {
		if (m->s[s].polling)
			loses(m, holder, UFIBER_THREAD_IDLE);
		else
			kick(m, holder);
	}
}
