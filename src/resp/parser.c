/*
 * parser: a redisReader whose callbacks copy each bulk string, once, into the arena of the command;
 * hiredis' own reply objects are never built.
 *
 * Cost. hiredis moves what it holds whenever a reply was taken from it, so a parser is never given
 * bytes behind the end of a command, and those of a long one in pieces. For a large bulk its buffer
 * grows with the bytes received.
 *
 * Life cycle. A redisReader and its buffer are hundreds of bytes and more, and are needed only
 * while a command is on its way. So parsers belong to the thread, not to the connection: a reader
 * takes one when a command begins and puts it back when it has nothing left to do. Each thread
 * keeps one spare, which is freed with the thread.
 *
 * Out of memory inside hiredis is handled as everywhere else (base/memory.h): said, then abort.
 */
#include "resp/parser.h"

#include "base/logline.h"
#include "holdfast/limits.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdlib.h>

#if HIREDIS_MAJOR >= 1
typedef size_t array_count;
#else
typedef int array_count;
#endif

static pthread_key_t spare_key;
static pthread_once_t spare_once = PTHREAD_ONCE_INIT;

static void spare_init(void);
static void spare_free(void *spare);
static void *string_create(const redisReadTask *task, char *bytes, size_t size);
static void *array_create(const redisReadTask *task, array_count count);
static void object_free(void *object);
static void fail(const redisReader *parser);

/* What the guard never lets through has no callback. */
static redisReplyObjectFunctions functions = {
	.createString = string_create,
	.createArray = array_create,
	.freeObject = object_free,
};

struct redisReader *parser_take(struct arguments *arguments)
{
	pthread_once(&spare_once, spare_init);
	redisReader *parser = pthread_getspecific(spare_key);
	if (parser) {
		pthread_setspecific(spare_key, NULL);
	} else {
		parser = redisReaderCreateWithFunctions(&functions);
		if (parser == NULL)
			fail(NULL);
		/* Its shrinking would reallocate in the midst of a pipeline; parsers that have
		 * grown large are freed by the reader instead. */
		parser->maxbuf = 0;
	}
	assert(parser->ridx == -1);
	assert(parser->pos == parser->len);
	parser->privdata = arguments;
	return parser;
}

void parser_put(struct redisReader **taken)
{
	redisReader *parser = *taken;
	*taken = NULL;
	assert(parser->ridx == -1);
	assert(parser->pos == parser->len);
	parser->privdata = NULL;
	if (pthread_getspecific(spare_key) == NULL)
		pthread_setspecific(spare_key, parser);
	else
		redisReaderFree(parser);
}

void parser_free(struct redisReader **parser)
{
	redisReaderFree(*parser);
	*parser = NULL;
}

bool parser_feed(struct redisReader *parser, struct slice bytes)
{
	void *complete = NULL;
	while (bytes.size > 0) {
		assert(complete == NULL);
		size_t size = bytes.size < LIMIT_FEED_BYTES ? bytes.size : LIMIT_FEED_BYTES;
		if (redisReaderFeed(parser, bytes.data, size) != REDIS_OK ||
			redisReaderGetReply(parser, &complete) != REDIS_OK)
			fail(parser);
		bytes = slice_of(bytes.data + size, bytes.size - size);
	}
	return complete != NULL;
}

static void spare_init(void)
{
	int status = pthread_key_create(&spare_key, spare_free);
	assert(status == 0);
}

static void spare_free(void *spare)
{
	redisReaderFree(spare);
}

/* The objects that callbacks return only say that all went well. */
static void *string_create(const redisReadTask *task, char *bytes, size_t size)
{
	memcpy(arguments_add(task->privdata, size), bytes, size);
	return task->privdata;
}

static void *array_create(const redisReadTask *task, array_count count)
{
	assert(count > 0);
	return task->privdata;
}

static void object_free(void *object)
{
}

static void fail(const redisReader *parser)
{
	logline(LOGLINE_WARNING, "request parser: %s", parser ? parser->errstr : "out of memory");
	abort();
}
