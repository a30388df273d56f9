/*
 * place: where a plain key lives: its shard, and its store key in the generation that its database
 * has reached on that shard.
 */
#ifndef STRINGS_PLACE_H
#define STRINGS_PLACE_H

#include "request/turn.h"
#include "store/key.h"

struct place {
	uint16_t shard;
	struct key key;
};

/* The place of `name` in database `db`. False when the name is too long: the reply then is the
 * error. */
bool place_of(struct turn *turn, uint8_t db, struct slice name, struct place *out);
/* The place of the argument at `index`, in the request's own database. */
bool place_of_argument(struct turn *turn, uint32_t index, struct place *out);

/* The generation of a database on a shard, as this turn sees it: its own emptying included. */
uint32_t place_generation(struct turn *turn, uint16_t shard, uint8_t db);

/* As turn_get and turn_look: what is absent is an empty value that lives for ever. */
static inline bool place_get(struct turn *turn, const struct place *place, struct value *out)
{
	return turn_get(turn, place->shard, key_slice(&place->key), out);
}

static inline bool place_look(struct turn *turn, const struct place *place, struct value *out)
{
	return turn_look(turn, place->shard, key_slice(&place->key), out);
}

/* Of the data only the extent, live or not: for one that has been looked at. */
static inline bool place_get_extent(
	struct turn *turn, const struct place *place, struct extent extent, struct value *out)
{
	return turn_peek_extent(turn, place->shard, key_slice(&place->key), extent, out);
}

static inline void place_delete(struct turn *turn, const struct place *place)
{
	turn_delete(turn, place->shard, key_slice(&place->key));
}

/* Puts a string; `data` is borrowed until the turn has been committed. One whose time has already
 * come is not written: the key is deleted instead. */
void place_put(struct turn *turn, const struct place *place, struct slice data, int64_t expire_ms);
/* The same with its type: VALUE_EDITED, or that of the value whose life changes or whose copy it
 * is. */
void place_put_as(struct turn *turn, const struct place *place, uint8_t type, struct slice data,
	int64_t expire_ms);

#endif
