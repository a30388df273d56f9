/*
 * place: from the name a client uses to the store key.
 *
 * A database is emptied by raising its generation, which is part of every store key: what the older
 * generations hold can no longer be reached. Each shard keeps the generation of its own, so that
 * finding a key touches one shard only. Inside a turn that empties a database and then writes (a
 * transaction may), the new generation still lies among the turn's changes; a turn without changes,
 * which is every read, skips that look.
 *
 * The store's answer raises turn->gate_lsn: a reply that depends on an emptying waits until that is
 * on disk.
 *
 * Threads: the turn's.
 */
#include "strings/place.h"

static uint32_t number_of(struct slice data);

bool place_of(struct turn *turn, uint8_t db, struct slice name, struct place *out)
{
	if (name.size > LIMIT_KEY_BYTES) {
		turn_error(turn, ERROR_KEY_TOO_LONG);
		return false;
	}
	out->shard = turn_shard_of(turn, name);
	key_of_string(
		&out->key, turn_secret(turn), db, place_generation(turn, out->shard, db), name);
	return true;
}

bool place_of_argument(struct turn *turn, uint32_t index, struct place *out)
{
	return place_of(turn, turn->asked->db, turn_argument(turn, index), out);
}

uint32_t place_generation(struct turn *turn, uint16_t shard, uint8_t db)
{
	const struct changes *changes = &turn->changes;
	if (changes->count > 0) {
		struct key namespace;
		key_of_namespace(&namespace, db);
		const struct effect *effect = changes_find(changes, shard, key_slice(&namespace));
		if (effect)
			return number_of(effect->value);
	}
	return store_generation(turn->stores[shard], db, &turn->gate_lsn);
}

void place_put(struct turn *turn, const struct place *place, struct slice data, int64_t expire_ms)
{
	place_put_as(turn, place, VALUE_STRING, data, expire_ms);
}

void place_put_as(struct turn *turn, const struct place *place, uint8_t type, struct slice data,
	int64_t expire_ms)
{
	if (expire_ms != 0 && expire_ms <= turn->now_ms) {
		place_delete(turn, place);
		return;
	}
	struct value value = { .type = type, .expire_ms = expire_ms, .data = data };
	turn_put(turn, place->shard, key_slice(&place->key), &value);
}

static uint32_t number_of(struct slice data)
{
	uint64_t number = 0;
	for (size_t i = data.size; i-- > 0;)
		number = number << 8 | (unsigned char)data.data[i];
	return (uint32_t)number;
}
