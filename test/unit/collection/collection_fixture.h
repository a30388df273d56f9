/*
 * An owner of collections for tests: each has a name, its head stands in a record of its own, read
 * when a turn begins and written at its end. Nothing is kept between turns but the stores.
 */
#ifndef TEST_COLLECTION_FIXTURE_H
#define TEST_COLLECTION_FIXTURE_H

#include "collection/collection.h"
#include "support/turn_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int set_up(void **state)
{
	struct turn_rig *rig = calloc(1, sizeof(*rig));
	turn_rig_init(rig, 1);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	turn_rig_fini(*state);
	free(*state);
	return 0;
}

/* As an owner has to: the name has its size in front, so none's members stand among another's. */
static void place_of(struct key *out, const void *owner)
{
	const struct slice *name = owner;
	out->bytes[0] = TABLE_PART;
	out->bytes[1] = (char)name->size;
	memcpy(out->bytes + 2, name->data, name->size);
	out->size = 2 + name->size;
}

static void key_of_head(struct key *out, const struct slice *name)
{
	place_of(out, name);
	out->bytes[0] = TABLE_OBJECT;
}

static void read_head(struct turn *turn, const struct slice *name, struct collection_head *out)
{
	struct key key;
	struct value value;
	*out = (struct collection_head){ 0 };
	key_of_head(&key, name);
	if (!turn_get(turn, turn->shard, key_slice(&key), &value))
		return;
	assert_int_equal(value.data.size, sizeof(*out));
	memcpy(out, value.data.data, sizeof(*out));
}

static void write_head(
	struct turn *turn, const struct slice *name, const struct collection_head *head)
{
	struct key key;
	key_of_head(&key, name);
	struct slice bytes = arena_copy(turn_arena(turn), slice_of(head, sizeof(*head)));
	struct value value = { .type = VALUE_BYTES, .data = bytes };
	turn_put(turn, turn->shard, key_slice(&key), &value);
}

/* What stands in the store of this owner's members, of all incarnations. */
static size_t members_stored(struct turn *turn, const struct slice *name)
{
	struct key start, end;
	struct cursor cursor;
	struct slice key;
	struct value value;
	size_t count = 0;
	place_of(&start, name);
	end = start;
	key_prefix_end(&end);
	cursor_open(&cursor, turn->stores[turn->shard], &turn->changes, turn_arena(turn),
		key_slice(&start), key_slice(&end), false);
	while (cursor_next(&cursor, &key, &value))
		count++;
	cursor_close(&cursor);
	return count;
}

#endif
