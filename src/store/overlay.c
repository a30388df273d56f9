/*
 * overlay: see overlay.h. What one generation holds:
 *
 *   slots    open addressing with linear probing over (hash, entry): a probe reads an entry only
 *            when all 64 bits of the hash agree, so a look-up costs one miss here and one there
 *   arena    each entry with its key and first value in one piece, later values where they fit
 *   blocks   the entries in order of creation, in blocks of doubling size: growth moves nothing
 *   orders   one a table, which is what the first byte of keys tells: who lists one table does not
 *            pay for what was written to others. Its runs are sorted arrays of entries, each at
 *            least twice as long as the next (a binary counter). Entries created since the last
 *            seek stand in a list; a seek sorts them into a run and merges. Keys never change and
 *            entries never go, so a run stays right for ever
 *   heap     (time, entry), smallest time first. An entry's heaped_ms names the item that counts:
 *            an earlier expiry adds an item and makes the older one stale, a later expiry adds
 *            none: the item is pushed back when it comes up
 *
 * An overlay that holds nothing has none of these: there are many shards, and most may be idle.
 *
 * Life: overlay_new, applied to by turns, frozen (its owner stops applying), read by overlay_sorted
 * on the checkpoint thread while turns go on finding and seeking, overlay_free. A seek and the heap
 * change only runs, heap and the entries' memos, which overlay_sorted does not read.
 */
#include "store/overlay.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/memory.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

/* The first chunk is small for shards that see a write now and then. */
#define CHUNK_BYTES_FIRST ((size_t)4 << 10)
#define CHUNK_BYTES_MAX   ((size_t)256 << 10)
#define SLOTS_FIRST       16
#define HEAP_FIRST        16
#define BLOCK_FIRST_BITS  4

struct slot {
	uint64_t hash;
	struct overlay_entry *entry; /* NULL: free */
};

struct run {
	struct overlay_entry **entries;
	size_t count;
};

struct due {
	int64_t at_ms;
	struct overlay_entry *entry;
};

struct order {
	struct overlay_entry *unordered_first;
	struct overlay_entry *unordered_last;
	size_t unordered;
	struct run *runs;
	size_t run_count;
};

/* Tables have small numbers; whatever comes behind them shares the last order. */
#define ORDERS 17

struct overlay {
	struct arena arena;
	struct slot *slots;
	size_t slot_count; /* a power of two, or 0 */
	struct overlay_entry ***blocks;
	size_t count;
	size_t bytes;         /* of slots, blocks, runs and heap */
	struct order *orders; /* ORDERS of them */
	struct due *heap;
	size_t heap_count;
	size_t heap_capacity;
};

static struct overlay_entry *entry_new(
	struct overlay *overlay, const struct effect *effect, uint64_t hash);
static void entry_set_value(
	struct overlay *overlay, struct overlay_entry *entry, struct slice value);
static void heap_push(struct overlay *overlay, struct overlay_entry *entry);
static void heap_pop(struct overlay *overlay);
static void sort(struct overlay_entry **entries, size_t count);
static void order_make(struct overlay *overlay, struct order *order, size_t most);
static struct overlay_entry *order_seek(const struct order *order, struct slice key, bool after);
static struct overlay_entry *order_seek_before(const struct order *order, struct slice key);

struct overlay *overlay_new(void)
{
	struct overlay *overlay = memory_zeroed(sizeof(*overlay));
	arena_init(&overlay->arena, CHUNK_BYTES_FIRST);
	return overlay;
}

/* Which block holds the i-th entry, and where in it: block b has 1 << (BLOCK_FIRST_BITS + b). */
static inline unsigned block_of(size_t i, size_t *offset)
{
	size_t base = i + ((size_t)1 << BLOCK_FIRST_BITS);
	unsigned bits = 63 - (unsigned)__builtin_clzll(base);
	*offset = base - ((size_t)1 << bits);
	return bits - BLOCK_FIRST_BITS;
}

void overlay_free(struct overlay **overlay_pointer)
{
	struct overlay *overlay = *overlay_pointer;
	*overlay_pointer = NULL;
	if (overlay == NULL)
		return;
	if (overlay->count > 0) {
		size_t offset;
		unsigned last = block_of(overlay->count - 1, &offset);
		for (unsigned block = 0; block <= last; block++)
			memory_free(overlay->blocks[block]);
	}
	for (unsigned i = 0; overlay->orders && i < ORDERS; i++) {
		for (size_t run = 0; run < overlay->orders[i].run_count; run++)
			memory_free(overlay->orders[i].runs[run].entries);
		memory_free(overlay->orders[i].runs);
	}
	memory_free(overlay->orders);
	memory_free(overlay->blocks);
	memory_free(overlay->heap);
	memory_free(overlay->slots);
	arena_fini(&overlay->arena);
	memory_free(overlay);
}

struct overlay_entry *overlay_find_hashed(struct overlay *overlay, struct slice key, uint64_t hash)
{
	if (overlay->count == 0)
		return NULL;
	size_t mask = overlay->slot_count - 1;
	for (size_t at = hash & mask;; at = (at + 1) & mask) {
		const struct slot *slot = &overlay->slots[at];
		if (slot->entry == NULL)
			return NULL;
		if (slot->hash == hash && slice_equal(slot->entry->key, key))
			return slot->entry;
	}
}

struct overlay_entry *overlay_find(struct overlay *overlay, struct slice key)
{
	return overlay->count ? overlay_find_hashed(overlay, key, hash_bytes(key)) : NULL;
}

struct overlay_entry *overlay_apply_hashed(
	struct overlay *overlay, const struct effect *effect, uint64_t hash, uint64_t lsn)
{
	struct overlay_entry *entry = overlay_find_hashed(overlay, effect->key, hash);
	if (entry == NULL)
		entry = entry_new(overlay, effect, hash);
	entry->lsn = lsn;
	entry->deleted = effect->kind == EFFECT_DELETE;
	if (entry->deleted) {
		entry->type = VALUE_NONE;
		entry->expire_ms = 0;
		entry->data.size = 0;
		return entry;
	}
	entry->type = effect->type;
	entry->expire_ms = effect->expire_ms;
	entry_set_value(overlay, entry, effect->value);
	if (entry->expire_ms != 0 && (entry->heaped_ms == 0 || entry->expire_ms < entry->heaped_ms))
		heap_push(overlay, entry);
	return entry;
}

struct overlay_entry *overlay_apply(
	struct overlay *overlay, const struct effect *effect, uint64_t lsn)
{
	return overlay_apply_hashed(overlay, effect, hash_bytes(effect->key), lsn);
}

size_t overlay_bytes(const struct overlay *overlay)
{
	return sizeof(*overlay) + overlay->arena.bytes + overlay->bytes;
}

size_t overlay_count(const struct overlay *overlay)
{
	return overlay->count;
}

static struct overlay_entry *entry_at(const struct overlay *overlay, size_t i)
{
	size_t offset;
	unsigned block = block_of(i, &offset);
	return overlay->blocks[block][offset];
}

struct overlay_entry *overlay_at(struct overlay *overlay, size_t i)
{
	assert(i < overlay->count);
	return entry_at(overlay, i);
}

static int order_number(uint8_t table)
{
	return table < ORDERS - 1 ? table : ORDERS - 1;
}

bool overlay_order(struct overlay *overlay, uint8_t table, size_t most)
{
	if (overlay->count == 0)
		return true;
	struct order *order = &overlay->orders[order_number(table)];
	order_make(overlay, order, most);
	return order->unordered == 0;
}

size_t overlay_unordered(const struct overlay *overlay, uint8_t table)
{
	return overlay->count ? overlay->orders[order_number(table)].unordered : 0;
}

/* Of the keys from `key` on. */
static int first_order(struct slice key)
{
	return key.size ? order_number((uint8_t)key.data[0]) : 0;
}

/* Of the keys before `end`. */
static int last_order(struct slice end)
{
	if (end.size == 0)
		return -1;
	int number = order_number((uint8_t)end.data[0]);
	/* Nothing of a table stands before its number alone. */
	return end.size == 1 && number < ORDERS - 1 ? number - 1 : number;
}

struct overlay_entry *overlay_seek(
	struct overlay *overlay, struct slice key, bool after, struct slice end)
{
	struct overlay_entry *found = NULL;
	int last = end.data ? last_order(end) : ORDERS - 1;
	if (overlay->count == 0)
		return NULL;
	for (int i = first_order(key); i <= last && found == NULL; i++) {
		order_make(overlay, &overlay->orders[i], SIZE_MAX);
		found = order_seek(&overlay->orders[i], key, after);
	}
	return found;
}

struct overlay_entry *overlay_seek_before(
	struct overlay *overlay, struct slice key, struct slice start)
{
	struct overlay_entry *found = NULL;
	int last = first_order(start);
	if (overlay->count == 0)
		return NULL;
	for (int i = last_order(key); i >= last && found == NULL; i--) {
		order_make(overlay, &overlay->orders[i], SIZE_MAX);
		found = order_seek_before(&overlay->orders[i], key);
	}
	return found;
}

struct overlay_entry **overlay_sorted(const struct overlay *overlay, size_t *count)
{
	struct overlay_entry **entries =
		memory_alloc(overlay->count * sizeof(struct overlay_entry *));
	for (size_t i = 0; i < overlay->count; i++)
		entries[i] = entry_at(overlay, i);
	sort(entries, overlay->count);
	*count = overlay->count;
	return entries;
}

struct overlay_entry *overlay_next_due(struct overlay *overlay, int64_t now_ms)
{
	while (overlay->heap_count > 0 && overlay->heap[0].at_ms <= now_ms) {
		struct overlay_entry *entry = overlay->heap[0].entry;
		bool counts = overlay->heap[0].at_ms == entry->heaped_ms;
		heap_pop(overlay);
		if (!counts)
			continue;
		entry->heaped_ms = 0;
		if (entry->deleted || entry->expire_ms == 0)
			continue;
		if (entry->expire_ms <= now_ms)
			return entry;
		heap_push(overlay, entry);
	}
	return NULL;
}

/* Keeps at most five slots in eight taken: probes stay within a cache line or two. */
static void slots_make_room(struct overlay *overlay)
{
	if ((overlay->count + 1) * 8 <= overlay->slot_count * 5)
		return;
	size_t old_count = overlay->slot_count;
	size_t new_count = old_count ? old_count * 2 : SLOTS_FIRST;
	struct slot *slots = memory_zeroed(new_count * sizeof(*slots));
	for (size_t i = 0; i < old_count; i++) {
		const struct slot *slot = &overlay->slots[i];
		if (slot->entry == NULL)
			continue;
		size_t at = slot->hash & (new_count - 1);
		while (slots[at].entry)
			at = (at + 1) & (new_count - 1);
		slots[at] = *slot;
	}
	memory_free(overlay->slots);
	overlay->slots = slots;
	overlay->slot_count = new_count;
	overlay->bytes += (new_count - old_count) * sizeof(*slots);
}

static void blocks_append(struct overlay *overlay, struct overlay_entry *entry)
{
	size_t offset;
	unsigned block = block_of(overlay->count, &offset);
	if (offset == 0) {
		size_t bytes = sizeof(entry) << (BLOCK_FIRST_BITS + block);
		overlay->blocks =
			memory_resize(overlay->blocks, (block + 1) * sizeof(*overlay->blocks));
		overlay->blocks[block] = memory_alloc(bytes);
		overlay->bytes += bytes + sizeof(*overlay->blocks);
	}
	overlay->blocks[block][offset] = entry;
	overlay->count++;
}

static char *allocate(struct overlay *overlay, size_t size)
{
	struct arena *arena = &overlay->arena;
	if (arena->chunk_bytes < CHUNK_BYTES_MAX && arena->bytes >= 2 * arena->chunk_bytes)
		arena->chunk_bytes *= 2;
	return arena_alloc(arena, size);
}

/* One piece of memory: the entry, its key, and room for its first value and a little more. */
static struct overlay_entry *entry_new(
	struct overlay *overlay, const struct effect *effect, uint64_t hash)
{
	slots_make_room(overlay);
	size_t fixed = sizeof(struct overlay_entry) + effect->key.size;
	size_t size = (fixed + effect->value.size + 8 + 15) & ~(size_t)15;
	char *memory = allocate(overlay, size);
	struct overlay_entry *entry = (struct overlay_entry *)(void *)memory;
	char *key = memory + sizeof(*entry);
	memcpy(key, effect->key.data, effect->key.size);
	*entry = (struct overlay_entry){
		.key = slice_of(key, effect->key.size),
		.data = slice_of(memory + fixed, 0),
		.capacity = (uint32_t)(size - fixed),
	};

	size_t mask = overlay->slot_count - 1;
	size_t at = hash & mask;
	while (overlay->slots[at].entry)
		at = (at + 1) & mask;
	overlay->slots[at] = (struct slot){ .hash = hash, .entry = entry };
	blocks_append(overlay, entry);
	if (overlay->orders == NULL) {
		overlay->orders = memory_zeroed(ORDERS * sizeof(*overlay->orders));
		overlay->bytes += ORDERS * sizeof(*overlay->orders);
	}
	struct order *order = &overlay->orders[first_order(entry->key)];
	if (order->unordered++ == 0)
		order->unordered_first = entry;
	else
		order->unordered_last->unordered_next = entry;
	order->unordered_last = entry;
	return entry;
}

/* A value that outgrows its memory gets half as much again: a value that grows byte by byte costs
 * a few times its final size, not the square of it. Moves rather than copies, since the new value
 * may be a part of the old one. */
static void entry_set_value(
	struct overlay *overlay, struct overlay_entry *entry, struct slice value)
{
	char *memory = (char *)(uintptr_t)entry->data.data;
	if (value.size > entry->capacity) {
		size_t size = (value.size + value.size / 2 + 15) & ~(size_t)15;
		assert(size <= UINT32_MAX);
		memory = allocate(overlay, size);
		entry->capacity = (uint32_t)size;
	}
	if (value.size > 0)
		memmove(memory, value.data, value.size);
	entry->data = slice_of(memory, value.size);
}

/* Makes the entry's expiry the time that counts. */
static void heap_push(struct overlay *overlay, struct overlay_entry *entry)
{
	if (overlay->heap_count == overlay->heap_capacity) {
		size_t grown = overlay->heap_capacity ? overlay->heap_capacity : HEAP_FIRST;
		overlay->heap_capacity += grown;
		overlay->bytes += grown * sizeof(*overlay->heap);
		overlay->heap = memory_resize(
			overlay->heap, overlay->heap_capacity * sizeof(*overlay->heap));
	}
	entry->heaped_ms = entry->expire_ms;
	struct due *heap = overlay->heap;
	size_t at = overlay->heap_count++;
	while (at > 0 && heap[(at - 1) / 2].at_ms > entry->expire_ms) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = (struct due){ .at_ms = entry->expire_ms, .entry = entry };
}

static void heap_pop(struct overlay *overlay)
{
	struct due *heap = overlay->heap;
	size_t count = --overlay->heap_count;
	struct due last = heap[count];
	size_t at = 0;
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= count)
			break;
		if (child + 1 < count && heap[child + 1].at_ms < heap[child].at_ms)
			child++;
		if (heap[child].at_ms >= last.at_ms)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
}

/* An entry with the eight bytes of its key behind what all keys share: most comparisons of a sort
 * then need not touch the entries. */
struct sort_item {
	uint64_t bytes;
	struct overlay_entry *entry;
};

static int compare_items(const void *a_void, const void *b_void)
{
	const struct sort_item *a = a_void, *b = b_void;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? -1 : 1;
	return slice_compare(a->entry->key, b->entry->key);
}

static uint64_t sort_bytes(struct slice key, size_t shared)
{
	uint64_t big_endian = 0;
	size_t left = key.size - shared;
	memcpy(&big_endian, key.data + shared, left < 8 ? left : 8);
	return be64toh(big_endian);
}

/* By key. */
static void sort(struct overlay_entry **entries, size_t count)
{
	if (count == 0)
		return;
	struct slice first = entries[0]->key;
	size_t shared = first.size;
	for (size_t i = 1; i < count; i++) {
		struct slice key = entries[i]->key;
		size_t same = 0;
		while (same < shared && same < key.size && key.data[same] == first.data[same])
			same++;
		shared = same;
	}
	struct sort_item *items = memory_alloc(count * sizeof(*items));
	for (size_t i = 0; i < count; i++) {
		items[i].bytes = sort_bytes(entries[i]->key, shared);
		items[i].entry = entries[i];
	}
	qsort(items, count, sizeof(*items), compare_items);
	for (size_t i = 0; i < count; i++)
		entries[i] = items[i].entry;
	memory_free(items);
}

static struct run run_merge(struct run a, struct run b)
{
	struct run merged = { .count = a.count + b.count };
	merged.entries = memory_alloc(merged.count * sizeof(struct overlay_entry *));
	size_t i = 0, j = 0;
	for (size_t out = 0; out < merged.count; out++) {
		bool take_a = j == b.count ||
			(i < a.count && slice_compare(a.entries[i]->key, b.entries[j]->key) < 0);
		merged.entries[out] = take_a ? a.entries[i++] : b.entries[j++];
	}
	memory_free(a.entries);
	memory_free(b.entries);
	return merged;
}

/* Brings the next entries, `most` of them, into a run. */
static void order_make(struct overlay *overlay, struct order *order, size_t most)
{
	size_t count = order->unordered < most ? order->unordered : most;
	if (count == 0)
		return;
	order->runs = memory_resize(order->runs, (order->run_count + 1) * sizeof(*order->runs));
	struct run *top = &order->runs[order->run_count++];
	top->count = count;
	top->entries = memory_alloc(count * sizeof(struct overlay_entry *));
	for (size_t i = 0; i < count; i++) {
		top->entries[i] = order->unordered_first;
		order->unordered_first = order->unordered_first->unordered_next;
	}
	order->unordered -= count;
	sort(top->entries, count);
	overlay->bytes += count * sizeof(struct overlay_entry *);
	while (order->run_count > 1 && top[-1].count < 2 * top->count) {
		top[-1] = run_merge(top[-1], *top);
		top--;
		order->run_count--;
	}
}

/* The first position with a key >= `key` (> when `after`); the count when there is none. */
static size_t run_seek(const struct run *run, struct slice key, bool after)
{
	size_t low = 0, high = run->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int compared = slice_compare(run->entries[middle]->key, key);
		if (compared < 0 || (after && compared == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct overlay_entry *order_seek(const struct order *order, struct slice key, bool after)
{
	struct overlay_entry *best = NULL;
	for (size_t i = 0; i < order->run_count; i++) {
		const struct run *run = &order->runs[i];
		size_t at = run_seek(run, key, after);
		if (at == run->count)
			continue;
		if (best == NULL || slice_compare(run->entries[at]->key, best->key) < 0)
			best = run->entries[at];
	}
	return best;
}

static struct overlay_entry *order_seek_before(const struct order *order, struct slice key)
{
	struct overlay_entry *best = NULL;
	for (size_t i = 0; i < order->run_count; i++) {
		const struct run *run = &order->runs[i];
		size_t at = run_seek(run, key, false);
		if (at == 0)
			continue;
		if (best == NULL || slice_compare(run->entries[at - 1]->key, best->key) > 0)
			best = run->entries[at - 1];
	}
	return best;
}
