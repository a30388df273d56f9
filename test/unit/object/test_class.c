/*
 * The registry of classes against a plain table, its life cycle, and what of it is stored.
 */
#include "object/class.h"

#include "base/buffer.h"
#include "base/logline.h"
#include "base/memory.h"
#include "base/random.h"
#include "object/object_key.h"
#include "object/packed.h"
#include "support/fault_text.h"
#include "support/turn_rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int set_up(void **state)
{
	logline_set_level(LOGLINE_WARNING + 1);
	*state = class_registry_new();
	return 0;
}

static int tear_down(void **state)
{
	struct class_registry *registry = *state;
	class_registry_free(&registry);
	assert_null(registry);
	return 0;
}

static void publish(
	struct class_registry *registry, const char *name, const char *source, uint64_t version)
{
	struct class_given given = {
		.name = slice_text(name),
		.source = slice_text(source),
		.version = version,
		.lsn = version * 10,
		.loaded_ms = 1000 + (int64_t)version,
	};
	class_publish(registry, &given);
}

/* --- the registry ----------------------------------------------------------------------------- */

#define MODEL_NAMES 40

struct model {
	uint64_t versions[MODEL_NAMES]; /* 0: absent */
	int next;                       /* while walking */
};

static void model_name(int i, char out[16])
{
	/* Names that start alike and are of different lengths, in byte order. */
	snprintf(out, 16, "C%c%s", 'A' + i / 2, i % 2 ? "_x" : "");
}

static void check_next(void *context, const struct class *class)
{
	struct model *model = context;
	char name[16];
	while (model->next < MODEL_NAMES && model->versions[model->next] == 0)
		model->next++;
	assert_true(model->next < MODEL_NAMES);
	model_name(model->next, name);
	assert_string_equal(class->name, name);
	assert_int_equal(class->version, model->versions[model->next]);
	model->next++;
}

static void check_all(struct class_registry *registry, struct model *model)
{
	model->next = 0;
	class_each(registry, check_next, model);
	while (model->next < MODEL_NAMES)
		assert_int_equal(model->versions[model->next++], 0);
}

static void is_like_a_plain_table_under_random_changes(void **state)
{
	struct class_registry *registry = *state;
	struct model model = { 0 };
	struct random random;
	random_seed(&random, 7);
	for (uint64_t step = 1; step < 5000; step++) {
		int i = (int)random_below(&random, MODEL_NAMES);
		char name[16];
		model_name(i, name);
		uint64_t revision = class_registry_revision(registry);
		if (random_below(&random, 3) == 0) {
			class_withdraw(registry, slice_text(name));
			assert_int_equal(class_registry_revision(registry),
				revision + (model.versions[i] ? 1 : 0));
			model.versions[i] = 0;
		} else {
			publish(registry, name, name, step);
			assert_int_equal(class_registry_revision(registry), revision + 1);
			model.versions[i] = step;
		}
		struct class *class = class_find(registry, slice_text(name));
		assert_int_equal(class ? class->version : 0, model.versions[i]);
		class_release(&class);
		assert_null(class);
		if (step % 50 == 0)
			check_all(registry, &model);
	}
}

static void holds_copies_of_what_it_is_given(void **state)
{
	struct class_registry *registry = *state;
	char name[] = "Counter", source[] = "return 1", file[] = "/classes/Counter.lua";
	struct class_given given = {
		.name = slice_text(name),
		.source = slice_text(source),
		.version = 3,
		.lsn = 17,
		.loaded_ms = 99,
		.from_file = true,
		.file = slice_text(file),
		.file_known = true,
		.file_digest = { "digest" },
	};
	class_publish(registry, &given);
	memset(name, 'x', sizeof(name) - 1);
	memset(source, 'x', sizeof(source) - 1);
	memset(file, 'x', sizeof(file) - 1);
	struct class *class = class_find(registry, slice_text("Counter"));
	assert_string_equal(class->name, "Counter");
	assert_true(slice_equal(class->source, slice_text("return 1")));
	assert_int_equal(class->version, 3);
	assert_int_equal(class->lsn, 17);
	assert_int_equal(class->loaded_ms, 99);
	assert_true(class->from_file && class->file_known);
	assert_true(slice_equal(class->file, slice_text("/classes/Counter.lua")));
	assert_memory_equal(&class->file_digest, &given.file_digest, sizeof(given.file_digest));
	class_release(&class);
}

/* The address sanitizer sees a use after it was freed, and what is never freed. */
static void a_class_lives_as_long_as_somebody_holds_it(void **state)
{
	struct class_registry *registry = *state;
	publish(registry, "Counter", "one", 1);
	struct class *first = class_find(registry, slice_text("Counter"));
	struct class *again = class_find(registry, slice_text("Counter"));
	assert_ptr_equal(first, again);
	class_release(&again);
	publish(registry, "Counter", "two", 2);
	assert_true(slice_equal(first->source, slice_text("one")));
	struct class *second = class_find(registry, slice_text("Counter"));
	class_withdraw(registry, slice_text("Counter"));
	assert_null(class_find(registry, slice_text("Counter")));
	assert_true(slice_equal(second->source, slice_text("two")));
	class_release(&first);
	class_release(&second);
}

static void names_are_compared_whole(void **state)
{
	struct class_registry *registry = *state;
	publish(registry, "Counter", "", 1);
	assert_null(class_find(registry, slice_text("Count")));
	assert_null(class_find(registry, slice_text("Counter2")));
	assert_null(class_find(registry, slice_text("counter")));
	assert_null(class_find(registry, slice_of(NULL, 0)));
}

static void *publish_often(void *context)
{
	struct class_registry *registry = context;
	for (uint64_t version = 1; version <= 2000; version++) {
		publish(registry, "Shared", "source", version);
		if (version % 7 == 0)
			class_withdraw(registry, slice_text("Other"));
		else if (version % 3 == 0)
			publish(registry, "Other", "source", version);
	}
	return NULL;
}

static void others_find_whole_classes_while_one_publishes(void **state)
{
	struct class_registry *registry = *state;
	pthread_t writer;
	uint64_t last = 0;
	assert_int_equal(pthread_create(&writer, NULL, publish_often, registry), 0);
	while (last < 2000) {
		struct class *class = class_find(registry, slice_text("Shared"));
		if (class == NULL)
			continue;
		assert_true(class->version >= last);
		assert_int_equal(class->lsn, class->version * 10);
		assert_true(slice_equal(class->source, slice_text("source")));
		last = class->version;
		class_release(&class);
	}
	pthread_join(writer, NULL);
}

/* --- stored ----------------------------------------------------------------------------------- */

static void put_class(struct turn *turn)
{
	struct key key = { .size = 1, .bytes = { TABLE_CLASS } };
	struct slice name = turn_argument(turn, 0), data = turn_argument(turn, 1);
	memcpy(key.bytes + 1, name.data, name.size);
	key.size += name.size;
	struct value value = { .type = VALUE_PACKED, .data = data };
	turn_put(turn, 0, key_slice(&key), &value);
}

static void store(struct turn_rig *rig, const char *name, struct slice packed)
{
	struct slice arguments[] = { slice_text(name), packed };
	turn_rig_run_slices(rig, put_class, arguments, 2);
}

/* `digest` without data: in the first form, which had none. */
static void store_class(struct turn_rig *rig, const char *name, int64_t version,
	struct slice source, struct slice digest)
{
	struct buffer packed;
	buffer_init(&packed);
	packed_add_table(&packed, digest.data ? 4 : 3, 0);
	packed_add_integer(&packed, version);
	packed_add_integer(&packed, 1700000000000 + version);
	packed_add_string(&packed, source);
	if (digest.data)
		packed_add_string(&packed, digest);
	store(rig, name, buffer_slice(&packed));
	buffer_fini(&packed);
}

static void count(void *context, const struct class *class)
{
	size_t *classes = context;
	*classes += 1;
}

static void stored_classes_are_loaded(void **state)
{
	struct class_registry *registry = *state;
	struct turn_rig *rig = memory_alloc(sizeof(*rig));
	turn_rig_init(rig, 1);
	struct slice none = { NULL, 0 };
	char digest[CLASS_DIGEST_BYTES] = "what the file had";
	char *large = memory_alloc(LIMIT_CLASS_SOURCE_BYTES);
	memset(large, ' ', LIMIT_CLASS_SOURCE_BYTES);
	store_class(rig, "Large", 2, slice_of(large, LIMIT_CLASS_SOURCE_BYTES), none);
	turn_rig_checkpoint(rig);
	store_class(rig, "Counter", 41, slice_text("return 1"), slice_of(digest, sizeof(digest)));
	store_class(rig, "Unknown", 2, slice_text("return 2"), slice_of("", 0));
	class_load_stored(registry, rig->stores[0]);
	size_t classes = 0;
	class_each(registry, count, &classes);
	assert_int_equal(classes, 3);
	struct class *class = class_find(registry, slice_text("Counter"));
	assert_int_equal(class->version, 41);
	assert_int_equal(class->loaded_ms, 1700000000041);
	assert_int_equal(class->lsn, 0);
	assert_false(class->from_file);
	assert_true(slice_equal(class->source, slice_text("return 1")));
	assert_true(class->file_known);
	assert_memory_equal(&class->file_digest, digest, sizeof(digest));
	class_release(&class);
	class = class_find(registry, slice_text("Unknown"));
	assert_false(class->file_known);
	class_release(&class);
	class = class_find(registry, slice_text("Large"));
	assert_false(class->file_known);
	assert_true(slice_equal(class->source, slice_of(large, LIMIT_CLASS_SOURCE_BYTES)));
	class_release(&class);
	memory_free(large);
	turn_rig_fini(rig);
	memory_free(rig);
}

struct loading {
	struct class_registry *registry;
	struct turn_rig *rig;
};

static void load_stored(void *context)
{
	const struct loading *loading = context;
	class_load_stored(loading->registry, loading->rig->stores[0]);
}

static void a_damaged_class_is_a_fault(void **state)
{
	static const struct {
		const char *name, *packed;
	} damages[] = {
		{ "not a name", "\x06\x03\x00\x03\x02\x03\x02\x05\x00" },
		{ "Damaged", "\x06\x03\x00\x03" },
		{ "Other", "\x03\x02" },
	};
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct loading loading = { *state, memory_alloc(sizeof(*loading.rig)) };
		char words[128];
		turn_rig_init(loading.rig, 1);
		store(loading.rig, damages[i].name, slice_text(damages[i].packed));
		snprintf(words, sizeof(words),
			"a stored class is damaged: shard 0, table 7, key of %zu bytes "
			"\"\\x07%s\"",
			1 + strlen(damages[i].name), damages[i].name);
		assert_fault(load_stored, &loading, words);
		turn_rig_fini(loading.rig);
		memory_free(loading.rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			is_like_a_plain_table_under_random_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			holds_copies_of_what_it_is_given, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_class_lives_as_long_as_somebody_holds_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_are_compared_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			others_find_whole_classes_while_one_publishes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stored_classes_are_loaded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_damaged_class_is_a_fault, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
