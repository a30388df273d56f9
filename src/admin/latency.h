/*
 * latency: what took noticeably long, by event, for LATENCY. Any thread.
 */
#ifndef ADMIN_LATENCY_H
#define ADMIN_LATENCY_H

#include "base/clock.h"
#include "base/slice.h"
#include "config/config.h"
#include "resp/writer.h"

struct latency;

/* Both are borrowed for its life: the threshold is read from `config` at each event. */
struct latency *latency_new(const struct config *config, struct clock *clock);
void latency_free(struct latency **latency);

/* `event` is a literal: "command", "fsync", "checkpoint", ...; at most 16 of them. Costs one load
 * while `latency-monitor-threshold` is 0 or not reached. */
void latency_add(struct latency *latency, const char *event, uint64_t elapsed_ns);

/* The replies of LATENCY LATEST and LATENCY HISTORY. */
void latency_write_latest(struct latency *latency, struct writer *writer);
void latency_write_history(struct latency *latency, struct writer *writer, struct slice event);
/* Forgets one event, whatever its case. False when there is none of the name. */
bool latency_forget(struct latency *latency, struct slice event);
/* Forgets all; how many there were. */
size_t latency_forget_all(struct latency *latency);
/* A line an event: samples, average, largest. Empty when nothing was noted. */
void latency_describe(struct latency *latency, struct buffer *out);

#endif
