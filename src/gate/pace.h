/*
 * pace: who syncs the log, and when. One sync makes durable whatever has been appended, so the
 * number of syncs decides what a write costs.
 *
 * A loop has a struct pace: it is told of what the loop's ticks do, and says at the end of each who
 * is to sync. The gate has a struct pace_crowd: it says how many records the log thread gathers
 * before its next step. Neither reads a clock, takes a lock or looks at the log: the caller does,
 * and says what it has found.
 *
 * Threads: a struct pace is its loop's own; struct pace_crowd stands under the gate's lock.
 */
#ifndef GATE_PACE_H
#define GATE_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Ticks with nothing but writes, after which a loop syncs by itself. */
#define PACE_WRITE_TICKS 64
/* When so many records wait, a loop that syncs by itself reads on no more. */
#define PACE_RECORDS_MAX 4096
/* For how long the log thread gathers, at the most: about the time of a sync. */
#define PACE_GATHER_US_MAX 150

/* --- a loop ----------------------------------------------------------------------------------- */

struct pace {
	bool appended;         /* something was, and no end of a tick has passed it on yet */
	uint32_t write_ticks;  /* since the last read of data, or request of another loop */
	uint64_t waiting_seen; /* records, when the loop last read on for more of them */
};

/* A turn on the loop's thread has appended a record, or a reply waits for one. */
static inline void pace_appended(struct pace *pace)
{
	pace->appended = true;
}

/* Something has come that need not wait for a sync, and would have to if the loop made one itself:
 * a read, or a request of another loop. */
static inline void pace_met_others(struct pace *pace)
{
	pace->write_ticks = 0;
}

/* What has been appended since the end of the last tick has to go on its way. */
static inline bool pace_is_due(const struct pace *pace)
{
	return pace->appended;
}

enum pace_end {
	PACE_NOTHING, /* nothing has been appended, and nothing is held */
	PACE_READ_ON, /* poll without waiting: whatever comes is synced together with this */
	PACE_KICK,    /* the log thread syncs */
	PACE_STEP,    /* the loop syncs by itself */
};

struct pace_tick {
	uint64_t waiting; /* records of all loops that are appended and not durable */
	bool is_held;     /* connections wait to go on: not admitted, or their slice is over */
	bool may_step;    /* replies wait for syncs: `durability always` */
};

/* A tick of the loop ends. */
enum pace_end pace_end_tick(struct pace *pace, const struct pace_tick *tick);

/* --- the log thread --------------------------------------------------------------------------- */

struct pace_crowd {
	uint64_t records;  /* that waited at once at the most, lately: slowly forgotten */
	uint64_t gathered; /* so many are to be there before the next step */
	bool gathers;      /* the log thread sleeps only until they are */
};

/* A sync has ended, and so many records wait for the next one. */
void pace_synced(struct pace_crowd *crowd, uint64_t waiting);
/* The log thread has slept with nothing to do: there is no crowd to wait for. */
void pace_slept(struct pace_crowd *crowd);
/* So many records are there: the log thread need not gather more. */
bool pace_is_enough(const struct pace_crowd *crowd, uint64_t records);
/* So many records are there, and the log thread sleeps: it is to be woken. */
bool pace_wakes_log(const struct pace_crowd *crowd, uint64_t records);

#endif
