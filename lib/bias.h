/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A lock that is biased to one owner, who takes it by plain stores; all others,
 * its revokers, pay for that with a membarrier(2). Zero when free.
 *
 *	owner				revoker
 *	O1  held = 1			R1  take the spin lock
 *	O2  (compiler barrier)		R2  revoked = 1
 *	O3  read revoked: 0, go in	R3  membarrier
 *					R4  wait until held is 0
 *
 * membarrier() is a full barrier on every processor that runs a thread of the
 * process. If it comes before O1 there, then O3 comes after R2 and the owner
 * goes the slow way; if after O1, then R4 sees held and waits. (The idea is
 * known from biased locks in Java virtual machines, and from RCU's
 * asymmetric readers.)
 *
 * On the slow way the owner takes the spin lock before it sets held, so it needs
 * no membarrier against it: if there is none (an old or sandboxed kernel) and
 * under ThreadSanitizer, revoked is 1 for good and the lock works as a plain
 * one.
 *
 * Who is the owner may change, if what orders the two (here: a server that is
 * passed on) comes between the one's unlock and the other's lock.
 */
#ifndef UF_BIAS_H
#define UF_BIAS_H

#include "spin.h"

/**
 * struct uf_bias - a biased lock
 * @held: the owner is in.
 * @revoked: a revoker is in, or wants to be.
 * @lock: between revokers, and the owner on its slow way; a spin lock.
 */
struct uf_bias {
	uint32_t held;
	uint32_t revoked;
	uint32_t lock;
};

/* bias.c */
void uf_bias_init(struct uf_bias *bias);
void uf_bias_lock_slow(struct uf_bias *bias);
void uf_bias_revoke(struct uf_bias *bias);
void uf_bias_return(struct uf_bias *bias);

/* The owner's way in and out. */
static inline void uf_bias_lock(struct uf_bias *bias)
{
	WRITE_ONCE(bias->held, 1); /* O1 */
	barrier(); /* O2 */
	if (unlikely(smp_load_acquire(&bias->revoked))) /* O3 */
		uf_bias_lock_slow(bias);
}

static inline void uf_bias_unlock(struct uf_bias *bias)
{
	smp_store_release(&bias->held, 0);
}

#endif /* UF_BIAS_H */
