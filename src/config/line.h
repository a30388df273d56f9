/*
 * line: the syntax of one line of redis.conf: words between blanks, with Redis's two kinds of
 * quotes.
 */
#ifndef CONFIG_LINE_H
#define CONFIG_LINE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"

/* Splits into at most `words_max` words, whose bytes live in `arena`. In "..." are \n \r \t \b \a
 * \xHH, and \ before any other byte is that byte; in '...' only \'. The count; -EINVAL when a quote
 * is not closed or a word follows it without a blank, -E2BIG for more words. */
int line_split(struct slice line, struct arena *arena, struct slice *words, size_t words_max);
/* Appends one word so that line_split gives it back, quoted only when it must be. */
void line_quote(struct slice word, struct buffer *out);

#endif
