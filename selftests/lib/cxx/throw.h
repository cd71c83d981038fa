/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What is written in C++, for a test in C. */
#ifndef THROW_H
#define THROW_H

#ifdef __cplusplus
extern "C" {
#endif

/* In a fiber: throw and catch, with switches between. Returns how often that was right. */
void *throw_and_catch(void *arg);

/* In a fiber: nobody catches it. */
void *throw_uncaught(void *arg);

/* How many objects live that unwinding has to destroy. */
int count_objects(void);

#ifdef __cplusplus
}
#endif

#endif /* THROW_H */
