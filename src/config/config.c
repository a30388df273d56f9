/*
 * config: the values. Numbers and choices stand in struct config, where everybody reads them; texts
 * stand behind a lock, one slot a row of the table, and are copied out.
 *
 * Life cycle: config_init gives every parameter its default, through the same path as any other
 * value, so that a default its own row refuses is found by the first run. config_put (files,
 * command line) then changes anything; config_set (CONFIG SET) what the row allows at run time.
 *
 * Threads: numbers are relaxed atomics, since each stands for itself. The lock covers the texts and
 * keeps writers apart; nothing is called under it.
 */
#include "config/config.h"

#include "base/glob.h"
#include "base/memory.h"
#include "config/internal.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

/* Of a name that nobody knows, in an error. */
#define SHOWN_BYTES_MAX 64

struct config_texts {
	pthread_mutex_t lock;
	char *values[]; /* a row's text; NULL for numbers and constants */
};

static bool is_text(const struct parameter *parameter);
static _Atomic int64_t *number_of(struct config *config, const struct parameter *parameter);
static char **text_of(struct config *config, const char *name);
static void store(struct config *config, const struct parameter *parameter, struct slice value,
	int64_t number);
static void join(const struct slice *words, size_t count, struct buffer *out);
static void say_unknown(struct slice name, char *error, size_t error_size);
static int check_set(
	struct slice name, struct slice value, int64_t *number, char *error, size_t error_size);

void config_init(struct config *config)
{
	*config = (struct config){ 0 };
	config->texts = memory_zeroed(
		sizeof(*config->texts) + parameters_count * sizeof(config->texts->values[0]));
	pthread_mutex_init(&config->texts->lock, NULL);
	for (size_t i = 0; i < parameters_count; i++) {
		struct slice value = slice_text(parameters[i].initial);
		int64_t number = 0;
		char error[256];
		int result = parameter_read(&parameters[i], value, &number, error, sizeof(error));
		assert(result == 0);
		store(config, &parameters[i], value, number);
	}
}

void config_fini(struct config *config)
{
	for (size_t i = 0; i < parameters_count; i++)
		memory_free(config->texts->values[i]);
	pthread_mutex_destroy(&config->texts->lock);
	memory_free(config->texts);
	memory_free(config->file);
	config->texts = NULL;
	config->file = NULL;
}

size_t config_text_copy(struct config *config, const char *name, char *out, size_t size)
{
	assert(size > 0);
	pthread_mutex_lock(&config->texts->lock);
	const char *text = *text_of(config, name);
	size_t length = strlen(text);
	size_t copied = length < size - 1 ? length : size - 1;
	memcpy(out, text, copied);
	out[copied] = '\0';
	pthread_mutex_unlock(&config->texts->lock);
	return length;
}

bool config_text_is_empty(struct config *config, const char *name)
{
	pthread_mutex_lock(&config->texts->lock);
	bool empty = **text_of(config, name) == '\0';
	pthread_mutex_unlock(&config->texts->lock);
	return empty;
}

bool config_text_matches(struct config *config, const char *name, struct slice candidate)
{
	pthread_mutex_lock(&config->texts->lock);
	const char *text = *text_of(config, name);
	size_t size = strlen(text) + 1;
	/* Every byte of the candidate is looked at, the text going round when it is shorter. */
	unsigned different = candidate.size + 1 != size;
	for (size_t i = 0; i < candidate.size; i++)
		different |= (unsigned char)candidate.data[i] ^ (unsigned char)text[i % size];
	pthread_mutex_unlock(&config->texts->lock);
	return different == 0;
}

int config_set(struct config *config, struct slice name, struct slice value, char *error,
	size_t error_size)
{
	int64_t number = 0;
	int result = check_set(name, value, &number, error, error_size);
	if (result == 0)
		store(config, parameter_find(name), value, number);
	return result;
}

int config_check(struct config *config, struct slice name, struct slice value, char *error,
	size_t error_size)
{
	(void)config;
	int64_t number;
	return check_set(name, value, &number, error, error_size);
}

void config_get(struct config *config, struct slice pattern, config_found_fn found, void *context)
{
	struct buffer value;
	buffer_init(&value);
	for (size_t i = 0; i < parameters_count; i++) {
		const struct parameter *parameter = &parameters[i];
		const char *names[] = { parameter->name, parameter->alias };
		for (size_t n = 0; n < 2 && names[n]; n++) {
			if (!glob_match(pattern, slice_text(names[n]), true))
				continue;
			buffer_clear(&value, SIZE_MAX);
			config_show(config, parameter, PARAMETER_PLAIN, &value);
			buffer_append(&value, "", 1);
			found(context, names[n], value.data);
		}
	}
	buffer_fini(&value);
}

int config_put(struct config *config, struct slice name, const struct slice *words, size_t count,
	char *error, size_t error_size)
{
	const struct parameter *parameter = parameter_find(name);
	if (parameter == NULL) {
		say_unknown(name, error, error_size);
		return -EINVAL;
	}
	bool several = parameter->kind == PARAMETER_WORDS || parameter->kind == PARAMETER_CONSTANT;
	if (count == 0 || (count > 1 && !several) || count == CONFIG_WORDS_MAX) {
		snprintf(error, error_size, "%s: %s", parameter->name,
			count == 0        ? "a value is missing"
				: several ? "too many values"
					  : "takes one value; quote it if it contains blanks");
		return -EINVAL;
	}
	char reason[256];
	int64_t number = 0;
	struct buffer value;
	buffer_init(&value);
	join(words, count, &value);
	int result =
		parameter_read(parameter, buffer_slice(&value), &number, reason, sizeof(reason));
	if (result == 0)
		store(config, parameter, buffer_slice(&value), number);
	else
		snprintf(error, error_size, "%s: %s", parameter->name, reason);
	buffer_fini(&value);
	return result;
}

void config_show(struct config *config, const struct parameter *parameter,
	enum parameter_style style, struct buffer *out)
{
	if (parameter->kind == PARAMETER_CONSTANT) {
		buffer_append_text(out, parameter->initial);
	} else if (is_text(parameter)) {
		pthread_mutex_lock(&config->texts->lock);
		buffer_append_text(out, config->texts->values[parameter - parameters]);
		pthread_mutex_unlock(&config->texts->lock);
	} else {
		int64_t number =
			atomic_load_explicit(number_of(config, parameter), memory_order_relaxed);
		parameter_show(parameter, number, style, out);
	}
}

bool config_equals(struct config *config, const struct parameter *parameter,
	const struct slice *words, size_t count)
{
	struct buffer value, now;
	buffer_init(&value);
	buffer_init(&now);
	join(words, count, &value);
	config_show(config, parameter, PARAMETER_PLAIN, &now);
	int64_t number;
	char error[256];
	bool equal = slice_equal(buffer_slice(&value), buffer_slice(&now));
	if (parameter_is_number(parameter) &&
		parameter_read(parameter, buffer_slice(&value), &number, error, sizeof(error)) ==
			0) {
		buffer_clear(&value, SIZE_MAX);
		parameter_show(parameter, number, PARAMETER_PLAIN, &value);
		equal = slice_equal(buffer_slice(&value), buffer_slice(&now));
	}
	buffer_fini(&value);
	buffer_fini(&now);
	return equal;
}

static bool is_text(const struct parameter *parameter)
{
	return parameter->kind == PARAMETER_TEXT || parameter->kind == PARAMETER_WORDS;
}

static _Atomic int64_t *number_of(struct config *config, const struct parameter *parameter)
{
	return (_Atomic int64_t *)((char *)config + parameter->field);
}

/* The lock is held. */
static char **text_of(struct config *config, const char *name)
{
	const struct parameter *parameter = parameter_find(slice_text(name));
	assert(parameter);
	assert(is_text(parameter));
	return &config->texts->values[parameter - parameters];
}

/* `value` has been read by the row's rules, for numbers with the result `number`. */
static void store(struct config *config, const struct parameter *parameter, struct slice value,
	int64_t number)
{
	pthread_mutex_lock(&config->texts->lock);
	if (is_text(parameter)) {
		char **slot = &config->texts->values[parameter - parameters];
		memory_free(*slot);
		*slot = memory_alloc(value.size + 1);
		if (value.size)
			memcpy(*slot, value.data, value.size);
		(*slot)[value.size] = '\0';
	} else if (parameter_is_number(parameter)) {
		atomic_store_explicit(number_of(config, parameter), number, memory_order_relaxed);
	}
	pthread_mutex_unlock(&config->texts->lock);
}

static void join(const struct slice *words, size_t count, struct buffer *out)
{
	for (size_t i = 0; i < count; i++) {
		if (i)
			buffer_append(out, " ", 1);
		buffer_append(out, words[i].data, words[i].size);
	}
}

static void say_unknown(struct slice name, char *error, size_t error_size)
{
	const char *nearest = parameter_nearest(name);
	int shown = (int)(name.size < SHOWN_BYTES_MAX ? name.size : SHOWN_BYTES_MAX);
	if (nearest)
		snprintf(error, error_size, "unknown parameter '%.*s'; did you mean '%s'?", shown,
			name.data, nearest);
	else
		snprintf(error, error_size, "unknown parameter '%.*s'", shown, name.data);
}

static int check_set(
	struct slice name, struct slice value, int64_t *number, char *error, size_t error_size)
{
	const struct parameter *parameter = parameter_find(name);
	if (parameter == NULL) {
		say_unknown(name, error, error_size);
		return -ENOENT;
	}
	if (!parameter->at_run_time && parameter->kind != PARAMETER_CONSTANT) {
		snprintf(error, error_size, "can't set immutable config");
		return -EPERM;
	}
	return parameter_read(parameter, value, number, error, error_size);
}
