/*
 * fetch_message: what HTTP asks of the messages of a fetch: which methods and headers are sent, how
 * a redirect changes them, and how headers that arrive are noted down. Private to fetch.
 *
 * Threads: any; nothing is kept between calls.
 */
#ifndef FETCH_FETCH_MESSAGE_H
#define FETCH_FETCH_MESSAGE_H

#include "base/buffer.h"
#include "base/slice.h"

struct curl_slist;
struct fetch;

#define FETCH_METHOD_BYTES 32

/* What is sent, besides the URL; redirects change it. */
struct fetch_message {
	char method[FETCH_METHOD_BYTES]; /* upper case */
	bool sends_body;                 /* an empty one too: `Content-Length: 0` */
	bool drops_content_headers;      /* those that tell of the body that is not sent any more */
	bool drops_credentials;          /* Authorization and Cookie are another host's */
	bool drops_headers;              /* all are */
};

/* From what the fetch asks for. False: it cannot be sent, and in `error` a code word and why. */
bool fetch_message_init(
	struct fetch_message *message, const struct fetch *fetch, char *error, size_t error_size);
/* The headers for libcurl; curl_slist_free_all frees them. */
struct curl_slist *fetch_message_headers(
	const struct fetch_message *message, const struct fetch *fetch);

/* Is it a status whose Location is followed? */
bool fetch_message_is_redirect(int status);
/* RFC 9110, 15.4, and the Fetch standard: after 301 and 302 a POST becomes a GET, after 303
 * everything but HEAD. */
void fetch_message_redirect(struct fetch_message *message, int status);

/* One line as it arrived, with its end. The line that begins an answer forgets those of an interim
 * one (RFC 9110, 15.2); lines that are no headers are passed over, and so are those behind the body
 * (6.5.1). `*whole` is set by the empty line that ends the headers. */
void fetch_message_note_header(struct buffer *headers, struct slice line, bool *whole);

/* Whether a part of what the URL names is asked for. */
bool fetch_message_asks_for_part(const struct fetch *fetch);
/* What is wrong with how the answer is framed (RFC 9112, 6.3), where libcurl does not mind; NULL:
 * nothing. */
const char *fetch_message_framing_complaint(struct slice headers);

#endif
