/*
 * parser: hiredis' redisReader as a parser of commands. It gets only what the reader's guard has
 * passed: whole arrays of bulk strings, with correct headers, one command at a time.
 */
#ifndef RESP_PARSER_H
#define RESP_PARSER_H

#include "base/slice.h"
#include "resp/arguments.h"

struct redisReader;

/* A parser between two commands, which will fill `arguments`. Returned by parser_put or freed by
 * parser_free, by the same thread. */
struct redisReader *parser_take(struct arguments *arguments);
/* Back to the thread, for the next who needs one. It must be between two commands. */
void parser_put(struct redisReader **parser);
/* At any point of a command. */
void parser_free(struct redisReader **parser);
/* Parses the next bytes of a command; none may be behind its end. True: that was the last of it,
 * and the arguments are complete. */
bool parser_feed(struct redisReader *parser, struct slice bytes);

#endif
