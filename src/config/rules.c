/*
 * rules: see rules.h. They are checked when a value is read, so that a mistake stops the start, or
 * refuses the CONFIG SET, instead of showing at the first fetch or at the next full hour.
 *
 * Class names follow the object layer's own rule, which lies above this folder: 1 to 64 letters,
 * digits and underscores, the first a letter. What a class's methods are is known only when it is
 * loaded; here a method must merely be a name that Lua and its callers could use.
 *
 * Any thread; nothing is kept between calls.
 */
#include "config/rules.h"

#include "base/cron.h"
#include "base/number.h"
#include "holdfast/limits.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

/* Of a wrong word, in an error. */
#define SHOWN_BYTES_MAX 64

/* A name in DNS, RFC 1035. */
#define HOST_BYTES_MAX  253
#define LABEL_BYTES_MAX 63

#define ENV_FORM      "the form is CLASS NAME VALUE; quote a value that contains blanks"
#define SCHEDULE_FORM "the form is \"CRON\" CLASS METHOD [PREFIX p], with quotes around CRON"

static const char *fetch_allow_complaint(struct slice word);
static bool take_port(struct slice *word);
static bool is_host(struct slice host);
static bool is_address(struct slice bracketed);
static bool is_name(struct slice word, bool digit_first);
static bool is_class(struct slice word);
static int refuse(char *error, size_t error_size, struct slice word, const char *complaint);

int rule_fetch_allow(const struct slice *words, size_t count, char *error, size_t error_size)
{
	for (size_t i = 0; i < count; i++) {
		const char *complaint = fetch_allow_complaint(words[i]);
		if (complaint)
			return refuse(error, error_size, words[i], complaint);
	}
	return 0;
}

int rule_env(const struct slice *words, size_t count, char *error, size_t error_size)
{
	if (count != 3) {
		snprintf(error, error_size, ENV_FORM);
		return -EINVAL;
	}
	/* The words are not shown: in a line with a word too few or too many any may be secret. */
	bool class_ok = slice_is(words[0], "*") || is_class(words[0]);
	if (class_ok && is_name(words[1], true))
		return 0;
	snprintf(error, error_size, "%s",
		class_ok ? "NAME must be 1 to 64 letters, digits and underscores"
			 : "CLASS must be '*' or the name of a class");
	return -EINVAL;
}

int rule_schedule(const struct slice *words, size_t count, char *error, size_t error_size)
{
	struct cron cron;
	if (count != 3 && count != 5) {
		snprintf(error, error_size, SCHEDULE_FORM);
		return -EINVAL;
	}
	if (cron_parse(words[0], &cron, error, error_size) < 0)
		return -EINVAL;
	if (!is_class(words[1]))
		return refuse(error, error_size, words[1], "is not a class name");
	if (!is_name(words[2], false))
		return refuse(error, error_size, words[2], "is not the name of a public method");
	if (count == 5 && !slice_is(words[3], "PREFIX"))
		return refuse(error, error_size, words[3], "stands where PREFIX is expected");
	if (count == 5 && words[4].size > LIMIT_KEY_BYTES) {
		snprintf(error, error_size,
			"the prefix is longer than an id, which has at most %d bytes",
			LIMIT_KEY_BYTES);
		return -EINVAL;
	}
	return 0;
}

/* The words behind the first two are not shown: headers hold secrets. */
int rule_cache_origin(const struct slice *words, size_t count, char *error, size_t error_size)
{
	if (count < 2) {
		snprintf(error, error_size, "a line is PREFIX URL [\"Name: value\" ...]");
		return -EINVAL;
	}
	if (words[0].size == 0 || words[0].size > LIMIT_KEY_BYTES)
		return refuse(error, error_size, words[0], "is not the prefix of a key");
	if (!slice_starts_with(words[1], slice_text("http://")) &&
		!slice_starts_with(words[1], slice_text("https://")))
		return refuse(error, error_size, words[1], "is not an http or https URL");
	/* What follows in a key must not go on with the host's name or port. */
	const char *host = memmem(words[1].data, words[1].size, "://", 3);
	size_t rest = words[1].size - (size_t)(host + 3 - words[1].data);
	if (memchr(host + 3, '/', rest) == NULL)
		return refuse(error, error_size, words[1], "has no path; end it with /");
	for (size_t i = 2; i < count; i++) {
		const char *colon = memchr(words[i].data, ':', words[i].size);
		if (colon != NULL && colon != words[i].data)
			continue;
		snprintf(error, error_size, "header %zu is not of the form \"Name: value\"", i - 1);
		return -EINVAL;
	}
	return 0;
}

int rule_percentiles(const struct slice *words, size_t count, char *error, size_t error_size)
{
	for (size_t i = 0; i < count; i++) {
		long double percent;
		if (!number_parse_float(words[i], &percent) || percent < 0 || percent > 100) {
			snprintf(error, error_size,
				"argument must be numbers between 0 and 100, which are percents");
			return -EINVAL;
		}
	}
	return 0;
}

/* NULL, or what is wrong with the word. */
static const char *fetch_allow_complaint(struct slice word)
{
	if (memmem(word.data, word.size, "://", 3))
		return "is a URL; name the host alone, or host:port";
	if (memchr(word.data, '/', word.size))
		return "has a path or a network mask; name the host alone, or host:port";
	const char *colon = memchr(word.data, ':', word.size);
	bool bracketed = word.size && word.data[0] == '[';
	if (!bracketed && colon && memrchr(word.data, ':', word.size) != colon)
		return "is not a host; an IPv6 address stands in brackets: [::1]:8080";
	if (!take_port(&word))
		return "has a wrong port; it must be between 1 and 65535";
	if (bracketed)
		return is_address(word) ? NULL : "is not an IPv6 address in brackets";
	bool starred = slice_starts_with(word, slice_text("*."));
	if (starred)
		word = slice_of(word.data + 2, word.size - 2);
	if (memchr(word.data, '*', word.size))
		return "has a '*' that is not the first label, as in *.example.com";
	return is_host(word) ? NULL : "is not a host, host:port, *.domain or [address]:port";
}

/* Cuts `:port` off the end. False: it is there and wrong. */
static bool take_port(struct slice *word)
{
	const char *colon = memrchr(word->data, ':', word->size);
	const char *end = word->data + word->size;
	if (colon == NULL || memchr(colon, ']', (size_t)(end - colon)))
		return true;
	unsigned port = 0;
	for (const char *c = colon + 1; c < end; c++) {
		if (!isdigit((unsigned char)*c) || end - colon > 6)
			return false;
		port = port * 10 + (unsigned)(*c - '0');
	}
	word->size = (size_t)(colon - word->data);
	return port >= 1 && port <= 65535;
}

static bool is_host(struct slice host)
{
	if (host.size == 0 || host.size > HOST_BYTES_MAX)
		return false;
	size_t label = 0;
	for (size_t i = 0; i < host.size; i++) {
		char c = host.data[i];
		if (c == '.' && label == 0)
			return false;
		label = c == '.' ? 0 : label + 1;
		bool inner = isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
		if (!inner || label > LABEL_BYTES_MAX)
			return false;
	}
	return label > 0;
}

static bool is_address(struct slice bracketed)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	if (bracketed.size < 4 || bracketed.data[bracketed.size - 1] != ']' ||
		bracketed.size - 2 >= sizeof(text))
		return false;
	memcpy(text, bracketed.data + 1, bracketed.size - 2);
	text[bracketed.size - 2] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

/* Letters, digits and underscores; without `digit_first` the first is a letter. */
static bool is_name(struct slice word, bool digit_first)
{
	if (word.size == 0 || word.size > LIMIT_CLASS_NAME_BYTES)
		return false;
	for (size_t i = 0; i < word.size; i++) {
		char c = word.data[i];
		bool inner = (c >= '0' && c <= '9') || c == '_';
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(inner && (digit_first || i > 0)))
			return false;
	}
	return true;
}

static bool is_class(struct slice word)
{
	return is_name(word, false);
}

static int refuse(char *error, size_t error_size, struct slice word, const char *complaint)
{
	int shown = (int)(word.size < SHOWN_BYTES_MAX ? word.size : SHOWN_BYTES_MAX);
	snprintf(error, error_size, "'%.*s' %s", shown, word.data, complaint);
	return -EINVAL;
}
