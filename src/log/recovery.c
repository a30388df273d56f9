/*
 * recovery: reads the segments that a former process left behind, and tells a crash from damage.
 *
 * 1. Every segment's header is read; the used ones are put in the order of their sequence numbers.
 * 2. A segment whose successor starts at or below after_lsn + 1 holds nothing that is needed, and
 *    is not read. Any subset of such segments may be there: recycling reuses them in any order.
 * 3. The others must join without a gap: each starts at the LSN behind the last whole record of the
 *    one before it. Their batches are read one at a time, checked, and replayed.
 * 4. Where the whole batches of a segment end, the rest of it is searched for headers of the same
 *    life. One whose synced_lsn reaches the first missing record was written after that record had
 *    been synced: it was on disk and no longer is, which is damage. Otherwise a crash has torn
 *    writes that nobody was told about; the next segment, if there is one, goes on at their LSN.
 *    Headers of records up to after_lsn prove nothing: when a crash tears the reuse of a segment,
 *    its old header may stand over what is left of old batches.
 * 5. What the former process had written but not synced is now believed, so it must be durable. A
 *    sync alone would not do: after a failed one the kernel may hold the pages for clean. They are
 *    written again, identical, and then synced.
 *
 * A segment that was torn while it was activated for the first time has no header but maybe a
 * batch. When a second batch follows that was written after a sync of the first, the header was on
 * disk, and has been lost.
 *
 * Memory: one read-ahead window, as large as the largest batch. Runs on the thread that opens the
 * log, before others know it.
 */
#include "log/recovery.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define WINDOW_BYTES ((size_t)1 << 20)

/* A run of one segment's bytes in memory. */
struct window {
	const struct segment *segment;
	char *memory;
	size_t capacity;
	size_t bytes;
	uint64_t start; /* offset in the segment */
};

struct recovery {
	const struct log_options *options;
	uint64_t after_lsn;
	log_replay_fn replay;
	void *context;
	struct log_recovery *result;
	struct recovered *found;
	char *error;
	size_t error_size;
	struct window window;
	uint64_t next_lsn; /* of the next record in the walk */
	/* the last segment with a batch, and where its writes since the last sync begin */
	struct segment *last;
	uint64_t unsynced_from;
};

static int find_segments(struct recovery *recovery);
static int walk(struct recovery *recovery);
static int make_durable(struct recovery *recovery);

int recovery_run(const struct log_options *options, uint64_t after_lsn, log_replay_fn replay,
	void *context, struct log_recovery *result, struct recovered *found, char *error,
	size_t error_size)
{
	struct recovery recovery = {
		.options = options,
		.after_lsn = after_lsn,
		.replay = replay,
		.context = context,
		.result = result,
		.found = found,
		.error = error,
		.error_size = error_size,
	};
	*result = (struct log_recovery){ 0 };
	*found = (struct recovered){ 0 };
	int outcome = find_segments(&recovery);
	if (outcome == 0)
		outcome = walk(&recovery);
	if (outcome == 0)
		outcome = make_durable(&recovery);
	memory_free(recovery.window.memory);
	return outcome;
}

void recovery_fini(struct recovered *found)
{
	segment_list_fini(&found->used);
	segment_list_fini(&found->empty);
	segment_list_fini(&found->discard);
}

/* Says one line about a segment (NULL: about the directory) and returns `code`. */
__attribute__((format(printf, 4, 5))) static int refuse(
	struct recovery *recovery, const struct segment *segment, int code, const char *format, ...)
{
	char reason[256];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	char *path = segment ? segment_path(recovery->options->directory, segment->number) : NULL;
	snprintf(recovery->error, recovery->error_size, "log %s: %s",
		path ? path : recovery->options->directory, reason);
	memory_free(path);
	return code;
}

/* Points `*out` at `size` bytes of the segment, which must have them; they stay until the next
 * call. */
static int window_read(struct recovery *recovery, const struct segment *segment, uint64_t offset,
	size_t size, const char **out)
{
	struct window *window = &recovery->window;
	assert(offset + size <= segment->bytes);
	bool known = window->segment == segment && offset >= window->start &&
		offset <= window->start + window->bytes;
	size_t kept = known ? (size_t)(window->start + window->bytes - offset) : 0;
	if (kept < size) {
		uint64_t left = segment->bytes - offset;
		size_t wanted = size > WINDOW_BYTES ? size : WINDOW_BYTES;
		if (wanted > left)
			wanted = (size_t)left;
		if (kept)
			memmove(window->memory, window->memory + (offset - window->start), kept);
		if (wanted > window->capacity) {
			window->memory = memory_resize(window->memory, wanted);
			window->capacity = wanted;
		}
		ssize_t got = disk_read(
			segment->file, window->memory + kept, wanted - kept, offset + kept);
		window->segment = NULL;
		if (got >= 0 && (size_t)got < wanted - kept)
			got = -EIO;
		if (got < 0)
			return refuse(recovery, segment, (int)got, "cannot read: %s",
				strerror((int)-got));
		window->segment = segment;
		window->start = offset;
		window->bytes = wanted;
	}
	*out = window->memory + (offset - window->start);
	return 0;
}

/* Whether an empty segment's first block is zeros because a used one's was lost: see above. 1 when
 * it holds the remains of a torn activation, 0 when it has none. */
static int examine_empty(struct recovery *recovery, const struct segment *segment)
{
	struct log_batch_header first, second;
	const char *bytes;
	uint64_t offset = LOG_BLOCK_BYTES;
	if (segment->bytes < offset + sizeof(first))
		return 0;
	int outcome = window_read(recovery, segment, offset, sizeof(first), &bytes);
	if (outcome)
		return outcome;
	memcpy(&first, bytes, sizeof(first));
	if (first.magic != LOG_BATCH_MAGIC)
		return 0;
	if (first.records_bytes > segment->bytes - offset - sizeof(first))
		return 1;
	offset += sizeof(first) + first.records_bytes;
	if (segment->bytes - offset < sizeof(second))
		return 1;
	outcome = window_read(recovery, segment, offset, sizeof(second), &bytes);
	if (outcome)
		return outcome;
	memcpy(&second, bytes, sizeof(second));
	if (second.magic == LOG_BATCH_MAGIC && second.sequence == first.sequence &&
		second.first_lsn == first.first_lsn + first.records &&
		second.synced_lsn >= first.first_lsn)
		return refuse(recovery, segment, -EBADMSG,
			"damaged: its header is lost, but batches follow");
	return 1;
}

/* One that this log makes: a file whose making was cut off has another. */
static bool is_of_a_size(const struct log_options *options, uint64_t bytes)
{
	uint64_t most = options->segment_bytes;
	uint64_t size = options->first_bytes ? options->first_bytes : most;
	while (size < bytes && size < most)
		size = segment_larger(size, most);
	return size == bytes;
}

/* Takes the segment into one of the lists. */
static int sort_in(struct recovery *recovery, struct segment *segment)
{
	struct recovered *found = recovery->found;
	enum segment_state state = SEGMENT_EMPTY;
	if (segment->bytes >= LOG_BLOCK_BYTES) {
		const char *block;
		int outcome = window_read(recovery, segment, 0, LOG_BLOCK_BYTES, &block);
		if (outcome) {
			segment_list_add(&found->discard, segment);
			return outcome;
		}
		state = segment_header_read(segment, block);
	}
	if (state == SEGMENT_USED) {
		segment_list_add(&found->used, segment);
		if (segment->sequence > found->sequence_last)
			found->sequence_last = segment->sequence;
		return 0;
	}
	bool fits = is_of_a_size(recovery->options, segment->bytes) &&
		segment->bytes <= disk_largest(recovery->options->disk);
	segment_list_add(fits ? &found->empty : &found->discard, segment);
	if (state == SEGMENT_DAMAGED)
		return refuse(recovery, segment, -EBADMSG, "damaged: its header is not whole");
	if (state == SEGMENT_NEWER)
		return refuse(recovery, segment, -ENOTSUP, "written by a newer version");
	int remains = examine_empty(recovery, segment);
	if (remains == 1 && fits) {
		segment_list_add(
			&found->discard, segment_list_take(&found->empty, found->empty.count - 1));
	}
	return remains < 0 ? remains : 0;
}

struct numbers {
	uint64_t *items;
	size_t count;
};

static void note_number(void *context, const char *name)
{
	struct numbers *numbers = context;
	uint64_t number;
	if (!segment_number(name, &number))
		return;
	numbers->items =
		memory_resize(numbers->items, (numbers->count + 1) * sizeof(*numbers->items));
	numbers->items[numbers->count++] = number;
}

static int open_segment(struct recovery *recovery, uint64_t number)
{
	struct segment unopened = { .number = number };
	struct disk_file *file = NULL;
	uint64_t bytes = 0;
	char *path = segment_path(recovery->options->directory, number);
	int outcome = disk_open(recovery->options->disk, path, DISK_OPEN_EXISTING, &file);
	if (outcome == 0)
		outcome = disk_size(file, &bytes);
	memory_free(path);
	if (outcome) {
		disk_close(&file);
		return refuse(recovery, &unopened, outcome, "cannot open: %s", strerror(-outcome));
	}
	if (number > recovery->found->number_last)
		recovery->found->number_last = number;
	return sort_in(recovery, segment_new(&file, number, bytes));
}

static int by_sequence(const void *left, const void *right)
{
	const struct segment *const *a = left, *const *b = right;
	return ((*a)->sequence > (*b)->sequence) - ((*a)->sequence < (*b)->sequence);
}

static int find_segments(struct recovery *recovery)
{
	struct numbers numbers = { 0 };
	int outcome = disk_list(
		recovery->options->disk, recovery->options->directory, note_number, &numbers);
	if (outcome)
		refuse(recovery, NULL, outcome, "cannot list: %s", strerror(-outcome));
	for (size_t i = 0; i < numbers.count && outcome == 0; i++)
		outcome = open_segment(recovery, numbers.items[i]);
	memory_free(numbers.items);
	struct segment_list *used = &recovery->found->used;
	if (outcome || used->count == 0)
		return outcome;
	qsort(used->items, used->count, sizeof(*used->items), by_sequence);
	for (size_t i = 1; i < used->count; i++) {
		if (used->items[i]->sequence == used->items[i - 1]->sequence)
			return refuse(recovery, used->items[i], -EBADMSG,
				"damaged: another file has its sequence number too");
	}
	return 0;
}

/* Hands a whole batch's records on. */
static int replay_batch(struct recovery *recovery, const struct segment *segment,
	const struct log_batch_header *header, const char *records)
{
	struct slice left = slice_of(records, header->records_bytes);
	for (uint32_t i = 0; i < header->records; i++) {
		struct record_reader reader;
		uint64_t lsn = header->first_lsn + i;
		if (!record_next(&left, &reader))
			return refuse(recovery, segment, -EBADMSG,
				"damaged: record %" PRIu64 " is malformed", lsn);
		if (lsn <= recovery->after_lsn)
			continue;
		int outcome = recovery->replay(recovery->context, lsn, &reader);
		if (outcome)
			return refuse(recovery, segment, outcome,
				"cannot replay record %" PRIu64 ": %s", lsn, strerror(-outcome));
		recovery->result->records++;
	}
	if (left.size != 0)
		return refuse(recovery, segment, -EBADMSG,
			"damaged: bytes follow record %" PRIu64 " in its batch",
			header->first_lsn + header->records - 1);
	return 0;
}

/* In front of a batch that was written when all before it had been synced. */
static int tell_replayed(struct recovery *recovery, const struct segment *segment,
	const struct log_batch_header *header)
{
	uint64_t before = header->first_lsn - 1;
	if (recovery->options->replayed == NULL || header->synced_lsn < before ||
		before <= recovery->after_lsn)
		return 0;
	int outcome = recovery->options->replayed(recovery->context, before);
	if (outcome)
		return refuse(recovery, segment, outcome,
			"cannot checkpoint up to record %" PRIu64 ": %s", before,
			strerror(-outcome));
	return 0;
}

/* The batch at the segment's fill: 1 when it was whole, 0 when there is none. */
static int walk_batch(struct recovery *recovery, struct segment *segment)
{
	struct log_batch_header header;
	const char *bytes;
	uint64_t offset = segment->fill;
	uint64_t room = segment->bytes - offset;
	if (room < sizeof(header))
		return 0;
	int outcome = window_read(recovery, segment, offset, sizeof(header), &bytes);
	if (outcome)
		return outcome;
	if (!segment_batch_read(segment, bytes, &header) ||
		header.first_lsn != recovery->next_lsn || header.records == 0 ||
		header.records_bytes > room - sizeof(header))
		return 0;
	size_t size = sizeof(header) + (size_t)header.records_bytes;
	outcome = window_read(recovery, segment, offset, size, &bytes);
	if (outcome)
		return outcome;
	const char *records = bytes + sizeof(header);
	if (!segment_records_whole(segment, &header, records))
		return 0;
	outcome = tell_replayed(recovery, segment, &header);
	if (outcome)
		return outcome;
	outcome = replay_batch(recovery, segment, &header, records);
	if (outcome)
		return outcome;
	/* The first batch behind a sync is the one whose synced_lsn reaches up to it. */
	if (header.synced_lsn + 1 == header.first_lsn || recovery->last != segment)
		recovery->unsynced_from = offset == LOG_BLOCK_BYTES ? 0 : offset;
	recovery->last = segment;
	recovery->next_lsn += header.records;
	recovery->result->bytes += size;
	segment->last_lsn = recovery->next_lsn - 1;
	segment->fill += size;
	return 1;
}

/* Searches what is behind the last whole batch. */
static int check_rest(struct recovery *recovery, const struct segment *segment)
{
	/* A header goes to disk with a batch, so one without a batch was torn off it. */
	recovery->result->torn_tail = segment->last_lsn == 0;
	uint64_t offset = segment->fill;
	while (segment->bytes - offset >= LOG_BATCH_HEADER_BYTES) {
		uint64_t left = segment->bytes - offset;
		size_t size = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
		const char *bytes;
		int outcome = window_read(recovery, segment, offset, size, &bytes);
		if (outcome)
			return outcome;
		size_t at = 0;
		for (; at + LOG_BATCH_HEADER_BYTES <= size; at += 8) {
			struct log_batch_header header;
			uint64_t magic;
			memcpy(&magic, bytes + at, sizeof(magic));
			if (magic != LOG_BATCH_MAGIC ||
				!segment_batch_read(segment, bytes + at, &header) ||
				header.first_lsn < recovery->next_lsn)
				continue;
			recovery->result->torn_tail = true;
			uint64_t last_lsn = header.first_lsn + header.records - 1;
			if (header.synced_lsn >= recovery->next_lsn &&
				last_lsn > recovery->after_lsn)
				return refuse(recovery, segment, -EBADMSG,
					"damaged: record %" PRIu64
					" is not whole at offset %" PRIu64
					", but a later batch is there at %" PRIu64,
					recovery->next_lsn, segment->fill, offset + at);
		}
		offset += at;
	}
	return 0;
}

static int walk_segment(struct recovery *recovery, struct segment *segment)
{
	segment->fill = LOG_BLOCK_BYTES;
	int outcome;
	do
		outcome = walk_batch(recovery, segment);
	while (outcome == 1);
	return outcome ? outcome : check_rest(recovery, segment);
}

/* Whether the segment starts where the walk stands. */
static int check_join(struct recovery *recovery, const struct segment *segment)
{
	if (segment->first_lsn > recovery->next_lsn)
		return refuse(recovery, segment, -EBADMSG,
			"damaged: starts at record %" PRIu64 ", but record %" PRIu64 " is missing",
			segment->first_lsn, recovery->next_lsn);
	if (segment->first_lsn < recovery->next_lsn)
		return refuse(recovery, segment, -EBADMSG,
			"damaged: starts at record %" PRIu64 ", which an older segment holds",
			segment->first_lsn);
	return 0;
}

static int walk(struct recovery *recovery)
{
	struct segment_list *used = &recovery->found->used;
	recovery->next_lsn = 0;
	for (size_t i = 0; i < used->count; i++) {
		struct segment *segment = used->items[i];
		struct segment *next = i + 1 < used->count ? used->items[i + 1] : NULL;
		if (next && next->first_lsn <= recovery->after_lsn + 1) {
			segment->last_lsn = next->first_lsn - 1;
			segment->fill = LOG_BLOCK_BYTES;
			continue;
		}
		if (recovery->next_lsn == 0) {
			bool early = segment->first_lsn <= recovery->after_lsn;
			recovery->next_lsn = early ? segment->first_lsn : recovery->after_lsn + 1;
		}
		int outcome = check_join(recovery, segment);
		if (outcome == 0)
			outcome = walk_segment(recovery, segment);
		if (outcome)
			return outcome;
	}
	for (size_t i = 0; i < used->count; i++) {
		if (used->items[i]->last_lsn > recovery->result->last_lsn)
			recovery->result->last_lsn = used->items[i]->last_lsn;
	}
	return 0;
}

static int make_durable(struct recovery *recovery)
{
	struct segment *segment = recovery->last;
	if (segment == NULL)
		return 0;
	uint64_t mask = LOG_BLOCK_BYTES - 1;
	uint64_t offset = recovery->unsynced_from & ~mask;
	uint64_t end = (segment->fill + mask) & ~mask;
	int outcome = 0;
	/* Where this process may not write, a sync has to do: reads go on. */
	if (end > disk_largest(recovery->options->disk))
		offset = end;
	while (offset < end && outcome == 0) {
		uint64_t left = end - offset;
		size_t size = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
		const char *bytes;
		outcome = window_read(recovery, segment, offset, size, &bytes);
		if (outcome)
			return outcome;
		outcome = disk_write(segment->file, bytes, size, offset);
		offset += size;
	}
	if (outcome == 0)
		outcome = disk_sync(segment->file);
	if (outcome)
		return refuse(recovery, segment, outcome, "cannot sync: %s", strerror(-outcome));
	return 0;
}
