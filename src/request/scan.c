/*
 * scan: see scan.h. Within a shard the entries stand in the order of the 40 bits of hash that are
 * part of their store keys, and a cursor names the next position:
 *
 *	 53     40 + s       40                                    0
 *	+------+------------+-------------------------------------+
 *	| part | shard      | hash of the first entry not given   |     0: the start, and the end
 *	+------+------------+-------------------------------------+
 *
 * where s is as many bits as the number of the last shard has. An entry's position depends on its
 * name alone, so one that is there during the whole iteration is given, whatever is written
 * meanwhile. That is Redis's guarantee; here it is also given only once.
 *
 * Entries of one hash are given together, unless they are a crowd of more than SCAN_CROWD_MAX:
 * then each reply ends with a part of them. Which part an entry is in is said by the next bits of
 * its hash, those that its key does not hold, so this too depends on its name alone. Each part
 * passes over the whole crowd, some thousand entries a turn.
 */
#include "request/scan.h"

#include "store/damage.h"

#include <assert.h>

#define HASH_BYTES  (KEY_HASH_BITS / 8)
#define HASH_END    ((uint64_t)1 << KEY_HASH_BITS)
#define CURSOR_BITS 53 /* what a double, and so JavaScript, holds exactly */

/* Shards visited by one call, whatever COUNT says; entries of a crowd passed over in one turn, and
 * in one call unless a part of the crowd takes more: what keeps a scan a short interruption. */
#define SHARDS_MAX       64
#define LOOKED_TURN_MAX  4096
#define LOOKED_CALL_MAX  65536
#define KEYS_CHUNK_BYTES 4096

struct met {
	struct slice key;
	struct value value;
};

/* The walk of one turn. */
struct walk {
	struct scan *scan;
	struct turn *turn;
	struct slice prefix;
	struct key start, end;
	struct cursor cursor;
	bool rests; /* the cursor does, and the next turn goes on from the scan's place */
	struct met met[SCAN_CROWD_MAX]; /* of scan->hash */
	size_t met_count;
	struct arena keys; /* of what was met */
	struct key looked; /* in a crowd: the last key looked at */
};

static unsigned shard_bits(const struct turn *turn)
{
	unsigned bits = 0;
	while ((turn->shard_total - 1) >> bits)
		bits++;
	return bits;
}

static unsigned part_bits(const struct turn *turn)
{
	return CURSOR_BITS - KEY_HASH_BITS - shard_bits(turn);
}

void scan_init(struct scan *scan, const struct turn *turn, uint64_t cursor)
{
	uint64_t shards = (uint64_t)1 << shard_bits(turn);
	uint64_t shard = (cursor >> KEY_HASH_BITS) & (shards - 1);
	uint64_t part = cursor >> KEY_HASH_BITS >> shard_bits(turn);
	*scan = (struct scan){
		.left = SCAN_COUNT_DEFAULT,
		.shards_left = SHARDS_MAX,
		.shard = (uint32_t)shard,
		.hash = cursor & (HASH_END - 1),
		.part = (uint32_t)part,
	};
	if (shard >= turn->shard_total || part >> part_bits(turn))
		scan_end(scan, turn);
}

void scan_end(struct scan *scan, const struct turn *turn)
{
	scan->shard = turn->shard_total;
	scan->hash = 0;
	scan->part = 0;
}

bool scan_is_over(const struct scan *scan, const struct turn *turn)
{
	return scan->shard >= turn->shard_total;
}

void scan_go_on(struct scan *scan, struct turn *turn)
{
	scan->shards_left = SHARDS_MAX;
	scan->looked = 0;
	turn_continue(turn, (uint16_t)scan->shard);
}

uint64_t scan_cursor(const struct scan *scan, const struct turn *turn)
{
	if (scan->shard >= turn->shard_total)
		return 0;
	uint64_t upper = (uint64_t)scan->part << shard_bits(turn) | scan->shard;
	return upper << KEY_HASH_BITS | scan->hash;
}

/* --- keys ------------------------------------------------------------------------------------- */

static void put_hash(struct key *out, struct slice prefix, uint64_t hash)
{
	memcpy(out->bytes, prefix.data, prefix.size);
	out->size = prefix.size;
	for (int i = HASH_BYTES - 1; i >= 0; i--)
		out->bytes[out->size++] = (char)(hash >> (8 * i));
}

/* The first key behind all those that start with the prefix, whose first byte is below 255. */
static void put_behind(struct key *out, struct slice prefix)
{
	memcpy(out->bytes, prefix.data, prefix.size);
	out->size = prefix.size;
	while ((unsigned char)out->bytes[out->size - 1] == 0xff)
		out->size--;
	out->bytes[out->size - 1]++;
}

static uint64_t hash_in(const struct walk *walk, struct slice key)
{
	uint64_t hash = 0;
	size_t at = walk->prefix.size;
	if (key.size < at + HASH_BYTES)
		damaged("the key of something named", walk->turn->shard, key);
	for (size_t i = 0; i < HASH_BYTES; i++)
		hash = hash << 8 | (unsigned char)key.data[at + i];
	return hash;
}

static struct slice rest_of(struct slice prefix, struct slice key)
{
	size_t before = prefix.size + HASH_BYTES;
	return slice_of(key.data + before, key.size - before);
}

static uint32_t part_of(const struct walk *walk, struct slice key)
{
	struct slice rest = rest_of(walk->prefix, key);
	return key_hash_rest(turn_secret(walk->turn), rest) >>
		(KEY_HASH_REST_BITS - part_bits(walk->turn));
}

/* --- the walk --------------------------------------------------------------------------------- */

static void copy_key(struct key *out, struct slice key)
{
	memcpy(out->bytes, key.data, key.size);
	out->size = key.size;
}

static void open_at(struct walk *walk, struct slice key)
{
	copy_key(&walk->start, key);
	cursor_open(&walk->cursor, walk->turn->stores[walk->turn->shard], &walk->turn->changes,
		turn_arena(walk->turn), key_slice(&walk->start), key_slice(&walk->end), false);
	walk->cursor.without_data = walk->scan->without_data;
	walk->cursor.may_rest = true;
}

static void open_at_hash(struct walk *walk)
{
	struct key key;
	put_hash(&key, walk->prefix, walk->scan->hash);
	open_at(walk, key_slice(&key));
}

static void give(struct walk *walk, const struct met *met)
{
	struct scan *scan = walk->scan;
	int64_t cost = scan->each(
		scan->context, walk->turn, met->key, rest_of(walk->prefix, met->key), &met->value);
	assert(cost >= 1);
	scan->left -= cost;
}

/* Those of one hash, which are no crowd. */
static void give_met(struct walk *walk)
{
	for (size_t i = 0; i < walk->met_count; i++) {
		if (walk->scan->part == 0 || part_of(walk, walk->met[i].key) >= walk->scan->part)
			give(walk, &walk->met[i]);
	}
	walk->met_count = 0;
	walk->scan->part = 0;
	arena_reset(&walk->keys);
}

static void to_next_shard(struct scan *scan)
{
	scan->shard++;
	scan->hash = 0;
	scan->part = 0;
	scan->shards_left--;
}

static void to_next_hash(struct scan *scan)
{
	scan->part = 0;
	if (++scan->hash == HASH_END)
		to_next_shard(scan);
}

/* Goes on until enough has been given, a crowd has been met, the cursor rests, or the shard's end.
 * At a rest more of the hash may follow: what was met of it is met again. */
static void walk_plainly(struct walk *walk)
{
	struct scan *scan = walk->scan;
	struct slice key;
	struct value value;
	open_at_hash(walk);
	for (;;) {
		bool more = cursor_next(&walk->cursor, &key, &value);
		walk->rests = walk->cursor.rests;
		if (walk->rests)
			break;
		uint64_t hash = more ? hash_in(walk, key) : HASH_END;
		if (walk->met_count && hash != scan->hash) {
			give_met(walk);
			if (more && scan->left <= 0) {
				scan->hash = hash;
				break;
			}
		}
		if (!more) {
			to_next_shard(scan);
			break;
		}
		if (hash != scan->hash) {
			scan->hash = hash;
			scan->part = 0;
		}
		if (walk->met_count == SCAN_CROWD_MAX) {
			scan->crowded = true;
			scan->after = slice_of(NULL, 0);
			break;
		}
		walk->met[walk->met_count++] = (struct met){ arena_copy(&walk->keys, key), value };
	}
	cursor_close(&walk->cursor);
}

static void end_part(struct walk *walk)
{
	struct scan *scan = walk->scan;
	scan->crowded = false;
	if (++scan->part >> part_bits(walk->turn))
		to_next_hash(scan);
}

/* Some of the crowd at scan->hash: those of scan->part are given. */
static void walk_crowd(struct walk *walk)
{
	struct scan *scan = walk->scan;
	struct met met;
	bool paused = false;
	/* A database that was emptied meanwhile has another prefix. */
	if (scan->after.data && slice_starts_with(scan->after, walk->prefix))
		open_at(walk, scan->after);
	else
		open_at_hash(walk);
	for (int looked = 0; !paused && cursor_next(&walk->cursor, &met.key, &met.value);
		looked++) {
		if (hash_in(walk, met.key) != scan->hash)
			break;
		if (scan->after.data && slice_equal(met.key, scan->after))
			continue;
		scan->looked++;
		if (part_of(walk, met.key) == scan->part)
			give(walk, &met);
		copy_key(&walk->looked, met.key);
		paused = looked >= LOOKED_TURN_MAX;
	}
	walk->rests = walk->cursor.rests;
	if (!paused && !walk->rests)
		end_part(walk);
	else if (walk->looked.size)
		scan->after = arena_copy(turn_arena(walk->turn), key_slice(&walk->looked));
	cursor_close(&walk->cursor);
}

static bool is_enough(const struct scan *scan, const struct turn *turn)
{
	if (scan->shard >= turn->shard_total)
		return true;
	if (scan->crowded)
		return false;
	return scan->left <= 0 || scan->shards_left == 0 || scan->looked >= LOOKED_CALL_MAX;
}

bool scan_step(struct scan *scan, struct turn *turn, struct slice prefix)
{
	if (scan->shard == turn->shard && !is_enough(scan, turn)) {
		if (turn_makes_order(turn, turn->shard, (enum table)prefix.data[0]))
			return true;
		struct walk walk = { .scan = scan, .turn = turn, .prefix = prefix };
		put_behind(&walk.end, prefix);
		arena_init(&walk.keys, KEYS_CHUNK_BYTES);
		if (scan->crowded)
			walk_crowd(&walk);
		else
			walk_plainly(&walk);
		arena_fini(&walk.keys);
		if (walk.rests) {
			turn_continue_here(turn);
			return true;
		}
	}
	if (is_enough(scan, turn))
		return false;
	turn_continue(turn, (uint16_t)scan->shard);
	return true;
}
