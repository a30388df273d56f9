/*
 * The registry of classes against a plain table, its life cycle, and the two places that classes
 * are loaded from.
 */
#include "object/class.h"

#include "base/buffer.h"
#include "base/logline.h"
#include "base/memory.h"
#include "base/random.h"
#include "object/object_key.h"
#include "object/packed.h"
#include "support/turn_rig.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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
	class_publish(registry, slice_text(name), slice_text(source), version, version * 10,
		1000 + (int64_t)version, false);
}

/* --- the registry --------------------------------------------------------------------------------
 */

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

static void holds_copies_of_name_and_source(void **state)
{
	struct class_registry *registry = *state;
	char name[] = "Counter", source[] = "return 1";
	class_publish(registry, slice_text(name), slice_text(source), 3, 17, 99, true);
	memset(name, 'x', sizeof(name) - 1);
	memset(source, 'x', sizeof(source) - 1);
	struct class *class = class_find(registry, slice_text("Counter"));
	assert_string_equal(class->name, "Counter");
	assert_true(slice_equal(class->source, slice_text("return 1")));
	assert_int_equal(class->version, 3);
	assert_int_equal(class->lsn, 17);
	assert_int_equal(class->loaded_ms, 99);
	assert_true(class->from_file);
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

/* --- stored --------------------------------------------------------------------------------------
 */

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

static void store_class(
	struct turn_rig *rig, const char *name, int64_t version, struct slice source)
{
	struct buffer packed;
	buffer_init(&packed);
	packed_add_table(&packed, 3, 0);
	packed_add_integer(&packed, version);
	packed_add_integer(&packed, 1700000000000 + version);
	packed_add_string(&packed, source);
	store(rig, name, buffer_slice(&packed));
	buffer_fini(&packed);
}

static void count(void *context, const struct class *class)
{
	size_t *classes = context;
	*classes += 1;
}

static void stored_classes_are_loaded_and_damaged_ones_left_out(void **state)
{
	struct class_registry *registry = *state;
	struct turn_rig *rig = memory_alloc(sizeof(*rig));
	turn_rig_init(rig, 1);
	char *large = memory_alloc(LIMIT_CLASS_SOURCE_BYTES);
	memset(large, ' ', LIMIT_CLASS_SOURCE_BYTES);
	store_class(rig, "Large", 2, slice_of(large, LIMIT_CLASS_SOURCE_BYTES));
	turn_rig_checkpoint(rig);
	store_class(rig, "Counter", 41, slice_text("return 1"));
	store_class(rig, "not a name", 1, slice_text("return 1"));
	store(rig, "Damaged", slice_text("\x06\x03\x00\x03"));
	store(rig, "Other", slice_text("\x03\x02"));

	class_load_stored(registry, rig->stores[0]);
	size_t classes = 0;
	class_each(registry, count, &classes);
	assert_int_equal(classes, 2);
	struct class *class = class_find(registry, slice_text("Counter"));
	assert_int_equal(class->version, 41);
	assert_int_equal(class->loaded_ms, 1700000000041);
	assert_int_equal(class->lsn, 0);
	assert_false(class->from_file);
	assert_true(slice_equal(class->source, slice_text("return 1")));
	class_release(&class);
	class = class_find(registry, slice_text("Large"));
	assert_true(slice_equal(class->source, slice_of(large, LIMIT_CLASS_SOURCE_BYTES)));
	class_release(&class);
	memory_free(large);
	turn_rig_fini(rig);
	memory_free(rig);
}

/* --- a directory ---------------------------------------------------------------------------------
 */

#define NOW_MS 1700000000000

struct directory {
	char path[64];
	char checked[256]; /* names, in the order in which they were checked */
	char error[256];
};

static bool check_source(
	void *context, struct slice name, struct slice source, char *error, size_t error_size)
{
	struct directory *directory = context;
	size_t used = strlen(directory->checked);
	snprintf(directory->checked + used, sizeof(directory->checked) - used, "%.*s ",
		(int)name.size, name.data);
	if (!slice_starts_with(source, slice_text("bad")))
		return true;
	snprintf(error, error_size, "%.*s:1: unexpected symbol", (int)name.size, name.data);
	return false;
}

static void directory_make(struct directory *directory)
{
	*directory = (struct directory){ .path = "/tmp/holdfast-classes-XXXXXX" };
	assert_non_null(mkdtemp(directory->path));
}

static void directory_add(
	struct directory *directory, const char *name, const char *text, size_t size)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", directory->path, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	fclose(file);
}

static void directory_take(struct directory *directory, const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", directory->path, name);
	assert_int_equal(remove(path), 0);
}

static void directory_remove(struct directory *directory)
{
	assert_int_equal(rmdir(directory->path), 0);
}

static int load(struct class_registry *registry, struct directory *directory)
{
	directory->error[0] = directory->checked[0] = '\0';
	return class_load_directory(registry, directory->path, NOW_MS, check_source, directory,
		directory->error, sizeof(directory->error));
}

static void the_files_of_a_directory_are_loaded_in_the_order_of_their_names(void **state)
{
	struct class_registry *registry = *state;
	struct directory directory;
	directory_make(&directory);
	directory_add(&directory, "Zebra.lua", "z", 1);
	directory_add(&directory, "Apple.lua", "a\0b", 3);
	directory_add(&directory, "Notes.txt", "bad", 3);
	directory_add(&directory, ".hidden.lua", "bad", 3);
	directory_add(&directory, "lua", "bad", 3);
	assert_int_equal(load(registry, &directory), 0);
	assert_string_equal(directory.checked, "Apple Zebra ");
	struct class *class = class_find(registry, slice_text("Apple"));
	assert_true(class->from_file);
	assert_int_equal(class->version, 0);
	assert_int_equal(class->lsn, 0);
	assert_int_equal(class->loaded_ms, NOW_MS);
	assert_true(slice_equal(class->source, slice_of("a\0b", 3)));
	class_release(&class);
	static const char *const names[] = { "Zebra.lua", "Apple.lua", "Notes.txt", ".hidden.lua",
		"lua" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		directory_take(&directory, names[i]);
	directory_remove(&directory);
}

static void a_stored_class_wins_over_a_file_of_its_name(void **state)
{
	struct class_registry *registry = *state;
	struct directory directory;
	directory_make(&directory);
	publish(registry, "Counter", "stored", 5);
	directory_add(&directory, "Counter.lua", "bad file", 8);
	assert_int_equal(load(registry, &directory), 0);
	struct class *class = class_find(registry, slice_text("Counter"));
	assert_int_equal(class->version, 5);
	assert_true(slice_equal(class->source, slice_text("stored")));
	class_release(&class);
	directory_take(&directory, "Counter.lua");
	directory_remove(&directory);
}

static void what_is_wrong_with_a_file_is_said_with_its_name(void **state)
{
	struct class_registry *registry = *state;
	struct directory directory;
	directory_make(&directory);

	directory_add(&directory, "1st.lua", "a", 1);
	assert_int_equal(load(registry, &directory), -EINVAL);
	assert_non_null(strstr(directory.error, "/1st.lua: a class name is"));
	directory_take(&directory, "1st.lua");

	directory_add(&directory, "Wrong.lua", "bad", 3);
	assert_int_equal(load(registry, &directory), -EINVAL);
	assert_non_null(strstr(directory.error, "/Wrong.lua: Wrong:1: unexpected symbol"));
	directory_take(&directory, "Wrong.lua");

	char *large = memory_zeroed(LIMIT_CLASS_SOURCE_BYTES + 1);
	directory_add(&directory, "Large.lua", large, LIMIT_CLASS_SOURCE_BYTES + 1);
	assert_int_equal(load(registry, &directory), -EFBIG);
	assert_non_null(strstr(directory.error, "/Large.lua: a class is at most 1 MiB"));
	directory_add(&directory, "Large.lua", large, LIMIT_CLASS_SOURCE_BYTES);
	assert_int_equal(load(registry, &directory), 0);
	directory_take(&directory, "Large.lua");
	memory_free(large);

	char path[128];
	snprintf(path, sizeof(path), "%s/Folder.lua", directory.path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(load(registry, &directory), -EISDIR);
	assert_non_null(strstr(directory.error, "/Folder.lua: Is a directory"));
	assert_int_equal(rmdir(path), 0);
	directory_remove(&directory);

	assert_int_equal(load(registry, &directory), -ENOENT);
	assert_non_null(strstr(directory.error, directory.path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			is_like_a_plain_table_under_random_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(holds_copies_of_name_and_source, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_class_lives_as_long_as_somebody_holds_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_are_compared_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			others_find_whole_classes_while_one_publishes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			stored_classes_are_loaded_and_damaged_ones_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_files_of_a_directory_are_loaded_in_the_order_of_their_names, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_stored_class_wins_over_a_file_of_its_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_wrong_with_a_file_is_said_with_its_name, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
