/*
 * fetch_allow: see fetch_allow.h.
 *
 * A word of the list is `host` or `*.domain`, with `:port` or without, which means 80 and 443.
 * Hosts of words and URLs are brought to one form and compared as text; libcurl's parser has made
 * dotted quads of the odd spellings of IPv4 addresses (`0x7f.1`) by then. Names with bytes beyond
 * ASCII are refused, because libcurl would look up something else than what was compared:
 * such a host is written in its `xn--` form.
 *
 * IPv4 addresses are refused by the special-purpose registry of RFC 6890. Of IPv6 only 2000::/3 is
 * global unicast (RFC 4291), so the table holds what is special within it, and ULA, link-local,
 * multicast, loopback and unspecified addresses are outside already.
 */
#include "config/fetch_allow.h"

#include "base/number.h"
#include "holdfast/errors.h"
#include "holdfast/limits.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>

#define HTTP_PORT  80
#define HTTPS_PORT 443

struct block {
	uint8_t prefix[16];
	uint8_t bits;
};

static const struct block special_ipv4[] = {
	{ { 0 }, 8 },             /* this network, RFC 1122 */
	{ { 10 }, 8 },            /* private, RFC 1918 */
	{ { 100, 64 }, 10 },      /* carriers' NAT, RFC 6598 */
	{ { 127 }, 8 },           /* loopback, RFC 1122 */
	{ { 169, 254 }, 16 },     /* link-local, RFC 3927 */
	{ { 172, 16 }, 12 },      /* private, RFC 1918 */
	{ { 192, 0, 0 }, 24 },    /* protocol assignments, RFC 6890 */
	{ { 192, 0, 2 }, 24 },    /* documentation, RFC 5737 */
	{ { 192, 88, 99 }, 24 },  /* 6to4 relays, RFC 7526 */
	{ { 192, 168 }, 16 },     /* private, RFC 1918 */
	{ { 198, 18 }, 15 },      /* benchmarks, RFC 2544 */
	{ { 198, 51, 100 }, 24 }, /* documentation, RFC 5737 */
	{ { 203, 0, 113 }, 24 },  /* documentation, RFC 5737 */
	{ { 224 }, 4 },           /* multicast, RFC 5771 */
	{ { 240 }, 4 },           /* reserved, and broadcast, RFC 1112 */
};

static const struct block special_ipv6[] = {
	{ { 0x20, 0x01 }, 23 },             /* protocol assignments with Teredo, RFC 2928 */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, /* documentation, RFC 3849 */
	{ { 0x3f, 0xff }, 20 },             /* documentation, RFC 9637 */
};

static const struct block global_ipv6 = { { 0x20 }, 3 };
static const struct block mapped_ipv6 = { { [10] = 0xff, [11] = 0xff }, 96 }; /* RFC 4291 */
static const struct block nat64_ipv6 = { { 0x00, 0x64, 0xff, 0x9b }, 96 };    /* RFC 6052 */
static const struct block six_to_four_ipv6 = { { 0x20, 0x02 }, 16 };          /* RFC 3056 */

static bool parse(struct fetch_target *target, const char *url, char *error, size_t error_size);
static bool normalise(struct slice host, char out[FETCH_HOST_BYTES]);
static bool next_word(struct slice *list, struct slice *word);
static enum fetch_permission permission_by(struct slice word, const struct fetch_target *target);
static bool cut_port(struct slice *word, uint16_t *port);
static bool ipv4_is_public(const uint8_t address[4]);
static bool ipv6_is_public(const uint8_t address[16]);
static bool is_in(const struct block *block, const uint8_t *address);

bool fetch_is_allowed(struct slice allow_list, struct slice url, char *error, size_t error_size)
{
	struct fetch_target target;
	if (!fetch_target_init(&target, url, error, error_size))
		return false;
	enum fetch_permission permission = fetch_permission(allow_list, &target, error, error_size);
	fetch_target_fini(&target);
	return permission != FETCH_REFUSED;
}

bool fetch_target_init(
	struct fetch_target *target, struct slice url, char *error, size_t error_size)
{
	*target = (struct fetch_target){ 0 };
	char text[LIMIT_FETCH_URL_BYTES + 1];
	if (url.size > LIMIT_FETCH_URL_BYTES) {
		snprintf(error, error_size, ERROR_FETCH_URL_SIZE);
		return false;
	}
	if (url.size == 0 || memchr(url.data, '\0', url.size)) {
		snprintf(error, error_size, ERROR_FETCH_URL, "it is empty or holds a NUL");
		return false;
	}
	memcpy(text, url.data, url.size);
	text[url.size] = '\0';
	target->url = curl_url();
	assert(target->url != NULL);
	bool parsed = parse(target, text, error, error_size);
	if (!parsed)
		fetch_target_fini(target);
	return parsed;
}

void fetch_target_fini(struct fetch_target *target)
{
	curl_url_cleanup(target->url);
	*target = (struct fetch_target){ 0 };
}

bool fetch_target_is_same_origin(const struct fetch_target *a, const struct fetch_target *b)
{
	return a->is_https == b->is_https && a->port == b->port && strcmp(a->host, b->host) == 0;
}

enum fetch_permission fetch_permission(
	struct slice allow_list, const struct fetch_target *target, char *error, size_t error_size)
{
	enum fetch_permission most = FETCH_REFUSED;
	struct slice word;
	bool is_empty = true;
	while (next_word(&allow_list, &word)) {
		enum fetch_permission permission = permission_by(word, target);
		most = permission > most ? permission : most;
		is_empty = false;
	}
	if (most == FETCH_REFUSED)
		snprintf(error, error_size, is_empty ? ERROR_FETCH_NO_LIST : ERROR_FETCH_UNLISTED,
			target->host, (unsigned)target->port);
	return most;
}

bool fetch_address_is_public(const struct sockaddr *address)
{
	/* The bytes are copied out: nothing says that the address is aligned for its family. */
	if (address->sa_family == AF_INET) {
		struct sockaddr_in ipv4;
		memcpy(&ipv4, address, sizeof(ipv4));
		return ipv4_is_public((const uint8_t *)&ipv4.sin_addr);
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 ipv6;
		memcpy(&ipv6, address, sizeof(ipv6));
		return ipv6_is_public(ipv6.sin6_addr.s6_addr);
	}
	return false;
}

/* --- URLs ------------------------------------------------------------------------------------- */

static bool parse(struct fetch_target *target, const char *url, char *error, size_t error_size)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *zone = NULL;
	bool parsed = false;
	CURLUcode result = curl_url_set(target->url, CURLUPART_URL, url, CURLU_DISALLOW_USER);
	if (result == CURLUE_OK)
		result = curl_url_get(target->url, CURLUPART_SCHEME, &scheme, 0);
	if (result == CURLUE_OK)
		result = curl_url_get(target->url, CURLUPART_HOST, &host, 0);
	if (result == CURLUE_USER_NOT_ALLOWED) {
		snprintf(error, error_size, ERROR_FETCH_USER);
		goto out;
	}
	if (result == CURLUE_UNSUPPORTED_SCHEME ||
		(scheme && strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)) {
		snprintf(error, error_size, ERROR_FETCH_SCHEME);
		goto out;
	}
	if (result == CURLUE_OK)
		result = curl_url_get(target->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	if (result != CURLUE_OK) {
		snprintf(error, error_size, ERROR_FETCH_URL, curl_url_strerror(result));
		goto out;
	}
	/* An address within a zone is one of a link of this machine. */
	bool has_zone = curl_url_get(target->url, CURLUPART_ZONEID, &zone, 0) == CURLUE_OK;
	if (has_zone || !normalise(slice_text(host), target->host)) {
		snprintf(error, error_size, ERROR_FETCH_HOST);
		goto out;
	}
	uint64_t number = 0;
	parsed = number_parse_u64(slice_text(port), &number) && number >= 1 && number <= UINT16_MAX;
	if (!parsed)
		snprintf(error, error_size, ERROR_FETCH_URL, "its port is not one from 1 to 65535");
	target->port = (uint16_t)number;
	target->is_https = strcasecmp(scheme, "https") == 0;
out:
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(zone);
	return parsed;
}

/* The one form of a host, in which equal ones are equal bytes. */
static bool normalise(struct slice host, char out[FETCH_HOST_BYTES])
{
	if (host.size > 0 && host.data[host.size - 1] == '.')
		host.size--;
	if (host.size == 0 || host.size >= FETCH_HOST_BYTES)
		return false;
	if (host.data[0] == '[') {
		char text[INET6_ADDRSTRLEN + 2];
		struct in6_addr address;
		if (host.size < 2 || host.size - 2 >= sizeof(text) ||
			host.data[host.size - 1] != ']')
			return false;
		memcpy(text, host.data + 1, host.size - 2);
		text[host.size - 2] = '\0';
		if (inet_pton(AF_INET6, text, &address) != 1)
			return false;
		inet_ntop(AF_INET6, &address, text, sizeof(text));
		snprintf(out, FETCH_HOST_BYTES, "[%s]", text);
		return true;
	}
	for (size_t i = 0; i < host.size; i++) {
		unsigned char byte = (unsigned char)host.data[i];
		if (byte >= 0x80 || (!isalnum(byte) && !strchr("-._", byte)))
			return false;
		out[i] = (char)tolower(byte);
	}
	out[host.size] = '\0';
	return true;
}

/* --- the list --------------------------------------------------------------------------------- */

static bool next_word(struct slice *list, struct slice *word)
{
	size_t start = 0;
	while (start < list->size && isspace((unsigned char)list->data[start]))
		start++;
	size_t end = start;
	while (end < list->size && !isspace((unsigned char)list->data[end]))
		end++;
	*word = slice_of(list->data + start, end - start);
	*list = slice_of(list->data + end, list->size - end);
	return word->size > 0;
}

static enum fetch_permission permission_by(struct slice word, const struct fetch_target *target)
{
	uint16_t port;
	if (!cut_port(&word, &port))
		return FETCH_REFUSED;
	if (port == 0 ? target->port != HTTP_PORT && target->port != HTTPS_PORT
		      : target->port != port)
		return FETCH_REFUSED;
	bool is_wild = slice_starts_with(word, slice_text("*."));
	char name[FETCH_HOST_BYTES];
	if (!normalise(is_wild ? slice_of(word.data + 2, word.size - 2) : word, name))
		return FETCH_REFUSED;
	if (!is_wild)
		return strcmp(name, target->host) == 0 ? FETCH_ANYWHERE : FETCH_REFUSED;
	/* At least one byte and the dot in front of the domain. */
	size_t size = strlen(name), host_size = strlen(target->host);
	bool matches = host_size >= size + 2 && target->host[host_size - size - 1] == '.' &&
		strcmp(target->host + host_size - size, name) == 0;
	return matches ? FETCH_PUBLIC_ONLY : FETCH_REFUSED;
}

/* Takes `:port` off the word; 0: it has none. */
static bool cut_port(struct slice *word, uint16_t *port)
{
	*port = 0;
	const char *host_end = word->data[0] == '[' ? memchr(word->data, ']', word->size) : NULL;
	size_t from = host_end ? (size_t)(host_end - word->data) : 0;
	const char *colon = memchr(word->data + from, ':', word->size - from);
	if (colon == NULL)
		return true;
	size_t host_size = (size_t)(colon - word->data);
	uint64_t number;
	if (!number_parse_u64(slice_of(colon + 1, word->size - host_size - 1), &number) ||
		number < 1 || number > UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	word->size = host_size;
	return true;
}

/* --- addresses -------------------------------------------------------------------------------- */

static bool ipv4_is_public(const uint8_t address[4])
{
	for (size_t i = 0; i < sizeof(special_ipv4) / sizeof(special_ipv4[0]); i++) {
		if (is_in(&special_ipv4[i], address))
			return false;
	}
	return true;
}

static bool ipv6_is_public(const uint8_t address[16])
{
	if (is_in(&mapped_ipv6, address) || is_in(&nat64_ipv6, address))
		return ipv4_is_public(address + 12);
	if (is_in(&six_to_four_ipv6, address))
		return ipv4_is_public(address + 2);
	for (size_t i = 0; i < sizeof(special_ipv6) / sizeof(special_ipv6[0]); i++) {
		if (is_in(&special_ipv6[i], address))
			return false;
	}
	return is_in(&global_ipv6, address);
}

static bool is_in(const struct block *block, const uint8_t *address)
{
	size_t bytes = block->bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> (block->bits % 8));
	return memcmp(block->prefix, address, bytes) == 0 &&
		(mask == 0 || ((block->prefix[bytes] ^ address[bytes]) & mask) == 0);
}
