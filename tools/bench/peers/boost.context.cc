// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What boost.context's jump_fcontext() costs. */
#include <boost/context/detail/fcontext.hpp>

#include "peer.h"

using namespace boost::context::detail;

static const size_t stack_size = 65536;
static fcontext_t context;

static void reflect(transfer_t from)
{
	for (;;)
		from = jump_fcontext(from.fctx, from.data);
}

static void switch_batch(void *, long times)
{
	for (long i = 0; i < times; i++)
		context = jump_fcontext(context, nullptr).fctx;
}

static void run_switch(const char *work, long)
{
	static char stack[stack_size] __attribute__((aligned(64)));

	context = make_fcontext(stack + stack_size, stack_size, reflect);
	peer_measure(work, switch_batch, nullptr, 2);
}

static const struct peer_work works[] = {
	{ "switch-called", run_switch, 0 },
	{ nullptr, nullptr, 0 },
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "boost.context", works);
}
