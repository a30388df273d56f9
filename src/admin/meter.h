/*
 * meter: rates for INFO: how fast counters grow, without a timer of their own. Any thread.
 */
#ifndef ADMIN_METER_H
#define ADMIN_METER_H

#include <stdint.h>

enum meter_counter { METER_COMMANDS, METER_INPUT_BYTES, METER_OUTPUT_BYTES, METER_COUNTERS };

struct meter;

struct meter *meter_new(void);
void meter_free(struct meter **meter);

/* Takes the counters at `now_ns` (monotonic) and gives what each grew by in a second, measured over
 * the time since an earlier reading, at least a second ago; 0 before there is one, or when the
 * counter has been reset meanwhile. */
void meter_read(struct meter *meter, uint64_t now_ns, const uint64_t counters[METER_COUNTERS],
	double per_second[METER_COUNTERS]);
/* The largest value ever given. */
uint64_t meter_peak(struct meter *meter, uint64_t value);

#endif
