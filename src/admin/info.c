/*
 * info: the INFO command. It walks the shards only to sum their key counts; without the keyspace
 * section its first turn is its last. The text is written in the last turn, from counters that any
 * thread may read. The reply waits for no disk: it is what an operator asks when the disk is slow.
 *
 * Threads: a shard's turn, whichever worker's.
 */
#include "admin/info.h"

#include "admin/admin.h"

#include <assert.h>

#define SECTIONS_MAX 64

struct walk {
	uint64_t wanted; /* bit i: info_sections[i] */
	struct info info;
};

static uint64_t sections_wanted(const struct request *request);
static bool walks(uint64_t wanted);
static void write_sections(const struct walk *walk, struct buffer *out);

void admin_info(struct turn *turn)
{
	struct request *request = turn->request;
	struct walk *walk = request->state;
	if (walk == NULL) {
		walk = arena_alloc(turn_arena(turn), sizeof(*walk));
		*walk = (struct walk){ .wanted = sections_wanted(request),
			.info.environment = request->environment,
			.info.now_ms = turn->now_ms };
		request->state = walk;
	}
	if (walks(walk->wanted)) {
		for (int db = 0; db < LIMIT_DATABASES; db++) {
			uint64_t keys, expiring;
			store_count(turn->stores[turn->shard], (uint8_t)db, &keys, &expiring);
			walk->info.keys[db] += keys;
			walk->info.expiring[db] += expiring;
		}
		/* A worker's first shard bears its number. */
		const struct environment *environment = request->environment;
		if (turn->shard < environment->engine->worker_count && turn->objects)
			objects_add_totals(turn->objects, &walk->info.objects);
		if (turn->shard + 1 < turn->shard_total) {
			turn_continue(turn, turn->shard + 1);
			return;
		}
	}
	struct buffer text;
	buffer_init(&text);
	write_sections(walk, &text);
	writer_verbatim(&turn->writer, "txt", buffer_slice(&text));
	buffer_fini(&text);
}

/* INFO [section ...]; unknown sections are ignored, as Redis does. */
static uint64_t sections_wanted(const struct request *request)
{
	assert(info_sections_count <= SECTIONS_MAX);
	uint64_t wanted = 0;
	bool none_named = request->argument_count == 1;
	for (size_t s = 0; s < info_sections_count; s++) {
		const struct info_section *section = &info_sections[s];
		bool want = none_named && section->by_default;
		for (uint32_t i = 1; i < request->argument_count; i++) {
			struct slice named = request->arguments[i];
			want = want || slice_is(named, section->name) || slice_is(named, "all") ||
				slice_is(named, "everything") ||
				(slice_is(named, "default") && section->by_default);
		}
		wanted |= (uint64_t)want << s;
	}
	return wanted;
}

static bool walks(uint64_t wanted)
{
	for (size_t s = 0; s < info_sections_count; s++) {
		if ((wanted >> s & 1) && info_sections[s].walks)
			return true;
	}
	return false;
}

static void write_sections(const struct walk *walk, struct buffer *out)
{
	for (size_t s = 0; s < info_sections_count; s++) {
		const struct info_section *section = &info_sections[s];
		if ((walk->wanted >> s & 1) == 0)
			continue;
		buffer_format(out, "%s# %s\r\n", out->size ? "\r\n" : "", section->name);
		section->write(&walk->info, out);
	}
}
