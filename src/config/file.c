/*
 * file: configuration files. Reading one, writing the sample from the table, and CONFIG REWRITE,
 * which brings the running values back into the file that the server was started with.
 *
 * A rewrite keeps every line it need not touch: comments, order, and the spelling of values that
 * still hold. A line whose parameter has another value now is replaced where it stands, a repeated
 * one is dropped (the last would win), and what differs from the defaults but has no line is added
 * at the end. Of parameters that may be given several times the file's lines stay and none is
 * added: what the command line gave would count twice at the next start. The new file is written
 * beside the old one, synced and renamed over it, so that a crash leaves one or the other.
 *
 * Threads: reading belongs to the start. Rewrites may meet; each makes a file of its own, and the
 * last rename stays.
 */
#include "base/disk.h"
#include "base/memory.h"
#include "config/config.h"
#include "config/internal.h"
#include "config/line.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_BYTES  4096
#define REWRITE_MARK "# Added by CONFIG REWRITE"
#define SAMPLE_WIDTH 90

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* One line of a file, with its words: [0] is the name. count 0: blank or a comment. */
struct file_line {
	struct slice text;
	struct slice words[1 + CONFIG_WORDS_MAX];
	int count; /* or negative errno of line_split */
};

typedef int (*file_line_fn)(void *context, const struct file_line *line, unsigned number);

/* Contexts of the two. */
struct parsing {
	struct config *config;
	const char *path;
	char *error;
	size_t error_size;
};

struct rewriting {
	struct config *config;
	struct buffer out;
	bool *written; /* by row of the table */
};

static int read_lines(const char *path, file_line_fn each, void *context);
static int parse_line(void *context, const struct file_line *line, unsigned number);
static int rewrite_line(void *context, const struct file_line *line, unsigned number);
static void keep_line(const struct file_line *line, struct buffer *out);
static void write_setting(struct config *config, const struct parameter *parameter,
	struct slice name, struct buffer *out);
static int replace_file(const char *path, struct slice bytes);
static int write_all(int fd, struct slice bytes);
static void write_wrapped(const char *text, struct buffer *out);

int config_parse_file(struct config *config, const char *path, char *error, size_t error_size)
{
	struct parsing parsing = { config, path, error, error_size };
	int result = read_lines(path, parse_line, &parsing);
	if (result < 0 && result != -EINVAL) {
		snprintf(error, error_size, "cannot read '%s': %s", path, strerror(-result));
		result = -EINVAL;
	}
	return result;
}

int config_rewrite(struct config *config)
{
	if (config->file == NULL)
		return -ENOENT;
	struct rewriting rewriting = { .config = config };
	buffer_init(&rewriting.out);
	rewriting.written = memory_zeroed(parameters_count * sizeof(bool));
	int result = read_lines(config->file, rewrite_line, &rewriting);

	bool marked = false;
	for (size_t i = 0; i < parameters_count; i++) {
		const struct parameter *parameter = &parameters[i];
		struct slice initial = slice_text(parameter->initial);
		if (rewriting.written[i] || parameter->kind == PARAMETER_LINES ||
			config_equals(config, parameter, &initial, 1))
			continue;
		if (!marked)
			buffer_append_text(&rewriting.out, REWRITE_MARK "\n");
		marked = true;
		write_setting(config, parameter, slice_text(parameter->name), &rewriting.out);
	}
	if (result == 0)
		result = replace_file(config->file, buffer_slice(&rewriting.out));
	memory_free(rewriting.written);
	buffer_fini(&rewriting.out);
	return result;
}

void config_write_sample(struct buffer *out)
{
	buffer_append_text(out,
		"# Holdfast's configuration: every parameter with its default.\n"
		"# The syntax is that of redis.conf: a name and its value on a line, "
		"quotes where needed.\n"
		"# The same on the command line: holdfast-server [file] --name value ...\n");
	for (size_t i = 0; i < parameters_count; i++) {
		const struct parameter *parameter = &parameters[i];
		if (parameter->section)
			buffer_format(out, "\n### %s\n", parameter->section);
		buffer_append_text(out, "\n");
		write_wrapped(parameter->text, out);
		buffer_append_text(out, "# ");
		if (parameter_is_number(parameter)) {
			parameter_show_range(parameter, out);
			buffer_append_text(out, "; ");
		}
		if (parameter->share) {
			parameter_show_auto(parameter, out);
			buffer_append_text(out, "\n# ");
		}
		buffer_append_text(
			out, parameter->at_run_time ? "also by CONFIG SET" : "read at start");
		if (parameter->alias)
			buffer_format(out, "; Redis's name for it is %s", parameter->alias);
		buffer_append_text(out, "\n");
		if (parameter->example)
			buffer_format(out, "# %s %s\n", parameter->name, parameter->example);
		if (parameter->kind == PARAMETER_LINES)
			continue;
		buffer_format(out, "%s ", parameter->name);
		buffer_append_text(out, *parameter->initial ? parameter->initial : "\"\"");
		buffer_append_text(out, "\n");
	}
}

/* Calls `each` with every line until one returns other than 0; returns that, or the errno of
 * reading. */
static int read_lines(const char *path, file_line_fn each, void *context)
{
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return -errno;
	struct arena arena;
	arena_init(&arena, ARENA_BYTES);
	char *text = NULL;
	size_t capacity = 0;
	int result = 0;
	for (unsigned number = 1; result == 0; number++) {
		errno = 0;
		ssize_t size = getline(&text, &capacity, file);
		if (size < 0) {
			result = ferror(file) ? -errno : 0;
			break;
		}
		struct file_line line = { .text = slice_of(text, (size_t)size) };
		struct slice rest = line.text;
		/* Editors of Windows put a byte order mark in front of UTF-8. */
		if (number == 1 && slice_starts_with(rest, slice_text(BYTE_ORDER_MARK)))
			rest = slice_of(rest.data + strlen(BYTE_ORDER_MARK),
				rest.size - strlen(BYTE_ORDER_MARK));
		size_t start = strspn(rest.data, " \t\r\n");
		if (rest.data[start] != '#')
			line.count = line_split(rest, &arena, line.words, 1 + CONFIG_WORDS_MAX);
		result = each(context, &line, number);
		arena_reset(&arena);
	}
	free(text);
	arena_fini(&arena);
	fclose(file);
	return result;
}

static int parse_line(void *context, const struct file_line *line, unsigned number)
{
	struct parsing *parsing = context;
	char reason[512];
	if (line->count == 0)
		return 0;
	if (line->count == -EINVAL)
		snprintf(reason, sizeof(reason), "unbalanced quotes");
	else if (line->count < 0)
		snprintf(reason, sizeof(reason), "too many values");
	else if (slice_is(line->words[0], "include"))
		snprintf(reason, sizeof(reason), "include is not supported; write one file");
	else if (config_put(parsing->config, line->words[0], &line->words[1],
			 (size_t)line->count - 1, reason, sizeof(reason)) == 0)
		return 0;
	snprintf(parsing->error, parsing->error_size, "%s:%u: %s", parsing->path, number, reason);
	return -EINVAL;
}

static int rewrite_line(void *context, const struct file_line *line, unsigned number)
{
	(void)number;
	struct rewriting *rewriting = context;
	const struct parameter *parameter = line->count > 0 ? parameter_find(line->words[0]) : NULL;
	if (parameter == NULL || parameter->kind == PARAMETER_LINES) {
		keep_line(line, &rewriting->out);
		return 0;
	}
	bool *written = &rewriting->written[parameter - parameters];
	if (*written)
		return 0;
	*written = true;
	if (config_equals(rewriting->config, parameter, &line->words[1], (size_t)line->count - 1)) {
		keep_line(line, &rewriting->out);
	} else {
		write_setting(rewriting->config, parameter, line->words[0], &rewriting->out);
	}
	return 0;
}

static void keep_line(const struct file_line *line, struct buffer *out)
{
	bool ended = line->text.data[line->text.size - 1] == '\n';
	buffer_append(out, line->text.data, line->text.size);
	buffer_append_text(out, ended ? "" : "\n");
}

/* `name value`, under the name that the file uses for it. */
static void write_setting(struct config *config, const struct parameter *parameter,
	struct slice name, struct buffer *out)
{
	struct buffer value;
	buffer_init(&value);
	config_show(config, parameter, PARAMETER_SHORT, &value);
	buffer_append(out, name.data, name.size);
	buffer_append(out, " ", 1);
	if (parameter->kind == PARAMETER_WORDS && value.size)
		buffer_append(out, value.data, value.size);
	else
		line_quote(buffer_slice(&value), out);
	buffer_append(out, "\n", 1);
	buffer_fini(&value);
}

/* Whole or not at all, with the permissions that the old file has. */
static int replace_file(const char *path, struct slice bytes)
{
	char fresh[PATH_MAX + 8], directory[PATH_MAX];
	struct stat status;
	snprintf(fresh, sizeof(fresh), "%s.XXXXXX", path);
	snprintf(directory, sizeof(directory), "%s", path);
	int fd = mkostemp(fresh, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int result = write_all(fd, bytes);
	if (result == 0 &&
		(stat(path, &status) != 0 || fchmod(fd, status.st_mode & 07777) != 0 ||
			fsync(fd) != 0 || rename(fresh, path) != 0))
		result = -errno;
	close(fd);
	if (result == 0)
		return disk_sync_directory(disk_system(), dirname(directory));
	unlink(fresh);
	return result;
}

static int write_all(int fd, struct slice bytes)
{
	while (bytes.size) {
		ssize_t written = write(fd, bytes.data, bytes.size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		bytes = slice_of(bytes.data + written, bytes.size - (size_t)written);
	}
	return 0;
}

/* The text as comment lines, broken at blanks. */
static void write_wrapped(const char *text, struct buffer *out)
{
	while (*text) {
		size_t size = strlen(text);
		if (size > SAMPLE_WIDTH) {
			size = SAMPLE_WIDTH;
			while (text[size] != ' ')
				size--;
		}
		buffer_format(out, "# %.*s\n", (int)size, text);
		text += size;
		text += strspn(text, " ");
	}
}
