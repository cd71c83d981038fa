// SPDX-License-Identifier: GPL-2.0-only
/*
 * For kernels that cannot cancel commands of io_uring (before 6.8): one that
 * waits would keep its ring from ever being closed.
 */
#include "../ufiber.h"

int uf_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	return -EOPNOTSUPP;
}

void uf_uring_notify(struct uf_domain *domain)
{
}
