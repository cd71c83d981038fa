// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The head of a request, as RFC 9112 has it.
 *
 * Why not a library: what Debian 12 has for C is http-parser, whose authors
 * gave it up in favour of llhttp in 2019 and archived it, and llhttp is there
 * only inside of node. Neither tells a target that is too long from a broken
 * one, nor checks Host. As this server waits until it has a whole head, and
 * reads no bodies, all that is left to parse are lines.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "httpd.h"

struct parser {
	const char *p;
	const char *end;
	unsigned int fields;
	unsigned int hosts;
	unsigned int lengths;
	uint64_t length;
	bool coded;
	bool chunked;
	bool close;
	bool persist;
};

/* How long the head at buf is, with its empty line; 0: it is not complete. */
size_t request_head_length(const char *buf, size_t len, size_t *scanned)
{
	const char *from = buf + *scanned;
	const char *lf;

	while ((lf = memchr(from, '\n', buf + len - from))) {
		size_t rest = buf + len - lf - 1;

		if (rest >= 1 && lf[1] == '\n')
			return lf + 2 - buf;
		if (rest >= 2 && lf[1] == '\r' && lf[2] == '\n')
			return lf + 3 - buf;
		if (!rest || (rest == 1 && lf[1] == '\r'))
			break;
		from = lf + 1;
	}
	*scanned = lf ? lf - buf : (long)len;
	return 0;
}

bool slice_is(struct slice s, const char *word)
{
	return s.len == strlen(word) && !strncasecmp(s.p, word, s.len);
}

static bool is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.p[i]) &&
		    !memchr("!#$%&'*+-.^_`|~", s.p[i], 15))
			return false;
	return s.len > 0;
}

/* The next line without its end; a CR elsewhere is an error. */
static bool next_line(struct parser *ps, struct slice *line)
{
	const char *lf = memchr(ps->p, '\n', ps->end - ps->p);

	if (!lf)
		return false;
	line->p = ps->p;
	line->len = lf - ps->p;
	if (line->len && lf[-1] == '\r')
		line->len--;
	ps->p = lf + 1;
	return !memchr(line->p, '\r', line->len);
}

static struct slice cut(struct slice *s, char separator)
{
	const char *at = memchr(s->p, separator, s->len);
	struct slice part = { s->p, at ? (size_t)(at - s->p) : s->len };

	s->p += part.len + !!at;
	s->len -= part.len + !!at;
	return part;
}

static struct slice trim(struct slice s)
{
	while (s.len && (*s.p == ' ' || *s.p == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static int parse_method(struct request *rq, struct slice method)
{
	static const char *const others[] = { "POST",	 "PUT",	    "DELETE",
					      "CONNECT", "OPTIONS", "TRACE",
					      "PATCH" };

	if (!is_token(method))
		return 400;
	if (method.len == 3 && !memcmp(method.p, "GET", 3))
		rq->method = METHOD_GET;
	else if (method.len == 4 && !memcmp(method.p, "HEAD", 4))
		rq->method = METHOD_HEAD;
	for (size_t i = 0; i < countof(others); i++)
		if (method.len == strlen(others[i]) &&
		    !memcmp(method.p, others[i], method.len))
			rq->method = METHOD_OTHER;
	return 0;
}

static int parse_version(struct request *rq, struct slice version)
{
	if (version.len != 8 || memcmp(version.p, "HTTP/", 5) ||
	    !isdigit((unsigned char)version.p[5]) || version.p[6] != '.' ||
	    !isdigit((unsigned char)version.p[7]))
		return 400;
	if (version.p[5] != '1')
		return 505;
	rq->http10 = version.p[7] == '0';
	return 0;
}

/* "/path?query", or the same after "http://host". */
static int parse_target(struct request *rq, struct slice target)
{
	const char *query;

	if (target.len > TARGET_MAX)
		return 414;
	if (!target.len)
		return 400;
	for (size_t i = 0; i < target.len; i++)
		if (target.p[i] <= ' ' || target.p[i] > '~' ||
		    target.p[i] == '#')
			return 400;
	if (rq->method == METHOD_OTHER || rq->method == METHOD_UNKNOWN)
		return 0;
	if (target.len >= 7 && !strncasecmp(target.p, "http://", 7)) {
		size_t host = 7;

		while (host < target.len && target.p[host] != '/' &&
		       target.p[host] != '?')
			host++;
		if (host == 7)
			return 400;
		target.p += host;
		target.len -= host;
		if (!target.len || *target.p == '?') {
			rq->path = (struct slice){ "/", 1 };
			rq->query = target;
			return 0;
		}
	}
	if (*target.p != '/')
		return 400;
	query = memchr(target.p, '?', target.len);
	rq->path.p = target.p;
	rq->path.len = query ? (size_t)(query - target.p) : target.len;
	rq->query.p = target.p + rq->path.len;
	rq->query.len = target.len - rq->path.len;
	return 0;
}

static int parse_request_line(struct parser *ps, struct request *rq)
{
	struct slice line, method, target;
	int status;

	if (!next_line(ps, &line))
		return 400;
	method = cut(&line, ' ');
	status = parse_method(rq, method);
	if (status)
		return status;
	target = cut(&line, ' ');
	/* Which of both is wrong matters: a newer version says so first. */
	status = parse_version(rq, line);
	return status ? status : parse_target(rq, target);
}

static int parse_length(struct parser *ps, struct slice value)
{
	uint64_t length = 0;

	if (!value.len || value.len > 18)
		return 400;
	for (size_t i = 0; i < value.len; i++) {
		if (!isdigit((unsigned char)value.p[i]))
			return 400;
		length = length * 10 + value.p[i] - '0';
	}
	if (ps->lengths++ && length != ps->length)
		return 400;
	ps->length = length;
	return 0;
}

static int parse_connection(struct parser *ps, struct slice value)
{
	while (value.len) {
		struct slice option = trim(cut(&value, ','));

		if (slice_is(option, "close"))
			ps->close = true;
		else if (slice_is(option, "keep-alive"))
			ps->persist = true;
	}
	return 0;
}

static int parse_host(struct parser *ps, struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if (!isalnum((unsigned char)value.p[i]) &&
		    !memchr("-._~:[]%!$&'()*+,;=", value.p[i], 19))
			return 400;
	return ps->hosts++ ? 400 : 0;
}

/* Fields that are only remembered, for the one who wants them. */
static struct slice *remembered(struct request *rq, struct slice name)
{
	const struct {
		const char *name;
		struct slice *slice;
	} all[] = {
		{ "If-Match", &rq->if_match },
		{ "If-None-Match", &rq->if_none_match },
		{ "If-Modified-Since", &rq->if_modified_since },
		{ "If-Unmodified-Since", &rq->if_unmodified_since },
		{ "If-Range", &rq->if_range },
		{ "Range", &rq->range },
	};

	for (size_t i = 0; i < countof(all); i++)
		if (slice_is(name, all[i].name))
			return all[i].slice;
	return NULL;
}

static int parse_field(struct parser *ps, struct request *rq, struct slice line)
{
	struct slice name, value, *slice;

	if (!memchr(line.p, ':', line.len))
		return 400;
	name = cut(&line, ':');
	value = trim(line);
	if (!is_token(name))
		return 400;
	for (size_t i = 0; i < value.len; i++)
		if (iscntrl((unsigned char)value.p[i]) && value.p[i] != '\t')
			return 400;
	if (++ps->fields > FIELDS_MAX)
		return 431;

	if (slice_is(name, "Host"))
		return parse_host(ps, value);
	if (slice_is(name, "Connection"))
		return parse_connection(ps, value);
	if (slice_is(name, "Content-Length"))
		return parse_length(ps, value);
	if (slice_is(name, "Transfer-Encoding")) {
		ps->chunked = !ps->coded && slice_is(value, "chunked");
		ps->coded = true;
		return 0;
	}
	slice = remembered(rq, name);
	if (slice)
		*slice = value;
	return 0;
}

/* What the fields demand together; the order of checks is RFC 9112's 6.3. */
static int check_fields(const struct parser *ps, struct request *rq)
{
	if (ps->coded && (ps->lengths || rq->http10))
		return 400;
	if (ps->coded && !ps->chunked)
		return 501;
	if (!ps->hosts && !rq->http10)
		return 400;
	rq->body = ps->coded || ps->length;
	/* Where the next request starts is known only without a body. */
	rq->keep_alive = !rq->body && !ps->close && (!rq->http10 || ps->persist);
	if (rq->method == METHOD_UNKNOWN)
		return 501;
	return rq->method == METHOD_OTHER ? 405 : 0;
}

/*
 * Parse a head that request_head_length() found complete. Returns 0, or the
 * status to refuse it with; then rq->keep_alive tells if another may follow.
 */
int request_parse(struct request *rq, const char *head, size_t len)
{
	struct parser ps = { .p = head, .end = head + len };
	struct slice line;
	int status;

	memset(rq, 0, sizeof(*rq));
	status = parse_request_line(&ps, rq);
	while (!status) {
		if (!next_line(&ps, &line))
			return 400;
		if (!line.len)
			return check_fields(&ps, rq);
		status = parse_field(&ps, rq, line);
	}
	return status;
}
