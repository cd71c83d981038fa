// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Exceptions on the stacks of fibers. */
#include "throw.h"

#include <atomic>
#include <stdexcept>
#include <string>

#include <ufiber.h>

namespace
{

std::atomic<int> objects;

struct object {
	object() { objects++; }
	~object() { objects--; }
};

/* Frames with something to destroy; all have been switched away from and back. */
[[gnu::noinline]] int descend(int depth, int value)
{
	object here;

	uf_yield();
	if (!depth)
		throw std::runtime_error(std::to_string(value));
	return descend(depth - 1, value) + 1;
}

bool once(int value)
{
	std::string what;

	try {
		descend(value % 20, value);
	} catch (const std::runtime_error &error) {
		what = error.what();
	}
	uf_yield();
	return what == std::to_string(value);
}

} // namespace

int count_objects(void)
{
	return objects;
}

void *throw_and_catch(void *arg)
{
	intptr_t first = reinterpret_cast<intptr_t>(arg), right = 0;

	for (int i = 0; i < 100; i++)
		right += once(static_cast<int>(first) + i);
	return reinterpret_cast<void *>(right);
}

void *throw_uncaught(void *arg)
{
	(void)arg;
	uf_yield();
	throw std::runtime_error("nobody catches this");
}
