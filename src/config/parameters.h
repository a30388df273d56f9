/*
 * parameters: the one table of parameters, and what follows from a row alone: looking it up,
 * reading a value by its rules, showing a value. It holds no values. Private to this folder.
 */
#ifndef CONFIG_PARAMETERS_H
#define CONFIG_PARAMETERS_H

#include "base/buffer.h"
#include "base/slice.h"
#include "config/rules.h"

#include <stdint.h>

/* Words of one setting, the name not counted. */
#define PARAMETER_WORDS_MAX   256
#define PARAMETER_WORDS_SHOWN 2

/* In place of a number: what `share` makes of the memory that the process may use. */
#define PARAMETER_AUTO INT64_MIN

enum parameter_kind {
	PARAMETER_NUMBER, /* a count of `unit`s */
	PARAMETER_SIZE,   /* bytes, with kb, mb, gb and tb */
	PARAMETER_OCTAL,  /* file permissions */
	PARAMETER_CHOICE, /* one of `choices`; its index is the number */
	PARAMETER_TEXT,   /* one word; `least` and `most` bound its bytes */
	PARAMETER_WORDS,  /* a text of several words, joined by blanks */
	PARAMETER_LINES,  /* may be given several times: each line is kept, as its words */
};

struct parameter {
	const char *name;
	const char *alias; /* another name for the same; NULL: none */
	enum parameter_kind kind;
	bool at_run_time; /* may CONFIG SET change it? */
	size_t field;     /* of the kinds that are numbers: offset in struct config */
	int64_t least, most;
	const char *unit; /* NULL: a plain number */
	/* May be "auto": one part in `share` of the memory that the process may use, `auto_most` at
	 * most. 0: may not. Together the shares leave some memory to what has no parameter. */
	int64_t share;
	int64_t auto_most;
	const char *const *choices;
	size_t words_max;    /* of the kinds with several words */
	rule_fn rule;        /* what the words must be beyond that; NULL: anything */
	bool binary;         /* zero bytes are bytes like others */
	bool hidden;         /* a line's words behind PARAMETER_WORDS_SHOWN are secrets */
	const char *initial; /* the default, as the configuration file writes it */
	const char *example; /* a line of values that shows what is not plain; NULL: none */
	const char *text;    /* one sentence or two for the sample file and --help */
	const char *section; /* heading in front of this row; NULL: the one before goes on */
};

extern const struct parameter parameters[];
extern const size_t parameters_count;

/* By name or alias, any case. NULL when there is none. */
const struct parameter *parameter_find(struct slice name);
/* The name or alias that a mistyped `name` most likely meant; NULL when none is near. */
const char *parameter_nearest(struct slice name);

/* Is its value a number in struct config? The others are texts. */
bool parameter_is_number(const struct parameter *parameter);
/* How many words one setting may have. */
size_t parameter_words_max(const struct parameter *parameter);
/* Reads `value` by the row's rules: 0 and, for numbers, `*number` (PARAMETER_AUTO for "auto"); or
 * -EINVAL and in `error` what it must be, with range and unit. Of a line only its size is told from
 * this: the rule takes its words. */
int parameter_read(const struct parameter *parameter, struct slice value, int64_t *number,
	char *error, size_t error_size);

/* What "auto" is when the process may use so much memory. */
int64_t parameter_derive(const struct parameter *parameter, uint64_t memory_bytes);

enum parameter_style {
	PARAMETER_PLAIN, /* sizes in bytes: CONFIG GET */
	PARAMETER_SHORT, /* sizes in the largest unit that divides them: files and messages */
};
/* Appends the number as the row's kind writes it. */
void parameter_show(const struct parameter *parameter, int64_t number, enum parameter_style style,
	struct buffer *out);
/* Appends what values are allowed: `0 to 86400 seconds`, `always or everysec`; nothing for texts.
 */
void parameter_show_range(const struct parameter *parameter, struct buffer *out);
/* Appends what "auto" is, for a row that may be. */
void parameter_show_auto(const struct parameter *parameter, struct buffer *out);

#endif
