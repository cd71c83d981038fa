// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Conditional requests (RFC 9110 section 13) and ranges (section 14).
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "httpd.h"

void etag_of(char *etag, const struct stat *st)
{
	uint64_t mtime = st->st_mtim.tv_sec * NSEC_PER_SEC + st->st_mtim.tv_nsec;

	snprintf(etag, ETAG_SIZE, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
		 (uint64_t)st->st_ino, (uint64_t)st->st_size, mtime);
}

/* Any of the three formats of RFC 9110 5.6.7. */
static bool parse_date(struct slice value, time_t *time)
{
	static const char *const formats[] = { "%a, %d %b %Y %T GMT",
					       "%A, %d-%b-%y %T GMT",
					       "%a %b %e %T %Y" };
	char text[64];

	if (!value.len || value.len >= sizeof(text))
		return false;
	memcpy(text, value.p, value.len);
	text[value.len] = '\0';
	for (size_t i = 0; i < countof(formats); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(text, formats[i], &tm);

		if (end && !*end) {
			*time = timegm(&tm);
			return true;
		}
	}
	return false;
}

/*
 * Is etag in the list? A weak one in the list ("W/" before it) matches only if
 * weak ones do: this server's own are strong.
 */
static bool etag_listed(struct slice list, const char *etag, bool weak_too)
{
	size_t len = strlen(etag);
	const char *p = list.p, *end = p + list.len;

	if (list.len == 1 && *p == '*')
		return true;
	while (p < end) {
		bool weak = end - p > 2 && p[0] == 'W' && p[1] == '/';
		const char *close;

		p += weak ? 2 : 0;
		if (*p != '"') {
			p++;
			continue;
		}
		close = memchr(p + 1, '"', end - p - 1);
		if (!close)
			return false;
		if ((size_t)(close + 1 - p) == len && !memcmp(p, etag, len) &&
		    (weak_too || !weak))
			return true;
		p = close + 1;
	}
	return false;
}

/* 0, 304 or 412, in the order of RFC 9110 13.2.2. */
static int check_preconditions(const struct request *rq, time_t mtime,
			       const char *etag)
{
	time_t time;

	if (rq->if_match.len) {
		if (!etag_listed(rq->if_match, etag, false))
			return 412;
	} else if (parse_date(rq->if_unmodified_since, &time)) {
		if (mtime > time)
			return 412;
	}
	if (rq->if_none_match.len) {
		if (etag_listed(rq->if_none_match, etag, true))
			return 304;
	} else if (parse_date(rq->if_modified_since, &time)) {
		if (mtime <= time)
			return 304;
	}
	return 0;
}

static bool parse_number(struct slice *s, uint64_t *number)
{
	size_t digits = 0;

	*number = 0;
	while (digits < s->len && isdigit((unsigned char)s->p[digits])) {
		unsigned int digit = s->p[digits++] - '0';

		if (*number > (UINT64_MAX - digit) / 10)
			*number = UINT64_MAX; /* stays beyond any file */
		else
			*number = *number * 10 + digit;
	}
	s->p += digits;
	s->len -= digits;
	return digits > 0;
}

/*
 * "bytes=first-last", "bytes=first-" or "bytes=-last". Returns 206, 416, or
 * 200 for what is to be ignored: other units, several ranges, nonsense.
 */
static int parse_range(struct slice s, uint64_t size, struct range *range)
{
	uint64_t first, last;
	bool has_first, has_last;

	if (s.len < 6 || strncasecmp(s.p, "bytes=", 6))
		return 200;
	s.p += 6;
	s.len -= 6;
	has_first = parse_number(&s, &first);
	if (!s.len || *s.p != '-')
		return 200;
	s.p++;
	s.len--;
	has_last = parse_number(&s, &last);
	if (s.len || (!has_first && !has_last) ||
	    (has_first && has_last && last < first))
		return 200;

	if (!has_first) {
		first = last < size ? size - last : 0;
		if (!last)
			return 416;
		last = UINT64_MAX;
	} else if (!has_last) {
		last = UINT64_MAX;
	}
	if (first >= size)
		return 416;
	range->start = first;
	range->len = (last < size ? last + 1 : size) - first;
	return 206;
}

/* Does If-Range, if it is there, name what the file is now? */
static bool range_wanted(const struct request *rq, time_t mtime,
			 const char *etag)
{
	time_t time;

	if (rq->method != METHOD_GET || !rq->range.len)
		return false;
	if (!rq->if_range.len)
		return true;
	if (*rq->if_range.p == '"')
		return etag_listed(rq->if_range, etag, false);
	return parse_date(rq->if_range, &time) && time == mtime;
}

/* The status of a GET or HEAD of a file, and the part of it to send. */
int conditions_check(const struct request *rq, const struct stat *st,
		     const char *etag, struct range *range)
{
	time_t mtime = st->st_mtim.tv_sec;
	int status = check_preconditions(rq, mtime, etag);

	range->start = 0;
	range->len = st->st_size;
	if (status)
		return status;
	if (range_wanted(rq, mtime, etag))
		return parse_range(rq->range, st->st_size, range);
	return 200;
}
