/*
 * turn: what handlers see of the data. Reads look at this turn's changes first and note the LSN of
 * what they saw in the store; writes are only collected here. Whoever runs the turn (engine/)
 * commits.
 */
#include "request/turn.h"

#include "base/hash.h"
#include "config/config.h"
#include "holdfast/limits.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#define WORD_BYTES_MAX 32 /* of one that an error shows */

uint16_t turn_shard_of(const struct turn *turn, struct slice id)
{
	return hash_shard_of(hash_slot(id), turn->shard_total);
}

/* True when `key` has a value, expired or not. `arena` and `extent` as in store_get_extent. */
static bool find(struct turn *turn, uint16_t shard, struct slice key, struct arena *arena,
	struct extent extent, struct value *out)
{
	struct changes *changes = &turn->changes;
	const struct effect *effect = changes->count ? changes_find(changes, shard, key) : NULL;
	if (effect == NULL) {
		bool found = store_get_extent(
			turn->stores[shard], key, arena, extent, out, &turn->gate_lsn);
		if (found && arena)
			turn->bytes_read += out->data.size;
		return found;
	}
	out->type = effect->type;
	out->expire_ms = effect->expire_ms;
	out->data = effect->value;
	out->whole = effect->value.size;
	if (arena)
		out->data = slice_extent(out->data, extent);
	return effect->kind == EFFECT_PUT;
}

static bool find_live(
	struct turn *turn, uint16_t shard, struct slice key, struct arena *arena, struct value *out)
{
	if (find(turn, shard, key, arena, EXTENT_WHOLE, out) && value_is_live(out, turn->now_ms)) {
		turn->hits++;
		return true;
	}
	turn->misses++;
	*out = (struct value){ 0 };
	return false;
}

bool turn_get(struct turn *turn, uint16_t shard, struct slice key, struct value *out)
{
	return find_live(turn, shard, key, turn->arena, out);
}

bool turn_look(struct turn *turn, uint16_t shard, struct slice key, struct value *out)
{
	return find_live(turn, shard, key, NULL, out);
}

bool turn_peek(struct turn *turn, uint16_t shard, struct slice key, struct value *out)
{
	return turn_peek_extent(turn, shard, key, EXTENT_WHOLE, out);
}

bool turn_peek_extent(struct turn *turn, uint16_t shard, struct slice key, struct extent extent,
	struct value *out)
{
	if (find(turn, shard, key, turn->arena, extent, out))
		return true;
	*out = (struct value){ 0 };
	return false;
}

void turn_put(struct turn *turn, uint16_t shard, struct slice key, const struct value *value)
{
	changes_put(&turn->changes, shard, key, value);
}

void turn_delete(struct turn *turn, uint16_t shard, struct slice key)
{
	changes_delete(&turn->changes, shard, key);
}

void turn_continue(struct turn *turn, uint16_t shard)
{
	assert(shard < turn->shard_total);
	turn->continue_at = shard;
}

void turn_continue_everywhere(struct turn *turn)
{
	turn->continue_at = TURN_EVERYWHERE;
}

bool turn_goes_to(struct turn *turn, uint16_t shard)
{
	if (turn->shard == shard)
		return false;
	turn_continue(turn, shard);
	return true;
}

bool turn_walks(struct turn *turn, bool more_here)
{
	assert(turn->walked < turn->shard_total);
	turn->walk_stays = more_here;
	if (more_here) {
		turn_continue(turn, turn->shard);
		return true;
	}
	if (++turn->walked == turn->shard_total) {
		turn->walked = 0;
		return false;
	}
	turn_continue(turn, (uint16_t)((turn->shard + 1) % turn->shard_total));
	return true;
}

void *turn_state(struct turn *turn, size_t size)
{
	if (turn->state == NULL) {
		turn->state = arena_alloc(turn->arena, size);
		memset(turn->state, 0, size);
	}
	return turn->state;
}

void turn_continue_here(struct turn *turn)
{
	turn->continue_at = TURN_HERE;
}

bool turn_pauses(struct turn *turn)
{
	size_t bytes = turn->reply->size - turn->reply_before + turn->bytes_read;
	if (turn->steps++ == 0 || (turn->steps <= LIMIT_TURN_STEPS && bytes < LIMIT_TURN_BYTES))
		return false;
	turn_continue_here(turn);
	return true;
}

bool turn_makes_order(struct turn *turn, uint16_t shard, enum table table)
{
	if (store_order(turn->stores[shard], table, LIMIT_TURN_ORDER))
		return false;
	turn_continue_here(turn);
	return true;
}

bool turn_makes_long_order(struct turn *turn, uint16_t shard, enum table table)
{
	return store_unordered(turn->stores[shard], table) > LIMIT_TURN_ORDER &&
		turn_makes_order(turn, shard, table);
}

struct turn_mark turn_mark(struct turn *turn)
{
	return (struct turn_mark){
		.arena = arena_mark(turn_arena(turn)),
		.writes = turn->changes.writes,
	};
}

void turn_rewind(struct turn *turn, struct turn_mark *mark)
{
	if (turn->changes.writes == mark->writes)
		arena_rewind(turn_arena(turn), mark->arena);
	else
		*mark = turn_mark(turn);
}

void turn_park(struct turn *turn, void (*parked)(struct request *request))
{
	assert(turn->shard_count == 1);
	assert(turn->continue_at == TURN_NOWHERE);
	turn->parked = parked;
}

void turn_wait_for_shard(struct turn *turn, uint16_t shard)
{
	uint64_t lsn = store_last_lsn(turn->stores[shard]);
	if (lsn > turn->gate_lsn)
		turn->gate_lsn = lsn;
}

bool turn_publish(struct turn *turn, struct slice channel, struct slice message)
{
	struct changes *changes = &turn->changes;
	size_t room = LIMIT_EVENT_BYTES - changes->event_bytes;
	if (!turn->heard)
		return true;
	if (channel.size > room || message.size > room - channel.size)
		return false;
	changes_tell(changes, channel, message);
	return true;
}

void turn_on_commit(struct turn *turn, void (*run)(struct turn *turn, void *context), void *context)
{
	changes_follow(&turn->changes, run, context);
}

size_t turn_reply_bytes_max(const struct turn *turn)
{
	uint64_t most = (uint64_t)turn->config->client_output_bytes_max;
	uint64_t of_all = (uint64_t)turn->config->output_bytes_max;
	return most < of_all ? most : of_all;
}

void turn_error(struct turn *turn, const char *format, ...)
{
	char text[1024];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	turn->reply->size = 0;
	turn->failed = true;
	writer_error(&turn->writer, "%s", text);
}

/* Whether it may be shown: what looks like an option, and like no data, id or token. */
static bool is_plain_word(struct slice word)
{
	bool plain = word.size > 0 && word.size <= WORD_BYTES_MAX;
	for (size_t i = 0; plain && i < word.size; i++)
		plain = isascii((unsigned char)word.data[i]) &&
			isalpha((unsigned char)word.data[i]);
	return plain;
}

void turn_syntax_error(struct turn *turn, uint32_t index)
{
	char usage[COMMAND_USAGE_BYTES];
	command_usage(turn->asked->command, usage, sizeof(usage));
	if (index >= turn->asked->argument_count) {
		turn_error(turn, ERROR_SYNTAX_END, usage);
		return;
	}
	struct slice word = turn_argument(turn, index);
	if (is_plain_word(word))
		turn_error(turn, ERROR_SYNTAX_WORD, (int)word.size, word.data, usage);
	else
		turn_error(turn, ERROR_SYNTAX_ARGUMENT, index, usage);
}

void turn_arity_error(struct turn *turn)
{
	const struct command *command = turn->asked->command;
	char usage[COMMAND_USAGE_BYTES];
	command_usage(command, usage, sizeof(usage));
	turn_error(turn, ERROR_ARITY_USAGE, command->name, usage);
}
