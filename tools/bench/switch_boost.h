/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef SWITCH_BOOST_H
#define SWITCH_BOOST_H

#ifdef __cplusplus
extern "C" {
#endif

#define STACK_SIZE 65536

/* Make a context of boost's on the stack that ends at @top. */
void boost_prepare(void *top);
/* Switch to it and back, @rounds times. */
void boost_run(long rounds);

#ifdef __cplusplus
}
#endif

#endif /* SWITCH_BOOST_H */
