/* SPDX-License-Identifier: GPL-2.0 */
/* A control group (version 2) of a test's own, below the root group. */
#ifndef UF_CGROUP_H
#define UF_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

struct uf_cgroup {
	char path[128];
};

/* Negative errno; -EOPNOTSUPP if there are no such groups, or not this controller. */
long uf_cgroup_make(struct uf_cgroup *g, const char *controller);
void uf_cgroup_remove(struct uf_cgroup *g);		/* it must be empty */
long uf_cgroup_add(struct uf_cgroup *g, pid_t pid);
long uf_cgroup_write(struct uf_cgroup *g, const char *file, const char *text);
/* The number in a file, or the one behind @key there; -1 if there is none. */
long uf_cgroup_read(struct uf_cgroup *g, const char *file, const char *key);
/* Wait until the number is @value; false if it never is. */
bool uf_cgroup_await(struct uf_cgroup *g, const char *file, const char *key, long value);

/* Make the group, or skip the case. */
#define UF_CGROUP(g, controller)					\
	do {								\
		long _ret = uf_cgroup_make(g, controller);		\
									\
		if (_ret == -EOPNOTSUPP)				\
			SKIP(return, "no cgroup2 with %s", *(controller) ? controller : "freezing"); \
		ASSERT_EQ(0, _ret) TH_LOG("cgroup: %s", strerror(-_ret)); \
	} while (0)

#endif /* UF_CGROUP_H */
