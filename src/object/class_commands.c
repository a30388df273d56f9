/*
 * class_commands: DO.CLASS LOAD, LIST, SOURCE, DROP. RELOAD is class_reload.c's.
 *
 * Shard 0 stores the classes, and its turns order their changes. A class that is loaded must not be
 * seen before it is in the log, for the LSN of its record is what replies of its code wait for:
 *
 *   turn:         check -> TABLE_CLASS is written -> the reply
 *   committed:    class_publish with the record's LSN (turn_on_commit)
 *
 * Shard 0 is held until then, so two loads never publish in another order than they were stored in.
 *
 * DROP holds all shards: no object can come into being while it looks for one.
 *
 * Threads: the turn's; the registry has a lock of its own.
 */
#include "object/commands.h"

#include "holdfast/object_format.h"
#include "object/class_files.h"
#include "object/objects.h"
#include "object/packed.h"
#include "object/survey.h"

#include "config/config.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

/* How far a drop has looked for objects of the class. */
struct class_drop {
	uint16_t shard;
	bool is_within; /* the shard: the range goes on */
	struct survey_range range;
};

static bool name_argument(struct turn *turn, struct slice *out);
static struct class *loaded_class(struct turn *turn, struct slice name);
static bool next_version(struct turn *turn, bool replaces, struct class_given *given);
static bool check_source(struct turn *turn, struct slice name, struct slice source);
static void look_at_file(struct turn *turn, struct class_given *given);
static void store_class(struct turn *turn, const struct class_given *given);
static void on_loaded(struct turn *turn, void *context);
static void on_dropped(struct turn *turn, void *context);
static void count_class(void *context, const struct class *class);
static void write_class(void *context, const struct class *class);
static bool has_no_objects(struct turn *turn, struct slice class_name, struct class_drop *drop);

void do_class_load(struct turn *turn)
{
	uint32_t count = turn->asked->argument_count;
	/* redis-cli -x gives the source as the last argument. */
	bool before = count == 5 && slice_is(turn_argument(turn, 3), "replace");
	bool behind = count == 5 && !before && slice_is(turn_argument(turn, 4), "replace");
	if (count > 5 || (count == 5 && !before && !behind)) {
		/* The shorter of the two is not the source. */
		bool fourth = turn_argument(turn, 3).size > turn_argument(turn, 4).size;
		turn_syntax_error(turn, count > 5 ? 5 : fourth ? 4 : 3);
		return;
	}
	struct class_given given = {
		.source = turn_argument(turn, before ? 4 : 3),
		.loaded_ms = turn->now_ms,
	};
	if (!name_argument(turn, &given.name) || !check_source(turn, given.name, given.source) ||
		!next_version(turn, before || behind, &given))
		return;
	look_at_file(turn, &given);
	store_class(turn, &given);
	struct class_given *kept = arena_alloc(turn_arena(turn), sizeof(*kept));
	*kept = given;
	turn_on_commit(turn, on_loaded, kept);
	writer_integer(&turn->writer, (int64_t)given.version);
}

/* Whoever changes the registry holds shard 0, so it has not changed between the two walks. */
void do_class_list(struct turn *turn)
{
	struct class_registry *registry = objects_registry(objects_on(turn));
	size_t count = 0;
	class_each(registry, count_class, &count);
	writer_array(&turn->writer, count);
	class_each(registry, write_class, turn);
}

void do_class_source(struct turn *turn)
{
	struct slice name;
	if (!name_argument(turn, &name))
		return;
	struct class *class = loaded_class(turn, name);
	if (class)
		writer_bulk(&turn->writer, class->source);
	class_release(&class);
}

void do_class_drop(struct turn *turn)
{
	struct slice name;
	if (!name_argument(turn, &name))
		return;
	struct class *class = loaded_class(turn, name);
	if (class == NULL)
		return;
	struct slice path =
		arena_format(turn_arena(turn), "%.*s", (int)class->file.size, class->file.data);
	bool from_file = class->from_file && access(path.data, F_OK) == 0;
	class_release(&class);
	if (from_file) {
		turn_error(turn, ERROR_CLASS_OF_FILE, (int)name.size, name.data, path.data);
		return;
	}
	struct class_drop *drop = turn_state(turn, sizeof(*drop));
	if (!has_no_objects(turn, name, drop))
		return;
	struct key key;
	struct value value;
	key_of_class(&key, name);
	if (turn_look(turn, CLASS_SHARD, key_slice(&key), &value))
		turn_delete(turn, CLASS_SHARD, key_slice(&key));
	turn_on_commit(turn, on_dropped, NULL);
	writer_ok(&turn->writer);
}

static bool name_argument(struct turn *turn, struct slice *out)
{
	*out = turn_argument(turn, 2);
	if (object_class_name_ok(*out))
		return true;
	turn_error(turn, ERROR_CLASS_NAME);
	return false;
}

/* With a reference of the caller's; NULL: answered with an error. */
static struct class *loaded_class(struct turn *turn, struct slice name)
{
	struct class *class = class_find(objects_registry(objects_on(turn)), name);
	if (class == NULL)
		turn_error(turn, ERROR_NO_CLASS, (int)name.size, name.data);
	else if (class->lsn > turn->gate_lsn)
		turn->gate_lsn = class->lsn;
	return class;
}

/* The size is checked before anything is compiled, whether it may be replaced last: a source that
 * is wrong is worth knowing of either way. */
static bool check_source(struct turn *turn, struct slice name, struct slice source)
{
	char error[LIMIT_ERROR_BYTES];
	if (source.size > LIMIT_CLASS_SOURCE_BYTES) {
		turn_error(turn, ERROR_CLASS_SIZE, source.size, LIMIT_CLASS_SOURCE_BYTES);
		return false;
	}
	if (objects_check_class(objects_on(turn), name, source, error, sizeof(error)))
		return true;
	turn_error(turn, ERROR_CLASS_SOURCE, error);
	return false;
}

/* False: the name is taken, and answered. */
static bool next_version(struct turn *turn, bool replaces, struct class_given *given)
{
	struct class *class = class_find(objects_registry(objects_on(turn)), given->name);
	bool taken = class && !replaces;
	bool busy = class && !taken && objects_class_is_busy(turn, class);
	given->version = class ? class->version + 1 : 1;
	class_release(&class);
	if (taken)
		turn_error(turn, ERROR_CLASS_EXISTS, (int)given->name.size, given->name.data);
	return !taken && !busy;
}

/* Which file it hides from now on: another one is later than this load. */
static void look_at_file(struct turn *turn, struct class_given *given)
{
	struct config *config = objects_config(objects_on(turn));
	struct slice directory = class_files_directory(config, turn_arena(turn));
	given->file_known = directory.size > 0;
	if (given->file_known)
		class_file_look(directory.data, given->name, turn_arena(turn), &given->file,
			&given->file_digest);
}

static void store_class(struct turn *turn, const struct class_given *given)
{
	assert(turn->shard == CLASS_SHARD);
	struct buffer packed;
	struct key key;
	buffer_init(&packed);
	packed_add_table(&packed, OBJECT_FORMAT_CLASS_ITEMS, 0);
	const struct class_digest *digest = &given->file_digest;
	packed_add_integer(&packed, (int64_t)given->version);
	packed_add_integer(&packed, given->loaded_ms);
	packed_add_string(&packed, given->source);
	packed_add_string(&packed, slice_of(digest, given->file_known ? sizeof(*digest) : 0));
	struct value value = {
		.type = VALUE_PACKED,
		.data = arena_copy(turn_arena(turn), buffer_slice(&packed)),
	};
	buffer_fini(&packed);
	key_of_class(&key, given->name);
	turn_put(turn, CLASS_SHARD, key_slice(&key), &value);
}

static void on_loaded(struct turn *turn, void *context)
{
	struct class_given *given = context;
	given->lsn = turn->gate_lsn;
	class_publish(objects_registry(objects_on(turn)), given);
}

static void on_dropped(struct turn *turn, void *context)
{
	(void)context;
	class_withdraw(objects_registry(objects_on(turn)), turn_argument(turn, 2));
}

static void count_class(void *context, const struct class *class)
{
	size_t *count = context;
	*count += 1;
}

static void write_hash(struct writer *writer, struct slice source)
{
	struct class_digest digest;
	char hex[2 * CLASS_DIGEST_BYTES + 1];
	class_digest(source, &digest);
	for (size_t i = 0; i < CLASS_DIGEST_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest.bytes[i]);
	writer_bulk(writer, slice_of(hex, sizeof(hex) - 1));
}

static void write_class(void *context, const struct class *class)
{
	struct turn *turn = context;
	struct writer *writer = &turn->writer;
	if (class->lsn > turn->gate_lsn)
		turn->gate_lsn = class->lsn;
	writer_map(writer, 7);
	writer_bulk_text(writer, "name");
	writer_bulk_text(writer, class->name);
	writer_bulk_text(writer, "version");
	writer_integer(writer, (int64_t) class->version);
	writer_bulk_text(writer, "bytes");
	writer_integer(writer, (int64_t) class->source.size);
	writer_bulk_text(writer, "from");
	writer_bulk_text(writer, class->from_file ? "file" : "command");
	writer_bulk_text(writer, "loaded-at");
	writer_integer(writer, class->loaded_ms);
	writer_bulk_text(writer, "sha256");
	write_hash(writer, class->source);
	writer_bulk_text(writer, "file");
	if (class->file.size > 0)
		writer_bulk(writer, class->file);
	else
		writer_null(writer);
}

/* False: answered with an error, or the turn pauses. */
static bool has_no_objects(struct turn *turn, struct slice class_name, struct class_drop *drop)
{
	struct survey survey;
	struct slice id;
	for (; drop->shard < turn->shard_total; drop->shard++, drop->is_within = false) {
		if (turn_pauses(turn))
			return false;
		if (!drop->is_within)
			survey_range_objects(
				&drop->range, class_name, slice_of(NULL, 0), slice_of(NULL, 0));
		drop->is_within = true;
		survey_open(&survey, turn, drop->shard, &drop->range);
		bool found = survey_next_object(&survey, class_name, &id);
		bool more = survey_close(&survey);
		if (found) {
			turn_error(turn, ERROR_CLASS_IN_USE, (int)class_name.size, class_name.data);
			return false;
		}
		if (more) {
			turn_continue_here(turn);
			return false;
		}
	}
	return true;
}
