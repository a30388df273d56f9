/*
 * command: look-up in the table of all commands, and what is said of those that are not in it.
 * The table itself is table.c. Any thread, once command_table has been called.
 */
#ifndef COMMAND_COMMAND_H
#define COMMAND_COMMAND_H

#include "base/buffer.h"
#include "request/command.h"
#include "resp/writer.h"

/* Builds the look-up at the first call. */
const struct command_set *command_table(void);

/* Names are case-insensitive. A container with a second argument gives its subcommand; without one,
 * itself. NULL: unknown. `count` is at least 1. */
const struct command *command_find(const struct slice *arguments, uint32_t count);

/* Redis's texts, names cut at 128 bytes and the rest of the arguments at 128 in all. */
void command_write_unknown(struct writer *writer, const struct slice *arguments, uint32_t count);
void command_write_arity(struct writer *writer, const struct command *command);

/* A Markdown list of all commands by group: syntax and summary. */
void command_write_reference(struct buffer *out);

#endif
