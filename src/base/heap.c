/*
 * heap: see heap.h.
 *
 *   small blocks:  chunk (64 KiB) -> 16 pages (4 KiB) -> blocks of one size
 *   large blocks:  the C library's, from a megabyte on pages of the system, each with a header that
 *                  links them
 *
 *   page:  | struct heap_page | block | block | ... |
 *             free: blocks given back, linked through their first bytes
 *             fresh: blocks behind these have never been used
 *
 * A page is found from a block's address, since it is aligned to its size. Pages with room stand in
 * the list of their size; a page without any stands in none. An empty page goes back to its chunk,
 * an empty chunk to the system, but for one that is kept if it is the only one with free pages, so
 * that a block that comes and goes costs no chunk each time. `bytes` counts chunks and large blocks
 * with their headers, so that pages which are held by one last block count in full.
 *
 * Fresh memory costs a fault for each page that is touched, which takes longer than what is done
 * with it. So the largest blocks ask for huge pages, and grow by moving their pages.
 *
 * With the address sanitizer all blocks are large, so that it sees each of them.
 */
#include "base/heap.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#define SMALL_BYTES 0
#define PAGED_BYTES SIZE_MAX
#else
#define SMALL_BYTES HEAP_SMALL_BYTES
#define PAGED_BYTES ((size_t)1 << 20) /* a large block of so many and more has its own pages */
#endif

#define PAGE_BYTES  4096
#define CHUNK_PAGES (HEAP_CHUNK_BYTES / PAGE_BYTES)
#define ALL_FREE    ((1u << CHUNK_PAGES) - 1)

struct heap_page {
	struct heap_page *next; /* of the list of its size */
	struct heap_page *previous;
	struct heap_chunk *chunk;
	void *free;
	uint16_t used;
	uint16_t fresh;
	uint16_t capacity;
	uint16_t class;
	uint64_t unused; /* blocks begin at a multiple of 16 */
};

_Static_assert(sizeof(struct heap_page) % 16 == 0, "blocks are aligned");

struct heap_chunk {
	struct heap_chunk *next;
	struct heap_chunk *previous;
	char *memory;
	uint32_t free_pages; /* a bit each */
};

struct heap_block {
	struct heap_block *next;
	struct heap_block *previous;
	size_t size;
	uint64_t unused; /* what follows is aligned to 16 */
	char bytes[];
};

static void *take_small(struct heap *heap, size_t size);
static void give_small(struct heap *heap, void *block);
static void *take_large(struct heap *heap, struct heap_block *old, size_t old_size, size_t size);
static void give_large(struct heap *heap, struct heap_block *block, size_t size);
static void system_free(struct heap_block *block, size_t size);
static struct heap_page *add_page(struct heap *heap, unsigned class);
static void drop_page(struct heap *heap, struct heap_page *page);
static struct heap_chunk *add_chunk(struct heap *heap);
static void drop_chunk(struct heap *heap, struct heap_chunk *chunk);
static void link_chunk(struct heap_chunk **list, struct heap_chunk *chunk);
static void unlink_chunk(struct heap_chunk **list, struct heap_chunk *chunk);
static void link_page(struct heap *heap, struct heap_page *page);
static void unlink_page(struct heap *heap, struct heap_page *page);

__thread struct heap_fault heap_fault;

static bool is_refused(void)
{
	if (heap_fault.count == 0)
		return false;
	if (heap_fault.after > 0) {
		heap_fault.after--;
		return false;
	}
	heap_fault.count--;
	return true;
}

static bool has_room(const struct heap *heap, size_t more)
{
	return heap->bytes <= heap->bytes_max && more <= heap->bytes_max - heap->bytes;
}

static struct heap_block *block_of(void *bytes)
{
	return (struct heap_block *)((char *)bytes - offsetof(struct heap_block, bytes));
}

void heap_init(struct heap *heap, size_t bytes_max)
{
	*heap = (struct heap){ .bytes_max = bytes_max };
}

static void free_chunks(struct heap_chunk *list)
{
	while (list) {
		struct heap_chunk *chunk = list;
		list = chunk->next;
		free(chunk->memory);
		free(chunk);
	}
}

void heap_fini(struct heap *heap)
{
	while (heap->blocks) {
		struct heap_block *block = heap->blocks;
		heap->blocks = block->next;
		system_free(block, block->size + sizeof(*block));
	}
	free_chunks(heap->open_chunks);
	free_chunks(heap->full_chunks);
	heap_init(heap, heap->bytes_max);
}

void *heap_resize(struct heap *heap, void *old, size_t old_size, size_t size)
{
	bool was_small = old_size <= SMALL_BYTES, is_small = size <= SMALL_BYTES;
	if (old == NULL && size == 0)
		return NULL;
	if (size > old_size && is_refused())
		return NULL;
	if (old == NULL)
		return is_small ? take_small(heap, size) : take_large(heap, NULL, 0, size);
	if (size == 0) {
		if (was_small)
			give_small(heap, old);
		else
			give_large(heap, block_of(old), old_size);
		return NULL;
	}
	if (was_small && is_small && (old_size + 15) / 16 == (size + 15) / 16)
		return old;
	if (!was_small && !is_small)
		return take_large(heap, block_of(old), old_size, size);
	/* What becomes smaller may for a moment be beyond the bound. */
	size_t bytes_max = heap->bytes_max;
	if (size < old_size)
		heap->bytes_max = SIZE_MAX;
	void *block = is_small ? take_small(heap, size) : take_large(heap, NULL, 0, size);
	heap->bytes_max = bytes_max;
	if (block == NULL && size < old_size)
		abort(); /* it would be freed by the wrong size */
	if (block == NULL)
		return NULL;
	memcpy(block, old, old_size < size ? old_size : size);
	heap_resize(heap, old, old_size, 0);
	return block;
}

/* --- small blocks ----------------------------------------------------------------------------- */

static void *take_small(struct heap *heap, size_t size)
{
	unsigned class = (unsigned)((size - 1) / 16);
	struct heap_page *page = heap->pages[class];
	if (page == NULL)
		page = add_page(heap, class);
	if (page == NULL)
		return NULL;
	void *block = page->free;
	if (block)
		memcpy(&page->free, block, sizeof(page->free));
	else
		block = (char *)(page + 1) + (size_t)page->fresh++ * (class + 1) * 16;
	if (++page->used == page->capacity)
		unlink_page(heap, page);
	return block;
}

static void give_small(struct heap *heap, void *block)
{
	uintptr_t offset = (uintptr_t)block % PAGE_BYTES;
	struct heap_page *page = (struct heap_page *)((char *)block - offset);
	memcpy(block, &page->free, sizeof(page->free));
	page->free = block;
	if (page->used-- == page->capacity)
		link_page(heap, page);
	if (page->used == 0)
		drop_page(heap, page);
}

static struct heap_page *add_page(struct heap *heap, unsigned class)
{
	struct heap_chunk *chunk = heap->open_chunks ? heap->open_chunks : add_chunk(heap);
	if (chunk == NULL)
		return NULL;
	int number = __builtin_ctz(chunk->free_pages);
	chunk->free_pages &= chunk->free_pages - 1;
	if (chunk->free_pages == 0) {
		unlink_chunk(&heap->open_chunks, chunk);
		link_chunk(&heap->full_chunks, chunk);
	}
	struct heap_page *page = (struct heap_page *)(chunk->memory + (size_t)number * PAGE_BYTES);
	*page = (struct heap_page){
		.chunk = chunk,
		.capacity = (uint16_t)((PAGE_BYTES - sizeof(*page)) / ((class + 1) * 16)),
		.class = (uint16_t) class,
	};
	link_page(heap, page);
	return page;
}

static void drop_page(struct heap *heap, struct heap_page *page)
{
	struct heap_chunk *chunk = page->chunk;
	size_t number = (size_t)((char *)page - chunk->memory) / PAGE_BYTES;
	unlink_page(heap, page);
	if (chunk->free_pages == 0) {
		unlink_chunk(&heap->full_chunks, chunk);
		link_chunk(&heap->open_chunks, chunk);
	}
	chunk->free_pages |= 1u << number;
	if (chunk->free_pages == ALL_FREE && (chunk->next || chunk->previous))
		drop_chunk(heap, chunk);
}

static struct heap_chunk *add_chunk(struct heap *heap)
{
	if (!has_room(heap, HEAP_CHUNK_BYTES))
		return NULL;
	struct heap_chunk *chunk = malloc(sizeof(*chunk));
	void *memory = NULL;
	if (chunk && posix_memalign(&memory, PAGE_BYTES, HEAP_CHUNK_BYTES) != 0)
		memory = NULL;
	if (memory == NULL) {
		free(chunk);
		return NULL;
	}
	*chunk = (struct heap_chunk){ .memory = memory, .free_pages = ALL_FREE };
	link_chunk(&heap->open_chunks, chunk);
	heap->bytes += HEAP_CHUNK_BYTES;
	return chunk;
}

static void drop_chunk(struct heap *heap, struct heap_chunk *chunk)
{
	unlink_chunk(&heap->open_chunks, chunk);
	free(chunk->memory);
	free(chunk);
	heap->bytes -= HEAP_CHUNK_BYTES;
}

/* --- large blocks ----------------------------------------------------------------------------- */

static size_t whole_pages(size_t size)
{
	return (size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

/* These three get sizes with the header. */

static void system_free(struct heap_block *block, size_t size)
{
	if (size >= PAGED_BYTES)
		munmap(block, whole_pages(size));
	else
		free(block);
}

static struct heap_block *system_alloc(size_t size)
{
	if (size < PAGED_BYTES)
		return malloc(size);
	size = whole_pages(size);
	void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == MAP_FAILED)
		return NULL;
	madvise(block, size, MADV_HUGEPAGE);
	return block;
}

static struct heap_block *system_resize(struct heap_block *old, size_t old_size, size_t size)
{
	if (old == NULL)
		return system_alloc(size);
	if (old_size < PAGED_BYTES && size < PAGED_BYTES)
		return realloc(old, size);
	if (old_size >= PAGED_BYTES && size >= PAGED_BYTES) {
		void *moved = mremap(old, whole_pages(old_size), whole_pages(size), MREMAP_MAYMOVE);
		return moved == MAP_FAILED ? NULL : moved;
	}
	struct heap_block *block = system_alloc(size);
	if (block == NULL)
		return NULL;
	memcpy(block, old, old_size < size ? old_size : size);
	system_free(old, old_size);
	return block;
}

static void *take_large(struct heap *heap, struct heap_block *old, size_t old_size, size_t size)
{
	size_t header = sizeof(struct heap_block);
	if (size > PTRDIFF_MAX - PAGE_BYTES - header)
		return NULL;
	if (old ? size > old_size && !has_room(heap, size - old_size)
		: !has_room(heap, size + header))
		return NULL;
	struct heap_block *block = system_resize(old, old_size + header, size + header);
	if (block == NULL && size < old_size)
		abort(); /* it would be freed by the wrong size */
	if (block == NULL)
		return NULL;
	if (old) {
		heap->bytes -= old_size;
		heap->bytes += size;
	} else {
		heap->bytes += size + header;
		block->previous = NULL;
		block->next = heap->blocks;
	}
	*(block->previous ? &block->previous->next : &heap->blocks) = block;
	if (block->next)
		block->next->previous = block;
	block->size = size;
	return block->bytes;
}

static void give_large(struct heap *heap, struct heap_block *block, size_t size)
{
	*(block->previous ? &block->previous->next : &heap->blocks) = block->next;
	if (block->next)
		block->next->previous = block->previous;
	heap->bytes -= size + sizeof(*block);
	system_free(block, size + sizeof(*block));
}

/* --- lists ------------------------------------------------------------------------------------ */

static void link_chunk(struct heap_chunk **list, struct heap_chunk *chunk)
{
	chunk->previous = NULL;
	chunk->next = *list;
	if (chunk->next)
		chunk->next->previous = chunk;
	*list = chunk;
}

static void unlink_chunk(struct heap_chunk **list, struct heap_chunk *chunk)
{
	*(chunk->previous ? &chunk->previous->next : list) = chunk->next;
	if (chunk->next)
		chunk->next->previous = chunk->previous;
}

static void link_page(struct heap *heap, struct heap_page *page)
{
	struct heap_page **list = &heap->pages[page->class];
	page->previous = NULL;
	page->next = *list;
	if (page->next)
		page->next->previous = page;
	*list = page;
}

static void unlink_page(struct heap *heap, struct heap_page *page)
{
	*(page->previous ? &page->previous->next : &heap->pages[page->class]) = page->next;
	if (page->next)
		page->next->previous = page->previous;
}
