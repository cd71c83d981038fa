// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * That unwinder walks the caller's own stack only. To have it walk another one it is
 * called through uf_arch_unwind(), whose call frame information says that its
 * caller is the suspended context. So nothing else has to know the formats of
 * debugging information, and any code can be unwound that exceptions could pass.
 *
 * The context must stay suspended meanwhile. What the unwinder needs it finds
 * without a lock (glibc 2.35 and gcc 12, or later) and without memory.
 */
#include "frames.h"

#include <stdint.h>
#include <unwind.h>

static _Unwind_Reason_Code add(struct _Unwind_Context *context, void *arg)
{
	void *ip = (void *)_Unwind_GetIP(context);
	struct uf_frames *frames = arg;

	if (frames->skip) {
		if (_Unwind_GetRegionStart(context) == (uintptr_t)uf_arch_unwind)
			frames->skip = 0;
		return _URC_NO_REASON;
	}
	/* The outermost caller is none. */
	if (!ip)
		return _URC_NO_REASON;
	frames->address[frames->nr++] = ip;
	return frames->nr < UF_FRAMES ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void walk(void *frames)
{
	_Unwind_Backtrace(add, frames);
}

/* The caller's own, this function's among them. */
void uf_frames_of_caller(struct uf_frames *frames)
{
	frames->nr = 0;
	frames->skip = 0;
	walk(frames);
}

/* Of a context that is suspended, and stays so, at @sp. */
void uf_frames_of_context(struct uf_frames *frames, void *sp)
{
	frames->nr = 0;
	frames->skip = 1;
	uf_arch_unwind(sp, walk, frames);
}
