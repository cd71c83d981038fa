// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The slow ways of the biased lock. */
#include "bias.h"

#include "membarrier.h"

/* After uf_membarrier_init(). */
void uf_bias_init(struct uf_bias *bias)
{
	*bias = (struct uf_bias){ .revoked = uf_no_membarrier };
}

void uf_bias_lock_slow(struct uf_bias *bias)
{
	WRITE_ONCE(bias->held, 0);
	uf_spin_lock(&bias->lock);
	WRITE_ONCE(bias->held, 1);
	uf_spin_unlock(&bias->lock);
}

/* Anybody else's way in; in the critical section, as for every spin lock. */
void uf_bias_revoke(struct uf_bias *bias)
{
	uf_spin_lock(&bias->lock); /* R1 */
	if (likely(!uf_no_membarrier)) {
		WRITE_ONCE(bias->revoked, 1); /* R2 */
		uf_heavy_mb(); /* R3 */
	}
	uf_spin_until_zero(&bias->held); /* R4 */
}

/* And out. */
void uf_bias_return(struct uf_bias *bias)
{
	if (likely(!uf_no_membarrier))
		smp_store_release(&bias->revoked, 0);
	uf_spin_unlock(&bias->lock);
}
