// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <stdio.h>
#include <ufiber.h>

static void *square(void *arg)
{
	long n = (long)arg;

	uf_sleep(1000000); /* nanoseconds; only this fiber waits */
	return (void *)(n * n);
}

static void *run(void *arg)
{
	struct uf_fiber *fibers[10];
	long i, sum = 0;
	void *value;

	for (i = 0; i < 10; i++)
		if (uf_create(NULL, &fibers[i], NULL, square, (void *)(i + 1)))
			return NULL;
	for (i = 0; i < 10; i++) {
		uf_join(fibers[i], &value);
		sum += (long)value;
	}
	printf("the sum of the squares is %ld\n", sum);
	return arg;
}

int main(void)
{
	int error = uf_run(NULL, run, NULL, NULL);

	if (error)
		fprintf(stderr, "first: error %d: %s\n", -error, uf_strerror());
	return error != 0;
}
