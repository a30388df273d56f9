/*
 * command_keys: which arguments of a command are its keys. Routing, COMMAND GETKEYS and whoever
 * asks what a command touches look here, and nowhere else.
 */
#ifndef REQUEST_COMMAND_KEYS_H
#define REQUEST_COMMAND_KEYS_H

#include "request/command.h"

/* The arguments `first`, `first` + `step` and so on before `end`. */
struct command_keys {
	uint32_t first;
	uint32_t end;
	uint32_t step;
	uint32_t count; /* 0: it has none */
};

/* Of a command with so many arguments, its name included; they are enough (command_arity_ok). */
struct command_keys command_keys(const struct command *command, uint32_t argument_count);
/* Whether it may have more than one, with whatever arguments. */
bool command_has_many_keys(const struct command *command);

#endif
