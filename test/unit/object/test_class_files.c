/*
 * test_class_files: the files of a directory as classes: which are read, what is wrong with them,
 * and whether they or what was loaded by command is the later.
 */
#include "object/class_files.h"

#include "base/logline.h"
#include "base/memory.h"
#include "holdfast/limits.h"

#include <errno.h>
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
	return 0;
}

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

static struct class_files_options options_of(struct directory *directory, struct arena *arena)
{
	directory->error[0] = directory->checked[0] = '\0';
	return (struct class_files_options){
		.directory = directory->path,
		.check = check_source,
		.context = directory,
		.arena = arena,
	};
}

static int load(struct class_registry *registry, struct directory *directory)
{
	struct arena arena;
	arena_init(&arena, 4096);
	struct class_files_options options = options_of(directory, &arena);
	int result = class_load_directory(
		registry, NOW_MS, &options, directory->error, sizeof(directory->error));
	arena_fini(&arena);
	return result;
}

/* What was loaded by command when the file of its name had this text; NULL: when that was not
 * known. */
static void publish_loaded(struct class_registry *registry, const char *name, const char *source,
	uint64_t version, const char *file)
{
	struct class_given given = {
		.name = slice_text(name),
		.source = slice_text(source),
		.version = version,
		.loaded_ms = 5,
		.file_known = file != NULL,
	};
	if (file && file[0])
		class_digest(slice_text(file), &given.file_digest);
	class_publish(registry, &given);
}

static void assert_class(
	struct class_registry *registry, const char *name, uint64_t version, const char *source)
{
	struct class *class = class_find(registry, slice_text(name));
	assert_non_null(class);
	assert_int_equal(class->version, version);
	assert_true(slice_equal(class->source, slice_text(source)));
	class_release(&class);
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
	char path[128];
	snprintf(path, sizeof(path), "%s/Apple.lua", directory.path);
	assert_true(slice_equal(class->file, slice_text(path)));
	class_release(&class);
	static const char *const names[] = { "Zebra.lua", "Apple.lua", "Notes.txt", ".hidden.lua",
		"lua" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		directory_take(&directory, names[i]);
	directory_remove(&directory);
}

static void the_later_of_a_file_and_a_load_holds(void **state)
{
	struct class_registry *registry = *state;
	struct directory directory;
	directory_make(&directory);
	/* The file is what it was when the class was loaded. */
	publish_loaded(registry, "Kept", "loaded", 5, "file");
	directory_add(&directory, "Kept.lua", "file", 4);
	/* It has changed, or come, since. */
	publish_loaded(registry, "Changed", "loaded", 5, "file before");
	directory_add(&directory, "Changed.lua", "file", 4);
	publish_loaded(registry, "Come", "loaded", 5, "");
	directory_add(&directory, "Come.lua", "file", 4);
	/* Nobody knows. */
	publish_loaded(registry, "Unknown", "loaded", 5, NULL);
	directory_add(&directory, "Unknown.lua", "bad file", 8);
	/* It has become what was loaded. */
	publish_loaded(registry, "Same", "loaded", 5, "file before");
	directory_add(&directory, "Same.lua", "loaded", 6);
	assert_int_equal(load(registry, &directory), 0);
	assert_class(registry, "Kept", 5, "loaded");
	assert_class(registry, "Changed", 6, "file");
	assert_class(registry, "Come", 6, "file");
	assert_class(registry, "Unknown", 5, "loaded");
	assert_class(registry, "Same", 5, "loaded");
	assert_string_equal(directory.checked, "Changed Come ");
	/* From now on it is known, and the next change counts. */
	directory_add(&directory, "Unknown.lua", "file", 4);
	assert_int_equal(load(registry, &directory), 0);
	assert_class(registry, "Unknown", 6, "file");
	static const char *const names[] = { "Kept.lua", "Changed.lua", "Come.lua", "Unknown.lua",
		"Same.lua" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		directory_take(&directory, names[i]);
	directory_remove(&directory);
}

static void a_stored_class_goes_on_when_its_file_is_not_sound(void **state)
{
	struct class_registry *registry = *state;
	struct directory directory;
	directory_make(&directory);
	publish_loaded(registry, "Counter", "loaded", 5, "");
	directory_add(&directory, "Counter.lua", "bad", 3);
	assert_int_equal(load(registry, &directory), 0);
	assert_class(registry, "Counter", 5, "loaded");
	directory_take(&directory, "Counter.lua");
	directory_remove(&directory);
}

static void a_directory_is_read_all_or_nothing(void **state)
{
	struct directory directory;
	struct class_files files;
	struct arena arena;
	arena_init(&arena, 4096);
	directory_make(&directory);
	directory_add(&directory, "A.lua", "a", 1);
	directory_add(&directory, "B.lua", "bad", 3);
	directory_add(&directory, "C.lua", "c", 1);
	struct class_files_options options = options_of(&directory, &arena);
	assert_int_equal(class_files_read(&files, &options, directory.error, 256), -EINVAL);
	assert_non_null(strstr(directory.error, "/B.lua: B:1: unexpected symbol"));

	options.only = slice_text("C");
	assert_int_equal(class_files_read(&files, &options, directory.error, 256), 0);
	assert_int_equal(files.count, 1);
	assert_true(slice_equal(files.files[0].name, slice_text("C")));
	options.only = slice_text("D");
	assert_int_equal(class_files_read(&files, &options, directory.error, 256), -ENOENT);
	assert_non_null(strstr(directory.error, "/D.lua: No such file or directory"));

	options.only = slice_of(NULL, 0);
	directory_take(&directory, "B.lua");
	assert_int_equal(class_files_read(&files, &options, directory.error, 256), 0);
	assert_int_equal(files.count, 2);
	assert_true(slice_equal(files.files[1].source, slice_text("c")));
	directory_take(&directory, "A.lua");
	directory_take(&directory, "C.lua");
	directory_remove(&directory);
	arena_fini(&arena);
}

static void a_file_that_is_published_counts_on(void **state)
{
	struct class_registry *registry = *state;
	struct class_file file = {
		.name = slice_text("Counter"),
		.source = slice_text("one"),
		.path = slice_text("/Counter.lua"),
	};
	class_digest(file.source, &file.digest);
	assert_true(class_file_is_later(&file, NULL));
	class_file_publish(&file, registry, 3, 77);
	assert_class(registry, "Counter", 0, "one");
	struct class *class = class_find(registry, file.name);
	assert_true(class->from_file);
	assert_int_equal(class->lsn, 3);
	assert_false(class_file_is_later(&file, class));
	class_release(&class);
	publish_loaded(registry, "Counter", "two", 8, "one");
	class_file_publish(&file, registry, 4, 78);
	assert_class(registry, "Counter", 9, "one");
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
			the_files_of_a_directory_are_loaded_in_the_order_of_their_names, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			the_later_of_a_file_and_a_load_holds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_stored_class_goes_on_when_its_file_is_not_sound, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_directory_is_read_all_or_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_file_that_is_published_counts_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_wrong_with_a_file_is_said_with_its_name, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
