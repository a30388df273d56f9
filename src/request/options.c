/*
 * options: see options.h. Rows are looked up one by one: a command allows few, and the rows that it
 * does not allow cost no comparison.
 *
 * Where two things are wrong with a word, that its values are missing is said before that it may
 * not be there; only in front of further arguments (`leads`), where it may be one of them, it ends
 * the options.
 *
 * Threads: any.
 */
#include "request/options.h"

#include "base/number.h"

#include <assert.h>

/* What slice_is says, without a call: bit 5 is the case of a letter. */
static bool is_word(struct slice given, const char *word)
{
	size_t i = 0;
	while (i < given.size && (given.data[i] | 0x20) == word[i])
		i++;
	return i == given.size && word[i] == '\0';
}

static const struct option *find(
	const struct option_table *table, struct slice word, uint32_t allowed)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct option *row = &table->rows[i];
		assert(row->word[0] >= 'a'); /* see is_word */
		if ((row->bit & allowed) && is_word(word, row->word))
			return row;
	}
	return NULL;
}

bool options_read_all(struct options *options, const struct option_table *table, uint32_t allowed)
{
	const struct invocation *asked = options->asked;
	while (options->at < asked->argument_count) {
		const struct option *row = find(table, asked->arguments[options->at], allowed);
		bool again = row && !table->repeats && (options->given & row->bit);
		bool fits = row && !again && !(options->given & row->excludes);
		bool is_short = row && options_left(options) <= row->values;
		if (!fits && table->leads)
			break;
		if (!fits || is_short) {
			table->misfit(options, is_short);
			return false;
		}
		options->given |= row->bit;
		options->at++;
		if (row->read && !row->read(options))
			return false;
	}
	return true;
}

void options_say_where(struct options *options, bool is_short)
{
	turn_syntax_error(options->turn, is_short ? options->asked->argument_count : options->at);
}

void options_say_syntax(struct options *options, bool is_short)
{
	(void)is_short;
	turn_error(options->turn, ERROR_SYNTAX);
}

bool options_flag(struct turn *turn, uint32_t index, const char *word, bool *out)
{
	const struct option row = { .word = word, .bit = OPTION_ANY };
	const struct option_table table = { .rows = &row, .count = 1, .misfit = options_say_where };
	struct options options = options_from(turn, index, NULL);
	bool good = options_read(&options, &table, OPTION_ANY);
	*out = options.given;
	return good;
}

bool options_integer(struct turn *turn, uint32_t index, int64_t *out)
{
	if (number_parse_i64(turn_argument(turn, index), out))
		return true;
	turn_error(turn, ERROR_NOT_INTEGER);
	return false;
}
