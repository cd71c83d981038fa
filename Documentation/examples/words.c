// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <stdio.h>
#include <ufiber.h>

static const char *const words[] = { "fibers", "that", "may", "block" };

static void *speaker(void *arg)
{
	struct uf_channel *channel = arg;
	unsigned int i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		uf_channel_send(channel, &words[i]); /* copies the pointer */
	uf_channel_close(channel);
	return NULL;
}

static void *run(void *arg)
{
	struct uf_channel *channel;
	struct uf_fiber *fiber;
	const char *word;

	if (uf_channel_create(&channel, sizeof(word), 2))
		return NULL;
	if (uf_create(NULL, &fiber, NULL, speaker, channel))
		return NULL;
	while (!uf_channel_receive(channel, &word))
		printf("%s\n", word);
	uf_join(fiber, NULL);
	uf_channel_destroy(channel);
	return arg;
}

int main(void)
{
	return uf_run(NULL, run, NULL, NULL) ? 1 : 0;
}
