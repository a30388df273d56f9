/*
 * class_bench: an engine for the tests of class authors: one worker, a clock that only the test
 * moves, HTTP that the test answers, data in a directory of its own which goes with it. Everything
 * happens on the calling thread, and only within the functions below.
 */
#ifndef SERVER_CLASS_BENCH_H
#define SERVER_CLASS_BENCH_H

#include "base/buffer.h"
#include "config/config.h"
#include "fetch/fetch.h"

struct class_bench;

/* One command on its way, or answered. Valid until class_bench_free. */
struct bench_call {
	struct bench_call *next;
	bool done;
	struct buffer reply; /* RESP3 */
};

/* Answers an exchange: fills status, headers_in, body_in, or error and code. Returns after how many
 * milliseconds it is answered. */
typedef int64_t (*bench_fetch_fn)(void *context, struct fetch *fetch);
/* Is told of each line that classes log or fail with. */
typedef void (*bench_say_fn)(void *context, int level, const char *text);

/* `config` gives limits and `env`; it is changed: the bench is small. NULL and one line in `error`
 * when no directory can be made. */
struct class_bench *class_bench_new(struct config *config, bench_fetch_fn fetch, bench_say_fn say,
	void *context, char *error, size_t error_size);
void class_bench_free(struct class_bench **bench);

/* A class for this and all later engines of the bench. False and one line in `error`: it does not
 * load. */
bool class_bench_load(struct class_bench *bench, struct slice name, struct slice source,
	char *error, size_t error_size);
/* Begins anew: no data, the clock at its start. */
void class_bench_reset(struct class_bench *bench);
/* As after kill -9: memory and calls under way are gone, what was acknowledged is there. */
void class_bench_restart(struct class_bench *bench);

/* Sends a command and runs all that can run without time passing. */
struct bench_call *class_bench_send(
	struct class_bench *bench, const struct slice *words, uint32_t count);
/* Lets time pass, event by event. */
void class_bench_advance(struct class_bench *bench, int64_t ms);
/* Lets time pass until the call is answered, `ms` at the most. True when it is. */
bool class_bench_wait(struct class_bench *bench, const struct bench_call *call, int64_t ms);
int64_t class_bench_now(const struct class_bench *bench);

#endif
