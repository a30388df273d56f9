/*
 * object_check: compares what the shards hold of the simulated objects with the model, and the
 * index of what is due with the objects' records.
 */
#ifndef TEST_SIM_OBJECT_CHECK_H
#define TEST_SIM_OBJECT_CHECK_H

#include "request/command.h"

/* A turn on all shards; request->turn.state is the model. It changes nothing. */
extern const struct command check_command;

#endif
