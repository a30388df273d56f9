/*
 * fetch_message: see fetch_message.h.
 *
 * Nothing that a class gives can end a line early or change where a message ends: names are tokens,
 * values have no control characters (RFC 9110, 5.5 and 5.6.2), and the headers by which HTTP frames
 * and routes messages are libcurl's alone. The Fetch standard is followed where HTTP leaves a
 * choice.
 */
#include "fetch/fetch_message.h"

#include "fetch/fetch.h"
#include "holdfast/errors.h"
#include "holdfast/limits.h"

#include <assert.h>
#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>

#define SHOWN_BYTES_MAX 64 /* of a name in an error */

static bool init_method(
	struct fetch_message *message, const struct fetch *fetch, char *error, size_t error_size);
static bool check_header(const struct fetch_header *header, char *error, size_t error_size);
static bool is_sent(const struct fetch_message *message, struct slice name);
static bool is_one_of(struct slice name, const char *const *names);
static bool is_token(struct slice text);
static struct slice trim(struct slice text);
static struct curl_slist *append(struct curl_slist *list, const char *line);
static void fold(struct buffer *headers, struct slice more);
static int shown(struct slice name);

bool fetch_message_init(
	struct fetch_message *message, const struct fetch *fetch, char *error, size_t error_size)
{
	*message = (struct fetch_message){ 0 };
	if (!init_method(message, fetch, error, error_size))
		return false;
	size_t bytes = 0;
	for (uint32_t i = 0; i < fetch->header_count; i++) {
		if (!check_header(&fetch->headers[i], error, error_size))
			return false;
		bytes += fetch->headers[i].name.size + fetch->headers[i].value.size + 4;
		if (bytes > LIMIT_FETCH_HEADER_BYTES) {
			snprintf(error, error_size, ERROR_FETCH_HEADERS);
			return false;
		}
	}
	return true;
}

struct curl_slist *fetch_message_headers(
	const struct fetch_message *message, const struct fetch *fetch)
{
	struct curl_slist *list = NULL;
	struct buffer line;
	bool has_type = false, has_expect = false;
	buffer_init(&line);
	for (uint32_t i = 0; i < fetch->header_count; i++) {
		struct slice name = fetch->headers[i].name;
		struct slice value = trim(fetch->headers[i].value);
		if (!is_sent(message, name))
			continue;
		has_type |= slice_is(name, "content-type");
		has_expect |= slice_is(name, "expect");
		line.size = 0;
		buffer_append(&line, name.data, name.size);
		/* To libcurl a colon with nothing behind it means not to send the header. */
		buffer_append_text(&line, value.size > 0 ? ": " : ";");
		buffer_append(&line, value.data, value.size);
		buffer_append(&line, "", 1);
		list = append(list, line.data);
	}
	buffer_fini(&line);
	/* libcurl would call every body a form, and hold large ones back for a second. */
	if (message->sends_body && !has_type)
		list = append(list, "Content-Type:");
	if (!has_expect)
		list = append(list, "Expect:");
	return list;
}

bool fetch_message_is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

void fetch_message_redirect(struct fetch_message *message, int status)
{
	bool is_post = strcmp(message->method, "POST") == 0;
	bool is_head = strcmp(message->method, "HEAD") == 0;
	if (!((status == 301 || status == 302) && is_post) && !(status == 303 && !is_head))
		return;
	snprintf(message->method, sizeof(message->method), "GET");
	message->sends_body = false;
	message->drops_content_headers = true;
}

void fetch_message_note_header(struct buffer *headers, struct slice line, bool *whole)
{
	bool is_ended = line.size > 0 && line.data[line.size - 1] == '\n';
	while (line.size > 0 && strchr("\r\n", line.data[line.size - 1]))
		line.size--;
	if (slice_starts_with(line, slice_text("HTTP/"))) {
		headers->size = 0;
		*whole = false;
		return;
	}
	bool is_trailer = *whole;
	*whole |= line.size == 0 && is_ended;
	if (line.size == 0 || is_trailer)
		return;
	if (line.data[0] == ' ' || line.data[0] == '\t') {
		fold(headers, trim(line));
		return;
	}
	const char *colon = memchr(line.data, ':', line.size);
	if (colon == NULL)
		return;
	size_t name_size = (size_t)(colon - line.data);
	if (!is_token(slice_of(line.data, name_size)))
		return;
	struct slice value = trim(slice_of(colon + 1, line.size - name_size - 1));
	char *name = buffer_reserve(headers, name_size);
	for (size_t i = 0; i < name_size; i++)
		name[i] = (char)tolower((unsigned char)line.data[i]);
	headers->size += name_size;
	buffer_append(headers, ": ", 2);
	buffer_append(headers, value.data, value.size);
	buffer_append(headers, "\n", 1);
}

bool fetch_message_asks_for_part(const struct fetch *fetch)
{
	for (uint32_t i = 0; i < fetch->header_count; i++) {
		if (slice_is(fetch->headers[i].name, "range"))
			return true;
	}
	return false;
}

const char *fetch_message_framing_complaint(struct slice headers)
{
	struct slice length = { 0 };
	while (headers.size > 0) {
		const char *end = memchr(headers.data, '\n', headers.size);
		assert(end);
		struct slice line = slice_of(headers.data, (size_t)(end - headers.data));
		headers = slice_of(end + 1, headers.size - line.size - 1);
		const char *colon = memchr(line.data, ':', line.size);
		assert(colon);
		struct slice name = slice_of(line.data, (size_t)(colon - line.data));
		struct slice value = trim(slice_of(colon + 1, line.size - name.size - 1));
		/* Others are for who has asked for them (RFC 9110, 10.1.4). */
		if (slice_is(name, "transfer-encoding") && !slice_is(value, "chunked"))
			return "it is in a transfer coding that was not asked for";
		if (!slice_is(name, "content-length"))
			continue;
		if (length.data && !slice_equal(value, length))
			return "it says two lengths";
		length = value;
	}
	return NULL;
}

static bool init_method(
	struct fetch_message *message, const struct fetch *fetch, char *error, size_t error_size)
{
	static const char *const with_body[] = { "POST", "PUT", "PATCH", NULL };
	/* The first is for proxies; the others echo headers that pages must not see. */
	static const char *const refused[] = { "CONNECT", "TRACE", "TRACK", NULL };
	struct slice method = fetch->method;
	if (method.size == 0)
		method = slice_text(fetch->has_body ? "POST" : "GET");
	if (!is_token(method) || method.size >= sizeof(message->method) ||
		is_one_of(method, refused)) {
		snprintf(error, error_size, ERROR_FETCH_METHOD, shown(method), method.data);
		return false;
	}
	for (size_t i = 0; i < method.size; i++)
		message->method[i] = (char)toupper((unsigned char)method.data[i]);
	message->method[method.size] = '\0';
	message->sends_body = fetch->has_body || is_one_of(method, with_body);
	if (fetch->has_body && slice_is(method, "HEAD")) {
		snprintf(error, error_size, ERROR_FETCH_HEAD_BODY);
		return false;
	}
	return true;
}

static bool check_header(const struct fetch_header *header, char *error, size_t error_size)
{
	static const char *const reserved[] = { "host", "content-length", "transfer-encoding",
		"connection", "upgrade", NULL };
	bool is_clean = is_token(header->name);
	for (size_t i = 0; i < header->value.size && is_clean; i++) {
		unsigned char byte = (unsigned char)header->value.data[i];
		is_clean = (byte >= ' ' && byte != 0x7f) || byte == '\t';
	}
	if (is_clean && !is_one_of(header->name, reserved))
		return true;
	snprintf(error, error_size, is_clean ? ERROR_FETCH_RESERVED : ERROR_FETCH_HEADER,
		shown(header->name), header->name.data);
	return false;
}

static bool is_sent(const struct fetch_message *message, struct slice name)
{
	static const char *const credentials[] = { "authorization", "cookie", NULL };
	static const char *const content[] = { "content-type", "content-encoding",
		"content-language", "content-location", NULL };
	if (message->drops_headers || (message->drops_credentials && is_one_of(name, credentials)))
		return false;
	return !message->drops_content_headers || !is_one_of(name, content);
}

static bool is_one_of(struct slice name, const char *const *names)
{
	while (*names && !slice_is(name, *names))
		names++;
	return *names != NULL;
}

static bool is_token(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		if (byte == '\0' || byte >= 0x80 ||
			(!isalnum(byte) && !strchr("!#$%&'*+-.^_`|~", byte)))
			return false;
	}
	return text.size > 0;
}

static struct slice trim(struct slice text)
{
	while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
		text = slice_of(text.data + 1, text.size - 1);
	while (text.size > 0 &&
		(text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
		text.size--;
	return text;
}

static struct curl_slist *append(struct curl_slist *list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(list, line);
	assert(longer != NULL);
	return longer;
}

/* A line that goes on with the value before it (RFC 9112, 5.2). */
static void fold(struct buffer *headers, struct slice more)
{
	if (headers->size == 0 || more.size == 0)
		return;
	headers->data[headers->size - 1] = ' ';
	buffer_append(headers, more.data, more.size);
	buffer_append(headers, "\n", 1);
}

static int shown(struct slice name)
{
	return (int)(name.size < SHOWN_BYTES_MAX ? name.size : SHOWN_BYTES_MAX);
}
