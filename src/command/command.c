/*
 * command: look-up by name. Every request passes here, so a look-up is a few instructions: the name
 * is lower-cased eight bytes at a time into three words, these are hashed, and an open-addressing
 * table of a quarter's load is asked. A subcommand is the same with its container's number in the
 * key, so both take the same way:
 *
 *   "CLIENT" "SetName"  ->  (0, "client") -> line 12, a container  ->  (13, "setname") -> line 20
 *
 * Life cycle: the index is built once, by the first command_table; afterwards nothing is written.
 *
 * Threads: any.
 */
#include "command/command.h"

#include "command/table.h"
#include "holdfast/errors.h"

#include <assert.h>
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>

#define NAME_BYTES_MAX 24 /* of a command, or of a subcommand */
#define NAME_WORDS     (NAME_BYTES_MAX / 8)
#define INDEX_SLOTS    1024 /* a power of two */
#define INDEX_LOAD_MAX (INDEX_SLOTS / 4)

/* Redis's: what an error repeats of the arguments. */
#define SHOWN_BYTES_MAX 128

struct name {
	uint64_t words[NAME_WORDS]; /* lower case, zero-padded */
	uint32_t size;
	uint32_t container; /* 1 + the container's line; 0: a command of its own */
};

struct entry {
	struct name name;
	uint32_t line; /* 1 + index into command_lines; 0: free */
	bool container;
};

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "load_word puts bytes together");
static_assert(NAME_WORDS == 3, "name_of fills three words");

static struct entry entries[INDEX_SLOTS];
static pthread_once_t entries_built = PTHREAD_ONCE_INIT;

static void build(void);
static struct entry *look_up(struct slice text, uint32_t container);
static struct slice shown(struct slice text, size_t most);

const struct command_set *command_table(void)
{
	static struct command_set set = {
		.commands = command_lines,
		.find = command_find,
		.write_unknown = command_write_unknown,
		.write_arity = command_write_arity,
	};
	pthread_once(&entries_built, build);
	set.count = command_lines_count;
	return &set;
}

const struct command *command_find(const struct slice *arguments, uint32_t count)
{
	assert(count > 0);
	const struct entry *entry = look_up(arguments[0], 0);
	if (entry && entry->container && count > 1)
		entry = look_up(arguments[1], entry->line);
	return entry && entry->line ? &command_lines[entry->line - 1] : NULL;
}

static void put_upper(struct slice name, char upper[NAME_BYTES_MAX + 1])
{
	assert(name.size <= NAME_BYTES_MAX);
	for (size_t i = 0; i < name.size; i++)
		upper[i] = (char)toupper((unsigned char)name.data[i]);
	upper[name.size] = '\0';
}

/* What stands before the point, when it is one of the families that have a HELP. */
static struct slice family_of(struct slice name)
{
	const char *point = memchr(name.data, '.', name.size);
	struct slice family = slice_of(name.data, point ? (size_t)(point - name.data) : 0);
	const struct entry *entry = family.size ? look_up(family, 0) : NULL;
	return entry && entry->container ? family : slice_of(NULL, 0);
}

void command_write_unknown(struct writer *writer, const struct slice *arguments, uint32_t count)
{
	struct slice name = shown(arguments[0], SHOWN_BYTES_MAX);
	const struct entry *entry = look_up(arguments[0], 0);
	char upper[NAME_BYTES_MAX + 1] = { 0 };
	if (entry && entry->container && count > 1) {
		put_upper(name, upper);
		struct slice subcommand = shown(arguments[1], SHOWN_BYTES_MAX);
		writer_error(writer, ERROR_UNKNOWN_SUBCOMMAND, (int)subcommand.size,
			subcommand.data, upper);
		return;
	}
	struct slice family = family_of(name);
	if (family.size) {
		put_upper(family, upper);
		writer_error(writer, ERROR_UNKNOWN_OF_FAMILY, (int)name.size, name.data, upper);
		return;
	}

	/* Each argument may use what those before it have left of the 128 bytes; the quotes around
	 * the last one come on top. */
	char text[SHOWN_BYTES_MAX + sizeof("'' ")] = "";
	size_t used = 0;
	for (uint32_t i = 1; i < count && used < SHOWN_BYTES_MAX; i++) {
		struct slice argument = shown(arguments[i], SHOWN_BYTES_MAX - used);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "'%.*s' ",
			(int)argument.size, argument.data);
	}
	writer_error(writer, ERROR_UNKNOWN_COMMAND, (int)name.size, name.data, text);
}

/* Redis's texts stay as they are. Of its commands none has a point in its name. */
void command_write_arity(struct writer *writer, const struct command *command)
{
	char usage[COMMAND_USAGE_BYTES];
	command_usage(command, usage, sizeof(usage));
	if (strchr(command->name, '.') && command->route != ROUTE_GROUP)
		writer_error(writer, ERROR_ARITY_USAGE, command->name, usage);
	else
		writer_error(writer, ERROR_ARITY, command->name);
}

void command_write_reference(struct buffer *out)
{
	const char *group = "";
	for (uint32_t i = 0; i < command_lines_count; i++) {
		const struct command *command = &command_lines[i];
		if (command->route == ROUTE_GROUP)
			continue;
		if (strcmp(group, command->group) != 0) {
			buffer_format(out, "%s### %c%s\n\n", *group ? "\n" : "",
				toupper((unsigned char)command->group[0]), command->group + 1);
			group = command->group;
		}
		char usage[COMMAND_USAGE_BYTES];
		command_usage(command, usage, sizeof(usage));
		buffer_format(out, "- `%s`: %s\n", usage, command->summary);
	}
}

/* Sets bit 5 in each byte that is an upper-case ASCII letter. */
static inline uint64_t lower_case(uint64_t word)
{
	const uint64_t each = 0x0101010101010101u;
	uint64_t low = word & (0x7f * each);
	uint64_t above_z = low + (0x7f - 'Z') * each;
	uint64_t from_a = low + (0x80 - 'A') * each;
	uint64_t upper = (from_a ^ above_z) & ~word & (0x80 * each);
	return word | upper >> 2;
}

static inline uint32_t slot_of(const struct name *name)
{
	uint64_t hash = name->words[0] * 0x9e3779b97f4a7c15u;
	hash ^= name->words[1] * 0xc2b2ae3d27d4eb4fu;
	hash ^= name->words[2] * 0x165667b19e3779f9u;
	hash ^= ((uint64_t)name->container << 8 | name->size) * 0xff51afd7ed558ccdu;
	return (uint32_t)((hash ^ hash >> 29) * 0x9fb21c651e98df25u >> 40) & (INDEX_SLOTS - 1);
}

static inline bool name_equal(const struct name *a, const struct name *b)
{
	uint64_t different = 0;
	for (size_t i = 0; i < NAME_WORDS; i++)
		different |= a->words[i] ^ b->words[i];
	return (different | (a->size ^ b->size) | (a->container ^ b->container)) == 0;
}

/* The entry of the name, or the free one where it would stand; NULL when no name is that long. */
static struct entry *seek(const struct name *name)
{
	for (uint32_t slot = slot_of(name);; slot = (slot + 1) & (INDEX_SLOTS - 1)) {
		struct entry *entry = &entries[slot];
		if (entry->line == 0 || name_equal(&entry->name, name))
			return entry;
	}
}

/* Up to eight bytes as one word, zero-padded: loads that overlap instead of a copy, which would be
 * read back before it has left the store buffer. */
static inline uint64_t load_word(const char *bytes, size_t size)
{
	uint64_t word = 0;
	uint32_t low, high;
	if (size >= 8) {
		memcpy(&word, bytes, 8);
	} else if (size >= 4) {
		memcpy(&low, bytes, 4);
		memcpy(&high, bytes + size - 4, 4);
		word = low | (uint64_t)high << (size - 4) * 8;
	} else if (size > 0) {
		size_t middle = size / 2, last = size - 1;
		word = (uint64_t)(unsigned char)bytes[0] |
			(uint64_t)(unsigned char)bytes[middle] << middle * 8 |
			(uint64_t)(unsigned char)bytes[last] << last * 8;
	}
	return lower_case(word);
}

static inline bool name_of(struct slice text, uint32_t container, struct name *out)
{
	if (text.size == 0 || text.size > NAME_BYTES_MAX)
		return false;
	out->size = (uint32_t)text.size;
	out->container = container;
	out->words[0] = load_word(text.data, text.size);
	out->words[1] = text.size > 8 ? load_word(text.data + 8, text.size - 8) : 0;
	out->words[2] = text.size > 16 ? load_word(text.data + 16, text.size - 16) : 0;
	return true;
}

static struct entry *look_up(struct slice text, uint32_t container)
{
	struct name name;
	if (!name_of(text, container, &name))
		return NULL;
	struct entry *entry = seek(&name);
	return entry->line ? entry : NULL;
}

static void build(void)
{
	assert(command_lines_count <= INDEX_LOAD_MAX);
	for (uint32_t i = 0; i < command_lines_count; i++) {
		struct slice text = slice_text(command_lines[i].name);
		const char *bar = strchr(text.data, '|');
		uint32_t container = 0;
		if (bar) {
			struct entry *parent =
				look_up(slice_of(text.data, (size_t)(bar - text.data)), 0);
			assert(parent);
			parent->container = true;
			container = parent->line;
			text = slice_text(bar + 1);
		}
		struct name name;
		bool fits = name_of(text, container, &name);
		assert(fits);
		struct entry *entry = seek(&name);
		assert(entry->line == 0);
		*entry = (struct entry){ .name = name, .line = i + 1 };
	}
}

/* As Redis shows it: up to the first zero byte. */
static struct slice shown(struct slice text, size_t most)
{
	size_t size = text.size < most ? text.size : most;
	const char *zero = size ? memchr(text.data, '\0', size) : NULL;
	return slice_of(text.data, zero ? (size_t)(zero - text.data) : size);
}
