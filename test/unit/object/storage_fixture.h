/*
 * A rig for each test of storage, and what stands in its stores, looked at past the storage.
 */
#ifndef TEST_STORAGE_FIXTURE_H
#define TEST_STORAGE_FIXTURE_H

#include "object/storage.h"
#include "support/turn_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LIFE_MS 160000

static int set_up(void **state)
{
	struct turn_rig *rig = calloc(1, sizeof(*rig));
	turn_rig_init(rig, 3);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	turn_rig_fini(*state);
	free(*state);
	return 0;
}

/* Entries of a table on a shard, or of the prefix that `start` is. */
static inline size_t count_from(struct turn *turn, uint16_t shard, struct slice prefix)
{
	struct key end = { .size = prefix.size };
	memcpy(end.bytes, prefix.data, prefix.size);
	key_prefix_end(&end);
	struct cursor cursor;
	struct slice key;
	struct value value;
	size_t count = 0;
	cursor_open(&cursor, turn->stores[shard], &turn->changes, turn_arena(turn), prefix,
		key_slice(&end), false);
	cursor.without_data = true;
	while (cursor_next(&cursor, &key, &value))
		count++;
	cursor_close(&cursor);
	return count;
}

static inline size_t count_table(struct turn *turn, enum table table)
{
	char prefix = (char)table;
	size_t count = 0;
	for (uint16_t shard = 0; shard < turn->shard_total; shard++)
		count += count_from(turn, shard, slice_of(&prefix, 1));
	return count;
}

static inline bool is_due(struct turn *turn, const struct object_name *name, enum due_kind kind,
	int64_t at_ms, struct slice part)
{
	struct due due = { .kind = kind, .at_ms = at_ms, .object = *name, .name = part };
	struct key key;
	struct value value;
	key_of_due(&key, &due);
	return turn_look(turn, turn_shard_of(turn, name->id), key_slice(&key), &value);
}

#endif
