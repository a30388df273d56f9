/*
 * fuzz_log [seeds [first]]: damages the files of a log in every way and opens it.
 *
 * Each seed writes a log of several segments and openings, then mutates it: bytes flipped, ranges
 * zeroed, blocks copied to other places and files, files shortened, removed, swapped. Opening it
 * must give an error with a line, or replay records that were written, with their contents, in
 * order and without a gap; an opened log must take writes and open again to the same and the new.
 * In one seed of four the mutations also repair the checksums, so that nonsense reaches what stands
 * behind them; then only the bounds are checked.
 *
 * Exits 1 at the first failure, naming the seed. Meant for a build with sanitizers.
 */
#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "log/log.h"
#include "log/segment.h"
#include "support/sim_disk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEDS           2000
#define RECORDS_MAX     400
#define VALUE_BYTES_MAX 3000
#define FILES_MAX       64
#define PATH_BYTES      64

struct fuzz {
	uint64_t seed;
	struct random random;
	struct disk *disk;
	struct log_options options;
	struct log_batch batch;
	uint64_t nonces[RECORDS_MAX + 1]; /* by LSN: what each record holds */
	uint64_t last;
	bool repair;
	uint64_t after_lsn;
	uint64_t replayed;
	char paths[FILES_MAX][PATH_BYTES];
	int paths_count;
};

static struct {
	uint64_t opened, whole, refused;
} seen;

static uint64_t below(struct fuzz *fuzz, uint64_t bound)
{
	return random_below(&fuzz->random, bound);
}

static void check(struct fuzz *fuzz, bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "seed %" PRIu64 ": %s\n", fuzz->seed, what);
	exit(1);
}

static struct effect effect_of(uint64_t nonce, char *value)
{
	struct random random;
	random_seed(&random, nonce);
	size_t size = (size_t)(nonce % (nonce % 3 ? 100 : VALUE_BYTES_MAX));
	for (size_t i = 0; i < size; i++)
		value[i] = (char)random_next(&random);
	return (struct effect){ .kind = EFFECT_PUT,
		.type = 1,
		.key = { value, size < 9 ? size : 9 },
		.value = { value, size } };
}

static int replay(void *context, uint64_t lsn, struct record_reader *reader)
{
	struct fuzz *fuzz = context;
	struct effect effect;
	if (fuzz->repair) {
		int outcome;
		uint64_t sum = 0;
		while ((outcome = record_next_effect(reader, &effect)) == 1)
			sum += hash_checksum(effect.key, 0) + hash_checksum(effect.value, 0);
		check(fuzz, outcome == 0 || outcome == -EBADMSG, "an effect is unclear");
		return sum == 1 ? -ECANCELED : outcome;
	}
	char value[VALUE_BYTES_MAX];
	check(fuzz, lsn == fuzz->replayed + 1, "replayed out of order");
	check(fuzz, lsn <= fuzz->last, "replayed a record never written");
	fuzz->replayed = lsn;
	struct effect expected = effect_of(fuzz->nonces[lsn], value);
	check(fuzz, record_next_effect(reader, &effect) == 1, "no effect");
	check(fuzz,
		slice_equal(effect.key, expected.key) && slice_equal(effect.value, expected.value),
		"replayed other contents");
	check(fuzz, record_next_effect(reader, &effect) == 0, "more effects");
	return 0;
}

static int open_log(struct fuzz *fuzz, struct log **log, struct log_recovery *recovery)
{
	char error[256] = "";
	fuzz->replayed = fuzz->after_lsn;
	int result = log_open(
		log, &fuzz->options, fuzz->after_lsn, replay, fuzz, recovery, error, sizeof(error));
	check(fuzz, result <= 0 && (result == 0) == (*log != NULL), "no clear result");
	check(fuzz, result == 0 || strlen(error) > 10, "no line about the error");
	return result;
}

static void write_batch(struct fuzz *fuzz, struct log *log)
{
	log_batch_clear(&fuzz->batch, SIZE_MAX);
	fuzz->batch.first_lsn = log_next_lsn(log);
	fuzz->last = fuzz->batch.first_lsn - 1;
	for (uint64_t records = 1 + below(fuzz, 4); records > 0; records--) {
		char value[VALUE_BYTES_MAX];
		uint64_t nonce = random_next(&fuzz->random);
		struct effect effect = effect_of(nonce, value);
		if (fuzz->batch.size + record_size(&effect, 1) > log_batch_bytes_max(log))
			break;
		fuzz->nonces[++fuzz->last] = nonce;
		log_batch_add(&fuzz->batch, &effect, 1);
	}
	int result = log_write(log, &fuzz->batch);
	if (result == -EAGAIN && log_prepare(log) == 0)
		result = log_write(log, &fuzz->batch);
	check(fuzz, result == 0 && log_sync(log) == 0, "cannot write");
}

static void make_log(struct fuzz *fuzz)
{
	for (uint64_t lives = 1 + below(fuzz, 4); lives > 0; lives--) {
		struct log *log;
		struct log_recovery recovery;
		check(fuzz, open_log(fuzz, &log, &recovery) == 0, "a whole log does not open");
		check(fuzz, log_next_lsn(log) == fuzz->last + 1, "a whole log is not whole");
		for (uint64_t batches = below(fuzz, 20); batches > 0; batches--)
			write_batch(fuzz, log);
		if (below(fuzz, 3) == 0) {
			fuzz->after_lsn += below(fuzz, fuzz->last - fuzz->after_lsn + 1);
			check(fuzz, log_recycle(log, fuzz->after_lsn) == 0, "cannot recycle");
		}
		log_close(&log);
	}
}

static void note_path(void *context, const char *name)
{
	struct fuzz *fuzz = context;
	check(fuzz, fuzz->paths_count < FILES_MAX, "too many files");
	snprintf(fuzz->paths[fuzz->paths_count++], PATH_BYTES, "wal/%.32s", name);
}

struct image {
	char *bytes;
	uint64_t size;
};

static struct image load(struct fuzz *fuzz, const char *path)
{
	struct image image;
	struct disk_file *file;
	check(fuzz, disk_open(fuzz->disk, path, DISK_OPEN_EXISTING, &file) == 0, "load: open");
	check(fuzz, disk_size(file, &image.size) == 0, "load: size");
	image.bytes = memory_alloc(image.size);
	check(fuzz, disk_read(file, image.bytes, image.size, 0) == (ssize_t)image.size, "load");
	disk_close(&file);
	return image;
}

/* Makes the file anew. */
static void store(struct fuzz *fuzz, const char *path, const struct image *image)
{
	struct disk_file *file;
	check(fuzz, disk_remove(fuzz->disk, path) == 0, "store: remove");
	check(fuzz, disk_open(fuzz->disk, path, DISK_OPEN_CREATE, &file) == 0, "store: open");
	check(fuzz, disk_write(file, image->bytes, image->size, 0) == 0, "store: write");
	disk_close(&file);
}

static uint64_t some_block(struct fuzz *fuzz, const struct image *image)
{
	/* Mostly near the front, where the batches are. */
	uint64_t blocks = image->size / LOG_BLOCK_BYTES;
	if (blocks == 0)
		return 0;
	return below(fuzz, below(fuzz, 3) && blocks > 3 ? 3 : blocks) * LOG_BLOCK_BYTES;
}

static void mutate_bytes(struct fuzz *fuzz, struct image *image)
{
	uint64_t at = some_block(fuzz, image);
	if (at >= image->size)
		return;
	at += below(fuzz, image->size - at < 200 ? image->size - at : 200);
	switch (below(fuzz, 4)) {
	case 0:
		image->bytes[at] ^= (char)(1 << below(fuzz, 8));
		break;
	case 1:
		for (uint64_t i = below(fuzz, 600); i > 0 && at < image->size; i--)
			image->bytes[at++] = 0;
		break;
	case 2:
		for (uint64_t i = below(fuzz, 30); i > 0 && at < image->size; i--)
			image->bytes[at++] = (char)random_next(&fuzz->random);
		break;
	default:
		image->size = below(fuzz, 2) ? at : some_block(fuzz, image);
		break;
	}
}

/* A header with fields changed and its checksum right. */
static void forge(struct fuzz *fuzz, struct image *image)
{
	static const uint64_t odd[] = { 0, 1, 3, 8, 4096, UINT32_MAX, UINT64_MAX, UINT64_MAX - 7 };
	struct segment segment = { .bytes = image->size };
	if (image->size < 2 * LOG_BLOCK_BYTES ||
		segment_header_read(&segment, image->bytes) != SEGMENT_USED)
		return;
	uint64_t value = below(fuzz, 2) ? odd[below(fuzz, 8)] : below(fuzz, 200);
	if (below(fuzz, 3) == 0) {
		*(below(fuzz, 2) ? &segment.sequence : &segment.first_lsn) = value;
		segment_header_write(&segment, image->bytes);
		return;
	}
	uint64_t at = LOG_BLOCK_BYTES;
	struct log_batch_header header;
	for (uint64_t hops = below(fuzz, 6);; hops--) {
		if (!segment_batch_read(&segment, image->bytes + at, &header))
			return;
		uint64_t next = at + sizeof(header) + header.records_bytes;
		if (hops == 0 || header.records_bytes > image->size || next > image->size - 64)
			break;
		at = next;
	}
	char *records = image->bytes + at + sizeof(header);
	uint64_t room = image->size - at - sizeof(header);
	uint64_t records_bytes = header.records_bytes;
	switch (below(fuzz, 6)) {
	case 0:
		header.first_lsn = value;
		break;
	case 1:
		header.synced_lsn = value;
		break;
	case 2:
		header.records = (uint32_t)value;
		break;
	case 3:
		records_bytes = value;
		break;
	default:
		if (records_bytes <= room && records_bytes > 0)
			records[below(fuzz, records_bytes < 40 ? records_bytes : 40)] = (char)value;
		break;
	}
	header.records_bytes = records_bytes <= room ? records_bytes : 0;
	segment_batch_seal(&segment, &header, records);
	if (records_bytes > room) {
		header.records_bytes = records_bytes;
		size_t skipped = offsetof(struct log_batch_header, sequence);
		header.checksum =
			hash_checksum(slice_of((char *)&header + skipped, sizeof(header) - skipped),
				segment.salt);
		memcpy(records - sizeof(header), &header, sizeof(header));
	}
}

static void mutate(struct fuzz *fuzz)
{
	const char *path = fuzz->paths[below(fuzz, (uint64_t)fuzz->paths_count)];
	const char *other = fuzz->paths[below(fuzz, (uint64_t)fuzz->paths_count)];
	struct image image = load(fuzz, path);
	struct image source = load(fuzz, other);
	uint64_t from = some_block(fuzz, &source), to = some_block(fuzz, &image);
	switch (fuzz->repair ? 20 : below(fuzz, 12)) {
	case 0:
		image.size = 0;
		break;
	case 1:
		store(fuzz, other, &image);
		store(fuzz, path, &source);
		break;
	case 2:
	case 3:
		if (from + LOG_BLOCK_BYTES <= source.size && to + LOG_BLOCK_BYTES <= image.size)
			memcpy(image.bytes + to, source.bytes + from, LOG_BLOCK_BYTES);
		break;
	case 20:
		forge(fuzz, &image);
		break;
	default:
		mutate_bytes(fuzz, &image);
		break;
	}
	store(fuzz, path, &image);
	memory_free(image.bytes);
	memory_free(source.bytes);
}

/* A log that opened is sound from now on. */
static void go_on(struct fuzz *fuzz, struct log *log)
{
	uint64_t last = log_next_lsn(log) - 1;
	struct log_recovery recovery;
	check(fuzz, last == fuzz->replayed, "the next LSN does not follow the last record");
	seen.opened++;
	seen.whole += last == fuzz->last;
	write_batch(fuzz, log);
	last = log_next_lsn(log) - 1;
	log_close(&log);
	check(fuzz, open_log(fuzz, &log, &recovery) == 0, "an opened log does not open again");
	check(fuzz, fuzz->replayed == last, "an opened log has lost records");
	check(fuzz, recovery.records == last - fuzz->after_lsn, "records are miscounted");
	log_close(&log);
}

static void run_seed(uint64_t seed)
{
	struct fuzz fuzz = { .seed = seed, .disk = sim_disk_new(seed) };
	random_seed(&fuzz.random, seed);
	fuzz.options = (struct log_options){ .disk = fuzz.disk,
		.directory = "wal",
		.segment_bytes = (2 + below(&fuzz, 6)) * LOG_BLOCK_BYTES,
		.spares_wanted = 2 };
	log_batch_init(&fuzz.batch);
	make_log(&fuzz);
	check(&fuzz, disk_list(fuzz.disk, "wal", note_path, &fuzz) == 0, "cannot list");
	fuzz.repair = below(&fuzz, 4) == 0;
	for (uint64_t mutations = below(&fuzz, 5); mutations > 0; mutations--)
		mutate(&fuzz);
	struct log *log;
	struct log_recovery recovery;
	if (open_log(&fuzz, &log, &recovery))
		seen.refused++;
	else if (fuzz.repair)
		log_close(&log);
	else
		go_on(&fuzz, log);
	log_batch_fini(&fuzz.batch);
	sim_disk_free(&fuzz.disk);
}

int main(int argc, char **argv)
{
	uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : SEEDS;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	for (uint64_t seed = first; seed < first + seeds; seed++)
		run_seed(seed);
	printf("seeds %" PRIu64 ": refused %" PRIu64 ", opened %" PRIu64 ", of them whole %" PRIu64
	       "\n",
		seeds, seen.refused, seen.opened, seen.whole);
	return 0;
}
