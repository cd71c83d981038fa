// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* All of it may be called from a signal handler. */
#include "line.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What does not fit is left out; the line's end always fits. */
void uf_line_text(struct uf_line *line, const char *text)
{
	size_t len = strlen(text);

	if (len > sizeof(line->text) - 1 - line->len)
		len = sizeof(line->text) - 1 - line->len;
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

static void add_digits(struct uf_line *line, uint64_t number, unsigned int base,
		       unsigned int at_least)
{
	char digits[24];
	char *p = digits + sizeof(digits) - 1;

	*p = '\0';
	do {
		*--p = "0123456789abcdef"[number % base];
		number /= base;
	} while (number || digits + sizeof(digits) - 1 - p < at_least);
	uf_line_text(line, p);
}

void uf_line_number(struct uf_line *line, uint64_t number)
{
	add_digits(line, number, 10, 1);
}

void uf_line_address(struct uf_line *line, const void *address)
{
	uf_line_text(line, "0x");
	add_digits(line, (uintptr_t)address, 16, 1);
}

/* In seconds, to the millisecond. */
void uf_line_time(struct uf_line *line, uint64_t ns)
{
	add_digits(line, ns / 1000000000, 10, 1);
	uf_line_text(line, ".");
	add_digits(line, ns / 1000000 % 1000, 10, 3);
	uf_line_text(line, " s");
}

/* End the line, write it, and begin the next. errno stays. */
void uf_line_write(struct uf_line *line, int fd)
{
	const char *p = line->text;
	int saved = errno;
	ssize_t n;

	line->text[line->len++] = '\n';
	while (line->len) {
		n = write(fd, p, line->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* there is nobody else to tell */
		p += n;
		line->len -= n;
	}
	line->len = 0;
	errno = saved;
}
