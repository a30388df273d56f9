/*
 * fetch_coding: see fetch_coding.h. zlib does the work.
 *
 *   bytes -> (the first two tell deflate's frame) -> inflate -> out
 *              ^                                        | a member of gzip ends
 *              '---- another begins with its mark ------'---> what else stands behind is passed
 * over
 *
 * Browsers pass over what stands behind the last member, so it is no reason to refuse the body;
 * another member that has begun has to end.
 */
#include "fetch/fetch_coding.h"

#include "base/memory.h"

#include <assert.h>
#include <stdint.h>
#include <zlib.h>

#define OUT_BYTES    16384
#define GZIP_MARK    0x1f
#define WINDOW_GZIP  (15 + 16)
#define WINDOW_ZLIB  15
#define WINDOW_BARE  (-15)
#define FRAME_BYTES  2
#define FRAME_METHOD 8

struct fetch_coding {
	z_stream stream;
	bool is_gzip;
	bool is_begun; /* zlib knows the form */
	bool is_ended; /* a member has, and no other has begun */
	bool is_over;  /* what stands behind it is none of the coding's */
	size_t taken;  /* bytes of the body */
	unsigned char frame[FRAME_BYTES];
	size_t frame_size;
};

static void codings_find(struct slice headers, struct slice *found, size_t *count);
static void begin(struct fetch_coding *coding, int window);
static enum fetch_coding_state unfold(
	struct fetch_coding *coding, struct slice bytes, size_t bytes_max, struct buffer *out);
static bool member_begins(struct fetch_coding *coding);

struct fetch_coding *fetch_coding_new(struct slice headers, enum fetch_coding_state *state)
{
	struct slice found = { 0 };
	size_t count = 0;
	codings_find(headers, &found, &count);
	*state = FETCH_CODING_GOOD;
	if (count == 0)
		return NULL;
	bool is_gzip = slice_is(found, "gzip") || slice_is(found, "x-gzip");
	if (count > 1 || (!is_gzip && !slice_is(found, "deflate"))) {
		*state = FETCH_CODING_UNKNOWN;
		return NULL;
	}
	struct fetch_coding *coding = memory_zeroed(sizeof(*coding));
	coding->is_gzip = is_gzip;
	if (is_gzip)
		begin(coding, WINDOW_GZIP);
	return coding;
}

void fetch_coding_free(struct fetch_coding **taken)
{
	struct fetch_coding *coding = *taken;
	*taken = NULL;
	if (coding == NULL)
		return;
	if (coding->is_begun)
		inflateEnd(&coding->stream);
	memory_free(coding);
}

enum fetch_coding_state fetch_coding_put(
	struct fetch_coding *coding, struct slice bytes, size_t bytes_max, struct buffer *out)
{
	/* What unfolds to nothing has a bound too. */
	coding->taken += bytes.size;
	if (coding->taken > bytes_max)
		return FETCH_CODING_TOO_LARGE;
	while (!coding->is_begun && bytes.size > 0) {
		coding->frame[coding->frame_size++] = (unsigned char)bytes.data[0];
		bytes = slice_of(bytes.data + 1, bytes.size - 1);
		if (coding->frame_size < FRAME_BYTES)
			continue;
		unsigned first = coding->frame[0], both = first << 8 | coding->frame[1];
		bool is_framed =
			(first & 0x0f) == FRAME_METHOD && both % 31 == 0; /* RFC 1950, 2.2 */
		begin(coding, is_framed ? WINDOW_ZLIB : WINDOW_BARE);
		enum fetch_coding_state state =
			unfold(coding, slice_of(coding->frame, FRAME_BYTES), bytes_max, out);
		if (state != FETCH_CODING_GOOD)
			return state;
	}
	return unfold(coding, bytes, bytes_max, out);
}

enum fetch_coding_state fetch_coding_end(const struct fetch_coding *coding)
{
	return coding->is_ended || coding->taken == 0 ? FETCH_CODING_GOOD : FETCH_CODING_CUT;
}

/* Of one header's list: the last coding that is one, and how many. */
static void list_note(struct slice list, struct slice *found, size_t *count)
{
	while (list.size > 0) {
		size_t size = 0;
		while (size < list.size && !strchr(", \t", list.data[size]))
			size++;
		struct slice name = slice_of(list.data, size);
		if (size > 0 && !slice_is(name, "identity")) {
			*found = name;
			++*count;
		}
		size_t passed = size < list.size ? size + 1 : size;
		list = slice_of(list.data + passed, list.size - passed);
	}
}

static void codings_find(struct slice headers, struct slice *found, size_t *count)
{
	const struct slice start = slice_text("content-encoding:");
	while (headers.size > 0) {
		const char *end = memchr(headers.data, '\n', headers.size);
		size_t size = end ? (size_t)(end - headers.data) : headers.size;
		struct slice line = slice_of(headers.data, size);
		if (slice_starts_with(line, start))
			list_note(
				slice_of(line.data + start.size, size - start.size), found, count);
		size_t passed = size + (end != NULL);
		headers = slice_of(headers.data + passed, headers.size - passed);
	}
}

static void begin(struct fetch_coding *coding, int window)
{
	int result = inflateInit2(&coding->stream, window);
	assert(result == Z_OK);
	coding->is_begun = true;
}

static enum fetch_coding_state unfold(
	struct fetch_coding *coding, struct slice bytes, size_t bytes_max, struct buffer *out)
{
	z_stream *stream = &coding->stream;
	stream->next_in = (unsigned char *)(uintptr_t)bytes.data;
	stream->avail_in = (unsigned)bytes.size;
	bool has_more = bytes.size > 0;
	while (has_more && member_begins(coding)) {
		char chunk[OUT_BYTES];
		stream->next_out = (unsigned char *)chunk;
		stream->avail_out = sizeof(chunk);
		int result = inflate(stream, Z_NO_FLUSH);
		size_t made = sizeof(chunk) - stream->avail_out;
		if (made > bytes_max - out->size)
			return FETCH_CODING_TOO_LARGE;
		buffer_append(out, chunk, made);
		if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
			return FETCH_CODING_BROKEN;
		coding->is_ended = result == Z_STREAM_END;
		/* A chunk that is full may have more behind it. */
		has_more = stream->avail_in > 0 || stream->avail_out == 0;
	}
	return FETCH_CODING_GOOD;
}

/* Whether what is left of the input belongs to the coding: to the member under way, or to another
 * that begins. */
static bool member_begins(struct fetch_coding *coding)
{
	z_stream *stream = &coding->stream;
	if (!coding->is_ended)
		return true;
	if (stream->avail_in > 0)
		coding->is_over |= !coding->is_gzip || stream->next_in[0] != GZIP_MARK;
	if (coding->is_over || stream->avail_in == 0)
		return false;
	inflateReset(stream);
	coding->is_ended = false;
	return true;
}
