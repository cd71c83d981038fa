// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A directory as a page, and which type a file's name tells.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "httpd.h"

static const struct {
	const char *ending;
	const char *type;
} types[] = {
	{ "html", "text/html; charset=utf-8" },
	{ "htm", "text/html; charset=utf-8" },
	{ "xhtml", "application/xhtml+xml" },
	{ "css", "text/css; charset=utf-8" },
	{ "js", "text/javascript; charset=utf-8" },
	{ "mjs", "text/javascript; charset=utf-8" },
	{ "json", "application/json" },
	{ "xml", "application/xml" },
	{ "txt", "text/plain; charset=utf-8" },
	{ "md", "text/markdown; charset=utf-8" },
	{ "csv", "text/csv; charset=utf-8" },
	{ "svg", "image/svg+xml" },
	{ "png", "image/png" },
	{ "jpg", "image/jpeg" },
	{ "jpeg", "image/jpeg" },
	{ "gif", "image/gif" },
	{ "webp", "image/webp" },
	{ "avif", "image/avif" },
	{ "ico", "image/vnd.microsoft.icon" },
	{ "pdf", "application/pdf" },
	{ "gz", "application/gzip" },
	{ "bz2", "application/x-bzip2" },
	{ "xz", "application/x-xz" },
	{ "zst", "application/zstd" },
	{ "zip", "application/zip" },
	{ "tar", "application/x-tar" },
	{ "wasm", "application/wasm" },
	{ "woff", "font/woff" },
	{ "woff2", "font/woff2" },
	{ "ttf", "font/ttf" },
	{ "mp3", "audio/mpeg" },
	{ "ogg", "audio/ogg" },
	{ "mp4", "video/mp4" },
	{ "webm", "video/webm" },
};

/* Names without an ending, such as README and copyright, are text. */
const char *mime_type(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const char *dot = strrchr(name, '.');

	if (!dot || dot == name)
		return "text/plain; charset=utf-8";
	for (size_t i = 0; i < countof(types); i++)
		if (!strcasecmp(dot + 1, types[i].ending))
			return types[i].type;
	return "application/octet-stream";
}

static void put_html(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			putc(*text, out);
		}
	}
}

static void put_url(FILE *out, const char *name)
{
	for (; *name; name++) {
		unsigned char c = *name;

		if (isalnum(c) || strchr("-._~", c))
			putc(c, out);
		else
			fprintf(out, "%%%02X", c);
	}
}

static void put_entry(FILE *out, const struct dirent *entry)
{
	const char *slash = entry->d_type == DT_DIR ? "/" : "";

	/* "./" keeps a name like "a:b" from being a scheme. */
	fputs("<li><a href=\"./", out);
	put_url(out, entry->d_name);
	fprintf(out, "%s\">", slash);
	put_html(out, entry->d_name);
	fprintf(out, "%s</a></li>\n", slash);
}

static int is_listed(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

static int write_page(FILE *out, const char *path, struct dirent **entries,
		      int n)
{
	fputs("<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>/", out);
	put_html(out, path);
	fputs("</title>\n<h1>/", out);
	put_html(out, path);
	fputs("</h1>\n<ul>\n", out);
	if (*path)
		fputs("<li><a href=\"../\">../</a></li>\n", out);
	for (int i = 0; i < n; i++)
		put_entry(out, entries[i]);
	fputs("</ul>\n", out);
	return ferror(out) | fclose(out) ? -ENOMEM : 0;
}

/* The page of an open directory; *html is the caller's to free. */
plain int listing_make(int dir, const char *path, char **html, size_t *len)
{
	struct dirent **entries;
	FILE *out;
	int n, err;

	n = scandirat(dir, ".", &entries, is_listed, alphasort);
	if (n < 0)
		return -errno;
	*html = NULL;
	out = open_memstream(html, len);
	err = out ? write_page(out, path, entries, n) : -ENOMEM;
	while (n)
		free(entries[--n]);
	free(entries);
	if (err)
		free(*html);
	return err;
}
