/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A value goes there and comes back; for peers without channels of their own. Who
 * includes this has put() and get() for a struct slot, and the slots there and back;
 * they are called directly, so that nothing else is measured.
 */
#ifndef HAND_OFF_H
#define HAND_OFF_H

static void *echo(void *unused)
{
	(void)unused;
	for (;;)
		put(&back, get(&there));
	return NULL;
}

static void hand_off_batch(void *unused, long times)
{
	long i;

	(void)unused;
	for (i = 0; i < times; i++) {
		put(&there, i);
		get(&back);
	}
}

#endif /* HAND_OFF_H */
