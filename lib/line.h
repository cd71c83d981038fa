/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Lines of text put together without stdio, which takes locks and memory. */
#ifndef UF_LINE_H
#define UF_LINE_H

#include <stddef.h>
#include <stdint.h>

struct uf_line {
	char text[256];
	size_t len;
};

void uf_line_text(struct uf_line *line, const char *text);
void uf_line_number(struct uf_line *line, uint64_t number);
void uf_line_address(struct uf_line *line, const void *address);
void uf_line_time(struct uf_line *line, uint64_t ns);
void uf_line_write(struct uf_line *line, int fd);

#endif /* UF_LINE_H */
