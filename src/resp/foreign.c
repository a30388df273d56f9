/*
 * foreign: see foreign.h. Only inline lines are looked at: no other protocol begins like an array
 * of bulk strings.
 *
 * HTTP. A web page chooses a request's method, its path, some headers and its body, which would be
 * lines to run. Its first line is METHOD TARGET HTTP/1.1, whatever the method: SET and DEL can be
 * one, so the form decides and not the name (RTSP and SIP share it). A line `Name: value` is a
 * header, should the line before not have told. POST and Host: are refused in any form, as Redis
 * does.
 *
 * SMTP clients say EHLO, HELO or LHLO and their name; SSH begins with SSH- and its version (RFC
 * 4253); TLS with the header of a handshake record, 16 03 00 to 16 03 04 (RFC 8446), in which line
 * ends come by chance.
 *
 * Threads: any; nothing is kept.
 */
#include "resp/foreign.h"

#include <ctype.h>
#include <stdbool.h>

#define HTTP "an HTTP request"
#define SMTP "SMTP"
#define SSH  "an SSH banner"
#define TLS  "a TLS handshake"

#define WORDS_SEEN 4

static size_t words_of(struct slice line, struct slice words[WORDS_SEEN]);
static bool is_header_name(struct slice word);
static bool is_target(struct slice word);
static bool is_version(struct slice word);

const char *foreign_of_line(struct slice line)
{
	struct slice words[WORDS_SEEN];
	const char *start = foreign_of_start(line);
	size_t count = words_of(line, words);
	if (start || count == 0)
		return start;
	if (slice_is(words[0], "post") || slice_is(words[0], "host:") ||
		(count > 1 && is_header_name(words[0])))
		return HTTP;
	if (count == 3 && is_version(words[2]) &&
		(is_target(words[1]) || slice_is(words[0], "connect")))
		return HTTP;
	if (count > 1 &&
		(slice_is(words[0], "ehlo") || slice_is(words[0], "helo") ||
			slice_is(words[0], "lhlo")))
		return SMTP;
	return slice_starts_with(words[0], slice_text("SSH-")) ? SSH : NULL;
}

const char *foreign_of_start(struct slice start)
{
	bool record = start.size >= FOREIGN_START_BYTES && start.data[0] == 0x16 &&
		start.data[1] == 0x03 && (unsigned char)start.data[2] <= 4;
	return record ? TLS : NULL;
}

/* The first words; how many, more than fit being one more. */
static size_t words_of(struct slice line, struct slice words[WORDS_SEEN])
{
	size_t count = 0;
	for (size_t at = 0; at < line.size && count < WORDS_SEEN;) {
		size_t start = at;
		while (at < line.size && !isspace((unsigned char)line.data[at]))
			at++;
		if (at > start)
			words[count++] = slice_of(line.data + start, at - start);
		else
			at++;
	}
	return count;
}

/* As in `Content-Type: text/plain`. */
static bool is_header_name(struct slice word)
{
	if (word.size < 2 || word.data[word.size - 1] != ':')
		return false;
	for (size_t i = 0; i + 1 < word.size; i++) {
		if (!isalnum((unsigned char)word.data[i]) && word.data[i] != '-')
			return false;
	}
	return true;
}

/* A path, `*`, or a URL. */
static bool is_target(struct slice word)
{
	return word.data[0] == '/' || slice_is(word, "*") ||
		memmem(word.data, word.size, "://", 3) ||
		slice_starts_with(word, slice_text("sip:"));
}

/* As in HTTP/1.1 and HTTP/2.0. */
static bool is_version(struct slice word)
{
	const char *slash = memchr(word.data, '/', word.size);
	if (slash == NULL || word.data + word.size - slash != 4)
		return false;
	struct slice name = slice_of(word.data, (size_t)(slash - word.data));
	return (slice_is(name, "http") || slice_is(name, "rtsp") || slice_is(name, "sip")) &&
		isdigit((unsigned char)slash[1]) && slash[2] == '.' &&
		isdigit((unsigned char)slash[3]);
}
