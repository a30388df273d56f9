/*
 * fetch_allow: where a fetch may go: URLs taken apart by libcurl's own parser, so that what is
 * checked is what libcurl connects to; the words of `fetch-allow`; and which addresses are public.
 * For fetches, and for a configuration that names what is fetched.
 *
 * Threads: any; nothing is kept between calls.
 */
#ifndef CONFIG_FETCH_ALLOW_H
#define CONFIG_FETCH_ALLOW_H

#include "base/slice.h"

#include <curl/curl.h>
#include <stdint.h>

struct sockaddr;

#define FETCH_HOST_BYTES 256 /* a DNS name has 253 at most */

/* What a URL points at. */
struct fetch_target {
	CURLU *url;
	bool is_https;
	uint16_t port;
	char host[FETCH_HOST_BYTES]; /* lower case, no dot at its end; IPv6 short, in brackets */
};

/* False: not a URL that can be fetched, and in `error` a code word and why. */
bool fetch_target_init(
	struct fetch_target *target, struct slice url, char *error, size_t error_size);
void fetch_target_fini(struct fetch_target *target);
/* The same scheme, host and port. */
bool fetch_target_is_same_origin(const struct fetch_target *a, const struct fetch_target *b);

enum fetch_permission {
	FETCH_REFUSED,
	FETCH_PUBLIC_ONLY, /* by a wildcard: public addresses */
	FETCH_ANYWHERE,    /* by its name: any address */
};
/* The most that a word of the list gives; when it is FETCH_REFUSED, `error` says why. Words that
 * are not of the form give nothing. */
enum fetch_permission fetch_permission(
	struct slice allow_list, const struct fetch_target *target, char *error, size_t error_size);

/* Whether the list lets a URL through by its words alone (no look-up of addresses); `error` says
 * why not, its code word first. */
bool fetch_is_allowed(struct slice allow_list, struct slice url, char *error, size_t error_size);

/* Whether it is a unicast address of the whole Internet. Addresses of IPv6 that stand for one of
 * IPv4 (mapped, NAT64, 6to4) are what that one is. */
bool fetch_address_is_public(const struct sockaddr *address);

#endif
