/*
 * arguments: the command line, `holdfast-server [file] [--name value ...]`, and --help.
 *
 * A name takes all words up to the next one that begins with `--`; where any text may be a value,
 * as of a password, the first is one whatever it begins with. `"--maxclients 100"` may be one
 * argument, and `--save` have no value, as in Redis. The file is read first, so what the command
 * line says wins wherever it stands. --help, --version and --sample-config win over everything
 * else, errors included: who asks for help may have got the rest wrong.
 *
 * Runs once, at the start, on the main thread.
 */
#include "config/config.h"

#include "base/arena.h"
#include "base/memory.h"
#include "config/internal.h"
#include "config/line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define HELP_COLUMN 36
#define ARENA_BYTES 512

static void write_allowed(const struct parameter *parameter, struct buffer *out);
static bool is_option(const char *argument);
static bool takes_any_word(int argc, char **argv);
static enum config_action action_asked(int argc, char **argv);
static int take_option(
	struct config *config, int argc, char **argv, char *error, size_t error_size);

int config_parse_arguments(struct config *config, int argc, char **argv, enum config_action *action,
	char *error, size_t error_size)
{
	*action = action_asked(argc, argv);
	if (*action != CONFIG_RUN && *action != CONFIG_CHECK && *action != CONFIG_TEST)
		return 0;
	int at = argc > 1 && strcmp(argv[1], "--check-config") == 0 ? 2 : 1;
	if (at < argc && argv[at][0] != '-') {
		int result = config_parse_file(config, argv[at], error, error_size);
		if (result < 0)
			return result;
		char *path = realpath(argv[at], NULL);
		config->file = memory_copy_text(path ? path : argv[at]);
		free(path);
		at++;
	}
	while (at < argc) {
		int taken = take_option(config, argc - at, argv + at, error, error_size);
		if (taken < 0)
			return taken;
		at += taken;
	}
	return config_agree_all(config, error, error_size);
}

void config_write_help(struct buffer *out)
{
	buffer_append_text(out,
		"Usage: holdfast-server [file] [--name value ...]\n"
		"\n"
		"  file                              configuration in redis.conf syntax\n"
		"  --name value ...                  one parameter, as in the file; wins over the file\n"
		"  --help, -h                        this text\n"
		"  --version, -v                     the version\n"
		"  --check-config                    read the configuration, look at its directories and files,\n"
		"                                    say what is wrong, do not run\n"
		"  --sample-config                   a configuration file with every parameter explained\n"
		"  --commands                        a list of all commands, in Markdown\n"
		"  --test FILE.lua ...               run tests of classes: X.lua is class X, X_test.lua a test\n"
		"\n"
		"Parameters and their defaults, those that may be given several times by example; in brackets\n"
		"what is allowed:\n");
	for (size_t i = 0; i < parameters_count; i++) {
		const struct parameter *parameter = &parameters[i];
		const char *shown = *parameter->initial ? parameter->initial : "\"\"";
		if (parameter->kind == PARAMETER_LINES)
			shown = parameter->example;
		size_t start = out->size;
		buffer_format(out, "  --%s %s", parameter->name, shown);
		size_t written = out->size - start;
		if (written >= HELP_COLUMN) {
			buffer_append_text(out, "\n");
			written = 0;
		}
		buffer_format(out, "%*s%s", (int)(HELP_COLUMN - written), "", parameter->text);
		write_allowed(parameter, out);
		buffer_append_text(out, "\n");
	}
}

static void write_allowed(const struct parameter *parameter, struct buffer *out)
{
	if (!parameter_is_number(parameter))
		return;
	buffer_append_text(out, " [");
	parameter_show_range(parameter, out);
	if (parameter->share) {
		buffer_append_text(out, "; ");
		parameter_show_auto(parameter, out);
	}
	buffer_append_text(out, "]");
}

static bool is_option(const char *argument)
{
	return argument[0] == '-' && argument[1] == '-';
}

static enum config_action action_asked(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum config_action action;
	} actions[] = {
		{ "--help", CONFIG_HELP },
		{ "--version", CONFIG_VERSION },
		{ "--sample-config", CONFIG_SAMPLE },
		{ "--commands", CONFIG_COMMANDS },
	};
	if (argc == 2 && strcmp(argv[1], "-h") == 0)
		return CONFIG_HELP;
	if (argc == 2 && strcmp(argv[1], "-v") == 0)
		return CONFIG_VERSION;
	enum config_action asked = CONFIG_RUN;
	for (int i = 1; i < argc; i++) {
		if (takes_any_word(argc - i, argv + i)) {
			i++;
			continue;
		}
		for (size_t a = 0; a < sizeof(actions) / sizeof(actions[0]); a++) {
			if (strcmp(argv[i], actions[a].name) == 0)
				return actions[a].action;
		}
		if (strcmp(argv[i], "--check-config") == 0)
			asked = CONFIG_CHECK;
		if (strcmp(argv[i], "--test") == 0)
			asked = CONFIG_TEST;
	}
	return asked;
}

/* Whether argv[0] is a parameter that has the next word for its value, though it look like an
 * option: one whose value may be any text. */
static bool takes_any_word(int argc, char **argv)
{
	if (!is_option(argv[0]) || argc < 2 || strpbrk(argv[0], " \t"))
		return false;
	return config_takes_text(slice_text(argv[0] + 2));
}

/* Words up to the next option. */
static int words_behind(int argc, char **argv)
{
	int count = takes_any_word(argc, argv);
	while (1 + count < argc && !is_option(argv[1 + count]))
		count++;
	return count;
}

char **config_test_files(int argc, char **argv, int *count)
{
	*count = 0;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--test") == 0) {
			*count = words_behind(argc - i, argv + i);
			return argv + i + 1;
		}
	}
	return argv;
}

/* One option with its values from argv[0] on: how many arguments it took, or -EINVAL. */
static int take_option(struct config *config, int argc, char **argv, char *error, size_t error_size)
{
	if (!is_option(argv[0])) {
		snprintf(error, error_size,
			"command line: unexpected argument '%s'; parameters are given as --name value",
			argv[0]);
		return -EINVAL;
	}
	if (strcmp(argv[0], "--check-config") == 0)
		return 1;
	if (strcmp(argv[0], "--test") == 0)
		return 1 + words_behind(argc, argv);
	/* The name, perhaps values in the same argument, then those of the next ones. */
	struct slice words[1 + CONFIG_WORDS_MAX];
	struct arena arena;
	arena_init(&arena, ARENA_BYTES);
	int more = words_behind(argc, argv);
	int count = line_split(slice_text(argv[0] + 2), &arena, words, 1 + CONFIG_WORDS_MAX);
	for (int i = 0; i < more && count > 0 && count < 1 + CONFIG_WORDS_MAX; i++)
		words[count++] = slice_text(argv[1 + i]);
	if (count == 1 && more == 0 && slice_is(words[0], "save"))
		words[count++] = slice_text("");
	char reason[512];
	int result = -EINVAL;
	if (count < 1)
		snprintf(reason, sizeof(reason), "'%s' has no name, or unbalanced quotes", argv[0]);
	else
		result = config_put(
			config, words[0], words + 1, (size_t)count - 1, reason, sizeof(reason));
	arena_fini(&arena);
	if (result < 0) {
		snprintf(error, error_size, "command line: %s", reason);
		return result;
	}
	return 1 + more;
}
