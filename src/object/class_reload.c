/*
 * class_reload: takes classes from the files of class-dir while the server runs: by DO.CLASS
 * RELOAD, and when the server is told by a signal that its files have changed.
 *
 *   files read, checked -> all sound -> stored classes of their names deleted -> reply
 *     -> committed -> class_publish of each
 *
 * As with a load the classes are published with the commit, and its LSN is what their code's
 * replies wait for. A stored class that gave way is deleted, so that the file is still the one that
 * holds after the next start.
 *
 * The command takes every file that differs from the class that holds, since somebody has asked for
 * just that. The signal takes those that came after it: it is also sent to have log files opened
 * anew, which must not undo what was loaded by command.
 *
 * Threads: the turn's, a worker's of shard 0. The disk is read within the turn.
 */
#include "object/commands.h"

#include "base/logline.h"
#include "config/config.h"
#include "object/class_files.h"
#include "object/objects.h"
#include "request/request.h"

static void reload(struct turn *turn, bool only_later);
static bool read_files(struct turn *turn, struct class_files *files);
static bool is_taken(struct objects *objects, const struct class_file *file, bool only_later);
static void delete_stored(struct turn *turn, struct slice name);
static void on_taken(struct turn *turn, void *context);
static bool check(
	void *context, struct slice name, struct slice source, char *error, size_t error_size);

void do_class_reload(struct turn *turn)
{
	if (turn->asked->argument_count > 3)
		turn_syntax_error(turn, 3);
	else
		reload(turn, false);
}

static void reload_later(struct turn *turn)
{
	reload(turn, true);
}

/* The request of the signal. */
static const struct command signal_command = {
	.name = "take files that have changed",
	.route = ROUTE_WALK,
	.flags = COMMAND_WRITE,
	.run = reload_later,
};

static void on_reloaded(struct request **taken)
{
	const struct request *request = *taken;
	struct slice error = request_error(request);
	if (error.size > 0)
		logline(LOGLINE_WARNING, "SIGHUP: %.*s", (int)error.size, error.data);
}

void objects_reload_classes(struct objects *objects)
{
	const struct slice words[] = { slice_text("do.class"), slice_text("reload") };
	engine_ask(objects_engine(objects), objects_port(objects),
		&(struct question){ .command = &signal_command,
			.words = words,
			.word_count = 2,
			.routed = true,
			.told = on_reloaded });
}

static void write_taken(struct turn *turn, const struct class_files *files)
{
	writer_array(&turn->writer, files->count);
	for (size_t i = 0; i < files->count; i++)
		writer_bulk(&turn->writer, files->files[i].name);
}

static void reload(struct turn *turn, bool only_later)
{
	struct class_files files;
	if (!read_files(turn, &files))
		return;
	struct class_files *taken = arena_alloc(turn_arena(turn), sizeof(*taken));
	*taken = files;
	taken->count = 0;
	for (size_t i = 0; i < files.count; i++) {
		if (!is_taken(objects_on(turn), &files.files[i], only_later))
			continue;
		struct class *class =
			class_find(objects_registry(objects_on(turn)), files.files[i].name);
		bool busy = class && objects_class_is_busy(turn, class);
		class_release(&class);
		if (busy)
			return;
		taken->files[taken->count++] = files.files[i];
		delete_stored(turn, files.files[i].name);
	}
	turn_on_commit(turn, on_taken, taken);
	write_taken(turn, taken);
}

/* All of them, or the one that the command names. False: answered with an error. */
static bool read_files(struct turn *turn, struct class_files *files)
{
	struct config *config = objects_config(objects_on(turn));
	char error[LIMIT_ERROR_BYTES];
	struct class_files_options options = {
		.directory = class_files_directory(config, turn_arena(turn)).data,
		.only = turn->asked->argument_count > 2 ? turn_argument(turn, 2)
							: slice_of(NULL, 0),
		.check = check,
		.context = objects_on(turn),
		.arena = turn_arena(turn),
	};
	if (options.only.size > 0 && !object_class_name_ok(options.only))
		turn_error(turn, ERROR_CLASS_NAME);
	else if (options.directory[0] == '\0')
		turn_error(turn, ERROR_CLASS_DIR);
	else if (class_files_read(files, &options, error, sizeof(error)) < 0)
		turn_error(turn, ERROR_CLASS_FILES, error);
	else
		return true;
	return false;
}

static bool is_taken(struct objects *objects, const struct class_file *file, bool only_later)
{
	struct class *class = class_find(objects_registry(objects), file->name);
	bool later = class_file_is_later(file, class);
	bool taken = later || (!only_later && class && !class->from_file);
	class_release(&class);
	return taken;
}

static void delete_stored(struct turn *turn, struct slice name)
{
	struct key key;
	struct value value;
	key_of_class(&key, name);
	if (turn_look(turn, CLASS_SHARD, key_slice(&key), &value))
		turn_delete(turn, CLASS_SHARD, key_slice(&key));
}

static void on_taken(struct turn *turn, void *context)
{
	const struct class_files *taken = context;
	for (size_t i = 0; i < taken->count; i++) {
		const struct class_file *file = &taken->files[i];
		class_file_publish(
			file, objects_registry(objects_on(turn)), turn->gate_lsn, turn->now_ms);
		logline(LOGLINE_NOTICE, "class %.*s: taken from %.*s", (int)file->name.size,
			file->name.data, (int)file->path.size, file->path.data);
	}
}

static bool check(
	void *context, struct slice name, struct slice source, char *error, size_t error_size)
{
	struct class *class = class_find(objects_registry(context), name);
	/* What holds has been compiled: a signal that is sent for the log's sake costs little. */
	bool holds = class && slice_equal(class->source, source);
	class_release(&class);
	return holds || objects_check_class(context, name, source, error, error_size);
}
