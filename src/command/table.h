/*
 * table: the list itself, for look-up and its tests.
 */
#ifndef COMMAND_TABLE_H
#define COMMAND_TABLE_H

#include "request/command.h"

/* Grouped; a container stands before its subcommands. */
extern const struct command command_lines[];
extern const uint32_t command_lines_count;

#endif
