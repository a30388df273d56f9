/*
 * slowlog: a list of entries, newest first. An entry is one allocation: its numbers, then the texts
 * that it points at. Redis's cuts apply: 32 arguments, the last of them saying how many more there
 * were, and 128 bytes of each. Passwords are left out; arguments of commands that carry ids of
 * sessions stand as hashes, salted by this run.
 *
 * Life cycle: entries are made in slowlog_add and live until newer ones push them out or a reset.
 *
 * Threads: any; one mutex, under which entries are linked and written out, but not made.
 */
#include "admin/slowlog.h"

#include "base/hash.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/random.h"
#include "net/connection.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#define ARGUMENTS_MAX      32
#define ARGUMENT_BYTES_MAX 128
#define NOTE_BYTES_MAX     64 /* of "... (n more bytes)" */

struct slowlog_entry {
	struct list_node in_list;
	uint64_t id;
	int64_t time_s;
	uint64_t duration_us;
	uint32_t argument_count;
	struct slice arguments[ARGUMENTS_MAX];
	struct slice address;
	struct slice name;
	char texts[];
};

struct slowlog {
	pthread_mutex_t lock;
	struct list entries; /* the newest first */
	size_t count;
	uint64_t next_id;
	uint64_t salt; /* of this run */
};

static struct slowlog_entry *entry_new(const struct slowlog *slowlog, const struct request *request,
	uint64_t duration_us, int64_t time_s);
static void drop_oldest(struct slowlog *slowlog);

struct slowlog *slowlog_new(void)
{
	struct slowlog *slowlog = memory_zeroed(sizeof(*slowlog));
	pthread_mutex_init(&slowlog->lock, NULL);
	random_entropy(&slowlog->salt, sizeof(slowlog->salt));
	return slowlog;
}

void slowlog_free(struct slowlog **slowlog)
{
	if (*slowlog == NULL)
		return;
	slowlog_reset(*slowlog);
	pthread_mutex_destroy(&(*slowlog)->lock);
	memory_free(*slowlog);
	*slowlog = NULL;
}

void slowlog_add(struct slowlog *slowlog, const struct request *request, uint64_t duration_us,
	int64_t time_s, int64_t entries_max)
{
	assert(entries_max >= 0);
	struct slowlog_entry *entry = entry_new(slowlog, request, duration_us, time_s);
	pthread_mutex_lock(&slowlog->lock);
	entry->id = slowlog->next_id++;
	list_prepend(&slowlog->entries, &entry->in_list);
	slowlog->count++;
	while (slowlog->count > (size_t)entries_max)
		drop_oldest(slowlog);
	pthread_mutex_unlock(&slowlog->lock);
}

size_t slowlog_length(struct slowlog *slowlog)
{
	pthread_mutex_lock(&slowlog->lock);
	size_t count = slowlog->count;
	pthread_mutex_unlock(&slowlog->lock);
	return count;
}

void slowlog_reset(struct slowlog *slowlog)
{
	pthread_mutex_lock(&slowlog->lock);
	while (slowlog->count)
		drop_oldest(slowlog);
	pthread_mutex_unlock(&slowlog->lock);
}

void slowlog_write(struct slowlog *slowlog, struct writer *writer, size_t count)
{
	pthread_mutex_lock(&slowlog->lock);
	if (count > slowlog->count)
		count = slowlog->count;
	writer_array(writer, count);
	const struct list_node *node = slowlog->entries.first;
	for (size_t i = 0; i < count; i++, node = node->next) {
		const struct slowlog_entry *entry =
			container_of(node, struct slowlog_entry, in_list);
		writer_array(writer, 6);
		writer_integer(writer, (int64_t)entry->id);
		writer_integer(writer, entry->time_s);
		writer_integer(writer, (int64_t)entry->duration_us);
		writer_array(writer, entry->argument_count);
		for (uint32_t a = 0; a < entry->argument_count; a++)
			writer_bulk(writer, entry->arguments[a]);
		writer_bulk(writer, entry->address);
		writer_bulk(writer, entry->name);
	}
	pthread_mutex_unlock(&slowlog->lock);
}

/* Passwords: all arguments of AUTH and HELLO; the value of CONFIG SET requirepass. */
static bool is_secret(const struct request *request, uint32_t index)
{
	const char *name = request->asked.command ? request->asked.command->name : "";
	if (strcmp(name, "auth") == 0 || strcmp(name, "hello") == 0)
		return index > 0;
	return strcmp(name, "config|set") == 0 && index > 2 && index % 2 &&
		slice_is(request->asked.arguments[index - 1], "requirepass");
}

static struct slice keep(char **at, struct slice text)
{
	struct slice kept = slice_of(*at, text.size);
	if (text.size)
		memcpy(*at, text.data, text.size);
	*at += text.size;
	return kept;
}

/* What tells two ids apart, and one again, without being one. */
static struct slice keep_hash(char **at, struct slice argument, uint64_t salt)
{
	char *start = *at;
	int size = snprintf(start, NOTE_BYTES_MAX, "#%016llx (%zu bytes)",
		(unsigned long long)hash_bytes_seeded(argument, salt), argument.size);
	*at += size;
	return slice_of(start, (size_t)size);
}

static struct slice keep_argument(
	char **at, const struct request *request, uint32_t index, uint64_t salt)
{
	struct slice argument = request->asked.arguments[index];
	if (is_secret(request, index))
		return keep(at, slice_text("(redacted)"));
	if (index > 0 && request->asked.command && (request->asked.command->flags & COMMAND_SECRET))
		return keep_hash(at, argument, salt);
	size_t more = argument.size > ARGUMENT_BYTES_MAX ? argument.size - ARGUMENT_BYTES_MAX : 0;
	struct slice kept = keep(at, slice_of(argument.data, argument.size - more));
	if (more) {
		int noted = snprintf(*at, NOTE_BYTES_MAX, "... (%zu more bytes)", more);
		kept.size += (size_t)noted;
		*at += noted;
	}
	return kept;
}

static struct slowlog_entry *entry_new(const struct slowlog *slowlog, const struct request *request,
	uint64_t duration_us, int64_t time_s)
{
	const struct connection *connection = request->connection;
	struct slice address = slice_text(connection ? connection->client.address : "");
	struct slice name = slice_text(connection ? connection->client.name : "");
	uint32_t count = request->asked.argument_count;
	if (count > ARGUMENTS_MAX)
		count = ARGUMENTS_MAX;
	size_t texts = address.size + name.size;
	for (uint32_t i = 0; i < count; i++) {
		size_t size = request->asked.arguments[i].size;
		texts += (size < ARGUMENT_BYTES_MAX ? size : ARGUMENT_BYTES_MAX) + NOTE_BYTES_MAX;
	}

	struct slowlog_entry *entry = memory_alloc(sizeof(*entry) + texts);
	*entry = (struct slowlog_entry){
		.time_s = time_s, .duration_us = duration_us, .argument_count = count
	};
	char *at = entry->texts;
	for (uint32_t i = 0; i < count; i++)
		entry->arguments[i] = keep_argument(&at, request, i, slowlog->salt);
	if (count < request->asked.argument_count) {
		char note[NOTE_BYTES_MAX];
		int noted = snprintf(note, sizeof(note), "... (%u more arguments)",
			request->asked.argument_count - count + 1);
		at -= entry->arguments[count - 1].size;
		entry->arguments[count - 1] = keep(&at, slice_of(note, (size_t)noted));
	}
	entry->address = keep(&at, address);
	entry->name = keep(&at, name);
	assert(at <= entry->texts + texts);
	return entry;
}

static void drop_oldest(struct slowlog *slowlog)
{
	struct list_node *oldest = slowlog->entries.last;
	list_remove(&slowlog->entries, oldest);
	slowlog->count--;
	memory_free(container_of(oldest, struct slowlog_entry, in_list));
}
