/*
 * config: the values. Numbers and choices stand in struct config, where everybody reads them; texts
 * stand behind a lock, one slot a row of the table, and are copied out. Lines add up in a list,
 * which nothing changes after the start.
 *
 * Life cycle: config_init gives every parameter its default, through the same path as any other
 * value, so that a default its own row refuses is found by the first run. config_put (files,
 * command line) then changes anything; config_set (CONFIG SET) what the row allows at run time.
 *
 * Threads: numbers are relaxed atomics, since each stands for itself. The lock covers the texts and
 * keeps writers apart; nothing is called under it.
 */
#include "config/config.h"

#include "base/arena.h"
#include "base/glob.h"
#include "base/memory.h"
#include "config/internal.h"
#include "config/line.h"
#include "config/redis_parameters.h"
#include "holdfast/limits.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

/* Of a name that nobody knows, in an error. */
#define SHOWN_BYTES_MAX 64
#define ARENA_BYTES     1024

/* One setting of a parameter that may be given several times. */
struct setting {
	const struct parameter *parameter;
	struct setting *next;
	size_t count;
	struct slice words[];
};

struct config_texts {
	pthread_mutex_t lock;
	struct arena arena;    /* of the lines */
	struct setting *lines; /* in the order given; nothing changes them after the start */
	struct setting **lines_end;
	uint32_t line_count;
	uint64_t memory_bytes; /* of which what is "auto" is a share */
	struct redis_settings *redis;
	bool fsync_no; /* a file wants `appendfsync no` */
	struct row_value {
		char *text; /* NULL for numbers and lines */
		size_t size;
		bool automatic; /* the number follows from memory_bytes */
	} values[];
};

static bool is_fsync_no(struct slice name, struct slice value);
static bool is_text(const struct parameter *parameter);
static bool is_automatic(struct config *config, const struct parameter *parameter);
static _Atomic int64_t *number_of(struct config *config, const struct parameter *parameter);
static struct slice text_of(struct config *config, const char *name);
static void store(struct config *config, const struct parameter *parameter, struct slice value,
	int64_t number);
static int add_line(struct config *config, const struct parameter *parameter,
	const struct slice *words, size_t count, char *error, size_t error_size);
static void show_lines(
	struct config *config, const struct parameter *parameter, struct buffer *out);
static void join(const struct slice *words, size_t count, struct buffer *out);
static void say_unknown(struct slice name, char *error, size_t error_size);
static int check_set(struct config *config, struct slice name, struct slice value, int64_t *number,
	char *error, size_t error_size);

void config_init(struct config *config)
{
	*config = (struct config){ 0 };
	config->texts = memory_zeroed(
		sizeof(*config->texts) + parameters_count * sizeof(config->texts->values[0]));
	pthread_mutex_init(&config->texts->lock, NULL);
	config->texts->redis = redis_settings_new();
	arena_init(&config->texts->arena, ARENA_BYTES);
	config->texts->lines_end = &config->texts->lines;
	config->texts->memory_bytes = UINT64_MAX;
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
		memory_free(config->texts->values[i].text);
	redis_settings_free(&config->texts->redis);
	arena_fini(&config->texts->arena);
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
	struct slice text = text_of(config, name);
	size_t copied = text.size < size - 1 ? text.size : size - 1;
	memcpy(out, text.data, copied);
	out[copied] = '\0';
	pthread_mutex_unlock(&config->texts->lock);
	return text.size;
}

bool config_text_is_empty(struct config *config, const char *name)
{
	pthread_mutex_lock(&config->texts->lock);
	bool empty = text_of(config, name).size == 0;
	pthread_mutex_unlock(&config->texts->lock);
	return empty;
}

bool config_text_matches(struct config *config, const char *name, struct slice candidate)
{
	pthread_mutex_lock(&config->texts->lock);
	struct slice text = text_of(config, name);
	/* Every byte of the candidate is looked at, the text and the zero byte behind it going
	 * round when it is shorter. */
	unsigned different = candidate.size != text.size;
	for (size_t i = 0; i < candidate.size; i++)
		different |= (unsigned char)candidate.data[i] ^
			(unsigned char)text.data[i % (text.size + 1)];
	pthread_mutex_unlock(&config->texts->lock);
	return different == 0;
}

void config_each_line(struct config *config, const char *name, config_line_fn each, void *context)
{
	const struct parameter *parameter = parameter_find(slice_text(name));
	assert(parameter);
	assert(parameter->kind == PARAMETER_LINES);
	for (const struct setting *line = config->texts->lines; line; line = line->next) {
		if (line->parameter == parameter && !each(context, line->words, line->count))
			return;
	}
}

void config_derive(struct config *config, uint64_t memory_bytes)
{
	config->texts->memory_bytes = memory_bytes;
	for (size_t i = 0; i < parameters_count; i++) {
		if (is_automatic(config, &parameters[i]))
			store(config, &parameters[i], slice_text("auto"), PARAMETER_AUTO);
	}
}

uint64_t config_show_derived(struct config *config, struct buffer *out)
{
	uint64_t sum = 0;
	bool first = true;
	for (size_t i = 0; i < parameters_count; i++) {
		const struct parameter *parameter = &parameters[i];
		if (parameter->share == 0)
			continue;
		int64_t number = *number_of(config, parameter);
		sum += (uint64_t)number;
		if (!is_automatic(config, parameter))
			continue;
		buffer_format(out, "%s%s ", first ? "" : ", ", parameter->name);
		parameter_show(parameter, number, PARAMETER_SHORT, out);
		first = false;
	}
	return sum;
}

int config_set(struct config *config, struct slice name, struct slice value, char *error,
	size_t error_size)
{
	int64_t number = 0;
	int result =
		redis_settings_set(config->texts->redis, name, value, false, error, error_size);
	if (result != -ENOENT)
		return result;
	result = check_set(config, name, value, &number, error, error_size);
	if (result == 0)
		store(config, parameter_find(name), value, number);
	return result;
}

int config_check(struct config *config, struct slice name, struct slice value, char *error,
	size_t error_size)
{
	int64_t number;
	int result = redis_settings_set(config->texts->redis, name, value, true, error, error_size);
	return result != -ENOENT ? result
				 : check_set(config, name, value, &number, error, error_size);
}

void config_each_note(struct config *config, config_note_fn each, void *context)
{
	redis_settings_each_note(config->texts->redis, each, context);
	if (config->texts->fsync_no)
		each(context, "appendfsync no", "the weakest is everysec, which is taken for it");
}

void config_get(struct config *config, struct slice pattern, config_found_fn found, void *context)
{
	struct buffer value;
	struct glob glob;
	buffer_init(&value);
	glob_init(&glob, pattern, true);
	for (size_t i = 0; i < parameters_count; i++) {
		const struct parameter *parameter = &parameters[i];
		const char *names[] = { parameter->name, parameter->alias };
		for (size_t n = 0; n < 2 && names[n]; n++) {
			if (!glob_matches(&glob, slice_text(names[n])))
				continue;
			buffer_clear(&value, SIZE_MAX);
			config_show(config, parameter, PARAMETER_PLAIN, &value);
			found(context, names[n], buffer_slice(&value));
		}
	}
	buffer_fini(&value);
	redis_settings_get(config->texts->redis, &glob, found, context);
	glob_fini(&glob);
}

int config_put(struct config *config, struct slice name, const struct slice *words, size_t count,
	char *error, size_t error_size)
{
	const struct parameter *parameter = parameter_find(name);
	if (parameter == NULL) {
		int result = redis_settings_put(
			config->texts->redis, name, words, count, error, error_size);
		if (result == -ENOENT)
			say_unknown(name, error, error_size);
		return result == -ENOENT ? -EINVAL : result;
	}
	struct slice everysec = slice_text("everysec");
	if (slice_is(name, "appendfsync")) {
		config->texts->fsync_no = count == 1 && is_fsync_no(name, words[0]);
		words = config->texts->fsync_no ? &everysec : words;
	}
	size_t words_max = parameter_words_max(parameter);
	const char *complaint = count == 0 ? "a value is missing" : NULL;
	if (count > words_max)
		complaint = words_max == 1 ? "takes one value; quote it if it contains blanks"
					   : "too many values";
	if (complaint) {
		snprintf(error, error_size, "%s: %s", parameter->name, complaint);
		return -EINVAL;
	}
	char reason[256];
	int64_t number = 0;
	struct buffer value;
	buffer_init(&value);
	join(words, count, &value);
	int result =
		parameter_read(parameter, buffer_slice(&value), &number, reason, sizeof(reason));
	if (result == 0 && parameter->kind == PARAMETER_LINES)
		result = add_line(config, parameter, words, count, reason, sizeof(reason));
	else if (result == 0)
		store(config, parameter, buffer_slice(&value), number);
	if (result < 0)
		snprintf(error, error_size, "%s: %s", parameter->name, reason);
	buffer_fini(&value);
	return result;
}

bool config_takes_text(struct slice name)
{
	const struct parameter *parameter = parameter_find(name);
	return parameter ? is_text(parameter) : redis_settings_take_text(name);
}

void config_show(struct config *config, const struct parameter *parameter,
	enum parameter_style style, struct buffer *out)
{
	if (parameter->kind == PARAMETER_LINES) {
		show_lines(config, parameter, out);
	} else if (is_text(parameter)) {
		pthread_mutex_lock(&config->texts->lock);
		const struct row_value *row = &config->texts->values[parameter - parameters];
		buffer_append(out, row->text, row->size);
		pthread_mutex_unlock(&config->texts->lock);
	} else if (style == PARAMETER_SHORT && is_automatic(config, parameter)) {
		buffer_append_text(out, "auto");
	} else {
		parameter_show(parameter, *number_of(config, parameter), style, out);
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
		bool automatic = is_automatic(config, parameter);
		equal = automatic == (number == PARAMETER_AUTO) &&
			(automatic || number == *number_of(config, parameter));
	}
	buffer_fini(&value);
	buffer_fini(&now);
	return equal;
}

/* Redis's third way, which leaves it to the kernel when a write is on disk: everysec here. */
static bool is_fsync_no(struct slice name, struct slice value)
{
	return slice_is(name, "appendfsync") && slice_is(value, "no");
}

static bool is_text(const struct parameter *parameter)
{
	return parameter->kind == PARAMETER_TEXT || parameter->kind == PARAMETER_WORDS;
}

static bool is_automatic(struct config *config, const struct parameter *parameter)
{
	pthread_mutex_lock(&config->texts->lock);
	bool automatic = config->texts->values[parameter - parameters].automatic;
	pthread_mutex_unlock(&config->texts->lock);
	return automatic;
}

static _Atomic int64_t *number_of(struct config *config, const struct parameter *parameter)
{
	return (_Atomic int64_t *)((char *)config + parameter->field);
}

/* The lock is held; a zero byte stands behind it. */
static struct slice text_of(struct config *config, const char *name)
{
	const struct parameter *parameter = parameter_find(slice_text(name));
	assert(parameter);
	assert(is_text(parameter));
	const struct row_value *row = &config->texts->values[parameter - parameters];
	return slice_of(row->text, row->size);
}

/* `value` has been read by the row's rules, for numbers with the result `number`. */
static void store(struct config *config, const struct parameter *parameter, struct slice value,
	int64_t number)
{
	pthread_mutex_lock(&config->texts->lock);
	if (is_text(parameter)) {
		struct row_value *row = &config->texts->values[parameter - parameters];
		memory_free(row->text);
		row->text = memory_alloc(value.size + 1);
		row->size = value.size;
		if (value.size)
			memcpy(row->text, value.data, value.size);
		row->text[value.size] = '\0';
	} else if (parameter_is_number(parameter)) {
		struct row_value *row = &config->texts->values[parameter - parameters];
		row->automatic = number == PARAMETER_AUTO;
		if (row->automatic)
			number = parameter_derive(parameter, config->texts->memory_bytes);
		atomic_store_explicit(number_of(config, parameter), number, memory_order_relaxed);
	}
	pthread_mutex_unlock(&config->texts->lock);
}

static int add_line(struct config *config, const struct parameter *parameter,
	const struct slice *words, size_t count, char *error, size_t error_size)
{
	struct config_texts *texts = config->texts;
	int result = parameter->rule(words, count, error, error_size);
	if (result < 0)
		return result;
	if (texts->line_count == LIMIT_CONFIG_LINES) {
		snprintf(error, error_size,
			"a configuration has at most %d lines of env and schedule",
			LIMIT_CONFIG_LINES);
		return -EINVAL;
	}
	struct setting *line =
		arena_alloc(&texts->arena, sizeof(*line) + count * sizeof(line->words[0]));
	*line = (struct setting){ .parameter = parameter, .count = count };
	for (size_t i = 0; i < count; i++)
		line->words[i] = arena_copy(&texts->arena, words[i]);
	*texts->lines_end = line;
	texts->lines_end = &line->next;
	texts->line_count++;
	return 0;
}

static void show_lines(struct config *config, const struct parameter *parameter, struct buffer *out)
{
	bool first = true;
	for (const struct setting *line = config->texts->lines; line; line = line->next) {
		if (line->parameter != parameter)
			continue;
		buffer_append_text(out, first ? "" : "\n");
		first = false;
		for (size_t i = 0; i < line->count; i++) {
			buffer_append_text(out, i ? " " : "");
			if (parameter->hidden && i >= PARAMETER_WORDS_SHOWN)
				buffer_append_text(out, "(hidden)");
			else
				line_quote(line->words[i], out);
		}
	}
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

static int check_set(struct config *config, struct slice name, struct slice value, int64_t *number,
	char *error, size_t error_size)
{
	const struct parameter *parameter = parameter_find(name);
	if (parameter == NULL) {
		say_unknown(name, error, error_size);
		return -ENOENT;
	}
	if (!parameter->at_run_time) {
		snprintf(error, error_size, "can't set immutable config");
		return -EPERM;
	}
	if (is_fsync_no(name, value))
		value = slice_text("everysec");
	int result = parameter_read(parameter, value, number, error, error_size);
	return result ? result : config_agree(config, parameter, value, error, error_size);
}
