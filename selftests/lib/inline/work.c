// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Code that a wrong switch would break, in C and C++; compiled in many ways, by
 * tests.mk. What it computes does not depend on whether it switches.
 */
#include <alloca.h>
#include <stdlib.h>
#include <ufiber/coro_inline.h>

#include "work.h"

#define NOINLINE __attribute__((noinline))

static inline void pause_here(struct uf_coro *self)
{
	if (self && uf_coro_yield_inline(self, NULL, NULL))
		abort();
}

static uint64_t bits_of(double value)
{
	union {
		double value;
		uint64_t bits;
	} u = { value };

	return u.bits;
}

/* More values than there are registers, of each kind. */
static NOINLINE uint64_t pressure(struct uf_coro *self, unsigned int seed)
{
	uint64_t a = seed, b = a * 3 + 1, c = b * 5 + 2, d = c * 7 + 3;
	uint64_t e = d * 11, f = e * 13, g = f * 17, h = g * 19, i = h * 23;
	uint64_t j = i * 29, k = j * 31, l = k * 37, m = l * 41, n = m * 43;
	double p = seed + 0.5, q = p * 1.25, r = q * 1.5, s = r * 1.75;
	double t = s / 3, u = t / 5, v = u / 7, w = v / 9, x = w / 11;
	long double y = seed / 3.0L, z = y * y + 1;
	int turn;

	for (turn = 0; turn < 50; turn++) {
		pause_here(self);
		a += b ^ n, b += c, c += d, d += e, e += f, f += g, g += h;
		h += i, i += j, j += k, k += l, l += m, m += n, n += a;
		pause_here(self);
		p += q, q += r / 8, r += s / 16, s += t, t += u, u += v;
		v += w, w += x, x += p / 1e9;
		y += z / 3, z += y / 7;
	}
	return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ l ^ m ^ n ^
	       bits_of(p + q + r + s + t + u + v + w + x) ^
	       bits_of((double)(y + z));
}

/* A frame that is found by a base pointer: aligned, and of no fixed size. */
static NOINLINE uint64_t odd_frame(struct uf_coro *self, unsigned int seed)
{
	unsigned int size = seed % 100 + 1, i;
	volatile unsigned char aligned[64] __attribute__((aligned(64)));
	volatile unsigned char *sized = (volatile unsigned char *)alloca(size);
	uint64_t sum = seed;

	for (i = 0; i < 64; i++)
		aligned[i] = (unsigned char)(seed + i);
	for (i = 0; i < size; i++)
		sized[i] = (unsigned char)(seed * i);
	pause_here(self);
	for (i = 0; i < 64; i++)
		sum = sum * 31 + aligned[i];
	pause_here(self);
	for (i = 0; i < size; i++)
		sum = sum * 31 + sized[i];
	return sum + ((uintptr_t)aligned & 63);
}

static NOINLINE uint64_t recurse(struct uf_coro *self, unsigned int depth)
{
	uint64_t sum = depth;

	if (depth) {
		sum += recurse(self, depth - 1);
		pause_here(self);
		sum = sum * 3 + recurse(self, depth - 1);
	}
	return sum;
}

static uint64_t work(struct uf_coro *self, unsigned int seed)
{
	return pressure(self, seed) + 3 * odd_frame(self, seed) +
	       5 * recurse(self, seed % 5 + 2);
}

/* True while there is something to resume. */
static inline bool go_on(struct uf_coro **co)
{
	int ret = *co ? uf_coro_resume_inline(*co, NULL, NULL) : 0;

	if (ret < 0)
		abort();
	if (!ret)
		*co = NULL;
	return ret;
}

static uint64_t drive(struct uf_coro *co, unsigned int seed)
{
	uint64_t a = seed, b = a + 1, c = b * 3, d = c * 5, e = d * 7;
	uint64_t f = e * 11, g = f * 13, h = g * 17, i = h * 19, j = i * 23;
	double p = seed, q = p / 3, r = q / 5, s = r / 7, t = s / 9;
	int turn;

	for (turn = 0; turn < 100; turn++) {
		go_on(&co);
		a += b, b += c, c += d, d += e, e += f, f += g, g += h;
		go_on(&co);
		h += i, i += j, j += a, p += q, q += r, r += s, s += t;
		t += p / 1e9;
	}
	while (go_on(&co))
		;
	return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^
	       bits_of(p + q + r + s + t);
}

/* Nothing is called, so that what is in the frame may be in the red zone. */
static NOINLINE int leaf(void **save, void *load, int seed)
{
#ifndef UF_CORO_CALLED
	volatile int values[12];
	long double kept = seed * 1.5L;
	int i, sum = 0;

	for (i = 0; i < 12; i++)
		values[i] = seed * i;
	__asm__("" : "+t"(kept));
	uf_coro_switch_inline(save, load, 0);
	sum = (int)(kept * 2) - 3 * seed;
	for (i = 0; i < 12; i++)
		sum += values[i];
	return sum;
#else
	(void)save, (void)load;
	return seed * 66;
#endif
}

#ifdef __cplusplus

struct counter {
	uint64_t &count;

	~counter()
	{
		count++;
	}
};

static NOINLINE void throw_from(struct uf_coro *self, unsigned int depth,
				uint64_t &unwound)
{
	counter frame = { unwound };

	pause_here(self);
	if (!depth)
		throw(int) unwound;
	throw_from(self, depth - 1, unwound);
}

static uint64_t throws(struct uf_coro *self, unsigned int seed)
{
	uint64_t unwound = 0, sum = 0;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		try {
			throw_from(self, (seed + i) % 7, unwound);
		} catch (int thrown) {
			sum = sum * 31 + thrown;
		}
		pause_here(self);
	}
	return sum + unwound;
}

static void throws_out()
{
	throw 1;
}

#else

#define throws NULL
#define throws_out NULL

#endif

static struct work self = { FLAVOUR, work, drive, leaf, throws, throws_out, NULL };

static void __attribute__((constructor)) enlist(void)
{
	self.next = works;
	works = &self;
}
