/*
 * clock: the seam through which time enters. Production reads the kernel's clocks; a simulation
 * advances its own.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
	/* Milliseconds since 1970-01-01 UTC; may jump when the machine's time is set. */
	int64_t (*wall_ms)(struct clock *clock);
	/* Nanoseconds since an arbitrary start; never goes back. */
	uint64_t (*monotonic_ns)(struct clock *clock);
};

static inline int64_t clock_wall_ms(struct clock *clock)
{
	return clock->wall_ms(clock);
}

static inline uint64_t clock_monotonic_ns(struct clock *clock)
{
	return clock->monotonic_ns(clock);
}

/* The machine's clock; lives for ever, safe from every thread. */
struct clock *clock_system(void);

#endif
