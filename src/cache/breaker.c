/*
 * breaker: see breaker.h.
 *
 * What comes back while it is open and was no probe was asked before it opened, and says nothing
 * new. A source that fails again soon after it was closed gets a longer pause than the last.
 *
 * Threads: see breaker.h.
 */
#include "cache/breaker.h"

#include "holdfast/limits.h"

static void turn_window(struct breaker *breaker, int64_t now_ms)
{
	int64_t passed_ms = now_ms - breaker->window_ms;
	if (passed_ms < BREAKER_WINDOW_MS)
		return;
	bool is_next = passed_ms < 2 * BREAKER_WINDOW_MS;
	breaker->before = is_next ? breaker->now : (struct breaker_tally){ 0 };
	breaker->now = (struct breaker_tally){ 0 };
	breaker->window_ms = is_next ? breaker->window_ms + BREAKER_WINDOW_MS : now_ms;
	if (!is_next)
		breaker->retry_until_ms = 0;
}

/* Most of what was asked lately failed. */
static bool has_failed(const struct breaker *breaker)
{
	uint32_t asked = breaker->now.asked + breaker->before.asked;
	uint32_t failed = breaker->now.failed + breaker->before.failed;
	return asked >= BREAKER_ASKED_LEAST && failed > asked / 2;
}

static void open(struct breaker *breaker, bool again, bool unreachable, int64_t now_ms)
{
	breaker->pause_ms =
		again && breaker->pause_ms ? 2 * breaker->pause_ms : BREAKER_PAUSE_MS_FIRST;
	if (breaker->pause_ms > BREAKER_PAUSE_MS_MAX)
		breaker->pause_ms = BREAKER_PAUSE_MS_MAX;
	breaker->until_ms = now_ms + breaker->pause_ms;
	if (breaker->until_ms < breaker->retry_until_ms)
		breaker->until_ms = breaker->retry_until_ms;
	breaker->is_open = true;
	breaker->was_unreachable = unreachable;
}

static void close(struct breaker *breaker, int64_t now_ms)
{
	breaker->is_open = false;
	breaker->closed_ms = now_ms;
	breaker->now = breaker->before = (struct breaker_tally){ 0 };
	breaker->window_ms = now_ms;
	breaker->retry_until_ms = 0;
}

int64_t breaker_left_ms(const struct breaker *breaker, int64_t now_ms)
{
	return breaker->is_open && breaker->until_ms > now_ms ? breaker->until_ms - now_ms : 0;
}

enum breaker_admission breaker_admit(struct breaker *breaker, int64_t now_ms, int64_t *retry_ms)
{
	if (!breaker->is_open)
		return BREAKER_ASK;
	*retry_ms = breaker_left_ms(breaker, now_ms);
	if (*retry_ms > 0)
		return BREAKER_WAIT;
	breaker->until_ms = now_ms + BREAKER_PROBE_MS;
	return BREAKER_PROBE;
}

static bool note_probe(struct breaker *breaker, enum breaker_result result, int64_t now_ms)
{
	bool answers = result == BREAKER_ANSWERED ||
		(result == BREAKER_FAILED && breaker->was_unreachable);
	if (answers)
		close(breaker, now_ms);
	else
		open(breaker, true, result == BREAKER_UNREACHABLE, now_ms);
	return answers;
}

bool breaker_note(struct breaker *breaker, bool was_probe, enum breaker_result result,
	int64_t retry_ms, int64_t now_ms)
{
	if (retry_ms > LIMIT_CACHE_RETRY_MS)
		retry_ms = LIMIT_CACHE_RETRY_MS;
	turn_window(breaker, now_ms);
	if (result != BREAKER_ANSWERED && now_ms + retry_ms > breaker->retry_until_ms)
		breaker->retry_until_ms = now_ms + retry_ms;
	if (breaker->is_open)
		return was_probe && note_probe(breaker, result, now_ms);
	breaker->now.asked++;
	breaker->now.failed += result != BREAKER_ANSWERED;
	bool unreachable = result == BREAKER_UNREACHABLE;
	if (!unreachable && !has_failed(breaker))
		return false;
	bool again = now_ms - breaker->closed_ms < BREAKER_PAUSE_MS_MAX;
	open(breaker, again, unreachable, now_ms);
	return true;
}
