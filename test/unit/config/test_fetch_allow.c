/*
 * Where a fetch may go: the words of the list, the forms of URLs that try to get round them, and
 * the blocks of addresses that are not public.
 */
#include "base/random.h"
#include "config/fetch_allow.h"
#include "fetch/fetch.h"
#include "holdfast/limits.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FUZZ_ROUNDS 100000

struct url_case {
	const char *list;
	const char *url;
	const char *error; /* its beginning; NULL: allowed */
};

static const struct url_case url_cases[] = {
	{ "api.example.com", "http://api.example.com", NULL },
	{ "api.example.com", "https://api.example.com/a?b=c#d", NULL },
	{ "api.example.com", "HTTPS://API.Example.COM/", NULL },
	{ "API.example.com.", "https://api.example.com/", NULL },
	{ "api.example.com", "https://api.example.com./", NULL },
	{ "api.example.com", "http://api.example.com:443/", NULL },
	{ "api.example.com", "http://api.example.com:8080/", "FORBIDDEN" },
	{ "api.example.com:8080", "http://api.example.com:8080/", NULL },
	{ "api.example.com:8080", "http://api.example.com/", "FORBIDDEN" },
	{ "a.test  api.example.com\tb.test", "http://api.example.com", NULL },
	{ "api.example.com", "http://example.com", "FORBIDDEN" },
	{ "api.example.com", "http://xapi.example.com", "FORBIDDEN" },
	{ "api.example.com", "http://api.example.com.evil.test", "FORBIDDEN" },
	{ "*.example.com", "http://api.example.com", NULL },
	{ "*.example.com", "http://a.b.example.com", NULL },
	{ "*.example.com:81", "http://a.example.com:81", NULL },
	{ "*.example.com:81", "http://a.example.com", "FORBIDDEN" },
	{ "*.example.com", "http://example.com", "FORBIDDEN" },
	{ "*.example.com", "http://.example.com", "FORBIDDEN" },
	{ "*.example.com", "http://evilexample.com", "FORBIDDEN" },
	{ "*.example.com", "http://example.com.evil.test", "FORBIDDEN" },
	{ "a*.example.com", "http://ab.example.com", "FORBIDDEN" },
	{ "*", "http://example.com", "FORBIDDEN" },
	{ "*.", "http://example.com", "FORBIDDEN" },
	{ "", "http://example.com", "FORBIDDEN fetch-allow is empty" },
	{ " \t ", "http://example.com", "FORBIDDEN fetch-allow is empty" },
	{ "example.com:http", "http://example.com", "FORBIDDEN" },
	{ "example.com:0", "http://example.com", "FORBIDDEN" },
	{ "example.com:65616", "http://example.com", "FORBIDDEN" },
	{ ":80", "http://example.com", "FORBIDDEN" },
	{ "http://example.com", "http://example.com", "FORBIDDEN" },
	{ "127.0.0.1", "http://127.0.0.1", NULL },
	{ "127.0.0.1", "http://2130706433/", NULL },
	{ "127.0.0.1", "http://0x7f.1/", NULL },
	{ "8.8.8.8", "http://0177.0.0.1/", "FORBIDDEN fetch-allow does not list '127.0.0.1:80'" },
	{ "[::1]", "http://[::1]/", NULL },
	{ "[::1]:8080", "http://[0:0:0::1]:8080/", NULL },
	{ "[0:0::1]", "http://[::1]", NULL },
	{ "[::1]", "http://[::2]", "FORBIDDEN" },
	{ "::1", "http://[::1]", "FORBIDDEN" },
	{ "[fe80::1]", "http://[fe80::1%25lo]/", "BADURL" },
	{ "ok.test", "http://ok.test@evil.test/", "BADURL the URL holds a user name" },
	{ "ok.test", "http://user:word@ok.test/", "BADURL the URL holds a user name" },
	{ "ok.test", "http://evil.test\\@ok.test/", "BADURL" },
	{ "ok.test", "http://evil.test#@ok.test/", "FORBIDDEN" },
	{ "ok.test", "http://evil.test?@ok.test/", "FORBIDDEN" },
	{ "ok.test", "http://ok%2etest/", NULL },
	{ "ok.test", "http://ok.test%00.evil.test/", "BADURL" },
	{ "ok.test", "http://ok.test%2f.evil.test/", "BADURL" },
	{ "*.ok.test", "http://evil\xe3\x80\x82test.ok.test/", "BADURL" },
	{ "ok.test", "http://ok.test:0/", "BADURL" },
	{ "ok.test", "http://ok.test:65536/", "BADURL" },
	{ "ok.test", "ftp://ok.test/", "BADURL the URL is neither" },
	{ "ok.test", "file:///etc/passwd", "BADURL" },
	{ "ok.test", "gopher://ok.test/", "BADURL the URL is neither" },
	{ "ok.test", "javascript:alert(1)", "BADURL" },
	{ "ok.test", "ok.test/", "BADURL" },
	{ "ok.test", "//ok.test/", "BADURL" },
	{ "ok.test", "http://", "BADURL" },
	{ "ok.test", "http:///path", "FORBIDDEN fetch-allow does not list 'path:80'" },
	{ "ok.test", "http://ok.test/\r\nX: y", "BADURL" },
	{ "ok.test", "http://ok.test/a b", "BADURL" },
	{ "ok.test", "", "BADURL" },
};

static void the_list_lets_through_what_it_names_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(url_cases) / sizeof(url_cases[0]); i++) {
		const struct url_case *c = &url_cases[i];
		char error[256] = "";
		bool allowed = fetch_is_allowed(
			slice_text(c->list), slice_text(c->url), error, sizeof(error));
		if (allowed != (c->error == NULL))
			fail_msg("'%s' with '%s': %s", c->url, c->list, error);
		if (c->error && strncmp(error, c->error, strlen(c->error)) != 0)
			fail_msg("'%s' with '%s': %s", c->url, c->list, error);
	}
}

static void a_refusal_names_the_parameter_the_host_and_the_port(void **state)
{
	(void)state;
	char error[256];
	assert_false(fetch_is_allowed(
		slice_text("other.test"), slice_text("https://Host.test/x"), error, sizeof(error)));
	assert_string_equal(error, "FORBIDDEN fetch-allow does not list 'host.test:443'");
}

static void a_url_with_a_nul_or_beyond_the_limit_is_refused(void **state)
{
	(void)state;
	char error[256];
	static char url[LIMIT_FETCH_URL_BYTES + 1];
	memset(url, 'a', sizeof(url));
	memcpy(url, "http://ok.test/", 15);
	struct slice list = slice_text("ok.test");
	assert_true(fetch_is_allowed(list, slice_of(url, sizeof(url) - 1), error, sizeof(error)));
	assert_false(fetch_is_allowed(list, slice_of(url, sizeof(url)), error, sizeof(error)));
	url[20] = '\0';
	assert_false(fetch_is_allowed(list, slice_of(url, 100), error, sizeof(error)));
}

static enum fetch_permission permission(const char *list, const char *url)
{
	char error[256];
	struct fetch_target target;
	assert_true(fetch_target_init(&target, slice_text(url), error, sizeof(error)));
	enum fetch_permission result =
		fetch_permission(slice_text(list), &target, error, sizeof(error));
	fetch_target_fini(&target);
	return result;
}

static void only_the_host_with_its_port_opens_private_addresses(void **state)
{
	(void)state;
	const char *url = "http://db.corp.test:81/";
	assert_int_equal(permission("db.corp.test:81", url), FETCH_ANYWHERE);
	assert_int_equal(permission("*.corp.test:81", url), FETCH_PUBLIC_ONLY);
	assert_int_equal(permission("*.corp.test:81 db.corp.test:81", url), FETCH_ANYWHERE);
	assert_int_equal(permission("db.corp.test:81 *.corp.test:81", url), FETCH_ANYWHERE);
	assert_int_equal(permission("db.corp.test *.corp.test:81", url), FETCH_PUBLIC_ONLY);
	assert_int_equal(permission("db.corp.test *.corp.test", url), FETCH_REFUSED);
}

static const struct {
	const char *address;
	bool is_public;
} addresses[] = {
	{ "8.8.8.8", true },
	{ "1.0.0.0", true },
	{ "0.0.0.0", false },
	{ "0.255.255.255", false },
	{ "9.255.255.255", true },
	{ "10.0.0.0", false },
	{ "10.255.255.255", false },
	{ "11.0.0.0", true },
	{ "100.63.255.255", true },
	{ "100.64.0.0", false },
	{ "100.127.255.255", false },
	{ "100.128.0.0", true },
	{ "126.255.255.255", true },
	{ "127.0.0.1", false },
	{ "127.255.255.255", false },
	{ "128.0.0.0", true },
	{ "169.253.255.255", true },
	{ "169.254.169.254", false },
	{ "169.255.0.0", true },
	{ "172.15.255.255", true },
	{ "172.16.0.0", false },
	{ "172.31.255.255", false },
	{ "172.32.0.0", true },
	{ "192.0.0.8", false },
	{ "192.0.1.0", true },
	{ "192.0.2.1", false },
	{ "192.88.99.1", false },
	{ "192.167.255.255", true },
	{ "192.168.0.1", false },
	{ "192.169.0.0", true },
	{ "198.17.255.255", true },
	{ "198.18.0.0", false },
	{ "198.19.255.255", false },
	{ "198.20.0.0", true },
	{ "198.51.100.7", false },
	{ "203.0.113.7", false },
	{ "223.255.255.255", true },
	{ "224.0.0.1", false },
	{ "239.255.255.255", false },
	{ "240.0.0.1", false },
	{ "255.255.255.255", false },
	{ "2606:4700::1111", true },
	{ "2a00:1450::1", true },
	{ "::", false },
	{ "::1", false },
	{ "::8.8.8.8", false },
	{ "::ffff:8.8.8.8", true },
	{ "::ffff:127.0.0.1", false },
	{ "::ffff:10.1.2.3", false },
	{ "::ffff:0:8.8.8.8", false },
	{ "64:ff9b::8.8.8.8", true },
	{ "64:ff9b::192.168.0.1", false },
	{ "64:ff9b:1::8.8.8.8", false },
	{ "100::1", false },
	{ "2001::1", false },
	{ "2001:1ff:ffff::", false },
	{ "2001:200::1", true },
	{ "2001:db8::1", false },
	{ "2002:808:808::1", true },
	{ "2002:7f00:1::1", false },
	{ "2002:c0a8:1::1", false },
	{ "3ffe::1", true },
	{ "3fff:fff::1", false },
	{ "3fff:1000::1", true },
	{ "4000::1", false },
	{ "fc00::1", false },
	{ "fdff::1", false },
	{ "fe80::1", false },
	{ "fec0::1", false },
	{ "ff02::1", false },
};

static void what_is_public_ends_at_the_edges_of_the_special_blocks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct sockaddr_in ipv4 = { .sin_family = AF_INET };
		struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };
		const char *text = addresses[i].address;
		bool is_ipv4 = inet_pton(AF_INET, text, &ipv4.sin_addr) == 1;
		if (!is_ipv4)
			assert_int_equal(inet_pton(AF_INET6, text, &ipv6.sin6_addr), 1);
		bool is_public = fetch_address_is_public(
			is_ipv4 ? (const struct sockaddr *)&ipv4 : (const struct sockaddr *)&ipv6);
		if (is_public != addresses[i].is_public)
			fail_msg("%s", text);
	}
	struct sockaddr other = { .sa_family = AF_UNIX };
	assert_false(fetch_address_is_public(&other));
}

/* Whatever stands around it, a URL that is let through has the listed host where a host stands. */
static void no_mutation_of_a_url_gets_past_the_host(void **state)
{
	(void)state;
	static const char bytes[] = "/:@?#\\[].okte 0\t\n\r;,&=+-_~";
	struct random source;
	unsigned let_through = 0;
	random_seed(&source, 20240611);
	for (int round = 0; round < FUZZ_ROUNDS; round++) {
		char url[64] = "http://ok.test/x", error[256];
		size_t size = strlen(url);
		for (uint64_t left = 1 + random_below(&source, 3); left > 0; left--) {
			size_t at = random_below(&source, size);
			char byte = bytes[random_below(&source, sizeof(bytes) - 1)];
			if (random_below(&source, 2)) {
				memmove(url + at + 1, url + at, size - at);
				size++;
			}
			url[at] = byte;
		}
		url[size] = '\0';
		if (!fetch_is_allowed(
			    slice_text("ok.test"), slice_of(url, size), error, sizeof(error)))
			continue;
		let_through++;
		size_t start = strspn(url, "htp:/");
		size_t end = strcspn(url + start, "/?#:");
		if ((end != 7 && (end != 8 || url[start + 7] != '.')) ||
			strncasecmp(url + start, "ok.test", 7) != 0)
			fail_msg("'%s' is let through", url);
	}
	assert_true(let_through > FUZZ_ROUNDS / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_lets_through_what_it_names_and_nothing_else),
		cmocka_unit_test(a_refusal_names_the_parameter_the_host_and_the_port),
		cmocka_unit_test(a_url_with_a_nul_or_beyond_the_limit_is_refused),
		cmocka_unit_test(only_the_host_with_its_port_opens_private_addresses),
		cmocka_unit_test(what_is_public_ends_at_the_edges_of_the_special_blocks),
		cmocka_unit_test(no_mutation_of_a_url_gets_past_the_host),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
