// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <boost/context/detail/fcontext.hpp>

#include "switch_boost.h"

using namespace boost::context::detail;

static fcontext_t context;

static void reflect(transfer_t from)
{
	for (;;)
		from = jump_fcontext(from.fctx, from.data);
}

void boost_prepare(void *top)
{
	context = make_fcontext(top, STACK_SIZE, reflect);
}

void boost_run(long rounds)
{
	for (long i = 0; i < rounds; i++)
		context = jump_fcontext(context, nullptr).fctx;
}
