/*
 * watchdog: ends what a thread runs when its time is over.
 *
 *   watchdog_run -> run() --(returns)-----------------------------------------> WATCHDOG_DONE
 *        |                 watchdog_leave, from within ------------------------> WATCHDOG_LEFT
 *        '-- time over: `warn`, and what does not leave upon that is cut off --> WATCHDOG_CUT
 *
 * What is left or cut off does not unwind: the stack up to watchdog_run is gone at once. Whoever
 * leaves knows what that does. A cut may come between any two instructions of one library, which
 * must therefore hold nothing that outlives it, such as a lock, and whose data is to be thrown away
 * then. It never comes while the thread executes anything else, such as an allocator.
 *
 * One a thread runs at a time. The times are the machine's own.
 */
#ifndef BASE_WATCHDOG_H
#define BASE_WATCHDOG_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* When the time is over the thread gets so much more of its own before it is warned: one that was
 * kept from running, by a machine that is busy or stood still, ends within that. Unless it takes
 * longer than the second figure by the clock: then it waits for something, a disk perhaps. */
#define WATCHDOG_GRACE_NS     20000000
#define WATCHDOG_GRACE_NS_MAX 80000000

/* Time of the thread itself between the warning and the cut. Long enough for a warned thread to get
 * to where it looks, also with a sanitizer. */
#define WATCHDOG_CUT_NS 40000000

enum watchdog_end { WATCHDOG_DONE, WATCHDOG_LEFT, WATCHDOG_CUT };

struct watchdog {
	sigjmp_buf out;
	/* Called in a signal handler on the thread, where it must be safe, or by watchdog_expire.
	 */
	void (*warn)(void *context);
	void *context;
	uint64_t over_at_ns; /* monotonic: the time is over */
	bool is_over;
	bool is_warned;
	uint64_t next_own_ns; /* of the thread's time: when the next of these comes */
	volatile sig_atomic_t held;
};

/* Names the library that may be cut off, by the address of a function in it; once a process is
 * enough. Nothing is cut that is not in a library of its own. */
void watchdog_may_cut(const void *function);

/* Runs run(argument); its time is over at `over_at_ns`, UINT64_MAX: nobody watches. */
enum watchdog_end watchdog_run(struct watchdog *watchdog, uint64_t over_at_ns, void (*warn)(void *),
	void (*run)(void *), void *argument);
/* From within run: ends it. */
_Noreturn void watchdog_leave(struct watchdog *watchdog);
/* Whether run is under way, on this thread. */
bool watchdog_runs(const struct watchdog *watchdog);

/* Between these nothing is cut: for who holds something across calls of the library. They nest. */
static inline void watchdog_hold(struct watchdog *watchdog)
{
	watchdog->held++;
}
static inline void watchdog_release(struct watchdog *watchdog)
{
	watchdog->held--;
}

/* As if the time were over: for tests, whose clocks stand still. */
void watchdog_expire(struct watchdog *watchdog);

#endif
