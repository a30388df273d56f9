/*
 * survey: see survey.h.
 *
 * Between two turns of a walk anything may have been written, so nothing of a cursor is kept: the
 * range is narrowed to what has not been read, and the next turn opens it anew. What is there all
 * the while is seen exactly once.
 *
 * A page merges while it reads. Shards hold objects by a hash of the id, so each of them lists a
 * random part in order; the entries kept so far and the run being read are merged step by step, and
 * as soon as the merged list is full nothing that the run still has can belong to it. So a page
 * costs about as many reads as it has entries for the first shard, half as many for the second, a
 * third for the third.
 *
 * Threads: the turn's.
 */
#include "object/survey.h"

#include "store/damage.h"

#include <assert.h>

static void range_behind(struct survey_range *range, struct slice key);
static bool comes_before(const struct page *page, struct slice a, struct slice b);
static void take_next(struct page *page);

void survey_range_objects(struct survey_range *range, struct slice class_name, struct slice prefix,
	struct slice after)
{
	struct key behind;
	range->reverse = false;
	key_of_class_objects(&range->start, class_name, prefix);
	range->end = range->start;
	key_prefix_end(&range->end);
	if (after.size == 0)
		return;
	key_of_class_objects(&behind, class_name, after);
	if (slice_compare(key_slice(&behind), key_slice(&range->start)) >= 0)
		range_behind(range, key_slice(&behind));
}

void survey_open(
	struct survey *survey, struct turn *turn, uint16_t shard, struct survey_range *range)
{
	*survey = (struct survey){ .turn = turn, .range = range, .left = SURVEY_TURN_COST };
	turn_wait_for_shard(turn, shard);
	if (!store_order(
		    turn->stores[shard], (enum table)range->start.bytes[0], LIMIT_TURN_ORDER)) {
		/* This turn has made some of the order. */
		survey->left = 0;
		return;
	}
	cursor_open(&survey->cursor, turn->stores[shard], &turn->changes, turn_arena(turn),
		key_slice(&range->start), key_slice(&range->end), range->reverse);
	survey->cursor.may_rest = true;
	survey->is_open = true;
}

bool survey_next(struct survey *survey, struct slice *key, struct value *value)
{
	while (survey->left > 0) {
		survey->left--;
		if (!cursor_next(&survey->cursor, key, value)) {
			survey->ended = !survey->cursor.rests;
			return false;
		}
		survey->looked = *key;
		if (value_is_live(value, survey->turn->now_ms))
			return true;
	}
	return false;
}

void survey_charge(struct survey *survey, uint32_t cost)
{
	survey->left -= cost < survey->left ? cost : survey->left;
}

bool survey_next_object(struct survey *survey, struct slice class_name, struct slice *id)
{
	struct slice key;
	struct value value;
	struct object_record record;
	while (survey_next(survey, &key, &value)) {
		if (!key_parse_object(key, class_name, id))
			damaged("the key of an object", survey->turn->shard, key);
		if (!record_decode(value.data, &record))
			damaged("the record of an object", survey->turn->shard, key);
		bool ended = record.expire_ms != 0 && record.expire_ms <= survey->turn->now_ms;
		if (record_exists(&record) && !ended)
			return true;
	}
	return false;
}

bool survey_close(struct survey *survey)
{
	if (!survey->ended && survey->looked.data)
		range_behind(survey->range, survey->looked);
	if (survey->is_open)
		cursor_close(&survey->cursor);
	return !survey->ended;
}

void page_init(struct page *page, struct arena *arena, uint32_t max, bool reverse)
{
	assert(max > 0);
	*page = (struct page){
		.max = max,
		.reverse = reverse,
		.entries = arena_alloc(arena, max * sizeof(*page->entries)),
		.merged = arena_alloc(arena, max * sizeof(*page->merged)),
	};
}

bool page_admits(struct page *page, struct slice key)
{
	while (page->merged_count < page->max && page->next < page->count &&
		comes_before(page, page->entries[page->next].key, key))
		take_next(page);
	return page->merged_count < page->max;
}

void page_add(struct page *page, struct slice key, void *detail)
{
	assert(page->merged_count < page->max);
	page->merged[page->merged_count++] = (struct page_entry){ key, detail };
}

void page_end_run(struct page *page)
{
	while (page->merged_count < page->max && page->next < page->count)
		take_next(page);
	struct page_entry *before = page->entries;
	page->entries = page->merged;
	page->count = page->merged_count;
	page->merged = before;
	page->merged_count = 0;
	page->next = 0;
}

/* The range from behind this key on; the key may not be the range's own memory. */
static void range_behind(struct survey_range *range, struct slice key)
{
	struct key *bound = range->reverse ? &range->end : &range->start;
	assert(key.size < sizeof(bound->bytes));
	memcpy(bound->bytes, key.data, key.size);
	bound->size = key.size;
	if (!range->reverse)
		bound->bytes[bound->size++] = '\0';
}

static bool comes_before(const struct page *page, struct slice a, struct slice b)
{
	int order = slice_compare(a, b);
	return page->reverse ? order > 0 : order < 0;
}

static void take_next(struct page *page)
{
	page->merged[page->merged_count++] = page->entries[page->next++];
}
