/*
 * options: the words that stand behind a command's fixed arguments in any order, some of them with
 * values: `[NX | XX] [EX seconds]`. A family has a table of its options, and a command of it allows
 * some of its rows. One loop reads them all; what a value may be is the row's to say.
 *
 *   options_read:  word -> row -> may it be here? -> its bit is given -> its reader takes values
 *
 * Threads: any.
 */
#ifndef REQUEST_OPTIONS_H
#define REQUEST_OPTIONS_H

#include "request/turn.h"

/* One reading of them. */
struct options {
	const struct invocation *asked;
	struct turn *turn; /* for errors; NULL in commands that run on their connection's loop */
	void *out;         /* the family's own, for its readers */
	uint32_t at;       /* the argument that is read next */
	uint32_t given;    /* the bits of those that were there */
};

/* The bit of options that nobody asks for behind their readers, in tables whose commands allow all
 * of them. */
#define OPTION_ANY 1u

struct option {
	const char *word;  /* lower case letters; in two rows if no command allows both */
	uint32_t bit;      /* of the family's enum */
	uint32_t excludes; /* the bits of others that may not stand in front of it */
	uint32_t values;   /* that follow, at the least */
	/* Takes the values by options_value; NULL: none. False: answered with an error. */
	bool (*read)(struct options *options);
};

struct option_table {
	const struct option *rows;
	uint32_t count;
	bool repeats; /* an option may be there again, and the last one holds; else each once */
	bool leads;   /* what is no option here ends them (ZADD); else it is a misfit */
	/* Answers a word at options->at that may not be there; or, `is_short`, lacks values. */
	void (*misfit)(struct options *options, bool is_short);
};

/* Of a turn, from argument `first` on. */
static inline struct options options_from(struct turn *turn, uint32_t first, void *out)
{
	return (struct options){ .asked = turn->asked, .turn = turn, .out = out, .at = first };
}
bool options_read_all(struct options *options, const struct option_table *table, uint32_t allowed);
/* All that `allowed` has the bits of; in the end options->at is behind them. False: answered with
 * an error. Mostly there are none. */
static inline bool options_read(
	struct options *options, const struct option_table *table, uint32_t allowed)
{
	return options->at >= options->asked->argument_count ||
		options_read_all(options, table, allowed);
}
/* For a table: as the server's own commands say what does not fit (turn_syntax_error), and as
 * Redis's do (ERROR_SYNTAX). */
void options_say_where(struct options *options, bool is_short);
void options_say_syntax(struct options *options, bool is_short);

/* For readers: the next value, and how many arguments are left. */
static inline struct slice options_value(struct options *options)
{
	return options->asked->arguments[options->at++];
}
static inline uint32_t options_left(const struct options *options)
{
	return options->asked->argument_count - options->at;
}

/* The only option of a command: nothing from argument `index` on, or that one word, in lower case
 * here. False: answered with an error that says where. */
bool options_flag(struct turn *turn, uint32_t index, const char *word, bool *out);

/* Argument `index` as a 64-bit integer. False: answered with Redis's error. */
bool options_integer(struct turn *turn, uint32_t index, int64_t *out);

#endif
