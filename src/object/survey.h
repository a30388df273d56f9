/*
 * survey: walking over many objects, so much in a turn that nobody else waits long, and gathering
 * the first of what several shards list.
 *
 *   a turn:   survey_open -> survey_next ... -> survey_close -> turn_walks, with what it returned
 *
 * Threads: the turn's; a range and a page lie in the request's arena and travel with it.
 */
#ifndef OBJECT_SURVEY_H
#define OBJECT_SURVEY_H

#include "object/object_key.h"
#include "object/record.h"
#include "request/turn.h"

/* What one turn looks at: an entry read costs 1, looking an object up SURVEY_LOOKUP_COST. */
#define SURVEY_TURN_COST   10000
#define SURVEY_LOOKUP_COST 16

/* Store keys k with start <= k < end of one shard. survey_close cuts off what has been read. */
struct survey_range {
	struct key start;
	struct key end;
	bool reverse;
};
/* The objects of a class whose ids start with `prefix` and stand behind `after`; empty: no bound.
 * Both at most LIMIT_KEY_BYTES. */
void survey_range_objects(struct survey_range *range, struct slice class_name, struct slice prefix,
	struct slice after);

struct survey {
	struct turn *turn;
	struct survey_range *range;
	struct cursor cursor;
	struct slice looked; /* the key read last */
	uint32_t left;       /* of SURVEY_TURN_COST */
	bool is_open;        /* the cursor */
	bool ended;
};
/* The turn's reply will wait for what the shard has written. */
void survey_open(
	struct survey *survey, struct turn *turn, uint16_t shard, struct survey_range *range);
/* The next live entry; false at the end of the range or of the turn's work. The key is valid until
 * the next call, the value until the turn ends. */
bool survey_next(struct survey *survey, struct slice *key, struct value *value);
/* What this turn may still look at becomes less by `cost`. */
void survey_charge(struct survey *survey, uint32_t cost);
/* As survey_next for objects that exist and have not ended. */
bool survey_next_object(struct survey *survey, struct slice class_name, struct slice *id);
/* True: the range has not been read to its end; what is left of it starts behind the entry read
 * last. */
bool survey_close(struct survey *survey);

/* The first `max` of what runs of ordered entries, one run after the other, hold together. */
struct page_entry {
	struct slice key; /* what orders them */
	void *detail;
};
struct page {
	uint32_t max;
	bool reverse; /* the last ones, from the last on */
	uint32_t count;
	struct page_entry *entries;
	/* the run that is being added */
	struct page_entry *merged;
	uint32_t merged_count;
	uint32_t next;
};
void page_init(struct page *page, struct arena *arena, uint32_t max, bool reverse);
/* A run: for each key in order page_admits, and page_add if it was true and the key is to be in the
 * page; then page_end_run. False: neither this key nor any that follows it in the run has a place.
 */
bool page_admits(struct page *page, struct slice key);
/* Key and detail must live as long as the page. */
void page_add(struct page *page, struct slice key, void *detail);
void page_end_run(struct page *page);

#endif
