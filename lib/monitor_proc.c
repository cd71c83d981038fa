// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Who is asleep in the kernel, read from /proc/self/task/TID/stat: works
 * everywhere, but has to be looked for. The watcher does so about each
 * millisecond while a server is in use.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "monitor.h"

/* "TID (name) S": a name has at most 15 bytes, escaped 4 for each. */
#define UF_STAT_BYTES 96

/* For the calling thread. Returns false if it cannot be had. */
bool uf_proc_attach(struct uf_monitor_thread *mt)
{
	int fd = open("/proc/thread-self/stat", O_RDONLY | O_CLOEXEC);

	WRITE_ONCE(mt->stat_fd, fd < 0 ? -1 : fd);
	return fd >= 0;
}

void uf_proc_detach(struct uf_monitor_thread *mt)
{
	int fd = mt->stat_fd;

	WRITE_ONCE(mt->stat_fd, -1);
	if (fd >= 0)
		close(fd);
}

/* Interruptible or not; a stopped thread is none, nor is a preempted one. */
bool uf_proc_asleep(const struct uf_monitor_thread *mt)
{
	char text[UF_STAT_BYTES + 1];
	const char *end;
	ssize_t n;

	n = pread(mt->stat_fd, text, UF_STAT_BYTES, 0);
	if (n <= 0)
		return false;
	text[n] = '\0';
	end = strrchr(text, ')');
	return end && end[1] == ' ' && (end[2] == 'S' || end[2] == 'D');
}
