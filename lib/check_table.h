/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the checked build knows of addresses. */
#ifndef UF_CHECK_TABLE_H
#define UF_CHECK_TABLE_H

#include "internal.h"

/**
 * struct uf_known - what is known of an address
 * @kind: what there is, or was last; UF_KIND_NONE: never heard of.
 * @gone: it is no more.
 * @id: of a fiber that is gone: its identity.
 */
struct uf_known {
	enum uf_kind kind;
	bool gone;
	uint64_t id;
};

struct uf_known uf_known(const void *object);
bool uf_knows_all(void);
bool uf_knows_all_past(void);

#endif /* UF_CHECK_TABLE_H */
