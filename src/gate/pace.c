/*
 * pace: see pace.h. There are two who can sync, and a loop chooses by what its clients do:
 *
 * - The log thread. A loop that has appended something kicks it at the end of its tick. Clients
 *   that wait for their replies come in a crowd whose size shows as records appended but not
 *   durable when a sync ends. Syncing whatever is there would make many small batches, each as dear
 *   as a large one; waiting for the whole crowd would leave it idle during the sync. Half of it
 *   keeps one half working while the other is synced.
 *
 * - The loop itself. Handing a batch to the log thread costs two switches, and where cores are few
 *   the thread takes the one that the loop or its clients need. So when nothing but writes has come
 *   for a while, which have to wait for the sync in any case, the loop does it itself, as soon as a
 *   poll brings no more of them. The first read that arrives ends this. A tick in which nothing was
 *   appended says nothing of what the clients do, and does not count.
 *
 * Threads: see pace.h.
 */
#include "gate/pace.h"

#define CROWD_FORGETS 8 /* an eighth of it, each sync */

enum pace_end pace_end_tick(struct pace *pace, const struct pace_tick *tick)
{
	if (!pace->appended && !tick->is_held)
		return PACE_NOTHING;
	bool steps = ++pace->write_ticks > PACE_WRITE_TICKS && tick->may_step;
	bool has_grown = tick->waiting > pace->waiting_seen;
	pace->waiting_seen = tick->waiting;
	if (steps && has_grown && tick->waiting < PACE_RECORDS_MAX)
		return PACE_READ_ON;
	pace->appended = false;
	pace->waiting_seen = 0;
	return steps ? PACE_STEP : PACE_KICK;
}

void pace_synced(struct pace_crowd *crowd, uint64_t waiting)
{
	uint64_t left = crowd->records - (crowd->records + CROWD_FORGETS - 1) / CROWD_FORGETS;
	crowd->records = waiting > left ? waiting : left;
	crowd->gathered = crowd->records / 2;
}

void pace_slept(struct pace_crowd *crowd)
{
	crowd->gathered = 0;
}

bool pace_is_enough(const struct pace_crowd *crowd, uint64_t records)
{
	return records >= crowd->gathered;
}

bool pace_wakes_log(const struct pace_crowd *crowd, uint64_t records)
{
	return !crowd->gathers || pace_is_enough(crowd, records);
}
